"""The shipped mappings: the events of the tap's records, their properties and what the documents say of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_shopify_orders.records.schema import CUSTOMERS, ORDERS, stream_schema
from target_posthog.books.entries import Books
from target_posthog.mapping.document import active, combined, load, shipped_names
from target_posthog.mapping.event import COPIED_TO_PERSON
from target_posthog.mapping.meanings import StreamMapping

if TYPE_CHECKING:
    from target_posthog.mapping.event import Event

SCHEMAS = {"customers": stream_schema(CUSTOMERS), "orders": stream_schema(ORDERS)}


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


def sale(line_type: str, total: str, tax: str = "0.00", action: str = "order", **more: Any) -> dict[str, Any]:
    return {
        "line_type": line_type,
        "action_type": action,
        "total_amount": total,
        "total_amount_set": {"presentment_money": {"amount": "2.00", "currency_code": "CAD"}},
        "total_tax_amount": tax,
        "total_tax_amount_set": {"presentment_money": {"amount": "0.50", "currency_code": "CAD"}},
        "total_discount_amount_before_taxes": "0.00",
        **more,
    }


def agreement(number: int, kind: str, at: str, *sales: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": number, "kind": f"{kind}Agreement", "happened_at": at, "sales": list(sales), **more}


SHIRTS = {"sku": "S", "title": "Shirt", "vendor": "V", "product_id": 1, "variant_id": 2}
OFF = {"total_discount_amount_before_taxes": "3.00"}
SHIRT_BACK = sale("product", "-10.69", "-0.79", "return", quantity=-1, **SHIRTS)
ORDER = {
    "shop": "my-store.myshopify.com",
    "shop_id": 60,
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
    "original_total_price": "36.58",
    "total_price": "36.58",
    "current_total_price": "26.58",
    "discount_applications": [{"type": "discount_code", "code": "SUMMER10"}, {"type": "manual", "title": "Staff"}],
    "customer": {"id": 7, "email": "jane@example.com", "data_sale_opt_out": False},
    "note_attributes": [{"name": "gift", "value": "yes"}],
    "tags": ["gift"],
    "customer_journey": {
        "ready": True,
        "customer_order_index": 1,
        "last_visit": {"utm_parameters": {"source": "newsletter"}, "referrer_url": "https://a.b/"},
        "first_visit": {"utm_parameters": None, "source": "Google", "source_type": "seo"},
    },
    "agreements": [
        agreement(
            1,
            "Order",
            "2026-11-01T12:00:05Z",
            sale("product", "31.57", "2.34", quantity=2, **SHIRTS, **OFF),
            sale("product", "0.11", "0.01", quantity=1, title="Gift"),
            sale("shipping", "4.90", quantity=1),
            sale("tip", "1.00", quantity=1),
        ),
        agreement(2, "Refund", "2026-11-05T00:00:00Z", SHIRT_BACK, sale("adjustment", "-0.11"), refund_id=1),
    ],
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
        {"id": 4, "kind": "refund", "status": "success", "amount": "10.80", "processed_at": "2026-11-05T00:00:01Z"},
    ],
    "fulfillments": [
        {"id": 1, "status": "success", "created_at": "2026-11-01T16:30:00Z", "total_quantity": 3},
        {
            "id": 2,
            "status": "cancelled",
            "created_at": "2026-11-01T16:40:00Z",
            "delivered_at": "2026-11-04T10:00:00Z",
            "total_quantity": 3,
        },
    ],
    "refunds": [{"id": 1, "created_at": "2026-11-05T00:00:00Z", "note": "damaged"}],
    "cancelled_at": None,
}
FIGURES = (
    *("gross_sales", "discounts", "returns", "net_sales", "shipping", "taxes", "duties", "additional_fees"),
    *("return_fees", "total_sales", "tips", "gift_cards"),
)


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
    found = events("ecommerce", "orders", {**ORDER, "cancelled_at": "2026-11-06T00:00:00Z"})
    assert [(one["event"], one["timestamp"], one["distinct_id"]) for one in found] == [
        ("$set", "2026-11-01T12:00:00Z", "jane@example.com"),
        ("Order Completed", "2026-11-01T12:00:00Z", "jane@example.com"),
        ("Order Refunded", "2026-11-05T00:00:00Z", "jane@example.com"),
        ("Order Paid", "2026-11-02T12:00:01Z", "jane@example.com"),
        ("Payment Refunded", "2026-11-05T00:00:01Z", "jane@example.com"),
        ("Order Fulfilled", "2026-11-01T16:30:00Z", "jane@example.com"),
        ("Order Fulfilled", "2026-11-01T16:40:00Z", "jane@example.com"),
        ("Order Delivered", "2026-11-04T10:00:00Z", "jane@example.com"),
        ("Order Cancelled", "2026-11-06T00:00:00Z", "jane@example.com"),
    ]


def test_a_completed_order_has_the_money_of_its_agreement_signed_as_in_the_sales_report() -> None:
    completed = one(events("ecommerce", "orders", ORDER), "Order Completed")
    assert [repr(completed[name]) for name in FIGURES] == [
        *("32.33", "-3", "0", "29.33", "4.9", "2.35", "0", "0", "0", "36.58", "1", "0"),
    ]
    assert completed["revenue"] == completed["net_sales"]
    assert (completed["presentment_net_sales"], completed["presentment_total_sales"]) == (3, 6.5)
    assert (completed["currency"], completed["presentment_currency"], completed["coupon"]) == ("USD", "CAD", "SUMMER10")
    assert (completed["order_id"], completed["affiliation"]) == ("5001", "my-store.myshopify.com")


def test_in_the_customer_s_currency_total_sales_has_the_tax_on_tips_and_gift_cards_too() -> None:
    def both(amount: str) -> dict[str, Any]:
        return {"presentment_money": {"amount": amount, "currency_code": "CAD"}}

    sales = [
        sale(kind, total, tax, total_amount_set=both(total), total_tax_amount_set=both(tax), quantity=1)
        for kind, total, tax in (("product", "11.00", "1.00"), ("tip", "2.20", "0.20"), ("gift_card", "5.50", "0.50"))
    ]
    record = {**ORDER, "agreements": [agreement(1, "Order", ORDER["created_at"], *sales)]}
    completed = one(events("ecommerce", "orders", record), "Order Completed")
    for figure, amount in (("net_sales", 10), ("total_sales", 11.7)):
        assert (completed[figure], completed[f"presentment_{figure}"]) == (amount, amount)


def test_a_completed_order_tells_where_it_came_from() -> None:
    completed = one(events("ecommerce", "orders", ORDER), "Order Completed")
    assert (completed["source"], completed["order_index"], completed["is_first_order"]) == ("newsletter", 1, True)
    assert (completed["first_source"], completed["first_medium"]) == ("Google", "seo")
    assert (completed["promotions"], completed["coupons"]) == (["SUMMER10", "Staff"], ["SUMMER10"])
    assert completed["quantity"] == 3
    shirt = {"product_id": "1", "variant_id": "2", "sku": "S", "name": "Shirt", "variant": None, "brand": "V"}
    assert completed["products"][0] == shirt | {"quantity": 2, "price": 16.115, "discount": 3} | {
        "tax": 2.34,
        "net_sales": 29.23,
    }
    assert completed["products"][1]["product_id"] is None


def test_what_was_first_of_a_customer_is_said_of_their_person_by_their_first_order_alone() -> None:
    (first,) = (one for one in events("ecommerce", "orders", ORDER) if one["event"] == "$set")
    assert first["properties"]["$set_once"] == {
        "first_order_at": "2026-11-01T12:00:00Z",
        "first_source": "Google",
        "first_medium": "seo",
    }
    for journey in (None, {"customer_order_index": 2}):
        found = events("ecommerce", "orders", {**ORDER, "customer_journey": journey})
        assert "$set" not in {one["event"] for one in found}


ADDRESS = "https://jane:secret@my-store.com/shirts?email=jane@example.com&utm_source=newsletter#jane"


def test_an_address_of_a_visit_is_a_page_and_leaves_its_query_at_home() -> None:
    visit = {"utm_parameters": {"campaign": "autumn"}, "landing_page": ADDRESS, "referrer_url": ADDRESS}
    journey = {"ready": True, "last_visit": visit, "first_visit": visit}
    completed = one(events("ecommerce", "orders", {**ORDER, "customer_journey": journey}), "Order Completed")
    pages = ("landing_page", "referrer", "first_landing_page", "first_referrer")
    assert {completed[name] for name in pages} == {"https://my-store.com/shirts"}
    assert completed["campaign"] == "autumn"
    rules = load("shopify-singer-io")["streams"]["orders"]
    record = {**ORDER, "landing_site": "/shirts?email=jane@example.com&utm_source=letter", "referring_site": ADDRESS}
    completed = one(StreamMapping("orders", rules, identity="email").events(record), "Order Completed")
    assert (completed["landing_page"], completed["referrer"]) == ("/shirts", "https://my-store.com/shirts")
    assert completed["source"] == "letter"


def test_what_a_merchant_wrote_of_a_refund_is_personal_and_stays_at_home_for_who_opted_out() -> None:
    assert load("ecommerce")["glossary"]["note"]["personal"]
    assert one(events("ecommerce", "orders", ORDER), "Order Refunded")["note"] == "damaged"
    out = {**ORDER, "customer": {"id": 7, "data_sale_opt_out": True}}
    assert not {"note", "reason"} & one(events("ecommerce", "orders", out), "Order Refunded").keys()


def test_a_refund_has_its_signed_amounts_products_and_note() -> None:
    refund = one(events("ecommerce", "orders", ORDER), "Order Refunded")
    assert [repr(refund[name]) for name in FIGURES] == [
        *("0", "0", "-10.01", "-10.01", "0", "-0.79", "0", "0", "0", "-10.8", "0", "0"),
    ]
    assert (refund["note"], refund["quantity"], refund["hours_since_order"]) == ("damaged", -1, 84)
    assert (refund["refund_id"], refund["products"], refund["returned_products"][0]["net_sales"]) == ("1", [], -9.9)
    assert "revenue" not in refund


def test_money_that_came_and_went_is_cash_and_no_sale() -> None:
    found = events("ecommerce", "orders", ORDER)
    assert [one(found, name)["cash"] for name in ("Order Paid", "Payment Refunded")] == [36.58, -10.8]
    paid = one(found, "Order Paid")
    assert not {"revenue", *FIGURES} & paid.keys()


@pytest.mark.parametrize(
    ("gateway", "name"),
    [
        ("shopify_payments", "cash"),
        ("cash", "cash"),
        (None, "cash"),
        ("gift_card", "gift_card_payment"),
        ("shopify_store_credit", "store_credit_payment"),
    ],
)
@pytest.mark.parametrize("mapping", ["ecommerce", "shopify-singer-io"])
def test_a_gift_card_and_store_credit_move_no_money(mapping: str, gateway: str | None, name: str) -> None:
    moved = {"id": 1, "order_id": 5, "status": "success", "gateway": gateway, "processed_at": ORDER["processed_at"]}
    payments = [{**moved, "kind": "sale", "amount": "50.00"}, {**moved, "id": 2, "kind": "refund", "amount": "20.00"}]
    if mapping == "ecommerce":
        found = events(mapping, "orders", {**ORDER, "transactions": payments})
    else:
        rules = StreamMapping("transactions", load(mapping)["streams"]["transactions"], identity="email")
        found = [event for payment in payments for event in rules.events(payment)]
    all_names = ("cash", "presentment_cash", "gift_card_payment", "store_credit_payment")
    for event, amount in (("Order Paid", 50), ("Payment Refunded", -20)):
        assert {each: one(found, event)[each] for each in all_names if each in one(found, event)} == {name: amount}


def test_the_books_of_payments_count_what_cash_does() -> None:
    books = Books("transactions", load("shopify-singer-io")["books"]["transactions"])
    moved = {"id": 1, "status": "success", "kind": "sale", "amount": "50.00", "processed_at": ORDER["processed_at"]}
    figures = [
        [entry.figures["cash"] for entry in books.account({**moved, "gateway": gateway}).entries]
        for gateway in ("cash", "gift_card", "shopify_store_credit")
    ]
    assert figures == [[50], [0], [0]]


@pytest.mark.parametrize(
    ("sale", "received", "change", "cash"),
    [
        ("20.00", "15.00", "5.00", -5),  # the sale has what was handed over
        ("20.00", "15.00", "-5.00", -5),
        ("20.00", "14.98", "5.00", -5),  # and cash is rounded
        ("15.00", "15.00", "5.00", None),  # the sale has what was kept
        ("15.00", "14.98", "5.00", None),
        ("15.00", "15.02", "5.00", None),
        ("20.00", None, "5.00", None),
    ],
)
def test_change_is_taken_off_only_where_the_sale_has_it(
    sale: str, received: str | None, change: str, cash: float | None
) -> None:
    moved = {"status": "success", "gateway": "cash", "processed_at": ORDER["processed_at"]}
    payments = [
        {**moved, "id": 1, "kind": "sale", "amount": sale},
        {**moved, "id": 2, "kind": "change", "amount": change},
        {**moved, "id": 3, "kind": "change", "amount": "9.00", "status": "failure"},
    ]
    found = events("ecommerce", "orders", {**ORDER, "transactions": payments, "total_received": received})
    given = [event["properties"]["cash"] for event in found if event["event"] == "Change Given"]
    assert given == ([] if cash is None else [cash])


def test_an_exchange_lists_what_came_back_and_what_is_new_apart() -> None:
    new = sale("product", "16.00", "1.00", quantity=1, title="Hat")
    fee = sale("fee", "5.00", action="return")
    exchange = agreement(9, "Return", "2026-11-07T00:00:00Z", SHIRT_BACK, new, fee, return_id=3)
    returned = one(events("ecommerce", "orders", {**ORDER, "agreements": [exchange]}), "Order Returned")
    assert [repr(returned[name]) for name in ("gross_sales", "returns", "net_sales", "return_fees", "quantity")] == [
        *("15", "-9.9", "5.1", "5", "0"),
    ]
    assert [one["name"] for one in returned["products"]] == ["Hat"]
    assert [(one["name"], one["quantity"]) for one in returned["returned_products"]] == [("Shirt", -1)]


@pytest.mark.parametrize("quantity", [0, None, 2])
def test_another_price_moves_no_item(quantity: int | None) -> None:
    cheaper = sale("product", "-5.50", "-0.50", action="update", quantity=quantity, title="Shirt")
    hat = sale("product", "11.00", "1.00", quantity=1, title="Hat")
    edit = agreement(9, "OrderEdit", "2026-11-07T00:00:00Z", cheaper, hat, reason="order_edit")
    updated = one(events("ecommerce", "orders", {**ORDER, "agreements": [edit]}), "Order Updated")
    assert (updated["net_sales"], updated["quantity"]) == (5, 1)
    products = [(one["name"], one["quantity"], one["price"], one["net_sales"]) for one in updated["products"]]
    assert products == [("Shirt", None, None, -5), ("Hat", 1, 10, 10)]


def test_what_shopify_may_add_is_summed_and_named() -> None:
    new = agreement(9, "Loyalty", "2026-11-07T00:00:00Z", sale("deposit", "3.00", "0.50", "swap"), reason="loyalty")
    second = agreement(10, "Order", "2026-11-08T00:00:00Z", sale("product", "4.00", action="swap", quantity=1))
    found = events("ecommerce", "orders", {**ORDER, "agreements": [*ORDER["agreements"], new, second]})
    updates = [one["properties"] for one in found if one["event"] == "Order Updated"]
    assert [(one["reason"], one["other_sales"], one["other_kinds"]) for one in updates[:1]] == [
        ("loyalty", 2.5, ["deposit"])
    ]
    assert [(one["net_sales"], one["total_sales"]) for one in updates] == [(0, 3), (4, 4)]
    assert one(found, "Order Completed")["net_sales"] == 29.33


def test_each_agreement_of_one_refund_is_a_fact_of_its_own() -> None:
    again = agreement(8, "Refund", "2026-11-06T00:00:00Z", sale("adjustment", "-2.00"), refund_id=1)
    found = events("ecommerce", "orders", {**ORDER, "agreements": [*ORDER["agreements"], again]})
    refunded = [one for one in found if one["event"] == "Order Refunded"]
    assert [one["properties"]["net_sales"] for one in refunded] == [-10.01, -2]
    alone = one(events("ecommerce", "orders", ORDER), "Order Refunded")
    assert refunded[0]["uuid"] == alone["uuid"] != refunded[1]["uuid"]


@pytest.mark.parametrize("ledger", [{"agreements": []}, {"agreements": None}])
def test_an_order_without_a_ledger_has_its_original_total_alone(ledger: dict[str, Any]) -> None:
    without = one(events("ecommerce", "orders", {**ORDER, **ledger}), "Order Completed")
    assert without["total_sales"] == 36.58
    assert without.keys() & {"revenue", *FIGURES} == {"total_sales"}
    whole = one(events("ecommerce", "orders", ORDER), "Order Completed")
    assert [without[key] for key in ("uuid", "timestamp")] == [whole[key] for key in ("uuid", "timestamp")]


def test_a_stream_whose_ledger_is_deselected_has_completed_orders_all_the_same() -> None:
    schema = {**SCHEMAS["orders"], "properties": {**SCHEMAS["orders"]["properties"]}}
    del schema["properties"]["agreements"]
    mapping = StreamMapping("orders", active(load("ecommerce")["streams"]["orders"]), identity="email", schema=schema)
    record = {name: value for name, value in ORDER.items() if name != "agreements"}
    assert one(mapping.events(record), "Order Completed")["total_sales"] == 36.58
    assert "Order Refunded" in mapping.missing


def test_all_events_of_an_order_have_the_same_dimensions() -> None:
    dimensions = ("order_name", "channel", "billing_country", "coupon", "currency", "presentment_currency")
    record = {**ORDER, "channel_name": "Online Store", "billing_address": {"country_code": "CA"}}
    found = events("ecommerce", "orders", {**record, "cancelled_at": "2026-11-06T00:00:00Z"})
    told = {tuple(one["properties"].get(name) for name in dimensions) for one in found if one["event"] != "$set"}
    assert told == {("#1001", "Online Store", "CA", "SUMMER10", "USD", "CAD")}


@pytest.mark.parametrize("name", shipped_names())
def test_no_event_has_a_property_that_posthog_copies_onto_the_person(name: str) -> None:
    rules = [rule for stream in load(name)["streams"].values() for rule in stream]
    used = {prop for rule in rules for place in ("properties", "set", "set_once") for prop in rule.get(place, {})}
    assert not used & COPIED_TO_PERSON
    assert not any(prop.startswith("$") for prop in used)


def test_nothing_of_an_order_event_changes_with_what_happens_to_the_order_later() -> None:
    """Whatever a merchant can change of an order, its old facts stay; shared/facts/sales.md 5 lists what that is."""
    later = {
        **ORDER,
        "email": "new@example.com",
        "phone": "+1",
        "note": "n",
        "tags": [],
        "note_attributes": [],
        "customer": {"id": 8, "email": "new@example.com", "data_sale_opt_out": False},
        "current_total_price": "0.00",
        "total_price": "99.00",
        "financial_status": "refunded",
        "edited": True,
        "updated_at": "2026-12-09T12:00:00Z",
        "cancelled_at": "2026-12-06T00:00:00Z",
        "fulfillments": [{**one, "status": "cancelled", "tracking_company": "DHL"} for one in ORDER["fulfillments"]],
        "agreements": [*ORDER["agreements"], agreement(9, "OrderEdit", "2026-12-01T00:00:00Z", reason="order_edit")],
    }
    before, after = ({one["uuid"]: one for one in events("ecommerce", "orders", record)} for record in (ORDER, later))
    assert {after[uuid]["event"] for uuid in after.keys() - before.keys()} >= {"Order Updated", "Order Cancelled"}
    for uuid, fact in before.items():
        if fact["event"] not in ("$set", "Order Delivered"):  # a person is no fact; a parcel's carrier is known by then
            assert after[uuid]["properties"] == fact["properties"]
            assert after[uuid]["timestamp"] == fact["timestamp"]


def test_no_fact_of_an_order_changes_person_properties() -> None:
    found = events("ecommerce", "orders", {**ORDER, "cancelled_at": "2026-11-06T00:00:00Z"})
    for event in (one for one in found if one["event"] != "$set"):
        assert not {"$set", "$set_once", "$unset"} & set(event["properties"])


def test_a_customer_becomes_an_event_of_their_creation_and_an_identify_that_links() -> None:
    created, identify = events("ecommerce", "customers", CUSTOMER)
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
    assert created["properties"]["$set_once"] == identify["properties"]["$set_once"]
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
        "transaction_amount": "36.58",
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
        assert len(found) == 7
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
