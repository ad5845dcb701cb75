"""Runner of several stores side by side: takes their runs and what each has to do, returns when all is done.

It raises an error that says what wasn't done. It knows threads, signals and whose errors are sentences for the user.
"""

from __future__ import annotations

import logging
import signal
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread, current_thread
from typing import TYPE_CHECKING, Any, Protocol

from singer_sdk.exceptions import SingerSDKError

from tap_shopify_orders.errors import RunError, UnwritableError
from tap_shopify_orders.shopify.answers import Busy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LOOK_SECONDS = 0.2  # how late a signal is noticed
SENTENCES = (RunError, Busy, SingerSDKError)  # their text is for the user; what led to them may quote a record
NOWHERE_TO_WRITE = (BrokenPipeError, UnwritableError)  # for any store
SIGNAL_EXIT = 128  # as a shell reports a process that a signal ended


@dataclass
class Stop:
    """What asks a run to end: the number of a signal, or 0."""

    signal: int = 0


class Interruptible(Protocol):
    """What can end early: `reading` from its first message on, when it ends where state and messages agree."""

    reading: bool


class SideBySide:
    """The runs of several stores, so many of them at once, each in a thread that bears its store's name.

    A store that fails leaves the others alone. A run is made when its turn comes, by `run_of`, and heeds `stop`.
    """

    def __init__(
        self,
        shops: Sequence[str],
        run_of: Callable[[str], Interruptible],
        *,
        at_once: int,
        stop: Stop,
        logger: logging.Logger,
    ) -> None:
        """Take the stores' domains; nothing is done yet."""
        self._shops, self._run_of, self._at_once = shops, run_of, at_once
        self._stop, self._logger = stop, logger
        self._left: deque[str] = deque()
        self._runs: dict[str, Interruptible] = {}
        self._failures: dict[str, BaseException] = {}

    def each(self, act: Callable[[Any], None]) -> None:
        """Have each store's run act; returns when all have.

        Raises what the run of a single store raised; of several, RunError with the names of those that failed, each of
        which was logged with its reason. Raises BrokenPipeError when nobody reads any more, UnwritableError when the
        output can't be written, SystemExit after a signal.
        """
        self._left.extend(self._shops)
        threads = [
            Thread(target=self._go_through, args=(act,), daemon=True)  # one that waits can be left behind
            for _ in self._shops[: self._at_once]
        ]
        with _stores_in_the_log(self._shops if len(self._shops) > 1 else ()):
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive() and self._has_to_wait():
                    thread.join(LOOK_SECONDS)
        self._judge()

    def _has_to_wait(self) -> bool:
        return not self._stop.signal or any(run.reading for run in [*self._runs.values()])

    def _go_through(self, act: Callable[[Any], None]) -> None:
        while self._left and not self._stop.signal:
            try:
                shop = self._left.popleft()
            except IndexError:  # another thread took it
                return
            current_thread().name = shop
            try:
                self._runs[shop] = self._run_of(shop)
                act(self._runs[shop])
            except NOWHERE_TO_WRITE as error:
                self._failures[shop] = error
                self._stop.signal = self._stop.signal or signal.SIGPIPE
            except BaseException as error:  # noqa: BLE001  # raised again, or said, by the thread that waits for all
                self._failed(shop, error)
            finally:
                self._runs.pop(shop, None)

    def _failed(self, shop: str, error: BaseException) -> None:
        self._failures[shop] = error
        if len(self._shops) > 1 and not isinstance(error, SystemExit):
            self._logger.error(error, exc_info=None if isinstance(error, SENTENCES) else error)

    def _judge(self) -> None:
        broken = next((error for error in self._failures.values() if isinstance(error, NOWHERE_TO_WRITE)), None)
        if broken:
            raise broken
        if self._stop.signal:
            raise SystemExit(SIGNAL_EXIT + self._stop.signal)
        if self._failures and len(self._shops) == 1:
            raise self._failures.popitem()[1]
        if self._failures:
            raise RunError(
                f"{len(self._failures)} of {len(self._shops)} stores couldn't be read: {', '.join(self._failures)}. The"
                " reasons stand above. Their bookmarks go no further than what was read; the other stores are done."
            )


def store_before(record: logging.LogRecord) -> str:
    """Return how a line of the log begins that is about one store of several."""
    return f"{record.threadName}: "


@contextmanager
def _stores_in_the_log(shops: Sequence[str]) -> Iterator[None]:
    """Have each line of the log begin with the store that its thread is about."""
    make = logging.getLogRecordFactory()

    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401  # logging's signature
        record = make(*args, **kwargs)
        if record.threadName in shops:
            record.msg = f"{store_before(record)}{record.msg}"
        return record

    logging.setLogRecordFactory(made)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)
