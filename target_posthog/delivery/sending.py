"""Sending of batches, in threads: first those that change persons, then the others side by side.

Takes a `SendingOrder` and a function that sends one batch; returns PostHog's answer to each, and the error that ended
it early, if one did. A retry is decided within that function, in `posthog/client.py`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from target_posthog.delivery.batches import Batch, SendingOrder
    from target_posthog.posthog.client import Sent

Answer = tuple["Batch", "Sent"]

# A signal that comes at the very moment at which a wait begins is answered only when the wait ends.
SECONDS_BETWEEN_LOOKS = 0.5


class Sending:
    """Batches under way in threads of their own, while their owner goes on.

    First the batches that change persons, one after another; then the lanes, side by side. When one batch fails, the
    others under way are finished and none is begun.
    """

    def __init__(self, order: SendingOrder, send: Callable[[Batch], Sent]) -> None:
        self._order = order
        self._send = send
        self._answers: list[Answer] = []
        self._errors: list[Exception] = []
        self._thread = _started(self._carry_out)

    def wait(self) -> tuple[list[Answer], Exception | None]:
        """Return the answers when all are there, with the error that ended it early, if one did."""
        while self._thread.is_alive():
            self._thread.join(SECONDS_BETWEEN_LOOKS)
        return self._answers, self._errors[0] if self._errors else None

    def _carry_out(self) -> None:
        self._send_each(self._order.persons)
        first, *others = self._order.lanes or [[]]
        threads = [_started(self._send_each, lane) for lane in others]
        self._send_each(first)
        for thread in threads:
            thread.join()

    def _send_each(self, batches: Iterable[Batch]) -> None:
        try:
            for batch in batches:
                if self._errors:
                    return
                self._answers.append((batch, self._send(batch)))
        except Exception as error:  # noqa: BLE001  # `wait` returns it
            self._errors.append(error)


class Pace:
    """Rate limiter of events per second, safe to use from several threads; None and 0 mean unlimited."""

    def __init__(
        self,
        events_per_second: float | None,
        *,
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = lambda seconds: threading.Event().wait(seconds),
    ) -> None:
        self._rate = events_per_second
        self._now = now
        self._wait = wait
        self._lock = threading.Lock()
        self._free_at = now()

    def wait_for(self, events: int) -> None:
        """Return when so many events may go."""
        if not self._rate:
            return
        with self._lock:
            start = max(self._now(), self._free_at)
            self._free_at = start + events / self._rate
        self._wait(max(0.0, start - self._now()))


def _started(task: Callable[..., None], *arguments: object) -> threading.Thread:
    """Start a daemon: a process that is told to stop must not wait for it, and what it sends is sent again."""
    thread = threading.Thread(target=task, args=arguments, daemon=True)
    thread.start()
    return thread
