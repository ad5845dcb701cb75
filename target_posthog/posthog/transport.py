"""Transport of all requests to PostHog: each ends in time, each answer in size, and none is led to another host.

Takes requests as `requests.Session` does, returns responses whose body has been read. `requests` itself has a time
limit for each wait on the network and none for the whole: a server that sends a byte a second would hold a run for
ever, and one that doesn't stop sending would fill the memory.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from typing_extensions import Self, override
from urllib3.exceptions import HTTPError, ReadTimeoutError

if TYPE_CHECKING:
    from types import TracebackType

    from urllib3 import PoolManager, ProxyManager
    from urllib3.connection import HTTPConnection
    from urllib3.connectionpool import HTTPConnectionPool

MIB = 1024 * 1024
MOST_CONNECTIONS = 100  # kept open; beyond them urllib3 would warn of each that it closes
BYTES_AT_ONCE = 64 * 1024
GZIP = 16 + zlib.MAX_WBITS  # what zlib calls the format
_current = threading.local()  # the deadline of the request that a thread is making


class LargeAnswerError(requests.RequestException):
    """An answer is larger than any of PostHog's."""


class DeadlineError(requests.Timeout):
    """A request and its answer together have taken longer than they may."""


class Session(requests.Session):
    """A session whose requests take at most their `timeout` from the first byte sent to the last one read.

    An answer may have `most_bytes`, unpacked too; it is asked for unpacked, or in gzip. Redirects aren't followed:
    events and keys are for one host alone, and nothing is read from a netrc file. Safe to use from several threads.
    """

    def __init__(self, *, most_bytes: int, accepts_gzip: bool = False) -> None:
        super().__init__()
        self._most_bytes = most_bytes
        self.auth = _as_it_is
        self.headers["Accept-Encoding"] = "gzip" if accepts_gzip else "identity"
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(pool_maxsize=MOST_CONNECTIONS))

    @override
    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Return the response, its body read; raises RequestException, or OSError without the certificates to trust."""
        kwargs.update(stream=True, allow_redirects=False)
        with _Deadline(kwargs["timeout"]) as deadline:
            try:
                response = super().send(request, **kwargs)
                response._content = self._read(response)  # noqa: SLF001  # where `content` keeps what it has read
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                # The limit of a single wait is the same: whichever is noticed first.
                if deadline.has_passed or isinstance(error, ReadTimeoutError):
                    raise DeadlineError(request=request) from None
                if isinstance(error, (HTTPError, ValueError)):
                    raise requests.ConnectionError(error, request=request) from None
                raise
            if deadline.has_passed:  # an answer without a length ends where its connection does
                raise DeadlineError(request=request)
        return response

    def _read(self, response: requests.Response) -> bytes:
        with contextlib.closing(response.raw) as raw:
            body = bytearray()
            while data := raw.read(BYTES_AT_ONCE, decode_content=False):
                body += data
                if len(body) > self._most_bytes:
                    raise LargeAnswerError(response=response)
            if response.headers.get("Content-Encoding", "").strip().lower() == "gzip":
                return self._unpacked(bytes(body), response)
            return bytes(body)

    def _unpacked(self, body: bytes, response: requests.Response) -> bytes:
        """Unpack what was sent although it wasn't asked for; what is no gzip stays as it is, and is no answer then."""
        unpacker = zlib.decompressobj(GZIP)
        try:
            text = unpacker.decompress(body, self._most_bytes + 1)
        except zlib.error:
            return body
        if len(text) > self._most_bytes:
            raise LargeAnswerError(response=response)
        return text


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request as it is: without an `auth`, `requests` shows what ~/.netrc has for the host instead of a key."""
    return request


class _Deadline:
    """The time that one request may take, in the thread that makes it; when it has passed, its connection is cut."""

    def __init__(self, seconds: float) -> None:
        self.has_passed = False
        self.connection: HTTPConnection | None = None
        self.socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        _current.deadline = self
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        _current.deadline = None

    def watch(self, connection: HTTPConnection) -> None:
        """Note the connection that is used, and its socket, which outlives it while a body is read."""
        self.connection = connection
        self.socket = connection.sock or self.socket

    def _pass(self) -> None:
        self.has_passed = True
        used = self.socket or (self.connection and self.connection.sock)
        if used:
            with contextlib.suppress(OSError):
                # That of the base class: TLS's own would first take the reader's state away.
                socket.socket.shutdown(used, socket.SHUT_RDWR)


def _watch(connection: HTTPConnection) -> None:
    deadline: _Deadline | None = getattr(_current, "deadline", None)
    if deadline:
        deadline.watch(connection)
        if deadline.has_passed:
            raise TimeoutError


@cache
def _cuttable(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """Return the kind of pool whose connections are watched: plain ones, those of TLS, those through any proxy."""

    class Connection(pool.ConnectionCls):  # type: ignore[name-defined,misc]  # whatever connections the pool has
        def connect(self) -> None:
            _watch(self)
            super().connect()
            _watch(self)

        def request(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # urllib3's
            _watch(self)
            super().request(*arguments, **options)

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


class _Adapter(HTTPAdapter):
    """Opens connections that a deadline can cut, through a proxy too."""

    @override
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        _make_cuttable(self.poolmanager)

    @override
    def proxy_manager_for(self, proxy: str, **options: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, **options)
        _make_cuttable(manager)
        return manager


def _make_cuttable(manager: PoolManager) -> None:
    pools = manager.pool_classes_by_scheme  # urllib3's own, or those of its SOCKS proxies
    manager.pool_classes_by_scheme = {scheme: _cuttable(pool) for scheme, pool in pools.items()}
