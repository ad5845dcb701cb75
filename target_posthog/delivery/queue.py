"""Queue of events: they wait, leave in order, and are acknowledged by PostHog before `flush` returns.

Takes events as records bring them; counts PostHog's answers in the run's summary. `batches.py` says what travels
together, `sending.py` in which threads, `posthog/client.py` sends and retries.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from target_posthog.delivery.admission import Admission
from target_posthog.delivery.batches import Outgoing, sending_order
from target_posthog.delivery.sending import Pace, Sending
from target_posthog.delivery.skipped_persons import SkippedPersons
from target_posthog.errors import RunError
from target_posthog.mapping.language.functions import as_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from target_posthog.delivery.batches import Batch
    from target_posthog.delivery.summary import Summary
    from target_posthog.mapping.event import Event
    from target_posthog.posthog.client import Client, Sent

HISTORICAL_AFTER = timedelta(hours=48)  # https://posthog.com/docs/migrate
MOST_EVENTS_WAITING = 5_000  # enough to sort a back-fill by day, little enough to stay small
MOST_BYTES_WAITING = 16 * 1024 * 1024
MANY = 10  # events of a request: if all are refused, dead letters would only hide what is wrong
SECONDS_BETWEEN_PROGRESS = 10.0

logger = logging.getLogger(__name__)


class Queue:
    """Keeps events until `dispatch`; `flush` returns when PostHog has acknowledged every one of them.

    `undeliverable` is called for each event that can't be delivered, with its source and the reason; it raises to end
    the run. `historical_per_second` limits the events of a back-fill, `max_events` those of a run.
    """

    def __init__(  # noqa: PLR0913  # each is a setting of the target, but for how often it says how far it is
        self,
        client: Client,
        summary: Summary,
        undeliverable: Callable[[Any, str], None],
        *,
        senders: int = 4,
        historical_per_second: float | None = None,
        max_events: int | None = None,
        seconds_between_progress: float = SECONDS_BETWEEN_PROGRESS,
        skipped_persons: SkippedPersons | None = None,
    ) -> None:
        self._client = client
        self._summary = summary
        self._undeliverable = undeliverable
        self._senders = senders
        self._pace = Pace(historical_per_second)
        self._max_events = max_events
        self._waiting: list[Outgoing] = []
        self._waiting_bytes = 0
        self._under_way: Sending | None = None
        self._admission = Admission(self._set_aside)
        self._skipped_persons = skipped_persons or SkippedPersons()
        self._seconds_between_progress = seconds_between_progress
        self._logged_at = time.monotonic()

    @property
    def is_full(self) -> bool:
        """Whether it is time to dispatch."""
        return len(self._waiting) >= MOST_EVENTS_WAITING or self._waiting_bytes >= MOST_BYTES_WAITING

    def add(self, events: Iterable[Event], source: object) -> None:
        """Take the events of a record; `source` comes back if one of them can't be delivered."""
        for outgoing in self._admission.admitted(events, source):
            self._waiting.append(outgoing)
            self._waiting_bytes += outgoing.size_bytes

    def _set_aside(self, event: Event, source: object, reason: str) -> None:
        self._summary.refused[event["event"]] += 1
        self._undeliverable(source, reason)

    def dispatch(self) -> None:
        """Let everything that waits leave, and return while it is under way; before it, `settle` what left earlier.

        So one part is sent while the next one is read, and never more than these two are held.
        """
        self.settle()
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if not waiting:
            return
        historical_before = as_timestamp(datetime.now(timezone.utc) - HISTORICAL_AFTER)
        order = sending_order(waiting, historical_before=historical_before, senders=self._senders)
        self._check_number(len(waiting) - len(order.repeated))
        for repeated in order.repeated:
            self._summary.repeated[repeated.event["event"]] += 1
        self._under_way = Sending(order, self._send)

    def settle(self) -> None:
        """Return when PostHog has answered for all that is under way; raises `RunError`, or as `undeliverable` does."""
        sending, self._under_way = self._under_way, None
        if sending is None:
            return
        answers, error = sending.wait()
        for batch, sent in answers:  # all that was taken is counted before a refusal ends the run
            for event in batch.events:
                if event["uuid"] not in sent.refused:
                    self._summary.accept(event)
                if event["uuid"] in sent.person_skipped:
                    self._summary.person_skipped[event["event"]] += 1
            self._skipped_persons.note(batch.items, sent)
        for batch, sent in answers:
            self._set_refused_aside(batch, sent.refused)
        if error:
            raise error
        self._log_progress()

    def flush(self) -> None:
        """Deliver everything: what waits and what is under way; raises as `settle` does."""
        self.dispatch()
        self.settle()

    def send_skipped_persons_again(self) -> list[object]:
        """Send the person changes again that PostHog skipped; return the sources of those that it has skipped again."""
        self._summary.persons_forgotten = self._skipped_persons.forgotten
        self._skipped_persons.send_again(self._send)
        return self.skipped_persons

    @property
    def skipped_persons(self) -> list[object]:
        """The sources of the person changes that PostHog has skipped, and not applied since."""
        return [source for _, _, source in self._skipped_persons.left]

    def _check_number(self, events: int) -> None:
        sent = self._summary.accepted.total()
        if self._max_events is not None and sent + events > self._max_events:
            raise RunError(
                f"`max_events`: this run would send more than {self._max_events:,} events to PostHog; it has stopped "
                f"after {sent:,}, and a run with a higher limit goes on from there"
            )

    def _send(self, batch: Batch) -> Sent:
        """Send one batch, in a sender's thread; return PostHog's answer."""
        if batch.is_old:
            self._pace.wait_for(len(batch.items))
        sent = self._client.send(batch.events, historical=batch.historical)
        if len(sent.refused) == len(batch.items) >= MANY:
            reason = next(iter(sent.refused.values()))
            raise RunError(
                f"PostHog refuses each of {len(sent.refused)} events ({reason}), so it isn't a matter of one record; "
                "see the project's settings and ingestion warnings in PostHog"
            )
        return sent

    def _set_refused_aside(self, batch: Batch, refused: dict[str, str]) -> None:
        for event, _, source in batch.items:
            if event["uuid"] in refused:
                reason = refused[event["uuid"]]
                self._set_aside(event, source, f"PostHog refuses its event `{event['event']}` ({reason})")

    def _log_progress(self) -> None:
        now = time.monotonic()
        if now - self._logged_at < self._seconds_between_progress:
            return
        self._logged_at = now
        accepted = self._summary.accepted.total()
        rate = accepted / (now - self._summary.started_at)
        logger.info("%s events accepted by PostHog so far, %s a second", f"{accepted:,}", f"{rate:,.0f}")
