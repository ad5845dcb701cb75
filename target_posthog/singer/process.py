"""Process of a run: its garbage collection, its signals and its last moments.

Takes nothing and returns nothing; it knows neither messages nor events.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING

from singer_sdk import metrics
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator

OBJECTS_BETWEEN_COLLECTIONS = (50_000, 20, 100)
ENDING = (signal.SIGTERM, signal.SIGINT)
PAUSE_SECONDS = 0.2  # a tap that writes at all writes sooner again
LONGEST_GOODBYE_SECONDS = 5.0
FOR_THE_SDKS_DEVELOPERS = ("METRIC: ", "Skipping parse of env var settings", "Reader '%s' completed processing ")
BYTES_AT_ONCE = 65_536  # what a pipe holds on Linux


def collect_less_garbage() -> None:
    """Let Python look for cycles less often: records and events have none, yet it would walk all that wait."""
    gc.freeze()
    gc.set_threshold(*OBJECTS_BETWEEN_COLLECTIONS)


def leave_to_debug(logger: logging.Logger) -> None:
    """Keep lines of the SDK for its own developers, such as its metrics, out of a log that isn't at DEBUG."""

    def is_wanted(record: logging.LogRecord) -> bool:
        return logger.isEnabledFor(logging.DEBUG) or not str(record.msg).startswith(FOR_THE_SDKS_DEVELOPERS)

    for each in (logger, metrics.get_metrics_logger()):
        each.addFilter(is_wanted)


@contextlib.contextmanager
def signals_delayed() -> Iterator[None]:
    """Let a signal that would end the process wait until what is done here is whole."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_at_a_pause() -> None:
    """Read on, blindly, until the tap pauses, then leave; returns at the end of the input, or if it is no pipe.

    Meltano answers a pipe that breaks in its hands with a traceback (meltano/core/logging/utils.py).
    """
    deadline = time.monotonic() + LONGEST_GOODBYE_SECONDS
    with contextlib.suppress(OSError):
        while time.monotonic() < deadline and select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
            if not os.read(sys.stdin.fileno(), BYTES_AT_ONCE):
                return
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)  # at once: while Python tidies up, the tap may go on and fill the pipe


def let_go_of_stdout() -> None:
    """Have Python write what it still holds nowhere, when it ends: that would fail again, with a traceback."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class OneLine(logging.LogRecord):
    """A record of the log on one line, without what steers a terminal: taps choose the names that stand in it."""

    @override
    def getMessage(self) -> str:  # logging's name
        """Return the message."""
        message = super().getMessage()
        return message if message.isprintable() else "".join(char if char.isprintable() else " " for char in message)
