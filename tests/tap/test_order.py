"""What is looked at of an order's record: whether its ledger agrees with it, and what it waits for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tap_shopify_orders.records.order import disagreements, order_of

Node = dict[str, Any]


def sale(total: str = "110.00", **more: Any) -> Node:
    return {"id": 1, "line_type": "product", "quantity": 2, "total_amount": total, "line_item_id": 7, **more}


def agreement(*sales: Node, kind: str = "OrderAgreement", at: str = "2026-11-01T00:00:00Z") -> Node:
    return {"kind": kind, "happened_at": at, "sales": [*sales]}


KEPT = agreement(sale("10.00", id=3, line_type="adjustment", quantity=None, line_item_id=None), kind="RefundAgreement")
SOUND: Node = {
    "id": 5,
    "name": "#1001",
    "updated_at": "2026-11-02T00:00:00Z",
    "agreements": [
        agreement(sale()),
        agreement(sale("-55.00", id=2, quantity=-1), kind="RefundAgreement"),
        KEPT,
        {**agreement(kind="ReturnAgreement"), "return_id": 3},
    ],
    "line_items": [{"id": 7, "current_quantity": 1}],
    "returns": [{"id": 3}],
    "current_subtotal_line_items_quantity": 1,
    "original_total_price": "110.00",
    "current_total_price": "55.00",
    "refund_discrepancy": "10.00",
    "net_payment": "65.00",
    "total_outstanding": "0.00",
    "cash_rounding_payment": "0.00",
    "cash_rounding_refund": "0.00",
}


EXCHANGE = {"return_status": "in_progress"}  # with which lines may lack a sale so far
TEN_LINES = [{"id": number, "current_quantity": 1} for number in range(10)]


def found(**change: Any) -> list[tuple[str, str]]:
    json = msgspec.Raw(msgspec.json.encode({**SOUND, **change}))
    return [(one.identity, one.sentence) for one in disagreements(order_of(json))]


def test_an_order_whose_ledger_agrees_is_left_alone() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("change", "identity", "words"),
    [
        (
            {"original_total_price": "120.00"},
            "original total",
            "Order #1001: the sales that placed it come to 110.00, its original total is 120.00 (-10.00).",
        ),
        ({"current_total_price": "54.99"}, "current total", "come to 55.00, its current total is 54.99 (+0.01)."),
        ({"refund_discrepancy": "0"}, "refund discrepancy", "its adjustments come to 10.00"),
        ({"net_payment": "60.00"}, "payments", "all its sales come to 65.00, its payments is 60.00 (+5.00)."),
        ({"line_items": [{"id": 7, "current_quantity": 2}]}, "quantities", "line item 7 come to 1 units"),
        (
            {"line_items": [*SOUND["line_items"], {"id": 8, "current_quantity": 3}]},
            "quantities",
            "Order #1001: the sales of line item 8 come to 0 units, the order has 3 (-3).",
        ),
        ({"updated_at": "2026-10-31T00:00:00Z"}, "moments", "4 agreements are later than its last change."),
        ({"line_items": [{"id": 8, "current_quantity": 0}]}, "lists", "its sales are of 1 line items that it lacks."),
        ({"returns": [{"id": 4}]}, "lists", "its ledger has 1 returns that it lacks."),
        (
            {"line_items": TEN_LINES, "current_subtotal_line_items_quantity": 12, **EXCHANGE},
            "lists",
            "its line items have 10 units, it says 12 (-2).",
        ),
    ],
)
def test_an_identity_that_does_not_hold_is_named_with_the_order_and_by_how_much(
    change: Node, identity: str, words: str
) -> None:
    ((name, sentence),) = found(**change)
    assert name == identity
    assert words in sentence


def test_a_sale_that_is_listed_twice_and_a_second_placement_are_named() -> None:
    twice = {"agreements": [*SOUND["agreements"], agreement(sale("0.00", quantity=0))]}
    assert [name for name, _ in found(**twice)] == ["agreements", "sales"]


@pytest.mark.parametrize("line_type", ["gift_card", "tip", "of_tomorrow"])
def test_a_line_that_is_no_goods_has_a_sale_of_its_own_kind_whose_units_are_not_counted(line_type: str) -> None:
    other = agreement(sale("0.00", id=9, line_type=line_type, quantity=None, line_item_id=8), kind="OrderEditAgreement")
    lines = [*SOUND["line_items"], {"id": 8, "current_quantity": 1}]
    assert found(agreements=[*SOUND["agreements"], other], line_items=lines) == []


def test_a_line_without_units_or_of_an_exchange_that_is_not_processed_needs_no_sale() -> None:
    assert found(line_items=[*SOUND["line_items"], {"id": 8, "current_quantity": 0}]) == []
    lines = [*SOUND["line_items"], {"id": 8, "current_quantity": 1}]
    assert found(line_items=lines, return_status="in_progress") == []


@pytest.mark.parametrize("name", ["id", "line_type", "quantity", "total_amount", "line_item_id"])
def test_what_was_not_selected_of_the_sales_is_not_checked(name: str) -> None:
    less = [
        {**one, "sales": [{key: value for key, value in each.items() if key != name} for each in one["sales"]]}
        for one in SOUND["agreements"]
    ]
    assert found(agreements=less) == []


def test_a_ledger_that_lacks_all_its_sales_is_cut_short() -> None:
    names = {name for name, _ in found(agreements=[agreement()])}
    assert names >= {"original total", "current total", "payments", "quantities"}


def test_rounding_in_cash_is_no_disagreement() -> None:
    assert found(net_payment="65.02", cash_rounding_payment="0.02") == []


@pytest.mark.parametrize("name", [*SOUND])
def test_what_was_not_selected_is_not_checked(name: str) -> None:
    if name == "updated_at":
        pytest.skip("it is in every record")
    json = msgspec.json.encode({key: value for key, value in SOUND.items() if key != name})
    assert disagreements(order_of(msgspec.Raw(json))) == []


@pytest.mark.parametrize(
    "change",
    [
        {"line_items": TEN_LINES, "current_subtotal_line_items_quantity": 9, **EXCHANGE},  # one of them is a tip
        {"line_items": TEN_LINES[7:8], "current_subtotal_line_items_quantity": 12},  # no operation cuts so few
        {"line_items": [{"id": 7, "current_quantity": 1}, *[{"current_quantity": 1}] * 9]},
        {"returns": [{}]},
        {"agreements": []},
    ],
    ids=str,
)
def test_lists_that_may_be_whole_are_left_alone(change: Node) -> None:
    assert found(**change) == []


PARCEL = {"id": 1, "status": "success", "shipment_status": "in_transit", "delivered_at": None}


@pytest.mark.parametrize(
    ("change", "waits"),
    [
        ({}, ()),
        ({"customer_journey": None}, ()),
        ({"customer_journey": {"ready": False}}, ("attribution",)),
        ({"transactions": [{"id": 1, "status": "pending"}]}, ("payment",)),
        ({"transactions": [{"id": 1, "status": "success"}]}, ()),
        ({"return_status": "in_progress"}, ("return",)),
        ({"return_status": "returned"}, ()),
        ({"fulfillments": [PARCEL]}, ("delivery",)),
        ({"fulfillments": [{**PARCEL, "delivered_at": "2026-11-01T00:00:00Z"}]}, ()),
        ({"fulfillments": [{**PARCEL, "status": "cancelled"}]}, ()),
        ({"fulfillments": [{**PARCEL, "shipment_status": "fulfilled"}]}, ()),
        ({"fulfillments": [{**PARCEL, "shipment_status": "fulfilled", "tracking_number": "1Z"}]}, ("scan",)),
        ({"fulfillments": [{**PARCEL, "shipment_status": "submitted", "tracking_number": "1Z"}]}, ("scan",)),
        ({"fulfillments": [{**PARCEL, "shipment_status": None, "tracking_number": "1Z"}]}, ("scan",)),
        ({"fulfillments": [{**PARCEL, "shipment_status": None, "tracking_number": ""}]}, ()),
        ({"fulfillments": [{**PARCEL, "shipment_status": "not_delivered", "tracking_number": "1Z"}]}, ()),
    ],
)
def test_an_order_waits_for_what_may_change_in_silence(change: Node, waits: tuple[str, ...]) -> None:
    before = order_of(msgspec.Raw(msgspec.json.encode({**SOUND, **change})))
    assert before.waits_for == waits
    assert (before.digest != order_of(msgspec.Raw(msgspec.json.encode(SOUND))).digest) == bool(
        {**change} and change != {"customer_journey": None}
    )
