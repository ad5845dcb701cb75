"""A PostHog that the pair has filled from a small shop, and a browser that looks at it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from selenium import webdriver

from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tests.conftest import LAST_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPTS = Path(sys.executable).parent
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",  # the test may run as root in a container, and visits this machine alone
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en",
)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostHog]:
    """The small store's events, brought by the tap and the target as processes."""
    folder = tmp_path_factory.mktemp("pair")
    with Shop(cdnow_store(LAST_DAY, customers=40)).serve() as shop, PostHog(shop_url=shop.url).serve() as posthog:
        paid = next(one for one in shop.store.orders if one["displayFinancialStatus"] == "PAID" and one["customer"])
        shop.store.refund_order(paid["name"], "2026-11-01T12:00:00Z")
        for plugin, settings in {
            "tap-shopify-orders": {
                "store": "sandbox.myshopify.com",
                "access_token": "shpat_sandbox",
                "admin_url": f"{shop.url}/admin",
            },
            "target-posthog": {"api_key": "phc_sandbox", "host": posthog.url},
        }.items():
            (folder / f"{plugin}.json").write_text(json.dumps(settings))
        messages = run(folder, "tap-shopify-orders")
        run(folder, "target-posthog", messages)
        yield posthog


def run(folder: Path, plugin: str, messages: bytes = b"") -> bytes:
    command = [SCRIPTS / plugin, "--config", folder / f"{plugin}.json"]
    return subprocess.run(command, input=messages, capture_output=True, check=True, cwd=folder, timeout=120).stdout


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    if not CHROMIUM or not DRIVER:
        pytest.skip("no Chromium with chromedriver on this machine (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driver:
        driver.set_page_load_timeout(30)
        yield driver
