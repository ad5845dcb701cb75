"""Credentials: take what the user was given, return a token that is good for the next request.

Tokens stay in memory: nothing is written back to a config file. This module knows neither GraphQL nor Singer, and
asks once: `client.py` decides whether to ask again.
"""

from __future__ import annotations

import re
import time
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

import msgspec

from tap_shopify_orders.decoding import UNREADABLE
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.shopify.answers import Busy, judge_status
from tap_shopify_orders.shopify.transport import Transport

if TYPE_CHECKING:
    from tap_shopify_orders.shopify.transport import Received

RENEWED_BEFORE_EXPIRY_SECONDS = 300.0

# https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/client-credentials-grant
_REMEDIES = {
    "app_not_installed": "the app isn't installed in the `store`: install it there, from the Dev Dashboard",
    "shop_not_permitted": "the app belongs to another organization than the `store`: use an app of the store's own"
    " organization, or an `access_token`",
    "application_cannot_be_found": "there is no app with this `client_id`: copy it from the app's settings in the Dev"
    " Dashboard",
}


@dataclass(frozen=True)
class AccessToken:
    """A permanent token of an app made in the Shopify admin (shpat_...)."""

    access_token: str = field(repr=False)

    def token(self) -> str:
        """Return it."""
        return self.access_token

    def is_current(self, token: str) -> bool:
        """Say whether a token is this one."""
        return token == self.access_token

    def renew(self) -> bool:
        """Say that there is no other."""
        return False


class _Grant(msgspec.Struct):
    access_token: Annotated[str, msgspec.Meta(pattern="^[!-~]{1,1000}$")]
    expires_in: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 86_399.0


@dataclass
class ClientCredentials:
    """Tokens of a Dev Dashboard app, good for 24 hours each, had for its id and secret."""

    admin_url: str
    client_id: str
    client_secret: str = field(repr=False)
    _token: str = field(default="", repr=False)
    _renew_at: float = 0.0

    def token(self) -> str:
        """Return a token that is good for some minutes more; raises RunError with the remedy, or Busy."""
        token = self._token  # another thread may forget it
        if not token or time.monotonic() >= self._renew_at:
            grant = self._ask()
            token = self._token = grant.access_token
            self._renew_at = time.monotonic() + grant.expires_in - RENEWED_BEFORE_EXPIRY_SECONDS
        return token

    def is_current(self, token: str) -> bool:
        """Say whether a token is the last that was given, and wasn't forgotten since."""
        return token == self._token

    def renew(self) -> bool:
        """Forget the token; the next one is asked for when it is needed."""
        self._token = ""
        return True

    def _ask(self) -> _Grant:
        url = f"{self.admin_url}/oauth/access_token"
        form = {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.client_secret}
        with closing(Transport(self.admin_url)) as transport:
            response = transport.post(url, form)
        if response.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise _refusal(response)
        judge_status(response, self.admin_url)
        try:
            return msgspec.json.decode(response.content, type=_Grant)
        except UNREADABLE as error:
            raise Busy("Shopify's answer to the request for a token isn't what it should be.") from error


def _refusal(response: Received) -> Exception:
    """Read Shopify's HTML page. A 400 is tried again for a moment, whatever its cause: a new app needs one."""
    named = re.search("|".join(_REMEDIES), response.text)
    cause = _REMEDIES[named.group()] if named else "check the settings `client_id`, `client_secret` and `store`"
    sentence = f"No token for this app: {cause}{f' ({named.group()})' if named else ''}."
    return Busy(sentence) if response.status_code == HTTPStatus.BAD_REQUEST else RunError(sentence)
