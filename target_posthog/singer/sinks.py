"""Sink of a stream: makes events of its records, with the rules that the mapping has for it.

Takes records as the SDK hands them over; gives each, with what became of it, to the run's destination.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from singer_sdk.sinks import Sink
from typing_extensions import override

from target_posthog.delivery.destination import Outcome
from target_posthog.mapping.language.compiler import DELETED_AT
from target_posthog.mapping.rule import RecordError
from target_posthog.singer.messages import RecordCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.mapping.explanation import Explainer
    from target_posthog.singer.target import TargetPostHog


class PostHogSink(Sink):
    """Turns records into events as they come, so that no record is kept; all sinks share the target's one destination.

    One destination for all streams keeps the order of the records, also across streams and changes of schema.
    """

    def __init__(
        self, target: TargetPostHog, stream_name: str, schema: dict[str, Any], key_properties: Sequence[str] | None
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        self._destination = target.destination
        self._check = RecordCheck(stream_name, self.original_schema) if self.validate_schema else None
        self._meaning = target.meanings.of(stream_name, self.original_schema, self.key_properties)

    @override
    def setup(self) -> None:
        """Let a wrong key or host be known before the tap has worked for long."""
        super().setup()
        self._destination.begin()

    @cached_property
    def explainer(self) -> Explainer | None:
        """What explains this stream's records; None if they become nothing."""
        return self._meaning.explainer() if self._meaning else None

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
    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Make the record's events and let them go."""
        self._destination.take(self, record, self._outcome(record))

    def _outcome(self, record: dict[str, Any]) -> Outcome:
        problem = self._check.problem(record) if self._check else None
        if problem:
            return Outcome(invalid=problem)
        if self._meaning is None:
            return Outcome()
        try:
            reason = self._meaning.mapping.reason_to_leave_out(record)
            return Outcome(left_out=reason) if reason else Outcome(self._meaning.mapping.events(record))
        except RecordError as error:
            return Outcome(invalid=str(error))

    @override
    def process_batch(self, context: dict[str, Any]) -> None:
        """Let all that waits leave, of this stream and the others; a STATE waits until PostHog has acknowledged it."""
        self._destination.dispatch()

    @override
    def _remove_sdc_metadata_from_record(self, record: dict[str, Any]) -> None:
        """Take out the tap's metadata, but not that the record was deleted: a rule may have an event for that."""
        deleted_at = record.get(DELETED_AT)
        super()._remove_sdc_metadata_from_record(record)
        if deleted_at:
            record[DELETED_AT] = deleted_at
