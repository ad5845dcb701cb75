"""Ports on loopback for servers of a test's own, in: nothing; out: one that is free."""

from __future__ import annotations

import socket
from contextlib import suppress
from random import SystemRandom

MOST_TRIES = 100


def free_port() -> int:
    """A port that no other test is given meanwhile: Linux hands out those from 32,768, other systems from 49,152."""
    chance = SystemRandom()
    for _ in range(MOST_TRIES):
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", chance.randrange(10_000, 32_768)))
            port: int = found.getsockname()[1]
            return port
    raise RuntimeError("no port is free")
