"""Values become words, in: decimals, times, JSON; out: text as the page shows it.

Pure: knows no HTML.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date, tzinfo

# ISO 4217, where a currency has other than two decimals.
NO_DECIMALS = (
    *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"),
    *("PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"),
)
THREE_DECIMALS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
DECIMALS = dict.fromkeys(NO_DECIMALS, 0) | dict.fromkeys(THREE_DECIMALS, 3)
MINUS = "\N{MINUS SIGN}"


def money(amount: Decimal, currency: str) -> str:
    """Write an amount with its currency, to the decimals that the currency has or the amount needs."""
    exponent = amount.normalize().as_tuple().exponent
    own = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    text = f"{abs(amount):,.{max(own, DECIMALS.get(currency, 2))}f}"
    return f"{MINUS if amount < 0 else ''}{text} {currency or 'without currency'}"


def count(number: int) -> str:
    """Write a number with thousands apart."""
    return f"{number:,}"


def day(one: date) -> str:
    """Write a day, such as `4 May 2025`."""
    return f"{one.day} {one:%b %Y}"


def moment(time: datetime | str, zone: tzinfo) -> str:
    """Write a time in a time zone to the second, or finer where it is finer; a text is a time in ISO 8601."""
    at = datetime.fromisoformat(time.replace("Z", "+00:00")) if isinstance(time, str) else time
    return at.astimezone(zone).replace(tzinfo=None).isoformat(sep=" ")


def plain(value: Any) -> str:  # noqa: ANN401  # any JSON that is no list or object
    """Write a JSON value as it was sent, texts without quotes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def is_table(value: Any) -> bool:  # noqa: ANN401  # any JSON
    """Say whether a list can be read as a table: objects that hold plain values."""
    rows = value if isinstance(value, list) else []
    flat = (isinstance(row, dict) and not any(isinstance(one, (dict, list)) for one in row.values()) for row in rows)
    return bool(rows) and all(flat)


def is_amount(value: Any) -> bool:  # noqa: ANN401  # any JSON
    """Say whether a value is a number, which stands at the right of its column."""
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
