"""A WSGI app becomes a real HTTP server on loopback, in: the app and a port; out: its address.

Knows nothing of what the app serves.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from flask import Response
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Flask

HOST = "127.0.0.1"
_ANSWER = "sandbox.answer"  # under which a request's environment holds what is being sent


class _QuietHandler(WSGIRequestHandler):
    """Leaves the log of requests to the controls. Werkzeug closes the connection after each answer."""

    protocol_version = "HTTP/1.1"
    timeout = 60.0
    clock: Callable[[], datetime]

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the time for the header Date, by the clock of what is served."""
        return super().date_time_string(self.clock().timestamp() if timestamp is None else timestamp)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""

    def connection_dropped(self, error: BaseException, environ: WSGIEnvironment | None = None) -> None:  # noqa: ARG002  # the base class's signature
        """Close what was being sent, perhaps a file, which Werkzeug leaves open if the client has gone for good."""
        close = getattr((environ or {}).get(_ANSWER), "close", None)
        if close:
            close()


def guarded(app: Flask) -> Flask:
    """Return the app, which answers this machine's own names alone, and any number beyond what SQLite holds with 400.

    A web site that lets its own name point here (DNS rebinding) comes with that name in `Host`.
    """
    app.config["TRUSTED_HOSTS"] = [HOST, "localhost"]
    app.register_error_handler(OverflowError, lambda _: Response("A number is too large.", 400, mimetype="text/plain"))
    return app


@contextmanager
def serve(
    app: WSGIApplication, port: int = 0, clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
) -> Iterator[str]:
    """Serve the app in a thread; yields its address, such as `http://127.0.0.1:40123`. Port 0 takes a free one.

    The clock dates the answers.
    """

    def noted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[_ANSWER] = answer = app(environ, start_response)
        return answer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    handler = type("_Handler", (_QuietHandler,), {"clock": staticmethod(clock)})
    server = make_server(HOST, port, noted, threaded=True, request_handler=handler)
    server.daemon_threads = True  # type: ignore[attr-defined]  # ThreadedWSGIServer has it, the base class of the hint not
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
