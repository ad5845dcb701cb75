"""The SDK's own suite for taps, offline, against the sandbox."""

from __future__ import annotations

from datetime import date

import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from sandbox.shop import Shop
from sandbox.shop.access import MORE_SCOPES, SCOPES
from sandbox.shop.cdnow import cdnow_store
from tap_shopify_orders.tap import TapShopifyOrders

_SETTINGS: dict[str, object] = {"store": "sandbox", "access_token": "shpat_sandbox", "start_date": "2026-01-01"}


@pytest.fixture(scope="module", autouse=True)
def _served() -> object:
    with Shop(cdnow_store(date(2026, 10, 31), customers=40), scopes=frozenset({*SCOPES, *MORE_SCOPES})).serve() as shop:
        _SETTINGS["admin_url"] = f"{shop.url}/admin"
        yield shop


TestTapShopifyOrders = get_tap_test_class(
    TapShopifyOrders, config=_SETTINGS, suite_config=SuiteConfig(max_records_limit=200)
)
