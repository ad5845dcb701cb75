"""The shop's own sales report, as records of days."""

from __future__ import annotations

import signal
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from sandbox.controls import Reply
from sandbox.shop import Shop
from sandbox.shop.access import MORE_SCOPES, SCOPES
from sandbox.shop.cdnow import cdnow_store
from sandbox.shop.sales_report import sales_by_day
from sandbox.shop.shopifyql import Report
from tap_shopify_orders.command import checked_catalog
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.records import schema
from tests.sandbox.placed import FIRST, PLACED

from .conftest import Message, Run, catalog_of, let_it_be, queries, read, run_of, tap_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = frozenset({*SCOPES, *MORE_SCOPES})


def served(**settings: object) -> Shop:
    return Shop(cdnow_store(date(2026, 10, 31), customers=20), scopes=ALL, **settings)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with served().serve() as shop:
        yield shop


def days(run: Run) -> dict[str, Message]:
    return {one["day"]: one for one in run.records["sales_by_day"]}


def reports(shop: Shop) -> list[str]:
    return [
        one["variables"]["query"]
        for one in queries(shop)
        if one["query"].endswith("}\n}\n") and "report:" in one["query"]
    ]


def test_each_day_on_which_anything_happened_is_a_record_as_the_shop_s_report_has_it(shop: Shop) -> None:
    found = days(read(shop))
    expected = {str(day): one for day, one in sales_by_day(shop.store.orders, "USD", "America/New_York").items()}
    something = {day for day, one in expected.items() if any(vars(one).values())}
    assert {*found} >= something
    assert {*found} <= {*expected}
    for day in something:
        assert Decimal(found[day]["net_sales"]) == expected[day].net_sales
        assert Decimal(found[day]["total_sales"]) == expected[day].total_sales
        assert found[day]["orders"] == expected[day].orders
    one = found[min(something)]
    assert {*one} == {*schema.SALES_BY_DAY["properties"]}
    assert (one["shop_id"], one["time_zone"], one["currency"]) == (60_000_000_001, "America/New_York", "USD")


@pytest.mark.parametrize("report", [Report(arrays=True), Report(numbers=True), Report(arrays=True, numbers=True)])
def test_both_forms_of_rows_and_of_figures_are_read(shop: Shop, report: Report) -> None:
    with Shop(shop.store, scopes=ALL, report=report).serve() as other:
        found, expected = days(read(other)), days(read(shop))
    assert {*found} == {*expected}
    for day, one in expected.items():
        assert Decimal(found[day]["total_sales"]) == Decimal(one["total_sales"])


@pytest.mark.parametrize(("lacks", "left_out"), [("sales_reversals", None), ("returns", None), ("duties", "duties")])
def test_a_column_that_a_shop_lacks_has_another_name_or_is_left_out_and_said(
    shop: Shop, caplog: pytest.LogCaptureFixture, lacks: str, left_out: str | None
) -> None:
    with Shop(shop.store, scopes=ALL, report=Report(lacks=frozenset({lacks}))).serve() as other:
        one = next(iter(days(read(other)).values()))
    assert {*schema.SALES_BY_DAY["properties"]} - {*one} == ({left_out} if left_out else set())
    assert ("has no column for duties" in caplog.text) == bool(left_out)


def test_without_the_scope_there_is_one_sentence_and_nothing_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with Shop(cdnow_store(date(2026, 10, 31), customers=5)).serve() as shop:
        run = read(shop)
    assert [one["stream"] for one in run.messages if one["type"] == "SCHEMA"] == ["customers", "orders"]
    assert caplog.text.count("the app lacks the scope read_reports") == 1


def test_a_report_that_is_refused_is_not_the_end_of_the_run(caplog: pytest.LogCaptureFixture) -> None:
    with served(report=Report(refused=True)).serve() as shop:
        run = read(shop)
    assert run.records["orders"]
    assert not run.records["sales_by_day"]
    assert "No sales_by_day, as Shopify refuses the sales report:" in caplog.text


def test_a_second_run_reads_the_last_days_and_once_a_day_a_year(shop: Shop) -> None:
    first = read(shop)
    shop.controls.reset()
    second = read(shop, first.state)
    assert not second.records["sales_by_day"]
    assert len(reports(shop)) <= 2
    assert second.state == first.state
    tap = tap_for(shop, first.state)
    let_it_be(tap.store.granted.at + timedelta(days=1), tap)
    shop.controls.reset()
    tap.sync()
    assert len(reports(shop)) == 12


def test_a_bookmark_of_long_ago_is_gone_on_from(shop: Shop) -> None:
    first = read(shop)
    oldest = min(days(first))
    assert oldest < "2025-10-01"  # more than a year before the shop's today
    state = {"bookmarks": {"sales_by_day": {"replication_key": "day", "replication_key_value": oldest}}}
    assert days(read(shop, state)) == days(first)


def test_a_report_that_a_catalog_wants_whole_each_time_is(shop: Shop) -> None:
    first = read(shop)
    catalog = catalog_of(shop, streams=("sales_by_day",))
    for stream in catalog["streams"]:
        stream["replication_method"] = "FULL_TABLE"
    assert days(read(shop, first.state, catalog=checked_catalog(catalog))) == days(first)


def test_a_signal_is_heard_while_the_report_is_slow(shop: Shop) -> None:
    tap = tap_for(shop, catalog=catalog_of(shop, streams=("sales_by_day",)))
    _ = tap.store.granted
    tap.stop.signal = signal.SIGTERM
    shop.controls.reply_next(Reply(delay_seconds=3))
    with pytest.raises(SystemExit):
        tap.sync()
    assert tap.store.client.answers == 1  # what is granted


def the_next_day(shop: Shop, first: Run) -> Run:
    """Run again a day later, when the last year is read once more."""
    tap = tap_for(shop, first.state, catalog_of(shop, streams=("sales_by_day",)))
    let_it_be(tap.store.granted.at + timedelta(days=1), tap)
    tap.sync()
    return run_of(tap)


def test_an_old_day_that_changes_is_emitted_again_also_when_nothing_is_left_of_it(shop: Shop) -> None:
    first = read(shop)
    day = next(day for day, one in days(first).items() if day >= "2026-06" and one["orders"] == 1)
    gone = next(one for one in shop.store.orders if one["createdAt"][:10] == day)
    shop.store.delete_order(gone["name"], "2026-11-02T12:00:00.000000Z")
    again = days(the_next_day(shop, first))
    assert again[day]["orders"] == 0


def test_an_order_that_is_imported_changes_the_day_on_which_it_was_processed(shop: Shop) -> None:
    first = read(shop)
    before = days(first).get("2026-03-05")
    imported = replace(FIRST, at="2026-03-05T18:00:00.000000Z", number=9_001, extra={"createdAt": PLACED})
    shop.store.add_order(imported)
    again = days(the_next_day(shop, first))
    assert {*again} == {"2026-03-05"}
    assert Decimal(again["2026-03-05"]["total_sales"]) - Decimal(before["total_sales"] if before else 0) == 110


def test_a_time_zone_that_is_changed_moves_days_and_each_record_says_by_which_it_is(shop: Shop) -> None:
    first = read(shop)
    shop.store.shop["ianaTimezone"] = "Asia/Tokyo"
    second = the_next_day(shop, first)
    again = days(second)
    since = min(again)
    year = {day: one for day, one in days(first).items() if day >= since}
    assert {*again} >= {*year}, "a day whose figures are as before has another time zone all the same"
    assert {one["time_zone"] for one in again.values()} == {"Asia/Tokyo"}
    assert {day: one["orders"] for day, one in again.items()} != {day: one["orders"] for day, one in year.items()}
    expected = sales_by_day(shop.store.orders, "USD", "Asia/Tokyo")
    assert {day: Decimal(one["net_sales"]) for day, one in again.items()} == {
        day: expected[date.fromisoformat(day)].net_sales if date.fromisoformat(day) in expected else 0 for day in again
    }
    assert not days(the_next_day(shop, second))


@pytest.mark.parametrize("errors", [["Line 1 Column 1: Syntax error."], []], ids=["no column named", "no reason"])
def test_a_parse_error_that_names_no_column_ends_the_run_after_all_else_with_a_remedy(
    shop: Shop, errors: list[str]
) -> None:
    def unreadable(body: Message) -> Message:
        if "report" not in (body.get("data") or {}):
            return body
        return {**body, "data": {"report": {"parseErrors": errors, "parseWarnings": [], "tableData": None}}}

    shop.twist = unreadable
    tap = tap_for(shop)
    with pytest.raises(RunError, match=r"sales report can't be read \(.+\): try again, or deselect sales_by_day\."):
        tap.sync()
    run = run_of(tap)
    assert len(run.orders) == len(shop.store.orders)
    assert not run.records["sales_by_day"]
    assert len(reports(shop)) == 1
