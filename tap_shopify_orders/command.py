"""Command line: takes arguments and the files that they name, runs the tap, and ends with an exit code.

A run that fails for a known reason ends with that reason in one sentence. This module knows how runs end, not what they
do; it knows the form of a catalog, but no stream; and it repeats nothing that stands in a file.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import stamina.instrumentation
from singer_sdk import metrics
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.plugin_base import SingerCommand
from singer_sdk.singerlib import Catalog
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL
from typing_extensions import override

from tap_shopify_orders.decoding import UNREADABLE
from tap_shopify_orders.errors import RunError, printable
from tap_shopify_orders.selection import selected
from tap_shopify_orders.shopify.answers import Throttled
from tap_shopify_orders.side_by_side import SENTENCES, store_before

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import click
    from stamina.instrumentation import RetryDetails

REMEDIES = {
    "--config": "Write the settings as one.",
    "--state": "Give what the target wrote last, or nothing, to begin anew: what is read again counts once.",
    "--catalog": "Give what `--discover` writes, with what you select.",
}
REPLICATION_METHODS = (REPLICATION_INCREMENTAL, REPLICATION_FULL_TABLE)
FOR_THE_SDKS_DEVELOPERS = (
    "METRIC: ",
    "Skipping parse of env var settings",
    "Skipping deselected stream ",
    "Beginning sync of ",
    "Starting incremental sync of ",
)
_object = msgspec.json.Decoder(dict[str, Any])
_logger = logging.getLogger("tap-shopify-orders")


def is_wanted(record: logging.LogRecord) -> bool:
    """Keep lines of the SDK for its own developers, such as its metrics, out of a log that isn't at DEBUG."""
    text = str(record.msg).removeprefix(store_before(record))
    return _logger.isEnabledFor(logging.DEBUG) or not text.startswith(FOR_THE_SDKS_DEVELOPERS)


def leave_to_debug(streams: Iterable[str]) -> None:
    """Filter what the SDK logs: a filter holds for its own logger alone, and each stream has one."""
    for each in (_logger, metrics.get_metrics_logger(), *map(_logger.getChild, streams)):
        each.addFilter(is_wanted)


class Command(SingerCommand):
    """The SDK's command, which ends a run that failed for a known reason with a sentence and exit code 1."""

    @override
    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, and log each wait before a question is asked again."""
        stamina.instrumentation.set_on_retry_hooks([_log_retry])
        # Meltano has Python warn of files that a process leaves to its end, and click leaves catalog and state open
        # where a setting is wrong: the sentence about that is to stand alone.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            return super().main(*args, **kwargs)
        except ConfigValidationError as error:
            reasons: Sequence[str] = error.errors
        except SENTENCES as error:
            reasons = [str(error)]
        for reason in reasons:
            _logger.error(reason)
        sys.exit(1)

    @override
    def invoke(self, ctx: click.Context) -> Any:
        """Log a reason where click itself ends a run without a word."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _logger.error("The target stopped reading; its own messages say why.")  # noqa: TRY400  # no traceback
            raise


def _log_retry(details: RetryDetails) -> None:
    level = logging.DEBUG if isinstance(details.caused_by, Throttled) else logging.WARNING
    _logger.log(level, "%s Asking again in %.1f s.", details.caused_by, details.wait_for)


class _Schema(msgspec.Struct):
    type: str | list[str] | None = None
    properties: dict[str, _Schema] | None = None
    items: _Schema | None = None


class _Words(msgspec.Struct, rename="kebab"):
    selected: bool | None = None
    selected_by_default: bool | None = None
    forced_replication_method: str | None = None


class _Metadata(msgspec.Struct):
    breadcrumb: list[str]
    metadata: _Words


class _Entry(msgspec.Struct):
    tap_stream_id: str
    stream: str | None = None
    schema: _Schema = msgspec.field(default_factory=_Schema)
    metadata: list[_Metadata] = []
    key_properties: list[str] | None = None
    replication_key: str | None = None
    replication_method: str | None = None

    @property
    def methods(self) -> set[str]:
        """How the stream is to be read, wherever the SDK looks for that."""
        whole = (each.metadata.forced_replication_method for each in self.metadata if not each.breadcrumb)
        return {method for method in (self.replication_method, *whole) if method}


class _Catalog(msgspec.Struct):
    streams: list[_Entry]


def json_object(option: str, name: str, content: Callable[[], bytes | str]) -> dict[str, Any]:
    """Return the JSON object in the file that an option names; raises RunError if there is none to be read."""
    try:
        return _object.decode(content())
    except OSError as error:
        raise RunError(f"`{option} {name}` can't be read: {error.strerror}.") from None
    except UNREADABLE as error:
        why = str(error) if isinstance(error, msgspec.DecodeError) else "it isn't text, or it is nested too deeply"
        raise RunError(f"`{option} {name}` isn't a JSON object: {why}. {REMEDIES[option]}") from None


def checked_catalog(catalog: dict[str, Any]) -> dict[str, Any]:
    """Return a catalog as it is; raises RunError for an object that doesn't have a catalog's form."""
    try:
        streams = msgspec.convert(catalog, _Catalog).streams
    except msgspec.ValidationError as error:
        raise RunError(f"The catalog doesn't have a catalog's form: {error}. {REMEDIES['--catalog']}") from None
    if any(entry.stream not in (None, entry.tap_stream_id) for entry in streams):
        raise RunError(f"The catalog names a stream otherwise than `tap_stream_id` does. {REMEDIES['--catalog']}")
    for name, times in Counter(entry.tap_stream_id for entry in streams).items():
        if times > 1:
            raise RunError(f"The catalog has {printable(name)} twice. {REMEDIES['--catalog']}")
    for entry in streams:
        if entry.methods - {*REPLICATION_METHODS}:
            raise RunError(
                f"The catalog wants {printable(entry.tap_stream_id)} by another replication method than"
                f" {' or '.join(REPLICATION_METHODS)}: write one of them, or none."
            )
    return catalog


def check_selection(catalog: dict[str, Any], streams: Sequence[str]) -> None:
    """Warn of what a catalog selects besides the streams that there are; raises RunError if it selects none."""
    wanted, there_are = selected(Catalog.from_dict(catalog)), ", ".join(streams)
    if not {*wanted} & {*streams}:
        raise RunError(f"The catalog selects none of {there_are}. {REMEDIES['--catalog']}")
    for name in wanted:
        if name not in streams:
            _logger.warning("The catalog selects %s, which this tap hasn't: it has %s.", printable(name), there_are)


def environment_config(schema: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the settings that the environment has, or else a file .env; one that is empty isn't set.

    Raises RunError for one that isn't of its setting's kind.
    """
    own = dict(os.environ)
    parse_environment_config({}, prefix)  # takes in the file, which wins: the SDK searches the folders above its own
    os.environ.update({name: value for name, value in own.items() if value})
    config: dict[str, Any] = {}
    for name, setting in schema["properties"].items():
        variable = f"{prefix}{name.upper()}"
        if os.environ.get(variable):
            try:
                config |= parse_environment_config({"properties": {name: setting}}, prefix, os.devnull)
            except ValueError:
                kinds = ", ".join(f"`{kind}`" for kind in setting["type"] if kind != "null")
                raise RunError(f"{variable} in the environment needs a value of type {kinds}, as JSON.") from None
    return config
