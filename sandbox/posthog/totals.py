"""The figures of what arrived, in: the database; out: counts, and money by currency.

Knows nothing of capture.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox.posthog.database import Database

# The property that holds an event's money.
REVENUE = {"Order Completed": "revenue", "Created Shopify Order": "transaction_amount"}
REFUNDS = {"Order Refunded": "total"}
PROPERTY = {**REVENUE, **REFUNDS}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class _Money(msgspec.Struct):
    """The properties in which an event has its money."""

    currency: Any = None
    revenue: Any = None
    total: Any = None
    transaction_amount: Any = None


_DECODER = msgspec.json.Decoder(_Money, float_hook=Decimal)


class Totals(msgspec.Struct):
    """What PostHog's insights would show: `events` and money count each copy of an event until they are merged.

    `unique` counts events as a merge would leave them, `copies` are those that it would take away. `received` counts
    every arrival, `repeats` those of events that had arrived before. `doubles` counts events that have the uuid of
    another one but differ in name, distinct id or day: no merge takes them away.
    """

    events: dict[str, int]
    unique: dict[str, int]
    persons: int
    groups: int
    revenue: dict[str, Decimal]
    refunds: dict[str, Decimal]
    oldest: str | None
    newest: str | None
    historical: int
    received: int
    repeats: int
    copies: int
    doubles: int
    warnings: dict[str, int]


class Amount(NamedTuple):
    """The money of one event; the currency is empty if none was sent."""

    day: date
    event: str
    currency: str
    amount: Decimal


def totals_of(database: Database, money: Iterable[Amount] | None = None) -> Totals:
    """Count what the database holds, copies too; times are UTC, to the second.

    `money` saves a look at each event if its `amounts` were read already.
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
    revenue, refunds = _sums(amounts(database) if money is None else money)
    return Totals(
        events=dict(counted),
        unique=unique,
        persons=database.ask("select count(*) from persons")[0][0],
        groups=database.ask("select count(*) from groups")[0][0],
        revenue=revenue,
        refunds=refunds,
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
    return None if microseconds is None else f"{_EPOCH + timedelta(microseconds=microseconds):%Y-%m-%dT%H:%M:%SZ}"


def amounts(database: Database) -> Iterator[Amount]:
    """Read the exact amount of each event that has revenue or a refund; what is no amount is left out."""
    sql = "select day, event, properties from events where event in (select value from json_each(?))"
    for day, event, text in database.ask(sql, [json.dumps(list(PROPERTY))]):
        properties = _DECODER.decode(text)
        amount = amount_in(getattr(properties, PROPERTY[event]))
        if amount is not None:
            yield Amount(date.fromisoformat(day), event, str(properties.currency or ""), amount)


def amount_in(value: Any) -> Decimal | None:  # noqa: ANN401  # any JSON
    """Read a number, or a text that is one; None if it isn't."""
    if not isinstance(value, (int, str, Decimal)) or isinstance(value, bool):
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _sums(money: Iterable[Amount]) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Sum revenue and refunds per currency."""
    revenue: dict[str, Decimal] = {}
    refunds: dict[str, Decimal] = {}
    for one in money:
        sums = refunds if one.event in REFUNDS else revenue
        sums[one.currency] = sums.get(one.currency, Decimal(0)) + one.amount
    return dict(sorted(revenue.items())), dict(sorted(refunds.items()))
