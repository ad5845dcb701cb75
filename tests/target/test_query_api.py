"""Questions to PostHog over real HTTP, answered by the sandbox."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from sandbox.controls import Reply
from sandbox.posthog.limits import RequestLimit
from target_posthog.errors import BusyError, RunError
from target_posthog.posthog.query_api import Project, QueryApi, TooMuchError
from tests.posthog_events import event, send

if TYPE_CHECKING:
    from sandbox.posthog import PostHog

PATH = "/query/"
EVENTS = "select uuid from events limit 5"


def api_of(posthog: PostHog, key: str = "phx_sandbox", project: str = "1", seconds: float = 60) -> QueryApi:
    return QueryApi(key, project, posthog.url, max_retry_seconds=seconds, longest_limit_seconds=seconds)


COUNTS = "select event, count() as events from events group by event order by event limit 10"


def test_rows_come_as_lists(posthog: PostHog) -> None:
    send(posthog, event(1, "sale"), event(2, "sale"), event(3, "other"))
    assert api_of(posthog).rows(COUNTS, "counts") == [["other", 1], ["sale", 2]]


def test_a_question_has_a_name_and_is_answered_anew(posthog: PostHog) -> None:
    for number in (1, 2):
        send(posthog, event(number, "sale"))
        assert api_of(posthog).rows(COUNTS, "counts") == [["sale", number]]
    sent = json.loads(posthog.controls.requests[-1].body)
    assert (sent["name"], sent["refresh"]) == ("counts", "force_blocking")


def test_an_answer_from_the_cache_is_none(posthog: PostHog) -> None:
    old = Reply(status=200, body='{"results": [[1]], "is_cached": true}', path=PATH)
    posthog.controls.reply_next(old)
    assert api_of(posthog).rows(COUNTS, "counts") == []
    posthog.controls.reply_next(old)
    with pytest.raises(BusyError, match="gives an earlier answer again"):
        api_of(posthog, seconds=0).rows(COUNTS, "counts")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (504, {"detail": "Query has hit the max execution time before completing."}),
        (512, {"detail": "Estimated query execution time is too long."}),
        (513, {"code": "clickhouse_memory_limit_exceeded", "detail": "Query has reached the max memory limit"}),
        (400, {"type": "validation_error", "code": "too_many_bytes", "detail": "Limit for rows or bytes"}),
    ],
)
def test_a_question_that_reads_too_much_is_told_apart(posthog: PostHog, status: int, body: dict[str, str]) -> None:
    posthog.controls.reply_next(Reply(status=status, body=json.dumps(body), path=PATH))
    with pytest.raises(TooMuchError, match=f"HTTP {status}: {body['detail']}"):
        api_of(posthog).rows(COUNTS, "counts")
    assert len(posthog.controls.requests) == 1, "the same question would be as much again"


def test_a_question_that_reads_too_much_is_a_sentence_where_nobody_asks_for_less(posthog: PostHog) -> None:
    posthog.controls.reply_next(Reply(status=504, body="<html>", path=PATH))
    with pytest.raises(RunError, match=r"can't answer so large a question \(HTTP 504: no reason given\); it may"):
        api_of(posthog).rows(COUNTS, "counts")


@pytest.mark.parametrize("status", [502, 504, 512])
def test_a_gateway_that_times_out_over_the_settings_is_busy(posthog: PostHog, status: int) -> None:
    posthog.controls.reply_next(Reply(status=status, path="/api/projects/1/"))
    assert api_of(posthog).project() is not None
    posthog.controls.reply_next(Reply(status=status, path="/api/projects/1/"))
    with pytest.raises(BusyError, match=f"busy .HTTP {status}."):
        api_of(posthog, seconds=0).project()


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (402, {"code": "api_queries_quota_exceeded", "detail": "Your organization has read more"}, "has read more"),
        (400, {"code": "hogql_query_error", "detail": "OFFSET is not supported"}, "fault: OFFSET is not supported"),
    ],
)
def test_what_no_waiting_mends_ends_at_once_and_blames_nothing_else(
    posthog: PostHog, status: int, body: dict[str, str], sentence: str
) -> None:
    posthog.controls.reply_next(Reply(status=status, body=json.dumps(body), path=PATH))
    with pytest.raises(RunError, match=sentence) as refused:
        api_of(posthog).rows(COUNTS, "counts")
    assert "`host`" not in str(refused.value)
    assert len(posthog.controls.requests) == 1


def test_the_projects_settings_say_how_old_an_event_may_be(posthog: PostHog) -> None:
    assert api_of(posthog).project() == ("UTC", None)
    posthog.time_zone, posthog.events_retention_enforced, posthog.event_retention_months = "Asia/Tokyo", True, 12
    assert api_of(posthog).project() == ("Asia/Tokyo", 12)
    posthog.key_scopes = frozenset(("query:read",))
    assert api_of(posthog).project() is None


@pytest.mark.parametrize(
    ("now", "months", "first"),
    [
        ("2026-11-26", 12, "2025-11-27"),
        ("2026-02-28", 12, "2025-03-01"),
        ("2024-03-31", 1, "2024-03-01"),
        ("2026-01-15", 84, "2019-01-16"),
        ("2026-01-15", None, ""),
    ],
)
def test_the_first_day_that_posthog_still_gives_whole(now: str, months: int | None, first: str) -> None:
    assert Project("UTC", months).kept_from(datetime.fromisoformat(now)) == first


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("https://us.i.posthog.com", "https://us.posthog.com"),
        ("eu.i.posthog.com/", "https://eu.posthog.com"),
        ("https://posthog.example.com", "https://posthog.example.com"),
        ("https://us.i.posthog.com.example.com", "https://us.i.posthog.com.example.com"),
    ],
)
def test_questions_go_to_the_address_of_the_app(host: str, asked: str) -> None:
    assert QueryApi("phx_x", "1", host).host == asked


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_posthog_is_asked_again(posthog: PostHog, status: int) -> None:
    posthog.controls.reply_next(
        Reply(status=status, headers={"Retry-After": "0"}, path=PATH), Reply(cut=True, path=PATH)
    )
    assert api_of(posthog).rows(EVENTS, "events") == []
    assert len(posthog.controls.requests) == 3


def test_what_retry_after_asks_for_is_waited_before_the_next_question(posthog: PostHog) -> None:
    posthog.controls.reply_next(Reply(status=429, headers={"Retry-After": "1"}, path=PATH))
    assert api_of(posthog).rows(EVENTS, "events") == []
    first, second = posthog.controls.requests
    assert second.at - first.at >= 1.0


def test_a_retry_after_of_nothing_is_no_reason_not_to_wait(posthog: PostHog) -> None:
    busy = Reply(status=503, headers={"Retry-After": "0"}, path=PATH)
    posthog.controls.reply_next(*[busy] * 1_000)
    with pytest.raises(BusyError, match="busy"):
        api_of(posthog, seconds=2).rows(EVENTS, "events")
    assert len(posthog.controls.requests) < 20, "its own backoff counts where that is longer"


@pytest.mark.parametrize(
    "asked", ["86400", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 01 Jan 99999 00:00:00 GMT"]
)
def test_a_retry_after_without_end_ends_with_max_retry_seconds(posthog: PostHog, asked: str) -> None:
    posthog.controls.reply_next(*[Reply(status=429, headers={"Retry-After": asked}, path=PATH)] * 1_000)
    with pytest.raises(BusyError, match="busy"):
        api_of(posthog, seconds=1).rows(EVENTS, "events")
    assert len(posthog.controls.requests) < 20


def test_where_the_limit_is_reached_the_question_is_asked_again_when_posthog_says(posthog: PostHog) -> None:
    posthog.question_limit = RequestLimit(1, 100, at_once=3)
    began, seconds = datetime.now(timezone.utc), (0, 59, 61)  # of each question, from the first one on
    posthog.clock = lambda: began + timedelta(seconds=seconds[len(posthog.controls.requests) - 1])
    api = QueryApi("phx_sandbox", "1", posthog.url, max_retry_seconds=0.5)  # beside the limit's own time
    assert [api.rows(EVENTS, "events") for _ in range(2)] == [[], []]
    _, refused, answered = posthog.controls.requests
    assert answered.at - refused.at >= 1.0


def test_a_limit_that_lasts_longer_than_any_says_at_once_when_to_go_on(posthog: PostHog) -> None:
    api = QueryApi("phx_sandbox", "1", posthog.url, max_retry_seconds=900)
    posthog.controls.reply_next(*[Reply(status=429, headers={"Retry-After": "3601"}, path=PATH)] * 2)
    with pytest.raises(BusyError) as busy:
        api.rows(EVENTS, "events")
    said = re.search(
        r"share 240 questions a minute and 2,400 an hour; run the command again after (.*) UTC$", str(busy.value)
    )
    assert said
    after = datetime.fromisoformat(said[1]).replace(tzinfo=timezone.utc) - datetime.now(timezone.utc)
    assert timedelta(minutes=55) < after <= timedelta(seconds=3_601)
    assert len(posthog.controls.requests) == 1


def test_a_posthog_that_stays_busy_is_given_up(posthog: PostHog) -> None:
    posthog.controls.reply_next(Reply(status=503, path=PATH))
    with pytest.raises(BusyError, match="busy"):
        api_of(posthog, seconds=0).rows(EVENTS, "events")


@pytest.mark.parametrize(
    ("key", "project", "setting"),
    [("phx_wrong", "1", "`personal_api_key`: .* doesn't know it"), ("phx_sandbox", "7", "`project_id`.* .HTTP 403")],
)
def test_a_wrong_key_or_project_is_named_and_never_the_key(
    posthog: PostHog, key: str, project: str, setting: str
) -> None:
    with pytest.raises(RunError, match=setting) as refused:
        api_of(posthog, key, project).rows(EVENTS, "events")
    assert "phx_wrong" not in str(refused.value)


@pytest.mark.parametrize("reply", [Reply(status=200, body="<html>"), Reply(status=200, body="{}"), Reply(status=400)])
def test_an_answer_that_is_none_is_refused(posthog: PostHog, reply: Reply) -> None:
    posthog.controls.reply_next(reply)
    with pytest.raises(RunError, match="doesn't answer as PostHog's query API does"):
        api_of(posthog).rows(EVENTS, "events")


def test_the_key_follows_no_redirect(posthog: PostHog) -> None:
    posthog.controls.reply_next(Reply(status=302, headers={"Location": f"{posthog.url}/elsewhere"}, path=PATH))
    with pytest.raises(RunError):
        api_of(posthog).rows(EVENTS, "events")
    assert [one.path for one in posthog.controls.requests] == ["/api/projects/1/query/"]
