"""The tap, in: settings, a catalog, a state; out: Singer messages of customers, then orders.

Knows which settings there are and what each command does; reading is `streams.py`'s.
"""

from __future__ import annotations

import gc
import json
import sys
from datetime import datetime, timedelta
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar

import stamina.instrumentation
from singer_sdk import Tap
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.plugin_base import SingerCommand
from singer_sdk.singerlib import RecordMessage

from tap_shopify_orders import store
from tap_shopify_orders.answers import Busy, Refused
from tap_shopify_orders.auth import AccessToken, ClientCredentials
from tap_shopify_orders.bulk import BulkOperations
from tap_shopify_orders.client import Client
from tap_shopify_orders.settings import SETTINGS, admin_url_of, in_words, instant, mistakes
from tap_shopify_orders.streams import Customers, Orders, ShopStream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    import click
    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.plugin_base import _ConfigInput
    from singer_sdk.singerlib.encoding.simple import Message
    from stamina.instrumentation import RetryDetails

LINES_BYTES = 1 << 16  # as much as a pipe holds
GARBAGE_THRESHOLD_OBJECTS = 1_000_000  # more than some pages or batches hold, so that it runs for what is left over
_SIGNAL_EXIT = 128  # as a shell reports a process that a signal ended


class _Command(SingerCommand):
    """Ends a run that failed for a known reason with that reason in a sentence, and exit code 1."""

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # click's signature
        stamina.instrumentation.set_on_retry_hooks([_say_retry])
        try:
            return super().main(*args, **kwargs)
        except ConfigValidationError as error:
            reasons: Sequence[str] = error.errors
        except (Refused, Busy) as error:
            reasons = [str(error)]
        for reason in reasons:
            self.logger.error(reason)
        sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's signature
        """Say why, where click itself ends a run without a word."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            self.logger.error("The target stopped reading; its own messages say why.")  # noqa: TRY400  # no traceback
            raise


class WholeLines(MsgSpecWriter):
    """Writes records many at a time, and each line whole, to the last byte.

    A write to a full pipe that a signal interrupts takes a part, and says how much. Anything but a record goes out at
    once, with the records before it: a state never overtakes them.
    """

    def __init__(self) -> None:
        """Begin with nothing to write."""
        super().__init__()
        self._lines = bytearray()

    def write_message(self, message: Message) -> None:
        """Keep a record's line, or write what there is."""
        self._lines += self.format_message(message)
        if len(self._lines) >= LINES_BYTES or not isinstance(message, RecordMessage):
            self.flush()

    def flush(self) -> None:
        """Write what there is to stdout."""
        lines, self._lines = memoryview(self._lines), bytearray()
        while lines:
            lines = lines[sys.stdout.buffer.write(lines) :]
        sys.stdout.buffer.flush()


def _say_retry(details: RetryDetails) -> None:
    TapShopifyOrders.logger.warning("%s Asking again in %.1f s.", details.caused_by, details.wait_for)


class TapShopifyOrders(Tap):
    """Every customer and order of a Shopify store, or a sentence that says what is missing."""

    name = "tap-shopify-orders"
    package_name = "shopify-posthog"
    message_writer_class = WholeLines
    capabilities: ClassVar[list[CapabilitiesEnum]] = [  # no BATCH: it would leave out selection and stream maps
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]
    config_jsonschema = SETTINGS

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  # the SDK's arguments
        """Take settings, catalog and state, as the SDK does; nothing is asked yet."""
        self._signal = 0
        self.reading = False  # from then on a signal waits for the record at hand
        super().__init__(**kwargs)

    def discover_streams(self) -> list[ShopStream]:
        """Return the streams; what they are doesn't depend on the store."""
        return [Customers(self), Orders(self)]

    @property
    def accept(self) -> frozenset[str]:
        """The gaps that the user accepts."""
        return frozenset(self.config.get("accept") or ())

    @property
    def lookback(self) -> timedelta:
        """How far before the bookmark a run begins."""
        return timedelta(seconds=self.config["lookback_seconds"])

    @cached_property
    def client(self) -> Client:
        """The way to the store's Admin API."""
        config = self.config
        admin_url = admin_url_of(config["store"], config.get("admin_url"))
        token = config.get("access_token")
        credentials = (
            AccessToken(token) if token else ClientCredentials(admin_url, config["client_id"], config["client_secret"])
        )
        return Client(admin_url, credentials, accept=self.accept)

    @cached_property
    def granted(self) -> store.Granted:
        """What the store grants; raises Refused for what it must grant and doesn't, unless that is accepted."""
        granted = store.look(self.client)
        selected = {one.name: one for one in self.selected_streams}
        granted.check(selected, selected["orders"].since if "orders" in selected else None, self.accept)
        return granted

    @cached_property
    def counts(self) -> dict[str, store.Count]:
        """How many records each selected stream has in its window."""
        return store.count(self.client, {one.name: one.window.search for one in self.selected_streams})

    @cached_property
    def bulk(self) -> BulkOperations:
        """The store's bulk operations."""
        return BulkOperations(self.client)

    @property
    def until(self) -> datetime:
        """The end of every window, exclusive: the second in which the run began by Shopify's clock, or the end date."""
        end = self.config.get("end_date")
        return min(self.granted.at, instant(end)) if end else self.granted.at

    @property
    def selected_streams(self) -> list[ShopStream]:
        """The streams that the catalog selects, customers first."""
        return [one for one in self.streams.values() if one.selected and isinstance(one, ShopStream)]

    def check(self, *, probe: bool) -> None:
        """Look at what is granted, and into each stream without a bookmark; raises Refused for what is missing."""
        self.logger.info("What the store grants:\n%s", self.granted.block(self.counts))
        for stream in self.selected_streams:
            if probe or not stream.stream_state.get("replication_key_value"):
                stream.probe()

    @classmethod
    def invoke(  # type: ignore[override]  # as the SDK's own
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> None:
        """Run as the SDK does, but look at what is granted before the first message."""
        super(Tap, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        tap = cls(
            config=config.config if config else {},
            state=json.load(state) if state else None,
            catalog=json.load(catalog) if catalog else None,
            parse_env_config=bool(config and config.parse_env),
        )
        tap.check(probe=False)
        gc.freeze()  # what is there now stays, and a page is many small objects without cycles,
        gc.set_threshold(GARBAGE_THRESHOLD_OBJECTS)  # through which the collector would go again and again
        try:
            tap.sync_all()
        finally:
            if isinstance(tap.message_writer, WholeLines):
                tap.message_writer.flush()
        records = ", ".join(f"{one.emitted:,} {one.name}" for one in tap.selected_streams)
        tap.logger.info("Read %s, with %d queries of %d points.", records, tap.client.answers, tap.client.points)

    @classmethod
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Look at what is granted, for `--test`, and do nothing else; `--test=schema` writes the schemas."""
        if value != "all":
            super().cb_test(ctx, param, value)
            return
        config = ctx.params["config"]
        cls(config=config.config, parse_env_config=config.parse_env).check(probe=True)
        ctx.exit()

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the SDK's command, with failures told in a sentence."""
        made = super().get_singer_command()
        return _Command(
            name=made.name,
            callback=made.callback,
            context_settings=made.context_settings,
            params=made.params,
            help=made.help,
            logger=cls.logger,
        )

    def write_state(self) -> None:
        """Write the state; only called where state and messages agree."""
        self.state_writer.write_state(self.state)

    def stop_if_asked(self) -> None:
        """End the run with its state, if a signal asked for it; only called where state and messages agree."""
        if self._signal:
            self.write_state()
            raise SystemExit(_SIGNAL_EXIT + self._signal)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the SDK's signature
        """Note the signal, so that the record at hand is finished; before the first one, and the second time, end."""
        if self._signal or not self.reading:
            raise SystemExit(_SIGNAL_EXIT + signum)
        self._signal = signum

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings; raises ConfigValidationError with a sentence for each mistake."""
        errors = [in_words(error) for error in super()._validate_config(raise_errors=False)]
        errors = [*errors, *mistakes(self.config, self.config_jsonschema["properties"])]
        if errors and raise_errors:
            raise ConfigValidationError("Config validation failed", errors=errors, schema=self.config_jsonschema)
        return errors
