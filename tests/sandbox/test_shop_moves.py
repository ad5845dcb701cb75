"""Which changes move `updatedAt`, what they leave of an order, and how another process makes them."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.shop.access import MORE_SCOPES, SCOPES
from sandbox.shop.catalog import PRODUCTS
from sandbox.shop.changes import CHANGES as KNOWN_CHANGES
from sandbox.shop.customer_changes import CustomerChanges
from sandbox.shop.goods import Line, Placed
from sandbox.shop.money import Currencies
from sandbox.shop.money_changes import MoneyChanges
from sandbox.shop.order_changes import OrderChanges
from sandbox.shop.people import person
from sandbox.shop.practice import UNSURE_MOVES, Practice
from sandbox.shop.store import Store
from tests.sandbox.ledgers import broken_identities

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.shop import Shop

    Node = dict[str, Any]
    Change = Callable[[Store, Node], object]

PLACED, SENT, LATER = "2026-11-01T10:00:00.000000Z", "2026-11-01T11:00:00.000000Z", "2026-11-02T10:00:00.000000Z"


def bought(practice: Practice) -> tuple[Store, Node]:
    """Return a store and an order of a customer, on its way, with a payment that is pending."""
    store = Store(practice=practice)
    customer = store.add_customer(PLACED, person(Random(1), 1))
    store.add_customer(PLACED, person(Random(2), 2))
    lines = [Line(PRODUCTS[0], 2, Decimal(10))]
    extra = {"email": customer["email"], "customerJourneySummary": {"ready": False}}
    placed = Placed(PLACED, 1, lines, Currencies("USD", "USD"), customer=customer, extra=extra)
    order = store.add_order(placed, paid=False)
    store.pay_order(order["name"], PLACED, status="PENDING")
    store.fulfill_order(order["name"], SENT)
    return store, order


def number(node: Node) -> int:
    return int(node["id"].rsplit("/", 1)[1])


def customers(store: Store) -> tuple[int, int]:
    mine, other = (number(one) for one in store.customers)
    return mine, other


UNSURE: dict[str, Change] = {
    "customer": lambda store, one: store.set_customer(one["name"], LATER),
    "delivery": lambda store, one: store.deliver(one["name"], LATER),
    "email": lambda store, one: store.change_email(one["name"], LATER, "right@example.com"),
    "erasure": lambda store, _: store.erase_customer(customers(store)[0], LATER),
    "journey": lambda store, one: store.ready_journey(one["name"], LATER),
    "merge": lambda store, _: store.merge_customers(*customers(store)[::-1], LATER),
    "payment succeeded": lambda store, one: store.complete_payment(one["name"], LATER),
    "return opened": lambda store, one: store.open_return(one["name"], LATER, 1),
    "return processed": lambda store, one: store.process_return(one["name"], LATER, {0: 1}),
}
SURE: dict[str, Change] = {
    "edit": lambda store, one: store.edit_order(one["name"], LATER, quantities={0: 3}),
    "refund": lambda store, one: (
        store.complete_payment(one["name"], SENT),
        store.refund_order(one["name"], LATER, amount="1"),
    ),
    "cancel": lambda store, one: store.cancel_order(one["name"], LATER),
    "payment": lambda store, one: store.pay_order(one["name"], LATER),
    "parcel cancelled": lambda store, one: store.cancel_fulfillment(one["name"], LATER),
    "note": lambda store, one: store.change_order(one["name"], LATER, note="by the door"),
}


def test_every_unsure_change_is_tried() -> None:
    assert UNSURE.keys() == UNSURE_MOVES


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("what", sorted(UNSURE))
def test_where_nobody_knows_the_shop_moves_the_order_or_does_not(what: str, *, moves: bool) -> None:
    store, order = bought(Practice(moves=frozenset({what}) if moves else UNSURE_MOVES - {what}))
    if what == "return processed":
        store.open_return(order["name"], SENT, 2)
    before = _picture(order)
    UNSURE[what](store, order)
    assert order["updatedAt"] == (LATER if moves else SENT)
    assert _picture(order) != before, "something has changed all the same"


@pytest.mark.parametrize("what", sorted(SURE))
def test_an_agreement_a_payment_and_a_parcel_move_the_order(what: str) -> None:
    store, order = bought(Practice(moves=frozenset()))
    SURE[what](store, order)
    assert order["updatedAt"] == LATER
    assert broken_identities(order) == []


def _picture(order: Node) -> str:
    keys = ("customer", "email", "customerJourneySummary", "transactions", "fulfillments", "returns", "returnStatus")
    names = ("id", "email", "status", "ready", "deliveredAt")
    parts = [part for key in keys for part in (order[key] if isinstance(order[key], list) else [order[key]])]
    told = [[part.get(name) for name in names] if isinstance(part, dict) else part for part in parts]
    return str([*told, len(order["_agreements"])])


def test_a_pending_payment_succeeds_as_the_same_transaction() -> None:
    store, order = bought(Practice())
    (before,) = order["transactions"]
    assert (order["displayFinancialStatus"], before["status"]) == ("PENDING", "PENDING")
    store.complete_payment(order["name"], LATER)
    (after,) = order["transactions"]
    assert (after["id"], after["createdAt"], after["processedAt"]) == (before["id"], PLACED, LATER)
    assert (order["displayFinancialStatus"], after["status"]) == ("PAID", "SUCCESS")


@pytest.mark.parametrize(
    ("practice", "before", "after"),
    [
        (Practice(pending_is_processed=False), None, LATER),
        (Practice(success_is_processed=False), PLACED, PLACED),
        (Practice(pending_is_processed=False, success_is_processed=False), None, None),
    ],
)
def test_when_a_payment_was_processed_may_be_unknown(practice: Practice, before: str | None, after: str | None) -> None:
    store, order = bought(practice)
    assert order["transactions"][0]["processedAt"] == before
    store.complete_payment(order["name"], LATER)
    assert order["transactions"][0]["processedAt"] == after


def test_a_pending_refund_is_money_only_when_it_succeeds() -> None:
    store, order = bought(Practice())
    store.complete_payment(order["name"], LATER)
    store.refund_order(order["name"], LATER, amount="1", status="PENDING")
    refund = order["refunds"][0]
    reasons = [one["reason"] for one in refund["orderAdjustments"]]
    assert reasons == ["REFUND_DISCREPANCY", "REFUND_DISCREPANCY", "PENDING_REFUND_DISCREPANCY"]
    assert order["totalRefundedSet"]["shopMoney"]["amount"] == "0.0"
    store.complete_payment(order["name"], LATER)
    assert order["totalRefundedSet"]["shopMoney"]["amount"] == "1.0"
    assert broken_identities(order) == []


def test_an_erased_customer_is_nobody_and_so_are_their_orders() -> None:
    store, order = bought(Practice())
    customer = order["customer"]
    store.erase_customer(number(customer), LATER)
    nothing = {"firstName", "lastName", "email", "phone", "defaultAddress", "defaultEmailAddress"}
    assert {name for name in nothing if customer[name] is not None} == set()
    assert {name for name in ("email", "phone", "billingAddress", "shippingAddress") if order[name]} == set()
    assert order["customer"] is customer
    assert broken_identities(order) == []


def test_a_cancelled_parcel_is_to_be_sent_again() -> None:
    store, order = bought(Practice())
    assert order["displayFulfillmentStatus"] == "FULFILLED"
    store.cancel_fulfillment(order["name"], LATER)
    (parcel,) = order["fulfillments"]
    assert (parcel["status"], parcel["updatedAt"]) == ("CANCELLED", LATER)
    assert order["displayFulfillmentStatus"] == "UNFULFILLED"
    assert order["lineItems"][0]["unfulfilledQuantity"] == 2


RETURN = """query Q($id: ID!) { order(id: $id) { returnStatus returns(first: 5) { nodes { id name status totalQuantity
  createdAt closedAt returnShippingFees { amountSet { shopMoney { amount } } } refunds(first: 5) { nodes { id } } } }
  refunds { id return { id } } agreements(first: 10) { nodes { ... on ReturnAgreement { return { id } } sales(first: 10)
  { nodes { lineType ... on FeeSale { fee { id __typename ... on ReturnShippingFee { amountSet { shopMoney { amount } }
  } } } } } } } } }"""


def test_a_return_and_its_refund_name_each_other(shop_with: Callable[..., Shop], ask: Callable[..., Any]) -> None:
    shop = shop_with(scopes=(*SCOPES, *MORE_SCOPES))
    order = next(one for one in shop.store.orders if one["displayFinancialStatus"] == "PAID" and not one["test"])
    shop.store.open_return(order["name"], LATER, 1)
    found = ask(shop, RETURN, id=order["id"])["data"]["order"]
    assert (found["returnStatus"], found["returns"]["nodes"][0]["status"]) == ("IN_PROGRESS", "OPEN")
    assert len(found["agreements"]["nodes"]) == 1, "an open return is in no ledger"
    shop.store.process_return(order["name"], LATER, {0: 1}, money="0.50", fees={"ReturnShippingFee": "0.25"})
    found = ask(shop, RETURN, id=order["id"])["data"]["order"]
    (one,) = found["returns"]["nodes"]
    assert (one["status"], one["closedAt"], found["returnStatus"]) == ("CLOSED", LATER[:19] + "Z", "RETURNED")
    assert one["returnShippingFees"][0]["amountSet"]["shopMoney"]["amount"] == "0.25"
    assert one["refunds"]["nodes"] == [{"id": found["refunds"][0]["id"]}]
    assert found["refunds"][0]["return"] == {"id": one["id"]}
    _, returned, refunded = found["agreements"]["nodes"]
    assert (returned["return"], refunded["sales"]["nodes"]) == ({"id": one["id"]}, [])
    assert returned["sales"]["nodes"][-1]["fee"]["__typename"] == "ReturnShippingFee"


def test_without_the_scope_a_return_agreement_takes_its_order_along(shop: Shop, ask: Callable[..., Any]) -> None:
    order = next(one for one in shop.store.orders if one["displayFinancialStatus"] == "PAID")
    shop.store.exchange(order["name"], LATER, {0: 1}, [{"price": "1.00"}])
    body = ask(shop, RETURN, id=order["id"])
    assert {one["extensions"]["code"] for one in body["errors"]} == {"ACCESS_DENIED"}
    assert body["data"]["order"] is None, "ReturnAgreement.return may not be null"


def test_a_renamed_shop_keeps_its_id_and_its_old_address_leads_to_the_new_one(
    shop_with: Callable[..., Shop], post: Callable[..., requests.Response]
) -> None:
    old, new = shop_with(), shop_with()
    before = new.store.shop["id"]
    new.store.rename_shop("records.myshopify.com")
    old.redirect(new.url)
    url = f"{old.url}/admin/api/2026-10/graphql.json"
    moved = requests.post(url, json={"query": "{shop{id}}"}, timeout=30, allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (301, f"{new.url}/admin/api/2026-10/graphql.json")
    body = post(new, "{shop{id myshopifyDomain}}").json()
    assert body["data"]["shop"] == {"id": before, "myshopifyDomain": "records.myshopify.com"}


CHANGES: list[dict[str, Any]] = [
    {"change": "edit_order", "added": [{"product": 3, "price": "12.50", "off": "2.50"}], "quantities": {"0": 9}},
    {"change": "edit_order", "prices": {"0": "1.00"}, "discounts": {"0": "0.10"}, "shipping": "8"},
    {"change": "refund_order", "quantities": {"0": 1}, "amount": "0"},
    {"change": "open_return", "quantity": 1},
    {"change": "process_return", "quantities": {"0": 1}, "money": "0.10", "fees": {"RestockingFee": "0.05"}},
    {"change": "exchange", "quantities": {"0": 1}, "exchanged": [{"price": "3"}], "old": True},
    {"change": "pay_order", "amount": "1.00", "gateway": "gift_card"},
    {"change": "pay_order", "amount": "1.00", "status": "PENDING"},
    {"change": "complete_payment", "status": "FAILURE"},
    {"change": "change_email", "email": None},
    {"change": "ready_journey"},
    {"change": "set_customer"},
    {"change": "cut_ledger", "times": 3},
    {"change": "unknown_sale", "amount": "1.25"},
    {"change": "charge_back"},
    {"change": "expire_authorization"},
    {"change": "open_return", "quantity": 1},
    {"change": "remove_from_return", "quantities": {"0": 1}},
    {"change": "open_return", "quantity": 1},
    {"change": "cancel_return"},
    {"change": "open_return", "quantity": 1},
    {"change": "remove_from_return", "quantities": {"0": 1}},
    {"change": "delete_return_fee"},
    {"change": "change_order", "note": "by the door"},
    {"change": "cancel_fulfillment"},
    {"change": "fulfill_order"},
    {"change": "deliver"},
    {"change": "hide_ledger", "hidden": False},
    {"change": "cancel_order", "refund": True},
]
OF_CUSTOMERS: list[dict[str, Any]] = [
    {"change": "change_customer", "customer_id": 0, "note": "likes jazz"},
    {"change": "merge_customers", "kept_id": 0, "gone_id": 1},
    {"change": "erase_customer", "customer_id": 0},
    {"change": "delete_customer", "customer_id": 2},
]
AT_LAST: list[dict[str, Any]] = [{"change": "delete_order"}, {"change": "rename_shop", "domain": "lp.myshopify.com"}]


def test_another_process_makes_each_change_over_http(shop: Shop) -> None:
    store = shop.store
    order = next(one for one in store.orders if one["displayFinancialStatus"] == "PAID" and one["fulfillments"])
    people = [number(store.add_customer(PLACED, person(Random(seed), seed))) for seed in (1, 2, 3)]
    of_customers = [{key: people[v] if isinstance(v, int) else v for key, v in one.items()} for one in OF_CUSTOMERS]
    of_order = [{"order_id": order["name"], **one} for one in CHANGES]
    for body in (*of_order, *of_customers):
        answer = requests.post(f"{shop.url}/_control/change", json=body, timeout=30)
        assert answer.status_code == 200, (body, answer.text)
    assert broken_identities(order) == []
    for body in ({"order_id": order["name"], **AT_LAST[0]}, AT_LAST[1]):
        assert requests.post(f"{shop.url}/_control/change", json=body, timeout=30).ok, body
    assert (order in store.orders, store.shop["myshopifyDomain"]) == (False, "lp.myshopify.com")
    assert {one["change"] for one in (*CHANGES, *OF_CUSTOMERS, *AT_LAST)} == {*KNOWN_CHANGES}


def test_each_method_that_changes_a_store_can_be_called_from_another_process() -> None:
    classes = (OrderChanges, MoneyChanges, CustomerChanges, Store)
    methods = {name for one in classes for name in vars(one) if not name.startswith("_")}
    assert methods - {*KNOWN_CHANGES} == {"add_customer", "add_order", "change_unsearched"}


@pytest.mark.parametrize(
    "body",
    [
        {"change": "pay_order", "amount": "1", "kind": "CAPTURE"},
        {"change": "pay_order", "amount": "one"},
        {"change": "edit_order", "quantities": {"77": 1}},
        {"change": "cancel_fulfillment", "place": 9},
        {"change": "process_return", "quantities": {"0": 1}},
        {"change": "edit_order", "colour": "red"},
    ],
)
def test_a_change_that_can_not_be_is_refused_with_the_reason(shop: Shop, body: dict[str, Any]) -> None:
    order = next(one for one in shop.store.orders if one["displayFinancialStatus"] == "PAID")
    answer = requests.post(f"{shop.url}/_control/change", json={"order_id": order["name"], **body}, timeout=30)
    assert answer.status_code == 400
    assert answer.json()["error"]
