"""Events wait, then leave in order, in: events as records bring them; out: their acknowledgement by PostHog.

Knows neither Singer nor how a request is made: batches.py says what goes together, client.py sends it.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from target_posthog.batches import Batch, Outgoing, plan, sized
from target_posthog.client import Refused
from target_posthog.functions import as_timestamp, canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from target_posthog.client import Client
    from target_posthog.mapping import Event
    from target_posthog.summary import Summary

HISTORICAL_AFTER = timedelta(hours=48)  # https://posthog.com/docs/migrate
MOST_EVENTS_WAITING = 5_000  # enough to sort a back-fill by day, little enough to stay small
MOST_BYTES_WAITING = 16 * 1024 * 1024
MANY = 10  # events of a request: if all are refused, dead letters would only hide what is wrong
GROUP = "$groupidentify"
SECONDS_BETWEEN_PROGRESS = 10.0

logger = logging.getLogger(__name__)

Refusal = tuple[Outgoing, str]


class Delivery:
    """Holds events until `flush`, which returns when PostHog has acknowledged every one of them.

    `refuse` is called for each event that is refused for good, with the event's origin and the reason; it raises to end
    the run. `historical_per_second` limits the events of a back-fill, `max_events` those of a run.
    """

    def __init__(  # noqa: PLR0913  # each is a setting of the target
        self,
        client: Client,
        summary: Summary,
        refuse: Callable[[Any, str], None],
        *,
        senders: int = 4,
        historical_per_second: float | None = None,
        max_events: int | None = None,
    ) -> None:
        self._client = client
        self._summary = summary
        self._refuse = refuse
        self._senders = senders
        self._pace = Pace(historical_per_second)
        self._max_events = max_events
        self._waiting: list[Outgoing] = []
        self._waiting_bytes = 0
        self._groups_said: set[int] = set()
        self._said_at = time.monotonic()

    @property
    def is_full(self) -> bool:
        """Say whether it is time to flush."""
        return len(self._waiting) >= MOST_EVENTS_WAITING or self._waiting_bytes >= MOST_BYTES_WAITING

    def add(self, events: Iterable[Event], origin: object) -> None:
        """Take the events of a record; `origin` comes back with a refusal."""
        for event in events:
            if event["event"] == GROUP and not self._is_news(event):
                continue
            outgoing = sized(event, origin)
            if outgoing is None:
                self._summary.refused[event["event"]] += 1
                self._refuse(origin, f"its event `{event['event']}` is larger than PostHog takes")
                continue
            self._waiting.append(outgoing)
            self._waiting_bytes += outgoing.size_bytes

    def _is_news(self, event: Event) -> bool:
        """Say whether a group was not described like this before in this run; every record describes it again."""
        said = hash((event["uuid"], canonical(event["properties"])))
        if said in self._groups_said:
            return False
        self._groups_said.add(said)
        return True

    def flush(self) -> None:
        """Deliver everything that waits; raises what `refuse` raises, `Refused` or `Busy`."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if not waiting:
            return
        historical_before = as_timestamp(datetime.now(timezone.utc) - HISTORICAL_AFTER)
        planned = plan(waiting, historical_before=historical_before, senders=self._senders)
        self._check_number(len(waiting) - len(planned.repeated))
        for one in planned.repeated:
            self._summary.repeated[one.event["event"]] += 1
        for batch in planned.persons:
            self._account(self._sent(batch))
        self._send_lanes(planned.lanes)
        self._say_progress()

    def _check_number(self, events: int) -> None:
        sent = self._summary.accepted.total()
        if self._max_events is not None and sent + events > self._max_events:
            raise Refused(
                f"`max_events`: this run would send more than {self._max_events:,} events to PostHog; it has stopped "
                f"after {sent:,}, and a run with a higher limit goes on from there"
            )

    def _sent(self, batch: Batch) -> tuple[Batch, dict[str, str]]:
        if batch.historical:
            self._pace.wait_for(len(batch.items))
        return batch, self._client.send(batch.events, historical=batch.historical)

    def _account(self, answer: tuple[Batch, dict[str, str]]) -> None:
        batch, refused = answer
        if len(refused) == len(batch.items) >= MANY:
            reason = next(iter(refused.values()))
            raise Refused(
                f"PostHog refuses each of {len(refused)} events ({reason}), so it isn't a matter of one record; see "
                "the project's settings and ingestion warnings in PostHog"
            )
        for one in batch.items:
            if one.event["uuid"] not in refused:
                self._summary.accept(one.event)
        for one in batch.items:
            if one.event["uuid"] in refused:
                name, reason = one.event["event"], refused[one.event["uuid"]]
                self._summary.refused[name] += 1
                self._refuse(one.origin, f"PostHog refuses its event `{name}` ({reason})")

    def _send_lanes(self, lanes: list[list[Batch]]) -> None:
        """Send lanes side by side; when one fails, the others end with their batch, and its error is raised."""
        answers: list[tuple[Batch, dict[str, str]]] = []
        errors: list[Exception] = []

        def send(lane: list[Batch]) -> None:
            try:
                for batch in lane:
                    if errors:
                        return
                    answers.append(self._sent(batch))
            except Exception as error:  # noqa: BLE001  # it is raised again in the main thread
                errors.append(error)

        first, *others = lanes or [[]]
        # Daemons, because a process that is told to stop must not wait for them: what they deliver is delivered again.
        threads = [threading.Thread(target=send, args=(lane,), daemon=True) for lane in others]
        for thread in threads:
            thread.start()
        send(first)
        for thread in threads:
            thread.join()
        for answer in answers:
            self._account(answer)
        if errors:
            raise errors[0]

    def _say_progress(self) -> None:
        now = time.monotonic()
        if now - self._said_at < SECONDS_BETWEEN_PROGRESS:
            return
        self._said_at = now
        accepted = self._summary.accepted.total()
        rate = accepted / (now - self._summary.started_at)
        logger.info("%s events accepted by PostHog so far, %s a second", f"{accepted:,}", f"{rate:,.0f}")


class Pace:
    """Lets so many events a second pass, or all of them; safe to use from several threads."""

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
