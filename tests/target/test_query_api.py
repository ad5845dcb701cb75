"""Questions to PostHog over real HTTP, answered by the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from sandbox.controls import Reply
from target_posthog.errors import BusyError, RunError
from target_posthog.posthog.query_api import QueryApi
from tests.posthog_events import event, send

if TYPE_CHECKING:
    from sandbox.posthog import PostHog

PATH = "/query/"


def api_of(posthog: PostHog, key: str = "phx_sandbox", project: str = "1", seconds: float = 60) -> QueryApi:
    return QueryApi(key, project, posthog.url, max_retry_seconds=seconds)


def test_rows_come_as_lists(posthog: PostHog) -> None:
    send(posthog, event(1, "sale"), event(2, "sale"), event(3, "other"))
    rows = api_of(posthog).rows("select event, count() as events from events group by event order by event")
    assert list(rows) == [["other", 1], ["sale", 2]]


def test_those_events_are_named_that_posthog_has(posthog: PostHog) -> None:
    send(posthog, event(1), event(2))
    ours = [str(UUID(int=number)) for number in range(1, 1_500)]
    assert api_of(posthog).events_known([ours[0].upper(), *ours, "'no uuid"]) == set(ours[:2])
    assert sum(PATH in one.path for one in posthog.controls.requests) == 2, "a thousand in one question"


def test_answers_are_taken_page_by_page(posthog: PostHog) -> None:
    full = '{"results": [' + ", ".join("[1]" for _ in range(50_000)) + "]}"
    posthog.controls.reply_next(
        Reply(status=200, body=full, path=PATH), Reply(status=200, body='{"results": [[2]]}', path=PATH)
    )
    assert sum(1 for _ in api_of(posthog).rows("select uuid from events order by uuid")) == 50_001
    assert b"limit 50000 offset 50000" in posthog.controls.requests[-1].body


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
    assert list(api_of(posthog).rows("select uuid from events")) == []
    assert len(posthog.controls.requests) == 3


def test_a_posthog_that_stays_busy_is_given_up(posthog: PostHog) -> None:
    posthog.controls.reply_next(Reply(status=503, path=PATH))
    with pytest.raises(BusyError, match="busy"):
        list(api_of(posthog, seconds=0).rows("select uuid from events"))


@pytest.mark.parametrize(
    ("key", "project", "setting"),
    [("phx_wrong", "1", "`personal_api_key`: .* doesn't know it"), ("phx_sandbox", "7", "`project_id`.* .HTTP 403")],
)
def test_a_wrong_key_or_project_is_named_and_never_the_key(
    posthog: PostHog, key: str, project: str, setting: str
) -> None:
    with pytest.raises(RunError, match=setting) as refused:
        list(api_of(posthog, key, project).rows("select uuid from events"))
    assert "phx_wrong" not in str(refused.value)


@pytest.mark.parametrize("reply", [Reply(status=200, body="<html>"), Reply(status=200, body="{}"), Reply(status=400)])
def test_an_answer_that_is_none_is_refused(posthog: PostHog, reply: Reply) -> None:
    posthog.controls.reply_next(reply)
    with pytest.raises(RunError, match="doesn't answer as PostHog's query API does"):
        list(api_of(posthog).rows("select uuid from events"))


def test_the_key_follows_no_redirect(posthog: PostHog) -> None:
    posthog.controls.reply_next(Reply(status=302, headers={"Location": f"{posthog.url}/elsewhere"}, path=PATH))
    with pytest.raises(RunError):
        list(api_of(posthog).rows("select uuid from events"))
    assert [one.path for one in posthog.controls.requests] == ["/api/projects/1/query/"]
