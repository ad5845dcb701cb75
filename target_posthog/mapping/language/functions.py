"""Functions that expressions can call beyond JMESPath's own.

Pure: take values of a record, return a value of an event. Null in gives null out, so that a missing fact stays missing.
A `ValueError` says what an argument should have been, never what it was.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs, urlsplit, urlunsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import tzinfo

JSON: TypeAlias = Any  # a value of any kind that JSON has
# Currencies whose minor unit is no hundredth: without any, as PostHog lists them
# (https://posthog.com/docs/revenue-analytics/capture-revenue-events), and with thousandths, ISO 4217 list one.
DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"), 0),
    **dict.fromkeys(("PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
HUNDREDTHS = 2
RECENT = 4_096  # prices recur; to remember this many costs a quarter of a megabyte
LARGEST_WHOLE_NUMBER = 2**53  # above it JSON readers may round (RFC 8259, section 6)
SECONDS_PER_HOUR = 3600
NOTHING = Decimal()
QUOTIENT_DECIMALS = 6  # a quotient may have no end
MOST_DIGITS = 1_000  # of an amount; float ends at 309, and decimal arithmetic raises somewhere beyond
UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
UNIX_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)  # of a second
LATEST_UNIX_SECONDS = 100_000_000_000  # in the year 5138; as milliseconds they are in 1973
EARLIEST_UNIX_SECONDS = -6_000_000_000  # in the year 1779; as milliseconds they are in October 1969
OF_NO_YEAR = "needs a time of the years 1 to 9999"
DAY = timedelta(days=1)
UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d)?(?:[.,](\d+))?(?: ?(?:[Zz]|UTC|GMT|([+-]\d\d):?(\d\d)?))?)?",
)


def number(value: JSON) -> int | float | str | None:
    """Return an amount such as `"29.33"` as a JSON number that reads the same; an empty text counts as null."""
    if value is None or value == "":
        return None
    return _number_of(value) if isinstance(value, str) else as_number(as_decimal(value))


def total(values: JSON) -> int | float | str | None:
    """Return the exact sum of a list of amounts; nulls in it count nothing."""
    if values is None:
        return None
    if not isinstance(values, list):
        raise ValueError("needs a list")  # noqa: TRY004  # every wrong argument is a ValueError here
    amounts = [value for value in values if value is not None]
    if len(amounts) < 2:  # noqa: PLR2004  # most lists are so short, and amounts recur
        return plus(amounts[0], 0) if amounts else 0
    return as_number(sum([as_decimal(value) for value in amounts], NOTHING))


def _exact(calculate: Callable[[JSON, JSON], JSON]) -> Callable[[JSON, JSON], JSON]:
    """Return a function of two amounts that gives null for null, remembers recent results, and refuses what is none."""
    calculated = lru_cache(maxsize=RECENT, typed=True)(calculate)

    @wraps(calculate)
    def function(left: JSON, right: JSON) -> JSON:
        if left is None or right is None:
            return None
        try:
            return calculated(left, right)
        except TypeError:  # a list or an object
            raise ValueError("needs a number") from None

    return function


@_exact
def minus(left: JSON, right: JSON) -> int | float | str | None:
    """Return the exact difference of two amounts."""
    return as_number(as_decimal(left) - as_decimal(right))


@_exact
def plus(left: JSON, right: JSON) -> int | float | str | None:
    """Return the exact sum of two amounts."""
    return as_number(as_decimal(left) + as_decimal(right))


@_exact
def divide(left: JSON, right: JSON) -> int | float | str | None:
    """Return the quotient of two amounts, to the sixth decimal; null where there is nothing to divide by."""
    by = as_decimal(right)
    if not by:
        return None
    quotient = as_decimal(left) / by
    return as_number(round(quotient, QUOTIENT_DECIMALS) if abs(quotient) < LARGEST_WHOLE_NUMBER else quotient)


def from_minor_units(value: JSON, currency: JSON) -> int | float | str | None:
    """Return an amount that is counted in cents (or what the currency has) in the currency's own unit."""
    return None if value is None else as_number(as_decimal(value).scaleb(-_digits(currency)))


def to_minor_units(value: JSON, currency: JSON) -> int | float | str | None:
    """Return an amount in cents (or what the currency has), as PostHog's revenue analytics can be set to expect it."""
    return None if value is None else as_number(as_decimal(value).scaleb(_digits(currency)))


def find(items: JSON, field: JSON, value: JSON) -> JSON:
    """Return the first object of a list whose field has that value, such as a refund by its `id`; null if none has."""
    if value is None:
        return None
    name = _text(field)
    return next((item for item in _objects(items) if item.get(name) == value), None)


def first_per(items: JSON, field: JSON) -> list[JSON] | None:
    """Return the objects of a list that are the first with their value of a field; those without one aren't."""
    return None if items is None else [item for item, is_first in _marked(items, field) if is_first]


def rest_per(items: JSON, field: JSON) -> list[JSON] | None:
    """Return the objects of a list that `first_per` leaves."""
    return None if items is None else [item for item, is_first in _marked(items, field) if not is_first]


def lower(value: JSON) -> str | None:
    """Return a text in lower case."""
    return None if value is None else _text(value).lower()


def upper(value: JSON) -> str | None:
    """Return a text in upper case."""
    return None if value is None else _text(value).upper()


def trim(value: JSON) -> str | None:
    """Return a text without the blanks around it; null if nothing is left."""
    return None if value is None else _text(value).strip() or None


def concat(*values: JSON) -> str | None:
    """Return texts and numbers joined; null if one of them is null."""
    return None if None in values else "".join([_text(value) for value in values])


def after_last(value: JSON, separator: JSON) -> str | None:
    """Return what stands after the last separator in a text: 7 of `gid://shopify/Order/7` with `/`."""
    return None if value is None else _text(value).rpartition(_text(separator))[2] or None


def sha256(value: JSON) -> str | None:
    """Return the SHA-256 of a text, or of another value's canonical JSON, in hexadecimal."""
    if value is None:
        return None
    return hashlib.sha256(value.encode() if isinstance(value, str) else canonical(value)).hexdigest()


def uuid(value: JSON) -> str | None:
    """Return a text if it is a UUID, else null."""
    return value if isinstance(value, str) and UUID.fullmatch(value) else None


def from_unix(value: JSON) -> str | None:
    """Return a number of seconds since 1970 as a time; also one of milli-, micro- or nanoseconds, told by its size."""
    if value is None or value == "":
        return None
    number = as_decimal(value)
    limit = LATEST_UNIX_SECONDS if number >= 0 else -EARLIEST_UNIX_SECONDS
    for unit in UNIX_UNITS:
        if abs(number) < limit * unit:
            return as_timestamp(UNIX_EPOCH + timedelta(microseconds=int(number * 1_000_000 / unit)))
    raise ValueError("needs a number of seconds, milliseconds, microseconds or nanoseconds since 1970")


def from_format(value: JSON, pattern: JSON) -> str | None:
    """Return a time that is written as a pattern says, such as `'%m/%d/%Y %H:%M'`; UTC where it names no zone.

    The codes are Python's: https://docs.python.org/3/library/datetime.html#format-codes.
    """
    if value is None or value == "":
        return None
    try:
        time = datetime.strptime(_text(value).strip(), _text(pattern))  # noqa: DTZ007  # a zone, if any, is in the text
    except (ValueError, re.error):  # what Python 3.11 raises for a pattern that has a code twice
        raise ValueError("needs a time that is written as its pattern says, with each code once") from None
    return as_timestamp(time if time.tzinfo else time.replace(tzinfo=timezone.utc))


def hours_between(start: JSON, end: JSON) -> int | float | str | None:
    """Return how many hours lie between two times, to the hundredth."""
    if start is None or end is None:
        return None
    seconds = Decimal((as_datetime(end) - as_datetime(start)).total_seconds())
    return as_number(round(seconds / SECONDS_PER_HOUR, 2))


def days_between(start: JSON, end: JSON) -> int | None:
    """Return how many whole days, of 24 hours, lie between two times."""
    return None if start is None or end is None else int((as_datetime(end) - as_datetime(start)) / DAY)


def url_parameter(url: JSON, name: JSON) -> str | None:
    """Return a parameter of an address's query, such as `utm_source`; null if it has none."""
    if url is None:
        return None
    try:
        found = parse_qs(urlsplit(_text(url)).query).get(_text(name))
    except ValueError:  # an address that a visitor garbled
        return None
    return found[0] if found else None


def url_page(url: JSON) -> str | None:
    """Return an address without its query and login, which may say who came; null if it is no page's."""
    if url is None:
        return None
    try:
        scheme, place, path, *_ = urlsplit(_text(url))
    except ValueError:  # an address that a visitor garbled
        return None
    if scheme and not place:  # mailto:
        return None
    return urlunsplit((scheme, place.rpartition("@")[2], path, "", "")) or None


FUNCTIONS: dict[str, Callable[..., JSON]] = {
    function.__name__: function
    for function in (
        *(number, total, plus, minus, divide, from_minor_units, to_minor_units),
        *(find, first_per, rest_per),
        *(lower, upper, trim, concat, after_last, sha256, uuid),
        *(from_unix, from_format, hours_between, days_between, url_parameter, url_page),
    )
}


def canonical(value: JSON) -> bytes:
    """Return the one JSON text of a value: keys sorted, no blanks, 5 and 5.0 alike."""
    return msgspec.json.encode(_whole(value), order="sorted")


def as_decimal(value: JSON) -> Decimal:
    """Return an amount exactly; raises ValueError for what is no finite number."""
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            exact = Decimal(repr(value) if isinstance(value, float) else value)
        except InvalidOperation:
            raise ValueError("needs a number") from None
        if exact.is_finite() and abs(exact.adjusted()) < MOST_DIGITS:
            return exact
    raise ValueError("needs a number")


def as_number(value: Decimal) -> int | float | str:
    """Return the JSON number that reads as the decimal does; one too long for a JSON number stays text."""
    if value == value.to_integral_value() and abs(value) < LARGEST_WHOLE_NUMBER:
        return int(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else str(value)


def as_datetime(value: JSON) -> datetime:
    """Return an ISO 8601 time with its zone, UTC where it names none; raises ValueError for anything else."""
    time = (_plain_time_of(value) or _datetime_of(value)) if isinstance(value, str) else None
    if time is None:
        raise ValueError(
            "needs a time such as 2026-11-01T12:00:00Z (from_unix() makes one of a number, from_format() of others)"
        )
    return time


def normal_time(value: JSON) -> str:
    """Return an ISO 8601 time as `as_timestamp` writes it; raises ValueError for anything else."""
    return value if isinstance(value, str) and _plain_time_of(value) else as_timestamp(as_datetime(value))


def as_timestamp(value: datetime) -> str:
    """Return a time as RFC 3339 in UTC, with decimals of a second only where there are some.

    Raises ValueError where that is before the year 1, or after 9999.
    """
    try:
        utc = value.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError(OF_NO_YEAR) from None
    return utc.isoformat().replace("+00:00", "Z")


@lru_cache(maxsize=RECENT)  # a record's events have few times
def day_of(moment: str, zone: tzinfo) -> str:
    """Return the day of an ISO 8601 time in a zone, as `2026-11-01`; that of UTC where the zone's has no year.

    Raises ValueError for what is no time.
    """
    time = as_datetime(moment)
    try:
        return time.astimezone(zone).date().isoformat()
    except OverflowError:
        return as_timestamp(time)[: len("2026-11-01")]


@lru_cache(maxsize=RECENT)
def _number_of(text: str) -> int | float | str:
    return as_number(as_decimal(text))


def _objects(items: JSON) -> list[dict[str, JSON]]:
    if items is None:
        return []
    if not isinstance(items, list):
        raise ValueError("needs a list")  # noqa: TRY004  # the same
    return [item for item in items if isinstance(item, dict)]


def _marked(items: JSON, field: JSON) -> Iterator[tuple[dict[str, JSON], bool]]:
    """Yield the objects of a list, each with whether it is the first with its value of a field."""
    known: list[JSON] = [None]
    name = _text(field)
    for item in _objects(items):
        value = item.get(name)
        yield item, value not in known
        known.append(value)


def _plain_time_of(text: str) -> datetime | None:
    """Return the time of a text that is as `as_timestamp` writes it, as most are; None for all others."""
    try:
        time = datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return None
    return time.replace(tzinfo=timezone.utc) if time.isoformat() + "Z" == text else None


def _datetime_of(text: str) -> datetime | None:
    parts = TIME.fullmatch(text.strip())
    if not parts:
        return None
    day, minute, second, fraction, zone_hours, zone_minutes = parts.groups()
    zone = f"{zone_hours}:{zone_minutes or '00'}" if zone_hours else "+00:00"
    try:
        return datetime.fromisoformat(f"{day}T{minute or '00:00'}{second or ':00'}.{(fraction or '')[:6]:0<6}{zone}")
    except ValueError:  # such as a 30th of February
        return None


def _digits(currency: JSON) -> int:
    return DIGITS.get(str(currency).upper(), HUNDREDTHS)


def _text(value: JSON) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return str(as_number(as_decimal(value)))
    raise ValueError("needs a text")


def _whole(value: JSON) -> JSON:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(entry) for key, entry in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value
