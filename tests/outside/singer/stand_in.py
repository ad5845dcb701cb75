"""Stand-in for the services that foreign taps read: takes requests through a proxy on loopback, gives answers of ours.

Foreign taps have their service's address built in. They take a proxy from the environment, as `requests` and `urllib`
do, and the proxy answers itself: no request leaves this machine, and nothing of the tap is changed.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

DAYS = 2  # that the certificate is good for


class Request(NamedTuple):
    """What a tap asked for."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # whatever it is
        """Return the body as a JSON value."""
        return json.loads(self.body)


Answer = tuple[int, bytes]


class StandIn:
    """Answers each request with what `answer` gives; an exception in it is a 500. `requests` are those so far."""

    def __init__(self, answer: Callable[[Request], Answer], folder: Path, hosts: list[str]) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.certificate, self._key = _certificate(folder, hosts)

    @contextmanager
    def serve(self) -> Iterator[dict[str, str]]:
        """Serve on loopback; the value is the environment in which a tap finds it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self._key)
        server = _Server(("127.0.0.1", 0), _Handler)
        server.stand_in, server.context = self, context
        threading.Thread(target=server.serve_forever, daemon=True).start()
        proxy = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield {
                **os.environ,
                **dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), proxy),
                **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
                **dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(self.certificate)),
            }
        finally:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    stand_in: StandIn
    context: ssl.SSLContext


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    server: _Server
    host = ""

    def do_CONNECT(self) -> None:
        """Open the tunnel, whose other end is here, and answer what comes through it."""
        self.host = self.path.partition(":")[0]
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        for file in (self.rfile, self.wfile):
            file.close()
        with (
            suppress(OSError),  # the tap hangs up as it likes
            self.server.context.wrap_socket(self.connection, server_side=True) as tunnel,
            tunnel.makefile("rb", -1) as self.rfile,
            tunnel.makefile("wb", 0) as self.wfile,
        ):
            self.close_connection = False
            while not self.close_connection:
                self.handle_one_request()
        self.close_connection = True

    def do_GET(self) -> None:
        """Answer a request."""
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        host = self.host or url.hostname or ""
        request = Request(self.command, host, url.path, dict(parse_qsl(url.query)), body)
        self.server.stand_in.requests.append(request)
        try:
            status, content = self.server.stand_in.answer(request)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with the stand-in, the test shall show it
            status, content = 500, f"stand-in: {error!r}".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815  # the base's name

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the base's name
        """Say nothing."""


def _certificate(folder: Path, hosts: list[str]) -> tuple[Path, Path]:
    """Write a certificate for those hosts that signs itself, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = ",".join(f"DNS:{host}" for host in hosts)
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=stand-in", "-days", str(DAYS)),
            *("-addext", f"subjectAltName={names}", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return certificate, key
