"""Hostile server on loopback: takes a script of bytes and pauses, plays it to whoever connects, and counts them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_PLAY_SECONDS = 60.0
LONGEST_REQUEST_BYTES = 1 << 20


class Hostile:
    """Answers each connection by `play`, which is given the request's head and yields what to send."""

    def __init__(self, play: Callable[[bytes], Iterator[bytes]]) -> None:
        self.requests: list[bytes] = []
        self._play = play
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @contextlib.contextmanager
    def serve(self) -> Iterator[Hostile]:
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        ends = time.monotonic() + LONGEST_PLAY_SECONDS
        with connection, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and len(head) < LONGEST_REQUEST_BYTES:
                head += connection.recv(4096) or b"\r\n\r\n"
            self.requests.append(head)
            for part in self._play(head):
                connection.sendall(part)
                if time.monotonic() > ends:
                    return


def dripping(text: bytes, pause_seconds: float = 0.05) -> Iterator[bytes]:
    """Yield the bytes one by one."""
    for place in range(len(text)):
        yield text[place : place + 1]
        time.sleep(pause_seconds)


def head(*headers: str, status: str = "200 OK") -> bytes:
    """Return the head of an answer."""
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *headers, "")).encode()
