"""Bugs that well-known Shopify connectors have, each as a test that ours must pass."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import stamina

from sandbox.controls import Reply
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.moments import as_datetime
from tap_shopify_orders.records import schema
from tap_shopify_orders.settings import handle_of

from .conftest import Collected, let_it_be, read, run_of, settings, tap_for

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND = "2026-11-02T12:00:00"


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


def names(shop: Shop) -> set[str]:
    return {one["name"] for one in shop.store.orders}


def test_orders_that_share_the_second_of_the_bookmark_are_not_lost(shop: Shop) -> None:
    shop.store.change_order("#1003", f"{SECOND}.100000Z", note="early")
    first = read(shop)
    assert first.state["bookmarks"]["orders"]["replication_key_value"] == f"{SECOND}Z"
    shop.store.change_order("#1004", f"{SECOND}.000001Z", note="same second, before")
    shop.store.change_order("#1005", f"{SECOND}.999999Z", note="same second, after")
    assert set(read(shop, first.state).orders) == {"#1004", "#1005"}
    assert set(read(shop, first.state, lookback_seconds=0).orders) == {"#1004", "#1005"}


def test_orders_on_the_edge_of_a_window_are_read_once(shop: Shop) -> None:
    shop.store.change_order("#1003", f"{SECOND}.000000Z", note="on the edge")
    shop.store.change_order("#1004", "2026-11-02T11:59:59.999999Z", note="just before")
    first = read(shop, end_date=f"{SECOND}Z")
    second = read(shop, first.state)
    assert {"#1004"} == {"#1003", "#1004"} & set(first.orders)
    assert set(second.orders) == {"#1003"}


THROTTLED = '{"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]}'


@pytest.mark.parametrize(
    "reply", [Reply(status=429, headers={"Retry-After": "0.1"}), Reply(status=200, body=THROTTLED)], ids=["429", "200"]
)
def test_a_second_page_that_is_throttled_is_not_the_end(shop: Shop, reply: Reply) -> None:
    tap = tap_for(shop)
    tap.begin()
    _ = tap.store.counts({one.name: one.window.search for one in tap.selected_streams})
    shop.controls.reply_next(Reply(), Reply(), Reply(), reply, Reply(), reply, reply)
    tap.sync()
    assert set(run_of(tap).orders) == names(shop)


class Crashing(Collected):
    """Loses its reader after so many records."""

    left = 70

    def write_message(self, message: object) -> None:
        super().write_message(message)
        self.left -= self.messages[-1]["type"] == "RECORD"
        if not self.left:
            raise BrokenPipeError


def test_a_crash_between_pages_loses_nothing(shop: Shop) -> None:
    tap = tap_for(shop)
    tap = type(tap)(config=settings(shop), message_writer=Crashing())
    with pytest.raises(BrokenPipeError):
        tap.sync()
    first = run_of(tap)
    rest = read(shop, first.state)
    assert {*first.orders, *rest.orders} == names(shop)
    kept = {str(one["id"]) for one in first.records["customers"] + rest.records["customers"]}
    assert kept == {one["legacyResourceId"] for one in shop.store.customers}


def test_an_order_that_changes_while_the_run_reads_is_not_lost(shop: Shop) -> None:
    tap = tap_for(shop)
    records: Any = tap.streams["orders"].get_records(None)
    first = next(records).to_dict()
    last = max(shop.store.orders, key=lambda one: one["updatedAt"])["name"]
    shop.store.change_order(last, tap.store.granted.at + timedelta(hours=1), note="changed in the meantime")
    seen = {first["name"], *(one.to_dict()["name"] for one in records)}
    assert seen == names(shop) - {last}
    state = {"bookmarks": {"orders": tap.streams["orders"].stream_state}}
    later = tap_for(shop, state)
    let_it_be(tap.store.granted.at + timedelta(hours=2), later)
    later.sync()
    assert run_of(later).orders[last]["note"] == "changed in the meantime"


def test_an_order_that_moves_within_the_window_is_read_again(shop: Shop) -> None:
    tap = tap_for(shop)
    records: Any = tap.streams["orders"].get_records(None)
    first = next(records).to_dict()
    shop.store.change_order(first["name"], "2026-11-20T00:00:00Z", note="moved")
    again = [one["note"] for one in (one.to_dict() for one in records) if one["name"] == first["name"]]
    assert again == ["moved"]


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_access_that_ends_in_the_middle_of_a_run_is_no_success(shop: Shop, status: int) -> None:
    tap = tap_for(shop)
    tap.begin()
    _ = tap.store.counts({one.name: one.window.search for one in tap.selected_streams})
    shop.controls.reply_next(*[Reply()] * 6, Reply(status=status))
    with pytest.raises(RunError):
        tap.sync()
    run = run_of(tap)
    assert 0 < len(run.orders) < len(names(shop))
    assert {*run.orders, *read(shop, run.state).orders} == names(shop)


def test_a_customer_object_that_is_denied_is_not_an_empty_stream() -> None:
    with Shop(cdnow_store(date(2026, 10, 31), customers=5), approved=frozenset()).serve() as shop:
        with pytest.raises(RunError, match="denies all of customers"):
            read(shop)
        with pytest.raises(RunError, match="denies all of customers"):
            read(shop, accept=["denied_fields"])


def test_closed_and_cancelled_orders_are_there(shop: Shop) -> None:
    shop.store.cancel_order("#1006", "2026-11-02T12:00:00Z", "FRAUD")
    orders = read(shop).orders
    assert set(orders) == names(shop)
    assert orders["#1006"]["cancel_reason"] == "fraud"
    assert [one for one in orders.values() if one["closed_at"]]


def test_every_kind_of_refund_is_whole(shop: Shop) -> None:
    many = next(one for one in shop.store.orders if len(one["lineItems"]) == 300)["name"]
    shop.store.refund_order(many, "2026-11-02T12:00:00Z", quantities=dict.fromkeys(range(30), 1))
    shop.store.refund_order("#1007", "2026-11-02T12:00:00Z", amount="1.25")
    shop.store.refund_order("#1007", "2026-12-02T12:00:00Z")
    assert [len(one["refund_line_items"]) for one in read(shop).orders[many]["refunds"]] == [30]
    later = tap_for(shop)
    let_it_be(as_datetime("2027-01-01"), later)
    later.sync()
    only_money, everything = run_of(later).orders["#1007"]["refunds"][-2:]
    assert only_money["refund_line_items"] == []
    assert abs(Decimal(only_money["total_refunded"])) == Decimal("1.25")
    assert everything["refund_line_items"]
    assert everything["created_at"] == "2026-12-02T12:00:00Z"


def test_money_has_the_digits_of_its_currency(shop: Shop) -> None:
    orders = read(shop).records["orders"]
    digits = {"JPY": 0, "KWD": 3}
    found = set()
    for one in orders:
        amount = one["total_price_set"]["presentment_money"]
        if amount["currency_code"] in digits:
            found.add(amount["currency_code"])
            exponent = Decimal(amount["amount"]).normalize().as_tuple().exponent
            assert -int(exponent) <= digits[amount["currency_code"]]
        assert isinstance(amount["amount"], str)
    assert found == set(digits)


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(one.title() for one in rest)


def test_every_amount_is_the_text_that_shopify_sent(shop: Shop) -> None:
    names_of_money = [one.name for one in schema.ORDERS if one.name.endswith("_set") and len(one.source) == 1]
    orders = read(shop).orders
    assert len(names_of_money) == 22
    for one in orders.values():
        there = shop.store.order(one["name"])
        for name in names_of_money:
            sides = there.get(camel(name.replace("_additional_", "_total_additional_"))) or {}
            amounts = {
                camel(side): {camel(key): text for key, text in of.items()} for side, of in (one[name] or {}).items()
            }
            assert amounts == sides
            assert one[name.removesuffix("_set")] == sides.get("shopMoney", {}).get("amount")


def test_many_line_items_and_many_discount_codes_are_all_there(shop: Shop) -> None:
    codes = [f"CODE{number}" for number in range(120)]
    shop.store.change_order("#1003", "2026-11-02T12:00:00Z", discountCodes=codes)
    orders = read(shop).orders
    assert [one["code"] for one in orders["#1003"]["discount_codes"]] == codes
    assert max(len(one["line_items"]) for one in orders.values()) == 300


def test_test_orders_and_other_channels_are_told_apart(shop: Shop) -> None:
    shop.store.change_order("#1003", "2026-11-02T12:00:00Z", sourceName="pos")
    shop.store.change_order("#1004", "2026-11-02T12:00:00Z", sourceName="shopify_draft_order")
    shop.store.change_order("#1005", "2026-11-02T12:00:00Z", sourceName="subscription_contract")
    orders = read(shop).orders
    assert orders["#1003"]["source_name"] == "pos"
    assert orders["#1005"]["source_name"] == "subscription_contract"
    assert orders["#1004"]["source_name"] == "shopify_draft_order"
    assert {name for name, one in orders.items() if one["test"]} == {
        one["name"] for one in shop.store.orders if one["test"]
    }


@pytest.mark.parametrize("typed", ["My-Shop", "https://my-shop.myshopify.com/", "admin.shopify.com/store/my-shop"])
def test_a_store_may_be_written_in_many_ways(typed: str) -> None:
    assert handle_of(typed) == "my-shop"


def test_an_answer_of_another_version_is_no_success(shop: Shop) -> None:
    tap = tap_for(shop)
    tap.begin()
    _ = tap.store.counts({one.name: one.window.search for one in tap.selected_streams})
    shop.controls.reply_next(
        Reply(), Reply(status=200, body='{"data": {}}', headers={"X-Shopify-API-Version": "2027-07"})
    )
    with pytest.raises(RunError, match="2027-07 instead of 2026-10"):
        tap.sync()


def test_a_journey_that_becomes_ready_is_read_again(shop: Shop) -> None:
    visited = next(one for one in shop.store.orders if one.get("customerJourneySummary"))
    summary = {**visited["customerJourneySummary"], "ready": False}
    shop.store.change_order(visited["name"], "2026-11-01T12:00:00Z", customerJourneySummary=summary)
    first = read(shop)
    waiting = first.orders[visited["name"]]
    assert waiting["customer_journey"]["ready"] is False
    journey = {**shop.store.order(waiting["name"])["customerJourneySummary"], "ready": True, "daysToConversion": 3}
    shop.store.change_order(waiting["name"], "2026-11-02T12:00:00Z", customerJourneySummary=journey)
    again = read(shop, first.state).orders[waiting["name"]]
    assert again["customer_journey"]["ready"] is True
    assert again["customer_journey"]["days_to_conversion"] == 3


@pytest.mark.parametrize("value", ["null", "undefined", "0", "x" * 300])
def test_what_a_cart_carries_comes_as_it_is(shop: Shop, value: str) -> None:
    attributes = [{"key": "_posthog_distinct_id", "value": value}]
    shop.store.change_order("#1003", "2026-11-02T12:00:00Z", customAttributes=attributes)
    found = read(shop, start_date="2026-11-01").orders["#1003"]["note_attributes"]
    assert found == [{"name": "_posthog_distinct_id", "value": value}]


def test_a_token_that_sees_60_days_only_is_noticed() -> None:
    scopes = ("read_customers", "read_orders", "read_products")
    with Shop(cdnow_store(date(2026, 10, 31), customers=10), scopes=scopes).serve() as shop:
        with pytest.raises(RunError, match="60 days only"):
            read(shop)
        run = read(shop, accept=["partial_history"])
        made = sum(one["orders_count"] for one in run.records["customers"])
        assert len(run.orders) < made
