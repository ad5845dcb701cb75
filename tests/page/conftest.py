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
from sandbox.posthog.limits import QUESTIONS, RequestLimit
from sandbox.posthog.preview import Preview
from sandbox.posthog.preview_file import PreviewFile
from sandbox.shop import Shop
from sandbox.shop.access import SCOPES
from sandbox.shop.cdnow import cdnow_store
from tests.conftest import LAST_DAY
from tests.waiting import LONGEST_WAIT_SECONDS

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


@pytest.fixture
def posthog(posthog_server: PostHog) -> PostHog:
    posthog_server.database.wipe()
    posthog_server.question_limit = RequestLimit(*QUESTIONS)
    return posthog_server


@pytest.fixture(scope="session")
def small_shop() -> Iterator[Shop]:
    with Shop(cdnow_store(LAST_DAY, customers=40), scopes=(*SCOPES, "read_reports")).serve() as shop:
        paid = next(one for one in shop.store.orders if one["displayFinancialStatus"] == "PAID" and one["customer"])
        shop.store.refund_order(paid["name"], "2026-11-01T12:00:00Z")
        yield shop


@pytest.fixture(scope="session")
def messages(tmp_path_factory: pytest.TempPathFactory, small_shop: Shop) -> bytes:
    """The small shop's records, read by the tap as a process."""
    settings = {
        "store": "sandbox.myshopify.com",
        "access_token": "shpat_sandbox",
        "admin_url": f"{small_shop.url}/admin",
    }
    return run(tmp_path_factory.mktemp("tap"), "tap-shopify-orders", settings)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, small_shop: Shop, messages: bytes) -> Iterator[PostHog]:
    """The small shop's events, brought by the target as a process."""
    with PostHog(shop_url=small_shop.url).serve() as posthog:
        settings = {"api_key": "phc_sandbox", "host": posthog.url}
        run(tmp_path_factory.mktemp("target"), "target-posthog", settings, messages)
        yield posthog


@pytest.fixture(scope="session")
def previewed(tmp_path_factory: pytest.TempPathFactory, messages: bytes) -> Iterator[Preview]:
    """The page of a preview of the same records."""
    with Preview(preview_of(tmp_path_factory.mktemp("preview"), messages)).serve() as preview:
        yield preview


def preview_of(folder: Path, messages: bytes, **settings: object) -> PreviewFile:
    """Let the target write a preview, as a process."""
    path = folder / "preview.sqlite"
    run(folder, "target-posthog", {"preview_path": str(path), **settings}, messages)
    return PreviewFile(path)


def run(folder: Path, plugin: str, settings: dict[str, object], messages: bytes = b"") -> bytes:
    config = folder / f"{plugin}.json"
    config.write_text(json.dumps(settings))
    command = [SCRIPTS / plugin, "--config", config]
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
        driver.set_page_load_timeout(LONGEST_WAIT_SECONDS)
        driver.set_script_timeout(LONGEST_WAIT_SECONDS)
        yield driver
