"""One store's run: takes the settings, catalog and state of one store, writes the messages of its streams.

It knows what is looked at before the first record, and when the run may end. `tap.py` runs several of these.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from typing_extensions import override

from tap_shopify_orders.errors import RunError
from tap_shopify_orders.moments import utc
from tap_shopify_orders.output import StoreLines, WholeLines
from tap_shopify_orders.reading.changes import Limits
from tap_shopify_orders.records.schema import SCOPED
from tap_shopify_orders.sales_by_day import SCOPE, SalesByDay
from tap_shopify_orders.settings import SETTINGS, admin_url_of
from tap_shopify_orders.shopify.auth import AccessToken, ClientCredentials
from tap_shopify_orders.shopify.bulk import BulkOperations
from tap_shopify_orders.shopify.client import Client
from tap_shopify_orders.shopify.store import Store
from tap_shopify_orders.shopify.transport import Transport
from tap_shopify_orders.side_by_side import SIGNAL_EXIT, Stop
from tap_shopify_orders.state import check_reached
from tap_shopify_orders.streams import Customers, Orders, ShopStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from singer_sdk import Stream

READ = (ShopStream, SalesByDay)
STREAMS: tuple[type[Customers | Orders | SalesByDay], ...] = (Customers, Orders, SalesByDay)


class StoreRun(Tap):
    """The run of one store. It installs no handler of signals: who makes it sets `stop` when one has come."""

    name = "tap-shopify-orders"
    package_name = "shopify-posthog"
    message_writer_class = WholeLines
    # The SDK adds settings of its own, and the command's are others.
    config_jsonschema: ClassVar[dict[str, Any]] = {**SETTINGS, "properties": {**SETTINGS["properties"]}}

    def __init__(
        self,
        *,
        stop: Stop | None = None,
        state_of: Callable[[int], dict[str, Any]] = lambda _: {},
        limits: Limits | None = None,
        **kwargs: Any,  # noqa: ANN401  # the SDK's arguments
    ) -> None:
        """Take what asks the run to end, and settings and catalog as the SDK does; nothing is asked yet.

        `state_of` returns the state that a store with this number begins with.
        """
        self.stop, self._state_of, self.limits = stop or Stop(), state_of, limits or Limits()
        self._has_begun = False
        self.reading = False  # from then on a signal waits for the record at hand
        super().__init__(**kwargs)

    @override
    def _setup_signal_handlers(self) -> None:
        """Leave signals to the command."""

    @override
    def discover_streams(self) -> list[Stream]:
        """Return the streams; which there are doesn't depend on the store."""
        return [stream(self, self) for stream in STREAMS]

    @override
    def setup_mapper(self) -> None:
        """Set up the stream maps, of the catalog as the streams take it."""
        _ = self.streams
        super().setup_mapper()

    @cached_property
    def store(self) -> Store:
        """The store; nothing is asked yet."""
        config = self.config
        admin_url = admin_url_of(config["store"], config.get("admin_url"))
        # Editors and shells leave line breaks at the end of what they keep.
        token, key, secret = (
            (config.get(name) or "").strip() for name in ("access_token", "client_id", "client_secret")
        )
        credentials = AccessToken(token) if token else ClientCredentials(admin_url, key, secret)
        client = Client(
            admin_url,
            credentials,
            accept=config.get("accept") or (),
            transport=self.transport(admin_url),
            most_result_bytes=self.limits.most_result_bytes,
        )
        return Store(client, self.bulk_operations(client))

    def transport(self, admin_url: str) -> Transport:
        """Return the way to the store's host."""
        return Transport(admin_url)

    def bulk_operations(self, client: Client) -> BulkOperations:
        """Return the store's bulk operations."""
        return BulkOperations(client)

    @property
    def selected_streams(self) -> list[ShopStream]:
        """The streams of records that the catalog selects, customers first."""
        return [stream for stream in self.streams.values() if stream.selected and isinstance(stream, ShopStream)]

    @property
    def goes_on(self) -> bool:
        """Whether all selected streams have a bookmark: an earlier run has said the rest."""
        return all(stream.bookmark.value for stream in self.selected_streams)

    def begin(self) -> None:
        """Begin where the store's bookmarks are, once its number is known; unless that has been done.

        Raises RunError for what the store must grant and doesn't, unless that is accepted.
        """
        if self._has_begun:
            return
        granted = self.store.granted
        self.load_state(self._state_of(granted.shop_id))
        if isinstance(self.message_writer, StoreLines):
            self.message_writer.shop_id = granted.shop_id
        report = self.streams[SalesByDay.name]
        if report.selected and not granted.has(SCOPE):
            report.selected = False
            if not self.selected_streams:
                raise RunError(f"The app lacks the scope {SCOPE}, and sales_by_day is all that is selected: add it.")
            self.logger.log(
                logging.DEBUG if self.goes_on else logging.INFO,
                "No sales_by_day, the store's own sales report: the app lacks the scope %s. Add it to have the report.",
                SCOPE,
            )
        selected = {stream.name: stream for stream in self.selected_streams}
        granted.check(selected, self.config.get("accept") or ())
        for name, stream in selected.items():
            check_reached(name, stream.bookmark.value, granted.at)
            if first := stream.bookmark.unread_before(stream.start):
                self.logger.warning(
                    "Not all %s from before %s were read, as that was `start_date` in an earlier run, and it is earlier"
                    " now or gone: only the same `meltano run` with `--full-refresh` brings them.",
                    name,
                    utc(first),
                )
        self._has_begun = True

    def check(self, *, probe: bool) -> None:
        """Look at what is granted, and into each stream without a bookmark; raises RunError for what is missing."""
        self.begin()
        granted = self.store.granted
        counts = self.store.counts({stream.name: stream.window.search for stream in self.selected_streams})
        if self.goes_on and not probe:
            self.logger.info(granted.line(counts))
        else:
            self.logger.info("What the store grants:\n%s", granted.block({**counts, **self._left_out}))
        for stream in self.selected_streams:
            if probe or not stream.bookmark.value:
                stream.probe()

    @property
    def _left_out(self) -> dict[str, str]:
        """What isn't asked for of orders, as the app lacks the scope; empty if nothing is."""
        lacking = {scope: paths for scope, paths in SCOPED.items() if not self.store.granted.has(scope)}
        named = ", ".join(f"{'.'.join(paths[0])} ({scope})" for scope, paths in lacking.items())
        return {"left out": named} if named and self.streams[Orders.name].selected else {}

    def read(self) -> None:
        """Look at what is granted, read what there is, and log what that took."""
        self.check(probe=False)
        lines = self.message_writer if isinstance(self.message_writer, WholeLines) else None
        try:
            self.sync()
            if lines:
                lines.end(self.state)
        except RunError as error:
            if error.trace:
                self.logger.debug("What can't be read came to\n%s", error.trace)
            raise
        finally:
            if lines:
                lines.flush()
        client = self.store.client
        selected = [stream for stream in self.streams.values() if stream.selected]
        read = [stream for stream in selected if isinstance(stream, READ)]
        deleted = sum(stream.deleted for stream in read)
        parts = [f"{stream.emitted - stream.deleted:,} {stream.name}" for stream in read]
        records = ", ".join([*parts, *([f"{deleted:,} deletions"] if deleted else [])])
        for sentence in filter(None, (stream.summary() for stream in self.selected_streams)):
            self.logger.warning(sentence)
        self.logger.info("Read %s, with %d queries of %d points.", records, client.answers, client.points)

    def sync(self) -> None:
        """Write the messages of all selected streams; after that nothing is asked again, however it ends."""
        try:
            self.sync_all()
        finally:
            self.store.client.close()

    def begin_reading(self) -> None:
        """Begin, unless that has been done, and take note that records come from now on."""
        self.begin()
        self.reading = True

    def write_state(self) -> None:
        """Write the state; only called where state and messages agree."""
        self.state_writer.write_state(self.state)

    def stop_if_asked(self) -> None:
        """End the run with its state, if a signal asked for it; only called where state and messages agree."""
        if self.stop.signal:
            self.write_state()
            raise SystemExit(SIGNAL_EXIT + self.stop.signal)
