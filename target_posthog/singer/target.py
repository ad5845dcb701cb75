"""Target of the Singer SDK: the run, from its settings to the STATE that it passes on.

Takes settings and Singer messages; gives records to a destination, and writes a STATE once all before it has arrived.
STATE is written by `_write_state_message` and nowhere else.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import stamina.instrumentation
from singer_sdk import Target, mapper
from singer_sdk.exceptions import ConfigValidationError, InvalidInputLine, SingerSDKError
from singer_sdk.helpers.capabilities import PluginCapabilities, TargetCapabilities
from singer_sdk.mapper import MAPPER_SOURCE_OPTION, RemoveRecordTransform
from singer_sdk.plugin_base import _ConfigInput
from typing_extensions import override

from target_posthog.books.rows import book_rows
from target_posthog.commands.group import command_lines
from target_posthog.delivery.dead_letters import MAPPED
from target_posthog.delivery.destination import key_name
from target_posthog.delivery.to_posthog import PostHogDestination
from target_posthog.errors import RunError, did_you_mean
from target_posthog.mapping.meanings import Meanings
from target_posthog.preview.to_file import PreviewDestination
from target_posthog.settings import (
    OF_FILES,
    SETTINGS,
    STREAM_MAPS,
    as_path,
    config_of,
    config_of_environment,
    defaults,
    misnamed_variables,
    wrong_settings,
)
from target_posthog.singer.messages import MessageReader, UnreadableLine
from target_posthog.singer.process import (
    collect_less_garbage,
    leave_at_a_pause,
    leave_to_debug,
    let_go_of_stdout,
    signals_delayed,
)
from target_posthog.singer.sinks import PostHogSink
from target_posthog.singer.stream_maps import StreamMaps, wrong_maps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

    import click

    from target_posthog.delivery.destination import Destination

SIGNAL_EXIT = 128  # as a shell reports a process that a signal ended
SECONDS_BETWEEN_STATES = 5.0  # Meltano writes each to its database, which takes some 30 ms
MISTAKES = (RunError, SingerSDKError, InvalidInputLine)  # what a user can put right


class TargetPostHog(Target):
    """Loads any Singer stream into PostHog as events and persons: at their time, acknowledged one by one."""

    name = "target-posthog"
    package_name = "shopify-posthog"
    default_sink_class = PostHogSink
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
        self._reader = MessageReader(self._abandoning, self._keep_line)
        super().__init__(message_reader=self._reader, **options)
        self._mapped: set[object] = set()  # streams of dead letters
        self.max_parallelism = 1  # all sinks share one destination; the SDK's threads would only hang on a signal
        self.meanings = Meanings(self.config)  # a mapping may take its time, and a signal ends that
        with signals_delayed():
            self.destination: Destination = self._chosen_destination()
        self._seconds_between_states = seconds_between_states
        self._stated_at = time.monotonic()

    def _chosen_destination(self) -> Destination:
        if self.config.get("preview_path"):
            return PreviewDestination(
                self.config,
                self.meanings,
                version=self.plugin_version,
                keep_books=lambda file: book_rows(file, self.config["time_zone"]),
            )
        return PostHogDestination(self.config, self.meanings)

    @override
    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        """Take a stream's schema; dead letters have been through the stream maps, and pass them by."""
        stream, is_mapped = message_dict.get("stream"), message_dict.get(MAPPED) is True
        if is_mapped is not (stream in self._mapped):
            self._mapped ^= {stream}
            self.mapper.stream_maps.pop(str(stream), None)
        if not is_mapped and (mistake := self._stream_maps.mistake(str(stream))):
            raise RunError(mistake)
        maps, of_the_rest = self.mapper.stream_maps_dict, self.mapper.default_mapper_type
        if is_mapped:
            self.mapper.stream_maps_dict, self.mapper.default_mapper_type = {}, mapper.SameRecordTransform
        try:
            super()._process_schema_message(message_dict)
        finally:
            self.mapper.stream_maps_dict, self.mapper.default_mapper_type = maps, of_the_rest

    @override
    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        """Take a record; raises `RunError` for a stream map's error, without what Python says, as it quotes values."""
        try:
            super()._process_record_message(message_dict)
        except Exception as error:
            frames = traceback.walk_tb(error.__traceback__)
            if not any(frame.f_globals["__name__"] == mapper.__name__ for frame, _ in frames):
                raise
            stream = message_dict["stream"]
            keys = self.mapper.stream_maps[stream][0].raw_key_properties or ()
            raise RunError(
                f"A stream map of stream `{stream}` can't take the record {key_name(message_dict['record'], keys)} "
                f"({type(error).__name__}); check the setting `stream_maps`"
            ) from None

    def is_of_letters(self, stream: str) -> bool:
        """Say whether a stream's records are dead letters that are sent again."""
        return stream in self._mapped

    def is_wanted(self, stream: str) -> bool:
        """Say whether the stream maps let records of a stream through; the SDK makes a sink also where none does."""
        maps = [
            stream_map
            for each in self.mapper.stream_maps.values()
            for stream_map in each
            if stream_map.stream_alias == stream
        ]
        return not maps or not all(isinstance(stream_map, RemoveRecordTransform) for stream_map in maps)

    def _keep_line(self, line: bytes | str, error: UnreadableLine) -> None:
        """Keep a line that is no message as a dead letter, or end the run."""
        if not self.destination.keep_line(line, str(error)):
            raise UnreadableLine(f"{error}; correct it, or set `dead_letter_path` to go on without such lines")

    @override
    def process_endofpipe(self) -> None:
        """Deliver the rest, write STATE, then print the summary."""
        with self._abandoning():
            super().process_endofpipe()
            self.destination.flush()
            if isinstance(self.destination, PreviewDestination) and self._reader.break_off:
                raise RunError(f"{self._reader.break_off}. Its own words say why; a preview of a part is none")
            self._warn_of_unmet_maps()
            self.destination.end()

    def _warn_of_unmet_maps(self) -> None:
        """Name the stream maps whose streams didn't come: under another name, what they were to hide went out."""
        came = [] if self._mapped else [*self.mapper.stream_maps]
        for name, stream_map in self.mapper.stream_maps_dict.items():
            source = stream_map.get(MAPPER_SOURCE_OPTION, name) if isinstance(stream_map, dict) else name
            if came and not fnmatch.filter(came, source):
                hint = did_you_mean(source, came)
                self.logger.warning("No stream of this run has the name of a stream map: `%s`%s", source, hint)

    @contextlib.contextmanager
    def _abandoning(self) -> Iterator[None]:
        """Print the summary also if an error ends the run."""
        try:
            yield
        except MISTAKES:
            self.destination.abandon()
            raise

    @override
    def _write_state_message(self, state: dict[str, Any]) -> None:
        """Write a STATE when all before it is delivered; whole, also if a signal comes while the pipe is full."""
        if self.destination.flush():
            try:
                with signals_delayed():
                    super()._write_state_message(state)
            except OSError as error:
                let_go_of_stdout()
                raise RunError(
                    f"The STATE can't be written to standard output ({error.strerror}); what arrived since the last "
                    "one is read again by the next run, and counts once"
                ) from None

    @override
    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        """Take a STATE and, every few seconds, deliver all before it and pass it on.

        The SDK passes STATE on only at the end or with a record five minutes later (target_base.py, drain_all), and
        `meltano run` forgets the one of the end when it is told to stop (meltano/core/block/extract_load.py).
        """
        super()._process_state_message(message_dict)
        if time.monotonic() - self._stated_at >= self._seconds_between_states:
            self.drain_all()
            self._stated_at = time.monotonic()

    @override
    def _process_batch_message(self, message_dict: dict[str, Any]) -> NoReturn:
        """Refuse a file of records, for it went round the tap's selection and stream maps."""
        raise RunError(
            f"Stream `{message_dict.get('stream')}` comes as BATCH files, which this target doesn't read; remove "
            "`batch_config` from the tap's settings"
        )

    @override
    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Pass over ACTIVATE_VERSION: events aren't replaced by a new version of a table."""

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> NoReturn:
        """Stop at once without a STATE: the SDK would write one for records that are not delivered, or hang.

        An exception won't do: raised while Python gives a lock back, it becomes a RuntimeError, and a traceback.
        """
        if hasattr(self, "destination"):
            self.destination.abort()
        os._exit(SIGNAL_EXIT + signum)

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings, with one sentence for each that is wrong, and fill in the defaults."""
        self.append_builtin_config(self.config_jsonschema)
        files = {name: as_path(self._config[name]) for name in OF_FILES if isinstance(self._config.get(name), str)}
        self._config = {name: value for name, value in {**self._config, **files}.items() if value not in (None, "")}
        maps = self._config.get(STREAM_MAPS, {})
        misnamed, others = misnamed_variables(os.environ, self._config, self.config_jsonschema)
        errors = [*wrong_settings(self._config, self.config_jsonschema), *misnamed, *wrong_maps(maps)]
        if others and raise_errors:
            self.logger.warning("No settings, and not read: %s in the environment", ", ".join(others))
        if errors and raise_errors:
            raise ConfigValidationError(errors[0], errors=errors, schema=self.config_jsonschema)
        self._stream_maps = StreamMaps({} if errors else maps)
        self._config = {
            **defaults(self.config_jsonschema),
            **self._config,
            STREAM_MAPS: self._stream_maps.by_stream,
        }
        return errors

    @classmethod
    @override
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Announce the SDK's own settings without those that mean nothing here."""
        super().append_builtin_config(config_jsonschema)
        for name in ("add_record_metadata", "load_method", "batch_size_rows"):
            config_jsonschema["properties"].pop(name, None)

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        """Return the command of a run; its help names the other commands, too."""
        command = super().get_singer_command()
        command.help = "Read Singer messages from standard input and send their events to PostHog."
        command.epilog = "\b\nOther commands, each with a --help of its own:\n" + "\n".join(
            f"  target-posthog {line}" for line in command_lines()
        )
        return command

    @classmethod
    @override
    def invoke(cls, **options: Any) -> None:
        """Run the target; what a user can put right ends it with a sentence and exit code 1."""
        collect_less_garbage()
        leave_to_debug(cls.logger)
        # `Outage` says it in sentences; stamina's own hook may print to standard output, which belongs to STATE.
        stamina.instrumentation.set_on_retry_hooks([])
        try:
            super().invoke(**options)
        except ConfigValidationError as error:
            sentences = error.errors
        except MISTAKES as error:
            sentences = [" ".join(str(error).split())]
        else:
            return
        cls._leave(sentences)

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> _ConfigInput:
        """Return the settings of the files that `--config` names; one that holds none is such a mistake, too."""
        config: dict[str, Any] = {}
        try:
            for name in value:
                if name != "ENV":  # the SDK's word for the environment
                    config |= config_of(name)
            if "ENV" in value:
                cls.append_builtin_config(cls.config_jsonschema)
                config |= config_of_environment(cls.config_jsonschema)
        except RunError as error:
            cls._leave([str(error)])
        return _ConfigInput(config=config)

    @classmethod
    def _leave(cls, sentences: Iterable[str]) -> NoReturn:
        for sentence in sentences:
            cls.logger.error(sentence)
        leave_at_a_pause()
        sys.exit(1)
