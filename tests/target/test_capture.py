"""Capture V1 as PostHog's own library speaks it, but with a verdict for each event."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import stamina
import zstandard
from posthog.capture_mode import CaptureMode
from posthog.consumer import Consumer

from sandbox.controls import Reply
from target_posthog.posthog.answers import AnswerError
from target_posthog.posthog.capture import CaptureBatch, CaptureV1, Envelope, Verdicts, as_v1
from target_posthog.posthog.client import Client, UndecidedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sandbox.controls import SeenRequest
    from sandbox.posthog import PostHog
    from target_posthog.mapping.event import Event

ODD_PROPERTIES: list[dict[str, Any]] = [
    {},
    {"$ignore_sent_at": True, "$process_person_profile": False, "$session_id": "s", "$window_id": "w"},
    {"$lib": "x", "$lib_version": "1", "$set": {"a": None}, "$groups": {"shop": "s"}, "$cookieless_mode": False},
    {"$product_tour_id": "t", "text": "ä\u2028\U0001f600", "list": [1, 2.5, "x", None], "big": 2**53, "small": 1e-7},
    {"$session_id": 5, "$product_tour_id": 7, "$geoip_disable": True, "not a number": float("nan")},
]


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(testing=True, attempts=8, cap=True):
        yield


def event(number: int, properties: dict[str, Any]) -> Event:
    return {
        "event": "Order Completed",
        "distinct_id": f"jane{number}@example.com",
        "uuid": str(UUID(int=number + 1, version=5)),
        "timestamp": "2026-11-01T12:00:00+00:00",
        "properties": properties,
    }


EVENTS = [event(number, properties) for number, properties in enumerate(ODD_PROPERTIES)]


def body_of(request: SeenRequest) -> dict[str, Any]:
    body = request.body
    packed = request.headers.get("Content-Encoding") == "zstd"
    decoded: dict[str, Any] = json.loads(
        zstandard.ZstdDecompressor().decompressobj().decompress(body) if packed else body
    )
    return decoded


def post(posthog: PostHog, events: Sequence[Event] = EVENTS, *, historical: bool = False) -> Verdicts:
    capture = CaptureV1("phc_sandbox", posthog.url)
    return capture.post(events, Envelope(historical), attempt=1, timeout_seconds=10)


@pytest.mark.parametrize("historical", [False, True])
def test_a_request_says_what_posthogs_library_says(posthog: PostHog, *, historical: bool) -> None:
    Consumer(
        None, "phc_sandbox", host=posthog.url, capture_mode=CaptureMode.V1, historical_migration=historical
    ).request(EVENTS)  # type: ignore[no-untyped-call]  # the library has no types for it
    post(posthog, historical=historical)
    theirs, ours = posthog.controls.requests
    their_body, our_body = body_of(theirs), body_of(ours)
    assert len(their_body.pop("created_at")) == len(our_body.pop("created_at"))
    assert our_body == their_body
    assert (ours.method, ours.path, ours.query) == (theirs.method, theirs.path, theirs.query)
    assert set(ours.headers) - {"Content-Encoding"} == set(theirs.headers)
    assert ours.headers["Authorization"] == theirs.headers["Authorization"] == "Bearer phc_sandbox"


def test_an_event_stays_as_it_was() -> None:
    properties = {"$session_id": "s", "$ignore_sent_at": True, "a": 1}
    made = event(1, properties)
    assert as_v1(made)["properties"] == {"a": 1}
    assert made == event(1, {"$session_id": "s", "$ignore_sent_at": True, "a": 1})


def test_the_events_carry_the_targets_name(posthog: PostHog) -> None:
    post(posthog, EVENTS[:1])
    (kept,) = posthog.events()
    assert kept["properties"]["$lib"] == "target-posthog"


def test_an_event_without_a_verdict_is_to_be_sent_again(posthog: PostHog) -> None:
    first, second, *others = (one["uuid"] for one in EVENTS)
    said = {first: {"result": "ok"}, second: {"result": "drop", "details": "event_too_big"}, others[0]: "what"}
    posthog.controls.reply_next(Reply(status=200, body=json.dumps({"results": said}), headers={"Retry-After": "7"}))
    verdicts = post(posthog)
    assert verdicts == ({second: "event_too_big"}, others, [], {}, 7.0)


def test_the_client_asks_until_there_is_a_verdict_on_each_event(posthog: PostHog) -> None:
    said = {one["uuid"]: {"result": "ok"} for one in EVENTS[1:]}
    posthog.controls.reply_next(Reply(status=200, body=json.dumps({"results": said})))
    client = Client("phc_sandbox", posthog.url, protocol="v1")
    assert client.send(EVENTS, historical=False).refused == {}
    assert [one["uuid"] for one in posthog.events()] == [EVENTS[0]["uuid"]]  # the others the queued answer took
    never = Reply(status=200, body='{"results": {}}')
    posthog.controls.reply_next(*[never] * 20)
    with pytest.raises(UndecidedError, match="it wants 5 of the events again"):
        client.send(EVENTS, historical=False)


@pytest.mark.parametrize("body", ["", "[]", '{"results": [1]}', '{"status": 1}', "\udcff"])
def test_an_answer_without_results_is_none(posthog: PostHog, body: str) -> None:
    posthog.controls.reply_next(Reply(status=200, body=body.encode("utf-8", "replace").decode()))
    with pytest.raises(AnswerError):
        post(posthog)


@pytest.mark.parametrize(("said", "seconds"), [("3", 3.0), ("soon", None), ("", None)])
def test_retry_after_is_read_where_it_can_be(posthog: PostHog, said: str, seconds: float | None) -> None:
    posthog.controls.reply_next(Reply(status=429, headers={"Retry-After": said}))
    with pytest.raises(AnswerError) as busy:
        post(posthog)
    assert busy.value.retry_after == seconds


@pytest.mark.parametrize("protocol", [CaptureV1, CaptureBatch])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_is_not_followed(posthog: PostHog, protocol: type[CaptureV1 | CaptureBatch], status: int) -> None:
    posthog.controls.reply_next(Reply(status=status, headers={"Location": f"{posthog.url}/elsewhere"}))
    attempt = {"attempt": 1} if protocol is CaptureV1 else {}
    capture: Any = protocol("phc_sandbox", posthog.url)
    with pytest.raises(AnswerError) as refused:
        capture.post(EVENTS, Envelope(historical=False), timeout_seconds=10, **attempt)
    assert refused.value.status == status
    assert len(posthog.controls.requests) == 1


def test_the_key_is_the_projects_whatever_netrc_says(
    posthog: PostHog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    post(posthog, EVENTS[:1])
    assert posthog.controls.requests[0].headers["Authorization"] == "Bearer phc_sandbox"
