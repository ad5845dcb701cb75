"""What Shopify's ledger of sales comes to, situation by situation, and how it may be read otherwise."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from target_posthog.books import ledger
from target_posthog.books.ledger import entries, has_no_ledger, readings

RULES = {"OrderAgreement": "placed", "RefundAgreement": "refunded", "ReturnAgreement": "returned", "others": "updated"}
PLACED, LATER = "2026-11-01T10:00:00Z", "2026-11-05T10:00:00Z"


def sale(action: str, line_type: str, total: str, tax: str = "0", off: str = "0") -> dict[str, Any]:
    amounts = {"total_amount": total, "total_tax_amount": tax, "total_discount_amount_before_taxes": off}
    return {"action_type": action, "line_type": line_type, **amounts}


def agreement(kind: str, *sales: dict[str, Any], at: str = LATER, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "happened_at": at, "sales": list(sales), **more}


def order(*agreements: dict[str, Any], **more: Any) -> dict[str, Any]:
    known = {"processed_at": PLACED, "created_at": PLACED, "updated_at": LATER, "original_total_price": "110.00"}
    return {**known, "agreements": list(agreements), **more}


def exact(figures: dict[str, Decimal]) -> dict[str, str]:
    return {name: f"{amount.normalize():f}" for name, amount in figures.items() if amount}


PRODUCT = sale("order", "product", "99", "9", "10")
BACK = sale("return", "product", "-49.50", "-4.50", "-5")


@pytest.mark.parametrize(
    ("kind", "sales", "rule", "expected"),
    [
        (
            "OrderAgreement",
            [PRODUCT, sale("order", "shipping", "11", "1")],
            "placed",
            "gross_sales 100, discounts -10, taxes 10, shipping 10, net_sales 90, total_sales 110",
        ),
        (
            "OrderAgreement",
            [sale("order", "product", "231", "11", "10"), sale("order", "shipping", "22", "1.05")],
            "placed",
            "gross_sales 230, discounts -10, taxes 12.05, shipping 20.95, net_sales 220, total_sales 253",
        ),
        ("OrderAgreement", [sale("order", "shipping", "0", "0", "10")], "placed", ""),
        (
            "OrderEditAgreement",
            [sale("order", "product", "55", "5")],
            "updated",
            "gross_sales 50, taxes 5, net_sales 50, total_sales 55",
        ),
        ("OrderEditAgreement", [BACK], "updated", "returns -45, taxes -4.5, net_sales -45, total_sales -49.5"),
        (
            "OrderEditAgreement",
            [sale("update", "product", "-5.50", "-0.50", "5")],
            "updated",
            "discounts -5, taxes -0.5, net_sales -5, total_sales -5.5",
        ),
        ("RefundAgreement", [BACK], "refunded", "returns -45, taxes -4.5, net_sales -45, total_sales -49.5"),
        (
            "RefundAgreement",
            [sale("return", "shipping", "-11", "-1")],
            "refunded",
            "shipping -10, taxes -1, total_sales -11",
        ),
        (
            "RefundAgreement",
            [sale("return", "adjustment", "-15")],
            "refunded",
            "returns -15, net_sales -15, total_sales -15",
        ),
        (
            "RefundAgreement",
            [BACK, sale("return", "adjustment", "10")],
            "refunded",
            "returns -35, taxes -4.5, net_sales -35, total_sales -39.5",
        ),
        ("RefundAgreement", [sale("return", "adjustment", "15"), sale("return", "adjustment", "-15")], "refunded", ""),
        ("RefundAgreement", [], "refunded", ""),
        (
            "ReturnAgreement",
            [BACK, sale("return", "fee", "5")],
            "returned",
            "returns -45, taxes -4.5, return_fees 5, net_sales -45, total_sales -44.5",
        ),
        (
            "ReturnAgreement",
            [BACK, sale("order", "product", "66", "6")],
            "returned",
            "returns -45, gross_sales 60, taxes 1.5, net_sales 15, total_sales 16.5",
        ),
        ("OrderAgreement", [sale("order", "gift_card", "40", "0", "10")], "placed", "gift_cards 40"),
        ("OrderAgreement", [sale("order", "tip", "5")], "placed", "tips 5"),
        (
            "OrderAgreement",
            [sale("order", "duty", "12"), sale("order", "additional_fee", "3")],
            "placed",
            "duties 12, additional_fees 3, total_sales 15",
        ),
        ("SomethingNew", [sale("unknown", "something_new", "7.70", "0.70")], "updated", "taxes 0.7, total_sales 7.7"),
    ],
)
def test_each_situation_comes_to_the_reports_figures(
    kind: str, sales: list[dict[str, Any]], rule: str, expected: str
) -> None:
    (entry,) = entries(order(agreement(kind, *sales)), RULES)
    assert entry.rule == rule
    assert entry.at == (PLACED if rule == "placed" else LATER)
    assert exact(entry.figures) == dict(pair.split(" ") for pair in expected.split(", ") if pair)


def test_only_the_first_agreement_that_places_an_order_has_the_order_s_own_time() -> None:
    both = order(*(agreement("OrderAgreement", sale("order", "product", total)) for total in ("10", "5")))
    found = [(entry.rule, entry.at, exact(entry.figures)["net_sales"]) for entry in entries(both, RULES)]
    assert found == [("placed", PLACED, "10"), ("updated", LATER, "5")]
    assert {(one.name, one.at) for one in readings(both)} == {
        (ledger.PLACED_AT, PLACED),
        (ledger.PLACED_AT, LATER),
        (ledger.ADDED_ITEMS, LATER),
    }


def test_an_order_without_a_ledger_has_its_original_total_alone_and_one_that_is_gone_nothing() -> None:
    for record in (order(), order(agreements=None), {**order(), "agreements": None}):
        assert has_no_ledger(record)
        (entry,) = entries(record, RULES)
        assert (entry.rule, entry.at, exact(entry.figures)) == ("placed", PLACED, {"total_sales": "110"})
    assert not has_no_ledger({"id": 1, "updated_at": LATER, "_sdc_deleted_at": LATER})


def test_an_amount_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs a number"):
        list(entries(order(agreement("OrderAgreement", sale("order", "product", "a lot"))), RULES))


@pytest.mark.parametrize(
    ("record", "name", "at", "expected"),
    [
        (
            order(agreement("RefundAgreement", sale("return", "adjustment", "-15"))),
            ledger.ADJUSTMENTS,
            LATER,
            "returns 15, net_sales 15, total_sales 15",
        ),
        (
            order(agreement("OrderAgreement", sale("order", "tip", "5"), at=PLACED)),
            ledger.TIPS,
            PLACED,
            "total_sales 5",
        ),
        (
            order(agreement("OrderAgreement", sale("order", "gift_card", "40"), at=PLACED)),
            ledger.GIFT_CARDS,
            PLACED,
            "total_sales 40",
        ),
        (
            order(agreement("OrderAgreement", sale("order", "duty", "12"), at=PLACED)),
            ledger.DUTIES,
            PLACED,
            "total_sales -12",
        ),
        (
            order(agreement("OrderEditAgreement", sale("update", "product", "-5.50", "-0.50", "5"))),
            ledger.NEW_PRICES,
            LATER,
            "discounts 5, returns -5",
        ),
        (
            order(agreement("OrderEditAgreement", sale("order", "product", "55", "5"))),
            ledger.ADDED_ITEMS,
            LATER,
            "gross_sales -50, returns 50",
        ),
        (order(agreement("RefundAgreement", BACK)), ledger.DISCOUNTS_BACK, LATER, "discounts 5, returns -5"),
        (
            order(agreement("OrderAgreement", sale("order", "shipping", "0", "0", "10"), at=PLACED)),
            ledger.SHIPPING_DISCOUNTS,
            PLACED,
            "discounts -10, shipping 10, net_sales -10",
        ),
        (
            order(agreement("Other", sale("unknown", "new", "7.70", "0.70"))),
            ledger.NEW_KINDS,
            LATER,
            "taxes -0.7, total_sales -7.7",
        ),
    ],
)
def test_where_the_ledger_may_be_read_otherwise_the_difference_is_known(
    record: dict[str, Any], name: str, at: str, expected: str
) -> None:
    ((found, moment, figures),) = readings(record)
    assert (found, moment) == (name, at)
    assert exact(figures) == dict(pair.split(" ") for pair in expected.split(", "))


@pytest.mark.parametrize(
    ("record", "name", "days"),
    [
        (order(agreement("OrderAgreement", PRODUCT, at=LATER)), ledger.PLACED_AT, [PLACED, LATER]),
        (
            order(
                agreement("RefundAgreement", sale("return", "product", "-50"), refund_id=7),
                refunds=[{"id": 7, "processed_at": "2026-11-03T00:00:00Z"}],
            ),
            ledger.REFUNDED_AT,
            [LATER, "2026-11-03T00:00:00Z"],
        ),
    ],
)
def test_an_agreement_may_count_on_another_day(record: dict[str, Any], name: str, days: list[str]) -> None:
    here, there = readings(record)
    assert [one.name for one in (here, there)] == [name] * 2
    assert [one.at for one in (here, there)] == days
    assert exact(here.figures) == {figure: f"{-Decimal(amount):f}" for figure, amount in exact(there.figures).items()}
    assert exact(there.figures)["net_sales"] in ("90", "-50")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"payment_gateway_names": ["bogus"]}, [(ledger.TEST_ORDERS, Decimal(90))]),
        ({"transactions": [{"gateway": "bogus"}]}, [(ledger.TEST_ORDERS, Decimal(90))]),
        ({"payment_gateway_names": ["shopify_payments"]}, []),
        ({}, []),
    ],
)
def test_a_test_order_is_no_sale_and_one_of_another_gateway_may_be_in_the_report(
    fields: dict[str, Any], expected: list[tuple[str, Decimal]]
) -> None:
    record = order(agreement("OrderAgreement", PRODUCT, at=PLACED), test=True, **fields)
    assert list(entries(record, RULES)) == []
    assert [(one.name, one.figures["net_sales"]) for one in readings(record)] == expected
