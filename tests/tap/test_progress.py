"""While it works, the tap says how far it is, now and then."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tap_shopify_orders.reading.changes import Limits
from tap_shopify_orders.reading.progress import Progress
from tap_shopify_orders.shopify.store import Count

from .conftest import tap_for

if TYPE_CHECKING:
    import pytest

    from sandbox.shop import Shop

LOGGER = logging.getLogger("tap-shopify-orders.test")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records]


def test_a_line_comes_every_ten_seconds_with_what_came_since_the_last(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    seconds = [0.0]
    progress = Progress(LOGGER, "orders", lambda: Count(100_010), lambda: 1_930.4, clock=lambda: seconds[0])
    for now, records in ((0.0, 0), (9.9, 1), (10.0, 12_000), (19.0, 20_000), (30.0, 52_000)):
        seconds[0] = now
        progress.tick(records)
    assert lines(caplog) == [
        "12,000 of 100,010 orders, 1,200 per second; 1,930 points left.",
        "52,000 of 100,010 orders, 2,000 per second; 1,930 points left.",
    ]


def test_points_that_nobody_knows_are_not_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    seconds = iter((0.0, 20.0))
    Progress(LOGGER, "customers", lambda: 50, lambda: None, clock=lambda: next(seconds)).tick(40)
    assert lines(caplog) == ["40 of 50 customers, 2 per second."]


def test_a_run_says_how_far_each_stream_is(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tap_for(shop, limits=Limits(progress_seconds=0.001)).sync()
    for stream, count in (("customers", len(shop.store.customers)), ("orders", len(shop.store.orders))):
        said = [one for one in lines(caplog) if f"of {count} {stream}, " in one]
        assert said
        assert said[-1].endswith("points left.")
