"""Sink of a stream: makes events of its records, with the rules that the mapping has for it.

Takes records as the SDK hands them over; gives each, with what became of it, to the run's destination.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from singer_sdk.sinks import Sink
from typing_extensions import override

from target_posthog.delivery.destination import Outcome
from target_posthog.mapping.language.compiler import DELETED_AT
from target_posthog.mapping.rule import RecordError
from target_posthog.singer.record_check import RecordCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.mapping.explanation import Explainer
    from target_posthog.mapping.rule import Silence
    from target_posthog.singer.target import TargetPostHog


OF_THE_TAP = "_sdc_"  # how the names of its metadata begin


class PostHogSink(Sink):
    """Turns records into events as they come, so that no record is kept; all sinks share the target's one destination.

    One destination for all streams keeps the order of the records, also across streams and changes of schema.
    """

    def __init__(
        self, target: TargetPostHog, stream_name: str, schema: dict[str, Any], key_properties: Sequence[str] | None
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        self._destination = target.destination
        self._is_of_letters = partial(target.is_of_letters, stream_name)
        # A stream that becomes nothing is neither checked nor judged, so that none stops another.
        wanted = target.is_wanted(stream_name)
        target.meanings.met.add(stream_name)
        self._meaning = target.meanings.of(stream_name, self.original_schema, self.key_properties) if wanted else None
        checked = self._meaning and self.validate_schema
        self._check = RecordCheck(stream_name, self.original_schema) if checked else None
        self._keys_of_the_tap = [key for key in self.key_properties if key.startswith(OF_THE_TAP)]

    @override
    def setup(self) -> None:
        """Let a wrong key or host be known before the tap has worked for long."""
        super().setup()
        self._destination.begin()

    @cached_property
    def explainer(self) -> Explainer | None:
        """What explains this stream's records; None if they become nothing."""
        return self._meaning.explainer() if self._meaning else None

    @property
    def is_of_letters(self) -> bool:
        """Whether this stream's records are dead letters that are sent again."""
        return self._is_of_letters()

    @property
    def missing(self) -> list[str]:
        """The events and properties of shipped rules for which the stream has no fields."""
        return self._meaning.mapping.missing if self._meaning else []

    @property
    def is_left_out(self) -> bool:
        """Whether nobody expects an event of the stream: it has no rules, or one that leaves out all of it."""
        return self._meaning is None or self._meaning.mapping.is_left_out

    def silences(self) -> list[Silence]:
        """Return why the stream's rules made nothing of records so far."""
        return self._meaning.mapping.silences() if self._meaning else []

    @override
    def get_validator(self) -> None:
        """Leave the check to `process_record`, where a bad record can become a dead letter (and 100 times faster)."""

    @override
    def _validate_and_parse(self, record: dict[str, Any]) -> dict[str, Any]:
        """Leave the record as it came: the SDK would make datetime objects of times, and expressions want texts."""
        return record

    @property
    @override
    def is_full(self) -> bool:
        """Say whether the events of all streams together are enough to send."""
        return self._destination.is_full

    @override
    def _singer_validate_message(self, record: dict[str, Any]) -> None:
        """Leave the check to `process_record`, where a record without its key can become a dead letter."""

    @override
    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Make the record's events and let them go."""
        self._destination.take(self, record, self._outcome(record))

    def _outcome(self, record: dict[str, Any]) -> Outcome:
        if self._meaning is None:
            return Outcome(ignored=True)
        missing = next((key for key in self.key_properties if key not in record), None)
        if missing is not None:
            return Outcome(invalid=f"`{missing}`, of the stream's key, is missing")
        problem = self._check.problem(record) if self._check else None
        if problem:
            return Outcome(invalid=problem)
        try:
            reason = self._meaning.mapping.reason_to_leave_out(record)
            if reason:
                return Outcome(left_out=reason)
            return Outcome(self._meaning.mapping.made(record), self._meaning.entities.of(record))
        except RecordError as error:
            return Outcome(invalid=str(error))

    @override
    def process_batch(self, context: dict[str, Any]) -> None:
        """Let all that waits leave, of this stream and the others; a STATE waits until PostHog has acknowledged it."""
        self._destination.dispatch()

    @override
    def _remove_sdc_metadata_from_record(self, record: dict[str, Any]) -> None:
        """Take out the tap's metadata, but for the record's key and that it was deleted: a rule may need these."""
        kept = {key: record[key] for key in self._keys_of_the_tap if key in record}
        if deleted_at := record.get(DELETED_AT):
            kept[DELETED_AT] = deleted_at
        super()._remove_sdc_metadata_from_record(record)
        record.update(kept)
