"""Persons that PostHog has skipped: it kept their events and left the persons as they were.

Takes PostHog's answers to batches; sends again, before a STATE leaves that covers them, the changes that it skipped,
each with those of the same distinct id that came after it, so that the last one still wins. PostHog has kept the events
themselves, so of a fact only what it says of its person is sent again, as a `$set`.

PostHog does so to a distinct id that is written to too often: rust/capture v1/analytics/process.rs,
`apply_token_distinct_id_limits`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from target_posthog.delivery.batches import sending_order
from target_posthog.mapping.event import changes_person, person_change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from target_posthog.delivery.batches import Batch, Outgoing
    from target_posthog.posthog.client import Sent

WAITS_SECONDS = (1.0, 5.0, 25.0)  # before each attempt; what the limit is in PostHog's cloud isn't public
MOST_KEPT = 10_000  # events in memory; of more, it is only known how many there were


class SkippedPersons:
    """The changes that PostHog has skipped in one run; `wait` takes seconds."""

    def __init__(self, wait: Callable[[float], object] = lambda seconds: threading.Event().wait(seconds)) -> None:
        self._wait = wait
        self._by_id: dict[str, list[Outgoing]] = {}
        self._waited_for: set[str] = set()  # distinct ids that no STATE waits for a second time
        self._kept = 0
        self.forgotten = 0

    def note(self, items: Iterable[Outgoing], sent: Sent) -> None:
        """Keep the changes that were skipped, and those that were applied after them.

        One that was applied and can't be kept has those before it forgotten: they would win, sent after it.
        """
        if not sent.person_skipped and not self._by_id:
            return
        for item in items:
            event = item.event
            is_skipped = event["uuid"] in sent.person_skipped
            if not changes_person(event) or not (is_skipped or event["distinct_id"] in self._by_id):
                continue
            if self._kept == MOST_KEPT:
                before = [] if is_skipped else self._by_id.pop(event["distinct_id"])
                self._kept -= len(before)
                self.forgotten += len(before) or 1
                continue
            self._by_id.setdefault(event["distinct_id"], []).append(item._replace(event=person_change(event)))
            self._kept += 1

    @property
    def left(self) -> list[Outgoing]:
        """The changes that PostHog hasn't applied, in their order for each distinct id."""
        return [item for items in self._by_id.values() for item in items]

    def send_again(self, send: Callable[[Batch], Sent], *, is_last: bool = False) -> None:
        """Send the changes again until PostHog has applied them or the attempts are over; raises as `send` does.

        A distinct id has one such call in a run, and the run's last one: one that is written to too often would have
        each STATE wait, though it recovers each time, and each change of it travel time and again.
        """
        if is_last:
            self._waited_for.clear()
        now = self._by_id.keys() - self._waited_for
        try:
            for seconds in WAITS_SECONDS:
                changes = [item for item in self.left if item.event["distinct_id"] in now]
                if not changes:
                    break
                self._wait(seconds)
                done = {item.event["distinct_id"] for item in changes}
                for batch in sending_order(changes, historical_before="").persons:
                    skipped = send(batch).person_skipped
                    done -= {item.event["distinct_id"] for item in batch.items if item.event["uuid"] in skipped}
                self._by_id = {
                    distinct_id: items for distinct_id, items in self._by_id.items() if distinct_id not in done
                }
        finally:
            self._waited_for |= now
            self._kept = len(self.left)
