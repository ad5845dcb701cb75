"""Waiting for what another process or thread does, in: a question; out: its answer is yes, or the test fails.

Knows nothing of what is waited for.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_WAIT_SECONDS = 60.0  # it comes within one; but other tests and other programs may have the machine
LOOK_EVERY_SECONDS = 0.02


def wait_until(true: Callable[[], object]) -> None:
    """Return as soon as it is true; raises AssertionError if it never is."""
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(LOOK_EVERY_SECONDS)
