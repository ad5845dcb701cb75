"""The figures of what arrived, in: the database; out: counts, and money by currency.

Knows nothing of capture.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from sandbox.posthog.database import EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox.posthog.database import Database


class _Money(msgspec.Struct):
    """The properties in which an event has its money: those of Shopify's ledger, or another mapping's."""

    currency: Any = None
    net_sales: Any = None
    total_sales: Any = None
    revenue: Any = None
    transaction_amount: Any = None


_DECODER = msgspec.json.Decoder(_Money, float_hook=Decimal)


class Totals(msgspec.Struct):
    """What PostHog's insights would show: `events` and money count each copy of an event until they are merged.

    `placed` is the net sales of orders as they were placed (or what another mapping has in their place), `net_sales`
    that of all events. `unique` counts events as a merge would leave them, `copies` are those that it would take away.
    `received` counts every arrival, `repeats` those of events that had arrived before. `doubles` counts events that
    have the uuid of another one but differ in name, distinct id or day: no merge takes them away.
    """

    events: dict[str, int]
    unique: dict[str, int]
    persons: int
    groups: int
    placed: dict[str, Decimal]
    net_sales: dict[str, Decimal]
    total_sales: dict[str, Decimal]
    oldest: str | None
    newest: str | None
    historical: int
    received: int
    repeats: int
    copies: int
    doubles: int
    warnings: dict[str, int]


class Sale(NamedTuple):
    """The money of one event, signed; the currency is empty if none was sent, and `is_order` marks a new order."""

    at_microseconds: int
    currency: str
    net: Decimal | None
    total: Decimal | None
    is_order: bool


def totals_of(database: Database, sales: Iterable[Sale] | None = None) -> Totals:
    """Count what the database holds, copies too; times are UTC, to the second.

    `sales` saves a look at each event if they were read already.
    """
    counted = database.ask("select event, count(*) from events group by event order by event")
    ((rows, historical, oldest, newest),) = database.ask(
        "select count(*), coalesce(sum(historical), 0), min(at_microseconds), max(at_microseconds) from events"
    )
    ((merged_away,),) = database.ask("select count(*) from merged_away")
    # Alone, these are answered by an index.
    unique = dict(
        database.ask(
            "select event, count(*) from (select distinct uuid, event, distinct_id, day from events) group by event"
        )
    )
    keys = sum(unique.values())
    ((uuids,),) = database.ask("select count(distinct uuid) from events")
    found = list(sales_of(database) if sales is None else sales)
    return Totals(
        events=dict(counted),
        unique=unique,
        persons=database.ask("select count(*) from persons")[0][0],
        groups=database.ask("select count(*) from groups")[0][0],
        net_sales=_sums((one.currency, one.net) for one in found),
        total_sales=_sums((one.currency, one.total) for one in found),
        placed=_sums((one.currency, one.net if one.net is not None else one.total) for one in found if one.is_order),
        oldest=_moment(oldest),
        newest=_moment(newest),
        historical=historical,
        received=rows + merged_away,
        repeats=rows + merged_away - keys,
        copies=rows - keys,
        doubles=keys - uuids,
        warnings=Counter(one.type for one in database.warnings()),
    )


def _moment(microseconds: int | None) -> str | None:
    return None if microseconds is None else f"{EPOCH + timedelta(microseconds=microseconds):%Y-%m-%dT%H:%M:%SZ}"


def sales_of(database: Database) -> Iterator[Sale]:
    """Read the exact money of each event that has some; what is no amount is left out.

    Whatever an event is called, it is known by its properties: net and total sales as Shopify's report has them, else
    `revenue`, which is net, or the older connector's `transaction_amount`, a total. The last two mark a new order.
    """
    for at, text in database.ask("select at_microseconds, properties from events"):
        properties = _DECODER.decode(text)
        revenue, amount = amount_in(properties.revenue), amount_in(properties.transaction_amount)
        net, total = amount_in(properties.net_sales), amount_in(properties.total_sales)
        is_order = revenue is not None or amount is not None
        net, total = revenue if net is None else net, amount if total is None else total
        if net is not None or total is not None:
            yield Sale(at, str(properties.currency or ""), net, total, is_order)


def amount_in(value: Any) -> Decimal | None:  # noqa: ANN401  # any JSON
    """Read a number, or a text that is one; None if it isn't."""
    if not isinstance(value, (int, str, Decimal)) or isinstance(value, bool):
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _sums(amounts: Iterable[tuple[str, Decimal | None]]) -> dict[str, Decimal]:
    """Sum amounts per currency."""
    found: dict[str, Decimal] = {}
    for currency, amount in amounts:
        if amount is not None:
            found[currency] = found.get(currency, Decimal(0)) + amount
    return dict(sorted(found.items()))
