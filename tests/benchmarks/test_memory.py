"""The tap's memory doesn't grow with the store: neither with what it reads, nor with how often it asks."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.copied_shop import CopiedShop
from benchmarks.servers import served, store_of
from tap_shopify_orders.reading.question import Question
from tap_shopify_orders.records import schema
from tap_shopify_orders.shopify.query import Missing
from tests.own_process import in_own_process

SHOP = {"shop": "sandbox.myshopify.com", "shop_id": 60_000_000_001}
ROOT = Path(__file__).parent.parent.parent
ORDERS = 111  # one of them has 300 lines
FEW, MANY = 10, 250  # copies of them
SLACK_BYTES = 55 << 20  # two results at once take some 20 MiB; batches of 400 orders, whatever their size, took 160
TIMES = 50

# The peak of a process counts that of the one which started it, so a small one has to.
MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True, timeout=600)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


def peak_bytes(shop: CopiedShop, copies: int, folder: Path) -> int:
    """Return the most memory that the tap had while it read so many copies by bulk operations."""
    shop.copies = copies
    with served(shop) as url:
        settings = {"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": f"{url}/admin", "method": "bulk"}
        (folder / "tap.json").write_text(json.dumps(settings))
        tap = [sys.executable, "-m", "tap_shopify_orders", "--config", str(folder / "tap.json")]
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, *tap], cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert f" {copies * ORDERS:,} orders" in done.stderr.splitlines()[-1]
    return int(done.stdout)


def test_a_store_of_many_orders_takes_hardly_more_memory_than_one_of_few(tmp_path: Path) -> None:
    shop = CopiedShop(store_of(100))  # and what the sample has not
    few = peak_bytes(shop, FEW, tmp_path)
    assert peak_bytes(shop, MANY, tmp_path) < few + SLACK_BYTES


def found_by_the_collector(times: int) -> int:
    """Return how many objects only the garbage collector finds after so many questions."""
    question = Question.of("orders", schema.ORDERS, SHOP).query
    missing = [Missing("gid://shopify/Order/1", path, "cursor") for path in question.connections]

    def ask() -> None:
        question.bulk("updated_at:<'2026-01-01T00:00:00Z'", (("line_items",),))
        question.beginnings("Order", question.connections)
        question.rest_of(missing)

    ask()
    gc.collect()
    gc.disable()
    for _ in range(times):
        ask()
    return gc.collect()


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="CPython's collector says what it found")
def test_questions_leave_nothing_that_only_the_garbage_collector_finds() -> None:
    assert in_own_process(found_by_the_collector, TIMES) < TIMES
