"""Access tokens of a shop, in: requests for tokens and a clock; out: tokens that end, or the pages that refuse them.

Knows the client-credentials grant (https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/client-credentials-grant),
not what a token is used for.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BAD_TOKEN = "[API] Invalid API key or access token (unrecognized login or wrong password)"  # noqa: S105  # a message
LIFETIME_SECONDS = 86_399  # "expires_in" of a day's token, as Shopify answers it

APPLICATION_CANNOT_BE_FOUND = "application_cannot_be_found"
APP_NOT_INSTALLED = "app_not_installed"
SHOP_NOT_PERMITTED = "shop_not_permitted"
_REASONS = {
    APPLICATION_CANNOT_BE_FOUND: "The application could not be found.",
    APP_NOT_INSTALLED: "The app is not installed on this shop.",
    SHOP_NOT_PERMITTED: "Client credentials cannot be performed on this shop.",
}


class Tokens:
    """One permanent token of an app made in the admin, and those that the grant gives to a Dev Dashboard app."""

    def __init__(  # noqa: PLR0913  # an app's registration is that many facts
        self,
        permanent: str,
        clock: Callable[[], datetime],
        *,
        client_id: str,
        client_secret: str,
        lifetime_seconds: float,
        scopes: Sequence[str],
    ) -> None:
        self.permanent, self.lifetime_seconds = permanent, lifetime_seconds
        self._clock, self._client, self._scopes = clock, (client_id, client_secret), scopes
        self._ends: dict[str, datetime] = {}
        self._refusals: list[str] = []

    def refuse(self, reason: str, times: int = 1_000_000) -> None:
        """Refuse the coming requests for a token; a freshly created app is refused a few times only."""
        self._refusals = [reason] * times

    def revoke(self) -> None:
        """End all tokens that the grant gave."""
        self._ends.clear()

    def knows(self, token: str | None) -> bool:
        """Say whether a token is good now."""
        return token is not None and (token == self.permanent or self._ends.get(token, self._clock()) > self._clock())

    def blueprint(self) -> Blueprint:
        """Serve `POST /admin/oauth/access_token` and `GET /admin/oauth/access_scopes.json`."""
        blueprint = Blueprint("tokens", __name__, url_prefix="/admin/oauth")

        @blueprint.post("/access_token")
        def access_token() -> Response:
            asked: dict[str, Any] = request.get_json(silent=True) or request.form.to_dict()
            if self._refusals:
                return _error_page(self._refusals.pop())
            if asked.get("grant_type") != "client_credentials":
                return _error_page("unsupported_grant_type")
            if (asked.get("client_id"), asked.get("client_secret")) != self._client:
                return _error_page(APPLICATION_CANNOT_BE_FOUND)
            token = f"shpat_{secrets.token_hex(16)}"
            self._ends[token] = self._clock() + timedelta(seconds=self.lifetime_seconds)
            return jsonify(access_token=token, scope=",".join(self._scopes), expires_in=int(self.lifetime_seconds))

        @blueprint.get("/access_scopes.json")
        def access_scopes() -> tuple[Response, int]:
            if not self.knows(request.headers.get("X-Shopify-Access-Token")):
                return jsonify(errors=BAD_TOKEN), 401
            return jsonify(access_scopes=[{"handle": one} for one in self._scopes]), 200

        return blueprint


def _error_page(reason: str) -> Response:
    """Return what a browser would show: the grant answers in HTML (github.com/unopim/shopify-connector/issues/43)."""
    text = _REASONS.get(reason, "The request is invalid.")
    page = (
        f"<!DOCTYPE html><html><head><title>400 - Oauth error {reason}</title></head>"
        f"<body><h1>Oauth error {reason}</h1><p>{reason}: {text}</p></body></html>"
    )
    return Response(page, status=400, content_type="text/html; charset=utf-8")
