"""Orders that need a second look: a ledger that is cut short, and what may change without `updated_at` moving."""

from __future__ import annotations

import logging
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from docs.selecting import cost_of, fields_of
from sandbox.shop import Shop, ledger
from sandbox.shop.access import MORE_SCOPES, SCOPES
from sandbox.shop.practice import Practice
from sandbox.shop.store import Store
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.moments import as_datetime
from tap_shopify_orders.reading import watch
from tests.sandbox.placed import FIRST
from tests.sandbox.test_shop_situations import PLACEMENTS

from .conftest import Message, Run, catalog_of, let_it_be, queries, read, run_of, tap_for, without_nodes_by_id
from .test_ledger import add, found_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLACED, LATER = "2026-10-30T12:00:00Z", "2026-11-03T12:00:00.000000Z"


@pytest.fixture
def store() -> Store:
    """Return a store of three orders in which nothing unsure moves an order's `updated_at`."""
    store = Store(practice=Practice(moves=frozenset()))
    for _ in range(3):
        add(store, FIRST)
    return store


@pytest.fixture
def shop(store: Store) -> Iterator[Shop]:
    with Shop(store).serve() as served:
        yield served


def bookmark(run: Run) -> Message:
    return run.state["bookmarks"]["orders"]


# Held orders.


@pytest.mark.parametrize("method", ["pages", "bulk"])
def test_a_ledger_that_is_cut_short_is_read_again_at_once(shop: Shop, store: Store, method: str) -> None:
    store.cut_ledger("#1002", times=2 if method == "bulk" else 1)  # bulk looks at the newest page first
    run = read(shop, method=method)
    assert found_in(run.orders["#1002"]) == []
    assert bookmark(run)["held"] == {}
    assert len([one for one in queries(shop) if one["query"].startswith("query ById")]) == 1


@pytest.mark.parametrize("method", ["pages", "bulk"])
def test_a_ledger_that_stays_short_is_held_and_emitted_once_it_is_whole(
    shop: Shop, store: Store, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.cut_ledger("#1002", times=100)
    tap = tap_for(shop, method=method)
    tap.read()
    first = run_of(tap)
    assert {*first.orders} == {"#1001", "#1003"}
    assert "1 orders are held for the next run, as their ledgers are cut short." in caplog.text
    store.order("#1002")["_cuts"] = 0
    second = read(shop, first.state, method=method, lookback_seconds=0)
    assert {*second.orders} == {"#1002"}
    assert bookmark(second)["held"] == {}
    assert dict(read(shop, second.state).records) == {}


def test_after_three_runs_an_order_is_emitted_as_it_is_with_a_warning(
    shop: Shop, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.cut_ledger("#1002", times=100)
    runs = [read(shop)]
    for _ in range(3):
        runs.append(read(shop, runs[-1].state))
    assert [[*run.orders] for run in runs] == [["#1001", "#1003"], [], ["#1002"], ["#1002"]]
    assert dict(read(shop, runs[-1].state).records) == {}, "now it is known as its page has it"
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert next(one for one in warnings if "#1002" in one).startswith(
        "Order #1002: the sales that placed it come to 99.0, its original total is 110.0 (-11.0)."
    )


def by_id(shop: Shop) -> list[Message]:
    return [one for one in queries(shop) if one["query"].startswith("query ById")]


@pytest.mark.parametrize("method", ["pages", "bulk"])
def test_a_store_whose_totals_all_disagree_is_not_asked_for_each_of_its_orders_again(
    shop: Shop, store: Store, method: str
) -> None:
    for _ in range(2 * watch.MOST_IN_VAIN):
        add(store, FIRST)
    for order in store.orders:
        set_amount("originalTotalPriceSet")(shop, order)
    first = read(shop, method=method)
    assert len(by_id(shop)) == watch.MOST_IN_VAIN
    assert len(bookmark(first)["held"]) == len(store.orders), "none is lost, and none let through unseen"
    shop.controls.reset()
    second = read(shop, first.state, method=method, lookback_seconds=0)
    alone = [one for one in by_id(shop) if len(one["variables"]["ids"]) == 1]
    assert len(alone) == watch.MOST_IN_VAIN
    third = read(shop, second.state, method=method, lookback_seconds=0)
    assert len(third.orders) == len(store.orders)


def test_an_order_that_was_emitted_as_it_is_is_not_held_again_for_the_same_gap(
    shop: Shop, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    order = store.order("#1002")
    order["_original"] -= Decimal("0.01")
    store.change_order("#1002", "2026-11-01T12:00:00.000000Z", note="a total that is one cent off")
    runs = [read(shop)]
    for _ in range(2):
        runs.append(read(shop, runs[-1].state))
    assert [[*run.orders] for run in runs] == [["#1001", "#1003"], [], ["#1002"]]
    run = runs[-1]
    assert [*bookmark(run)["as_is"].values()] == ["+0.01"]
    store.change_order("#1002", LATER, note="a change that has nothing to do with its ledger")
    shop.controls.reset()
    caplog.clear()
    changed = read(shop, run.state)
    assert {*changed.orders} == {"#1002"}
    assert by_id(shop) == []
    assert "Order #1002: the sales that placed it come to 110.0, its original total is 109.99" in caplog.text
    store.cut_ledger("#1002", times=100)
    store.change_order("#1002", "2026-11-04T12:00:00.000000Z", note="and a ledger that is cut short")
    other = read(shop, changed.state)
    assert dict(other.records) == {}
    assert len(bookmark(other)["held"]) == 1
    order["_original"] += Decimal("0.01")
    order["_cuts"] = 0
    store.change_order("#1002", "2026-11-05T12:00:00.000000Z", note="all is well")
    whole = read(shop, other.state)
    assert {*whole.orders} == {"#1002"}
    assert bookmark(whole)["as_is"] == {}


def test_of_orders_emitted_as_they_are_so_many_are_remembered_and_no_more() -> None:
    records = [
        Record(
            b'{"id":%d,"name":"#1","updated_at":"2026-11-01T12:00:00Z","original_total_price":1,'
            b'"agreements":[{"kind":"OrderAgreement","sales":[{"total_amount":2}]}]}' % number
        )
        for number in range(watch.MOST_AS_IS + 5)
    ]
    held = {str(number): watch.RUNS_HELD - 1 for number in range(len(records))}
    as_is: dict[str, str] = {}
    since, logger = as_datetime("2026-01-01"), logging.getLogger("tap")
    found = watch.Watch(held, {}, as_is, since=since, again=lambda number: records[int(number)], logger=logger)
    assert [found.passed(one) for one in records] == records
    assert [*as_is] == [str(number) for number in range(5, len(records))]
    assert {*as_is.values()} == {"+1"}


def test_an_order_that_cannot_be_held_any_more_is_looked_at_before_it_is_emitted() -> None:
    def order(number: int, total: int) -> Record:
        return Record(
            b'{"id":%d,"name":"#1","updated_at":"2026-11-01T12:00:00Z","original_total_price":2,'
            b'"agreements":[{"kind":"OrderAgreement","sales":[{"total_amount":%d}]}]}' % (number, total)
        )

    last = watch.MOST_HELD + 1
    records = [order(number, total=1) for number in range(last + 1)]
    whole = order(last, total=2)
    asked: list[str] = []

    def again(number: str) -> Record:
        asked.append(number)
        return whole if number == str(last) else records[int(number)]

    since, logger = as_datetime("2026-01-01"), logging.getLogger("tap")
    held: dict[str, int] = {}
    found = watch.Watch(held, {}, {}, since=since, again=again, logger=logger)
    emitted = [passed for one in records if (passed := found.passed(one)) is not None]
    assert emitted == [records[last - 1], whole]
    assert asked[watch.MOST_IN_VAIN :] == [str(last - 1), str(last)]
    asked.clear()
    later = watch.Watch(held, {}, {}, since=since, again=again, logger=logger)
    assert list(later.examine(records[: watch.MOST_HELD])) == []
    assert len(asked) == watch.MOST_IN_VAIN, "those that are held have a place, and wait for it"


@pytest.mark.parametrize("end", ["2026-10-30T13:00:00Z", "2026-11-02T12:00:00Z"])
def test_a_run_that_ends_before_the_bookmark_forgets_no_order(shop: Shop, store: Store, end: str) -> None:
    store.change_order("#1002", "2026-11-01T12:00:00Z", note="it changed after the earlier end")
    store.cut_ledger("#1002", times=100)
    store.change_order("#1003", "2026-11-02T12:00:00Z", note="the bookmark lies beyond it")
    first = read(shop)
    assert "#1002" not in first.orders
    store.cut_ledger("#1002", times=0)
    earlier = read(shop, first.state, end_date=end)
    assert bookmark(earlier)["held"] == bookmark(first)["held"]
    assert "#1002" in read(shop, earlier.state).orders


def test_a_held_order_that_is_deleted_is_forgotten(shop: Shop, store: Store) -> None:
    store.cut_ledger("#1002", times=100)
    first = read(shop)
    store.delete_order("#1002", LATER)
    second = read(shop, first.state)
    assert bookmark(second)["held"] == {}
    assert second.records["orders"] == []


# Orders without attribution or ledger.


def read_at(shop: Shop, at: str, state: Message | None = None, **more: Any) -> Run:
    """Read when it is so late in the shop."""
    tap = tap_for(shop, state, **{"lookback_seconds": 0, **more})
    let_it_be(as_datetime(at), tap)
    tap.sync()
    return run_of(tap)


@pytest.mark.parametrize("method", ["pages", "bulk"])
def test_an_order_is_held_until_its_attribution_is_there_and_emitted_once(
    shop: Shop, store: Store, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    becomes_ready = waits_for_attribution(store)
    store.fulfill_order("#1003", "2026-10-30T12:30:00.000000Z")  # so that the bookmark lies beyond #1002
    with caplog.at_level(logging.INFO):
        first = read_at(shop, "2026-10-30T13:00:00Z", method=method)
    assert {*first.orders} == {"#1001", "#1003"}
    assert bookmark(first)["held"] == {str(store.order("#1002")["legacyResourceId"]): 0}
    assert "Held 1 orders until Shopify has worked out where their buyers came from" in caplog.text
    shop.controls.reset()
    still = read_at(shop, "2026-10-30T14:00:00Z", first.state, method=method)
    assert dict(still.records) == {}
    (asked,) = [one["query"] for one in queries(shop) if one["query"].startswith("query ById")]
    assert "agreements" not in asked, "no more than what it waits for"
    becomes_ready()
    second = read_at(shop, "2026-10-30T15:00:00Z", still.state, method=method)
    assert second.orders["#1002"]["customer_journey"]["ready"] is True
    assert bookmark(second)["held"] == {}
    assert str(store.order("#1002")["legacyResourceId"]) not in bookmark(second)["waiting"]
    assert dict(read_at(shop, "2026-10-30T16:00:00Z", second.state).records) == {}


def test_an_order_whose_attribution_does_not_come_is_emitted_without_it_and_again_when_it_comes(
    shop: Shop, store: Store
) -> None:
    becomes_ready = waits_for_attribution(store)
    first = read_at(shop, "2026-10-30T13:00:00Z")
    second = read_at(shop, "2026-10-31T13:00:00Z", first.state)
    assert second.orders["#1002"]["customer_journey"]["ready"] is False
    assert (bookmark(second)["held"], len(bookmark(second)["waiting"])) == ({}, 1)
    assert dict(read_at(shop, "2026-10-31T14:00:00Z", second.state).records) == {}
    becomes_ready()
    assert {*read_at(shop, "2026-10-31T15:00:00Z", second.state).orders} == {"#1002"}


def test_an_answer_that_lacks_the_orders_asked_for_ends_the_run_and_forgets_none(shop: Shop, store: Store) -> None:
    waits_for_attribution(store)
    store.fulfill_order("#1003", "2026-10-30T12:30:00.000000Z")  # so that the bookmark lies beyond #1002
    first = read_at(shop, "2026-10-30T13:00:00Z")
    shop.twist = without_nodes_by_id
    with pytest.raises(RunError, match="lacks what was asked for by id"):
        read_at(shop, "2026-10-30T14:00:00Z", first.state)
    shop.twist = lambda body: body
    assert {*read_at(shop, "2026-10-31T13:00:00Z", first.state).orders} == {"#1002"}


# What docs/selecting.md says costs nothing, and parts of what does cost something.
UNWANTED = {
    "what costs nothing": [
        (name,) for name in fields_of("orders") if not [*cost_of("orders", name).said("orders", name)]
    ],
    "parts": [
        ("created_at",),
        ("return_status",),
        ("agreements", "id"),
        ("agreements", "kind"),
        ("agreements", "sales", "total_amount"),
        ("customer_journey", "ready"),
        ("transactions", "status"),
    ],
}


def values_at(value: Any, path: tuple[str, ...]) -> list[Any]:
    """Return what stands at a path of a record, in each element of the lists on the way."""
    if isinstance(value, list):
        return [found for one in value for found in values_at(one, path)]
    if not path:
        return [value]
    return values_at(value[path[0]], path[1:]) if value and path[0] in value else []


@pytest.mark.parametrize("method", ["pages", "bulk"])
@pytest.mark.parametrize("unwanted", UNWANTED)
def test_an_order_is_judged_by_fields_that_nobody_wants_and_they_do_not_leave(
    shop: Shop, store: Store, unwanted: str, method: str
) -> None:
    add(store, FIRST)
    store.cut_ledger("#1001", times=100)
    becomes_ready = waits_for_attribution(store)
    store.open_return("#1003", "2026-10-30T12:10:00.000000Z", 2)
    store.fulfill_order("#1004", "2026-10-30T12:30:00.000000Z")  # so that the bookmark lies beyond the others
    catalog = catalog_of(shop, streams=("orders",))
    (entries,) = [one["metadata"] for one in catalog["streams"] if one["stream"] == "orders"]
    for path in UNWANTED[unwanted]:
        breadcrumb = [step for name in path for step in ("properties", name)]
        entries[:] = [one for one in entries if one["breadcrumb"] != breadcrumb]
        entries.append({"breadcrumb": breadcrumb, "metadata": {"selected": False}})
    first = read_at(shop, "2026-10-30T13:00:00Z", catalog=catalog, method=method)
    assert {*first.orders} == {"#1003", "#1004"}, "a ledger is cut short, an attribution isn't there yet"
    store.cut_ledger("#1001", times=0)
    becomes_ready()
    store.process_return("#1003", "2026-10-30T13:10:00.000000Z", {0: 2})
    second = read_at(shop, "2026-10-30T14:00:00Z", first.state, catalog=catalog, method=method)
    assert {*second.orders} == {"#1001", "#1002", "#1003"}
    assert dict(read_at(shop, "2026-10-30T15:00:00Z", second.state, catalog=catalog, method=method).records) == {}
    records = [*first.records["orders"], *second.records["orders"]]
    assert len(records) == 5
    assert [path for path in UNWANTED[unwanted] for one in records if values_at(one, path)] == []


@pytest.mark.parametrize("settings", [{"attribution_hours": 0}, {"end_date": "2026-11-01"}], ids=str)
def test_nobody_waits_for_attribution_by_setting_or_in_a_run_that_nobody_may_continue(
    shop: Shop, store: Store, settings: dict[str, Any]
) -> None:
    waits_for_attribution(store)
    run = read_at(shop, "2026-10-30T13:00:00Z", **settings)
    assert len(run.orders) == 3
    assert bookmark(run)["held"] == {}


@pytest.mark.parametrize("method", ["pages", "bulk"])
def test_an_order_without_a_ledger_ends_the_run_unless_that_is_accepted(
    shop: Shop, store: Store, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.hide_ledger("#1002", LATER)
    with pytest.raises(RunError, match=r"Order #1002 comes without its ledger of sales .* Add `no_ledger` to `accept`"):
        read(shop, method=method)
    tap = tap_for(shop, method=method, accept=["no_ledger"])
    tap.read()
    first = run_of(tap)
    assert first.orders["#1002"]["agreements"] == []
    assert "1 orders have no ledger of sales: of their money only the original total is known." in caplog.text
    again = read(shop, first.state, accept=["no_ledger"], lookback_seconds=0)
    assert dict(again.records) == {}, "it is as it was"
    store.order("#1002")["_hidden"] = False  # in silence
    second = read(shop, again.state, accept=["no_ledger"], lookback_seconds=0)
    assert second.orders["#1002"]["agreements"]
    assert bookmark(second)["waiting"] == {}


def test_a_ledger_that_is_denied_is_such_a_gap_too() -> None:
    record = Record(b'{"id":1,"name":"#1001","updated_at":"2026-11-01T12:00:00Z"}')

    def watched(*, accepts: bool) -> watch.Watch:
        since, logger = as_datetime("2026-01-01"), logging.getLogger("tap")
        return watch.Watch({}, {}, {}, since=since, accepts_no_ledger=accepts, again=lambda _: record, logger=logger)

    with pytest.raises(RunError, match=r"Order #1001 comes without its ledger of sales \(Shopify denies it\)"):
        watched(accepts=False).passed(record)
    assert watched(accepts=True).passed(record) is record


@pytest.mark.parametrize(("agreements", "asked_again"), [("", 0), (',"agreements":[]', watch.MOST_IN_VAIN)])
def test_a_store_without_ledgers_is_not_asked_for_each_of_its_orders_again(agreements: str, asked_again: int) -> None:
    records = [
        Record(f'{{"id":{number},"name":"#1","updated_at":"2026-11-01T12:00:00Z"{agreements}}}'.encode())
        for number in range(1, 101)
    ]
    asked = []

    def again(number: str) -> Record:
        asked.append(number)
        return records[int(number) - 1]

    since, logger = as_datetime("2026-01-01"), logging.getLogger("tap")
    found = watch.Watch({}, {}, {}, since=since, accepts_no_ledger=True, again=again, logger=logger)
    assert [found.passed(one) for one in records] == records
    assert len(asked) == asked_again


def test_who_deselects_the_ledger_is_asked_for_nothing(shop: Shop, store: Store) -> None:
    store.hide_ledger("#1002", LATER)
    run = read(shop, catalog=catalog_of(shop, deselect=(("orders", "agreements"),)))
    assert len(run.orders) == 3


# Warnings.


def set_amount(name: str) -> Callable[[Shop, Message], object]:
    bag = {key: {"amount": "1.00", "currencyCode": "USD"} for key in ("shopMoney", "presentmentMoney")}
    return lambda _, order: order.update({name: bag})


def add_line(_: Shop, order: Message) -> None:
    line = {**order["lineItems"][0], "id": "gid://shopify/LineItem/99", "quantity": 3, "currentQuantity": 3}
    order["lineItems"].append({**line, "name": "a record for free"})


def list_a_sale_twice(shop: Shop, order: Message) -> None:
    """Let answers have the last sale of the first agreement twice: shipping for free, so that no sum is wrong."""

    def twice(body: Message) -> Message:
        page = body.get("data", {}).get("page", {})
        for node in page.get("nodes", []):
            if node.get("name") == order["name"] and "agreements" in node:
                sales = node["agreements"]["nodes"][0]["sales"]["nodes"]
                sales.append(sales[-1])
        return body

    shop.twist = twice


def cut_a_later_agreement(shop: Shop, order: Message) -> None:
    shop.store.refund_order(order["name"], LATER)
    shop.store.cut_ledger(order["name"], times=100, place=1)


# What is wrong with an order, the sentence of it, and the identities that don't hold.
DISAGREEMENTS: dict[str, tuple[Callable[[Shop, Message], object], str, str]] = {
    "current total": (set_amount("currentTotalPriceSet"), "its current total is 1.00", "1 by current total"),
    "refund discrepancy": (set_amount("refundDiscrepancySet"), "its refund discrepancy is 1.00", "1 by refund disc"),
    "payments": (set_amount("netPaymentSet"), "its payments is 1.00", "1 by payments"),
    "units": (
        lambda _, order: order["lineItems"][0].update(currentQuantity=2),
        "come to 1 units, the order has 2 (-1).",
        "1 by quantities",
    ),
    "a line without a sale": (
        add_line,
        "the sales of line item 99 come to 0 units, the order has 3 (-3).",
        "1 by quantities",
    ),
    "two placements": (
        lambda _, order: ledger.write(order, "OrderAgreement", order["updatedAt"], ()),
        "2 agreements placed it, not 1.",
        "1 by agreements",
    ),
    "a sale twice": (list_a_sale_twice, "1 sales are listed twice.", "1 by sales"),
    "moments": (
        lambda _, order: ledger.write(order, "OrderEditAgreement", LATER, ()),
        "1 agreements are later than its last change.",
        "1 by moments",
    ),
    "a later agreement cut short": (
        cut_a_later_agreement,
        "its sales without adjustments come to 55.0, its current total is 0.0 (+55.0).",
        "1 by current total, 1 by payments, 1 by quantities",
    ),
}


@pytest.mark.parametrize("what", DISAGREEMENTS)
def test_each_identity_that_fails_is_a_warning_with_name_and_amount_counted_at_the_end(
    shop: Shop, store: Store, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    happens, words, counted = DISAGREEMENTS[what]
    name = add(store, next(placed for situation, placed, _ in PLACEMENTS if situation == "a code for free shipping"))
    happens(shop, store.order(name))
    tap = tap_for(shop)
    tap.read()
    assert {*run_of(tap).orders} == {"#1001", "#1002", "#1003", name}
    said = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert [one for one in said if one.startswith(f"Order {name}: ") and words in one], said
    assert not [one for one in said if one.startswith("Order #100") and name not in one]
    assert f"Orders whose ledger disagrees with the order: {counted}" in caplog.text
    assert caplog.text.count(" 1 by ") == counted.count("1 by ")


# Waiting orders.


def waits_for_attribution(store: Store) -> Callable[[], object]:
    order = store.order("#1002")
    order["customerJourneySummary"] = {"ready": False, "momentsCount": None, "firstVisit": None, "lastVisit": None}
    return lambda: store.ready_journey("#1002", LATER)


def waits_for_a_payment(store: Store) -> Callable[[], object]:
    name = add(store, FIRST, paid=False)
    store.pay_order(name, "2026-10-31T12:00:00.000000Z", status="PENDING")
    return lambda: store.complete_payment(name, LATER)


def waits_for_a_parcel(store: Store) -> Callable[[], object]:
    store.fulfill_order("#1002", "2026-10-31T12:00:00.000000Z")
    store.order("#1002")["fulfillments"][0]["displayStatus"] = "IN_TRANSIT"
    return lambda: store.deliver("#1002", LATER)


def waits_for_a_parcel_that_the_carrier_has_not_scanned(store: Store) -> Callable[[], object]:
    store.fulfill_order("#1002", "2026-10-31T12:00:00.000000Z")
    (parcel,) = store.order("#1002")["fulfillments"]
    parcel.update(displayStatus="FULFILLED", inTransitAt=None)
    assert parcel["trackingInfo"]
    return lambda: store.deliver("#1002", LATER)


def waits_for_a_return(store: Store) -> Callable[[], object]:
    store.open_return("#1002", "2026-10-31T12:00:00.000000Z", 2)
    return lambda: store.process_return("#1002", LATER, {0: 2})


def waits_for_a_return_that_is_cancelled(store: Store) -> Callable[[], object]:
    store.open_return("#1002", "2026-10-31T12:00:00.000000Z", 1)
    return lambda: store.cancel_return("#1002", LATER)


def go_beyond(store: Store) -> None:
    """Let the bookmark lie beyond the orders that wait, so that no run has them in its window."""
    store.change_order("#1001", "2026-11-01T12:00:00.000000Z", note="the newest change")


WAITS = [
    waits_for_attribution,
    waits_for_a_payment,
    waits_for_a_parcel,
    waits_for_a_parcel_that_the_carrier_has_not_scanned,
    waits_for_a_return,
    waits_for_a_return_that_is_cancelled,
]


@pytest.mark.parametrize("method", ["pages", "bulk"])
@pytest.mark.parametrize("waits", WAITS, ids=[one.__name__ for one in WAITS])
def test_what_becomes_final_in_silence_arrives(
    shop: Shop, store: Store, waits: Callable[[Store], Callable[[], object]], method: str
) -> None:
    becomes_final = waits(store)
    go_beyond(store)
    first = read(shop, method=method, lookback_seconds=0)
    assert len(bookmark(first)["waiting"]) == 1
    still = read(shop, first.state, lookback_seconds=0)
    assert dict(still.records) == {}
    before = {order["name"]: order["updatedAt"] for order in store.orders}
    becomes_final()
    assert {order["name"]: order["updatedAt"] for order in store.orders} == before, "in silence"
    second = read(shop, still.state, lookback_seconds=0)
    assert len(second.orders) == 1
    assert bookmark(second)["waiting"] == {}
    assert bookmark(second)["replication_key_value"] == bookmark(first)["replication_key_value"]
    assert dict(read(shop, second.state, lookback_seconds=0).records) == {}


# A part of what an order waits for; it waits on. How many returns are open, and what happens.
PARTS: dict[str, tuple[int, Callable[[Store], object]]] = {
    "a part comes back": (1, lambda store: store.process_return("#1002", LATER, {0: 1})),
    "a part is exchanged for what costs the same": (
        1,
        lambda store: store.process_return("#1002", LATER, {0: 1}, exchanged=[{"price": "50", "off": "5"}]),
    ),
    "one of two returns is cancelled": (2, lambda store: store.cancel_return("#1002", LATER)),
    "one of two returns is processed": (2, lambda store: store.process_return("#1002", LATER, {0: 1})),
}


@pytest.mark.parametrize("moves", [False, True], ids=["in silence", "with a sign"])
@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_what_an_order_waits_for_arrives_and_the_rest_later(store: Store, part: str, *, moves: bool) -> None:
    returns, happens = PARTS[part]
    for _ in range(returns):
        store.open_return("#1002", "2026-10-31T12:00:00.000000Z", 2 // returns)
    go_beyond(store)
    if moves:
        store.practice = Practice()
    with Shop(store, scopes=frozenset({*SCOPES, *MORE_SCOPES})).serve() as granted:
        first = read(granted, lookback_seconds=0)
        happens(store)
        assert (store.order("#1002")["updatedAt"] == LATER) is moves
        second = read(granted, first.state, lookback_seconds=0)
        assert {*second.orders} == {"#1002"}
        assert second.orders["#1002"]["return_status"] == "in_progress"
        assert len(second.orders["#1002"]["agreements"]) == len(store.order("#1002")["_agreements"])
        assert len(bookmark(second)["waiting"]) == 1
        assert dict(read(granted, second.state, lookback_seconds=0).records) == {}
        store.process_return("#1002", "2026-11-04T12:00:00.000000Z", {0: 1})
        third = read(granted, second.state, lookback_seconds=0)
        assert {*third.orders} == {"#1002"}
        assert third.orders["#1002"]["return_status"] == "returned"
        assert bookmark(third)["waiting"] == {}
        assert dict(read(granted, third.state, lookback_seconds=0).records) == {}


def test_a_parcel_that_changes_on_its_way_and_a_further_payment_arrive(shop: Shop, store: Store) -> None:
    waits_for_a_parcel(store)
    go_beyond(store)
    order = store.order("#1002")
    state = read(shop, lookback_seconds=0).state

    def is_noticed() -> bool:
        nonlocal state
        run = read(shop, state, lookback_seconds=0)
        state = run.state
        return {*run.orders} == {"#1002"}

    assert not is_noticed()
    order["fulfillments"][0]["displayStatus"] = "OUT_FOR_DELIVERY"
    assert is_noticed()
    order["fulfillments"][0]["updatedAt"] = LATER  # such as another number to track it by
    assert is_noticed()
    order["transactions"].append({**order["transactions"][0], "id": "gid://shopify/OrderTransaction/77"})
    assert is_noticed()
    order["displayFinancialStatus"] = "PARTIALLY_PAID"
    assert is_noticed()
    assert not is_noticed()


def test_orders_that_wait_are_asked_for_no_more_than_what_they_wait_for(
    shop: Shop, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    waits_for_a_parcel(store)
    waits_for_a_return(store)  # of the same order
    add(store, FIRST)
    store.fulfill_order("#1004", "2026-10-31T12:00:00.000000Z")
    store.order("#1004")["fulfillments"][0]["displayStatus"] = "IN_TRANSIT"
    go_beyond(store)
    first = read(shop, lookback_seconds=0)
    shop.controls.reset()
    with caplog.at_level(logging.DEBUG):
        read(shop, first.state, lookback_seconds=0)
    of_all, of_returns = [one for one in queries(shop) if one["query"].startswith("query ById")]
    assert (len(of_all["variables"]["ids"]), len(of_returns["variables"]["ids"])) == (2, 1)
    assert "deliveredAt" in of_all["query"]
    assert "agreements" not in of_all["query"]
    for asked in (of_all, of_returns):
        assert not {word for word in ("sales", "email", "lineItems", "totalTaxSet") if word in asked["query"]}
    assert "Looked again at 2 orders that wait for something: 0 have changed. That took" in caplog.text


def deny_parcels_by_id(body: Message) -> Message:
    """Twist an answer of a shop: it denies the parcels of what was asked for by id."""
    nodes = body["data"].get("nodes", [])
    gaps = [
        {"message": "No parcels.", "path": ["nodes", place, "fulfillments"], "extensions": {"code": "ACCESS_DENIED"}}
        for place, node in enumerate(nodes)
        if "fulfillments" in node
    ]
    return (
        {**body, "data": {"nodes": [{**node, "fulfillments": None} for node in nodes]}, "errors": gaps}
        if gaps
        else body
    )


def test_what_is_denied_in_the_second_look_is_gone_without_if_that_is_accepted(shop: Shop, store: Store) -> None:
    waits_for_a_parcel(store)
    go_beyond(store)
    first = read(shop, lookback_seconds=0)
    shop.twist = deny_parcels_by_id
    with pytest.raises(RunError, match="Shopify denies fulfillments of orders"):
        read(shop, first.state, lookback_seconds=0)
    second = read(shop, first.state, lookback_seconds=0, accept=["denied_fields"])
    assert {*second.orders} == {"#1002"}
    assert "fulfillments" not in second.orders["#1002"]


def test_an_order_that_is_older_than_the_setting_or_the_setting_0_is_not_looked_at(shop: Shop, store: Store) -> None:
    waits_for_a_parcel(store)
    assert bookmark(read(shop, look_again_days=0))["waiting"] == {}
    first = read(shop)
    assert len(bookmark(first)["waiting"]) == 1
    tap = tap_for(shop, first.state)
    let_it_be(as_datetime(PLACED) + timedelta(days=60), tap)
    tap.sync()
    assert bookmark(run_of(tap))["waiting"] == {}


def test_so_many_orders_are_remembered_and_no_more() -> None:
    since = as_datetime("2026-01-01")
    waiting: dict[str, list[Any]] = {}
    watched = watch.Watch({}, waiting, {}, since=since, again=lambda _: None, logger=logging.getLogger("tap"))
    for number in range(watch.MOST_WAITING + 5):
        json = b'{"id":%d,"updated_at":"2026-11-01T%02d:00:00Z","return_status":"in_progress"}' % (number, number % 24)
        assert watched.passed(Record(json))
    assert len(waiting) == watch.MOST_WAITING
    assert "5 more orders wait for something than the state holds" in watched.summary()


def test_parcels_that_no_carrier_scans_leave_places_to_what_else_waits() -> None:
    since = as_datetime("2026-01-01")
    waiting: dict[str, list[Any]] = {}
    watched = watch.Watch({}, waiting, {}, since=since, again=lambda _: None, logger=logging.getLogger("tap"))
    parcel = b'"fulfillments":[{"id":1,"status":"success","tracking_number":"1Z"}]'
    of_first = b'{"id":0,"updated_at":"2026-11-01T00:00:00Z","return_status":"in_progress"}'
    assert watched.passed(Record(of_first))
    for number in range(1, watch.MOST_WAITING + 1):
        assert watched.passed(Record(b'{"id":%d,"updated_at":"2026-11-02T00:00:00Z",%b}' % (number, parcel)))
    assert (len(waiting), "0" in waiting) == (watch.MOST_BEFORE_SCAN, True)


class Record:
    """A record as the watch looks at it."""

    def __init__(self, json: bytes) -> None:
        self.json = self.judged = json
