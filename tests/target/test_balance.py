"""`target-posthog reconcile` for records of any tap: what its mapping says of money, what was planned, and PostHog."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from target_posthog.commands.group import commands

if TYPE_CHECKING:
    from sandbox.posthog import PostHog
    from tests.target.conftest import Runs

MAPPING = """
about: Bills.
records:
  bills: {name: concat(id), shown: [id]}
books:
  bills:
    currency: currency
    properties: {amount: paid, currency: currency, name: bill}
    entries:
      billed: {rule: Billed, at: at, adds: total}
      credited: {rule: Credited, for_each: credits, at: item.at, takes: item.total}
streams:
  bills:
    - {leave_out: drafts, when: draft}
    - event: Billed
      distinct_id: [email]
      timestamp: at
      key: [id]
      properties: {paid: number(total), currency: currency, bill: concat(id)}
    - event: Credited
      for_each: credits
      distinct_id: [email]
      timestamp: item.at
      key: [id, item.at]
      properties: {paid: "minus(`0`, item.total)", currency: currency, bill: concat(id)}
"""
SCHEMA = {
    "type": "SCHEMA",
    "stream": "bills",
    "schema": {"properties": {}, "additionalProperties": True},
    "key_properties": ["id"],
}


def bill(number: int, **changes: Any) -> dict[str, Any]:
    at = f"2026-11-0{number % 9 + 1}T10:00:00Z"
    record = {"id": number, "email": f"{number}@x.io", "currency": "USD", "at": at, "total": "10.10", "credits": []}
    return {"type": "RECORD", "stream": "bills", "record": record | changes}


CREDIT = {"at": "2026-11-09T00:00:00Z", "total": "0.30"}
BILLS = [bill(1), bill(2, credits=[CREDIT]), bill(3, draft=True)]


@pytest.fixture
def mapping(tmp_path: Path) -> str:
    path = tmp_path / "bills.yaml"
    path.write_text(MAPPING)
    return str(path)


@pytest.fixture
def preview(runs: Runs, tmp_path: Path, mapping: str) -> Path:
    path = tmp_path / "preview.sqlite"
    runs.here(SCHEMA, *BILLS, preview_path=str(path), mapping=mapping)
    return path


def reconcile(preview: Path, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(commands, ["reconcile", "--preview-path", str(preview), *options])
    assert "Traceback" not in done.output
    return done.exit_code, done.output


def key(posthog: PostHog) -> list[str]:
    return ["--host", posthog.url, "--personal-api-key", "phx_sandbox", "--project-id", "1"]


def test_another_taps_books_have_the_figure_that_its_mapping_names(
    runs: Runs, posthog: PostHog, preview: Path, mapping: str, tmp_path: Path
) -> None:
    runs.here(SCHEMA, *BILLS, mapping=mapping)
    out = tmp_path / "books.json"
    code, said = reconcile(preview, *key(posthog), "--out", str(out))
    assert code == 0, said
    assert said.splitlines()[:3] == [
        "All shops, USD, days of UTC",
        f"{'':24}{'ledger':>20}{'PostHog':>20}",
        f"{'  paid':<24}{'30.00':>20}{'19.90':>20}  differs",
    ]
    assert "2026-11-04 3, Billed: paid -10.10 USD in planned beyond ledger: left out: drafts" in said
    assert "✓ Each difference is explained" in said
    assert "report" not in said.split("differences")[0], "this mapping has none"
    (book,) = json.loads(out.read_text())["books"]
    assert {one["day"]: one["PostHog"]["paid"] for one in book["days"] if "PostHog" in one} == {
        "2026-11-02": "10.1",
        "2026-11-03": "10.1",
        "2026-11-09": "-0.3",
    }


def test_by_day_each_day_has_its_figures(preview: Path) -> None:
    _, said = reconcile(preview, "--by", "day")
    assert [line for line in said.splitlines() if re.fullmatch(r"2026-\d\d-\d\d", line)] == [
        f"2026-11-0{day}" for day in (2, 3, 4, 9)
    ]


def test_what_a_run_hasnt_brought_is_an_error(runs: Runs, posthog: PostHog, preview: Path, mapping: str) -> None:
    runs.here(SCHEMA, BILLS[0], mapping=mapping)
    code, said = reconcile(preview, *key(posthog))
    assert code == 1
    assert "✗ 2026-11-03 2, Billed: paid -10.10 USD in PostHog beyond planned: not in PostHog; has the run" in said


def test_an_event_whose_record_has_changed_since_is_kept_as_it_was_sent(
    runs: Runs, posthog: PostHog, mapping: str
) -> None:
    path = Path(mapping).with_name("preview.sqlite")
    settings = {"mapping": mapping, "receipts": str(path.with_name("receipts.sqlite"))}
    runs.here(SCHEMA, bill(1, total="9"), **settings)
    runs.here(SCHEMA, bill(1, total="7"), preview_path=str(path), **settings)
    code, said = reconcile(path, *key(posthog), "--receipts", settings["receipts"], "--api-key", "phc_sandbox")
    assert code == 0, said
    assert "1, Billed: paid +2 USD in PostHog beyond planned: kept as sent" in said


def test_the_old_connectors_events_balance_whatever_becomes_of_an_order(
    runs: Runs, posthog: PostHog, tmp_path: Path
) -> None:
    path = tmp_path / "preview.sqlite"
    schema = {**SCHEMA, "stream": "orders", "key_properties": ["shop", "id"]}
    order = {"shop": "s", "id": 1, "order_number": 1001, "created_at": "2026-11-01T10:00:00Z", "currency": "USD"}
    order |= {"processed_at": order["created_at"], "email": "1@x.io", "original_total_price": "9"}
    told = [
        {"type": "RECORD", "stream": "orders", "record": order | {"current_total_price": one}} for one in ("9", "7")
    ]
    runs.here(schema, told[0], mapping="shopify-connector")
    runs.here(schema, told[1], mapping="shopify-connector", preview_path=str(path))
    code, said = reconcile(path, *key(posthog))
    assert code == 0, said
    assert "✓ The books balance" in said
    assert said.splitlines()[2].split() == ["transaction", "amount", "9", "9"]


def test_a_record_that_was_read_twice_counts_once(runs: Runs, tmp_path: Path, mapping: str) -> None:
    path = tmp_path / "preview.sqlite"
    runs.here(SCHEMA, bill(1), bill(1, credits=[CREDIT]), preview_path=str(path), mapping=mapping)
    code, said = reconcile(path)
    assert (code, "✓ The books balance" in said) == (0, True), said


@pytest.mark.parametrize(
    ("settings", "options", "sentence"),
    [
        ({"mapping": "none", "unmapped": "ignore"}, [], "has no `books`"),
        ({}, ["--personal-api-key", "phx_x"], "The setting `project_id` is missing"),
        ({}, ["--time-zone", "Mars/Olympus"], "`time_zone` needs the name of a zone"),
    ],
)
def test_what_it_needs_is_said_in_a_sentence(
    runs: Runs, mapping: str, settings: dict[str, Any], options: list[str], sentence: str
) -> None:
    path = Path(mapping).with_name("preview.sqlite")
    runs.here(SCHEMA, bill(1), preview_path=str(path), **{"mapping": mapping, **settings})
    code, said = reconcile(path, *options)
    assert code == 1
    assert sentence in said


def test_a_record_whose_money_is_none_is_named_and_ends_no_preview(runs: Runs, tmp_path: Path, mapping: str) -> None:
    path = tmp_path / "preview.sqlite"
    runs.here(SCHEMA, bill(1, total="a lot"), preview_path=str(path), mapping=mapping)
    code, said = reconcile(path)
    assert code == 1
    assert "`books` of stream `bills`, record 1: needs a number" in said


def test_many_differences_are_cut_and_kept_in_a_file(runs: Runs, tmp_path: Path, mapping: str) -> None:
    path, out = tmp_path / "preview.sqlite", tmp_path / "books.json"
    runs.here(SCHEMA, *(bill(n, draft=True) for n in range(1, 61)), preview_path=str(path), mapping=mapping)
    code, said = reconcile(path, "--out", str(out))
    assert code == 0
    assert "60 differences, 0 of them unexplained" in said
    assert "... the first 50 are shown" in said
    assert said.count("left out: drafts") == 50
    assert len(json.loads(out.read_text())["differences"]) == 60


def test_a_posthog_that_refuses_is_named(preview: Path, posthog: PostHog) -> None:
    code, said = reconcile(preview, *key(posthog)[:2], "--personal-api-key", "phx_wrong", "--project-id", "1")
    assert code == 1
    assert "`personal_api_key`: PostHog at" in said
    assert "phx_wrong" not in said


def test_an_empty_preview_is_no_balance_and_nothing_to_ask(
    runs: Runs, posthog: PostHog, tmp_path: Path, mapping: str
) -> None:
    path = tmp_path / "preview.sqlite"
    runs.here(SCHEMA, preview_path=str(path), mapping=mapping)
    code, said = reconcile(path, *key(posthog))
    assert code == 1
    assert "The preview holds no money to compare" in said.splitlines()[-1]
    assert posthog.controls.requests == []
