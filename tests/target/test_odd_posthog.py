"""A PostHog, or what stands before it, that answers anything at all: a sentence, in time, and no STATE.

The servers here speak bytes, because no HTTP library would say what they say.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import stamina
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.server import HOST
from target_posthog.errors import RunError
from target_posthog.posthog.capture import LARGEST_ANSWER_BYTES
from target_posthog.posthog.client import Client
from target_posthog.posthog.transport import DeadlineError, LargeAnswerError, Session
from tests.waiting import LONGEST_WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from target_posthog.mapping.event import Event

UUID = "00000000-0000-5000-8000-000000000001"
EVENT: Event = {
    "event": "Order Completed",
    "distinct_id": "jane@example.com",
    "uuid": UUID,
    "timestamp": "2026-11-01T12:00:00Z",
    "properties": {"$ignore_sent_at": True},
}
DRIPS = 400  # at most, so that a test that fails ends, too
DRIP_SECONDS = 0.05
DEADLINE_SECONDS = 0.5


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(testing=True, attempts=3, cap=True):
        yield


def read_request(connection: socket.socket) -> None:
    """Read a request to its end, as unread bytes would reset the answer; of a proxy by SOCKS the greeting."""
    got = b""
    while not is_whole(got) and (more := connection.recv(65_536)):
        got += more


def is_whole(got: bytes) -> bool:
    if got[:1] in {b"\x04", b"\x05"}:  # it comes in one piece
        return True
    head, _, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return b"\r\n\r\n" in got and len(body) >= (int(length[1]) if length else 0)


@contextmanager
def speaking(speak: Callable[[socket.socket], None], *, connections: int = 12) -> Iterator[str]:
    """Serve so many connections at most, each by `speak` once its request is there; yield the address."""
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(LONGEST_WAIT_SECONDS)

        def serve() -> None:
            for _ in range(connections):
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(LONGEST_WAIT_SECONDS)
                    with contextlib.suppress(OSError):
                        read_request(connection)
                        speak(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://{HOST}:{listener.getsockname()[1]}"


def drip(connection: socket.socket, byte: bytes) -> None:
    for _ in range(DRIPS):
        connection.sendall(byte)
        time.sleep(DRIP_SECONDS)


def dripping_head(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    drip(connection, b"x")


def dripping_body(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    drip(connection, b" ")


def dripping_to_the_end(connection: socket.socket) -> None:
    connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"status": "Ok"}')
    drip(connection, b" ")


def dripping_chunks(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    drip(connection, b"1\r\n \r\n")


@pytest.mark.parametrize("speak", [dripping_head, dripping_body, dripping_to_the_end, dripping_chunks])
def test_a_request_has_an_end_as_a_whole_however_its_answer_drips(speak: Callable[[socket.socket], None]) -> None:
    with speaking(speak) as url, pytest.raises(DeadlineError):
        Session(most_bytes=1000).post(url, data=b"x", timeout=DEADLINE_SECONDS)


@pytest.mark.parametrize("protocol", ["v1", "batch", "auto"])
def test_a_run_ends_although_every_answer_drips(protocol: str) -> None:
    with speaking(dripping_body) as url:
        client = Client("phc_x", url, protocol=protocol, timeout_seconds=DEADLINE_SECONDS, max_retry_seconds=1)
        with pytest.raises(RunError, match="has taken no events"):
            client.send([EVENT], historical=False)
        with pytest.raises(RunError, match="`host`"):
            client.check_key()


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(4 * LARGEST_ANSWER_BYTES // 65_536):
        connection.sendall(b" " * 65_536)


def bomb(connection: socket.socket) -> None:
    body = gzip.compress(b" " * (200 * LARGEST_ANSWER_BYTES))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


@pytest.mark.parametrize("speak", [endless, bomb])
def test_an_answer_has_an_end_in_size_packed_or_not(speak: Callable[[socket.socket], None]) -> None:
    with speaking(speak) as url, pytest.raises(LargeAnswerError):
        Session(most_bytes=LARGEST_ANSWER_BYTES).post(url, data=b"x", timeout=LONGEST_WAIT_SECONDS)


def test_an_answer_in_gzip_is_read_although_it_was_not_asked_for() -> None:
    body = gzip.compress(b'{"status": "Ok"}')

    def speak(connection: socket.socket) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    with speaking(speak) as url:
        assert Client("phc_x", url, protocol="batch").send([EVENT], historical=False).refused == {}


def test_a_connection_that_worked_is_used_again() -> None:
    seen = []

    def speak(connection: socket.socket) -> None:
        for _ in range(3):
            seen.append(connection.getpeername())
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"status": "Ok"}')
            asked = b""
            while data := connection.recv(65_536):
                asked += data
                if asked.endswith(b"\r\n\r\nx"):
                    break

    with speaking(speak, connections=1) as url, Session(most_bytes=1000) as session:
        for _ in range(3):
            assert session.post(url, data=b"x", timeout=LONGEST_WAIT_SECONDS).json() == {"status": "Ok"}
    assert len(set(seen)) == 1


statuses = st.integers(100, 599) | st.integers(0, 999)
headers = st.lists(
    st.tuples(
        st.sampled_from(
            ["Retry-After", "Content-Type", "Content-Encoding", "Content-Length", "Transfer-Encoding", "Location", "X"]
        ),
        st.sampled_from(
            [
                *("0", "1", "-1", "1e9", "99999999999", "soon", "", "gzip", "br", "gzip, gzip", "chunked", "identity"),
                *("Fri, 31 Dec 99999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:59 GMT", "http://evil.example/", "\xff"),
            ]
        )
        | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    ),
    max_size=4,
)
odd_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
verdicts = st.fixed_dictionaries(
    {},
    optional={
        "result": st.sampled_from(["ok", "warning", "drop", "retry", "limited", ""]) | odd_values,
        "details": odd_values,
    },
)
answers = (
    st.fixed_dictionaries({"results": st.fixed_dictionaries({}, optional={UUID: verdicts | odd_values}) | odd_values})
    | st.fixed_dictionaries(
        {"status": st.sampled_from(["Ok", 1, "ok", True, 1.0]) | odd_values, "quota_limited": odd_values}
    )
    | st.fixed_dictionaries({"error": st.sampled_from(["billing_limit_exceeded", "invalid_api_token"]) | odd_values})
    | odd_values
).map(lambda value: json.dumps(value).encode())
bodies = (
    answers | st.binary(max_size=60) | st.sampled_from([b"", b"[" * 5_000, b"\xef\xbb\xbf{}", gzip.compress(b"{}")])
)


def spoken(status: int, fields: list[tuple[str, str]], body: bytes) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status} What\r\n{head}\r\n".encode("latin-1", "replace") + body


raw_answers = st.builds(spoken, statuses, headers, bodies) | st.binary(max_size=80)


@pytest.fixture(scope="module")
def odd_server() -> Iterator[tuple[str, list[bytes]]]:
    """A server for many examples; what it answers stands in the list."""
    said = [b""]
    with speaking(lambda connection: connection.sendall(said[0]), connections=100_000) as url:
        yield url, said


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw_answers, st.sampled_from(["v1", "batch", "auto"]))
def test_no_answer_makes_a_traceback_or_an_acknowledgement_that_is_none(
    odd_server: tuple[str, list[bytes]], raw: bytes, protocol: str
) -> None:
    url, said = odd_server
    said[0] = raw
    client = Client("phc_x", url, protocol=protocol, timeout_seconds=2, max_retry_seconds=5)
    with contextlib.suppress(RunError):
        client.check_key()
    sentence, sent = "", None
    try:
        sent = client.send([EVENT], historical=False)
    except RunError as error:
        sentence = str(error)
    assert "\n" not in sentence
    assert "evil" not in sentence
    if sent is None:
        return
    acknowledged = UUID not in sent.refused
    assert not acknowledged or any(word in raw for word in (b'"ok"', b'"warning"', b'"Ok"', b'"status": 1'))


def through(scheme: str, speak: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    """Return a proxy: one of HTTP answers in the host's place, one of SOCKS agrees first, and then is the host."""
    granted = {"socks5h": b"\x05\x00" + b"\x05\x00\x00\x01" + bytes(6), "socks4a": b"\x00\x5a" + bytes(6)}

    def agree(connection: socket.socket) -> None:
        connection.sendall(granted.get(scheme, b""))
        speak(connection)

    return agree


@pytest.mark.parametrize("scheme", ["http", "socks5h", "socks4a"])
@pytest.mark.parametrize("speak", [dripping_head, dripping_body, dripping_chunks])
def test_through_a_proxy_a_request_has_an_end_as_a_whole_too(
    monkeypatch: pytest.MonkeyPatch, scheme: str, speak: Callable[[socket.socket], None]
) -> None:
    said_all: list[bool] = []

    def noting(connection: socket.socket) -> None:
        speak(connection)
        said_all.append(True)

    with speaking(through(scheme, noting)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.replace("http", scheme, 1))
        monkeypatch.setenv("NO_PROXY", "")
        with pytest.raises(DeadlineError):
            Session(most_bytes=1000).post("http://posthog.example/batch/", data=b"x", timeout=DEADLINE_SECONDS)
        assert said_all == [], "it was heard to its end"


@pytest.mark.parametrize("scheme", ["http", "socks5h", "socks4a"])
def test_through_a_proxy_an_answer_comes_as_without(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOk")

    with speaking(through(scheme, answer)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.replace("http", scheme, 1))
        monkeypatch.setenv("NO_PROXY", "")
        response = Session(most_bytes=1000).post(
            "http://posthog.example/batch/", data=b"x", timeout=LONGEST_WAIT_SECONDS
        )
        assert response.content == b"Ok"
