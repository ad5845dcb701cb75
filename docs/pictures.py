"""The pictures of docs/first-run.md, in: the sandbox's store; out: PNG files in docs/pictures/.

`python -m docs.pictures` takes them anew; it needs Chromium with chromedriver. Knows the pair as two commands.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selenium import webdriver

from sandbox.posthog.preview import Preview
from sandbox.posthog.preview_file import PreviewFile
from sandbox.shop import Shop
from sandbox.shop.access import SCOPES
from sandbox.shop.cdnow import cdnow_store

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURES = Path(__file__).parent / "pictures"
LAST_DAY = date(2026, 10, 31)
WIDTH = 1100  # pixels
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")


def preview_of(folder: Path) -> PreviewFile:
    """Let the tap read the whole store, and the target write a preview of it."""
    with Shop(cdnow_store(LAST_DAY), scopes=(*SCOPES, "read_reports")).serve() as shop:
        settings = {"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": f"{shop.url}/admin"}
        messages = run(folder, "tap_shopify_orders", settings, b"")
    path = folder / "preview.sqlite"
    run(folder, "target_posthog", {"preview_path": str(path)}, messages)
    return PreviewFile(path)


def run(folder: Path, module: str, settings: dict[str, Any], messages: bytes) -> bytes:
    """Run one of the two as a process."""
    config = folder / f"{module}.json"
    config.write_text(json.dumps(settings))
    command = [sys.executable, "-m", module, "--config", config]
    return subprocess.run(command, input=messages, stdout=subprocess.PIPE, check=True, cwd=folder).stdout  # noqa: S603  # ours


def places(preview: Preview) -> Iterator[tuple[str, str, int, int]]:
    """Yield each picture: its name, the page, where on it the picture begins, and how high it is, in pixels."""
    file = preview.file
    refund = file.plan["events"]["Order Refunded"]["sample"]["event"]
    record = file.record_of_event(refund["uuid"])
    if record is None:
        raise SystemExit("the preview has no record of its own sample")
    yield "plan", "/", 0, 1560
    yield "plan-details", "/#samples", -20, 1190
    yield "order", f"/orders/{refund['properties']['order_id']}", 0, 760
    yield "record", f"/records/{record.number}?masked=1", 0, 930


def take(browser: webdriver.Chrome, address: str, start: int, height: int) -> bytes:
    """Return a part of a page as PNG; `start` counts from the top, or from the heading that the address names."""
    screen = {"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(address)
    anchor = re.search(r"#(.+)", address)
    script = "return Math.round(document.getElementById(arguments[0]).getBoundingClientRect().top + scrollY)"
    top = browser.execute_script(script, anchor[1]) if anchor else 0
    whole = browser.execute_script("return document.documentElement.scrollHeight")
    clip = {"x": 0, "y": top + start, "width": WIDTH, "height": min(height, whole - top - start), "scale": 1}
    shot = browser.execute_cdp_cmd(
        "Page.captureScreenshot", {"format": "png", "clip": clip, "captureBeyondViewport": True}
    )
    return base64.b64decode(shot["data"])


def main() -> None:
    """Take all pictures."""
    driver = shutil.which("chromedriver")
    if not driver:
        raise SystemExit("Chromium with chromedriver is needed (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    with tempfile.TemporaryDirectory() as folder:
        file = preview_of(Path(folder))
        with (
            webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as browser,
            Preview(file).serve() as preview,
        ):
            for name, path, start, height in places(preview):
                (PICTURES / f"{name}.png").write_bytes(take(browser, f"{preview.url}{path}", start, height))
        file.close()


if __name__ == "__main__":
    main()
