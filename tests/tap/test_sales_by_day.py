"""The shop's own sales report, as records of days."""

from __future__ import annotations

import signal
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
    tap.sync_all()
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
        tap.sync_all()
    assert tap.store.client.answers == 1  # what is granted


def test_an_old_day_that_changes_is_emitted_again_also_when_nothing_is_left_of_it(shop: Shop) -> None:
    first = read(shop)
    day = next(day for day, one in days(first).items() if day >= "2026-06" and one["orders"] == 1)
    gone = next(one for one in shop.store.orders if one["createdAt"][:10] == day)
    shop.store.delete_order(gone["name"], "2026-11-02T12:00:00.000000Z")
    tap = tap_for(shop, first.state)
    let_it_be(tap.store.granted.at + timedelta(days=1), tap)
    tap.sync_all()
    again = days(run_of(tap))
    assert again[day]["orders"] == 0


def test_the_report_alone_without_its_scope_is_no_empty_success(shop: Shop) -> None:
    with (
        Shop(shop.store).serve() as other,
        pytest.raises(RunError, match="scope read_reports, and sales_by_day is all"),
    ):
        read(other, catalog=catalog_of(other, streams=("sales_by_day",)))
