"""A server for whose certificate nobody vouches gets nothing, unless the environment names an authority that does."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
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

if TYPE_CHECKING:
    from collections.abc import Iterator
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

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
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


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as served:
        threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield served
        served.shutdown()


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


REQUESTS = [shopify_query, shopify_token, posthog_key, posthog_events]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=str)
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: one.__name__)
def test_a_certificate_that_nobody_vouches_for_ends_the_run_before_anything_is_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], request_: object
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((Busy, RunError, posthog_errors.RunError)):
        request_(server.url)  # type: ignore[operator]  # one of the above
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
