"""The records of a stream go out as events, in: records as the SDK hands them over; out: events in the delivery.

Knows neither HTTP nor any stream by name, but for the one that Meltano's own test sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_sdk.sinks import Sink

from target_posthog.compiler import DELETED_AT
from target_posthog.mapping import RecordError
from target_posthog.messages import RecordCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    import msgspec

    from target_posthog.target import TargetPostHog

MELTANO_TEST_STREAM = "meltano_test_stream"  # `meltano config test`: meltano/core/plugin_test_service.py


@dataclass(frozen=True)
class Origin:
    """Where an event comes from, to name it in a sentence and to keep it as a dead letter."""

    sink: PostHogSink
    name: str
    record: msgspec.Raw | None


class PostHogSink(Sink):
    """Turns records into events as they come, so that no record is kept; all sinks share the target's one delivery.

    One delivery for all streams keeps the order of the records, also across streams and changes of schema.
    """

    def __init__(
        self, target: TargetPostHog, stream_name: str, schema: dict[str, Any], key_properties: Sequence[str] | None
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        self._target = target
        self._check = RecordCheck(stream_name, self.original_schema) if self.validate_schema else None
        self._mapping = target.mapping_of(stream_name, self.original_schema, self.key_properties)
        # The SDK would turn the times named here into datetime objects; expressions and PostHog want them as they came.
        self.schema = {"properties": {}, "additionalProperties": True}

    def setup(self) -> None:
        """Let a wrong key or host be known before the tap has worked for long."""
        super().setup()
        self._target.check_key()

    def get_validator(self) -> None:
        """Leave the check to `process_record`, where a bad record can become a dead letter (and 100 times faster)."""

    @property
    def is_full(self) -> bool:
        """Say whether the events of all streams together are enough to send."""
        return self._target.delivery.is_full

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:  # noqa: ARG002  # the SDK's hook
        """Make the record's events and let them wait for the next batch."""
        summary = self._target.summary
        summary.records[self.stream_name] += 1
        problem = self._check.problem(record) if self._check else None
        if problem:
            self._target.refuse(self._target.origin_of(self, record), problem)
            return
        if self._mapping is None:
            return
        try:
            reason = self._mapping.reason_to_leave_out(record)
            events = [] if reason else self._mapping.events(record)
        except RecordError as error:
            self._target.refuse(self._target.origin_of(self, record), str(error))
            return
        if reason:
            summary.left_out[self.stream_name, reason] += 1
        if events:
            self._target.delivery.add(events, self._target.origin_of(self, record))

    def process_batch(self, context: dict[str, Any]) -> None:  # noqa: ARG002  # the SDK's hook
        """Let all that waits leave, of this stream and the others; a STATE waits until PostHog has acknowledged it."""
        self._target.dispatch()

    def _remove_sdc_metadata_from_record(self, record: dict[str, Any]) -> None:
        """Take out the tap's metadata, but not that the record was deleted: a rule may have an event for that."""
        deleted_at = record.get(DELETED_AT)
        super()._remove_sdc_metadata_from_record(record)
        if deleted_at:
            record[DELETED_AT] = deleted_at
