"""Shopify's report, its ledger and PostHog side by side, over real HTTP: what differs has a name, or is an error."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from sandbox.shop.access import MORE_SCOPES, SCOPES
from sandbox.shop.practice import Practice
from target_posthog.books import ledger
from target_posthog.books.bookkeeper import NO_LEDGER, NOTHING_READ, UNEXPLAINED, UNFINISHED
from target_posthog.books.differences import (
    ABSENT,
    DELETED,
    ERASED,
    IN_FLIGHT,
    NEWER,
    NOT_IN_SHOP,
    NOT_SENT,
    NOT_THERE,
    OTHER_AMOUNT,
    OTHER_FIGURES,
    OTHER_SOURCE,
)
from target_posthog.commands.group import commands
from tests.posthog_events import event, send
from tests.tap.conftest import of_october

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.shop.store import Store
    from tests.books.conftest import Desk

DAY = "2026-11-03"
AT = f"{DAY}T12:00:00Z"
TOKYO = {"id": "gid://shopify/Shop/7", "myshopifyDomain": "tokyo.myshopify.com", "ianaTimezone": "Asia/Tokyo"}


def plain(store: Store) -> dict[str, Any]:
    """An order that was paid, in the shop's currency, and nothing else happened to it."""
    return next(
        one
        for one in store.orders
        if one["displayFinancialStatus"] == "PAID"
        and one["currencyCode"] == "USD"
        and len(one["_deeds"]) == 1
        and len(one["lineItems"]) == 1
        and not one["test"]
    )


def net(figures: dict[str, str]) -> str:
    return f"{Decimal(figures['net_sales']):.2f}"


def test_what_a_run_brings_is_what_the_shops_own_report_says(desk: Callable[..., Desk]) -> None:
    books = desk(customers=12)
    books.preview()
    books.run()
    said = books.reconcile()
    assert said.code == 0, said.text
    assert "✓ The books balance" in said.text
    report, kept, arrived = (said.column(side) for side in ("Shopify's report", "ledger", "PostHog"))
    assert len(report) > 20
    assert kept.keys() == arrived.keys() >= report.keys()
    for day, figures in report.items():
        for name, amount in figures.items():
            assert Decimal(amount) == Decimal(kept[day].get(name, 0)) == Decimal(arrived[day].get(name, 0)), (day, name)
    assert {"tips"} <= {name for figures in kept.values() for name in figures} - {*next(iter(report.values()))}
    assert "days of America/New_York" in said.text
    assert "Days are those of America/New_York; PostHog's project shows those of UTC" in said.text


def test_before_a_run_what_is_planned_stands_in_posthogs_place(desk: Callable[..., Desk]) -> None:
    books = desk()
    books.preview()
    said = books.reconcile(asks=False)
    assert said.code == 0, said.text
    assert said.text.splitlines()[1].split("  ")[-1].strip() == "planned"
    assert "PostHog wasn't asked: that needs" in said.text
    assert books.posthog.controls.requests == []
    asked = books.reconcile()
    assert asked.code == 1
    assert {NOT_THERE} == asked.reasons, "there are no receipts yet"


@pytest.mark.parametrize(
    ("practice", "reason"),
    [
        (Practice(tips_in_total=True), ledger.TIPS),
        (Practice(adjustments_in_returns=False, reports_other_tests=True), ledger.ADJUSTMENTS),
        (Practice(reports_processed=True), ledger.REFUNDED_AT),
    ],
)
def test_another_reading_of_the_ledger_is_named_with_its_orders_and_amounts(
    desk: Callable[..., Desk], practice: Practice, reason: str
) -> None:
    books = desk(practice, customers=12)
    store = books.shops[0].store
    kind, tested = plain(store), next(one for one in store.orders if one["test"] and one["currencyCode"] == "USD")
    earlier = "2026-10-20T12:00:00Z" if practice.reports_processed else None
    store.refund_order(kind["name"], AT, amount="3.00", processed_at=earlier)
    store.change_order(tested["name"], AT, paymentGatewayNames=["bogus"])
    books.preview()
    books.run()
    said = books.reconcile()
    assert said.code == 0, said.text
    assert "✓ Each difference is explained" in said.text
    expected = {
        ledger.TIPS: practice.tips_in_total,
        ledger.ADJUSTMENTS: not practice.adjustments_in_returns,
        ledger.TEST_ORDERS: practice.reports_other_tests,
        ledger.REFUNDED_AT: practice.reports_processed,
    }
    assert said.reasons == {name for name, holds in expected.items() if holds}
    assert all(orders.startswith("#") for _, orders, _ in said.named(reason))
    if not practice.adjustments_in_returns:
        found = [(day, orders, net(figures)) for day, orders, figures in said.named(ledger.ADJUSTMENTS)]
        assert (DAY, kind["name"], "-3.00") in found
    if practice.reports_other_tests:
        assert tested["name"] in {orders for _, orders, _ in said.named(ledger.TEST_ORDERS)}


def test_a_second_agreement_that_places_an_order_is_booked_where_its_event_is(desk: Callable[..., Desk]) -> None:
    """Nobody has seen one; its event is `Order Updated`, at its own time."""
    books = desk()
    store = books.shops[0].store
    name = plain(store)["name"]
    store.edit_order(name, AT, added=[{"price": "50"}])
    messages = books.messages()
    (record,) = (one["record"] for one in messages if one.get("record", {}).get("name") == name)
    record["agreements"][-1]["kind"] = ledger.PLACING
    books.preview(messages)
    books.run(messages)
    said = books.reconcile()
    assert said.code == 0, said.text
    assert said.reasons == set()
    kept, arrived = (said.column(side)[DAY] for side in ("ledger", "PostHog"))
    assert Decimal(kept["net_sales"]) == Decimal(arrived["net_sales"]) == 50


def test_a_difference_that_no_reading_explains_is_an_error_with_day_column_and_amount(
    desk: Callable[..., Desk],
) -> None:
    books = desk()
    store = books.shops[0].store
    order = plain(store)
    store.refund_order(order["name"], AT, {0: 1})
    order["_deeds"].pop()  # the report doesn't know of it
    books.preview()
    books.run()
    said = books.reconcile()
    assert said.code == 1
    ((day, _, figures),) = said.named(UNEXPLAINED)
    assert (day, Decimal(figures["net_sales"]) < 0) == (DAY, True)
    amount = Decimal(figures["net_sales"])
    assert f"✗ {DAY}: returns {amount:+,.2f}, net sales {amount:+,.2f}" in said.text
    assert "✗ The books don't balance" in said.text


def test_a_day_of_which_no_order_was_read_says_what_may_be_missing(desk: Callable[..., Desk]) -> None:
    books = desk()
    messages = [one for one in books.messages() if (one["type"], one.get("stream")) != ("RECORD", "orders")]
    books.preview(messages)
    said = books.reconcile(asks=False)
    assert (said.code, said.reasons) == (1, {NOTHING_READ}), said.text


def test_without_the_report_there_are_two_columns_and_a_sentence(desk: Callable[..., Desk]) -> None:
    books = desk(scopes=frozenset({*SCOPES, *MORE_SCOPES} - {"read_reports"}))
    books.preview()
    books.run()
    said = books.reconcile("--time-zone", "Europe/Berlin")
    assert said.code == 0
    assert said.text.splitlines()[1].split() == ["ledger", "PostHog"]
    assert said.text.count("with the scope read_reports (stream sales_by_day) it is the first column") == 1
    assert "days of Europe/Berlin" in said.text


def test_an_order_without_a_ledger_is_named_and_its_total_is_compared(desk: Callable[..., Desk]) -> None:
    books = desk()
    order = plain(books.shops[0].store)
    books.shops[0].store.hide_ledger(order["name"], AT)
    books.preview(books.messages(accept=["no_ledger"]))
    said = books.reconcile(asks=False)
    named = said.named(NO_LEDGER)
    assert [orders for _, orders, _ in named] == [order["name"]]
    assert {"gross_sales", "net_sales"} <= named[0][2].keys()
    assert "total_sales" not in named[0][2]


def test_what_happened_while_the_shop_was_read_is_known(desk: Callable[..., Desk]) -> None:
    books = desk()
    store = books.shops[0].store
    before = books.messages()
    store.refund_order(plain(store)["name"], datetime.now(timezone.utc), {0: 1})
    report = [one for one in books.messages() if one.get("stream") == "sales_by_day"]
    messages = [one for one in before if one.get("stream") != "sales_by_day"]
    books.preview([*messages[:-1], *report, messages[-1]])
    said = books.reconcile(asks=False)
    assert (said.code, said.reasons) == (0, {UNFINISHED}), said.text


def test_what_is_newer_than_the_preview_is_known(desk: Callable[..., Desk]) -> None:
    books = desk()
    store = books.shops[0].store
    books.preview()
    store.refund_order(plain(store)["name"], datetime.now(timezone.utc) - timedelta(seconds=1), {0: 1})
    books.run()  # reads what changed before the second in which it begins
    said = books.reconcile()
    assert (said.code, said.reasons) == (0, {NEWER}), said.text


def test_the_days_of_a_shop_are_its_own_over_the_change_of_the_clocks(desk: Callable[..., Desk]) -> None:
    """New York's clocks change on November 1, 2026, at 6:00 UTC: the day has 25 hours."""
    books = desk()
    store = books.shops[0].store
    edges = {"2026-11-01T03:59:59Z": "2026-10-31", "2026-11-01T04:00:00Z": "2026-11-01"}
    edges |= {"2026-11-02T04:59:59Z": "2026-11-01", "2026-11-02T05:00:00Z": "2026-11-02"}
    orders = [one for one in store.orders if one["displayFinancialStatus"] == "PAID" and one["currencyCode"] == "USD"]
    for order, at in zip(orders, edges, strict=False):
        store.refund_order(order["name"], at, amount="1.00")
    books.preview()
    books.run()
    said = books.reconcile("--by", "day")
    assert said.code == 0, said.text
    for side in ("Shopify's report", "ledger", "PostHog"):
        found = {day: figures["net_sales"] for day, figures in said.column(side).items() if day >= "2026-10-31"}
        assert {day: Decimal(amount) for day, amount in found.items()} == {
            "2026-10-31": -1,
            "2026-11-01": -2,
            "2026-11-02": -1,
        }, side


def test_copies_that_posthog_has_not_merged_are_told_and_count_once(desk: Callable[..., Desk]) -> None:
    books = desk()
    messages = books.messages()
    books.preview(messages)
    books.run(messages)
    books.run(messages, receipts=None)
    said = books.reconcile()
    assert said.code == 0, said.text
    assert "copies not merged yet (" in said.text
    assert "Order Completed" in said.text.split("copies not merged yet (")[1].split(")")[0]
    figures = said.column("PostHog")
    books.posthog.merge()
    said = books.reconcile()
    assert "not merged yet" not in said.text
    assert said.column("PostHog") == figures


def test_what_posthog_no_longer_gives_is_not_called_missing(desk: Callable[..., Desk]) -> None:
    books = desk()
    messages = books.messages()
    books.preview(messages)
    books.run(messages)
    now = datetime.now(timezone.utc)
    months = (now.year - 2025) * 12 + now.month - 11
    books.posthog.events_retention_enforced, books.posthog.event_retention_months = True, months
    said = books.reconcile()
    assert said.code == 0, said.text
    assert f"PostHog gives no events older than {months} months: what is from before 2025-11" in said.text
    assert min(said.column("PostHog")) >= "2025-11"
    books.posthog.key_scopes = frozenset(("query:read",))
    said = books.reconcile()
    assert said.reasons == {ABSENT}
    assert "The personal API key may not read the project's settings (scope project:read)" in said.text


def test_a_dead_letter_is_the_reason(desk: Callable[..., Desk]) -> None:
    books = desk()
    letters = books.folder / "dead.jsonl"
    messages = books.messages()
    books.preview(messages)
    books.posthog.verdicts = {"Order Completed": ["drop:rejected"]}
    books.run(messages, dead_letter_path=str(letters))
    said = books.reconcile("--dead-letter-path", str(letters))
    assert said.code == 1, "an alert, until it is sent"
    ((_, order, figures),) = said.named("dead letter: ")
    assert order.startswith("#")
    assert Decimal(figures["total_sales"]) < 0


def lost(books: Desk) -> tuple[Any, str, Path]:
    """Run, and let PostHog lose an order's event; give the messages, the order's name and the run's summary."""
    messages = books.messages()
    name = plain(books.shops[0].store)["name"]
    summary = books.folder / "summary.json"
    books.preview(messages)
    books.run(messages, summary_path=str(summary))
    books.posthog.database.ask(
        "delete from events where event = 'Order Completed' and json_extract(properties, '$.order_name') = ?", [name]
    )
    return messages, name, summary


@pytest.mark.parametrize("is_recent", [False, True])
def test_what_is_acknowledged_and_absent_is_named_with_its_remedy(
    desk: Callable[..., Desk], *, is_recent: bool
) -> None:
    books = desk()
    _, lost_name, summary = lost(books)
    said = books.reconcile(*(["--summary-path", str(summary)] if is_recent else []))
    assert said.code == (0 if is_recent else 1), said.text
    ((_, name, _),) = said.named(IN_FLIGHT if is_recent else ABSENT)
    assert name == lost_name
    remedy = "they may be on their way, ask again in a day" if is_recent else "`resend --missing` sends them"
    assert f"PostHog doesn't show them; {remedy}:" in said.text


def test_what_was_the_oldest_is_absent_too_and_of_an_emptied_project_that_is_said(desk: Callable[..., Desk]) -> None:
    books = desk()
    books.run()
    books.preview()
    ((oldest,),) = books.posthog.database.ask("select min(at_microseconds) from events")
    books.posthog.database.ask("delete from events where at_microseconds = ?", [oldest])
    said = books.reconcile()
    assert said.code == 1, said.text
    assert "PostHog doesn't show them; `resend --missing` sends them:" in said.text
    books.posthog.database.ask("delete from events")
    said = books.reconcile()
    assert said.code == 1, said.text
    assert "PostHog shows no event at all" in said.text
    assert "`target-posthog receipts forget`" in said.text


def test_what_was_erased_on_purpose_is_said_and_not_to_be_sent_again(desk: Callable[..., Desk]) -> None:
    books = desk()
    email = plain(books.shops[0].store)["email"].lower()
    books.run()
    books.posthog.database.ask("delete from events where distinct_id = ?", [email])
    where = ["--receipts", str(books.folder / "receipts.sqlite"), "--api-key", "phc_sandbox"]
    done = CliRunner().invoke(commands, ["receipts", "erase", *where, email, "--yes"])
    assert done.exit_code == 0, done.output
    books.preview()
    said = books.reconcile()
    assert said.code == 0, said.text
    assert said.reasons == {ERASED}
    assert "resend --missing" not in said.text


def test_what_an_earlier_run_has_sent_is_not_in_flight_for_ever(desk: Callable[..., Desk]) -> None:
    """A run that is scheduled each hour always has a summary of the last day."""
    books = desk()
    messages, lost_name, summary = lost(books)
    books.run(messages, summary_path=str(summary))  # and sends nothing
    said = books.reconcile("--summary-path", str(summary))
    assert said.code == 1, said.text
    assert {name for _, name, _ in said.named(ABSENT)} == {lost_name}
    assert "`resend --missing` sends them:" in said.text
    assert "on their way" not in said.text


@pytest.mark.parametrize("text", ["", "[]", '{"days": [1]}', "{}"])
def test_a_summary_that_is_none_is_named(desk: Callable[..., Desk], text: str) -> None:
    books = desk()
    books.preview()
    summary = books.folder / "summary.json"
    summary.write_text(text)
    said = books.reconcile("--summary-path", str(summary), asks=False)
    assert said.code == 1
    assert f"`summary_path`: the file {summary} isn't the summary of a run" in said.text


def test_a_later_event_of_an_order_that_is_acknowledged_and_absent_is_no_unknown_one(desk: Callable[..., Desk]) -> None:
    books = desk()
    store = books.shops[0].store
    order = plain(store)
    store.refund_order(order["name"], AT, {0: 1})
    messages = books.messages()
    books.preview(messages)
    books.run(messages)
    books.posthog.database.ask("delete from events where event = 'Order Refunded'")
    said = books.reconcile()
    assert {order["name"]} <= {name for _, name, _ in said.named(ABSENT)}
    assert said.reasons == {ABSENT}


def test_what_no_run_has_sent_is_an_error(desk: Callable[..., Desk]) -> None:
    books = desk()
    store = books.shops[0].store
    books.run()
    order = plain(store)
    store.refund_order(order["name"], AT, {0: 1})
    books.preview()
    said = books.reconcile()
    assert said.code == 1
    ((day, name, _),) = said.named(NOT_SENT)
    assert (day, name) == (DAY, order["name"])


def test_a_refund_that_is_zero_in_posthog_is_an_error(desk: Callable[..., Desk]) -> None:
    books = desk()
    store = books.shops[0].store
    store.refund_order(plain(store)["name"], AT, amount="3.00")
    books.preview()
    books.run()
    zero = ", ".join(f"'$.{name}', 0" for name in ("returns", "net_sales", "total_sales"))
    books.posthog.database.ask(
        f"update events set properties = json_set(properties, {zero}) where event = 'Order Refunded'"  # ours
    )
    said = books.reconcile()
    assert said.code == 1
    assert (DAY, "3.00") in [(day, net(figures)) for day, _, figures in said.named(OTHER_AMOUNT)]


def test_a_rule_that_makes_a_refund_zero_is_an_error_before_anything_is_sent(desk: Callable[..., Desk]) -> None:
    books = desk()
    store = books.shops[0].store
    order = plain(store)
    store.refund_order(order["name"], AT, amount="3.00")
    zero = dict.fromkeys(("returns", "net_sales", "total_sales"), "`0`")
    books.preview(mappings={"orders": [{"extends": "Order Refunded", "properties": zero}]})
    said = books.reconcile(asks=False)
    assert said.code == 1
    assert (DAY, order["name"], "3.00") in [(day, name, net(one)) for day, name, one in said.named(OTHER_FIGURES)]


def test_a_filter_of_ones_own_is_the_reason(desk: Callable[..., Desk]) -> None:
    books = desk()
    order = plain(books.shops[0].store)
    rule = {"leave_out": "our own", "when": f"name == '{order['name']}'"}
    books.preview(mappings={"orders": [rule]})
    books.run(mappings={"orders": [rule]})
    said = books.reconcile()
    assert said.code == 0, said.text
    assert {name for _, name, _ in said.named("left out: our own")} == {order["name"]}


def test_renamed_events_are_found_by_their_rules(desk: Callable[..., Desk]) -> None:
    books = desk()
    renamed = {"mappings": {"orders": [{"extends": "Order Completed", "event": "Bestellung"}]}}
    books.preview(**renamed)
    books.run(**renamed)
    assert "Bestellung" in {one["event"] for one in books.posthog.events()}
    said = books.reconcile()
    assert said.code == 0, said.text
    assert "✓ The books balance" in said.text


def test_another_source_of_the_same_events_is_an_error(desk: Callable[..., Desk]) -> None:
    books = desk()
    books.preview()
    books.run()
    pixel = event(7, "Order Completed", "1@x.io", "2026-10-20T10:00:00Z", net_sales=10.10, currency="USD")
    send(books.posthog, pixel | {"uuid": "0194762c-c2b1-74ba-97ce-e14a2c8b3c8e"})
    said = books.reconcile()
    assert (said.code, said.reasons) == (1, {OTHER_SOURCE}), said.text


OTHERS_UUID = "0194762c-c2b1-74ba-97ce-e14a2c8b3c8e"


@pytest.mark.parametrize("affiliation", ["My Store", None])
@pytest.mark.parametrize("zones", [1, 2])
def test_another_source_that_names_no_shop_of_ours_is_an_error(
    desk: Callable[..., Desk], affiliation: str | None, zones: int
) -> None:
    books = desk(fields=({}, TOKYO)[:zones])
    books.preview()
    books.run()
    pixel = event(7, "Order Completed", "1@x.io", "2026-10-20T10:00:00Z", net_sales=16.50, currency="USD")
    pixel["properties"] |= {"affiliation": affiliation} if affiliation else {}
    send(books.posthog, pixel | {"uuid": OTHERS_UUID})
    said = books.reconcile()
    assert (said.code, said.reasons) == (1, {OTHER_SOURCE}), said.text
    assert [net(figures) for _, _, figures in said.named(OTHER_SOURCE)] == ["16.50"], "once, whatever the zones"
    assert "aren't compared" not in said.text


def test_another_source_whose_money_has_other_names_is_an_error(desk: Callable[..., Desk]) -> None:
    books = desk()
    books.preview()
    books.run()
    pixel = event(7, "Order Completed", "1@x.io", "2026-10-20T10:00:00Z", revenue=16.50, currency="USD")
    send(books.posthog, pixel | {"uuid": OTHERS_UUID})
    said = books.reconcile()
    assert (said.code, said.reasons) == (1, {OTHER_SOURCE}), said.text
    assert "2026-10-20 Order Completed: an event in PostHog beyond planned: another source" in said.text


def test_a_deleted_order_is_an_error_until_a_run_has_taken_it_back(desk: Callable[..., Desk]) -> None:
    books = desk()
    store = books.shops[0].store
    order = plain(store)
    first = books.messages()
    books.run(first)
    store.delete_order(order["name"], AT)
    books.preview()
    said = books.reconcile()
    assert (said.code, said.reasons) == (1, {NOT_IN_SHOP}), said.text
    assert {name for _, name, _ in said.named(NOT_IN_SHOP)} == {order["name"]}
    state = next(one["value"] for one in reversed(first) if one["type"] == "STATE")
    books.run(books.messages(state=of_october(state)))
    said = books.reconcile()
    assert (said.code, said.reasons) == (0, {DELETED}), said.text
    amounts = [Decimal(figures["net_sales"]) for _, _, figures in said.named(DELETED)]
    assert sum(amounts) == 0
    assert len(amounts) == 2


def test_several_shops_are_kept_apart_each_by_its_own_days(desk: Callable[..., Desk]) -> None:
    books = desk(fields=({}, TOKYO))
    for shop in books.shops:
        shop.store.refund_order(plain(shop.store)["name"], f"{DAY}T20:00:00Z", amount="3.00")
    books.preview()
    books.run()
    said = books.reconcile()
    assert said.code == 0, said.text
    assert "tokyo.myshopify.com, USD, days of Asia/Tokyo" in said.text
    for shop, day in (("sandbox", DAY), ("tokyo", "2026-11-04")):
        for side in ("Shopify's report", "ledger", "PostHog"):
            assert Decimal(said.column(side, shop=shop)[day]["net_sales"]) == -3, (shop, side)
    books.shops.pop()
    books.preview()
    said = books.reconcile()
    assert said.code == 0, said.text
    assert "events of tokyo.myshopify.com aren't compared: the preview has no such shop" in said.text


def test_a_shop_without_sales_keeps_nobody_from_the_books_of_another(desk: Callable[..., Desk]) -> None:
    books = desk(fields=({}, TOKYO))
    messages = []
    for message in books.messages():
        record = message.get("record", {})
        if record.get("shop") == TOKYO["myshopifyDomain"]:  # it has no report, and so the days of `time_zone`
            if message["stream"] == "sales_by_day":
                continue
            record["test"] = True
        messages.append(message)
    books.preview(messages)
    books.run(messages)
    said = books.reconcile()
    assert said.code == 0, said.text
    assert "✓ The books balance" in said.text


@pytest.mark.parametrize("asks", [True, False])
def test_a_preview_without_money_is_no_balance(desk: Callable[..., Desk], *, asks: bool) -> None:
    books = desk()
    books.run()
    books.preview([one for one in books.messages() if one["type"] != "RECORD"])
    said = books.reconcile(asks=asks)
    assert said.code == 1
    assert "The preview holds no money to compare" in said.text
    assert "balance" not in said.text


def test_a_renamed_shop_is_the_same_shop(desk: Callable[..., Desk]) -> None:
    books = desk()
    books.run()
    books.shops[0].store.shop["myshopifyDomain"] = "renamed.myshopify.com"
    books.preview()
    said = books.reconcile()
    assert said.code == 0, said.text
    assert "renamed.myshopify.com was called sandbox.myshopify.com when some events were sent" in said.text
    arrived = said.column("PostHog")
    for day, figures in said.column("ledger").items():
        assert net(figures) == net(arrived[day]), day


def test_a_shop_that_changed_its_currency_or_its_zone_is_told(desk: Callable[..., Desk]) -> None:
    books = desk()
    messages = books.messages()
    days = [one for one in messages if one["type"] == "RECORD" and one["stream"] == "sales_by_day"]
    days[0]["record"] |= {"time_zone": "Europe/Berlin", "currency": "CAD"}
    books.preview(messages)
    said = books.reconcile(asks=False)
    assert "sandbox.myshopify.com has changed its time zone: days are those of America/New_York" in said.text
    assert "sandbox.myshopify.com has changed its currency to USD" in said.text
    assert "are of another currency than sandbox.myshopify.com has now (USD)" in said.text
