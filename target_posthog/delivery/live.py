"""A run that sends, in: records with what became of them; out: events in PostHog, dead letters, a summary.

Knows neither HTTP nor rules: delivery.py sends, and the mapping has spoken already.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from target_posthog.delivery.dead_letters import DeadLetters
from target_posthog.delivery.keys import Maker
from target_posthog.delivery.queue import Delivery
from target_posthog.delivery.summary import Summary
from target_posthog.mapping.language.functions import canonical
from target_posthog.messages import name_of
from target_posthog.posthog.client import DEFAULT_HOST, Busy, Client, Refused
from target_posthog.preview.hold import Hold
from target_posthog.settings import historical_per_second

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_posthog.delivery.destination import Outcome
    from target_posthog.mapping.meanings import Meanings
    from target_posthog.sinks import PostHogSink

logger = logging.getLogger(__name__)


class Origin(NamedTuple):
    """Where an event comes from, to name it in a sentence; with the record itself if it may become a dead letter."""

    sink: PostHogSink
    name: str
    record: msgspec.Raw | None


class Sync:
    """The road to PostHog; nothing is sent or asked before `begin`. Raises `Refused` for a plan that can't be read."""

    def __init__(self, settings: Mapping[str, Any], meanings: Meanings) -> None:
        self.summary = Summary(meanings.money)
        self._client = Client(
            settings["api_key"],
            settings["host"] or DEFAULT_HOST,
            protocol=settings["protocol"],
            max_retry_seconds=settings["max_retry_seconds"],
        )
        self._delivery = Delivery(
            self._client,
            self.summary,
            self._refuse,
            senders=settings["senders"],
            historical_per_second=historical_per_second(
                settings.get("historical_events_per_second"), self._client.host
            ),
            max_events=settings.get("max_events"),
        )
        letters, plan = settings.get("dead_letter_path"), settings.get("plan_path")
        self._dead_letters = DeadLetters(letters) if letters else None
        self._hold = Hold.read(plan, fingerprint=meanings.fingerprint) if plan else None
        self._summary_path: str | None = settings.get("summary_path")
        self._sinks: dict[str, PostHogSink] = {}
        self._key_is_checked = False
        self._is_summed_up = False

    @property
    def is_full(self) -> bool:
        """Say whether the events of all streams together are enough to send."""
        return self._delivery.is_full

    def begin(self) -> None:
        """Check the project key, once a run."""
        if not self._key_is_checked:
            self._client.check_key()
            self._key_is_checked = True

    def take(self, sink: PostHogSink, record: dict[str, Any], outcome: Outcome) -> None:
        """Let a record's events wait, or count why it has none."""
        self.summary.records[sink.stream_name] += 1
        self._sinks[sink.stream_name] = sink
        if outcome.left_out:
            self.summary.left_out[sink.stream_name, outcome.left_out] += 1
        self.summary.ignored[sink.stream_name] += outcome.ignored
        if not outcome.events and not outcome.refused:
            return
        kept = msgspec.Raw(msgspec.json.encode(record)) if self._dead_letters else None
        origin = Origin(sink, name_of(record, sink.key_properties), kept)
        if outcome.refused:
            self._refuse(origin, outcome.refused)
            return
        if self._hold:
            self._hold.check(outcome.events)
        stream = sink.stream_name
        self.summary.made[stream] += len(outcome.events)
        makers = [
            Maker(stream, rule, event["event"]) for rule, event in zip(outcome.rules, outcome.events, strict=True)
        ]
        self._delivery.add(outcome.events, origin, makers, _identity(record, sink.key_properties))

    def _refuse(self, origin: Origin, reason: str) -> None:
        """Keep a record that can't be delivered as a dead letter, or end the run."""
        sink = origin.sink
        sentence = f"Stream `{sink.stream_name}`, record {origin.name}: {reason}"
        if self._dead_letters is None or origin.record is None:
            raise Refused(f"{sentence}; correct it, or set `dead_letter_path` to go on without such records")
        try:
            self._dead_letters.keep(sink.stream_name, sink.original_schema, sink.key_properties, origin.record, reason)
        except OSError as error:
            raise Refused(
                f"{sentence}; and `dead_letter_path`: the file {self._dead_letters.path} can't be written "
                f"({error.strerror})"
            ) from None
        self.summary.dead_letters[sink.stream_name] += 1
        logger.warning("%s; kept in %s", sentence, self._dead_letters.path)

    def keep_line(self, line: bytes | str, reason: str) -> bool:
        """Keep a line that is no message as a dead letter, if there are any."""
        if self._dead_letters is None:
            return False
        try:
            self._dead_letters.keep_line(line, reason)
        except OSError as error:
            raise Refused(
                f"{reason}; and `dead_letter_path`: the file {self._dead_letters.path} can't be written "
                f"({error.strerror})"
            ) from None
        self.summary.unreadable_lines += 1
        logger.warning("%s; kept in %s", reason, self._dead_letters.path)
        return True

    def dispatch(self) -> None:
        """Let what waits leave, after PostHog has acknowledged what left before."""
        self._delivery.dispatch()

    def flush(self) -> bool:
        """Return when PostHog has acknowledged everything: a STATE may be written."""
        self._delivery.flush()
        return True

    def end(self) -> None:
        """Say what the run did, once."""
        if self._is_summed_up:
            return
        self._is_summed_up = True
        for stream, sink in self._sinks.items():
            self.summary.lacking[stream] = sink.lacking
            if not sink.is_left_out:
                self.summary.silences[stream] = list(sink.silences())
        for line in self.summary.warnings():
            logger.warning(line)
        for line in self.summary.lines(self._client):
            logger.info(line)
        try:
            if self._summary_path:
                self.summary.write(self._summary_path, self._client)
        except OSError as error:
            logger.warning("`summary_path`: the file %s can't be written (%s)", self._summary_path, error.strerror)

    def abandon(self) -> None:
        """Wait for PostHog's answer to what is under way, then say what the run did."""
        with contextlib.suppress(Refused, Busy):
            self._delivery.settle()
        self.end()

    def drop(self) -> None:
        """Do nothing: no STATE covers what is under way, so the next run sends it again."""


def _identity(record: Mapping[str, Any], keys: Sequence[str]) -> int:
    """Return a hash by which a record is told from others: of its key, or of all of it."""
    return hash(canonical([record.get(key) for key in keys] if keys else record))
