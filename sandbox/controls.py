"""The two controls of a sandbox server, in: requests; out: the requests seen, and replies that were queued for them.

Knows HTTP only, not what the server behind it does.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, Response, g, jsonify, request

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_DELAY_SECONDS = 120.0  # a test that asks for more has a typing error
MOST_ENDLESS_BYTES = 1 << 30  # who reads so much of a body without end has failed
MOST_REQUESTS_KEPT = 2_000  # older ones are forgotten, so that a long benchmark stays small


@dataclass(frozen=True)
class Reply:
    """What to do with one coming request.

    `status=None` lets the server give its own answer (to be delayed, cut or truncated); with a status, `body` replaces
    it, and `acts` says whether the server does its work first. `cut` closes the connection instead of answering;
    `truncate_bytes` closes it after so many bytes of the body. `drip_seconds` is the pause before each byte of it;
    `endless` repeats it for as long as somebody reads. `ignores` are headers of the request that the server doesn't
    see. `path` keeps the reply for a request whose path contains it.
    """

    status: int | None = None
    body: str | bytes = ""
    headers: dict[str, str] = field(default_factory=dict)
    acts: bool = False
    delay_seconds: float = 0.0
    cut: bool = False
    truncate_bytes: int | None = None
    drip_seconds: float = 0.0
    endless: bool = False
    ignores: tuple[str, ...] = ()
    path: str = ""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Reply:
        """Read one reply of the HTTP control; raises ValueError for a name that is no field."""
        unknown = set(value) - {one.name for one in fields(cls)}
        if unknown:
            raise ValueError(f"a reply has no {', '.join(sorted(unknown))}")
        return cls(**value)


@dataclass(frozen=True)
class SeenRequest:
    """One request as it arrived: `body` is as sent, so possibly compressed; `at` is monotonic seconds."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    at: float


class Controls:
    """Queue of next replies and list of requests seen; `install` puts both before an app's own answers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._replies: deque[Reply] = deque()
        self._requests: deque[SeenRequest] = deque(maxlen=MOST_REQUESTS_KEPT)

    @property
    def requests(self) -> list[SeenRequest]:
        """The requests seen so far, oldest first, without those to the controls themselves."""
        with self._lock:
            return list(self._requests)

    @property
    def waiting(self) -> int:
        """How many queued replies no request has met yet."""
        with self._lock:
            return len(self._replies)

    def reply_next(self, *replies: Reply) -> None:
        """Queue replies for the coming requests, first come first served."""
        with self._lock:
            self._replies.extend(replies)

    def reset(self) -> None:
        """Forget queued replies and seen requests."""
        with self._lock:
            self._replies.clear()
            self._requests.clear()

    def install(self, app: Flask) -> None:
        """Serve the controls under `/_control/` and let them step in before and after each other request."""
        app.register_blueprint(self._blueprint())
        app.before_request(self._before)
        app.after_request(self._after)

    def _take(self, path: str) -> Reply | None:
        with self._lock:
            for reply in self._replies:
                if reply.path in path:
                    self._replies.remove(reply)
                    return reply
        return None

    def _before(self) -> Response | None:
        if request.path.startswith("/_"):
            return None
        seen = SeenRequest(
            method=request.method,
            path=request.path,
            query=request.query_string.decode(),
            headers=dict(request.headers.items()),
            body=request.get_data(),
            at=time.monotonic(),
        )
        with self._lock:
            self._requests.append(seen)
        reply = self._take(request.path)
        if reply is None:
            return None
        g.reply = reply
        for name in reply.ignores:
            request.environ.pop(f"HTTP_{name.upper().replace('-', '_')}", None)
        return None if reply.acts or reply.status is None else Response(status=204)

    def _after(self, response: Response) -> Response:
        reply: Reply | None = g.pop("reply", None)
        if reply is None:
            return response
        if reply.delay_seconds:
            time.sleep(min(reply.delay_seconds, LONGEST_DELAY_SECONDS))
        if reply.cut:
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return response
        if reply.status is not None:
            response.close()  # it may hold a file open
            response = Response(reply.body, status=reply.status, headers=reply.headers)
        if reply.truncate_bytes is not None:
            response.direct_passthrough = False  # a file is read here, not by the server
            body = response.get_data()
            response.set_data(body[: reply.truncate_bytes])
            response.headers["Content-Length"] = str(len(body))
            response.headers["Connection"] = "close"
        if reply.drip_seconds or reply.endless:
            response.direct_passthrough = False
            response.response = _slowly(response.get_data(), reply)
            response.headers.pop("Content-Length", None)
        return response

    def _blueprint(self) -> Blueprint:
        blueprint = Blueprint("controls", __name__, url_prefix="/_control")

        @blueprint.post("/replies")
        def replies() -> Response:
            self.reply_next(*(Reply.from_json(one) for one in request.get_json()))
            return jsonify(waiting=self.waiting)

        @blueprint.get("/replies")
        def waiting() -> Response:
            with self._lock:
                return jsonify([asdict(one) for one in self._replies])

        @blueprint.get("/requests")
        def requests_seen() -> Response:
            return jsonify([{**asdict(one), "body": one.body.hex()} for one in self.requests])

        @blueprint.post("/reset")
        def reset() -> Response:
            self.reset()
            return jsonify(waiting=0)

        return blueprint


def _slowly(body: bytes, reply: Reply) -> Iterator[bytes]:
    """Yield a body byte by byte, or over and over again, within bounds."""
    ends, sent = time.monotonic() + LONGEST_DELAY_SECONDS, 0
    while sent < MOST_ENDLESS_BYTES and time.monotonic() < ends:
        for block in (body[place : place + 1] for place in range(len(body))) if reply.drip_seconds else [body]:
            time.sleep(reply.drip_seconds)
            yield block
            sent += len(block)
        if not (reply.endless and body):
            return
