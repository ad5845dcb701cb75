"""One batch reaches PostHog, or it is known why not: over real HTTP, answer by answer."""

from __future__ import annotations

import itertools
import json
import logging
import re
import socket
import socketserver
import ssl
import threading
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import pytest
import stamina
import trustme
import zstandard

from sandbox.controls import Reply
from target_posthog.errors import BusyError, RunError
from target_posthog.posthog.client import DEFAULT_HOST, Client, UndecidedError, _UnderWay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


class CloudProxy(socketserver.ThreadingTCPServer):
    """A proxy by which PostHog's cloud is reached: its TLS ends here, and the sandbox's PostHog answers for it."""

    daemon_threads = True

    def __init__(self, posthog: PostHog, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _ToCloud)
        self.context, self.port = context, int(posthog.url.rpartition(":")[2])


class _ToCloud(socketserver.StreamRequestHandler):
    server: CloudProxy

    def handle(self) -> None:
        for line in self.rfile:
            if line == b"\r\n":
                break
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with (
            self.server.context.wrap_socket(self.connection, server_side=True) as outside,
            outside.makefile("rb") as asked,
            socket.create_connection(("127.0.0.1", self.server.port)) as inside,
        ):
            head = b"".join(iter(asked.readline, b"\r\n"))
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            head = re.sub(rb"(?i)host: \S+", b"Host: 127.0.0.1", head)  # the sandbox answers to no other name
            inside.sendall(head + b"\r\n" + asked.read(int(length[1]) if length else 0))
            while answer := inside.recv(65_536):
                outside.sendall(answer)


@pytest.fixture
def cloud(posthog: PostHog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of PostHog's cloud; what is sent there arrives at the fixture `posthog`."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(DEFAULT_HOST.removeprefix("https://")).configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with CloudProxy(posthog, context) as proxy:
        threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
        yield DEFAULT_HOST
        proxy.shutdown()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("historical", [True, False])
def test_a_batch_is_delivered_with_its_uuids_and_times(posthog: PostHog, protocol: str, historical: bool) -> None:  # noqa: FBT001  # a parameter of the table
    events = [event(number) for number in range(3)]
    assert client_of(posthog, protocol).send(events, historical=historical).refused == {}
    found = posthog.events()
    assert [one["uuid"] for one in found] == [one["uuid"] for one in events]
    assert {(one["timestamp"], one["historical"]) for one in found} == {("2026-11-01T12:00:00Z", historical)}


@pytest.mark.parametrize(("v1", "attempts_at_it"), [("missing", 1), ("unconfigured", 2)])
def test_a_server_without_v1_gets_batches(
    posthog: PostHog, v1: Literal["missing", "unconfigured"], attempts_at_it: int
) -> None:
    posthog.v1 = v1
    client = client_of(posthog)
    assert client.send([event(1)], historical=False).refused == {}
    assert client.send([event(2)], historical=False).refused == {}
    assert posts(posthog) == [*["/i/v1/analytics/events"] * attempts_at_it, "/batch/", "/batch/"]
    assert kept(posthog) == [1, 2]


def test_a_v1_that_has_worked_is_waited_for(posthog: PostHog) -> None:
    client = client_of(posthog)
    client.send([event(1)], historical=False)
    posthog.controls.reply_next(*[Reply(status=503)] * 4)
    client.send([event(2)], historical=False)
    assert "/batch/" not in posts(posthog)
    assert kept(posthog) == [1, 2]


def test_an_outage_of_posthogs_cloud_is_no_lack_of_v1(posthog: PostHog, cloud: str) -> None:
    """By `/batch/` a billing limit that is reached would stay hidden for the whole run."""
    posthog.controls.reply_next(*[Reply(status=503)] * 4)
    assert Client("phc_sandbox", cloud).send([event(1)], historical=False).refused == {}
    assert posts(posthog) == ["/i/v1/analytics/events"] * 5
    assert kept(posthog) == [1]


@pytest.mark.parametrize("protocol", ["auto", "batch"])
def test_what_batch_hides_is_said_once_where_it_is_used(
    posthog: PostHog, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    posthog.v1, posthog.billing_limit_reached = "missing", True
    client = client_of(posthog, protocol)
    for number in range(2):
        assert client.send([event(number)], historical=False).refused == {}, "PostHog has said Ok"
    assert kept(posthog) == []
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert "by /batch/, which acknowledges also what PostHog drops, as over a billing limit" in said[0]


def test_an_outage_of_a_server_without_batch_is_an_outage(posthog: PostHog) -> None:
    posthog.controls.reply_next(*[Reply(status=503, path="/i/v1")] * 3, *[Reply(status=404, path="/batch")] * 2)
    client = client_of(posthog)
    assert client.send([event(1)], historical=False).refused == {}
    assert posts(posthog)[-1] == "/i/v1/analytics/events"


@pytest.mark.parametrize("status", [400, 406, 415, 501])
@pytest.mark.parametrize("body", ["", "<html>", '{"error": "unsupported_encoding"}'])
def test_a_server_or_proxy_that_refuses_zstd_gets_gzip_from_then_on(posthog: PostHog, status: int, body: str) -> None:
    posthog.controls.reply_next(Reply(status=status, body=body))
    client = client_of(posthog)
    client.send([event(1)], historical=False)
    client.send([event(2)], historical=False)
    encodings = [one.headers["Content-Encoding"] for one in posthog.controls.requests]
    assert (encodings, kept(posthog)) == (["zstd", "gzip", "gzip"], [1, 2])


def test_id_and_time_of_a_batch_stay_over_its_attempts(posthog: PostHog) -> None:
    posthog.controls.reply_next(Reply(status=503), Reply(cut=True))
    posthog.verdicts = {event(1)["uuid"]: ["retry", "retry"]}  # one of them in the answer that is cut
    client = client_of(posthog, "v1")
    client.send([event(1), event(2)], historical=False)
    client.send([event(3)], historical=False)
    seen = [
        (one.headers["Posthog-Request-Id"], json.loads(zstandard.decompress(one.body))["created_at"])
        for one in posthog.controls.requests
    ]
    assert len(set(seen[:4])) == 1
    assert seen[4] != seen[0]
    assert [one.headers["Posthog-Attempt"] for one in posthog.controls.requests] == ["1", "2", "3", "4", "1"]


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
    assert client.send([event(1), event(2)], historical=False).refused == {}
    assert kept(posthog) == [1, 2]
    assert (client.requests, client.retries) == (3, 2)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_connection_cut_after_the_server_took_the_batch_leaves_copies_that_posthog_merges(
    posthog: PostHog, protocol: str
) -> None:
    posthog.controls.reply_next(Reply(cut=True))
    assert client_of(posthog, protocol).send([event(1), event(2)], historical=False).refused == {}
    assert kept(posthog) == [1, 1, 2, 2]
    assert posthog.merge() == 2
    assert kept(posthog) == [1, 2]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("body", ["<html>Welcome to the airport</html>", "", "[]", '{"hello": 1}'])
def test_a_200_that_is_not_posthogs_is_no_acknowledgement(posthog: PostHog, protocol: str, body: str) -> None:
    posthog.controls.reply_next(Reply(status=200, body=body))
    assert client_of(posthog, protocol).send([event(1)], historical=False).refused == {}
    assert kept(posthog) == [1]
    assert len(posts(posthog)) == 2


def test_only_the_events_that_posthog_wants_again_are_sent_again(posthog: PostHog) -> None:
    events = [event(number) for number in range(3)]
    posthog.verdicts = {events[1]["uuid"]: ["retry", "retry", "ok"]}
    client = client_of(posthog, "v1")
    assert client.send(events, historical=False).refused == {}
    assert kept(posthog) == [0, 1, 2]
    assert client.requests == 3


def test_refused_events_are_named_and_the_others_delivered(posthog: PostHog) -> None:
    events = [event(number) for number in range(4)]
    posthog.verdicts = {
        events[0]["uuid"]: ["drop:event_too_big"],
        events[1]["uuid"]: ["retry", "drop:invalid_options"],
        events[2]["uuid"]: ["retry", "ok"],
    }
    assert client_of(posthog, "v1").send(events, historical=False).refused == {
        events[0]["uuid"]: "event_too_big",
        events[1]["uuid"]: "invalid_options",
    }
    assert kept(posthog) == [2, 3]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_batch_with_one_bad_event_is_halved_until_it_is_found(posthog: PostHog, protocol: str) -> None:
    events = [event(number) for number in range(9)]
    events[5] = event(5, event="")
    refused = client_of(posthog, protocol).send(events, historical=False).refused
    assert list(refused) == [events[5]["uuid"]]
    assert kept(posthog) == [0, 1, 2, 3, 4, 6, 7, 8]
    assert {one["uuid"] for one in posthog.events()} == {one["uuid"] for one in events} - set(refused)


def test_a_413_is_halved_and_leaves_copies_of_what_stood_before_the_large_one(posthog: PostHog) -> None:
    posthog.largest_event_bytes = 2_000
    events = [event(number) for number in range(4)]
    events[2] = event(2, properties={"number": 2, "$ignore_sent_at": True, "note": "x" * 5_000})
    refused = client_of(posthog, "batch").send(events, historical=False).refused
    assert refused == {events[2]["uuid"]: "HTTP 413: event exceeds the maximum size"}
    assert kept(posthog) == [0, 0, 1, 1, 3], "of /batch/ the events before it had been taken, 413 or not"
    posthog.merge()
    assert kept(posthog) == [0, 1, 3]


def test_a_billing_limit_ends_the_run(posthog: PostHog) -> None:
    posthog.billing_limit_reached = True
    with pytest.raises(RunError, match="billing limit"):
        client_of(posthog, "v1").send([event(1)], historical=False)


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
    with pytest.raises(UndecidedError, match=r"has taken no events for 5 seconds \(HTTP 503\); run again"):
        client_of(posthog, protocol, max_retry_seconds=5).send([event(1)], historical=False)


def test_without_time_to_wait_nothing_is_tried_again(posthog: PostHog) -> None:
    posthog.controls.reply_next(Reply(status=503))
    with pytest.raises(UndecidedError):
        client_of(posthog, "v1", max_retry_seconds=0).send([event(1)], historical=False)
    assert len(posts(posthog)) == 1


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def waits(client: Client, attempts: int, error: Exception) -> list[bool | float]:
    """Ask the one place where waiting is decided after each of so many attempts at one batch."""
    under_way = _UnderWay({}, historical=False, ends_at=900.0)
    found = []
    for under_way.attempt in range(1, attempts + 1):
        found.append(client._wait(under_way, error))  # noqa: SLF001  # see above
    return found


def test_a_wait_is_the_larger_of_backoff_and_retry_after(posthog: PostHog) -> None:
    client = Client("phc_sandbox", posthog.url, now=Clock())
    growing = waits(client, 12, BusyError("x", retry_after=1))
    assert growing[0] == 1, "PostHog's floor"
    assert all(earlier <= later * 1.5 for earlier, later in itertools.pairwise(growing))
    assert all(30 <= seconds <= 45 for seconds in growing[-3:]), "not a request each second"
    assert waits(client, 1, BusyError("x", retry_after=60)) == [60]
    assert waits(client, 1, BusyError("x", retry_after=86_400)) == [300]
    assert waits(client, 1, RunError("x")) == [False]


def test_max_retry_seconds_hold_for_waiting_and_for_requests(posthog: PostHog) -> None:
    clock = Clock()
    client = Client("phc_sandbox", posthog.url, now=clock)
    under_way = _UnderWay({}, historical=False, ends_at=900.0)
    under_way.attempt = 5
    clock.seconds = 893.0
    assert client._wait(under_way, BusyError("x", retry_after=60)) == 7  # noqa: SLF001  # the one place
    assert client._timeout(under_way) == 7  # noqa: SLF001  # of a request, as it ends nowhere else
    clock.seconds = 900.0
    assert client._wait(under_way, BusyError("x")) is False  # noqa: SLF001  # the same


def test_an_outage_is_said_once_then_at_growing_intervals_and_its_end_once(
    posthog: PostHog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    client = Client("phc_sandbox", posthog.url, now=clock)
    for clock.seconds in range(0, 900, 30):
        client._wait(_UnderWay({}, historical=False, ends_at=9e9), BusyError("HTTP 503"))  # noqa: SLF001  # the one place
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warned == [
        "PostHog can't take events now (HTTP 503); waiting, then trying again",
        *(f"PostHog still takes no events after {seconds} s (HTTP 503)" for seconds in (60, 180, 420)),
    ]
    caplog.clear()
    client.send([event(1)], historical=False)
    client.send([event(2)], historical=False)
    assert [record.getMessage() for record in caplog.records] == ["PostHog takes events again, after 870 s"]


def test_a_dead_letter_of_the_future_is_one_of_batch_alone(posthog: PostHog) -> None:
    far = event(1, timestamp="2099-01-01T00:00:00Z")
    assert client_of(posthog, "v1").send([far], historical=False).refused == {}
    assert [one["timestamp"] for one in posthog.events()] == ["2099-01-01T00:00:00Z"], "as it is"
    refused = client_of(posthog, "batch").send([far, event(2)], historical=False).refused
    assert list(refused) == [far["uuid"]]
    assert "which `/batch/` doesn't keep" in refused[far["uuid"]]
    assert kept(posthog) == [1, 2]


@pytest.mark.parametrize("word", ["limited", "OK", "person@example.com has no quota"])
def test_a_verdict_of_another_word_acknowledges_nothing(posthog: PostHog, word: str) -> None:
    posthog.verdicts = {event(1)["uuid"]: [word]}
    with pytest.raises(RunError, match=r"`protocol`: .* of 1 events, a word that this version doesn't know") as raised:
        client_of(posthog).send([event(1), event(2)], historical=False)
    assert "person@" not in str(raised.value)
    assert len(posts(posthog)) == 1, "each attempt could make a copy"


def test_a_verdict_that_skips_the_person_is_told(posthog: PostHog) -> None:
    events = [event(number) for number in range(3)]
    posthog.verdicts = {events[0]["uuid"]: ["warning"], events[1]["uuid"]: ["ok:person_processing_disabled"]}
    sent = client_of(posthog).send(events, historical=False)
    assert sent == ({}, {events[0]["uuid"], events[1]["uuid"]})
    assert kept(posthog) == [0, 1, 2]


@pytest.mark.parametrize("body", ['{"status": "Okay"}', '{"status": 0}', '{"status": true}', '{"status": null}', "1"])
def test_a_batch_is_acknowledged_by_ok_or_1_alone(posthog: PostHog, body: str) -> None:
    posthog.controls.reply_next(Reply(status=200, body=body), Reply(status=200, body='{"status": 1}'))
    assert client_of(posthog, "batch").send([event(1)], historical=False).refused == {}
    assert len(posts(posthog)) == 2


def set_name(number: int, name: str, who: str = "jane", **others: object) -> Event:
    return event(number, event="$set", distinct_id=who, properties={"number": number, "$set": {"name": name}, **others})


def test_what_came_after_a_persons_change_comes_after_it_again(posthog: PostHog) -> None:
    events = [
        set_name(0, "old"),
        set_name(1, "new"),
        set_name(2, "other", "eve"),
        event(3, distinct_id="jane"),
        event(4, event="$identify", distinct_id="ada", properties={"number": 4, "$anon_distinct_id": "jane"}),
        set_name(5, "Ada", "ada"),
    ]
    posthog.verdicts = {events[0]["uuid"]: ["retry"]}
    client_of(posthog, "v1").send(events, historical=False)
    again = json.loads(zstandard.decompress(posthog.controls.requests[1].body))["batch"]
    assert [one["properties"]["number"] for one in again] == [0, 1, 4, 5], "Eve's and the fact have no part in it"
    names = {one: person["properties"].get("name") for person in posthog.persons() for one in person["distinct_ids"]}
    assert names["ada"] == "Ada"
    assert names["jane"] in {"new", "Ada"}


@pytest.mark.parametrize("status", [402, 429])
@pytest.mark.parametrize("protocol", ["v1", "auto"])
def test_a_billing_limit_is_known_by_its_word_whatever_the_status(
    posthog: PostHog, protocol: str, status: Literal[402, 429]
) -> None:
    posthog.billing_limit_reached, posthog.billing_limit_status = True, status
    with pytest.raises(RunError, match="billing limit"):
        client_of(posthog, protocol).send([event(1)], historical=False)
    assert len(posts(posthog)) == 1


def test_a_drop_for_the_billing_limit_makes_no_dead_letter(posthog: PostHog) -> None:
    posthog.verdicts = {"Order Completed": ["drop:billing_limit_exceeded"]}
    with pytest.raises(RunError, match="billing limit"):
        client_of(posthog, "v1").send([event(1)], historical=False)


@pytest.mark.parametrize(
    "reply",
    [Reply(status=429, body="billing limit reached"), Reply(status=200, body='{"status": 1, "quota_limited": ["x"]}')],
)
def test_words_for_the_billing_limit_that_batch_has_and_doesnt_use_for_events_are_known(
    posthog: PostHog, reply: Reply
) -> None:
    posthog.controls.reply_next(reply)
    with pytest.raises(RunError, match="billing limit"):
        client_of(posthog, "batch").send([event(1)], historical=False)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_403_is_somebody_elses_unless_it_speaks_of_the_key(posthog: PostHog, protocol: str) -> None:
    posthog.controls.reply_next(Reply(status=403, body="<html>Request blocked</html>"))
    with pytest.raises(RunError, match=r"`host`: .*\(HTTP 403.* firewall or proxy"):
        client_of(posthog, protocol).send([event(1)], historical=False)
    posthog.controls.reply_next(Reply(status=403, body='{"error": "invalid_api_token"}'))
    with pytest.raises(RunError, match="`api_key`"):
        client_of(posthog, protocol).send([event(1)], historical=False)


def test_a_refusal_shows_posthogs_word_and_not_its_sentence(posthog: PostHog) -> None:
    body = {"error": "invalid_event_uuid", "error_description": "jane@example.com is no uuid"}
    posthog.controls.reply_next(Reply(status=400, body=json.dumps(body)))
    refused = client_of(posthog, "v1").send([event(1)], historical=False).refused
    assert list(refused.values()) == ["HTTP 400: invalid_event_uuid"]


def test_the_check_of_the_key_follows_no_redirection(posthog: PostHog) -> None:
    posthog.controls.reply_next(Reply(status=307, headers={"Location": f"{posthog.url}/elsewhere"}))
    with pytest.raises(RunError, match=r"`host`: .* elsewhere"):
        client_of(posthog).check_key()
    assert posts(posthog) == ["/flags/"]


def test_the_key_is_checked(posthog: PostHog) -> None:
    client_of(posthog).check_key()
    with pytest.raises(RunError, match=r"`api_key`: PostHog at http://127\.0\.0\.1:\d+ doesn't know it"):
        Client("phc_wrong", posthog.url).check_key()


@pytest.mark.parametrize("status", [404, 429, 503])
def test_a_key_that_cannot_be_checked_now_does_not_end_the_run(
    posthog: PostHog, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    posthog.controls.reply_next(*[Reply(status=status)] * 4)
    client_of(posthog).check_key()
    (said,) = caplog.records
    assert said.levelno == logging.WARNING
    assert said.getMessage().startswith(f"`host`: {posthog.url} answers the question about the key with HTTP {status}")


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
        Client("phc_sandbox", "https://nowhere.invalid").check_key()


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("us.i.posthog.com", "https://us.i.posthog.com"),
        ("https://us.posthog.com/", "https://us.i.posthog.com"),
        ("https://app.posthog.com", "https://us.i.posthog.com"),
        ("https://eu.posthog.com", "https://eu.i.posthog.com"),
        ("https://eu.i.posthog.com/", "https://eu.i.posthog.com"),
        ("https://posthog.my-shop.com:8000/", "https://posthog.my-shop.com:8000"),
        ("https://my-shop.com/ingest/", "https://my-shop.com/ingest"),
        (" http://localhost:8000 ", "http://localhost:8000"),
        ("http://127.8.9.1:8000", "http://127.8.9.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_host_can_be_given_in_its_usual_forms(host: str, reached: str) -> None:
    assert Client("phc_x", host).host == reached


@pytest.mark.parametrize(
    "host",
    [
        *("http://posthog.my-shop.com:8000", "http://127.0.0.1.example", "http://localhost.example", "http://10.0.0.1"),
        *("http://evil.example\\@localhost", "http://localhost@evil.example", "https://me:secret@eu.i.posthog.com"),
        *("ftp://127.0.0.1", "http://[bad", "https://", "https://eu.i.posthog.com/?key=secret", "file:///etc/passwd"),
    ],
)
def test_a_host_that_keys_may_not_go_to_is_named_without_its_value(host: str) -> None:
    with pytest.raises(RunError, match="`host`") as raised:
        Client("phc_x", host)
    assert "secret" not in str(raised.value)
    assert "evil" not in str(raised.value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_neither_key_nor_events_are_logged_at_any_level(
    posthog: PostHog, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    posthog.controls.reply_next(
        Reply(status=503, body="jane1@example.com is busy"), Reply(status=400, body="jane1@example.com")
    )
    refused = client_of(posthog, protocol).send([event(1)], historical=False).refused
    assert "trying again" in caplog.text
    for text in (caplog.text, json.dumps(refused)):
        assert "jane" not in text
        assert "phc_" not in text
