"""One batch reaches PostHog, or it is known why not: over real HTTP, answer by answer."""

from __future__ import annotations

import json
import logging
import socket
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import pytest
import stamina

from sandbox.controls import Reply
from target_posthog.errors import BusyError, RunError
from target_posthog.posthog.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.posthog import PostHog
    from target_posthog.mapping.event import Event

PROTOCOLS: list[Literal["v1", "batch"]] = ["v1", "batch"]


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(testing=True, attempts=8, cap=True):
        yield


def client_of(posthog: PostHog, protocol: str = "auto", **options: float) -> Client:
    return Client("phc_sandbox", posthog.url, protocol=protocol, **options)


def event(number: int, **changes: object) -> Event:
    made = {
        "event": "Order Completed",
        "distinct_id": f"jane{number}@example.com",
        "uuid": str(UUID(int=number + 1, version=5)),
        "timestamp": "2026-11-01T12:00:00Z",
        "properties": {"number": number, "$ignore_sent_at": True},
    }
    return {**made, **changes}  # type: ignore[return-value]  # a test may make a wrong one


def kept(posthog: PostHog) -> list[int]:
    return sorted(one["properties"]["number"] for one in posthog.events())


def posts(posthog: PostHog) -> list[str]:
    return [one.path for one in posthog.controls.requests]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("historical", [True, False])
def test_a_batch_is_delivered_with_its_uuids_and_times(posthog: PostHog, protocol: str, historical: bool) -> None:  # noqa: FBT001  # a parameter of the table
    events = [event(number) for number in range(3)]
    assert client_of(posthog, protocol).send(events, historical=historical) == {}
    found = posthog.events()
    assert [one["uuid"] for one in found] == [one["uuid"] for one in events]
    assert {(one["timestamp"], one["historical"]) for one in found} == {("2026-11-01T12:00:00Z", historical)}


@pytest.mark.parametrize("v1", ["missing", "unconfigured"])
def test_a_server_without_v1_gets_batches(posthog: PostHog, v1: Literal["missing", "unconfigured"]) -> None:
    posthog.v1 = v1
    client = client_of(posthog)
    assert client.send([event(1)], historical=False) == {}
    assert client.send([event(2)], historical=False) == {}
    assert posts(posthog) == ["/i/v1/analytics/events", "/batch/", "/batch/"]
    assert kept(posthog) == [1, 2]


def test_a_404_after_v1_has_worked_is_not_taken_for_a_server_without_v1(posthog: PostHog) -> None:
    client = client_of(posthog)
    client.send([event(1)], historical=False)
    posthog.controls.reply_next(Reply(status=404))
    with pytest.raises(RunError, match="`host`"):
        client.send([event(2)], historical=False)
    assert "/batch/" not in posts(posthog)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_posthog_is_tried_again_with_the_same_events(posthog: PostHog, protocol: str, status: int) -> None:
    posthog.controls.reply_next(Reply(status=status, headers={"Retry-After": "3"}), Reply(status=status))
    client = client_of(posthog, protocol)
    assert client.send([event(1), event(2)], historical=False) == {}
    assert kept(posthog) == [1, 2]
    assert (client.requests, client.retries) == (3, 2)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_connection_cut_after_the_server_took_the_batch_leaves_copies_that_posthog_merges(
    posthog: PostHog, protocol: str
) -> None:
    posthog.controls.reply_next(Reply(cut=True))
    assert client_of(posthog, protocol).send([event(1), event(2)], historical=False) == {}
    assert kept(posthog) == [1, 1, 2, 2]
    assert posthog.merge() == 2
    assert kept(posthog) == [1, 2]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("body", ["<html>Welcome to the airport</html>", "", "[]", '{"hello": 1}'])
def test_a_200_that_is_not_posthogs_is_no_acknowledgement(posthog: PostHog, protocol: str, body: str) -> None:
    posthog.controls.reply_next(Reply(status=200, body=body))
    assert client_of(posthog, protocol).send([event(1)], historical=False) == {}
    assert kept(posthog) == [1]
    assert len(posts(posthog)) == 2


def test_only_the_events_that_posthog_wants_again_are_sent_again(posthog: PostHog) -> None:
    events = [event(number) for number in range(3)]
    posthog.verdicts = {events[1]["uuid"]: ["retry", "retry", "ok"]}
    client = client_of(posthog, "v1")
    assert client.send(events, historical=False) == {}
    assert kept(posthog) == [0, 1, 2]
    assert client.requests == 3


def test_refused_events_are_named_and_the_others_delivered(posthog: PostHog) -> None:
    events = [event(number) for number in range(4)]
    posthog.verdicts = {
        events[0]["uuid"]: ["drop:event_too_big"],
        events[1]["uuid"]: ["retry", "drop:invalid_options"],
        events[2]["uuid"]: ["retry", "ok"],
    }
    assert client_of(posthog, "v1").send(events, historical=False) == {
        events[0]["uuid"]: "event_too_big",
        events[1]["uuid"]: "invalid_options",
    }
    assert kept(posthog) == [2, 3]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_batch_with_one_bad_event_is_halved_until_it_is_found(posthog: PostHog, protocol: str) -> None:
    events = [event(number) for number in range(9)]
    events[5] = event(5, event="")
    refused = client_of(posthog, protocol).send(events, historical=False)
    assert list(refused) == [events[5]["uuid"]]
    assert kept(posthog) == [0, 1, 2, 3, 4, 6, 7, 8]
    assert {one["uuid"] for one in posthog.events()} == {one["uuid"] for one in events} - set(refused)


def test_a_413_is_halved_and_leaves_copies_of_what_stood_before_the_large_one(posthog: PostHog) -> None:
    posthog.largest_event_bytes = 2_000
    events = [event(number) for number in range(4)]
    events[2] = event(2, properties={"number": 2, "$ignore_sent_at": True, "note": "x" * 5_000})
    refused = client_of(posthog, "batch").send(events, historical=False)
    assert refused == {events[2]["uuid"]: "HTTP 413: event exceeds the maximum size"}
    assert kept(posthog) == [0, 0, 1, 1, 3], "of /batch/ the events before it had been taken, 413 or not"
    posthog.merge()
    assert kept(posthog) == [0, 1, 3]


def test_a_billing_limit_ends_the_run(posthog: PostHog) -> None:
    posthog.billing_limit_reached = True
    with pytest.raises(RunError, match="billing limit"):
        client_of(posthog, "v1").send([event(1)], historical=False)
    posthog.billing_limit_reached = False
    posthog.controls.reply_next(Reply(status=200, body='{"status": 1, "quota_limited": ["events"]}'))
    with pytest.raises(RunError, match="billing limit"):
        client_of(posthog, "batch").send([event(1)], historical=False)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_key_that_is_refused_at_the_door_ends_the_run(posthog: PostHog, protocol: str) -> None:
    posthog.unknown_keys = "refused"
    with pytest.raises(RunError, match="`api_key`"):
        Client("phc_wrong", posthog.url, protocol=protocol).send([event(1)], historical=False)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("status", [301, 404, 415, 418])
def test_an_answer_that_no_posthog_gives_ends_the_run(posthog: PostHog, protocol: str, status: int) -> None:
    posthog.controls.reply_next(Reply(status=status), Reply(status=status))
    with pytest.raises(RunError, match="`host`"):
        client_of(posthog, protocol).send([event(1)], historical=False)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_waiting_ends_with_a_sentence(posthog: PostHog, protocol: str) -> None:
    posthog.controls.reply_next(*[Reply(status=503)] * 20)
    with pytest.raises(BusyError, match=r"has taken no events for 5 seconds \(HTTP 503\); run again"):
        client_of(posthog, protocol, max_retry_seconds=5).send([event(1)], historical=False)


def test_without_time_to_wait_nothing_is_tried_again(posthog: PostHog) -> None:
    posthog.controls.reply_next(Reply(status=503))
    with pytest.raises(BusyError):
        client_of(posthog, "v1", max_retry_seconds=0).send([event(1)], historical=False)
    assert len(posts(posthog)) == 1


def test_retry_after_is_heeded_within_limits(posthog: PostHog) -> None:
    client = client_of(posthog, max_retry_seconds=900)
    assert client._wait(BusyError("x", retry_after=60)) == 60  # noqa: SLF001  # the one place where waiting is decided
    assert client._wait(BusyError("x", retry_after=86_400)) == 300  # noqa: SLF001  # the same
    assert client._wait(BusyError("x")) is True  # noqa: SLF001  # the same
    assert client._wait(RunError("x")) is False  # noqa: SLF001  # the same


def test_the_key_is_checked(posthog: PostHog) -> None:
    client_of(posthog).check_key()
    with pytest.raises(RunError, match=r"`api_key`: PostHog at http://127\.0\.0\.1:\d+ doesn't know it"):
        Client("phc_wrong", posthog.url).check_key()


@pytest.mark.parametrize("status", [404, 429, 503])
def test_a_key_that_cannot_be_checked_now_does_not_end_the_run(posthog: PostHog, status: int) -> None:
    posthog.controls.reply_next(*[Reply(status=status)] * 4)
    client_of(posthog).check_key()


def test_a_host_that_is_no_posthog_is_named(posthog: PostHog) -> None:
    posthog.controls.reply_next(Reply(status=200, body="<html>"))
    with pytest.raises(RunError, match=r"`host`: .* answers, but not as a PostHog does"):
        client_of(posthog).check_key()


def test_a_host_that_cannot_be_reached_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]  # taken, so nobody else is given it, and nobody listens
        with pytest.raises(RunError, match=f"`host`: http://127.0.0.1:{port} can't be reached"):
            Client("phc_sandbox", f"http://127.0.0.1:{port}").check_key()
    with pytest.raises(RunError, match=r"`host`: .* can't be reached"):
        Client("phc_sandbox", "http://nowhere.invalid").check_key()


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("us.i.posthog.com", "https://us.i.posthog.com"),
        ("https://us.posthog.com/", "https://us.i.posthog.com"),
        ("https://app.posthog.com", "https://us.i.posthog.com"),
        ("https://eu.posthog.com", "https://eu.i.posthog.com"),
        ("https://eu.i.posthog.com/", "https://eu.i.posthog.com"),
        ("http://posthog.my-shop.com:8000/", "http://posthog.my-shop.com:8000"),
    ],
)
def test_a_host_can_be_given_in_its_usual_forms(host: str, reached: str) -> None:
    assert Client("phc_x", host).host == reached


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_neither_key_nor_events_are_logged_at_any_level(
    posthog: PostHog, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    posthog.controls.reply_next(
        Reply(status=503, body="jane1@example.com is busy"), Reply(status=400, body="jane1@example.com")
    )
    refused = client_of(posthog, protocol).send([event(1)], historical=False)
    assert "trying again" in caplog.text
    for text in (caplog.text, json.dumps(refused)):
        assert "jane" not in text
        assert "phc_" not in text
