"""What the product asks, answered by PostHog's grammar and ClickHouse, beside what was sent, counted in Python."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from target_posthog.books.arrived import events_of, sums
from target_posthog.posthog.stored_events import rows_by_uuid, stored_events
from tests.outside.hogql.questions import document_questions
from tests.outside.hogql.shop import FIRST, LAST, PROPERTIES, START, changed, merged, money, orders, truth
from tests.outside.hogql.table import Event, Table

if TYPE_CHECKING:
    from tests.outside.hogql.engines import ClickHouse, Grammar

ORDERS = orders()
# Sent once; sent again, some with other money; sent a third time, each of which ClickHouse shows until it merges.
BATCHES = [ORDERS, [changed(one) for one in ORDERS[10:60]], ORDERS[40:80]]
UTC = timezone.utc


@pytest.fixture(params=[0, 1], ids=["old analyzer", "new analyzer"])
def analyzer(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(params=["UTC", "America/New_York"])
def table(request: pytest.FixtureRequest, grammar: Grammar, clickhouse: ClickHouse, analyzer: int) -> Table:
    return Table(grammar, clickhouse, zone=request.param, analyzer=analyzer)


def test_the_copies_are_there_until_they_merge(table: Table) -> None:
    table.take(*BATCHES)
    count = "select count(), count(distinct uuid) from events"
    assert table.rows(count) == [[290, 200]]
    table.merge()
    assert table.rows(count) == [[200, 200]]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati"])
@pytest.mark.parametrize("is_merged", [False, True], ids=["unmerged", "merged"])
def test_the_sums_are_exact_to_the_day_of_the_zone_and_the_copies_told(
    table: Table, zone: str, *, is_merged: bool
) -> None:
    table.take(*BATCHES)
    if is_merged:
        table.merge()
    found = sums(table, PROPERTIES, FIRST, LAST, ZoneInfo(zone))
    assert found == truth(BATCHES, ZoneInfo(zone), is_merged=is_merged)
    assert sum(one.number for one in found.values()) < 200, "the first and the last days are beyond it"


@pytest.mark.parametrize("is_merged", [False, True], ids=["unmerged", "merged"])
def test_each_event_of_some_days_comes_once_as_it_was_sent_last(table: Table, *, is_merged: bool) -> None:
    table.take(*BATCHES)
    if is_merged:
        table.merge()
    zone = ZoneInfo("Europe/Berlin")
    days = ["2026-10-24", "2026-10-25", "2026-10-31", "2026-11-01"]
    expected = sorted(
        (
            str(one.uuid),
            one.event,
            one.timestamp.astimezone(zone).date().isoformat(),
            one.properties.get(PROPERTIES[one.event].currency) or "",
            one.properties.get(PROPERTIES[one.event].shop, ""),
            one.properties["order_name"],
            {figure: money(one.properties.get(figure)) for figure in PROPERTIES[one.event].figures},
        )
        for one in merged(BATCHES)
        if one.timestamp.astimezone(zone).date().isoformat() in days
    )
    assert sorted(map(tuple, events_of(table, PROPERTIES, days, zone))) == expected
    assert len(expected) > 20


@pytest.mark.parametrize("page_rows", [3, 8, 1_000])
def test_pages_lose_no_event_and_give_none_twice(table: Table, page_rows: int) -> None:
    table.take(ORDERS[:80], *BATCHES[1:])
    asked = {"properties": ["order_name", "note", "nothing"], "page_rows": page_rows}
    found = list(stored_events(table, list(PROPERTIES), START, START + timedelta(days=30), **asked))
    assert [(one.timestamp, one.uuid) for one in found] == sorted(
        (f"{one.timestamp:%Y-%m-%dT%H:%M:%S.%f}Z", str(one.uuid)) for one in ORDERS[:80]
    )
    assert sum(one.copies for one in found) == 170
    by_uuid = {str(one.uuid): one for one in ORDERS}
    for one in found:
        sent = by_uuid[one.uuid]
        assert (one.event, one.distinct_id) == (sent.event, sent.distinct_id)
        assert one.properties == {
            "order_name": sent.properties["order_name"],
            "note": sent.properties["note"],
            "nothing": None,
        }


def test_an_event_of_one_uuid_and_time_under_several_ids_is_several(table: Table) -> None:
    several = [ORDERS[0]._replace(distinct_id=f"{at}@x.io") for at in range(5)]
    table.take(several, several[:2])
    found = stored_events(table, [ORDERS[0].event], START, START + timedelta(days=1), page_rows=6)
    assert [(one.distinct_id, one.copies) for one in sorted(found)] == [
        ("0@x.io", 2),
        ("1@x.io", 2),
        ("2@x.io", 1),
        ("3@x.io", 1),
        ("4@x.io", 1),
    ]


def test_the_bounds_of_a_span_are_exact_to_the_microsecond(table: Table) -> None:
    at = datetime(2026, 11, 1, 5, 59, 59, 999_999, tzinfo=UTC)
    step = timedelta(microseconds=1)
    table.take(
        [one._replace(event="sale", timestamp=at + step * days) for days, one in zip((-1, 0, 1), ORDERS, strict=False)]
    )
    found = [one.timestamp for one in stored_events(table, ["sale"], at, at + step)]
    assert found == ["2026-11-01T05:59:59.999999Z"]


def test_those_events_are_named_that_posthog_has_with_their_copies(table: Table) -> None:
    table.take(*BATCHES)
    strangers = orders(230)[200:]
    found = rows_by_uuid(table, [_as_sent(one) for one in (ORDERS[0], ORDERS[15], ORDERS[45], *strangers)])
    assert found == {str(ORDERS[0].uuid): 1, str(ORDERS[15].uuid): 2, str(ORDERS[45].uuid): 3}


def _as_sent(event: Event) -> dict[str, Any]:
    return {"uuid": str(event.uuid), "event": event.event, "timestamp": f"{event.timestamp:%Y-%m-%dT%H:%M:%S.%f}Z"}


def question_with(function: str) -> str:
    """Return the one question of the documents that calls a function."""
    (query,) = (one for one in document_questions().values() if function in one)
    return query


@pytest.mark.parametrize("is_merged", [False, True], ids=["unmerged", "merged"])
def test_the_documents_orders_are_counted_by_their_time_with_copies_too(table: Table, *, is_merged: bool) -> None:
    table.take(*BATCHES)
    if is_merged:
        table.merge()
    counts: Counter[str] = Counter()
    expected = {}
    for one in sorted(merged(BATCHES), key=lambda event: (event.timestamp, event.properties["order_id"])):
        if one.event == "Order Completed":
            counts[one.distinct_id] += 1
            expected[one.properties["order_id"]] = counts[one.distinct_id]
    assert {row[1]: row[3] for row in table.rows(question_with("row_number"))} == expected
    assert max(counts.values()) > 1


@pytest.mark.parametrize("is_merged", [False, True], ids=["unmerged", "merged"])
def test_the_documents_days_since_the_order_before_are_right_with_copies_too(table: Table, *, is_merged: bool) -> None:
    table.take(*BATCHES)
    if is_merged:
        table.merge()
    query = question_with("lagInFrame")
    expected: list[list[Any]] = []
    last: dict[str, datetime] = {}
    for one in sorted(merged(BATCHES), key=lambda event: (event.timestamp, event.properties["order_id"])):
        if one.event == "Order Completed":
            days = (one.timestamp - last[one.distinct_id]) // timedelta(days=1) if one.distinct_id in last else None
            expected.append([one.properties["order_id"], days])
            last[one.distinct_id] = one.timestamp
    assert [[row[0], row[2]] for row in table.rows(query)] == expected
    assert any(days for _, days in expected)
