"""Judge of Shopify's HTTP responses: takes a response, returns the answer in it or raises what to do next.

    Exception
    +-- RunError       stop: the message is for the user (`errors.py`)
    |   +-- Denied     stop, or go on without the parts that the app may not see
    |   +-- Gone       stop following a link that leads nowhere
    |   |   +-- TooLarge    ask for a part of what is behind it
    |   +-- Refused    stop, or go another way
    +-- Busy           wait, and ask again
    |   +-- Throttled  wait for as long as Shopify says; in vain, ask for less
    |   +-- TooDear    ask again at once, for less
    +-- Unauthorized   get another token, or stop

It knows Shopify's statuses, errors and limits. It sends nothing and never waits: whether to ask again is decided in
`client.py`, by the class of the exception and by the seconds that Busy carries.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import msgspec

from tap_shopify_orders.decoding import UNREADABLE
from tap_shopify_orders.errors import RunError, in_environment, printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tap_shopify_orders.shopify.transport import Download, Received

COST_EXPONENT = 1.7  # pages shrink by more than the cost is too high, as cost grows slower than the page
LONGEST_WAIT_SECONDS = 300.0  # a bucket of points is full again within a minute; more is an error of something between
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?")
MOST_MESSAGES = 10  # of a list of errors; a thousand records can each have the same
LAST_DAY = date(9000, 1, 1)
FIRST_DAY = date(2026, 7, 1)  # of this API version's release candidate: no answer in it is older


class Denied(RunError):  # noqa: N818  # the class says what to do next
    """Parts of the answer are null because access is denied: `gaps` are response paths, each with Shopify's message."""

    def __init__(self, gaps: Collection[tuple[tuple[str, ...], str]]) -> None:
        """Keep the gaps; their paths have no places in lists."""
        self.gaps = tuple(gaps)
        super().__init__(_listed(message for _, message in self.gaps))


class Gone(RunError):  # noqa: N818  # the class says what to do next
    """What was behind a link isn't there, or not any more."""


class TooLarge(Gone):
    """What is behind a link is larger than any result may be."""


class Refused(RunError):  # noqa: N818  # the class says what to do next
    """Shopify won't do what was asked: to ask again is no use."""


class Busy(Exception):  # noqa: N818  # the class says what to do next: wait
    """Ask again after `seconds` (None: as the retry policy says), for a `share` of the page if that is below 1."""

    def __init__(self, message: str, *, seconds: float | None = None, share: float = 1.0) -> None:
        """Say what was in the way, in words that stand alone."""
        super().__init__(message)
        self.seconds = seconds
        self.share = share


class Throttled(Busy):
    """The bucket has too few points for now, and Shopify has said how many: to wait for them is part of every day.

    Where that was in vain, as others of the app take them, `holds` is the share of the page that passes at once.
    """

    def __init__(self, message: str, *, seconds: float, share: float, holds: float) -> None:
        """Say how long to wait, and for which share of the page, before and after that was in vain."""
        super().__init__(message, seconds=seconds, share=share)
        self.holds = holds


class TooDear(Busy):
    """A query of this size costs more than any may: ask for a share of it at once, and never again for all of it."""


class Unauthorized(Exception):  # noqa: N818  # becomes RunError, unless the token can be renewed
    """The token is not, or no longer, good."""


class _Error(msgspec.Struct):
    message: str = ""
    path: list[str | int] | None = None
    extensions: dict[str, Any] = {}


_Points = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]  # a bucket holds some thousands


class Throttle(msgspec.Struct, rename="camel"):
    """A store's bucket of points, shared by nobody but the app."""

    maximum_available: _Points
    currently_available: _Points
    restore_rate: _Points


class Cost(msgspec.Struct, rename="camel"):
    """What a query costs, in points: https://shopify.dev/docs/api/usage/limits."""

    requested_query_cost: _Points = 0.0
    actual_query_cost: _Points | None = None  # null when the query was refused
    throttle_status: Throttle | None = None


class _Extensions(msgspec.Struct):
    cost: Cost | None = None
    search: list[dict[str, Any]] = []


class _Body(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")
    errors: list[_Error] = []
    extensions: _Extensions | None = None


@dataclass(frozen=True)
class Answer:
    """A good answer: `data` is JSON still to be decoded, `at` is when Shopify gave it, by its own clock.

    `deprecated` names the deprecated fields that were asked for, if there are any; `is_our_clock` says that Shopify's
    was missing, or couldn't be right.
    """

    data: msgspec.Raw
    served_version: str
    at: datetime
    cost: Cost | None
    deprecated: str
    is_our_clock: bool = False


_body = msgspec.json.Decoder(_Body)


def judge(response: Received, root: str, *, version: str, any_version: bool) -> Answer:
    """Return the answer that a response is; raises RunError or Busy for anything else, Unauthorized for a bad token."""
    judge_status(response, root)
    try:
        body = _body.decode(response.content)
    except UNREADABLE as error:  # an HTML page with status 200, or half a body
        raise Busy(f"Shopify's answer isn't the JSON that it should be{_request(response)}.", share=0.5) from error
    served = response.headers.get("X-Shopify-API-Version", version)
    if served != version and not any_version:
        raise RunError(
            f"Shopify served API version {printable(served)} instead of {version}, which it may have retired: update "
            "the tap, or add `api_version` to `accept` to go on with what was served."
        )
    cost = body.extensions.cost if body.extensions else None
    if body.errors:
        raise _failure(body.errors, cost, response)
    for search in body.extensions.search if body.extensions else ():
        if search.get("warnings"):
            ignored, why = printable(repr(search.get("query"))), printable(search["warnings"])
            raise RunError(f"Shopify ignored a part of the search {ignored}: {why}.")
    deprecated = printable(response.headers.get("X-Shopify-API-Deprecated-Reason", ""))
    at = clock(response.headers)
    return Answer(
        body.data, printable(served), at or datetime.now(timezone.utc), cost, deprecated, is_our_clock=at is None
    )


def host_of(url: str) -> str:
    """Return the host of an address as it may be printed: without user and password."""
    try:
        place = urlsplit(url)
        port = f":{place.port}" if place.port else ""
    except ValueError:
        return "an address that isn't one"
    return printable(f"{place.hostname or ''}{port}")


def judge_status(response: Received, root: str) -> None:
    """Let a 200 pass; raises RunError or Busy for any other status, with the remedy.

    The statuses: https://shopify.dev/docs/api/usage/response-codes.
    """
    status, host = response.status_code, host_of(root)
    if status == HTTPStatus.OK:
        return
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Busy("Shopify asks to slow down (429).", seconds=_retry_after(response))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Busy(f"Shopify has a problem of its own ({status}){_request(response)}.", share=0.5)
    if status == HTTPStatus.UNAUTHORIZED:
        raise Unauthorized(
            f"{host} doesn't know the token: check the setting `access_token` ({in_environment('access_token')}), or"
            " `client_id` and `client_secret`, and that it belongs to the `store`."
        )
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        target = host_of(response.headers.get("Location", "")) or "another address"
        raise RunError(f"{host} now lives at {target}: set `store` to that name. No token was sent there.")
    kind = Refused if status == HTTPStatus.FORBIDDEN else RunError
    raise kind(_REFUSALS.get(status, f"{{host}} answered with status {status}").format(host=host) + _request(response))


def judge_link(response: Received | Download) -> bool:
    """Say whether a result comes from where it was asked from (else from its beginning); raises Gone or Busy.

    A link is good for seven days: https://shopify.dev/docs/api/usage/bulk-operations/queries#download-result-data
    """
    status = response.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Busy(f"The result of a bulk operation can't be had yet ({status}).", seconds=_retry_after(response))
    if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise Gone(f"left a result that isn't there any more (status {status})")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Gone("left a result that comes packed, although it was asked for as it is")
    return status == HTTPStatus.PARTIAL_CONTENT


_REFUSALS = {
    402: "{host} is frozen until its bill is paid: nothing can be read",
    403: "{host} forbids this app to read: install it again with the scopes that the tap needs",
    404: "{host} has no Admin API here: check the settings `store` and `admin_url`",
    423: "{host} is locked by Shopify: ask Shopify's support",
}


def _failure(errors: Iterable[_Error], cost: Cost | None, response: Received) -> Exception:
    """Return the exception for GraphQL errors, whether or not there is data beside them."""
    by_code: dict[str, _Error] = {}
    for error in errors:
        by_code.setdefault(str(error.extensions.get("code", "")), error)
    if "THROTTLED" in by_code:
        return throttled(cost)
    if too_much := by_code.get("MAX_COST_EXCEEDED"):
        asked, most = too_much.extensions.get("cost"), too_much.extensions.get("maxCost")
        known = isinstance(asked, (int, float)) and isinstance(most, (int, float)) and 0 < most < asked
        share = (most / asked) ** COST_EXPONENT if known else 0.5  # type: ignore[operator]  # numbers, as known
        return TooDear("The query costs too much.", seconds=0.0, share=min(0.9, share))
    if "INTERNAL_SERVER_ERROR" in by_code or "TIMEOUT" in by_code:
        return Busy(f"Shopify has a problem of its own{_request(response)}.", share=0.5)
    if "ACCESS_DENIED" in by_code:
        denied = [error for error in errors if error.extensions.get("code") == "ACCESS_DENIED"]
        return Denied(
            {(tuple(step for step in error.path or () if isinstance(step, str)), error.message) for error in denied}
        )
    messages = _listed(error.message or "it doesn't say why" for error in errors)
    return Refused(f"Shopify refused the query: {messages}{_request(response)}")


def _listed(messages: Iterable[str]) -> str:
    """Return different messages as the part of a sentence; of many the first ones."""
    return "; ".join(islice(dict.fromkeys(map(printable, messages)), MOST_MESSAGES))


def throttled(cost: Cost | None) -> Busy:
    """Return how long the bucket needs to hold what the query asks for; a smaller page if it never will."""
    throttle = cost.throttle_status if cost else None
    if not cost or not throttle or throttle.restore_rate <= 0:
        return Busy("Shopify throttles.")
    share = min(1.0, throttle.maximum_available / max(cost.requested_query_cost, 1.0))
    points = min(cost.requested_query_cost, throttle.maximum_available) - throttle.currently_available
    seconds = min(max(0.1, points / throttle.restore_rate), LONGEST_WAIT_SECONDS)
    holds = min(1.0, max(0.0, throttle.currently_available) / max(cost.requested_query_cost, 1.0)) ** COST_EXPONENT
    return Throttled("Shopify throttles.", seconds=seconds, share=share, holds=holds)


def _retry_after(response: Received | Download) -> float | None:
    """Return how long Shopify asks to wait, in seconds; None for what isn't a number of them, such as a date."""
    seconds = response.headers.get("Retry-After", "")
    return min(float(seconds), LONGEST_WAIT_SECONDS) if _SECONDS.fullmatch(seconds) else None


def clock(headers: Mapping[str, str]) -> datetime | None:
    """Return when an answer was given, by Shopify's clock; None if that is missing, or can't be right."""
    try:
        at = parsedate_to_datetime(headers["Date"]).astimezone(timezone.utc)
    except (KeyError, OverflowError, TypeError, ValueError):
        return None
    return at if FIRST_DAY <= at.date() <= LAST_DAY else None


def _request(response: Received) -> str:
    number = printable(response.headers.get("X-Request-Id", ""))
    return f" (request {number})" if number else ""
