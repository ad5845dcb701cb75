"""The target's settings and its run, in: settings and Singer messages; out: events in PostHog, then STATE.

Knows neither HTTP nor what an event looks like.
"""

from __future__ import annotations

import contextlib
import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import msgspec
from singer_sdk import Target
from singer_sdk.exceptions import ConfigValidationError, InvalidInputLine, SingerSDKError
from singer_sdk.helpers.capabilities import PluginCapabilities, TargetCapabilities

from target_posthog.client import DEFAULT_HOST, Busy, Client, Refused
from target_posthog.compiler import RuleError
from target_posthog.dead_letters import DeadLetters
from target_posthog.delivery import Delivery
from target_posthog.functions import as_timestamp
from target_posthog.mapping import RecordError, StreamMapping
from target_posthog.messages import MessageReader, name_of
from target_posthog.process import collect_less_garbage, leave_at_a_pause, signals_held
from target_posthog.rules import active, combined, grouped, load, rule_for_unmapped, times_of
from target_posthog.settings import CLOUD_HISTORICAL_PER_SECOND, SETTINGS, wrong_settings
from target_posthog.sinks import MELTANO_TEST_STREAM, Origin, PostHogSink
from target_posthog.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

SECONDS_BETWEEN_STATES = 5.0  # Meltano writes each to its database, which takes some 30 ms
CLOUD = ".posthog.com"


class TargetPostHog(Target):
    """Loads any Singer stream into PostHog as events and persons: once, at their time, acknowledged one by one."""

    name = "target-posthog"
    package_name = "shopify-posthog"
    default_sink_class = PostHogSink
    message_reader_class = MessageReader
    # Neither batch, which goes round stream maps and selection, nor schema-flattening: a mapping reads nested fields.
    capabilities: ClassVar = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.STRUCTURED_LOGGING,
        TargetCapabilities.VALIDATE_RECORDS,
    ]
    config_jsonschema: ClassVar = SETTINGS

    def __init__(
        self,
        *,
        seconds_between_states: float = SECONDS_BETWEEN_STATES,
        **options: Any,  # noqa: ANN401  # the SDK's arguments
    ) -> None:
        """Read the settings and the mapping; nothing is sent or asked yet."""
        super().__init__(**options)
        self.max_parallelism = 1  # the delivery is one for all sinks; the SDK's threads would only hang on a signal
        mapping = load(self.config["mapping"])
        self._streams = combined(mapping["streams"], self.config.get("mappings") or {})
        if self.config["groups"]:
            self._streams = grouped(self._streams, mapping["groups"])
        for stream, rules in self._streams.items():
            StreamMapping(stream, active(rules), identity=self.config["identity"])
        self.summary = Summary()
        self._client = Client(
            self.config["api_key"],
            self.config["host"] or DEFAULT_HOST,
            protocol=self.config["protocol"],
            max_retry_seconds=self.config["max_retry_seconds"],
        )
        self.delivery = Delivery(
            self._client,
            self.summary,
            self.refuse,
            senders=self.config["senders"],
            historical_per_second=self._historical_per_second(),
            max_events=self.config.get("max_events"),
        )
        path = self.config.get("dead_letter_path")
        self._dead_letters = DeadLetters(path) if path else None
        self._key_is_checked = False
        self._is_summed_up = False
        self._warned_of: set[str] = set()
        self._seconds_between_states = seconds_between_states
        self._stated_at = time.monotonic()

    def _historical_per_second(self) -> int | None:
        chosen: int | None = self.config.get("historical_events_per_second")
        return CLOUD_HISTORICAL_PER_SECOND if chosen is None and CLOUD in self._client.host else chosen

    def check_key(self) -> None:
        """Check the project key, once a run; raises Refused."""
        if not self._key_is_checked:
            self._client.check_key()
            self._key_is_checked = True

    def mapping_of(self, stream: str, schema: dict[str, Any], keys: Sequence[str]) -> StreamMapping | None:
        """Return a stream's rules, checked against its schema; None if its records become nothing. Raises RuleError."""
        rules = self._streams.get(stream)
        if rules is None:
            rules = self._rules_of_unmapped(stream, schema, keys)
        if not rules:
            return None
        mapping = StreamMapping(stream, active(rules), identity=self.config["identity"], schema=schema)
        if mapping.left_out:
            self.logger.warning(
                "Stream `%s` lacks the fields for %s; they are left out", stream, ", ".join(mapping.left_out)
            )
        return mapping

    def _rules_of_unmapped(self, stream: str, schema: dict[str, Any], keys: Sequence[str]) -> list[dict[str, Any]]:
        if stream == MELTANO_TEST_STREAM or self.config["unmapped"] == "ignore":
            return []
        if self.config["unmapped"] == "refuse":
            raise RuleError(
                f"`unmapped`: no rule says what the records of stream `{stream}` mean; add one to `mappings`, deselect "
                "the stream in the tap, or set `unmapped` to event or ignore"
            )
        if stream not in self._warned_of:
            self._warned_of.add(stream)
            self.logger.warning(
                "No rule says what the records of stream `%s` mean: each becomes an event of that name, of nobody%s. "
                "Add a rule to `mappings`, or set `unmapped`",
                stream,
                "" if times_of(schema) else ", at the time of this sync because it has no time of its own",
            )
        return [rule_for_unmapped(stream, schema, keys, synced_at=as_timestamp(datetime.now(timezone.utc)))]

    def origin_of(self, sink: PostHogSink, record: dict[str, Any]) -> Origin:
        """Return what to know of a record while its events wait: itself only if it may become a dead letter."""
        kept = msgspec.Raw(msgspec.json.encode(record)) if self._dead_letters else None
        return Origin(sink, name_of(record, sink.key_properties), kept)

    def refuse(self, origin: Origin, reason: str) -> None:
        """Keep a record that can't be delivered as a dead letter, or end the run; raises Refused."""
        sink = origin.sink
        sentence = f"Stream `{sink.stream_name}`, record {origin.name}: {reason}"
        with self._summing_up():
            if self._dead_letters is None or origin.record is None:
                self.delivery.settle()
                raise Refused(f"{sentence}; correct it, or set `dead_letter_path` to go on without such records")
            try:
                self._dead_letters.keep(
                    sink.stream_name, sink.original_schema, sink.key_properties, origin.record, reason
                )
            except OSError as error:
                raise Refused(
                    f"{sentence}; and `dead_letter_path`: the file {self._dead_letters.path} can't be written "
                    f"({error.strerror})"
                ) from None
        self.logger.warning("%s; kept in %s", sentence, self._dead_letters.path)

    def dispatch(self) -> None:
        """Let what waits leave, after PostHog has acknowledged what left before; raises Refused or Busy."""
        with self._summing_up():
            self.delivery.dispatch()

    def process_endofpipe(self) -> None:
        """Deliver the rest, write STATE, then say what the run did."""
        super().process_endofpipe()
        self._deliver()
        self._say_summary()

    def _deliver(self) -> None:
        with self._summing_up():
            self.delivery.flush()

    @contextlib.contextmanager
    def _summing_up(self) -> Iterator[None]:
        """Say what the run did if this is its end."""
        try:
            yield
        except (Refused, Busy):
            self._say_summary()
            raise

    def _say_summary(self) -> None:
        if self._is_summed_up:
            return
        self._is_summed_up = True
        for line in self.summary.lines(self._client):
            self.logger.info(line)
        path = self.config.get("summary_path")
        try:
            if path:
                self.summary.write(path, self._client)
        except OSError as error:
            self.logger.warning("`summary_path`: the file %s can't be written (%s)", path, error.strerror)

    def _write_state_message(self, state: dict[str, Any]) -> None:
        """Write a STATE when all before it is delivered; whole, also if a signal comes while the pipe is full."""
        self._deliver()
        with signals_held():
            super()._write_state_message(state)

    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        """Take a STATE and, every few seconds, deliver all before it and pass it on.

        The SDK passes STATE on only at the end or with a record five minutes later (target_base.py, drain_all), and
        `meltano run` forgets the one of the end when it is told to stop (meltano/core/block/extract_load.py).
        """
        super()._process_state_message(message_dict)
        if time.monotonic() - self._stated_at >= self._seconds_between_states:
            self.drain_all()
            self._stated_at = time.monotonic()

    def _process_batch_message(self, message_dict: dict[str, Any]) -> NoReturn:
        """Refuse a file of records, for it went round the tap's selection and stream maps."""
        raise Refused(
            f"Stream `{message_dict.get('stream')}` comes as BATCH files, which this target doesn't read; remove "
            "`batch_config` from the tap's settings"
        )

    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Pass over ACTIVATE_VERSION: events aren't replaced by a new version of a table."""

    def _handle_termination(self, signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG002  # the SDK's hook
        """Stop at once without a STATE: the SDK would write one for records that are not delivered, or hang."""
        raise SystemExit(128 + signum)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings, with one sentence for each that is wrong, and fill in the defaults."""
        self.append_builtin_config(self.config_jsonschema)
        errors = list(wrong_settings(self._config, self.config_jsonschema))
        if errors and raise_errors:
            raise ConfigValidationError(errors[0], errors=errors, schema=self.config_jsonschema)
        return errors or super()._validate_config(raise_errors=raise_errors)

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Announce the SDK's own settings without those that mean nothing here."""
        super().append_builtin_config(config_jsonschema)
        for name in ("add_record_metadata", "load_method", "batch_size_rows"):
            config_jsonschema["properties"].pop(name, None)

    @classmethod
    def invoke(cls, **options: Any) -> None:  # noqa: ANN401  # the same
        """Run the target; what a user can put right ends it with a sentence and exit code 1."""
        collect_less_garbage()
        try:
            super().invoke(**options)
        except ConfigValidationError as error:
            sentences = error.errors
        except (Refused, Busy, RuleError, RecordError, SingerSDKError, InvalidInputLine) as error:
            sentences = [" ".join(str(error).split())]
        else:
            return
        for sentence in sentences:
            cls.logger.error(sentence)
        leave_at_a_pause()
        sys.exit(1)
