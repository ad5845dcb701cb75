"""Events that PostHog has, asked for in its SQL: sums of their figures per day, and single events.

Takes the names of events and the properties with their figures; returns exact sums. How a question travels is
`posthog/query_api.py`'s to know, and how pages follow each other `posthog/stored_events.py`'s.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.books.figures import add
from target_posthog.mapping.event import VERSION
from target_posthog.mapping.language.functions import as_decimal, day_of
from target_posthog.posthog.hogql import day, moment, newest, raw, texts
from target_posthog.posthog.query_api import MOST_ROWS
from target_posthog.posthog.stored_events import Span, read_value, rows_by_window, stored_events

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from zoneinfo import ZoneInfo

    from target_posthog.books.entries import Properties
    from target_posthog.books.figures import Figures
    from target_posthog.posthog.query_api import QueryApi
    from target_posthog.posthog.stored_events import StoredEvent

# Money is summed in whole ten-thousandths: PostHog would add floating-point numbers, and no currency has more decimals
# (ISO 4217).
TEN_THOUSANDTHS = Decimal("0.0001")
# One row per event as PostHog counts it once ClickHouse has merged its copies (by day in UTC, event, distinct id and
# uuid: posthog/models/event/sql.py), and how many rows there are until then. Nothing is named as a column of which it
# is made: ClickHouse would put the one in place of the other.
SUMS = """
select day, event, currency, shop, substring(id, 15, 1) as version, count() as number, sum(copies) as rows_now{sums}
from (
  select toString(uuid) as id, event, distinct_id, {merged_by} as merged_by, {day} as day, {currency} as currency,
    {shop} as shop, count() as copies{figures}
  from events
  where event in ({names}) and timestamp >= {first} and timestamp < {end}
  group by id, event, distinct_id, merged_by
)
group by day, event, currency, shop, version
order by day, event, currency, shop, version
limit {limit}"""
FIGURE = """,
    toInt(round(toFloat(replaceAll({amount}, '"', '')) * 10000)) as figure_{at}"""


class Key(NamedTuple):
    """What sums are of: a day, an event, and the currency and the shop that its events name."""

    day: str
    event: str
    currency: str
    shop: str


class Sum(NamedTuple):
    """How many events PostHog has, what they come to, and how many copies it counts beside until they are merged.

    `others` are those among the events that can't be ours, by their uuids.
    """

    number: int
    figures: Figures
    copies: int
    others: int = 0


class Arrived(NamedTuple):
    """One event that PostHog has; `name` is the name of its record there."""

    uuid: str
    event: str
    day: str
    currency: str
    shop: str
    name: str
    figures: Figures


Sums = dict[Key, Sum]


def sums(api: QueryApi, events: Mapping[str, Properties], first: str, last: str, zone: ZoneInfo) -> Sums:
    """Ask what PostHog has per day of the zone, event, currency and shop; raises `RunError`."""
    found: Sums = {}
    for names, properties in _by_properties(events):
        for on, event, currency, shop, version, number, rows_now, *amounts in _summed(
            api, names, properties, _span(first, last, zone), zone
        ):
            key = Key(f"{on // 10000:04}-{on // 100 % 100:02}-{on % 100:02}", event, _text(currency), _text(shop))
            known = found.get(key, Sum(0, {}, 0))
            figures = dict(known.figures)
            add(figures, dict(zip(properties.figures, map(_amount, amounts), strict=True)))
            found[key] = Sum(
                known.number + number,
                figures,
                known.copies + int(rows_now) - number,
                known.others + (0 if version == str(VERSION) else number),
            )
    return found


def _summed(api: QueryApi, names: list[str], properties: Properties, span: Span, zone: ZoneInfo) -> Iterator[list[Any]]:
    numbers = range(len(properties.figures))

    def query(start: datetime, end: datetime) -> str:
        return SUMS.format(
            sums="".join(f", sum(figure_{at}) as sum_{at}" for at in numbers),
            figures="".join(FIGURE.format(amount=_property(properties.figures[at]), at=at) for at in numbers),
            merged_by=day("timestamp", "UTC"),
            day=day(newest("timestamp"), zone.key),
            currency=_property(properties.currency),
            shop=_property(properties.shop),
            names=texts(sorted(names)),
            first=moment(start),
            end=moment(end),
            limit=MOST_ROWS,
        )

    full = "more sums than an answer has rows"
    return chain.from_iterable(rows_by_window(api, query, span, "target-posthog: sums", if_full=full))


def events_of(
    api: QueryApi, events: Mapping[str, Properties], days: Collection[str], zone: ZoneInfo
) -> Iterator[Arrived]:
    """Ask for each event of some days of the zone, copies that PostHog will merge as one.

    Raises `RunError`.
    """
    for first, last in _neighbours(days):
        for names, properties in _by_properties(events):
            span = _span(first, last, zone)
            others = [name for name in properties[1:] if name]
            merged: dict[tuple[str, ...], StoredEvent] = {}
            for stored in stored_events(api, names, span.start, span.end, properties=[*properties.figures, *others]):
                key = (stored.uuid, stored.event, stored.distinct_id, stored.timestamp[:10])
                if key not in merged or merged[key].created_at <= stored.created_at:
                    merged[key] = stored
            for stored in merged.values():
                currency, name, shop = (_shown(stored.properties.get(each)) for each in properties[1:])
                figures = {figure: _money(stored.properties.get(figure)) for figure in properties.figures}
                yield Arrived(stored.uuid, stored.event, day_of(stored.timestamp, zone), currency, shop, name, figures)


def _by_properties(events: Mapping[str, Properties]) -> list[tuple[list[str], Properties]]:
    found: dict[Properties, list[str]] = {}
    for event, properties in events.items():
        found.setdefault(properties, []).append(event)
    return [(names, properties) for properties, names in found.items()]


def _span(first: str, last: str, zone: ZoneInfo) -> Span:
    end = date.fromisoformat(last) + timedelta(days=1)
    midnights = (datetime.combine(on, time(), zone) for on in (date.fromisoformat(first), end))
    return Span(*(midnight.astimezone(timezone.utc) for midnight in midnights))


def _neighbours(days: Collection[str]) -> list[tuple[str, str]]:
    """Return days as spans from the first to the last of neighbours, so that few questions are needed."""
    spans: list[tuple[str, str]] = []
    for on in sorted(days):
        if spans and date.fromisoformat(spans[-1][1]) + timedelta(days=1) == date.fromisoformat(on):
            spans[-1] = spans[-1][0], on
        else:
            spans.append((on, on))
    return spans


def _property(name: str) -> str:
    return newest(raw(name)) if name else "''"


def _text(raw_json: str) -> str:
    return _shown(read_value(raw_json))


def _shown(value: Any) -> str:  # noqa: ANN401  # any JSON
    return "" if value is None else str(value)


def _money(value: Any) -> Decimal:  # noqa: ANN401  # any JSON
    try:
        return as_decimal(str(value) if isinstance(value, Decimal) else value or 0).normalize() + 0
    except ValueError:
        return Decimal()  # as in the sums, where what is no number counts nothing


def _amount(ten_thousandths: Any) -> Decimal:  # noqa: ANN401  # a number or null
    return (int(ten_thousandths or 0) * TEN_THOUSANDTHS).normalize() + 0
