"""The tap, in: settings, a catalog, a state; out: Singer messages of customers, then orders.

Knows which settings there are and what each command does; reading is `streams.py`'s.
"""

from __future__ import annotations

import gc
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities

from tap_shopify_orders import given, settings, stores
from tap_shopify_orders.command import Command
from tap_shopify_orders.once import once
from tap_shopify_orders.output import Output, StoreLines, WholeLines
from tap_shopify_orders.run import SIGNAL_EXIT, SideBySide, Stop
from tap_shopify_orders.settings import SETTINGS, admin_url_of, instant
from tap_shopify_orders.shopify import grants as store
from tap_shopify_orders.shopify.auth import AccessToken, ClientCredentials
from tap_shopify_orders.shopify.bulk import BulkOperations
from tap_shopify_orders.shopify.client import Client
from tap_shopify_orders.state import check_reached, checked
from tap_shopify_orders.streams import Customers, Orders, ShopStream

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    import click
    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.plugin_base import _ConfigInput

GARBAGE_THRESHOLD_OBJECTS = 20_000  # as many as a page or batch holds, so that it runs for what is left over


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
        self.stop = Stop()
        self._end: Callable[[int], object] = sys.exit
        self.reading = False  # from then on a signal waits for the record at hand
        super().__init__(**kwargs)

    def load_state(self, state: dict[str, Any]) -> None:
        """Take the store's part of a state, which may be that of a command's run over several."""
        super().load_state(
            Output(checked(state)).state_of(stores.shop_of(self.config["store"]), alone=True) if state else {}
        )

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

    @once
    def client(self) -> Client:
        """The way to the store's Admin API."""
        config = self.config
        admin_url = admin_url_of(config["store"], config.get("admin_url"))
        token = config.get("access_token")
        credentials = (
            AccessToken(token) if token else ClientCredentials(admin_url, config["client_id"], config["client_secret"])
        )
        return Client(admin_url, credentials, accept=self.accept)

    @once
    def granted(self) -> store.Granted:
        """What the store grants; raises Refused for what it must grant and doesn't, unless that is accepted."""
        granted = store.look(self.client)
        selected = {one.name: one for one in self.selected_streams}
        granted.check(selected, selected["orders"].since if "orders" in selected else None, self.accept)
        for name, one in selected.items():
            check_reached(name, one.stream_state.get("replication_key_value"), granted.at)
        return granted

    @once
    def counts(self) -> dict[str, store.Count]:
        """How many records each selected stream has in its window."""
        return store.count(self.client, {one.name: one.window.search for one in self.selected_streams})

    @once
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

    def read(self) -> None:
        """Look at what is granted, read what there is, and say what that took."""
        self.check(probe=False)
        try:
            self.sync_all()
        finally:
            if isinstance(self.message_writer, WholeLines):
                self.message_writer.flush()
        records = ", ".join(f"{one.emitted:,} {one.name}" for one in self.selected_streams)
        self.logger.info("Read %s, with %d queries of %d points.", records, self.client.answers, self.client.points)

    def each_store(
        self,
        act: Callable[[TapShopifyOrders], None],
        state: dict[str, Any] | None = None,
        catalog: dict[str, Any] | None = None,
    ) -> None:
        """Have a tap of its own act for each store, so many at once; raises as `SideBySide.each` does."""
        configs, output = stores.configs(self.config, os.environ), Output(checked(state or {}))
        if len(configs) > 1 and output.has_bookmarks_of_no_shop:
            self.logger.warning("The state has bookmarks that name no shop: of several stores none begins there.")
        if new := [shop for shop in configs if output.has_bookmarks_of_others_than(shop)]:
            self.logger.warning("The state has no bookmark of %s, of which all is read.", ", ".join(new))

        def tap_of(shop: str) -> TapShopifyOrders:
            tap = type(self)(
                config=configs[shop],
                catalog=catalog,
                state=output.state_of(shop, alone=len(configs) == 1),
                message_writer=StoreLines(shop, output),
            )
            tap.stop = self.stop
            return tap

        self.reading, self._end = True, os._exit  # a usual end would wait for a thread that is held up in a write
        side_by_side = SideBySide(
            [*configs], tap_of, at_once=self.config["stores_at_once"], stop=self.stop, logger=self.logger
        )
        try:
            side_by_side.each(act)
        finally:
            output.close()

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
        """Run as the SDK does, but for each store, and look at what is granted before its first message."""
        super(Tap, cls).invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        run = cls(
            config=config.config if config else {},
            parse_env_config=bool(config and config.parse_env),
            setup_mapper=False,
        )
        gc.freeze()  # what is there now stays, and a page is many small objects without cycles,
        gc.set_threshold(GARBAGE_THRESHOLD_OBJECTS)  # through which the collector would go again and again
        run.each_store(
            cls.read,
            given.json_object("--state", state.name, state.read) if state else None,
            given.catalog(given.json_object("--catalog", catalog.name, catalog.read)) if catalog else None,
        )

    @classmethod
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> _ConfigInput:
        """Return the settings of the files that `--config` names; raises Refused for one that holds none."""
        for name in value:
            if name != "ENV":  # the SDK's word for the environment
                given.json_object("--config", name, Path(name).read_bytes)
        return super().cb_config(ctx, param, value)

    @classmethod
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Look at what each store grants, for `--test`, and do nothing else; `--test=schema` writes the schemas."""
        if value != "all":
            super().cb_test(ctx, param, value)
            return
        config = ctx.params["config"]
        run = cls(config=config.config, parse_env_config=config.parse_env, setup_mapper=False)
        run.each_store(lambda tap: tap.check(probe=True))
        ctx.exit()

    @classmethod
    def get_singer_command(cls) -> click.Command:
        """Return the SDK's command, with failures told in a sentence."""
        made = super().get_singer_command()
        return Command(
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
        if self.stop.signal:
            self.write_state()
            raise SystemExit(SIGNAL_EXIT + self.stop.signal)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the SDK's signature
        """Note the signal, so that the record at hand is finished; before the first one, and the second time, end."""
        if self.stop.signal or not self.reading:
            self._end(SIGNAL_EXIT + signum)
        self.stop.signal = signum

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings; raises ConfigValidationError with a sentence for each mistake."""
        errors = [settings.without_secrets(one, self.config) for one in super()._validate_config(raise_errors=False)]
        if not errors:  # what follows counts on the kinds of the values
            errors += settings.mistakes(self.config, self.config_jsonschema["properties"])
            errors += stores.mistakes(self.config, os.environ)
        if errors and raise_errors:
            raise ConfigValidationError("Config validation failed", errors=errors, schema=self.config_jsonschema)
        return errors
