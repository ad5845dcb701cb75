"""Form of the state: takes what a file or Meltano gives, returns the same, or says what this tap can't have written.

Pure. It knows what a bookmark is made of; `bookmark.py` knows what follows from it.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from tap_shopify_orders.errors import RunError
from tap_shopify_orders.moments import EARLIEST, as_datetime, utc
from tap_shopify_orders.records import schema

if TYPE_CHECKING:
    from datetime import datetime

CLOCKS_DIFFER = timedelta(days=1)  # by far less; a bookmark is a change in the shop, and never later than its clock
REMEDY = (
    "Mend the state, or begin without one (no `--state`; with Meltano, `meltano state clear`): what is read again"
    " counts once."
)
T = TypeVar("T")


class _Moment:
    """A time, as a text."""


_Number = Annotated[str, msgspec.Meta(pattern=r"^\d{1,20}$")]
_Day = date | None


class _Context(msgspec.Struct):
    shop_id: int


class _Task(msgspec.Struct):
    """What is left of a `Task` of `by_bulk.py`; `since` is null in the first window of all."""

    since: _Moment | None
    until: _Moment
    operation: Annotated[str, msgspec.Meta(pattern=r"^(gid://shopify/BulkOperation/\d+)?$")]
    asks: str


class _Bookmark(msgspec.Struct, kw_only=True):
    """What the tap and the SDK look for in a bookmark; anything else may stand beside it."""

    replication_key: Annotated[str, msgspec.Meta(pattern=f"^{schema.BOOKMARK}$")] = schema.BOOKMARK
    replication_key_value: _Moment | msgspec.UnsetType = msgspec.UNSET
    began: _Moment | msgspec.UnsetType = msgspec.UNSET
    since: _Moment | msgspec.UnsetType | None = msgspec.UNSET
    read_until: _Moment | msgspec.UnsetType = msgspec.UNSET
    deletions_since: _Moment | msgspec.UnsetType = msgspec.UNSET
    known: dict[str, str] = {}
    bulk: list[_Task] = []
    held: dict[_Number, int] = {}
    waiting: dict[_Number, tuple[int, str]] = {}
    as_is: dict[_Number, str] = {}
    progress_markers: dict[str, Any] = {}


class _OfAShop(_Bookmark, kw_only=True):
    context: _Context


class _OfAStream(_Bookmark, kw_only=True):
    partitions: list[_OfAShop] = []


class _OfDays(msgspec.Struct, kw_only=True):
    replication_key: Annotated[str, msgspec.Meta(pattern="^day$")] = "day"
    replication_key_value: _Day = None
    days: dict[str, str] = {}
    read_on: _Day = None


class _DaysOfAShop(_OfDays, kw_only=True):
    context: _Context


class _DaysOfAStream(_OfDays, kw_only=True):
    partitions: list[_DaysOfAShop] = []


_FORMS: dict[str, type[_OfAStream | _DaysOfAStream]] = {
    "customers": _OfAStream,
    "orders": _OfAStream,
    "sales_by_day": _DaysOfAStream,
}
STREAM_NAMES = tuple(_FORMS)


class _State(msgspec.Struct):
    bookmarks: dict[str, Any]


def checked(state: object) -> dict[str, Any]:
    """Return a state as it is; raises RunError with what is wrong, the stream and the remedy.

    Streams that the tap doesn't have are left as they are, if there is one that it has.
    """
    if state == {}:
        return {}
    bookmarks = _of_form(state, _State, "The state").bookmarks
    if bookmarks and not bookmarks.keys() & {*STREAM_NAMES}:
        raise RunError(f"The state is another tap's: it has no bookmark of {' or '.join(STREAM_NAMES)}. {REMEDY}")
    for stream in bookmarks.keys() & {*STREAM_NAMES}:
        where = f"The state's bookmark of {stream}"
        found: _OfAStream | _DaysOfAStream = _of_form(bookmarks[stream], _FORMS[stream], where)
        shops = [bookmark.context.shop_id for bookmark in found.partitions]
        if len({*shops}) < len(shops):
            raise RunError(f"{where} names a shop twice. {REMEDY}")
    return {"bookmarks": bookmarks}


def check_reached(stream: str, bookmark: datetime | None, at: datetime) -> None:
    """Raise RunError for a bookmark in the future of the shop: from there nothing would be read, ever again."""
    if bookmark and bookmark > at + CLOCKS_DIFFER:
        raise RunError(
            f"The state's bookmark of {stream} is {utc(bookmark)}, but in the shop it is {utc(at)}. {REMEDY}"
        )


def _of_form(value: object, form: type[T], where: str) -> T:
    try:
        return msgspec.convert(value, form, dec_hook=_moment)
    except msgspec.ValidationError as error:
        raise RunError(f"{where} isn't as this tap writes it: {error}. {REMEDY}") from None


def _moment(_: type, value: object) -> _Moment:
    try:
        right = isinstance(value, str) and as_datetime(value) >= EARLIEST
    except ValueError:
        right = False
    if not right:
        raise ValueError(f"Expected a time such as 2026-01-01T12:00:00Z, not before {EARLIEST:%Y}")
    return _Moment()
