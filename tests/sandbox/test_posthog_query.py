"""What the sandbox's PostHog answers at `/api/projects/1/query/`, over real HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests

from sandbox.posthog import PostHog
from tests.posthog_events import event, send

SALES = """
-- what came, per day
select intDiv(second, 86400) as day, currency, count() as events, sum(money) as money
from (
  select event, distinct_id, toUnixTimestamp(timestamp) as second, any(properties.currency) as currency,
    any(toInt(round(toFloat(properties.revenue) * 10000))) as money
  from events
  where event in ('sale', 'it\\'s') and timestamp >= toDateTime('2026-11-01T00:00:00Z')
  group by uuid, event, distinct_id, second
)
group by day, currency
order by day, currency
limit 50000
"""


def ask(
    posthog: PostHog, hogql: object, key: str = "phx_sandbox", project: int = 1, kind: str = "HogQLQuery", **more: Any
) -> requests.Response:
    return requests.post(
        f"{posthog.url}/api/projects/{project}/query/",
        json={"query": {"kind": kind, "query": hogql}, **more},
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=30,
    )


def test_it_counts_and_sums_in_whole_ten_thousandths_by_the_day_in_utc(posthog: PostHog) -> None:
    send(
        posthog,
        event(1, "sale", revenue=0.1, currency="USD", at="2026-11-01T00:00:00Z"),
        event(2, "it's", revenue="0.20", currency="USD", at="2026-11-01T23:59:59Z"),
        event(3, "sale", revenue=7, currency="JPY", at="2026-11-02T00:00:00Z"),
        event(4, "sale", at="2026-11-03T00:00:00Z"),
        event(5, "sale", revenue=9, currency="USD", at="2026-10-31T23:59:59Z"),
        event(6, "other", revenue=9, currency="USD"),
    )
    answer = ask(posthog, SALES).json()
    assert answer["columns"] == ["day", "currency", "events", "money"]
    assert answer["results"] == [
        [20758, "USD", 2, 3000],
        [20759, "JPY", 1, 70000],
        [20760, None, 1, None],
    ]
    assert answer["error"] is None
    assert "hasMore" not in answer, "only a query without LIMIT is told"


def test_it_gives_one_hundred_rows_unless_asked_for_more_and_never_above_fifty_thousand(posthog: PostHog) -> None:
    send(posthog, *(event(number) for number in range(1, 106)))
    few = ask(posthog, "select uuid from events order by uuid").json()
    assert (len(few["results"]), few["hasMore"], few["limit"]) == (100, True, 100)
    assert len(ask(posthog, "SELECT uuid FROM events ORDER BY uuid LIMIT 101").json()["results"]) == 101


def test_a_limit_above_fifty_thousand_is_cut_without_a_word(posthog: PostHog) -> None:
    posthog.database.ask(
        "insert into events (day, event, distinct_id, uuid, at_microseconds, properties, historical, "
        "created_at_microseconds) with recursive n(i) as (select 1 union all select i + 1 from n where i < 50005) "
        "select '2026-11-01', 'sale', 'x', i, 0, '{}', 0, 0 from n"
    )
    answer = ask(posthog, "select uuid from events limit 90000").json()
    assert (len(answer["results"]), "hasMore" in answer) == (50_000, False)


@pytest.mark.parametrize(
    "hogql",
    [
        "select uuid from events order by uuid limit 60 offset 100",
        "select uuid from events limit 5 OFFSET 0",
        "select count() as n from (select uuid from events limit 5 offset 5) limit 1",
    ],
)
def test_offset_is_refused_anywhere_in_posthogs_words(posthog: PostHog, hogql: str) -> None:
    answer = ask(posthog, hogql)
    assert (answer.status_code, answer.json()["code"]) == (400, "hogql_query_error")
    assert answer.json()["detail"].startswith("OFFSET is not supported on queries made with a personal API key. For")


def test_an_answer_is_kept_for_hours_unless_it_is_forced(posthog: PostHog) -> None:
    counts = "select count() as events from events limit 1"
    now = datetime(2026, 11, 2, tzinfo=timezone.utc)
    posthog.clock = lambda: now
    send(posthog, event(1))

    def said(**more: Any) -> tuple[int, bool]:
        answer = ask(posthog, counts, **more).json()
        return answer["results"][0][0], answer["is_cached"]

    assert said() == (1, False)
    send(posthog, event(2))
    assert said() == (1, True)
    assert said(refresh="force_cache") == (1, True)
    assert said(refresh="force_blocking") == (2, False)
    send(posthog, event(3))
    now += timedelta(hours=7)
    assert said(refresh="blocking") == (3, False)


def test_a_field_that_posthog_does_not_know_is_refused(posthog: PostHog) -> None:
    answer = ask(posthog, "select uuid from events", fresh=True)
    assert (answer.status_code, answer.json()["detail"]) == (400, "Extra inputs are not permitted")
    assert ask(posthog, "select uuid from events", refresh="force_async").status_code == 400


def test_copies_are_rows_until_they_are_merged_and_the_newest_is_found(posthog: PostHog) -> None:
    for revenue in (10, 20):
        send(posthog, event(1, "sale", revenue=revenue))
    asked = (
        "select count() as copies, any(properties.revenue) as outdated, "
        "argMax(JSONExtractRaw(properties, 'revenue'), created_at) as newest from events limit 1"
    )
    assert ask(posthog, asked).json()["results"] == [[2, "10", "20"]]
    posthog.merge()
    assert ask(posthog, asked, refresh="force_blocking").json()["results"] == [[1, "20", "20"]]


def test_times_are_the_projects_and_old_events_are_not_given(posthog: PostHog) -> None:
    posthog.clock = lambda: datetime(2026, 11, 2, tzinfo=timezone.utc)
    send(posthog, event(1, at="2026-11-01T12:00:00Z"), event(2, at="2025-11-01T12:00:00.5Z"))
    times = "select timestamp from events order by timestamp limit 5"
    assert ask(posthog, times).json()["results"] == [["2025-11-01T12:00:00.500000Z"], ["2026-11-01T12:00:00Z"]]
    posthog.time_zone = "Europe/Berlin"
    posthog.events_retention_enforced, posthog.event_retention_months = True, 12
    answer = ask(posthog, times, refresh="force_blocking").json()
    assert answer["results"] == [["2026-11-01T13:00:00+01:00"]]


@pytest.mark.parametrize(
    ("hogql", "detail"),
    [
        ("select nope from events", "Unable to resolve field: nope"),
        ("select uuid from persons", "Unable to resolve field: persons"),
        ("select readfile('x') from events", "Unsupported function call 'readfile(...)'"),
        ("delete from events", "Expected a SELECT query"),
        ("select uuid from events; drop table events", "Syntax error at position 23: unexpected ';'"),
        ("select uuid from events where", "Query can't be resolved: "),
        ("", "Expected a SELECT query"),
        ("select uuid from events limit many", "LIMIT needs a whole number, not many"),
    ],
)
def test_a_query_beyond_its_part_of_the_language_is_refused(posthog: PostHog, hogql: str, detail: str) -> None:
    answer = ask(posthog, hogql)
    assert answer.status_code == 400
    assert answer.json()["type"] == "validation_error"
    assert answer.json()["detail"].startswith(detail)


def test_another_kind_of_query_is_refused(posthog: PostHog) -> None:
    assert ask(posthog, "select 1 from events", kind="EventsQuery").status_code == 400
    assert ask(posthog, None).status_code == 400


@pytest.mark.parametrize(
    ("key", "project", "status", "code"),
    [
        ("", 1, 401, "not_authenticated"),
        ("phc_sandbox", 1, 401, "authentication_failed"),
        ("phx_sandbox", 2, 403, "permission_denied"),
    ],
)
def test_a_stranger_is_refused(posthog: PostHog, key: str, project: int, status: int, code: str) -> None:
    answer = ask(posthog, "select uuid from events", key, project)
    assert (answer.status_code, answer.json()["code"], answer.json()["attr"]) == (status, code, None)


def test_a_key_needs_the_scope_to_query(posthog: PostHog) -> None:
    posthog.key_scopes = frozenset(("insight:read",))
    answer = ask(posthog, "select uuid from events")
    posthog.key_scopes = frozenset(("query:read",))
    assert (answer.status_code, answer.json()["detail"]) == (403, "API key missing required scope 'query:read'")


@pytest.mark.parametrize(
    "query",
    [
        "select count() from events, events",
        "select count() from events a, events b, events c",
        "select count() from (select 1 as one from events), (select 1 as two from events)",
        "select count() from events where uuid in (select uuid from events, events)",
        "select (select count() from events), count() from (select uuid from events), events",
    ],
)
def test_it_makes_no_cross_joins(posthog: PostHog, query: str) -> None:
    answer = ask(posthog, query)
    assert (answer.status_code, answer.json()["code"]) == (400, "hogql_query_error")


@pytest.mark.parametrize("number", [2**63, 10**30, "9" * 5_000])
@pytest.mark.parametrize("query", ["select 1 from events limit {}", "select 1 from events limit 1 offset {}"])
def test_it_takes_no_number_that_its_database_cannot_hold(posthog: PostHog, query: str, number: object) -> None:
    assert ask(posthog, query.format(number)).status_code == 400


def test_a_question_that_takes_too_long_is_ended_and_one_in_time_is_answered(posthog: PostHog) -> None:
    for hundred in range(10):
        send(posthog, *(event(hundred * 100 + number, "sale") for number in range(100)))
    posthog.database.longest_read_seconds = 0.0
    answer = ask(posthog, SALES, refresh="force_blocking")
    detail = "Query has hit the max execution time before completing."
    assert (answer.status_code, answer.json()["detail"]) == (504, detail)
    posthog.database.longest_read_seconds = 60.0
    assert ask(posthog, SALES, refresh="force_blocking").status_code == 200


# https://posthog.com/docs/api/queries: 240 questions a minute, 2,400 an hour, 3 at once.


def test_of_the_questions_of_a_minute_one_too_many_is_told_when_to_come_again(posthog: PostHog) -> None:
    now = datetime(2026, 11, 1, tzinfo=timezone.utc)
    posthog.clock = lambda: now
    question = "select uuid from events limit 1"
    assert {ask(posthog, question).status_code for _ in range(240)} == {200}
    posthog.clock = lambda: now + timedelta(seconds=20)
    refused = ask(posthog, question)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "40")
    assert refused.json() == {
        "type": "throttled_error",
        "code": "throttled",
        "detail": "Request was throttled. Expected available in 40 seconds.",
        "attr": None,
    }
    posthog.clock = lambda: now + timedelta(seconds=60)
    assert ask(posthog, question).status_code == 200


def test_the_questions_of_an_hour_have_a_limit_too() -> None:
    now = datetime(2026, 11, 1, tzinfo=timezone.utc)
    limit = PostHog().question_limit
    every_second = [limit.wait_seconds(now + timedelta(seconds=second)) for second in range(2_400)]
    assert not any(every_second)
    assert limit.wait_seconds(now + timedelta(seconds=2_400)) == 1_200
    assert limit.wait_seconds(now + timedelta(seconds=3_600)) == 0


def test_no_more_than_three_questions_are_answered_at_once(posthog: PostHog) -> None:
    for _ in range(3):
        posthog.question_limit.places.acquire()
    refused = ask(posthog, "select uuid from events limit 1", refresh="force_blocking")
    assert (refused.status_code, refused.json()["code"], "Retry-After" in refused.headers) == (429, "throttled", False)
    posthog.question_limit.places.release()
    assert ask(posthog, "select uuid from events limit 1", refresh="force_blocking").status_code == 200
