"""The two commands for small stores and short tests, in: the commands; out: the same, with a STATE every few records.

A store that tests can afford is read before the first STATE of the real frequency (1,000 records, 5 seconds), and by
one bulk operation; one that hangs is given up after an hour. Knows no faults, and changes nothing else.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tap_shopify_orders.reading.changes import Limits
from tap_shopify_orders.shopify.bulk import BulkOperations
from tap_shopify_orders.shopify.transport import Transport
from tap_shopify_orders.store_run import StoreRun
from tap_shopify_orders.tap import TapShopifyOrders
from target_posthog.singer.target import TargetPostHog

if TYPE_CHECKING:
    from singer_sdk import Stream

    from tap_shopify_orders.shopify.client import Client

RECORDS_BETWEEN_STATES = 7
RECORDS_PER_OPERATION = 25
ANSWER_SECONDS = 3.0  # the whole of an answer, which takes hundredths here; two minutes otherwise
LARGEST_ANSWER_BYTES = 8 << 20
CLOCK_SPEED = 600  # of the wait for a bulk operation: an hour takes six seconds


class FrequentStoreRun(StoreRun):
    """A store's run, with a STATE every few records, and less patience with bulk operations."""

    def __init__(self, **options: Any) -> None:
        """Take the SDK's arguments."""
        super().__init__(limits=Limits(operation_records=RECORDS_PER_OPERATION), **options)

    def transport(self, admin_url: str) -> Transport:
        """Return the way to the store's host, with less patience and for smaller answers."""
        return Transport(admin_url, seconds=ANSWER_SECONDS, most_bytes=LARGEST_ANSWER_BYTES)

    def bulk_operations(self, client: Client) -> BulkOperations:
        """Return the store's bulk operations, by a fast clock."""
        return BulkOperations(client, clock=lambda: time.monotonic() * CLOCK_SPEED)

    def discover_streams(self) -> list[Stream]:
        """Return the run's streams."""
        streams = super().discover_streams()
        for one in streams:
            one.STATE_MSG_FREQUENCY = RECORDS_BETWEEN_STATES
        return streams


class FrequentTap(TapShopifyOrders):
    """The tap, with such runs."""

    store_run_class = FrequentStoreRun


class FrequentTarget(TargetPostHog):
    """The target, which delivers and passes on each STATE as it comes."""

    def __init__(self, **options: Any) -> None:
        """Take the SDK's arguments."""
        super().__init__(seconds_between_states=0.0, **options)


COMMANDS = {"tap": FrequentTap, "target": FrequentTarget}
