"""Queue of events: they wait, leave in order, and are acknowledged by PostHog before `flush` returns.

Takes events as records bring them; counts PostHog's answers in the run's summary. `batches.py` says what travels
together, `sending.py` in which threads, `posthog/client.py` sends and retries.
"""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from target_posthog.delivery.admission import Admission
from target_posthog.delivery.batches import Outgoing, sending_order
from target_posthog.delivery.keys import Keys
from target_posthog.delivery.progress import SECONDS_BETWEEN_PROGRESS, Progress
from target_posthog.delivery.sending import Pace, Sending
from target_posthog.delivery.skipped_persons import SkippedPersons
from target_posthog.errors import RunError
from target_posthog.mapping.event import GROUP_IDENTIFY, HISTORICAL_AFTER
from target_posthog.mapping.language.functions import as_timestamp
from target_posthog.posthog.client import Sent, UndecidedError
from target_posthog.receipts.sifter import Sifter, bytes_of, content_of, digest_of, sent_as, without_receipts
from target_posthog.receipts.store import Claim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from target_posthog.delivery.batches import Batch
    from target_posthog.delivery.held_run import HeldRun
    from target_posthog.delivery.keys import Clash
    from target_posthog.delivery.summary import Summary
    from target_posthog.mapping.event import Event
    from target_posthog.posthog.client import Client
    from target_posthog.receipts.sifter import Candidate, Sifted
    from target_posthog.receipts.store import Store

MOST_EVENTS_WAITING = 5_000  # enough to sort a back-fill by day, little enough to stay small
MOST_BYTES_WAITING = 16 * 1024 * 1024
CANDIDATES_AT_ONCE = 1_000  # looked up together
BYTES_AT_ONCE = 4 * 1024 * 1024
MANY = 10  # events of a request: if all are refused, dead letters would only hide what is wrong

logger = logging.getLogger(__name__)


class Queue:
    """Keeps events until `dispatch`; `flush` returns when PostHog has acknowledged every one of them.

    `undeliverable` is called for each record with events that can't be delivered, with their source and the reasons; it
    raises to end the run. `historical_per_second` limits the events of a back-fill, `max_events` those of a run. With a
    `store` of receipts only events without a receipt leave, and each receipt is written when PostHog has acknowledged
    its event.
    """

    def __init__(  # noqa: PLR0913  # each is a setting of the target, but for how often it says how far it is
        self,
        client: Client,
        summary: Summary,
        undeliverable: Callable[[Any, str], None],
        *,
        store: Store | None = None,
        held_run: HeldRun | None = None,
        senders: int = 4,
        historical_per_second: float | None = None,
        max_events: int | None = None,
        seconds_between_progress: float = SECONDS_BETWEEN_PROGRESS,
    ) -> None:
        self._client = client
        self._summary = summary
        self._undeliverable = undeliverable
        self._store = store
        self._sifter = Sifter(store, summary) if store else None
        self._held_run = held_run
        self._senders = senders
        self._pace = Pace(historical_per_second)
        self._max_events = max_events
        self._candidates: list[Candidate] = []
        self._candidates_bytes = 0
        self._waiting: list[Outgoing] = []
        self._waiting_bytes = 0
        self._under_way: Sending | None = None
        self._taken_all_the_same: list[tuple[Batch, Sent]] = []  # of batches that an error has ended
        self._admission = Admission(self._note_refused)
        self._reasons: dict[int, tuple[object, list[str]]] = {}  # by the identity of a source: it, why not all is sent
        self._keys = Keys()
        self._skipped_persons = SkippedPersons()
        self._progress = Progress(seconds_between_progress)

    @property
    def is_full(self) -> bool:
        """Whether it is time to dispatch."""
        return (
            len(self._waiting) + len(self._candidates) >= MOST_EVENTS_WAITING
            or self._waiting_bytes >= MOST_BYTES_WAITING
        )

    def add(self, candidates: Iterable[Candidate]) -> None:
        """Take the events of a record; raises `RunError` where two records make different events under one key."""
        for candidate in candidates:
            digest = digest_of(candidate.event)
            if candidate.maker and candidate.maker.event != GROUP_IDENTIFY:
                content = content_of(candidate.event, digest)
                _end(self._keys.note(candidate.event["uuid"], candidate.maker, candidate.record, content))
            self._candidates.append(candidate._replace(digest=digest))
            self._candidates_bytes += bytes_of(digest)
        if len(self._candidates) >= CANDIDATES_AT_ONCE or self._candidates_bytes >= BYTES_AT_ONCE:
            self._sift()

    def _sift(self) -> None:
        """Let those candidates wait that PostHog doesn't have.

        What takes back what was sent of a record waits until that has been acknowledged.
        """
        candidates, self._candidates, self._candidates_bytes = self._candidates, [], 0
        later = [candidate for candidate in candidates if candidate.proviso.takes_back]
        if later:
            self._let_wait([candidate for candidate in candidates if not candidate.proviso.takes_back])
            self._leave()
            self.settle()
        self._let_wait(later or candidates)

    def _let_wait(self, candidates: Sequence[Candidate]) -> None:
        """Let those candidates wait that PostHog doesn't have."""
        if not candidates:
            return
        sifted = self._sifter.sift(candidates) if self._sifter else without_receipts(candidates, self._summary)
        if self._held_run:
            self._held_run.check(item.event for item in sifted)
        for item in sifted:
            if outgoing := self._admission.admitted(item):
                self._waiting.append(outgoing)
                self._waiting_bytes += outgoing.size_bytes
        self._set_refused_aside()

    def _note_refused(self, item: Sifted, reason: str) -> None:
        self._summary.refused[item.event["event"]] += 1
        if self._sifter:
            self._sifter.refuse(item)
        self._reasons.setdefault(id(item.source), (item.source, []))[1].append(reason)

    def _set_refused_aside(self) -> None:
        """Set the records aside whose events were refused, each once."""
        reasons, self._reasons = self._reasons, {}
        for source, why in reasons.values():
            self._undeliverable(source, "; ".join(dict.fromkeys(why)))

    def dispatch(self) -> None:
        """Let everything that waits leave, and return while it is under way; before it, `settle` what left earlier.

        So one part is sent while the next one is read, and never more than these two are held.
        """
        self.settle()
        _end(self._keys.clash())
        self._sift()
        self._leave()

    def _leave(self) -> None:
        """Begin to send what waits, once nothing is under way any more."""
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
        for batch, sent in (*answers, *self._taken_all_the_same):  # all is counted before a refusal ends the run
            self._count(batch, sent)
        self._taken_all_the_same.clear()
        self._set_refused_aside()
        if error:
            raise error
        self._log_progress()

    def flush(self) -> None:
        """Deliver everything: what waits and what is under way; raises as `settle` does."""
        self.dispatch()
        self.settle()

    def send_skipped_persons_again(self, *, is_last: bool) -> None:
        """Send the person changes again that PostHog skipped; before the last time, only those of which it may help."""
        self._summary.persons_forgotten = self._skipped_persons.forgotten
        self._skipped_persons.send_again(self._send_again, is_last=is_last)

    @property
    def skipped_persons(self) -> list[object]:
        """The sources of the person changes that PostHog has skipped, and not applied since."""
        return [outgoing.sifted.source for outgoing in self._skipped_persons.left]

    def _check_number(self, events: int) -> None:
        sent = self._summary.accepted.total()
        if self._max_events is not None and sent + events > self._max_events:
            raise RunError(
                f"`max_events`: this run would send more than {self._max_events:,} events to PostHog; it has stopped "
                f"after {sent:,}, and a run with a higher limit goes on from there"
            )

    def _count(self, batch: Batch, sent: Sent) -> None:
        """Count what PostHog has acknowledged, now or to another target, and note what it has refused."""
        accepted = [outgoing for outgoing in batch.items if outgoing.event["uuid"] not in sent.refused]
        for outgoing in accepted:
            self._summary.accept(outgoing.event)
            if outgoing.event["uuid"] in sent.person_skipped:
                self._summary.person_skipped[outgoing.event["event"]] += 1
        for event, _, item in batch.items:
            if event["uuid"] in sent.refused:
                reason = f"PostHog refuses its event `{event['event']}` ({sent.refused[event['uuid']]})"
                self._note_refused(item, reason)
        for outgoing in batch.overtaken:
            self._summary.already_there[outgoing.event["event"]] += 1
        self._skipped_persons.note(batch.items, sent)
        if self._sifter:
            self._sifter.acknowledge(outgoing.sifted for outgoing in (*accepted, *batch.overtaken))

    def _send(self, batch: Batch) -> Sent:
        """Send one batch, in a sender's thread, and write its receipts; return PostHog's answer.

        Where an error ends it, what PostHog had acknowledged by then has its receipts, and is counted.
        """
        if batch.is_old:
            self._pace.wait_for(len(batch.items))
        items = [outgoing.sifted for outgoing in batch.items]
        facts = [item.fact for item in items if item.fact]
        persons = [person for item in items for person in item.persons]
        sent: Sent | None = None
        try:
            with self._store.claim(facts, persons) if self._store else nullcontext(Claim(set(), set())) as claim:
                _keep_claimed(batch, claim)
                sent, error = self._sent(batch)
                for event, _, item in batch.items:
                    if event["uuid"] in sent.refused:
                        claim.refused.update(item.receipts)
                    elif event["uuid"] in sent.person_skipped:
                        claim.refused.update(person.key for person in item.persons)
                for outgoing in batch.undecided:
                    claim.refused.update(outgoing.sifted.receipts)
            if error:
                raise error
        except RunError:
            if sent:
                self._taken_all_the_same.append((batch, sent))
            raise
        return sent

    def _send_again(self, batch: Batch) -> Sent:
        """Send events again whose persons PostHog had skipped, and write the receipts of those persons."""
        sent, error = self._sent(batch)
        if self._store:
            left = {*sent.refused, *sent.person_skipped}
            items = [outgoing.sifted for outgoing in batch.items if outgoing.event["uuid"] not in left]
            with self._store.claim([], [person for item in items for person in item.persons]):
                pass
        if error:
            raise error
        return sent

    def _sent(self, batch: Batch) -> tuple[Sent, UndecidedError | None]:
        """Send one batch; return PostHog's answer to what stays in it, and the error that has left the rest undecided.

        Raises `RunError` where PostHog refuses all of it.
        """
        if not batch.items:
            return Sent({}), None
        try:
            sent = self._client.send(batch.events, historical=batch.historical)
        except UndecidedError as error:
            items, batch.items = batch.items, []
            for outgoing in items:
                (batch.undecided if outgoing.event["uuid"] in error.undecided else batch.items).append(outgoing)
            return error.sent, error
        if len(sent.refused) == len(batch.items) >= MANY:
            reason = next(iter(sent.refused.values()))
            raise RunError(
                f"PostHog refuses each of {len(sent.refused)} events ({reason}), so it isn't a matter of one record; "
                "see the project's settings and ingestion warnings in PostHog"
            )
        return sent, None

    def _log_progress(self) -> None:
        if not self._progress.is_due():
            return
        accepted = self._summary.accepted.total()
        rate = accepted / (time.monotonic() - self._summary.started_at)
        logger.info("%s events accepted by PostHog so far, %s a second", f"{accepted:,}", f"{rate:,.0f}")


def _end(clash: Clash | None) -> None:
    """End the run where two events share a key: PostHog would lose one of them."""
    if clash:
        raise RunError(clash.sentence)


def _keep_claimed(batch: Batch, claim: Claim) -> None:
    """Take out of a batch what another target has sent, and correct the distinct ids that another target has chosen."""
    items, batch.items = batch.items, []
    for outgoing in items:
        item = outgoing.sifted
        is_granted = item.fact is None or item.fact.uuid in claim.facts
        if item.persons and not any(person.key in claim.persons for person in item.persons):
            is_granted = False
        if not is_granted:
            batch.overtaken.append(outgoing)
            continue
        if item.fact and item.fact.entity and item.keeps_person:
            distinct_id = claim.distinct_ids.get(item.fact.entity, outgoing.event["distinct_id"])
            if distinct_id != outgoing.event["distinct_id"]:
                event: Event = {**outgoing.event, "distinct_id": distinct_id}
                claim.corrected[item.fact.uuid] = sent_as(event["event"], distinct_id, event["timestamp"][:10])
                outgoing = outgoing._replace(event=event)  # noqa: PLW2901  # the same one, corrected
        batch.items.append(outgoing)
