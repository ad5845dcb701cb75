"""The tap below cProfile, in: a file and the tap's arguments; out: in the file, where reading a store takes its time.

A store is read in a thread of its own, into which `python -m cProfile` doesn't look.
"""

from __future__ import annotations

import sys
from cProfile import Profile

from tap_shopify_orders.store_run import StoreRun
from tap_shopify_orders.tap import TapShopifyOrders


class ProfiledStoreRun(StoreRun):
    """A store's run; what its other threads do is seen as waiting for them."""

    def read(self) -> None:
        """Read as ever, and write down what took how long."""
        profile = Profile()
        profile.runcall(super().read)
        profile.dump_stats(FOUND)


class ProfiledTap(TapShopifyOrders):
    """The tap, with such a run."""

    store_run_class = ProfiledStoreRun


if __name__ == "__main__":
    FOUND = sys.argv.pop(1)
    ProfiledTap.cli()
