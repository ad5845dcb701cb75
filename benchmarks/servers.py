"""A shop and a taker of events in a process of their own, in: how many orders; out: addresses, and figures.

Both answer at once, because their own work would else be what is measured. Knows neither tap nor target.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import sys
import threading
from contextlib import ExitStack, contextmanager
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server

from benchmarks.copied_shop import CopiedShop
from benchmarks.taker import Taker
from sandbox.shop.cdnow import BUYERS, cdnow_store, purchases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from sandbox.shop.store import Store

LAST_DAY = date(2026, 10, 31)
SINCE = "2016-01-01"  # before the first purchase
DISTANCE_SECONDS = {"near": 0.0, "far": 0.04}  # to PostHog: on this machine, or in a cloud of the same continent
STORE = re.compile(r"/(store-\d)(/.*)")
NAME, DOMAIN = b"sandbox", b".myshopify.com"
# Where a store's own numbers differ: the second of the thirteen digits that the sandbox gives to all but products, and
# the last one of the shop's own number.
PLACES = re.compile(rb'(?:(?<=[/"])(\d*[567])(\d)(?=\d{11}\b)|(/Shop/\d*)(\d)\b)')
POINTS = re.compile(rb'"actualQueryCost":\s*(\d+)')
MOST_QUESTIONS = 2_000  # as many as a tap asks for 10,000 orders by pages, and some more


class Handler(WSGIRequestHandler):
    """Stands still on the day after the last one, so that a tap which asks for "until now" asks the same again."""

    protocol_version = "HTTP/1.1"

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002  # the clock stands still
        """Return the header `Date`."""
        return "Sun, 01 Nov 2026 12:00:00 GMT"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Stay quiet."""


class Stores:
    """A shop that is also below `/store-1` to `/store-9`, as stores with domains and numbers of their own."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        """Let the shop answer in the store's name, which is as long as its own."""
        found = STORE.fullmatch(environ["PATH_INFO"])
        if not found:
            yield from self._app(environ, start_response)
            return
        name, number = found[1].encode(), int(found[1][-1])
        body = _moved(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)), -number)

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:  # noqa: ANN401  # as the protocol has it
            return start_response(status, [one for one in headers if one[0].lower() != "content-length"], *error)

        for part in self._app({**environ, "PATH_INFO": found[2], "wsgi.input": BytesIO(body)}, start):
            own = part.replace(NAME + DOMAIN, name + DOMAIN).replace(b"/bulk/", b"/%b/bulk/" % name)
            yield _moved(own, number)


def _moved(text: bytes, by: int) -> bytes:
    """Return the text with another digit in each of its numbers; the same the other way round gives it back."""
    return PLACES.sub(lambda found: b"%b%d" % (found[1] or found[3], (int(found[2] or found[4]) + by) % 10), text)


class Counted:
    """An app between counters: requests, the bytes of bodies both ways, and the points that a shop charged.

    `questions` are paths and bodies of the first requests to a GraphQL API.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self._lock = threading.Lock()
        self.reset()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        """Let the app answer, and count."""
        size, path = int(environ.get("CONTENT_LENGTH") or 0), environ["PATH_INFO"]
        asks = path.endswith("/graphql.json")
        if asks and len(self.questions) < MOST_QUESTIONS:
            body = environ["wsgi.input"].read(size)
            self.questions.append((path, body))
            environ = {**environ, "wsgi.input": BytesIO(body)}
        with self._lock:
            self.requests += 1
            self.received_bytes += size
        for part in self._app(environ, start_response):
            with self._lock:
                self.sent_bytes += len(part)
                self.points += sum(map(int, POINTS.findall(part))) if asks else 0
            yield part

    def reset(self) -> None:
        """Count from zero."""
        self.requests = self.received_bytes = self.sent_bytes = self.points = 0
        self.questions: list[tuple[str, bytes]] = []

    @property
    def counts(self) -> dict[str, int]:
        """What was counted."""
        names = ("requests", "received_bytes", "sent_bytes", "points")
        return {name: getattr(self, name) for name in names}


def store_of(orders: int) -> Store:
    """Return a store of about so many orders: of some buyers of the CDNOW store, or of its copies."""
    copies = math.ceil(orders / len(purchases()))
    buyers = sorted(one.buyer + copy * BUYERS for copy in range(copies) for one in purchases())
    return cdnow_store(LAST_DAY, customers=buyers[orders - 1], copies=copies)


class Servers:
    """What a line on stdin asks for; each verb's answer is an object."""

    def __init__(self, orders: int) -> None:
        self._shop, self._taker = CopiedShop(store_of(orders)), Taker()
        self.counted = {"shop": Counted(Stores(self._shop)), "posthog": Counted(self._taker)}

    def answer(self, verb: str, *arguments: str) -> dict[str, Any]:
        """Return the answer to a verb."""
        if verb == "reset":
            distance, copies = arguments
            self._taker.reset()
            self._taker.distance_seconds, self._shop.copies = DISTANCE_SECONDS[distance], int(copies)
            for one in self.counted.values():
                one.reset()
            return {}
        if verb == "questions":
            (file,) = arguments
            questions = [(path, body.decode()) for path, body in self.counted["shop"].questions]
            Path(file).write_text(json.dumps(questions))
            return {"path": questions[0][0]}
        events = {"events": len(self._taker.uuids), "first_event_at": self._taker.first_at}
        return {**{name: one.counts for name, one in self.counted.items()}, **events}


def main(orders: int) -> None:
    """Serve, print the addresses, then answer the lines of stdin with JSON."""
    servers = Servers(orders)
    with ExitStack() as stack:
        addresses = {name: stack.enter_context(served(app)) for name, app in servers.counted.items()}
        say({**addresses, "since": SINCE})
        for line in sys.stdin:
            say(servers.answer(*shlex.split(line)))


@contextmanager
def served(app: WSGIApplication) -> Iterator[str]:
    """Serve an app in a thread; yields its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def say(value: object) -> None:
    """Print one line of JSON."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
