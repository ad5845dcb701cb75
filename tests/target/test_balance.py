"""`target-posthog reconcile`: the books of a preview, of the run after it, and of PostHog."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from target_posthog.commands.group import commands
from tests.posthog_events import event, send

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.posthog import PostHog
    from tests.target.conftest import Runs

SCHEMA = {
    "type": "SCHEMA",
    "stream": "orders",
    "schema": {"properties": {}, "additionalProperties": True},
    "key_properties": ["shop", "id"],
}


def order(number: int, **changes: Any) -> dict[str, Any]:
    record = {
        "shop": "s.myshopify.com",
        "id": 5000 + number,
        "name": f"#{1000 + number}",
        "email": f"{number}@x.io",
        "currency": "USD",
        "test": False,
        "processed_at": f"2026-11-0{number}T10:00:00Z",
        "created_at": f"2026-11-0{number}T10:00:00Z",
        "updated_at": "2026-11-10T00:00:00Z",
        "subtotal_price": "10.10",
        "current_subtotal_price": "10.10",
        "refunds": [],
    }
    return {"type": "RECORD", "stream": "orders", "record": record | changes}


REFUND = {"id": 1, "processed_at": "2026-11-09T00:00:00Z", "refund_line_items": [{"subtotal": "0.30"}]}
PAYMENT = {"id": 1, "status": "success", "kind": "sale", "amount": "10.10", "processed_at": "2026-11-01T11:00:00Z"}
ORDERS = [
    order(1, transactions=[PAYMENT]),
    order(2, refunds=[REFUND], current_subtotal_price="9.80"),
    order(3, cancelled_at="2026-11-08T00:00:00Z"),
    order(4, test=True),
]


@pytest.fixture
def preview(runs: Runs, tmp_path: Path) -> Path:
    path = tmp_path / "preview.sqlite"
    runs.here(SCHEMA, *ORDERS, preview_path=str(path))
    return path


def reconcile(preview: Path, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(commands, ["reconcile", "--preview-path", str(preview), *options])
    return done.exit_code, done.output


def key(posthog: PostHog) -> list[str]:
    return ["--host", posthog.url, "--personal-api-key", "phx_sandbox", "--project-id", "1"]


def test_a_run_as_previewed_balances_on_all_sides(runs: Runs, posthog: PostHog, preview: Path, tmp_path: Path) -> None:
    runs.here(SCHEMA, *ORDERS, summary_path=str(tmp_path / "summary.json"))
    out = tmp_path / "books.json"
    code, said = reconcile(preview, *key(posthog), "--summary-path", str(tmp_path / "summary.json"), "--out", str(out))
    assert code == 0
    assert "✓ Each difference is explained" in said
    assert "#1004 2026-11-04 placed (read | planned): 10.10 | - USD: left out: test orders" in said
    books = json.loads(out.read_text())
    rows = {one["kind"]: one for one in books["totals"]}
    assert rows["placed"]["read"] == {"number": 4, "amount": "40.40"}
    for side in ("planned", "acknowledged", "in PostHog"):
        assert {kind: tuple(row[side].values()) for kind, row in rows.items()} == {
            "placed": (3, "30.3"),
            "refunded": (1, "-0.3"),
            "cancelled": (1, "-10.1"),
        }, side


def test_without_a_key_it_compares_what_was_read_with_the_plan_and_the_run(
    runs: Runs, preview: Path, tmp_path: Path
) -> None:
    assert "PostHog wasn't asked" in reconcile(preview)[1]
    runs.here(SCHEMA, *ORDERS[:2], summary_path=str(tmp_path / "summary.json"))
    code, said = reconcile(preview, "--summary-path", str(tmp_path / "summary.json"))
    assert code == 1
    assert "2026-11-03 placed (planned | acknowledged): 10.10 | 0.00 USD: unknown: the run of the summary" in said


def test_what_posthog_lost_doubled_or_changed_is_named_with_its_order(
    runs: Runs, posthog: PostHog, preview: Path
) -> None:
    runs.here(SCHEMA, *ORDERS)
    posthog.database.ask("delete from events where json_extract(properties, '$.order_name') in ('#1001', '#1002')")
    runs.here(SCHEMA, order(2, refunds=[REFUND], current_subtotal_price="9.80"))
    posthog.database.ask("delete from events where event = 'Order Completed' and distinct_id = '2@x.io'")
    posthog.database.ask(
        "update events set properties = json_set(properties, '$.revenue', 7) where event like '%Refunded'"
    )
    code, said = reconcile(preview, *key(posthog))
    assert code == 1
    assert "#1001 2026-11-01 placed (planned | in PostHog): 10.10 | - USD: unknown: not in PostHog" in said
    assert "#1002 2026-11-02 placed (planned | in PostHog): 10.10 | - USD: unknown: not in PostHog" in said
    assert "#1002 2026-11-09 refunded (planned | in PostHog): -0.30 | -7.00 USD: unknown: if it has changed" in said


def test_a_dead_letter_and_an_event_in_flight_are_no_riddle(
    runs: Runs, posthog: PostHog, preview: Path, tmp_path: Path
) -> None:
    summary, letters = tmp_path / "summary.json", tmp_path / "dead.jsonl"
    posthog.verdicts = {"Order Cancelled": ["drop:rejected"]}
    runs.here(SCHEMA, *ORDERS, summary_path=str(summary), dead_letter_path=str(letters))
    posthog.database.ask("delete from events where json_extract(properties, '$.order_name') = '#1001'")
    code, said = reconcile(preview, *key(posthog), "--summary-path", str(summary), "--dead-letter-path", str(letters))
    assert "#1003 2026-11-08 cancelled (planned | in PostHog): -10.10 | - USD: dead letter: " in said
    assert "#1001 2026-11-01 placed (planned | in PostHog): 10.10 | - USD: in flight" in said
    assert code == 0


def test_an_order_that_does_not_add_up_is_named(runs: Runs, tmp_path: Path) -> None:
    path = tmp_path / "preview.sqlite"
    orders = [order(1, current_subtotal_price="12.00"), order(2, current_subtotal_price="12.00", edited=True)]
    runs.here(SCHEMA, *orders, preview_path=str(path))
    code, said = reconcile(path)
    assert code == 1
    assert "#1001 2026-11-01 left (entries | left): 10.10 | 12.00 USD: unknown: its entries don't come to" in said
    assert "#1002 2026-11-02 left (entries | left): 10.10 | 12.00 USD: edited" in said


def test_a_filter_of_ones_own_is_the_reason(runs: Runs, tmp_path: Path) -> None:
    path = tmp_path / "preview.sqlite"
    rule = {"extends": "Order Completed", "when": "id == `5001`"}
    runs.here(SCHEMA, *ORDERS[:2], preview_path=str(path), mappings={"orders": [rule]})
    code, said = reconcile(path)
    assert code == 0
    assert "#1002 2026-11-02 placed (read | planned): 10.10 | - USD: filtered: its `when` isn't true" in said


def test_the_old_connectors_events_balance_too(runs: Runs, posthog: PostHog, tmp_path: Path) -> None:
    path = tmp_path / "preview.sqlite"
    orders = [order(1, current_total_price="12.50", order_number=1001), order(2, current_total_price="0.10")]
    runs.here(SCHEMA, *orders, preview_path=str(path), mapping="shopify-connector")
    runs.here(SCHEMA, *orders, mapping="shopify-connector")
    code, said = reconcile(path, *key(posthog))
    assert (code, "✓ The books balance" in said) == (0, True), said
    assert re.search(r"USD  placed( +2 +12\.60){3}\n", said)


def test_a_record_that_was_read_twice_counts_once(runs: Runs, tmp_path: Path) -> None:
    path = tmp_path / "preview.sqlite"
    runs.here(SCHEMA, order(1), order(1, refunds=[REFUND], current_subtotal_price="9.80"), preview_path=str(path))
    code, said = reconcile(path)
    assert (code, "✓ The books balance" in said) == (0, True)


@pytest.mark.parametrize(
    ("settings", "options", "sentence"),
    [
        ({"mapping": "none", "unmapped": "ignore"}, [], "has no `books`"),
        ({}, ["--personal-api-key", "phx_x"], "The setting `project_id` is missing"),
    ],
)
def test_what_it_needs_is_said_in_a_sentence(
    runs: Runs, tmp_path: Path, settings: dict[str, Any], options: list[str], sentence: str
) -> None:
    path = tmp_path / "preview.sqlite"
    runs.here(SCHEMA, order(1), preview_path=str(path), **settings)
    code, said = reconcile(path, *options)
    assert code == 1
    assert sentence in said
    assert "Traceback" not in said


def test_dead_letters_are_the_reason_without_a_key_too(
    runs: Runs, posthog: PostHog, preview: Path, tmp_path: Path
) -> None:
    summary, letters = tmp_path / "summary.json", tmp_path / "dead.jsonl"
    posthog.verdicts = {"Order Cancelled": ["drop:rejected"]}
    runs.here(SCHEMA, *ORDERS, summary_path=str(summary), dead_letter_path=str(letters))
    code, said = reconcile(preview, "--summary-path", str(summary), "--dead-letter-path", str(letters))
    assert "2026-11-08 cancelled (planned | acknowledged): -10.10 | 0.00 USD: dead letters" in said
    assert code == 0


def test_a_refused_record_and_other_streams_are_no_riddle(runs: Runs, tmp_path: Path) -> None:
    path = tmp_path / "preview.sqlite"
    other = [SCHEMA | {"stream": "visits"}, {"type": "RECORD", "stream": "visits", "record": {"shop": "s", "id": 1}}]
    runs.here(SCHEMA, order(1, transactions=[PAYMENT | {"amount": "a lot"}]), *other, preview_path=str(path))
    code, said = reconcile(path)
    assert code == 0
    assert re.search(r"#1001 2026-11-01 placed \(read \| planned\): 10.10 \| - USD: undeliverable: \S+", said)


def test_a_record_whose_money_is_none_is_named(runs: Runs, tmp_path: Path) -> None:
    path = tmp_path / "preview.sqlite"
    runs.here(SCHEMA, order(1, current_subtotal_price="a lot"), preview_path=str(path))
    code, said = reconcile(path)
    assert code == 1
    assert "`books` of stream `orders`, record #1001: needs a number" in said


def test_many_differences_are_cut_and_kept_in_a_file(runs: Runs, tmp_path: Path) -> None:
    path, out = tmp_path / "preview.sqlite", tmp_path / "books.json"
    at = {"processed_at": "2026-11-01T00:00:00Z"}
    runs.here(SCHEMA, *(order(number, test=True, **at) for number in range(1, 61)), preview_path=str(path))
    code, said = reconcile(path, "--out", str(out))
    assert code == 0
    assert "60 differences, 0 of them unexplained" in said
    assert "... the first 50 of each are shown" in said
    assert said.count("left out: test orders") == 50
    assert len(json.loads(out.read_text())["differences"]) == 60


def test_a_posthog_that_refuses_is_named(preview: Path, posthog: PostHog) -> None:
    code, said = reconcile(preview, *key(posthog)[:2], "--personal-api-key", "phx_wrong", "--project-id", "1")
    assert code == 1
    assert "`personal_api_key`: PostHog at" in said
    assert "phx_wrong" not in said


def test_an_empty_preview_has_nothing_to_ask(runs: Runs, posthog: PostHog, tmp_path: Path) -> None:
    path = tmp_path / "preview.sqlite"
    runs.here(SCHEMA, preview_path=str(path))
    assert reconcile(path, *key(posthog)) == (0, f"{' ' * 19}\n\n✓ The books balance\n")
    assert posthog.controls.requests == []


def test_another_source_of_the_same_events_is_named(runs: Runs, posthog: PostHog, preview: Path) -> None:
    runs.here(SCHEMA, *ORDERS)
    pixel = event(7, "Order Completed", "1@x.io", "2026-11-01T10:00:00Z", revenue=10.10, currency="USD")
    send(posthog, pixel | {"uuid": "0194762c-c2b1-74ba-97ce-e14a2c8b3c8e"})
    code, said = reconcile(preview, *key(posthog))
    assert code == 1
    assert "unknown: another source sends events of this name, and both count" in said


def test_copies_that_posthog_has_not_merged_are_told_and_counted_once(
    runs: Runs, posthog: PostHog, preview: Path
) -> None:
    runs.here(SCHEMA, *ORDERS)
    runs.here(SCHEMA, *ORDERS[:2])
    code, said = reconcile(preview, *key(posthog))
    assert code == 0, said
    assert re.search(r"3 copies not merged yet \(placed 2, refunded 1\)|3 copies .*refunded 1, placed 2", said), said
    posthog.merge()
    assert "not merged yet" not in reconcile(preview, *key(posthog))[1]


def test_days_are_the_shops(runs: Runs, posthog: PostHog, tmp_path: Path) -> None:
    path, summary = tmp_path / "preview.sqlite", tmp_path / "summary.json"
    late = [order(1, processed_at="2026-11-02T03:00:00Z"), order(2, processed_at="2026-11-01T20:00:00Z")]
    runs.here(SCHEMA, *late, preview_path=str(path))
    runs.here(SCHEMA, late[0], summary_path=str(summary))
    options = [*key(posthog), "--time-zone", "America/New_York", "--summary-path", str(summary)]
    code, said = reconcile(path, *options)
    assert code == 1
    assert "Days are those of America/New_York; PostHog's project shows those of UTC" in said
    assert "1 days (America/New_York) on which the sides differ:" in said
    assert "#1002 2026-11-01 placed (planned | in PostHog): 10.10 | - USD: unknown: not in PostHog, and" in said
    runs.here(SCHEMA, late[1])
    assert reconcile(path, *options)[0] == 0
    assert "`time_zone` needs the name of a zone" in reconcile(path, "--time-zone", "Mars/Olympus")[1]


def test_what_posthog_no_longer_gives_is_not_called_missing(runs: Runs, posthog: PostHog, tmp_path: Path) -> None:
    path = tmp_path / "preview.sqlite"
    orders = [order(1, processed_at="2020-05-05T00:00:00Z"), order(2)]
    runs.here(SCHEMA, *orders, preview_path=str(path))
    runs.here(SCHEMA, *orders)
    posthog.events_retention_enforced, posthog.event_retention_months = True, 12
    code, said = reconcile(path, *key(posthog))
    assert (code, "✓ The books balance" in said) == (0, True), said
    assert "PostHog gives no events older than 12 months: what is from before 20" in said
    posthog.key_scopes = frozenset(("query:read",))
    code, said = reconcile(path, *key(posthog))
    assert code == 1
    assert "The personal API key may not read the project's settings (scope project:read)" in said
