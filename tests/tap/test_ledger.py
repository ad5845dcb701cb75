"""Shopify's ledger of sales in the records of orders: each situation of a merchant, by pages and by bulk operations."""

from __future__ import annotations

import json
import signal
from dataclasses import fields, replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import stamina

from sandbox.controls import Reply
from sandbox.shop import Shop
from sandbox.shop.access import MORE_SCOPES, SCOPES
from sandbox.shop.cdnow import cdnow_store
from sandbox.shop.goods import Line, Placed
from sandbox.shop.people import person
from sandbox.shop.practice import UNSURE_MOVES, USUAL, Practice
from sandbox.shop.store import Store
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.moments import as_datetime
from tap_shopify_orders.records.order import disagreements, order_of
from tap_shopify_orders.shopify.auth import AccessToken
from tap_shopify_orders.shopify.client import Client
from tests.sandbox.ledgers import sound
from tests.sandbox.placed import CD, FIRST, PLACED
from tests.sandbox.placed import order_of as placed_of
from tests.sandbox.test_shop_situations import (
    CANCELLED_UNPAID,
    FIRST_SALES,
    LATER,
    OTHERWISE,
    PLACEMENTS,
    SITUATIONS,
    UNPAID,
)

from .conftest import (
    Message,
    Run,
    catalog_of,
    let_it_be,
    of_october,
    queries,
    read,
    run_of,
    tap_for,
    without_nodes_by_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sandbox.test_shop_situations import Change

EVERYTHING = frozenset({*SCOPES, *MORE_SCOPES})
MANY = 40  # more lines than an agreement's first page has sales
METHODS = ("pages", "bulk")
NEWEST = "2026-11-20T12:00:00.000000Z"


def add(store: Store, placed: Placed, **more: bool) -> str:
    """Add an order under a number of its own; returns its name."""
    return str(store.add_order(replace(placed, number=1001 + len(store.orders)), **more)["name"])


def authorized(store: Store, name: str) -> None:
    store.pay_order(name, LATER, kind="AUTHORIZATION")


def buyer(store: Store, name: str) -> int:
    """Return the number of an order's customer."""
    return int(store.order(name)["customer"]["legacyResourceId"])


def merged(store: Store, name: str) -> None:
    kept = store.add_customer(PLACED, person(Random(name), 77))
    store.merge_customers(int(kept["legacyResourceId"]), buyer(store, name), LATER)


def returned_to_sender(store: Store, name: str) -> None:
    store.pay_order(name, LATER)
    store.open_return(name, LATER, 1)
    store.cancel_return(name, LATER)


# What leaves the ledger as it was: what happens to an unpaid order of a buyer, and some fields of its record then.
BESIDES: dict[str, tuple[Change, dict[str, object]]] = {
    "void": (
        lambda store, name: (authorized(store, name), store.pay_order(name, LATER, "0", kind="VOID")),
        {"financial_status": "voided", "transactions": [("authorization", "success"), ("void", "success")]},
    ),
    "expired authorization": (
        lambda store, name: (authorized(store, name), store.expire_authorization(name, LATER)),
        {"financial_status": "expired", "transactions": [("authorization", "success")]},
    ),
    "chargeback": (
        lambda store, name: (store.pay_order(name, LATER), store.charge_back(name, LATER)),
        {"financial_status": "paid", "transactions": [("sale", "success")], "updated_at": LATER[:19] + "Z"},
    ),
    "a payment fails": (
        lambda store, name: (
            store.pay_order(name, LATER, status="PENDING"),
            store.complete_payment(name, LATER, status="FAILURE"),
        ),
        {"transactions": [("sale", "failure")]},
    ),
    "store credit": (
        lambda store, name: (
            store.pay_order(name, LATER, "40", gateway="shopify_store_credit"),
            store.pay_order(name, LATER),
        ),
        {"payment_gateway_names": ["shopify_store_credit", "shopify_payments"], "financial_status": "paid"},
    ),
    "a parcel is cancelled": (
        lambda store, name: (store.fulfill_order(name, LATER), store.cancel_fulfillment(name, LATER)),
        {"fulfillment_status": "unfulfilled"},
    ),
    "a return is cancelled": (returned_to_sender, {"return_status": "no_return"}),
    "the attribution is ready": (lambda store, name: store.ready_journey(name, LATER), {}),
    "the buyer is removed": (lambda store, name: store.set_customer(name, LATER), {"customer": None}),
    "the buyer is another": (
        lambda store, name: store.set_customer(
            name, LATER, int(store.add_customer(PLACED, person(Random(1), 99))["legacyResourceId"])
        ),
        {},
    ),
    "the buyer is merged": (merged, {}),
    "the buyer is erased": (lambda store, name: store.erase_customer(buyer(store, name), LATER), {"email": None}),
    "the e-mail is removed": (lambda store, name: store.change_email(name, LATER, None), {"email": None}),
}
B2B = {"createdAt": PLACED, "updatedAt": PLACED, "externalId": "B2B-7", "note": None}
TERMS = {"id": "gid://shopify/PaymentTerms/83", "due": False, "dueInDays": 30, "overdue": True, "paymentSchedules": []}
COMPANY: dict[str, Any] = {
    "purchasingEntity": {
        "__typename": "PurchasingCompany",
        "company": {**B2B, "id": "gid://shopify/Company/81", "name": "Plattenladen"},
        "contact": None,
        "location": {**B2B, "id": "gid://shopify/CompanyLocation/82", "name": "Lager Nord"},
    },
    "paymentTerms": {**TERMS, "paymentTermsName": "Net 30", "paymentTermsType": "NET", "translatedName": "30 Tage"},
    "retailLocation": {"id": "gid://shopify/Location/655", "legacyResourceId": "655", "name": "Main Street"},
}


def all_situations(practice: Practice = USUAL) -> tuple[Store, dict[str, tuple[str, str]]]:
    """Return a store in which everything has happened, and by situation the order's name and what its ledger says."""
    store, expected = Store(practice=practice), {}
    for situation, placed, first in PLACEMENTS:
        expected[situation] = (add(store, placed), f"OrderAgreement: {first}")
    for situation, placed in (
        ("test order", replace(FIRST, extra={"test": True})),
        ("order of a company", replace(FIRST, extra=COMPANY)),
    ):
        expected[situation] = (add(store, placed), f"OrderAgreement: {FIRST_SALES}")
    for situation, placed, change, then in SITUATIONS:
        name = add(store, placed)
        change(store, name)
        expected[situation] = (name, then)
    for number, (otherwise, placed, change, then) in enumerate(OTHERWISE):
        name, store.practice = add(store, placed), otherwise
        change(store, name)
        expected[f"otherwise, {number}"] = (name, then)
        store.practice = practice
    without_restock = ("cancelled without restock", _without_restock, CANCELLED_UNPAID)
    for situation, change, then in (*UNPAID, without_restock):
        name = add(store, FIRST, paid=False)
        change(store, name)
        expected[f"unpaid: {situation}"] = (name, then)
    for number, (situation, (change, _)) in enumerate(BESIDES.items()):
        name = add(store, _of_a_buyer(store, number), paid=False)
        change(store, name)
        expected[situation] = (name, "")
    go_beyond(store)
    return store, expected


def _without_restock(store: Store, name: str) -> object:
    return store.cancel_order(name, LATER, restock=False)


def _of_a_buyer(store: Store, number: int) -> Placed:
    customer = store.add_customer(PLACED, person(Random(number), number))
    extra = {"email": customer["email"], "customerJourneySummary": {"ready": False}}
    return replace(FIRST, customer=customer, extra=extra)


def go_beyond(store: Store, at: str = NEWEST) -> None:
    """Let the newest change lie beyond all others: bulk operations leave it, and an hour before it, to pages."""
    store.add_customer(at, person(Random(at), 88))
    store.change_order(add(store, FIRST), at, note="the newest change")


STORE, EXPECTED = all_situations()


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    """The store, read in both ways by an app that is granted everything."""
    return both_ways(STORE)


def both_ways(store: Store, state: Message | None = None, beyond: str = NEWEST) -> dict[str, Run]:
    """Read a store in both ways: by bulk operations all but what changed in the last hour."""
    with Shop(store, scopes=EVERYTHING).serve() as shop:
        catalog, found = catalog_of(shop), {}
        for method in METHODS:
            shop.controls.reset()
            found[method] = read(shop, state, catalog, method=method)
        for name in ("Customers", "Orders"):
            asked = [one for one in queries(shop) if one["query"].startswith(f"query {name}")]
            searches = [one["variables"]["query"] for one in asked if not one["variables"].get("reverse")]
            begins = as_datetime(beyond) - timedelta(hours=1)
            assert len({*searches}) == (2 if state else 1), "the hour before the bookmark is for pages too"
            assert searches[-1].startswith(f"updated_at:>='{begins:%Y-%m-%dT%H:%M:%S}")
    return found


def assert_alike(runs: dict[str, Run], *streams: str) -> None:
    """Compare record by record, doubles and tombstones among them."""
    for stream in streams:
        in_order = {
            method: sorted(run.records[stream] + run.deleted[stream], key=lambda one: (one["id"], one["updated_at"]))
            for method, run in runs.items()
        }
        assert in_order["pages"]
        assert in_order["bulk"] == in_order["pages"]


def amount(value: str) -> str:
    return f"{Decimal(value).normalize():f}"


def told(sale: Message) -> str:
    off = Decimal(sale["total_discount_amount_before_taxes"])
    count = "-" if sale["quantity"] is None else sale["quantity"]
    figures = f"{amount(sale['total_amount'])}/{amount(sale['total_tax_amount'])}"
    discount = f" {amount(str(-off))}" if off else ""
    return f"{sale['action_type'].upper()} {sale['line_type'].upper()} {count} {figures}{discount}"


def written(order: Message, *, first: bool = False) -> str:
    chosen = order["agreements"][:1] if first else order["agreements"][1:]
    return "; ".join(f"{one['kind']}: {', '.join(told(sale) for sale in one['sales'])}" for one in chosen)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("situation", EXPECTED)
def test_a_situation_is_in_the_record_as_shopify_s_ledger_has_it(
    runs: dict[str, Run], situation: str, method: str
) -> None:
    name, then = EXPECTED[situation]
    order = runs[method].orders[name]
    assert written(order, first=then.startswith("OrderAgreement")) == then


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("situation", BESIDES)
def test_what_leaves_the_ledger_as_it_was_is_in_the_record(runs: dict[str, Run], situation: str, method: str) -> None:
    order = runs[method].orders[EXPECTED[situation][0]]
    order = {**order, "transactions": [(one["kind"], one["status"]) for one in order["transactions"]]}
    _, fields_then = BESIDES[situation]
    assert {name: order[name] for name in fields_then} == fields_then


@pytest.mark.parametrize("method", METHODS)
def test_the_records_have_what_merchants_changed_of_people_parcels_and_returns(
    runs: dict[str, Run], method: str
) -> None:
    def order_after(situation: str) -> Message:
        return runs[method].orders[EXPECTED[situation][0]]

    customers = {one["id"]: one for one in runs[method].records["customers"]}
    assert [one["status"] for one in order_after("a parcel is cancelled")["fulfillments"]] == ["cancelled"]
    assert [one["status"] for one in order_after("a return is cancelled")["returns"]] == ["canceled"]
    assert order_after("the attribution is ready")["customer_journey"]["ready"] is True
    assert order_after("test order")["test"] is True
    for situation in ("the buyer is another", "the buyer is merged", "the buyer is erased"):
        customer = customers[order_after(situation)["customer"]["id"]]
        assert customer["orders_count"] == 1
        assert (customer["email"] is None) == ("erased" in situation)
    assert len(customers) == len(STORE.customers)


@pytest.mark.parametrize("method", METHODS)
def test_company_payment_terms_and_retail_location_have_their_values(runs: dict[str, Run], method: str) -> None:
    order = runs[method].orders[EXPECTED["order of a company"][0]]
    assert order["company"] == {"id": 81, "name": "Plattenladen", "external_id": "B2B-7"}
    assert order["company_location"] == {"id": 82, "name": "Lager Nord", "external_id": "B2B-7"}
    assert order["payment_terms"] == {"name": "Net 30", "type": "net", "due_in_days": 30, "overdue": True}
    assert order["retail_location"] == {"id": 655, "name": "Main Street"}
    other = runs[method].orders[EXPECTED["test order"][0]]
    fields_of_b2b = ("company", "company_location", "payment_terms", "retail_location")
    assert {other[name] for name in fields_of_b2b} == {None}


def found_in(order: Message) -> list[str]:
    return [one.identity for one in disagreements(order_of(json.dumps(order).encode()))]  # type: ignore[arg-type]  # as JSON


def test_pages_and_bulk_operations_give_the_same_records(runs: dict[str, Run]) -> None:
    assert_alike(runs, "customers", "orders")


# What is open about Shopify, all of it the other way, and with nothing unsure that moves an order.
OTHER_WAY = replace(
    USUAL,
    **{one.name: not one.default for one in fields(Practice) if isinstance(one.default, bool)},
    placed_at="processedAt",
    refunded_at="processedAt",
    update_quantity=None,
    fee_action="ORDER",
    return_writes="opened",
    moves=UNSURE_MOVES,
)


@pytest.mark.parametrize(
    ("practice", "disagree"),
    [(OTHER_WAY, set()), (Practice(moves=frozenset()), {"moments"})],
    ids=["all the other way", "in silence"],
)
def test_pages_and_bulk_operations_give_the_same_records_whatever_shopify_does(
    practice: Practice, disagree: set[str]
) -> None:
    store, _ = all_situations(practice)
    found = both_ways(store)
    assert_alike(found, "customers", "orders")
    assert {name for order in found["bulk"].orders.values() for name in found_in(order)} == disagree


def test_pages_and_bulk_operations_give_the_same_changes_and_tombstones() -> None:
    store, expected = all_situations()
    with Shop(store, scopes=EVERYTHING).serve() as shop:
        state = of_october(read(shop, catalog=catalog_of(shop)).state)
    changed, newest = "2026-11-24T12:00:00.000000Z", "2026-11-25T12:00:00.000000Z"
    for situation in ("one unit is refunded", "test order", "the buyer is another"):
        store.delete_order(expected[situation][0], changed)
    store.delete_customer(int(store.add_customer(PLACED, person(Random(5), 5))["legacyResourceId"]), changed)
    name = expected["store credit"][0]
    merged(store, name)
    for name in (expected["store credit"][0], expected["void"][0]):
        store.erase_customer(buyer(store, name), changed)
        store.change_order(name, changed, note="changed")
    store.refund_order(expected["goodwill"][0], changed)
    go_beyond(store, newest)
    found = both_ways(store, state, newest)
    assert_alike(found, "customers", "orders")
    gone = [one for stream in found["bulk"].deleted.values() for one in stream]
    assert len(gone) == 4
    assert len(found["bulk"].orders) == 4


def test_the_identities_hold_in_every_situation(runs: dict[str, Run]) -> None:
    assert {name: found for name, order in runs["pages"].orders.items() if (found := found_in(order))} == {}


def test_the_identities_hold_on_every_order_of_the_default_store_and_it_is_the_same_both_ways() -> None:
    store = cdnow_store(date(2026, 10, 31), customers=250)
    read_both_ways = both_ways(store, beyond=max(one["updatedAt"] for one in store.orders))
    assert_alike(read_both_ways, "customers", "orders")
    sound(store)
    orders = read_both_ways["bulk"].orders
    assert len(orders) == len(store.orders)
    assert {name: found for name, order in orders.items() if (found := found_in(order))} == {}
    assert {len(order["agreements"]) for order in orders.values()} > {1, 2}, "merchants did something"


def test_an_agreement_and_its_sales_have_what_reports_need(runs: dict[str, Run]) -> None:
    order = runs["bulk"].orders[EXPECTED["one unit is refunded"][0]]
    first, refund = order["agreements"]
    assert (first["reason"], first["happened_at"], first["refund_id"]) == ("order", order["created_at"], None)
    assert refund["refund_id"] == order["refunds"][0]["id"]
    sale, line = first["sales"][0], order["line_items"][0]
    for name in ("product_id", "variant_id", "sku", "title", "vendor"):
        assert sale[name] == line[name]
    assert (sale["line_item_id"], sale["product_type"], sale["kind"]) == (line["id"], "Music", "ProductSale")
    assert sale["total_amount_set"]["presentment_money"] == {"amount": "99.0", "currency_code": "USD"}
    assert [(tax["amount"], tax["rate"]) for tax in sale["taxes"]] == [("9.0", "0.1")]


def test_refunds_returns_and_companies_carry_what_events_need(runs: dict[str, Run]) -> None:
    orders = runs["bulk"].orders
    goodwill = orders[EXPECTED["goodwill"][0]]["refunds"][0]
    (cash,) = goodwill["transactions"]
    assert (cash["kind"], cash["status"], Decimal(cash["amount"])) == ("refund", "success", 15)
    assert [Decimal(one["amount"]) for one in goodwill["order_adjustments"]] == [-15]
    returned = orders[EXPECTED["a return with a restocking fee"][0]]
    assert [one["total_quantity"] for one in returned["returns"]] == [1]
    assert returned["agreements"][1]["return_id"] == returned["returns"][0]["id"]
    parcel = orders[EXPECTED["a parcel, and it arrives"][0]]["fulfillments"][0]
    assert parcel["delivered_at"] == parcel["updated_at"] == LATER[:19] + "Z"


def test_without_their_scopes_returns_terms_and_locations_are_not_asked_for() -> None:
    with Shop(Store(), scopes=frozenset(SCOPES)).serve() as shop:
        shop.store.add_order(FIRST)
        (order,) = read(shop).records["orders"]
        assert not {"returns", "payment_terms", "retail_location"} & {*order}
        assert "return_id" not in order["agreements"][0]
        asked = " ".join(one["query"] for one in queries(shop))
        assert "paymentTerms" not in asked


def test_a_deselected_ledger_is_not_asked_for() -> None:
    with Shop(Store()).serve() as shop:
        shop.store.add_order(FIRST)
        catalog = catalog_of(shop, deselect=(("orders", "agreements"),))
        shop.controls.reset()
        (order,) = read(shop, catalog=catalog).records["orders"]
        assert "agreements" not in order
        assert not [one for one in queries(shop) if "agreements" in one["query"]]


# The drain of a long ledger.


def long_store() -> tuple[Store, str]:
    """Return a store with an order of many lines and many edits."""
    store = Store()
    lines = [Line(CD, 1, Decimal(number)) for number in range(10, 10 + MANY)]
    name = add(store, placed_of(*lines))
    for number in range(5):
        store.edit_order(name, LATER, quantities={number: 0})
    store.refund_order(name, LATER, quantities=dict.fromkeys(range(10, 10 + MANY - 20), 1))
    return store, name


def assert_whole(order: Message) -> None:
    assert [len(one["sales"]) for one in order["agreements"]] == [MANY + 1, 1, 1, 1, 1, 1, MANY - 20]
    assert found_in(order) == []
    moments = [(one["happened_at"], one["id"]) for one in order["agreements"]]
    assert moments == sorted(moments)


@pytest.mark.parametrize("refuses", [False, True], ids=["inline", "refused in bulk"])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_every_agreement_and_every_sale_is_read(method: str, *, newest_first: bool, refuses: bool) -> None:
    store, name = long_store()
    store.practice = Practice(newest_first=newest_first)
    with Shop(store, bulk_node_parents_only=refuses).serve() as shop:
        assert_whole(read(shop, method=method).orders[name])


class Meddling(Client):
    """A client during whose questions for more of a ledger something happens: `happens` is told which one it is."""

    def __init__(self, shop: Shop, happens: Callable[[int], object]) -> None:
        super().__init__(f"{shop.url}/admin", AccessToken("shpat_sandbox"))
        self.asked, self.happens = 0, happens

    def ask(self, document: str, *args: Any, **more: Any) -> Any:
        if document.startswith("query Ledger"):
            self.asked += 1
            self.happens(self.asked)
        return super().ask(document, *args, **more)

    @classmethod
    def read(cls, shop: Shop, happens: Callable[[int], object], method: str = "pages") -> Run:
        """Read a shop while something happens."""
        tap = tap_for(shop, method=method)
        tap.store.client = cls(shop, happens)
        tap.sync()
        assert tap.store.client.asked > 1
        return run_of(tap)


# By bulk operations a ledger is drained where Shopify refuses it in them, as it did from April to July 2026.
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("broken", [Reply(status=503), Reply(cut=True), Reply(truncate_bytes=50)], ids=str)
def test_a_drain_that_is_interrupted_goes_on(broken: Reply, method: str) -> None:
    store, name = long_store()
    go_beyond(store)
    with Shop(store, bulk_node_parents_only=True).serve() as shop, stamina.set_testing(True, attempts=4):
        whole = read(shop).orders[name]
        assert_whole(whole)
        shop.controls.reset()
        order = Meddling.read(shop, lambda nth: shop.controls.reply_next(*[broken] * (nth == 4)), method).orders[name]
        assert order == whole
        assert any("bulkOperationRunQuery" in one["query"] for one in queries(shop)) is (method == "bulk")


@pytest.mark.parametrize("nth", [1, 6])
@pytest.mark.parametrize("method", METHODS)
def test_a_signal_inside_a_drain_ends_the_run_and_the_next_one_has_it_whole(method: str, nth: int) -> None:
    store, name = long_store()
    before = [add(store, FIRST) for _ in range(12)]
    for number, other in enumerate(before):
        store.change_order(other, f"2026-11-02T12:00:{number:02}Z", note="before the long one")
    go_beyond(store)
    with Shop(store, bulk_node_parents_only=True).serve() as shop:
        tap = tap_for(shop, method=method)

        def ask_to_stop(asked: int) -> None:
            if asked == nth:
                tap.stop.signal = signal.SIGTERM
                shop.controls.reply_next(Reply(delay_seconds=2))

        tap.store.client = client = Meddling(shop, ask_to_stop)
        with pytest.raises(SystemExit) as ended:
            tap.sync()
        assert ended.value.code == 128 + signal.SIGTERM
        assert client.asked == nth, "no question after the signal"
        first = run_of(tap)
        assert first.messages[-1]["type"] == "STATE"
        emitted = [one["updated_at"] for one in first.records["orders"]]
        assert name not in first.orders
        assert first.state["bookmarks"]["orders"].get("replication_key_value") == max(emitted, default=None)
        second = read(shop, first.state, method=method)
        assert_whole(second.orders[name])
        assert {*first.orders, *second.orders} == {one["name"] for one in store.orders}
        both = [one["id"] for run in (first, second) for one in run.records["orders"]]
        assert len(both) - len({*both}) <= 1, "an order that shares the second of the bookmark"


@pytest.mark.parametrize("method", METHODS)
def test_without_their_sales_all_agreements_are_read(method: str) -> None:
    store, name = store_of_edits()
    with Shop(store).serve() as shop:
        catalog = catalog_of(shop)
        deselected = {
            "breadcrumb": ["properties", "agreements", "properties", "sales"],
            "metadata": {"selected": False},
        }
        for stream in catalog["streams"]:
            stream["metadata"] += [deselected] * (stream["stream"] == "orders")
        agreements = read(shop, catalog=catalog, method=method).orders[name]["agreements"]
        assert len(agreements) == 4
        assert not [one for one in agreements if "sales" in one]


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_ends_inside_a_drain_loses_and_doubles_nothing(method: str) -> None:
    store, name = long_store()
    others = {add(store, FIRST) for _ in range(3)}
    go_beyond(store)
    frozen = Reply(status=402)
    with Shop(store, bulk_node_parents_only=True).serve() as shop:
        with pytest.raises(RunError, match="frozen"):
            Meddling.read(shop, lambda nth: shop.controls.reply_next(*[frozen] * (nth == 4)), method)
        orders = read(shop, method=method).orders
        assert {*orders} > {name, *others}
        assert_whole(orders[name])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("nth", [1, 3, 7])
def test_an_order_that_changes_while_it_is_drained_is_drained_again(nth: int, method: str) -> None:
    store, name = long_store()
    go_beyond(store)

    def change(asked: int) -> None:
        if asked == nth:
            store.refund_order(name, "2026-11-04T12:00:00Z", quantities={35: 1})

    with Shop(store, bulk_node_parents_only=True).serve() as shop:
        order = Meddling.read(shop, change, method).orders[name]
        assert len(order["agreements"]) == 8
        assert order["updated_at"] == "2026-11-04T12:00:00Z"
        assert found_in(order) == []


def test_an_order_that_changes_out_of_the_window_while_it_is_drained_is_the_next_run_s() -> None:
    store, name = long_store()
    other = add(store, FIRST)
    with Shop(store).serve() as shop:
        tap = tap_for(shop)
        changed = "2026-11-04T12:00:00Z"
        tap.store.client = Meddling(shop, lambda nth: nth == 2 and store.change_order(name, changed, note="just now"))
        let_it_be(as_datetime("2026-11-04T00:00:00Z"), tap)
        tap.sync()
        first = run_of(tap)
        assert {*first.orders} == {other}
        assert first.state["bookmarks"]["orders"]["replication_key_value"] < "2026-11-04"
        assert read(shop, first.state).orders[name]["note"] == "just now"


def store_of_edits() -> tuple[Store, str]:
    """Return a store with an order of few lines and many edits: what it was placed with is on the first page."""
    store = Store()
    name = add(store, placed_of(*(Line(CD, 1, Decimal(number)) for number in range(10, 13))))
    for number in range(3):
        store.edit_order(name, LATER, quantities={number: 0})
    return store, name


@pytest.mark.parametrize("store_with_order", [long_store, store_of_edits])
def test_an_order_that_goes_on_changing_is_left_to_the_next_run(
    store_with_order: Callable[[], tuple[Store, str]],
) -> None:
    store, name = store_with_order()
    other = add(store, FIRST)

    def change(asked: int) -> None:
        store.change_order(name, f"2026-11-04T12:00:{asked:02}Z", note=f"{asked}")

    with Shop(store).serve() as shop:
        assert {*Meddling.read(shop, change).orders} == {other}
        assert {*read(shop).orders} == {name, other}


@pytest.mark.parametrize("method", METHODS)
def test_an_order_that_is_deleted_while_it_is_drained_is_left_out(method: str) -> None:
    store, name = long_store()
    go_beyond(store)
    with Shop(store, bulk_node_parents_only=True).serve() as shop:
        found = Meddling.read(shop, lambda nth: nth == 3 and store.delete_order(name, "2026-11-04T12:00:00Z"), method)
        assert {*found.orders} == {one["name"] for one in store.orders}


def test_an_order_that_an_answer_lacks_while_it_is_drained_is_no_success() -> None:
    store, name = long_store()
    with Shop(store).serve() as shop:

        def change(asked: int) -> None:
            if asked == 3:
                store.change_order(name, "2026-11-04T12:00:00Z", note="changed, so that it is read again")
                shop.twist = without_nodes_by_id

        with pytest.raises(RunError, match="lacks what was asked for by id"):
            Meddling.read(shop, change)


def test_a_ledger_that_leads_nowhere_is_no_success() -> None:
    store, _ = long_store()
    page = '{"pageInfo": {"hasNextPage": true, "endCursor": null}, "nodes": []}'
    body = f'{{"data": {{"order": {{"updated_at": "{LATER[:19]}Z", "agreements": {page}}}}}}}'
    nowhere = Reply(status=200, body=body)
    with Shop(store).serve() as shop, pytest.raises(RunError, match="lead nowhere"):
        Meddling.read(shop, lambda _: shop.controls.reply_next(nowhere))
