"""Destination PostHog: a run's records become acknowledged events, dead letters and a summary.

Takes records with what became of them. `delivery/queue.py` sends; what cannot be delivered ends here.
"""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from target_posthog.delivery.dead_letters import DeadLetters
from target_posthog.delivery.destination import identity_of, key_name
from target_posthog.delivery.held_run import HeldRun
from target_posthog.delivery.queue import Queue
from target_posthog.delivery.shared_ids import SharedIds
from target_posthog.delivery.summary import Summary
from target_posthog.errors import RunError
from target_posthog.mapping.event import Maker
from target_posthog.posthog.client import DEFAULT_HOST, Client
from target_posthog.receipts.opening import open_store, receipts_lines
from target_posthog.receipts.sifter import Candidate
from target_posthog.settings import historical_per_second, meltano_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from target_posthog.delivery.destination import Origin, Outcome
    from target_posthog.mapping.meanings import Meanings

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Source:
    """The record that an event comes from: its stream and name; its JSON, too, if it may become a dead letter."""

    origin: Origin
    name: str
    record: msgspec.Raw | None
    is_kept: bool = False  # as a dead letter


class PostHogDestination:
    """Sends a run's events to PostHog; nothing is sent or asked before `begin`.

    Raises `RunError` for a plan that can't be read.
    """

    def __init__(self, settings: Mapping[str, Any], meanings: Meanings) -> None:
        self._meanings = meanings
        self.summary = Summary(meanings.money)
        self._client = Client(
            settings["api_key"],
            settings["host"] or DEFAULT_HOST,
            protocol=settings["protocol"],
            max_retry_seconds=settings["max_retry_seconds"],
        )
        letters, plan = settings.get("dead_letter_path"), settings.get("plan_path")
        self._store = open_store(settings)
        self._conditions = meanings.conditions
        self._queue = Queue(
            self._client,
            self.summary,
            self._set_aside,
            store=self._store,
            held_run=HeldRun.read(plan, fingerprint=meanings.fingerprint) if plan else None,
            senders=settings["senders"],
            historical_per_second=historical_per_second(
                settings.get("historical_events_per_second"), self._client.host
            ),
            max_events=settings.get("max_events"),
        )
        self._dead_letters = DeadLetters(letters) if letters else None
        self._summary_path: str | None = settings.get("summary_path")
        self._origins: dict[str, Origin] = {}  # by stream; with a schema that changes comes another one
        self._shared_ids = SharedIds()
        self._key_is_checked = False
        self._is_summed_up = False

    @property
    def is_full(self) -> bool:
        """Whether the events of all streams together are enough to send."""
        return self._queue.is_full

    def begin(self) -> None:
        """Check the project key and say what the receipts mean for the run, at the first call of a run."""
        if not self._key_is_checked:
            self._client.check_key()
            self._key_is_checked = True
            for line in receipts_lines(self._store, self._conditions):
                logger.warning(line)

    def take(self, origin: Origin, record: dict[str, Any], outcome: Outcome) -> None:
        """Let a record's events wait, or count why it has none."""
        stream = origin.stream_name
        self.summary.records[stream] += 1
        before = self._origins.get(stream)
        if before is not origin:
            self._origins[stream] = origin
            if before:
                self.summary.note_origin(before)
        if outcome.left_out:
            self.summary.left_out[stream, outcome.left_out] += 1
        self.summary.ignored[stream] += outcome.ignored
        if not outcome.events and not outcome.invalid:
            return
        raw = msgspec.Raw(msgspec.json.encode(record)) if self._dead_letters else None
        shown = self._meanings.shown_keys(origin.stream_name)
        source = Source(origin, key_name(record, origin.key_properties, shown), raw)
        if outcome.invalid:
            self._set_aside(source, outcome.invalid)
            return
        self.summary.made[stream] += len(outcome.events)
        for made in outcome.events:
            if warning := self._shared_ids.see(made.event, source.name):
                logger.warning(warning)
        identity = identity_of(origin, record)
        self._queue.add(
            Candidate(
                made.event,
                made.rule,
                outcome.entity,
                source,
                Maker(stream, made.rule, made.event["event"]),
                identity,
                not origin.key_properties,
                made.proviso,
                is_of_item=made.is_of_item,
                is_letter=origin.is_of_letters,
            )
            for made in outcome.events
        )

    def _set_aside(self, source: Source, reason: str) -> None:
        """Keep a record that can't be delivered as a dead letter; raises `RunError` where there is no file for it."""
        origin = source.origin
        sentence = f"Stream `{origin.stream_name}`, record {source.name}: {reason}"
        if self._dead_letters is None or source.record is None:
            raise RunError(f"{sentence}; correct it, or set `dead_letter_path` to go on without such records")
        if source.is_kept:  # for another of its events
            logger.warning("%s; kept already in %s", sentence, self._dead_letters.path)
            return
        try:
            self._dead_letters.keep(
                origin.stream_name,
                origin.original_schema,
                origin.key_properties,
                source.record,
                reason,
                name=source.name,
            )
        except OSError as error:
            raise RunError(
                f"{sentence}; and `dead_letter_path`: the file {self._dead_letters.path} can't be written "
                f"({error.strerror})"
            ) from None
        source.is_kept = True
        self.summary.dead_letters[origin.stream_name] += 1
        logger.warning("%s; kept in %s", sentence, self._dead_letters.path)

    def keep_line(self, line: bytes | str, reason: str) -> bool:
        """Keep a line that is no message as a dead letter; False where there is no file for it."""
        if self._dead_letters is None:
            return False
        try:
            self._dead_letters.keep_line(line, reason)
        except OSError as error:
            raise RunError(
                f"{reason}; and `dead_letter_path`: the file {self._dead_letters.path} can't be written "
                f"({error.strerror})"
            ) from None
        self.summary.unreadable_lines += 1
        logger.warning("%s; kept in %s", reason, self._dead_letters.path)
        return True

    def dispatch(self) -> None:
        """Let what waits leave, after PostHog has acknowledged what left before."""
        self._queue.dispatch()

    def flush(self) -> bool:
        """Return True when PostHog has acknowledged everything: a STATE may be written.

        A STATE covers the changes of persons, too, so those that PostHog has skipped are sent again before it.
        """
        self._queue.flush()
        self._bring_persons_up_to_date()
        return True

    def end(self) -> None:
        """Keep the rules' fingerprints beside the receipts, then print the summary; a second call does nothing.

        Raises `RunError` where dead letters were read that are none the less: their file mustn't be taken for done.
        """
        if self._is_summed_up:
            return
        self._bring_persons_up_to_date(is_last=True)
        self.summary.persons_behind = _names_of(self._queue.skipped_persons)
        if (unmet := self._meanings.unmet()) and not (self._dead_letters and self._dead_letters.is_input):
            logger.warning(unmet)
        if self._store:
            self._store.conditions = {**self._store.conditions, **self._conditions}
        self._sum_up()
        left = self.summary.dead_letters.total() + self.summary.unreadable_lines
        if left and self._dead_letters and self._dead_letters.is_input:
            raise RunError(
                f"{left:,} of the dead letters in {self._dead_letters.path} still can't be delivered; the file has "
                "them as before, so keep it, and what else was in it is in PostHog"
            )

    def _bring_persons_up_to_date(self, *, is_last: bool = False) -> None:
        """Send the person changes again that PostHog skipped; those that are left at the end the summary names.

        PostHog has kept their events, so a failure here takes no STATE back.
        """
        try:
            self._queue.send_skipped_persons_again(is_last=is_last)
        except RunError as error:
            logger.warning("Persons that PostHog has skipped couldn't be sent again: %s", error)

    def _sum_up(self) -> None:
        """Print the summary and write its file, if that isn't done."""
        if self._is_summed_up:
            return
        self._is_summed_up = True
        for origin in self._origins.values():
            self.summary.note_origin(origin)
        for line in self.summary.warnings():
            logger.warning(line)
        if self._store:
            self._store.close()
        for line in self.summary.lines(self._client):
            logger.info(line)
        if self._dead_letters and (self.summary.dead_letters or self.summary.unreadable_lines):
            kept = Path(self._dead_letters.path)
            apart = kept.with_name(f"{kept.stem}-again{kept.suffix}")  # another run may keep some meanwhile
            logger.warning(
                "Dead letters are in %s; once their cause is mended, `mv -n %s %s && %s invoke target-posthog < %s "
                "&& rm %s` sends them",
                *(kept, kept, apart, meltano_command(os.environ), apart, apart),
            )
        try:
            if self._summary_path:
                self.summary.write(self._summary_path, self._client)
        except OSError as error:
            logger.warning("`summary_path`: the file %s can't be written (%s)", self._summary_path, error.strerror)

    def abandon(self) -> None:
        """Wait for PostHog's answer to what is under way, then print the summary."""
        with contextlib.suppress(RunError):
            self._queue.settle()
        self.summary.persons_behind = _names_of(self._queue.skipped_persons)
        self._sum_up()

    def abort(self) -> None:
        """Do nothing: no STATE covers what is under way, so the next run sends it again."""


def _names_of(sources: Iterable[object]) -> list[str]:
    """Return what the records of some sources are called, each once."""
    named = (f"{source.origin.stream_name} {source.name}" for source in sources if isinstance(source, Source))
    return list(dict.fromkeys(named))
