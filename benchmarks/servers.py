"""A recorded shop and a taker of events in a process of their own, in: how many orders; out: addresses, and figures.

The shop executes real GraphQL the first time it is asked something and sends the same bytes when it is asked again,
because its own work would else be what is measured. Knows neither tap nor target.
"""

from __future__ import annotations

import json
import math
import re
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from datetime import date
from io import BytesIO
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server

from benchmarks.taker import Taker
from sandbox.shop import Shop
from sandbox.shop.cdnow import BUYERS, cdnow_store, purchases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from sandbox.shop.store import Store

LAST_DAY = date(2026, 10, 31)
SINCE = "2016-01-01"  # before the first purchase
DISTANCE_SECONDS = {"near": 0.0, "far": 0.04}  # to PostHog: on this machine, or in a cloud of the same continent
POINTS = re.compile(rb'"actualQueryCost":\s*(\d+)')


class Handler(WSGIRequestHandler):
    """Stands still on the day after the last one, so that a tap which asks for "until now" asks the same again."""

    protocol_version = "HTTP/1.1"

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002  # the clock stands still
        """Return the header `Date`."""
        return "Sun, 01 Nov 2026 12:00:00 GMT"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Stay quiet."""


class Counted:
    """An app between counters: requests, the bytes of bodies both ways, and the points that a shop charged."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._lock = threading.Lock()
        self.reset()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Let the app answer, and count."""
        body = b"".join(self._app(environ, start_response))
        with self._lock:
            self.requests += 1
            self.received_bytes += int(environ.get("CONTENT_LENGTH") or 0)
            self.sent_bytes += len(body)
            self.points += sum(map(int, POINTS.findall(body)))
        return [body]

    def reset(self) -> None:
        """Count from zero."""
        self.requests = self.received_bytes = self.sent_bytes = self.points = 0


class Recorded:
    """An app whose answer to a request is kept and given again."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._answers: dict[tuple[str, bytes], tuple[str, list[tuple[str, str]], bytes]] = {}

    @property
    def questions(self) -> list[tuple[str, bytes]]:
        """What was asked so far, once each: path and body."""
        return list(self._answers)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as the first time."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        question = (environ["PATH_INFO"], body)
        if question not in self._answers:
            self._answers[question] = self._ask({**environ, "wsgi.input": BytesIO(body)})
        status, headers, answer = self._answers[question]
        start_response(status, headers)
        return [answer]

    def _ask(self, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]], bytes]:
        begun: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], object]:
            begun.extend((status, headers))
            return begun.append

        answer = b"".join(self._app(environ, start))
        return begun[0], begun[1], answer


def store_of(orders: int) -> Store:
    """Return a store of about so many orders: of some buyers of the CDNOW store, or of its copies."""
    copies = math.ceil(orders / len(purchases()))
    buyers = sorted(one.buyer + copy * BUYERS for copy in range(copies) for one in purchases())
    return cdnow_store(LAST_DAY, customers=buyers[orders - 1], copies=copies)


def main(orders: int) -> None:
    """Serve, print the addresses, then answer lines on stdin (`near`, `far`, `counts`, `questions`) with JSON."""
    with ExitStack() as stack:
        recorded, taker = Recorded(Shop(store_of(orders)).app), Taker()
        counted = {"shop": Counted(recorded), "posthog": Counted(taker)}
        answer({**{name: stack.enter_context(served(app)) for name, app in counted.items()}, "since": SINCE})
        started = time.process_time()
        for verb in map(str.strip, sys.stdin):
            if verb in DISTANCE_SECONDS:
                taker.reset()
                taker.distance_seconds = DISTANCE_SECONDS[verb]
                for one in counted.values():
                    one.reset()
                started = time.process_time()
                answer({})
            elif verb == "questions":
                answer({"questions": [(path, body.decode()) for path, body in recorded.questions]})
            else:
                numbers = ("requests", "received_bytes", "sent_bytes", "points")
                counts: dict[str, Any] = {
                    name: {one: getattr(app, one) for one in numbers} for name, app in counted.items()
                }
                events = {"events": len(taker.uuids), "arrived": taker.arrived, "first_event_at": taker.first_at}
                answer({**counts, **events, "cpu_seconds": time.process_time() - started})


@contextmanager
def served(app: WSGIApplication) -> Iterator[str]:
    """Serve an app in a thread; yields its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def answer(value: object) -> None:
    """Print one line of JSON."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
