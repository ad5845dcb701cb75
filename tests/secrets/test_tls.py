"""A server for whose certificate nobody vouches gets nothing, unless the environment names an authority that does."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest
import stamina
import trustme

from tap_shopify_orders.errors import RunError
from tap_shopify_orders.shopify import client as shopify
from tap_shopify_orders.shopify.answers import Busy
from tap_shopify_orders.shopify.auth import AccessToken, ClientCredentials
from target_posthog import errors as posthog_errors
from target_posthog.posthog import client as posthog
from target_posthog.posthog.query_api import QueryApi
from tests.attacks.processes import is_clean, sentences, shell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Each of them switches verification off somewhere, or looks as if it did.
ENVIRONMENTS = [
    {},
    {"CURL_CA_BUNDLE": ""},
    {"REQUESTS_CA_BUNDLE": ""},
    {"REQUESTS_CA_BUNDLE": "0", "PYTHONHTTPSVERIFY": "0", "SSL_VERIFY": "false"},
    {"CURL_CA_BUNDLE": "false"},
]
AUTHORITY = trustme.CA()


class Server(http.server.ThreadingHTTPServer):
    """Takes down what reaches it, which is nothing before TLS is agreed on."""

    daemon_threads = True

    def __init__(self, certificate: trustme.LeafCert) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.seen: list[str] = []
        self.url = f"https://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Say nothing of who turns away."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.server.seen.append(self.path)
        self.send_error(404)

    do_GET = do_POST  # noqa: N815  # the names that http.server looks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Plain(_Handler):
    def handle(self) -> None:
        """Answer what can't be read as a server does that speaks plain HTTP."""
        self.request.recv(65_536)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture
def serve() -> Iterator[Callable[[trustme.LeafCert], Server]]:
    with contextlib.ExitStack() as at_the_end:

        def started(certificate: trustme.LeafCert) -> Server:
            server = at_the_end.enter_context(Server(certificate))
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            at_the_end.callback(server.shutdown)
            return server

        yield started


@pytest.fixture
def server(serve: Callable[[trustme.LeafCert], Server]) -> Server:
    return serve(AUTHORITY.issue_cert("127.0.0.1"))


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=1):
        yield


def shopify_query(url: str) -> None:
    shopify.Client(f"{url}/admin", AccessToken("shpat_sandbox")).ask("{ shop { name } }")


def shopify_token(url: str) -> None:
    ClientCredentials(f"{url}/admin", "id", "shpss_sandbox").token()


def posthog_key(url: str) -> None:
    posthog.Client("phc_sandbox", url).check_key()


def posthog_events(url: str) -> None:
    event = {"event": "a", "distinct_id": "b", "uuid": "c", "timestamp": "2026-11-01T00:00:00Z", "properties": {}}
    posthog.Client("phc_sandbox", url, max_retry_seconds=0).send([event], historical=False)  # type: ignore[list-item]  # an event


def posthog_question(url: str) -> None:
    QueryApi("phx_sandbox", "1", url, max_retry_seconds=0).rows("select 1 limit 1", "one")


REQUESTS = [shopify_query, shopify_token, posthog_key, posthog_events, posthog_question]
ERRORS = (Busy, RunError, posthog_errors.RunError)


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=str)
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: one.__name__)
def test_a_certificate_that_nobody_vouches_for_ends_the_run_before_anything_is_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], request_: object
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((RunError, posthog_errors.RunError), match="certificate") as raised:
        request_(server.url)  # type: ignore[operator]  # one of the above
    assert not isinstance(raised.value, posthog_errors.BusyError), "no waiting mends it"
    assert server.seen == []


# Each is by the authority that is trusted here.
WRONG = {
    "for another host": lambda: AUTHORITY.issue_cert("other.example"),
    "of the last century": lambda: AUTHORITY.issue_cert(
        "127.0.0.1",
        not_before=datetime(1998, 1, 1, tzinfo=timezone.utc),
        not_after=datetime(1999, 1, 1, tzinfo=timezone.utc),
    ),
}


@pytest.mark.parametrize("certificate", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: one.__name__)
def test_a_certificate_that_is_not_for_this_host_or_this_time_is_called_one(
    serve: Callable[[trustme.LeafCert], Server],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request_: object,
    certificate: Callable[[], trustme.LeafCert],
) -> None:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    server = serve(certificate())
    with pytest.raises((RunError, posthog_errors.RunError), match="vouches for the certificate of "):
        request_(server.url)  # type: ignore[operator]  # one of the above
    assert server.seen == []


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: one.__name__)
def test_a_server_that_speaks_no_tls_is_no_matter_of_the_network(request_: object) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Plain) as plain:
        threading.Thread(target=plain.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with pytest.raises(ERRORS, match="TLS"):
            request_(f"https://127.0.0.1:{plain.server_port}")  # type: ignore[operator]  # one of the above
        plain.shutdown()


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: one.__name__)
def test_a_file_of_certificates_that_is_not_there_is_called_that(
    server: Server, monkeypatch: pytest.MonkeyPatch, request_: object
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(ERRORS, match="REQUESTS_CA_BUNDLE"):
        request_(server.url)  # type: ignore[operator]  # one of the above
    assert server.seen == []


RECORD = [
    {"type": "SCHEMA", "stream": "a", "key_properties": ["id"], "schema": {"properties": {"id": {"type": "string"}}}},
    {"type": "RECORD", "stream": "a", "record": {"id": "1"}},
]


@pytest.mark.parametrize(
    ("command", "config"),
    [
        ("$TAP", {"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": "URL/admin"}),
        ("$TAP", {"store": "sandbox", "client_id": "a", "client_secret": "shpss_sandbox", "admin_url": "URL/admin"}),
        ("$TARGET", {"api_key": "phc_sandbox", "host": "URL"}),
    ],
    ids=["tap", "tap's token", "target"],
)
def test_the_commands_end_by_a_sentence_about_the_certificate(
    server: Server, tmp_path: Path, command: str, config: dict[str, str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config).replace("URL", server.url))
    messages = "".join(f"{json.dumps(one)}\n" for one in RECORD)
    ended = shell(f"{command} --config config.json", folder=tmp_path, stdin=messages)
    assert (ended.code, is_clean(ended, "shpat_sandbox", "shpss_sandbox", "phc_sandbox")) == (1, True)
    said = sentences(ended.log)
    assert "certificate of 127.0.0.1" in said[-1] or "certificate of https://127.0.0.1" in said[-1]
    assert "network" not in said[-1]
    assert server.seen == []


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: one.__name__)
def test_an_authority_that_the_environment_names_is_believed(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request_: object
) -> None:
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with contextlib.suppress(RunError, posthog_errors.RunError):  # it isn't one of theirs
        request_(server.url)  # type: ignore[operator]  # one of the above
    assert server.seen
