"""A PostHog that does nothing but take, in: events by either capture protocol; out: its verdict "ok" for each.

It keeps the uuids alone, so that it can tell how many different events came and its own work isn't what is measured.
"""

from __future__ import annotations

import gzip
import threading
import time
from typing import TYPE_CHECKING

import msgspec
import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

CAPTURE_V1 = "/i/v1/analytics/events"
OK = {"result": "ok"}


class _Event(msgspec.Struct):
    uuid: str


class _Batch(msgspec.Struct):
    batch: list[_Event]


class Taker:
    """A WSGI app; `uuids` are those of the events, `arrived` counts repeats too, `first_at` is monotonic seconds.

    It answers after `distance_seconds`, as a server does that is some way off.
    """

    def __init__(self) -> None:
        self.distance_seconds = 0.0
        self._lock = threading.Lock()
        self._decoder = msgspec.json.Decoder(_Batch)
        self.reset()

    def reset(self) -> None:
        """Forget what came."""
        self.uuids: set[str] = set()
        self.arrived = 0
        self.first_at: float | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Take the events of a request; any other request is answered as if all were well."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        path = environ["PATH_INFO"]
        said: object = {"status": "Ok"}
        if path in {CAPTURE_V1, "/batch/"}:
            batch = self._decoder.decode(_unpacked(body, environ.get("HTTP_CONTENT_ENCODING"))).batch
            uuids = [one.uuid for one in batch]
            with self._lock:
                self.first_at = self.first_at or time.monotonic()
                self.uuids.update(uuids)
                self.arrived += len(uuids)
            said = {"results": dict.fromkeys(uuids, OK)} if path == CAPTURE_V1 else said
        time.sleep(self.distance_seconds)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [msgspec.json.encode(said)]


def _unpacked(body: bytes, encoding: str | None) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    return zstandard.decompress(body) if encoding == "zstd" else body
