"""Destination file: a run that sends nothing, and writes all that would be sent, and the plan.

Takes records with what became of them; what they mean has been decided before.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import msgspec

from target_posthog.delivery.admission import Admission
from target_posthog.delivery.destination import identity_of, key_name
from target_posthog.delivery.held_run import PLAN_FORMAT
from target_posthog.delivery.progress import SECONDS_BETWEEN_PROGRESS, Progress
from target_posthog.mapping.catalogue import catalogue
from target_posthog.mapping.event import HISTORICAL_AFTER, changes_person, is_identified, money_in
from target_posthog.mapping.language.functions import as_timestamp
from target_posthog.preview.file import plain
from target_posthog.preview.lines import plan_lines
from target_posthog.preview.naming import Naming
from target_posthog.preview.personal import personal_values, personal_values_of, stand_ins
from target_posthog.preview.plan import UTC, Planning
from target_posthog.preview.writer import PreviewWriter
from target_posthog.receipts.opening import open_store
from target_posthog.receipts.sifter import Candidate, NothingKnown, Sifter, without_receipts
from target_posthog.receipts.temporary import TemporaryMapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from target_posthog.delivery.destination import Origin, Outcome
    from target_posthog.mapping.event import Event
    from target_posthog.mapping.meanings import Meanings
    from target_posthog.preview.file import KnownRecord, PreviewFile
    from target_posthog.receipts.sifter import Sifted

    KeepBooks = Callable[[PreviewFile], Iterable[tuple[str, dict[str, str | int]]]]

NOT_DUE = "no event was sent that it would complete"
NEVER_SENT = "no receipt says that anything was sent of the record, so there is nothing to take back"
ERASED = "the person was erased (`target-posthog receipts erase`)"

logger = logging.getLogger(__name__)


class PreviewDestination:
    """Writes a preview's file; no STATE follows it, so that each preview is whole and no run's bookmark moves.

    What would end a run that sends, such as a record that no rule can read, is noted in the plan.
    """

    is_full = False

    def __init__(
        self,
        settings: Mapping[str, Any],
        meanings: Meanings,
        *,
        version: str,
        keep_books: KeepBooks | None = None,
        seconds_between_progress: float = SECONDS_BETWEEN_PROGRESS,
    ) -> None:
        """Begin a file; `keep_books` returns the rows of its tables of books once all else is written."""
        self._meanings = meanings
        self._keeps_lines = bool(settings.get("dead_letter_path"))
        self._version = version
        self._keep_books = keep_books
        self._admission = Admission(self._note_undeliverable)
        self._namings = {stream: Naming(stream, spec) for stream, spec in meanings.document["records"].items()}
        self._secret = secrets.token_bytes(16)  # of the stand-ins; forgotten at the end
        now = datetime.now(timezone.utc)
        self._made_at, self._historical_before = as_timestamp(now), as_timestamp(now - HISTORICAL_AFTER)
        self._records = 0
        self._progress = Progress(seconds_between_progress)
        self._file = PreviewWriter(settings["preview_path"])
        store = open_store(settings, is_read_only=True)
        # Before the first run there is no store yet; that run won't say anything twice, so its preview doesn't either.
        # Nothing is ever acknowledged, so what is pending is all that a run would send.
        is_sifted = settings.get("receipts")
        self._sifter = Sifter(store or NothingKnown(), self, TemporaryMapping) if is_sifted else None
        self._reasons: list[str] = []  # why a record, or an event of it, can't be delivered
        self._there: list[Candidate] = []  # events of one record that PostHog has already
        self._repeated: list[Candidate] = []  # and those that this run would have sent already
        self._idle: dict[str, str] = {}  # of one record: rules that would complete or take back nothing, and why

    def note_already_there(self, candidate: Candidate, *, changed: bool) -> None:  # noqa: ARG002  # of the protocol `Tally`
        """Note an event that PostHog has already."""
        self._there.append(candidate)

    def note_repeated(self, candidate: Candidate) -> None:
        """Note an event that comes a second time."""
        self._repeated.append(candidate)

    def note_not_resent(self, candidate: Candidate) -> None:
        """Note an event that isn't sent again."""
        self._there.append(candidate)

    def note_not_due(self, candidate: Candidate) -> None:
        """Note a rule that would complete an event which lacks nothing."""
        self._idle[candidate.rule] = NOT_DUE

    def note_provisional(self, candidate: Candidate) -> None:
        """Pass over what isn't final: the plan counts it as what it is."""

    def note_never_sent(self, candidate: Candidate) -> None:
        """Note a rule that would take back what was sent, where nothing was."""
        self._idle[candidate.rule] = NEVER_SENT

    def note_without_amounts(self, candidate: Candidate) -> None:
        """Pass over what would take nothing back: the plan shows its properties."""

    def note_erased(self, candidate: Candidate) -> None:
        """Note a rule that would say something of a person who was erased."""
        self._idle[candidate.rule] = ERASED

    def _note_undeliverable(self, _sifted: Sifted, reason: str) -> None:
        self._reasons.append(reason)

    def begin(self) -> None:
        """Do nothing: a preview needs neither key nor network."""

    def take(self, origin: Origin, record: dict[str, Any], outcome: Outcome) -> None:
        """Write a record, why it became what it did, and its events."""
        self._records += 1
        if self._progress.is_due():
            logger.info("%s records looked at so far", f"{self._records:,}")
        explanation = origin.explainer.explained(record) if origin.explainer else []
        naming = self._namings.get(origin.stream_name) or Naming(origin.stream_name, {})
        keys = [record.get(key) for key in origin.key_properties]
        identity = identity_of(origin, record)
        candidates = [
            Candidate(
                made.event,
                made.rule,
                outcome.entity,
                record=identity,
                is_keyless=not origin.key_properties,
                proviso=made.proviso,
                is_of_item=made.is_of_item,
                is_letter=origin.is_of_letters,
            )
            for made in outcome.events
        ]
        self._reasons = [outcome.invalid] if outcome.invalid else []
        self._there, self._repeated, self._idle = [], [], {}
        for item in self._sifter.sift(candidates) if self._sifter else without_receipts(candidates, self):
            if outgoing := self._admission.admitted(item):
                self._file.add_event(self._row_of(outgoing.event, item.rule, there=False))
        if self._idle:
            explanation = [
                {**rule, "fired": False, "why_not": self._idle[rule["rule"]]} if rule["rule"] in self._idle else rule
                for rule in explanation
            ]
        for candidate in self._there:
            self._file.add_event(self._row_of(candidate.event, candidate.rule, there=True))
        for candidate in self._repeated:
            self._file.add("event", {**self._row_of(candidate.event, candidate.rule, there=False), "repeated": 1})
        key_words = key_name(record, origin.key_properties, self._meanings.shown_keys(origin.stream_name))
        name = naming.name(record) or key_words
        personal = self._personal_values(origin.stream_name, record, [made.event for made in outcome.events])
        row = {
            "id": self._records,
            "stream": origin.stream_name,
            "name": name,
            "key_name": key_words,
            "key": json.dumps(keys),
            "body": record,
            "left_out": outcome.left_out,
            "undeliverable": "; ".join(self._reasons) or None,
            "explanation": explanation,
            "personal": stand_ins(personal, self._secret),
        }
        self._file.add("record", row)
        words = (name, key_words, key_name(record, origin.key_properties, origin.key_properties), *keys)
        self._file.add_words(
            self._records, {plain(str(word)) for word in (*words, *naming.words(record)) if word is not None}
        )

    def _row_of(self, event: Event, rule: str, *, there: bool) -> dict[str, Any]:
        money = money_in(event["properties"], self._meanings.money)
        return {
            "uuid": event["uuid"],
            "record": self._records,
            "rule": rule,
            "event": event["event"],
            "distinct_id": event["distinct_id"],
            "timestamp": event["timestamp"],
            "day": event["timestamp"][:10],
            "historical": event["timestamp"] < self._historical_before and not changes_person(event),
            "identified": is_identified(event),
            "there": there,
            "amount": f"{money.amount:f}" if money else None,
            "currency": money.currency if money else None,
            "body": event,
        }

    def _personal_values(
        self, stream: str, record: dict[str, Any], events: Iterable[Event]
    ) -> Iterator[tuple[str, str]]:
        yield from personal_values(record, stream)
        for event in events:
            yield from personal_values_of(event, self._meanings.personal)

    def keep_line(self, line: bytes | str, reason: str) -> bool:  # noqa: ARG002  # a preview keeps no line
        """Say that a line is no message, where it wouldn't end a run; False where it would."""
        if self._keeps_lines:
            logger.warning("%s", reason)
        return self._keeps_lines

    def dispatch(self) -> None:
        """Do nothing: what was taken is written."""

    def flush(self) -> bool:
        """Return False: no STATE may be written, for nothing has arrived anywhere."""
        return False

    def end(self) -> None:
        """Make the plan, put the file in its place and print the plan."""
        about = {"made_at": self._made_at, "mapping": self._meanings.name, "identity": self._meanings.identity}
        document = self._meanings.document
        entries = catalogue({"streams": self._meanings.streams, "glossary": document["glossary"]})
        # Of events and of those of deleted records, by stream and rule.
        names: dict[str, dict[str, dict[str, str]]] = {}
        for entry in entries:
            event_names = {"event": entry["event"], "deleted": entry["deleted"]}
            names.setdefault(entry["stream"], {})[entry["rule"]] = event_names
        books = {"books": json.dumps(document["books"]), "rules": json.dumps(names)}
        self._file.finish({**about, "version": self._version, **books})
        with contextlib.closing(self._file.read()) as written:
            rows = list(self._keep_books(written)) if self._keep_books else []
            zones = {str(row["time_zone"]) for table, row in rows if table == "book"}
            planning = Planning(
                {"format": PLAN_FORMAT, **about, "rules": self._meanings.fingerprint},
                self._meanings.personal,
                entries,
                self._meanings.money,
                zones.pop() if len(zones) == 1 else UTC,  # of several shops each has days of its own
                unmet=self._meanings.unmet(),
            )
            plan = planning.plan(self._telling(written.records()), written.events())
        for table, row in rows:
            self._file.add(table, row)
        self._file.publish(msgspec.json.encode(plan).decode())
        for line in plan_lines(plan):
            logger.info(line)
        logger.info("The preview is in %s: `target-posthog explain` shows one order or customer of it", self._file.path)

    def _telling(self, records: Iterable[KnownRecord]) -> Iterator[KnownRecord]:
        """Yield the records, and say now and then how far the plan is."""
        for number, record in enumerate(records, 1):
            if self._progress.is_due():
                logger.info("%s of %s records are in the plan so far", f"{number:,}", f"{self._records:,}")
            yield record

    def abandon(self) -> None:
        """Remove the unfinished file."""
        self._file.discard()
        logger.warning("The preview isn't finished; %s is as it was before", self._file.path)

    def abort(self) -> None:
        """Remove the unfinished file."""
        self._file.remove()
