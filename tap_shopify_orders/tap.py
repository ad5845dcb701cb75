"""The tap: takes settings, a catalog and a state, runs its command over the stores, writes Singer messages.

It knows which settings there are and what each option of the command does. `store_run.py` reads a store.
"""

from __future__ import annotations

import gc
import os
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.plugin_base import _ConfigInput
from singer_sdk.tap_base import CliTestOptionValue
from typing_extensions import override

from tap_shopify_orders import settings, stores
from tap_shopify_orders.bookmark import Bookmarks
from tap_shopify_orders.command import (
    Command,
    check_selection,
    checked_catalog,
    environment_config,
    json_object,
    leave_to_debug,
)
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.output import Output, StoreLines, WholeLines
from tap_shopify_orders.settings import SETTINGS
from tap_shopify_orders.side_by_side import SIGNAL_EXIT, SideBySide, Stop
from tap_shopify_orders.state import checked
from tap_shopify_orders.store_run import STREAMS, StoreRun
from tap_shopify_orders.stream_maps import STREAM_MAPS, mistakes_in_maps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    import click
    from singer_sdk import Stream
    from singer_sdk.helpers.capabilities import CapabilitiesEnum

NO_LOOK = (CliTestOptionValue.Disabled.value, CliTestOptionValue.Schema.value)
GARBAGE_THRESHOLD_OBJECTS = 20_000  # as many as a page or batch holds, so that it runs for what is left over


class TapShopifyOrders(Tap):
    """Shopify's customers and orders, with their ledger of sales, and the store's own sales report, incrementally."""

    # That is what `--about` says. Used as a class, as the SDK's tests do, it reads the one store of its settings.

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
    config_jsonschema: ClassVar[dict[str, Any]] = SETTINGS
    store_run_class: ClassVar[type[StoreRun]] = StoreRun

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  # the SDK's arguments
        """Take settings, catalog and state, as the SDK does; nothing is asked yet."""
        leave_to_debug(stream.name for stream in STREAMS)
        self.stop = Stop()
        self._bookmarks = Bookmarks({})
        super().__init__(**kwargs)

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        """Take the state, of which each store's run gets its own part."""
        self._bookmarks = Bookmarks(checked(state))

    @override
    def discover_streams(self) -> Sequence[Stream]:
        """Return the streams of a store's run."""
        run = self.store_run_class(
            config=dict(self.config),
            catalog=self.input_catalog,
            state_of=partial(self._bookmarks.state_of, alone=True),
            validate_config=False,
            message_writer=self.message_writer,
            stop=self.stop,
        )
        return [*run.streams.values()]

    def each_store(
        self,
        act: Callable[[StoreRun], None],
        state: dict[str, Any] | None = None,
        catalog: dict[str, Any] | None = None,
    ) -> None:
        """Have each store's run act, so many at once; raises as `SideBySide.each` does."""
        configs, bookmarks = stores.configs(self.config, os.environ), Bookmarks(checked(state or {}))
        output = Output(bookmarks)
        if len(configs) > 1 and bookmarks.has_some_of_no_shop:
            self.logger.warning("The state has bookmarks that name no shop: of several stores none begins there.")

        def state_of(shop: str, shop_id: int) -> dict[str, Any]:
            if bookmarks.has_only_others_than(shop_id):
                self.logger.warning("The state has no bookmark of %s, of which all is read.", shop)
            with output.turn:  # other stores' states change meanwhile
                return bookmarks.state_of(shop_id, alone=len(configs) == 1)

        def run_of(shop: str) -> StoreRun:
            return self.store_run_class(
                config=configs[shop],
                catalog=catalog,
                state_of=partial(state_of, shop),
                message_writer=StoreLines(output),
                stop=self.stop,
            )

        side_by_side = SideBySide(
            [*configs], run_of, at_once=self.config["stores_at_once"], stop=self.stop, logger=self.logger
        )
        try:
            side_by_side.each(act)
        finally:
            output.close()

    @classmethod
    @override
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
        tap = cls(
            config=config.config if config else {},
            setup_mapper=False,
        )
        gc.freeze()  # what is there now stays, and a page is many small objects without cycles,
        gc.set_threshold(GARBAGE_THRESHOLD_OBJECTS)  # through which the collector would go again and again
        wanted = checked_catalog(json_object("--catalog", catalog.name, catalog.read)) if catalog else None
        if wanted:
            check_selection(wanted, [stream.name for stream in STREAMS])
        tap.each_store(
            lambda run: run.read(), json_object("--state", state.name, state.read) if state else None, wanted
        )

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> _ConfigInput:
        """Return the settings of the files that `--config` names; raises RunError for a file that holds none."""
        config: dict[str, Any] = {}
        for name in value:
            if name != "ENV":  # the SDK's word for the environment
                config |= json_object("--config", name, Path(name).read_bytes)  # once, as a pipe gives it once
        if "ENV" in value:
            cls.append_builtin_config(cls.config_jsonschema)
            config |= environment_config(cls.config_jsonschema, f"{cls.name.upper().replace('-', '_')}_")
        return _ConfigInput(config=config)

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Look at what each store grants, for `--test`, and do nothing else; `--test=schema` writes the schemas."""
        if value in NO_LOOK:
            super().cb_test(ctx, param, value)
            return
        if value != "all":
            raise RunError("`--test` looks at what each store grants; `--test=schema` writes the schemas.")
        config = ctx.params["config"]
        tap = cls(config=config.config, setup_mapper=False)
        tap.each_store(lambda run: run.check(probe=True))
        ctx.exit()

    @classmethod
    @override
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

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """Note the signal, so that the record at hand is finished; the second time, end.

        A usual end would wait for a thread that is held up in a write.
        """
        if self.stop.signal:
            os._exit(SIGNAL_EXIT + signum)
        self.stop.signal = signum

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings; raises ConfigValidationError with a sentence for each mistake."""
        self.append_builtin_config(self.config_jsonschema)
        given = {name: value for name, value in self._config.items() if value is not None}
        self._config = {**settings.defaults(self.config_jsonschema), **given}
        maps = self.config.get(STREAM_MAPS, {})
        others = {name: value for name, value in self.config.items() if name != STREAM_MAPS}
        wrong_maps = [*mistakes_in_maps(maps, [one.name for one in STREAMS])]
        errors = [*settings.wrong_kinds(others, self.config_jsonschema)]
        if not errors:  # what follows counts on the kinds of the values
            errors += settings.mistakes(self.config, self.config_jsonschema["properties"])
            errors += stores.mistakes_in_stores(self.config, os.environ)
        misnamed, unread = settings.misnamed_variables(os.environ, self.config, self.config_jsonschema)
        errors += misnamed
        if unread and raise_errors:
            self.logger.warning("No settings, and not read: %s in the environment.", ", ".join(unread))
        errors += wrong_maps
        fatal = errors if raise_errors else wrong_maps  # a discovery does without settings, but sets up stream maps
        if fatal:
            raise ConfigValidationError("Config validation failed", errors=fatal, schema=self.config_jsonschema)
        return errors
