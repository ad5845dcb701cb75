"""The sandbox's query endpoint beside ClickHouse, on the same events, for every question of the project."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.posthog import PostHog
from tests.outside.hogql.questions import document_questions, product_questions
from tests.outside.hogql.shop import changed, orders
from tests.outside.hogql.table import Table, arrived_at
from tests.posthog_events import send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.outside.hogql.engines import ClickHouse, Grammar
    from tests.outside.hogql.table import Event

ORDERS = orders()
BATCHES = [ORDERS, [changed(one) for one in ORDERS[10:60]], ORDERS[40:80]]
OURS = [
    "select toString(uuid) as id, event, timestamp from events order by timestamp, id limit 7",
    """
    select properties.order_name as name, properties.revenue as revenue, properties.nothing as nothing
    from events where event = 'Order Completed' order by timestamp, name, created_at limit 500""",
    """
    select toUnixTimestamp(timestamp) as second, count() as rows_now, count(distinct uuid) as number
    from events group by second order by second limit 500""",
]


@pytest.fixture(scope="module", params=["unmerged", "merged"])
def both(request: pytest.FixtureRequest, grammar: Grammar, clickhouse: ClickHouse) -> Iterator[tuple[Table, PostHog]]:
    table = Table(grammar, clickhouse)
    table.take(*BATCHES)
    with PostHog().serve() as posthog:
        for arrival, batch in enumerate(BATCHES, 1):
            posthog.clock = functools.partial(arrived_at, arrival)
            send(posthog, *map(_as_sent, batch))
        if request.param == "merged":
            table.merge()
            posthog.merge()
        yield table, posthog


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("query", [*product_questions().values(), *document_questions().values(), *OURS])
def test_the_sandbox_answers_as_clickhouse_does(both: tuple[Table, PostHog], query: str, zone: str) -> None:
    table, posthog = both
    table.zone, posthog.time_zone = zone, zone
    answer = requests.post(
        f"{posthog.url}/api/projects/1/query/",
        json={"query": {"kind": "HogQLQuery", "query": query}, "name": "test", "refresh": "force_blocking"},
        headers={"Authorization": "Bearer phx_sandbox"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    answered = answer.json()
    buyer = answered["columns"].index("buyer") if "buyer" in answered["columns"] else None
    assert _plain(answered["results"], buyer) == _plain(table.rows(query), buyer)


def test_there_is_something_to_compare(both: tuple[Table, PostHog]) -> None:
    table, _ = both
    assert sum(bool(table.rows(query)) for query in [*product_questions().values(), *OURS]) > 8


def _as_sent(event: Event) -> dict[str, Any]:
    return {
        "event": event.event,
        "uuid": str(event.uuid),
        "distinct_id": event.distinct_id,
        "timestamp": event.timestamp.isoformat(),
        "properties": {"$ignore_sent_at": True, **event.properties},
    }


def _plain(rows: list[list[Any]], buyer: int | None) -> list[list[Any]]:
    """Return rows with times as the text that ClickHouse writes: PostHog's JSON is ISO 8601.

    In the column `buyer` persons are counted as they come: the ids that the two have made for them differ.
    """
    plain = [[_time(value) for value in row] for row in json.loads(json.dumps(rows))]
    numbers: dict[Any, int] = {}
    if buyer is not None:
        for row in plain:
            row[buyer] = numbers.setdefault(row[buyer], len(numbers))
    return plain


def _time(value: Any) -> Any:
    if isinstance(value, str) and len(value) > 18 and value[10:11] == "T":
        moment, fraction = value[:19].replace("T", " "), value[19:].lstrip(".").rstrip("Z").split("+")[0].split("-")[0]
        return f"{moment}.{fraction:0<6}"
    return value
