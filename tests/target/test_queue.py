"""Events wait, then leave in order."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, NoReturn
from uuid import UUID

import pytest
import stamina
from flask import request

from sandbox.controls import Reply
from target_posthog.delivery.queue import MOST_EVENTS_WAITING, Queue
from target_posthog.delivery.sending import Pace
from target_posthog.delivery.summary import Summary
from target_posthog.errors import RunError
from target_posthog.posthog.client import Client, UndecidedError
from target_posthog.receipts.sifter import Candidate
from target_posthog.settings import historical_per_second
from tests.waiting import LONGEST_WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandbox.posthog import PostHog
    from target_posthog.mapping.event import Event
    from target_posthog.mapping.language.functions import JSON


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(testing=True, attempts=8, cap=True):
        yield


def event(number: int, timestamp: str = "2020-01-01T12:00:00Z", who: str = "jane", **properties: JSON) -> Event:
    return {
        "event": "Order Completed",
        "distinct_id": who,
        "uuid": str(UUID(int=number + 1, version=5)),
        "timestamp": timestamp,
        "properties": {"number": number, "$ignore_sent_at": True, **properties},
    }


class Refusals(list[tuple[object, str]]):
    def __call__(self, origin: object, reason: str) -> None:
        self.append((origin, reason))


def add(delivery: Queue, events: Iterable[Event], source: object) -> None:
    delivery.add(Candidate(one, "Order Completed", None, source) for one in events)


def delivery_of(posthog: PostHog, **options: JSON) -> tuple[Queue, Summary, Refusals]:
    summary, refusals = Summary(), Refusals()
    return Queue(Client("phc_sandbox", posthog.url), summary, refusals, **options), summary, refusals


def test_nothing_is_sent_before_the_flush_and_everything_is_taken_after_it(posthog: PostHog) -> None:
    delivery, summary, _ = delivery_of(posthog, senders=3)
    for number in range(1_200):
        add(delivery, [event(number, who=f"jane{number % 50}")], None)
    assert posthog.controls.requests == []
    delivery.flush()
    assert sorted(one["properties"]["number"] for one in posthog.events()) == list(range(1_200))
    assert summary.accepted == {"Order Completed": 1_200}
    delivery.flush()
    assert summary.accepted == {"Order Completed": 1_200}


def test_one_part_is_under_way_while_the_next_one_is_taken(posthog: PostHog) -> None:
    delivery, summary, _ = delivery_of(posthog)
    posthog.controls.reply_next(Reply(delay_seconds=0.5))
    add(delivery, [event(1)], None)
    delivery.dispatch()
    assert summary.accepted.total() == 0
    add(delivery, [event(2)], None)
    delivery.dispatch()
    assert summary.accepted.total() == 1
    delivery.settle()
    assert [one["properties"]["number"] for one in posthog.events()] == [1, 2]
    assert summary.accepted.total() == 2


def test_what_became_of_one_part_is_said_before_the_next_one_leaves(posthog: PostHog) -> None:
    delivery, _, _ = delivery_of(posthog)
    posthog.controls.reply_next(Reply(status=402))
    add(delivery, [event(1)], None)
    delivery.dispatch()
    add(delivery, [event(2)], None)
    with pytest.raises(RunError, match="billing limit"):
        delivery.dispatch()
    assert len(posthog.controls.requests) == 1


def test_it_is_full_after_so_many_events_or_bytes(posthog: PostHog) -> None:
    delivery, _, _ = delivery_of(posthog)
    add(delivery, [event(number) for number in range(MOST_EVENTS_WAITING - 1)], None)
    assert not delivery.is_full
    add(delivery, [event(MOST_EVENTS_WAITING)], None)
    assert delivery.is_full
    delivery, _, _ = delivery_of(posthog)
    add(delivery, [event(number, note="x" * 80_000) for number in range(220)], None)
    assert delivery.is_full


def test_historical_events_travel_apart_and_oldest_first(posthog: PostHog) -> None:
    delivery, _, _ = delivery_of(posthog, senders=1)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    add(
        delivery,
        [event(1, now), event(2, "2020-03-01T00:00:00Z"), event(3, "2020-01-01T00:00:00Z"), event(4, now)],
        None,
    )
    delivery.flush()
    assert [(one["properties"]["number"], one["historical"]) for one in posthog.events()] == [
        (3, True),
        (2, True),
        (1, False),
        (4, False),
    ]


def test_person_properties_arrive_in_record_order_with_parallel_senders_and_retries(posthog: PostHog) -> None:
    delivery, _, _ = delivery_of(posthog, senders=4)
    for number in range(60):
        who = f"jane{number % 3}"
        add(delivery, [event(number, f"20{20 + number % 5}-01-01T00:00:00Z", who, **{"$set": {"last": number}})], None)
        add(delivery, [event(100 + number, who=who)], None)
    posthog.controls.reply_next(Reply(status=503), Reply(cut=True), Reply(status=429), Reply(cut=True))
    delivery.flush()
    last = {one["distinct_ids"][0]: one["properties"]["last"] for one in posthog.persons()}
    assert last == {"jane0": 57, "jane1": 58, "jane2": 59}


def test_a_refused_event_comes_back_with_its_origin_and_the_rest_is_counted(posthog: PostHog) -> None:
    delivery, summary, refusals = delivery_of(posthog)
    bad = event(2)
    posthog.verdicts = {bad["uuid"]: ["drop:event_too_big"]}
    for number in (1, 2, 3):
        add(delivery, [event(number)], f"record {number}")
    delivery.flush()
    assert refusals == [("record 2", "PostHog refuses its event `Order Completed` (event_too_big)")]
    assert (summary.accepted["Order Completed"], summary.refused["Order Completed"]) == (2, 1)


def test_a_posthog_that_refuses_every_event_ends_the_run_though_there_are_dead_letters(posthog: PostHog) -> None:
    delivery, _, refusals = delivery_of(posthog, senders=1)
    add(delivery, [event(number) for number in range(10)], "a record")
    posthog.verdicts = {"Order Completed": ["drop:event_restriction_drop"] * 10}
    with pytest.raises(RunError, match="refuses each of 10 events \\(event_restriction_drop\\)"):
        delivery.flush()
    assert refusals == []


def test_an_event_too_large_is_refused_before_it_is_sent(posthog: PostHog) -> None:
    delivery, summary, refusals = delivery_of(posthog)
    add(delivery, [event(1, note="x" * 1_000_000)], "the record")
    delivery.flush()
    assert refusals == [("the record", "its event `Order Completed` is larger than PostHog takes")]
    assert posthog.controls.requests == []
    assert summary.refused["Order Completed"] == 1


def test_repeated_events_are_sent_once_and_counted(posthog: PostHog) -> None:
    delivery, summary, _ = delivery_of(posthog)
    add(delivery, [event(1, total=1), event(1, total=2)], None)
    delivery.flush()
    (found,) = posthog.events()
    assert found["properties"]["total"] == 2
    assert (summary.accepted["Order Completed"], summary.repeated["Order Completed"]) == (1, 1)


def test_a_lane_that_fails_ends_the_flush_after_what_the_others_delivered_is_counted(posthog: PostHog) -> None:
    delivery, summary, _ = delivery_of(posthog, senders=4)
    add(delivery, [event(number, who=f"jane{number}") for number in range(40)], None)
    posthog.controls.reply_next(Reply(status=402))
    with pytest.raises(RunError, match="billing limit"):
        delivery.flush()
    assert summary.accepted["Order Completed"] == len(posthog.events()) < 40


def test_a_posthog_that_stays_busy_ends_the_flush(posthog: PostHog) -> None:
    delivery, summary, _ = delivery_of(posthog, senders=1)
    add(delivery, [event(1)], None)
    posthog.controls.reply_next(*[Reply(status=503)] * 20)
    with pytest.raises(UndecidedError, match="has taken no events"):
        delivery.flush()
    assert summary.accepted.total() == 0


def test_the_brake_stops_before_more_events_than_allowed_are_sent(posthog: PostHog) -> None:
    delivery, _, _ = delivery_of(posthog, max_events=3)
    add(delivery, [event(1), event(2)], None)
    delivery.flush()
    add(delivery, [event(3), event(4)], None)
    with pytest.raises(
        RunError, match="`max_events`: this run would send more than 3 events to PostHog; it has stopped after 2"
    ):
        delivery.flush()
    assert len(posthog.events()) == 2


def test_a_back_fill_keeps_below_its_speed() -> None:
    clock = [100.0]
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock[0] += seconds

    pace = Pace(1_000, now=lambda: clock[0], wait=wait)
    for events in (500, 500, 250):
        pace.wait_for(events)
    clock[0] += 60
    pace.wait_for(500)
    assert waits == [0, 0.5, 0.5, 0]


@pytest.mark.parametrize("unlimited", [None, 0])
def test_without_a_limit_nothing_waits(unlimited: float | None) -> None:
    Pace(unlimited, wait=pytest.fail).wait_for(1_000_000)


def test_live_events_do_not_wait_for_the_pace_of_a_back_fill(posthog: PostHog) -> None:
    delivery, _, _ = delivery_of(posthog, historical_per_second=0.0001)
    for number in range(3):
        add(delivery, [event(number, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))], None)
        delivery.flush()
    assert len(posthog.events()) == 3


def test_a_refusal_that_ends_the_run_hides_nothing_that_was_delivered_beside_it(posthog: PostHog) -> None:
    def stop(origin: object, reason: str) -> NoReturn:  # noqa: ARG001  # as the target calls it
        raise RunError(reason)

    summary = Summary()
    delivery = Queue(Client("phc_sandbox", posthog.url), summary, stop, senders=4)
    events = [event(number, who=f"jane{number}") for number in range(40)]
    posthog.verdicts = {one["uuid"]: ["drop:event_too_big"] for one in events[::8]}
    add(delivery, events, None)
    with pytest.raises(RunError, match="event_too_big"):
        delivery.flush()
    assert summary.accepted.total() == len(posthog.events()) == 35


def test_senders_that_find_no_v1_at_the_same_time_all_fall_back(posthog: PostHog) -> None:
    posthog.v1, meeting = "missing", threading.Barrier(4)

    def meet() -> None:
        if request.path.startswith("/i/v1"):
            meeting.wait(LONGEST_WAIT_SECONDS)

    posthog.app.before_request(meet)
    delivery, summary, refusals = delivery_of(posthog, senders=4)
    add(delivery, [event(number, who=f"jane{number}") for number in range(100)], None)
    delivery.flush()
    assert (summary.accepted.total(), refusals) == (100, [])
    assert sorted(one.path for one in posthog.controls.requests) == [*["/batch/"] * 4, *["/i/v1/analytics/events"] * 4]


def test_many_senders_keep_their_connections(posthog: PostHog, caplog: pytest.LogCaptureFixture) -> None:
    delivery, summary, _ = delivery_of(posthog, senders=24)
    for number in range(600):
        add(delivery, [event(number, who=f"jane{number}")], None)
    delivery.flush()
    assert summary.accepted.total() == 600
    assert "pool" not in caplog.text


def test_progress_is_said_in_a_line_with_the_speed_and_not_too_often(
    posthog: PostHog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for seconds, said in ((0.0, 2), (3_600.0, 0)):
        caplog.clear()
        delivery, _, _ = delivery_of(posthog, seconds_between_progress=seconds)
        for number in range(2):
            add(delivery, [event(number)], None)
            delivery.flush()
        lines = [
            line
            for line in caplog.messages
            if re.fullmatch(r"\d event.* accepted by PostHog so far, .* a second", line)
        ]
        assert len(lines) == said


@pytest.mark.parametrize(
    ("chosen", "host", "limit"),
    [
        (None, "https://eu.i.posthog.com", 2_000),
        (None, "https://posthog.my-shop.com", None),
        (None, "https://posthog.com.my-shop.com", None),
        (500, "https://us.i.posthog.com", 500),
        (0, "https://us.i.posthog.com", 0),
        (500, "http://127.0.0.1:8000", 500),
    ],
)
def test_a_back_fill_is_as_fast_as_posthog_asks_on_its_cloud_and_unlimited_elsewhere(
    chosen: int | None, host: str, limit: int | None
) -> None:
    assert historical_per_second(chosen, host) == limit
