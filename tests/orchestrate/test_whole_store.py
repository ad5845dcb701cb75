"""The plan of the whole CDNOW store, by the two commands: 244,091.94 of 6,916 orders, as it was counted elsewhere."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tests.conftest import LAST_DAY
from tests.pipeline.meltano_project import LONGEST_RUN_SECONDS

if TYPE_CHECKING:
    from pathlib import Path


def test_the_plan_of_the_whole_cdnow_store_adds_up_to_the_cent(tmp_path: Path) -> None:
    preview = tmp_path / "preview.sqlite"
    store = cdnow_store(LAST_DAY)
    with Shop(store).serve() as shop:
        (tmp_path / "tap.json").write_text(
            json.dumps({"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": f"{shop.url}/admin"})
        )
        (tmp_path / "target.json").write_text(json.dumps({"preview_path": str(preview)}))
        done = subprocess.run(
            f"{sys.executable} -m tap_shopify_orders --config tap.json 2>tap.log"
            f" | {sys.executable} -m target_posthog --config target.json",
            shell=True,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=LONGEST_RUN_SECONDS,
        )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr + (tmp_path / "tap.log").read_text()
    with closing(sqlite3.connect(preview)) as database:
        plan = json.loads(database.execute("SELECT body FROM plan").fetchone()[0])
    assert plan["records"] == {"customers": len(store.customers), "orders": len(store.orders)}
    assert plan["money"]["USD"]["Order Completed"] == "244091.94"
    assert plan["events"]["Order Completed"]["count"] == len(store.orders) - 3
    assert [(one["reason"], one["records"]) for one in plan["left_out"]] == [("test orders", 3)]
    assert sum(Decimal(one["money"].get("Order Completed", {}).get("USD", "0")) for one in plan["days"]) == Decimal(
        "244091.94"
    )
    assert plan["undeliverable"] == []

    books = subprocess.run(
        [sys.executable, "-m", "target_posthog", "reconcile", "--preview-path", preview],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "✓ The books balance" in books.stdout, books.stdout + books.stderr
