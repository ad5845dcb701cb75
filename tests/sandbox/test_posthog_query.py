"""What the sandbox's PostHog answers at `/api/projects/1/query/`, over real HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.posthog_events import event, send

if TYPE_CHECKING:
    from sandbox.posthog import PostHog

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


def ask(posthog: PostHog, hogql: object, key: str = "phx_sandbox", project: int = 1, **more: Any) -> requests.Response:
    return requests.post(
        f"{posthog.url}/api/projects/{project}/query/",
        json={"query": {"kind": "HogQLQuery", "query": hogql, **more}},
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
    assert (answer["hasMore"], answer["error"]) == (False, None)


def test_it_gives_one_hundred_rows_unless_asked_for_more_and_never_above_fifty_thousand(posthog: PostHog) -> None:
    send(posthog, *(event(number) for number in range(1, 106)))
    few = ask(posthog, "select uuid from events order by uuid").json()
    assert (len(few["results"]), few["hasMore"], few["limit"]) == (100, True, 100)
    rest = ask(posthog, "SELECT uuid FROM events ORDER BY uuid LIMIT 60 OFFSET 100").json()
    assert (len(rest["results"]), rest["hasMore"], rest["offset"]) == (5, False, 100)
    assert ask(posthog, "select uuid from events limit 90000").json()["limit"] == 50_000


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
        ("select uuid from events limit many", "LIMIT and OFFSET need a whole number, not many"),
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
