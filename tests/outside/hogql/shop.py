"""Events of a small shop for the tests here, and what they come to, counted in Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from target_posthog.books.arrived import Key, Sum
from target_posthog.books.entries import Properties
from tests.outside.hogql.table import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

# Names as nobody should choose them, and anybody may.
REFUND = "Order 'Refunded' \\ 100 % {now()} --"
PROPERTIES = {
    "Order Completed": Properties(("revenue", "shipping"), "currency", "order_name", "affiliation"),
    REFUND: Properties(("total `refund's` \\ 5 %",), "cur rency", "order_name"),
}
FIRST, LAST = "2026-10-21", "2026-11-08"
# Over the change of the clocks in Europe (October 25) and in America (November 1), and over the end of a month.
START = datetime(2026, 10, 20, 3, 30, tzinfo=timezone.utc)
AMOUNTS: list[Any] = [0.1, "0.20", 29.3, "1234567.89", 0, None, "a lot", "-0.07", 12.3456, 7]


def orders(number: int = 200) -> list[Event]:
    """Return orders and refunds, some at one moment, some with money that is none."""
    return [_order(at) for at in range(number)]


def _order(at: int) -> Event:
    name = REFUND if at % 7 == 3 else "Order Completed"
    names = PROPERTIES[name]
    moment = START + timedelta(hours=2, minutes=41, microseconds=17) * (at // 2 * 2)  # two at each moment
    properties = {
        names.currency: ("USD", "EUR", "Kč \"'\\")[at % 3],
        **{figure: AMOUNTS[(at + shift) % len(AMOUNTS)] for shift, figure in enumerate(names.figures)},
        "affiliation": ("one.example", "two.example")[at % 2],
        names.name: f"#{1000 + at}",
        "order_id": str(5000 + at),
        "note": "'; select \\ \u2028 é",
    }
    if at % 11 == 0:
        del properties[names.currency], properties[names.figures[0]], properties["affiliation"]
    return Event(uuid5(NAMESPACE_URL, str(at)), name, f"buyer-{at % 23}@x.io", moment, properties)


def changed(event: Event) -> Event:
    """Return the event as it might be sent again: the same to PostHog, with another amount."""
    names = PROPERTIES[event.event]
    return event._replace(properties=event.properties | {names.figures[0]: 5, names.currency: "GBP"})


def merged(batches: Iterable[Sequence[Event]]) -> list[Event]:
    """Return what is left of some batches, one after another, once all copies are merged: the last of each."""
    return list({event.key: event for batch in batches for event in batch}.values())


def truth(batches: Sequence[Sequence[Event]], zone: ZoneInfo, *, is_merged: bool) -> dict[Key, Sum]:
    """Count what PostHog has per day, event, currency and shop, and its copies."""
    rows: dict[tuple[Any, ...], int] = defaultdict(int)
    for batch in batches:
        for event in batch:
            rows[event.key] += 1
    found: dict[Key, Sum] = {}
    for event in merged(batches):
        names = PROPERTIES[event.event]
        day = event.timestamp.astimezone(zone).date().isoformat()
        if not FIRST <= day <= LAST:
            continue
        shop = event.properties.get(names.shop, "") if names.shop else ""
        key = Key(day, event.event, event.properties.get(names.currency) or "", shop)
        known = found.get(key, Sum(0, dict.fromkeys(names.figures, Decimal()), 0))
        figures = {
            figure: (amount + money(event.properties.get(figure))).normalize() + 0
            for figure, amount in known.figures.items()
        }
        found[key] = Sum(known.number + 1, figures, known.copies + (0 if is_merged else rows[event.key] - 1))
    return found


def money(value: Any) -> Decimal:
    try:
        return Decimal() if value is None else Decimal(str(value)).normalize() + 0
    except InvalidOperation:
        return Decimal()
