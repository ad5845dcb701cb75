"""The shop's own sales report by ShopifyQL: its sums, its forms, its errors, its refusals."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.shop.access import MORE_SCOPES, SCOPES
from sandbox.shop.shopifyql import Report
from tests.sandbox.ledgers import figures

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.shop import Shop

EVERYTHING = (*SCOPES, *MORE_SCOPES)
ASK = """query Q($query: String!) { shopifyqlQuery(query: $query) { parseErrors parseWarnings tableData { columns
  { name dataType displayName } rows } } }"""
COLUMNS = (
    "gross_sales, discounts, returns, net_sales, shipping_charges, taxes, duties, additional_fees, total_sales, orders"
)
YEARS = "SINCE 2025-01-01 UNTIL 2026-12-31"


@pytest.fixture
def report(shop_with: Callable[..., Shop], ask: Callable[..., Any]) -> Callable[..., Any]:
    """Ask a shop for a report."""

    def report(query: str, **settings: object) -> dict[str, Any]:
        shop = shop_with(scopes=EVERYTHING, report=Report(**settings))
        return ask(shop, ASK, query=query)["data"]["shopifyqlQuery"]

    return report


def test_the_report_and_the_ledger_come_to_the_same_on_each_day(report: Callable[..., Any], store: Any) -> None:
    table = report(f"FROM sales SHOW {COLUMNS} TIMESERIES day {YEARS}")["tableData"]
    expected: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    orders = [one for one in store.orders if not one["test"] and one["currencyCode"] == "USD"]
    for order in orders:
        for (day, column), value in figures(order).items():
            expected[str(day), column] += value
    found = {(row["day"], name): Decimal(row[name]) for row in table["rows"] for name in row if name != "day"}
    assert len(table["rows"]) == 730
    assert sum(value for (_, name), value in found.items() if name == "orders") == len(orders)
    for (day, name), value in found.items():
        if name not in ("orders", "net_sales", "total_sales"):
            assert value == expected[day, name], (day, name)
    for row in table["rows"]:
        net = sum(Decimal(row[name]) for name in ("gross_sales", "discounts", "returns"))
        beside = ("shipping_charges", "taxes", "duties", "additional_fees")
        assert Decimal(row["net_sales"]) == net
        assert Decimal(row["total_sales"]) == net + sum(Decimal(row[name]) for name in beside)


def test_rows_come_as_objects_or_as_arrays_with_texts_or_numbers(report: Callable[..., Any]) -> None:
    query = f"FROM sales SHOW net_sales, orders GROUP BY day {YEARS} ORDER BY day DESC"
    objects = report(query)["tableData"]
    assert [(one["name"], one["dataType"]) for one in objects["columns"]] == [
        ("day", "DAY_TIMESTAMP"),
        ("net_sales", "MONEY"),
        ("orders", "INTEGER"),
    ]
    days = [row["day"] for row in objects["rows"]]
    assert days == sorted(days, reverse=True)
    assert report(query, arrays=True)["tableData"]["rows"] == [list(row.values()) for row in objects["rows"]]
    numbers = report(query, arrays=True, numbers=True)["tableData"]["rows"]
    assert numbers[0][1:] == [float(objects["rows"][0]["net_sales"]), int(objects["rows"][0]["orders"])]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("FROM sales SHOW net_sales, turnover TIMESERIES day", "turnover"),
        ("FROM sales SHOW return_fees TIMESERIES day", "return_fees"),
        ("FROM orders SHOW net_sales", "orders"),
        ("SELECT * FROM sales", "Syntax error"),
        ("FROM sales SHOW net_sales SINCE 2026-13-01", "month"),
        ("FROM sales SHOW net_sales SINCE 2026-02-01 UNTIL 2026-01-01", "date range"),
        ("FROM sales SHOW net_sales TIMESERIES hour", "hour"),
    ],
)
def test_what_a_shop_does_not_know_is_a_parse_error_and_no_table(
    report: Callable[..., Any], query: str, named: str
) -> None:
    answer = report(query, lacks=frozenset({"return_fees"}))
    assert answer["tableData"] is None
    assert named in answer["parseErrors"][0]


def test_relative_dates_and_totals_without_days(report: Callable[..., Any]) -> None:
    (whole,) = report(f"FROM sales SHOW orders {YEARS}")["tableData"]["rows"]
    assert int(whole["orders"]) > 0
    assert len(report("FROM sales SHOW orders TIMESERIES day SINCE -6d UNTIL yesterday")["tableData"]["rows"]) == 6


@pytest.mark.parametrize("settings", [{}, {"scopes": EVERYTHING, "report": Report(refused=True)}])
def test_the_report_is_refused_without_its_scope_or_all_the_same(
    shop_with: Callable[..., Shop], ask: Callable[..., Any], settings: dict[str, Any]
) -> None:
    body = ask(shop_with(**settings), ASK, query="FROM sales SHOW net_sales")
    assert body["data"] == {"shopifyqlQuery": None}
    (error,) = body["errors"]
    assert error["message"] == ("Access denied for shopifyqlQuery field. Required access: `read_reports` access scope.")
    assert error["extensions"]["code"] == "ACCESS_DENIED"
