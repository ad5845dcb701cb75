"""The events that PostHog holds, page by page, asked of the sandbox over real HTTP."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from sandbox.controls import Reply
from target_posthog.books.arrived import sums
from target_posthog.books.entries import Properties
from target_posthog.errors import RunError
from target_posthog.posthog.query_api import QueryApi
from target_posthog.posthog.stored_events import Span, StoredEvent, rows_by_uuid, stored_events
from tests.posthog_events import event, send

if TYPE_CHECKING:
    from sandbox.posthog import PostHog

PATH = "/query/"
START = datetime(2026, 11, 1, tzinfo=timezone.utc)
TOO_MUCH = Reply(status=504, body='{"detail": "Query has hit the max execution time"}', path=PATH)


def read(posthog: PostHog, *names: str, days: int = 2, **more: Any) -> list[StoredEvent]:
    api = QueryApi("phx_sandbox", "1", posthog.url)
    return list(stored_events(api, names or ("sale",), START, START + timedelta(days=days), **more))


def asked(posthog: PostHog) -> list[str]:
    return [json.loads(one.body)["query"]["query"] for one in posthog.controls.requests if PATH in one.path]


def test_an_event_comes_with_its_copies_and_the_properties_of_the_last(posthog: PostHog) -> None:
    send(posthog, event(1, "sale", revenue=10, label="Zoë \"'\\"), event(2, "other"))
    send(posthog, event(1, "sale", revenue=20.5, label="Zoë \"'\\"))
    (one,) = read(posthog, properties=["revenue", "label", "nothing"])
    assert (one.uuid, one.distinct_id, one.copies) == ("00000000-0000-0000-0000-000000000001", "ada@x.io", 2)
    assert one.timestamp == "2026-11-01T10:00:01.000000Z"
    assert {name: str(value) for name, value in one.properties.items()} == {
        "revenue": "20.5",
        "label": "Zoë \"'\\",
        "nothing": "None",
    }


def test_pages_of_one_moment_lose_nothing(posthog: PostHog) -> None:
    send(posthog, *(event(number, "sale", at="2026-11-01T10:00:00Z") for number in range(1, 8)))
    send(posthog, *(event(number, "sale", at="2026-11-01T10:00:00Z") for number in range(3, 5)))
    found = read(posthog, page_rows=3)
    assert [int(one.uuid[-2:]) for one in found] == [1, 2, 3, 4, 5, 6, 7]
    assert sum(one.copies for one in found) == 9
    assert all("offset" not in question.lower() for question in asked(posthog))


def test_more_of_one_uuid_and_time_than_a_page_holds_is_said(posthog: PostHog) -> None:
    send(posthog, *(event(1, "sale", f"{number}@x.io") for number in range(3)))
    with pytest.raises(RunError, match="holds 3 events of one uuid at one time"):
        read(posthog, page_rows=3)


def test_a_time_that_is_too_much_is_halved_and_stays_so(posthog: PostHog) -> None:
    send(posthog, *(event(number, "sale", at=f"2026-11-0{number}T10:00:00Z") for number in (1, 2, 3, 4)))
    posthog.controls.reply_next(TOO_MUCH, TOO_MUCH)
    assert [one.timestamp[:10] for one in read(posthog, days=4)] == [f"2026-11-0{number}" for number in (1, 2, 3, 4)]
    assert len(asked(posthog)) == 2 + 4, "twice halved, four days are asked for one by one"


def test_sums_of_halves_are_added(posthog: PostHog) -> None:
    send(posthog, *(event(number, "sale", at=f"2026-11-01T{number:02}:00:00Z", revenue=0.1) for number in range(1, 24)))
    posthog.controls.reply_next(TOO_MUCH, TOO_MUCH)
    api = QueryApi("phx_sandbox", "1", posthog.url)
    found = sums(api, {"sale": Properties(("revenue",))}, "2026-11-01", "2026-11-01", ZoneInfo("UTC"))
    assert {
        key: ({name: str(amount) for name, amount in one.figures.items()}, one.number) for key, one in found.items()
    } == {("2026-11-01", "sale", "", ""): ({"revenue": "2.3"}, 23)}


def test_halving_has_an_end(posthog: PostHog) -> None:
    posthog.controls.reply_next(*[TOO_MUCH] * 40)
    with pytest.raises(RunError, match="can't answer even for the one second at 2026-11-01 00:00:00"):
        read(posthog)
    assert len(asked(posthog)) < 25
    posthog.controls.reset()


def test_those_events_are_counted_that_posthog_has(posthog: PostHog) -> None:
    send(posthog, event(1), event(2))
    send(posthog, event(2))
    ours = [event(number) for number in range(1, 1_500)]
    api = QueryApi("phx_sandbox", "1", posthog.url)
    found = rows_by_uuid(api, ours)
    assert found == {ours[0]["uuid"]: 1, ours[1]["uuid"]: 2}
    assert len(asked(posthog)) == 2, "a thousand in one question"
    assert "timestamp >= toDateTime('2026-11-01T00:00:00.000000Z') and timestamp < " in asked(posthog)[0]
    assert "event in ('seen')" in asked(posthog)[0]
    assert rows_by_uuid(api, []) == {}


def test_years_without_events_need_few_questions() -> None:
    span = Span(datetime(1970, 1, 1, tzinfo=timezone.utc), datetime(2100, 1, 1, tzinfo=timezone.utc))
    for _ in range(12):
        span.narrow("too much")
    windows = 0
    while span:
        span.advance(is_empty=True)
        windows += 1
    assert windows <= 13
