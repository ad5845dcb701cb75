"""The real DAGs in a real Airflow, on three shops of this machine."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.orchestrate.many import Many, bookmarks
from tests.pipeline.meltano_project import ROOT
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.orchestrate.conftest import Airflow


LONGEST_SECONDS = 400
POOLS = ROOT / "orchestrate" / "pools.json"
DAYS = {"start_date": "2026-06-10", "end_date": "2026-08-01", "stores": ["store-2"]}
SHARES = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
sys.path.append(sys.argv[1])
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
sync, backfill = bag.dags["shopify_to_posthog"], bag.dags["shopify_to_posthog_backfill"]
listed = sync.get_task("stores").python_callable(), backfill.get_task("parts").python_callable(json.loads(sys.argv[2]))
for dag, environments in zip((sync, backfill), listed):
    run = dag.get_task("run").partial_kwargs
    shares = [int(one["TARGET_POSTHOG_HISTORICAL_EVENTS_PER_SECOND"]) for one in environments]
    print(json.dumps({"pool": run["pool"], "slots": run["pool_slots"], "shares": shares}))
"""


def test_a_task_holds_as_many_slots_of_posthogs_rate_as_its_target_may_send(airflow: Airflow, tmp_path: Path) -> None:
    (tmp_path / "stores.yml").write_text("[{store: store-1}, {store: store-2}]")
    dags, days = ROOT / "orchestrate" / "dags", json.dumps(DAYS)
    said = airflow.run("python", "-c", SHARES, dags, days, SHOPIFY_POSTHOG_STORES=str(tmp_path / "stores.yml"))
    sync, backfill = (json.loads(line) for line in said.splitlines() if line.startswith("{"))
    assert sync["shares"] == [sync["slots"]] * 2, "two stores"
    assert backfill["shares"] == [backfill["slots"]] * 2, "one store, two months"
    (pool,) = json.loads(POOLS.read_text())
    assert {sync["pool"], backfill["pool"]} == {pool}


def test_the_dags_bring_a_backfill_and_then_each_store(airflow: Airflow, three: Many) -> None:
    airflow.run("airflow", "pools", "import", POOLS)
    airflow.run("airflow", "dags", "test", "shopify_to_posthog_backfill", "--conf", json.dumps(DAYS))
    expected = {
        order["name"]
        for order in three.shops["store-2"].store.orders
        if DAYS["start_date"] <= order["updatedAt"] < DAYS["end_date"] and not order["test"]
    }
    assert brought(three, "store-2") == expected != set()
    assert not brought(three, "store-1")
    states = three.states()
    for part in ("2026-06-10", "2026-07-01"):
        kept = states[f"store-2.{part}"]["completed"]["singer_state"]["bookmarks"]["orders"]["partitions"]
        assert kept[0]["replication_key_value"][:7] == part[:7]

    airflow.run("airflow", "dags", "test", "shopify_to_posthog")
    states = three.states()
    for name, shop in three.shops.items():
        assert brought(three, name) == {order["name"] for order in shop.store.orders if not order["test"]}
        assert bookmarks(states[name])["orders"][0] == int(name.removeprefix("store-"))


@pytest.mark.skipif("AIRFLOW_STANDALONE" not in os.environ, reason="minutes of a whole Airflow: AIRFLOW_STANDALONE=1")
def test_the_scheduler_runs_no_more_tasks_than_the_rate_allows(airflow: Airflow, three: Many) -> None:
    airflow.run("airflow", "pools", "set", "posthog_events_per_second", "80", "two tasks of 40")
    airflow.run("airflow", "dags", "reserialize")
    airflow.run("airflow", "dags", "trigger", "shopify_to_posthog")
    with standalone(airflow):
        tasks = finished(airflow.home / "airflow.db", len(three.shops))
    at_once = max(sum(begun <= moment < ended for begun, ended in tasks) for moment, _ in tasks)
    assert at_once == 2, "80 slots, 40 each"
    assert all(brought(three, name) for name in three.shops)


@contextmanager
def standalone(airflow: Airflow) -> Iterator[None]:
    """All of Airflow's servers."""
    port = free_port()
    airflow.environment |= {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
    }
    servers = airflow.start("airflow", "standalone")
    try:
        yield
    finally:
        os.killpg(servers.pid, signal.SIGTERM)
        servers.wait(60)


def finished(database: Path, count: int) -> list[tuple[str, str]]:
    """Wait until so many runs of stores have succeeded; returns when each began and ended."""
    query = "SELECT start_date, end_date FROM task_instance WHERE task_id = 'run' AND state = 'success'"
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        time.sleep(2)
        with closing(sqlite3.connect(database, timeout=30)) as connection:
            rows = connection.execute(query).fetchall()
        if len(rows) >= count:
            return rows
    pytest.fail("the scheduler has not finished")


def brought(stores: Many, name: str) -> set[str]:
    """The names of a store's orders of which PostHog has heard."""
    return {
        event["properties"]["order_name"]
        for event in stores.posthog.events()
        if event["event"] == "Order Completed" and event["properties"]["affiliation"] == f"{name}.myshopify.com"
    }
