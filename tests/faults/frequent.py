"""The two commands with a STATE every few records, in: `tap` or `target`, its arguments; out: what the command does.

A store that tests can afford is read before the first STATE of the real frequency (1,000 records, 5 seconds), and by
one bulk operation. Knows no faults, and changes nothing else.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tap_shopify_orders.tap import TapShopifyOrders
from target_posthog.target import TargetPostHog

if TYPE_CHECKING:
    from tap_shopify_orders.streams import ShopStream

RECORDS_BETWEEN_STATES = 7
RECORDS_PER_OPERATION = 25


class FrequentTap(TapShopifyOrders):
    """The tap, with a STATE every few records."""

    def discover_streams(self) -> list[ShopStream]:
        """Return the tap's streams."""
        streams = super().discover_streams()
        for one in streams:
            one.STATE_MSG_FREQUENCY = RECORDS_BETWEEN_STATES
            one.operation_records = RECORDS_PER_OPERATION
        return streams


class FrequentTarget(TargetPostHog):
    """The target, which delivers and passes on each STATE as it comes."""

    def __init__(self, **options: Any) -> None:
        """Take the SDK's arguments."""
        super().__init__(seconds_between_states=0.0, **options)


if __name__ == "__main__":
    {"tap": FrequentTap, "target": FrequentTarget}[sys.argv.pop(1)].cli()
