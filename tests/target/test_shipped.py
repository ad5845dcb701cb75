"""The shipped mappings: the events of the tap's records, their properties and what the documents say of them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tap_shopify_orders.records.schema import CUSTOMERS, ORDERS, stream_schema
from target_posthog.mapping.document import active, combined, load, shipped_names
from target_posthog.mapping.meanings import StreamMapping

if TYPE_CHECKING:
    from target_posthog.mapping.event import Event

SCHEMAS = {"customers": stream_schema(CUSTOMERS), "orders": stream_schema(ORDERS)}


def both(amount: str) -> dict[str, Any]:
    return {
        "shop_money": {"amount": amount, "currency_code": "USD"},
        "presentment_money": {"amount": "45.10", "currency_code": "CAD"},
    }


CUSTOMER = {
    "shop": "my-store.myshopify.com",
    "id": 7,
    "email": "Jane@Example.com ",
    "first_name": "Jane",
    "last_name": "Doe",
    "name": "Jane Doe",
    "phone": None,
    "created_at": "2026-01-15T10:00:00Z",
    "updated_at": "2026-11-02T10:00:00Z",
    "total_spent": "199.60",
    "currency": "USD",
    "orders_count": 4,
    "tags": ["vip"],
    "data_sale_opt_out": False,
    "default_address": {"city": "Ottawa", "country": "Canada", "country_code": "CA"},
    "email_marketing_consent": {"state": "subscribed", "opt_in_level": "single_opt_in"},
}
ORDER = {
    "shop": "my-store.myshopify.com",
    "id": 5001,
    "name": "#1001",
    "order_number": 1001,
    "email": "jane@example.com",
    "created_at": "2026-11-01T12:00:05Z",
    "processed_at": "2026-11-01T12:00:00Z",
    "updated_at": "2026-11-09T12:00:00Z",
    "test": False,
    "currency": "USD",
    "presentment_currency": "CAD",
    "subtotal_price": "29.33",
    "total_price": "36.58",
    "total_price_set": both("36.58"),
    "total_tax": "2.35",
    "total_shipping_price": "4.90",
    "total_discounts": "3.00",
    "current_total_price": "26.58",
    "current_subtotal_price": "19.33",
    "discount_codes": [{"code": "SUMMER10"}],
    "discount_applications": [{"code": "SUMMER10"}, {"title": "Staff"}],
    "customer": {"id": 7, "email": "jane@example.com", "data_sale_opt_out": False},
    "line_items": [
        {"product_id": 1, "sku": "S", "title": "Shirt", "vendor": "V", "price": "16.17", "quantity": 2},
        {"product_id": None, "sku": None, "title": "Gift", "price": "0.10", "quantity": 1},
    ],
    "note_attributes": [{"name": "gift", "value": "yes"}],
    "payment_gateway_names": ["shopify_payments"],
    "tags": ["gift"],
    "customer_journey": {
        "customer_order_index": 1,
        "last_visit": {"utm_parameters": {"source": "newsletter"}, "referrer_url": "https://a.b/"},
        "first_visit": None,
    },
    "transactions": [
        {
            "id": 1,
            "kind": "authorization",
            "status": "success",
            "amount": "36.58",
            "processed_at": "2026-11-01T12:00:01Z",
        },
        {"id": 2, "kind": "capture", "status": "success", "amount": "36.58", "processed_at": "2026-11-02T12:00:01Z"},
        {"id": 3, "kind": "sale", "status": "failure", "amount": "36.58", "processed_at": "2026-11-02T12:00:02Z"},
    ],
    "fulfillments": [
        {"id": 1, "status": "success", "created_at": "2026-11-01T16:30:00Z", "total_quantity": 3},
        {"id": 2, "status": "cancelled", "created_at": "2026-11-01T16:40:00Z", "total_quantity": 3},
    ],
    "refunds": [
        {
            "id": 1,
            "created_at": "2026-11-05T00:00:00Z",
            "processed_at": None,
            "total_refunded": "10.80",
            "note": "damaged",
            "refund_line_items": [
                {"sku": "S", "quantity": 1, "subtotal": "9.90", "total_tax": "0.80", "price": "16.17"},
                {"sku": None, "quantity": 1, "subtotal": "0.10", "total_tax": "0.00", "price": "0.10"},
            ],
        },
        {"id": 2, "created_at": None, "processed_at": None, "total_refunded": "0.00", "refund_line_items": []},
    ],
    "cancelled_at": None,
}


def events(name: str, stream: str, record: dict[str, Any], identity: str = "email") -> list[Event]:
    rules = active(load(name)["streams"][stream])
    return StreamMapping(stream, rules, identity=identity, schema=SCHEMAS[stream]).events(record)


def one(found: list[Event], name: str) -> dict[str, Any]:
    (event,) = (event for event in found if event["event"] == name)
    return {**event, **event["properties"]}


@pytest.mark.parametrize("identity", ["email", "customer_id", "email_sha256"])
@pytest.mark.parametrize("name", ["ecommerce", "shopify-connector"])
def test_a_shipped_mapping_names_only_fields_that_the_tap_has(name: str, identity: str) -> None:
    streams = load(name)["streams"]
    assert streams["sales_by_day"] == []  # the shop's own report is never an event
    assert streams.keys() - {"sales_by_day"} == SCHEMAS.keys()
    for stream, schema in SCHEMAS.items():
        assert StreamMapping(stream, active(streams[stream]), identity=identity, schema=schema).missing == []


@pytest.mark.parametrize("name", shipped_names())
def test_the_glossary_has_each_property_and_no_other(name: str) -> None:
    mapping = load(name)
    rules = [rule for stream in mapping["streams"].values() for rule in stream]
    used = {
        prop
        for rule in rules
        for place in ("properties", "set", "set_once", "group_set")
        for prop in rule.get(place, {})
    }
    assert used == set(mapping["glossary"])
    assert all({"type", "example", "about"} <= set(entry) for entry in mapping["glossary"].values())
    assert all(rule.get("about") for rule in rules if "event" in rule)


def test_an_order_becomes_the_events_of_its_life_each_at_its_time() -> None:
    assert [(one["event"], one["timestamp"], one["distinct_id"]) for one in events("ecommerce", "orders", ORDER)] == [
        ("Order Completed", "2026-11-01T12:00:00Z", "jane@example.com"),
        ("Order Paid", "2026-11-02T12:00:01Z", "jane@example.com"),
        ("Order Fulfilled", "2026-11-01T16:30:00Z", "jane@example.com"),
        ("Order Refunded", "2026-11-05T00:00:00Z", "jane@example.com"),
    ]


def test_a_completed_order_has_its_money_as_it_was_placed() -> None:
    completed = one(events("ecommerce", "orders", ORDER), "Order Completed")
    money = ("revenue", "subtotal", "total", "tax", "shipping", "discount", "current_total", "presentment_total")
    assert [repr(completed[name]) for name in money] == ["29.33", "29.33", "36.58", "2.35", "4.9", "3", "26.58", "45.1"]
    assert (completed["currency"], completed["presentment_currency"], completed["coupon"]) == ("USD", "CAD", "SUMMER10")
    assert (completed["order_id"], completed["affiliation"]) == ("5001", "my-store.myshopify.com")


def test_a_completed_order_tells_where_it_came_from() -> None:
    completed = one(events("ecommerce", "orders", ORDER), "Order Completed")
    assert (completed["utm_source"], completed["order_index"], completed["is_first_order"]) == ("newsletter", 1, True)
    assert completed["discounts"] == ["SUMMER10", "Staff"]
    assert completed["quantity"] == 3
    assert completed["products"][0]["price"] == 16.17
    assert completed["products"][1]["product_id"] is None


def test_completed_less_refunded_less_cancelled_is_what_is_left() -> None:
    cancelled = {**ORDER, "cancelled_at": "2026-11-06T00:00:00Z", "cancel_reason": "customer"}
    found = events("ecommerce", "orders", cancelled)
    amounts = {
        name: Decimal(repr(one(found, name)["revenue"]))
        for name in ("Order Completed", "Order Refunded", "Order Cancelled")
    }
    assert amounts["Order Refunded"] == Decimal(10)
    assert amounts["Order Completed"] - amounts["Order Refunded"] - amounts["Order Cancelled"] == 0
    left = amounts["Order Completed"] - amounts["Order Refunded"]
    assert left == Decimal(ORDER["current_subtotal_price"])
    assert one(found, "Order Cancelled")["reason"] == "customer"


def test_a_refund_has_its_amount_products_and_reason() -> None:
    refund = one(events("ecommerce", "orders", ORDER), "Order Refunded")
    assert (repr(refund["total"]), refund["tax"], refund["reason"], refund["quantity"]) == ("10.8", 0.8, "damaged", 2)
    assert (refund["hours_since_order"], refund["refund_id"]) == (84, "1")


def test_no_order_event_changes_person_properties() -> None:
    for event in events("ecommerce", "orders", {**ORDER, "cancelled_at": "2026-11-06T00:00:00Z"}):
        assert not {"$set", "$set_once", "$unset"} & set(event["properties"])


def test_a_customer_becomes_an_identify_that_links_and_an_event_of_their_creation() -> None:
    identify, created = events("ecommerce", "customers", CUSTOMER)
    assert (identify["event"], identify["distinct_id"], identify["timestamp"]) == (
        "$identify",
        "jane@example.com",
        "2026-11-02T10:00:00Z",
    )
    assert identify["properties"]["$anon_distinct_id"] == "shopify:customer:7"
    said = identify["properties"]["$set"]
    assert (said["email"], said["name"], said["total_spent"], said["city"]) == (
        "jane@example.com",
        "Jane Doe",
        199.6,
        "Ottawa",
    )
    assert "phone" not in said
    assert identify["properties"]["$set_once"]["customer_since"] == "2026-01-15T10:00:00Z"
    assert (created["event"], created["distinct_id"], created["timestamp"]) == (
        "Customer Created",
        "shopify:customer:7",
        "2026-01-15T10:00:00Z",
    )


def test_test_orders_are_left_out_by_name() -> None:
    for name in ("ecommerce", "shopify-connector"):
        mapping = StreamMapping("orders", active(load(name)["streams"]["orders"]), identity="email")
        assert mapping.reason_to_leave_out({**ORDER, "test": True}) == "test orders"


def test_the_old_connectors_events_are_there_name_for_name() -> None:
    (order,) = events(
        "shopify-connector", "orders", {**ORDER, "order_status_url": "https://x.y", "financial_status": "paid"}
    )
    assert (order["event"], order["distinct_id"]) == ("Created Shopify Order", "jane@example.com")
    assert {key: value for key, value in order["properties"].items() if not key.startswith("$")} == {
        "order_number": 1001,
        "currency": "USD",
        "transaction_amount": "26.58",
        "order_status_url": "https://x.y",
        "financial_status": "paid",
        "created_at": "2026-11-01T12:00:05Z",
    }
    (customer,) = events("shopify-connector", "customers", CUSTOMER)
    assert (customer["event"], customer["distinct_id"]) == ("Created Shopify Customer", "jane@example.com")
    assert customer["properties"]["$set"]["first_name"] == "Jane"


def test_the_old_connectors_guest_is_known_by_the_order() -> None:
    (order,) = events("shopify-connector", "orders", {**ORDER, "email": None, "customer": None})
    assert (order["distinct_id"], order["properties"]["$process_person_profile"]) == ("5001", False)


def test_a_deleted_customer_or_order_becomes_an_event_of_its_own() -> None:
    gone = {"shop": "s", "id": 7, "updated_at": "2026-11-07T00:00:00Z", "_sdc_deleted_at": "2026-11-07T00:00:00Z"}
    for stream, name in (("customers", "Customer Deleted"), ("orders", "Order Deleted")):
        (event,) = events("ecommerce", stream, gone)
        assert (event["event"], event["timestamp"]) == (name, "2026-11-07T00:00:00Z")
        assert event["properties"]["$process_person_profile"] is False


def test_an_order_of_a_customer_who_opted_out_holds_nothing_personal() -> None:
    order = {
        **ORDER,
        "customer": {"id": 7, "email": "jane@example.com", "first_name": "Jane", "data_sale_opt_out": True},
        "note_attributes": [{"name": "_posthog_distinct_id", "value": "01928f3a-0000-7000-8000-0000000000ff"}],
    }
    for identity in ("email", "customer_id", "email_sha256"):
        found = events("ecommerce", "orders", order, identity)
        assert len(found) == 4
        assert {one["distinct_id"] for one in found} == {"shopify:customer:7"}
        assert all(one["properties"]["$process_person_profile"] is False for one in found)
        assert not any(personal in json.dumps(found) for personal in ("jane", "Jane", "01928f3a"))
        assert one(found, "Order Completed")["revenue"] == 29.33
    assert [one["event"] for one in events("ecommerce", "customers", {**CUSTOMER, "data_sale_opt_out": True})] == [
        "Customer Created"
    ]


def test_all_personal_data_can_be_turned_off_in_one_rule_and_one_setting() -> None:
    mapping = load("ecommerce")
    without = {"customers": [{"extends": "$identify", "set": None}]}
    found: list[Event] = []
    for stream, record in (("customers", CUSTOMER), ("orders", {**ORDER, "customer": {"id": 7, "email": "old@x.com"}})):
        rules = active(combined(mapping["streams"], without)[stream])
        found += StreamMapping(stream, rules, identity="email_sha256", schema=SCHEMAS[stream]).events(record)
    assert {one["event"] for one in found} >= {"$identify", "Order Completed"}
    assert not any(personal in json.dumps(found).lower() for personal in ("jane", "doe", "old@", "ottawa", "@x.com"))
