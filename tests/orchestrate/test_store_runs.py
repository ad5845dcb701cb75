"""A list of stores becomes environments of runs; a table, no processes."""

from __future__ import annotations

import json
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import yaml

from orchestrate.dags.store_runs import backfill_runs, chosen, handle, months, read_stores, store_runs
from tests.pipeline.meltano_project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ACME = {"store": "acme-eu", "access_token_env": "SHOPIFY_ACME_EU_TOKEN", "start_date": "2026-11-01"}
OTHER = {"store": "https://other.myshopify.com", "client_id_env": "OTHER_ID", "client_secret_env": "OTHER_SECRET"}


def test_a_run_is_one_store_with_a_state_and_a_folder_of_its_own() -> None:
    assert store_runs([ACME, OTHER], 40) == [
        {
            "TAP_SHOPIFY_ORDERS_STORES": json.dumps([store]),
            "TARGET_POSTHOG_HISTORICAL_EVENTS_PER_SECOND": "40",
            "MELTANO_RUN_STATE_ID_SUFFIX": name,
            "MELTANO_SYS_DIR_ROOT": f".meltano/stores/{name}",
        }
        for store, name in ((ACME, "acme-eu"), (OTHER, "other"))
    ]


def test_a_backfill_is_a_run_per_month_and_store_oldest_first_with_a_state_of_its_own() -> None:
    runs = backfill_runs([ACME, OTHER], date(2026, 9, 15), date(2026, 11, 1), 250)
    parts = ["acme-eu.2026-09-15", "other.2026-09-15", "acme-eu.2026-10-01", "other.2026-10-01"]
    assert [run["MELTANO_RUN_STATE_ID_SUFFIX"] for run in runs] == parts
    entries = [json.loads(run["TAP_SHOPIFY_ORDERS_STORES"]) for run in runs]
    assert entries[0] == [ACME | {"start_date": "2026-09-15", "end_date": "2026-10-01"}], "in place of the list's own"
    assert entries[3] == [OTHER | {"start_date": "2026-10-01", "end_date": "2026-11-01"}]
    assert len({run["MELTANO_SYS_DIR_ROOT"] for run in runs}) == 4


@pytest.mark.parametrize(
    ("start", "end", "parts"),
    [
        ("2026-01-01", "2026-03-01", ["2026-01-01", "2026-02-01", "2026-03-01"]),
        ("2026-01-31", "2026-02-02", ["2026-01-31", "2026-02-01", "2026-02-02"]),
        ("2025-12-15", "2026-01-15", ["2025-12-15", "2026-01-01", "2026-01-15"]),
        ("2024-02-29", "2024-03-01", ["2024-02-29", "2024-03-01"]),
        ("2026-02-01", "2026-02-01", []),
        ("2026-02-02", "2026-02-01", []),
    ],
)
def test_months_are_cut_at_both_ends_and_leave_no_gap(start: str, end: str, parts: list[str]) -> None:
    days = [date.fromisoformat(part) for part in parts]
    assert list(months(date.fromisoformat(start), date.fromisoformat(end))) == list(pairwise(days))


@pytest.mark.parametrize(
    "typed",
    [
        "my-store",
        " My-Store ",
        "my-store.myshopify.com",
        "https://my-store.myshopify.com",
        "https://my-store.myshopify.com/admin",
        "https://admin.shopify.com/store/my-store",
        "https://admin.shopify.com/store/my-store/orders",
    ],
)
def test_a_store_has_one_name_however_it_is_typed(typed: str) -> None:
    assert handle(typed) == "my-store"


@pytest.mark.parametrize("form", [yaml.safe_dump, json.dumps], ids=["yaml", "json"])
def test_stores_are_read_as_they_are_written(tmp_path: Path, form) -> None:
    (tmp_path / "stores").write_text(form([ACME, OTHER]))
    assert read_stores(tmp_path / "stores") == [ACME, OTHER]


def test_an_unquoted_day_in_yaml_reaches_the_tap_as_text(tmp_path: Path) -> None:
    (tmp_path / "stores.yml").write_text("- store: acme\n  access_token_env: ACME\n  start_date: 2026-11-01\n")
    (run,) = store_runs(read_stores(tmp_path / "stores.yml"), 40)
    assert json.loads(run["TAP_SHOPIFY_ORDERS_STORES"])[0]["start_date"] == "2026-11-01"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "list of stores"),
        ("store: acme", "list of stores"),
        ("- acme", "list of stores"),
        ("- access_token_env: ACME", "each with its `store`"),
        ("- store: acme\n- store: acme.myshopify.com", "acme twice"),
    ],
)
def test_a_mistake_in_the_list_is_one_sentence(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "stores.yml").write_text(content)
    with pytest.raises(ValueError, match=f"stores.yml .*{said}"):
        read_stores(tmp_path / "stores.yml")


def test_a_backfill_is_of_the_stores_that_are_named_or_of_all() -> None:
    assert chosen([ACME, OTHER], []) == [ACME, OTHER]
    assert chosen([ACME, OTHER], ["https://other.myshopify.com"]) == [OTHER]
    with pytest.raises(ValueError, match="has no acme-us"):
        chosen([ACME, OTHER], ["other", "acme-us"])


def test_a_backfill_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValueError, match="2026-02-01, has to be before its end_date, 2026-01-01"):
        backfill_runs([ACME], date(2026, 2, 1), date(2026, 1, 1), 250)


def test_the_example_is_a_list_of_stores() -> None:
    assert len(read_stores(ROOT / "orchestrate" / "stores.example.yml")) > 1
