"""Events that PostHog has, asked for in its SQL: sums per day, and single events.

Takes the names of events and the properties with their money; returns exact sums. How a question travels is
`posthog/query_api.py`'s to know.

"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from target_posthog.posthog.query_api import QueryApi

EPOCH = date(1970, 1, 1)
# Money is summed in whole ten-thousandths: PostHog would add floating-point numbers, and no currency has more decimals
# (ISO 4217).
TEN_THOUSANDTHS = Decimal("0.0001")
# One row per event as PostHog counts it: ClickHouse may show copies of one that it has not merged yet (by day, event,
# distinct id and uuid: posthog/models/event/sql.py). Days are those of UTC, whatever zone the project has. Nothing is
# named as a column of which it is made: ClickHouse would put the one in place of the other.
EVENTS = """
select toString(uuid) as id, event, distinct_id, intDiv(toUnixTimestamp(timestamp), 86400) as day,
  any({currency}) as currency, any({name}) as name, any({amount}) as money
from events
where event in ({names})
  and timestamp >= toDateTime('{first}T00:00:00Z') and timestamp < toDateTime('{end}T00:00:00Z'){after}
group by id, event, distinct_id, day"""
SUMS = """
select day, event, currency, count() as number, sum(money) as total
from ({events}
)
group by day, event, currency
order by day, event, currency"""
ORDERED = "\norder by id, distinct_id, day"
AFTER = "\n  and toString(uuid) > '{}'"


class Figure(NamedTuple):
    """How many, and what they come to."""

    number: int = 0
    amount: Decimal = Decimal()


class Arrived(NamedTuple):
    """One event that PostHog has; `name` is the name of its record there."""

    uuid: str
    event: str
    day: str
    currency: str
    name: str
    amount: Decimal


class Properties(NamedTuple):
    """The properties of an event with its money, the money's currency, and the name of its record."""

    amount: str
    currency: str
    name: str


def sums(api: QueryApi, events: Mapping[str, Properties], first: str, last: str) -> dict[tuple[str, str, str], Figure]:
    """Ask what PostHog has per day, event and currency; raises `RunError`."""
    return {
        (_day(day), event, currency or ""): Figure(number, _amount(amount))
        for names, properties in _by_properties(events)
        for day, event, currency, number, amount in api.rows(
            SUMS.format(events=_events(names, properties, first, last))
        )
    }


def events_of(api: QueryApi, events: Mapping[str, Properties], days: Collection[str]) -> list[Arrived]:
    """Ask for each event of some days; raises `RunError`."""
    return [
        Arrived(uuid.lower(), event, _day(day), currency or "", str(name or ""), _amount(amount))
        for first, last in _spans(days)
        for names, properties in _by_properties(events)
        for uuid, event, _, day, currency, name, amount in api.pages(_pages_of(names, properties, first, last), 1)
    ]


def _pages_of(names: list[str], properties: Properties, first: str, last: str) -> Callable[[list[Any] | None], str]:
    return lambda row: _events(names, properties, first, last, AFTER.format(row[0]) if row else "") + ORDERED


def _by_properties(events: Mapping[str, Properties]) -> list[tuple[list[str], Properties]]:
    found: dict[Properties, list[str]] = {}
    for event, properties in events.items():
        found.setdefault(properties, []).append(event)
    return [(names, properties) for properties, names in found.items()]


def _events(names: list[str], properties: Properties, first: str, last: str, after: str = "") -> str:
    return EVENTS.format(
        currency=_property(properties.currency),
        name=_property(properties.name),
        amount=f"toInt(round(toFloat({_property(properties.amount)}) * 10000))",
        names=", ".join(_text(name) for name in names),
        first=first,
        after=after,
        end=date.fromisoformat(last) + timedelta(days=1),
    )


def _spans(days: Collection[str]) -> list[tuple[str, str]]:
    """Return days as spans from the first to the last of neighbours, so that few questions are needed."""
    spans: list[tuple[str, str]] = []
    for day in sorted(days):
        if spans and date.fromisoformat(spans[-1][1]) + timedelta(days=1) == date.fromisoformat(day):
            spans[-1] = spans[-1][0], day
        else:
            spans.append((day, day))
    return spans


def _property(name: str) -> str:
    return f"properties.`{name}`" if name else "''"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _day(number: int) -> str:
    return (EPOCH + timedelta(days=number)).isoformat()


def _amount(ten_thousandths: Any) -> Decimal:  # noqa: ANN401  # a number or null
    return (int(ten_thousandths or 0) * TEN_THOUSANDTHS).normalize() + 0
