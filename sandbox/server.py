"""A Flask app becomes a real HTTP server on loopback, in: the app and a port; out: its address.

Knows nothing of what the app serves.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

HOST = "127.0.0.1"


class _QuietHandler(WSGIRequestHandler):
    """Leaves the log of requests to the controls. Werkzeug closes the connection after each answer."""

    protocol_version = "HTTP/1.1"
    timeout = 60.0

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextmanager
def serve(app: Flask, port: int = 0) -> Iterator[str]:
    """Serve the app in a thread; yields its address, such as `http://127.0.0.1:40123`. Port 0 takes a free one."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(HOST, port, app, threaded=True, request_handler=_QuietHandler)
    server.daemon_threads = True  # type: ignore[attr-defined]  # ThreadedWSGIServer has it, the base class of the hint not
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
