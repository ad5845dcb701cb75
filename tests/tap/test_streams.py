"""Windows, bookmarks and re-reads: nothing is lost, nothing comes twice without need."""

from __future__ import annotations

import signal
from contextlib import nullcontext
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from sandbox.controls import Reply
from sandbox.shop import Shop
from tap_shopify_orders.bookmark import Bookmarks
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.moments import as_datetime
from tap_shopify_orders.reading.known import MOST_KNOWN_RECORDS, Known, Mark
from tap_shopify_orders.shopify.answers import Busy
from tap_shopify_orders.store_run import StoreRun

from .conftest import Interrupting, Message, Run, catalog_of, of_october, queries, read, run_of, settings, tap_for

NOON = "2026-11-02T12:00:00Z"


def searches(shop: Shop) -> list[str]:
    """Return the windows that the last run asked for, of orders."""
    pages = [one for one in queries(shop) if one["query"].startswith("query Orders")]
    return list(dict.fromkeys(one["variables"]["query"] for one in pages if one["variables"]["query"]))


def test_a_second_run_reads_only_what_changed(shop: Shop) -> None:
    first = read(shop)
    shop.store.change_order("#1005", NOON, note="Ring twice")
    second = read(shop, first.state)
    assert list(second.orders) == ["#1005"]
    assert second.orders["#1005"]["note"] == "Ring twice"
    assert second.state["bookmarks"]["orders"]["replication_key_value"] == NOON


def test_a_run_without_changes_emits_nothing_and_keeps_its_state(shop: Shop) -> None:
    first = read(shop)
    shop.controls.reset()
    second = read(shop, first.state)
    assert dict(second.records) == {}
    assert second.state == first.state
    # What is granted, for each stream how much, a page of records and of deletions (of orders two), what orders wait
    # for, and two for the trial of the search for customers; and one for what orders with an open return wait for.
    waiting = [one for one in first.orders.values() if str(one["id"]) in first.state["bookmarks"]["orders"]["waiting"]]
    assert len(queries(shop)) == 11 + any(one["return_status"] == "in_progress" for one in waiting)


def test_a_run_without_changes_costs_a_handful_of_points(shop: Shop) -> None:
    shop.store.change_order("#1003", NOON, note="the last change for hours")
    tap = tap_for(shop, read(shop).state)
    tap.sync()
    assert tap.store.client.points < 300  # an order with all that belongs to it costs about 120


def test_the_window_is_quoted_utc_inclusive_below_and_exclusive_above(shop: Shop) -> None:
    first = read(shop)
    shop.controls.reset()
    read(shop, first.state)
    (search,) = searches(shop)
    bookmark = as_datetime(first.state["bookmarks"]["orders"]["replication_key_value"])
    begins = (bookmark - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert search.startswith(f"updated_at:>='{begins}' AND updated_at:<'")
    until = as_datetime(search[-21:-1])
    assert timedelta(0) <= shop.clock() - until < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("settings", "begins"),
    [
        ({}, "updated_at:<'"),
        ({"start_date": "2026-03-01"}, "updated_at:>='2026-03-01T00:00:00Z' AND updated_at:<'"),
        ({"start_date": "2026-03-01T02:00:00+02:00"}, "updated_at:>='2026-03-01T00:00:00Z' AND updated_at:<'"),
    ],
)
def test_the_start_date_is_the_same_clock_as_the_bookmark(shop: Shop, settings: dict[str, Any], begins: str) -> None:
    run = read(shop, **settings)
    (search,) = searches(shop)
    assert search.startswith(begins)
    since = as_datetime(settings.get("start_date", "2000-01-01"))
    there = {one["name"] for one in shop.store.orders if as_datetime(one["updatedAt"]) >= since}
    assert set(run.orders) == there


def test_the_end_date_bounds_a_backfill_and_the_next_one_goes_on_there(shop: Shop) -> None:
    first = read(shop, end_date="2026-06-01")
    assert max(one["updated_at"] for one in first.records["orders"]) < "2026-06-01"
    second = read(shop, first.state)
    assert set(first.orders) | set(second.orders) == {one["name"] for one in shop.store.orders}
    assert not set(first.orders) & set(second.orders)


def test_the_lookback_catches_what_the_search_learns_late_and_the_bookmark_stays(shop: Shop) -> None:
    first = read(shop)
    bookmark = first.state["bookmarks"]["orders"]["replication_key_value"]
    late = as_datetime(bookmark) - timedelta(minutes=50)
    shop.store.change_order("#1003", late, note="late")
    second = read(shop, first.state)
    assert list(second.orders) == ["#1003"]
    assert second.state["bookmarks"]["orders"]["replication_key_value"] == bookmark
    assert dict(read(shop, second.state).records) == {}


def test_a_change_within_the_same_second_is_emitted(shop: Shop) -> None:
    shop.store.change_order("#1003", "2026-11-02T12:00:00.100000Z", note="one")
    first = read(shop)
    shop.store.change_order("#1003", "2026-11-02T12:00:00.900000Z", note="two")
    second = read(shop, first.state)
    assert {name: one["note"] for name, one in second.orders.items()} == {"#1003": "two"}


def test_bookmarks_are_instants_not_texts(shop: Shop) -> None:
    state = {
        "bookmarks": {"orders": {"replication_key": "updated_at", "replication_key_value": "2026-06-01T02:00:00+02:00"}}
    }
    read(shop, state, lookback_seconds=0)
    assert searches(shop)[0].startswith("updated_at:>='2026-06-01T00:00:00Z'")


def test_a_signal_leaves_a_state_that_goes_no_further_than_the_records(shop: Shop) -> None:
    writer = Interrupting(20)
    tap = StoreRun(config=settings(shop), message_writer=writer, stop=writer.stop)
    with pytest.raises(SystemExit) as ended:
        tap.sync()
    first = run_of(tap)
    assert ended.value.code == 128 + signal.SIGTERM
    assert first.messages[-1]["type"] == "STATE"
    assert len(first.records["customers"]) == 20
    last = first.records["customers"][-1]["updated_at"]
    assert first.state["bookmarks"]["customers"]["replication_key_value"] == last


def test_an_interrupted_run_goes_on_where_it_was(shop: Shop) -> None:
    writer = Interrupting(20)
    tap = StoreRun(config=settings(shop), message_writer=writer, stop=writer.stop)
    with pytest.raises(SystemExit):
        tap.sync()
    first = run_of(tap)
    rest = read(shop, first.state)
    ids = [one["id"] for run in (first, rest) for one in run.records["customers"]]
    assert sorted(ids) == sorted(int(one["legacyResourceId"]) for one in shop.store.customers)
    assert len(rest.orders) == len(shop.store.orders)


@pytest.mark.parametrize("nth", range(1, 8))
def test_a_search_that_is_behind_leads_no_bookmark_past_what_is_still_to_be_read(shop: Shop, nth: int) -> None:
    catalog = catalog_of(shop, streams=("orders",))
    in_order = [one["name"] for one in sorted(shop.store.orders, key=lambda one: one["updatedAt"])]
    shop.store.change_unsearched(in_order[nth - 1], "2026-11-20T12:00:00Z", note="the search has it at its old place")
    writer = Interrupting(nth)
    tap = StoreRun(config=settings(shop), catalog=catalog, message_writer=writer, stop=writer.stop)
    with pytest.raises(SystemExit):
        tap.sync()
    first = run_of(tap)
    assert list(first.orders)[-1] == in_order[nth - 1]
    assert {*first.orders, *read(shop, first.state, catalog).orders} == {*in_order}


def test_a_changed_record_moves_to_the_end_of_what_is_known() -> None:
    known = Known({}, timedelta(hours=1))
    at = as_datetime("2026-11-02T12:00:00Z")
    known.add(Mark("1", "a", at))
    known.add(Mark("1", "b", at + timedelta(minutes=59)))
    known.add(Mark("2", "c", at + timedelta(minutes=61)))
    assert known.prints == {"1": "b", "2": "c"}


def test_what_is_known_is_bounded() -> None:
    known = Known({}, timedelta(hours=1))
    at = as_datetime("2026-11-02T12:00:00Z")
    for number in range(MOST_KNOWN_RECORDS + 5):
        known.add(Mark(str(number), "a", at))
    assert len(known.prints) == MOST_KNOWN_RECORDS
    assert "4" not in known.prints


def test_the_shop_is_the_domain_that_shopify_names(shop: Shop) -> None:
    run: Run = read(shop, store="https://Sandbox.myshopify.com/")
    assert {one["shop"] for one in run.records["orders"]} == {"sandbox.myshopify.com"}


def test_a_page_without_progress_ends_the_run(shop: Shop) -> None:
    page = '{"data": {"page": {"pageInfo": {"hasNextPage": true, "endCursor": "a"}, "nodes": []}}}'
    tap = tap_for(shop, catalog=catalog_of(shop, streams=("orders",)))
    tap.begin()
    _ = tap.store.counts({one.name: one.window.search for one in tap.selected_streams})
    shop.controls.reply_next(Reply(status=200, body=page), Reply(status=200, body=page))
    with pytest.raises(RunError, match="lead nowhere"):
        tap.sync()


def test_deleted_records_become_tombstones_once(shop: Shop) -> None:
    lonely = next(one for one in shop.store.customers if not shop.store.orders_of(one))
    first = read(shop)
    gone = shop.store.order("#1005")
    shop.store.delete_order("#1005", NOON)
    shop.store.delete_customer(int(lonely["legacyResourceId"]), NOON)
    second = read(shop, of_october(first.state))
    (order,) = second.deleted["orders"]
    assert order == {
        "shop": "sandbox.myshopify.com",
        "shop_id": 60_000_000_001,
        "id": int(gone["legacyResourceId"]),
        "admin_graphql_api_id": gone["id"],
        "updated_at": NOON,
        "_sdc_deleted_at": NOON,
    }
    (customer,) = second.deleted["customers"]
    assert customer["admin_graphql_api_id"] == lonely["id"]
    third = read(shop, second.state)
    assert [*third.records, *third.deleted] == []
    assert third.state == second.state


def tombstones(run: Run, stream: str = "orders") -> list[str]:
    """Return when records of a stream were deleted, by a run."""
    return [one["_sdc_deleted_at"] for one in run.deleted[stream]]


def test_a_first_run_asks_for_no_deletions(shop: Shop) -> None:
    run = read(shop)
    assert tombstones(run) == []
    assert not [one for one in queries(shop) if one["query"].startswith("query Deletions")]


def test_an_interrupted_first_run_goes_on_without_what_was_gone_before_it(shop: Shop) -> None:
    shop.store.delete_order("#1005", "2026-10-30T12:00:00Z")
    writer = Interrupting(20)
    tap = StoreRun(config=settings(shop), message_writer=writer, stop=writer.stop)
    with pytest.raises(SystemExit):
        tap.sync()
    first = run_of(tap)
    second = read(shop, first.state)
    assert [tombstones(run) for run in (first, second, read(shop, second.state))] == [[], [], []]


def test_a_run_that_ends_before_the_bookmark_leaves_deletions_to_the_next(shop: Shop) -> None:
    state = of_october(read(shop).state)
    shop.store.delete_order("#1005", NOON)
    shop.store.change_order("#1003", "2026-11-20T12:00:00Z", note="the bookmark moves past the deletion")
    bookmark = state["bookmarks"]["orders"]
    bookmark.update(replication_key_value="2026-11-20T12:00:00Z", deletions_since="2026-11-01T00:00:00Z")
    earlier = read(shop, state, end_date="2026-11-01T12:00:00Z")
    assert tombstones(earlier) == []
    assert tombstones(read(shop, earlier.state)) == [NOON]


def test_deletions_outlive_a_run_that_was_stopped_before_it_read_them(shop: Shop) -> None:
    first = read(shop)
    shop.store.delete_order("#1005", NOON)
    shop.store.change_order("#1003", "2026-11-20T12:00:00Z", note="the bookmark moves past the deletion")
    writer = Interrupting(1)
    bookmarks = Bookmarks(of_october(first.state))
    tap = StoreRun(
        config=settings(shop),
        catalog=catalog_of(shop, streams=("orders",)),
        state_of=lambda shop_id: bookmarks.state_of(shop_id, alone=True),
        message_writer=writer,
        stop=writer.stop,
    )
    with pytest.raises(SystemExit):
        tap.sync()
    stopped = run_of(tap)
    assert len(stopped.records["orders"]) == 1
    assert tombstones(stopped) == []
    rest = read(shop, stopped.state, catalog_of(shop, streams=("orders",)))
    assert tombstones(rest) == [NOON]
    assert tombstones(read(shop, rest.state)) == []


def deny_deletions(body: Message) -> Message:
    """Twist an answer of a shop: it denies events."""
    page = body["data"].get("page") or {}
    if not any("subject" in node for node in page.get("nodes", [])):
        return body
    return {"errors": [{"message": "No events.", "path": ["page"], "extensions": {"code": "ACCESS_DENIED"}}]}


def test_deletions_that_are_denied_end_the_run_unless_accepted_and_come_once_they_may_be_read(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    state = of_october(read(shop).state)
    shop.store.delete_order("#1005", NOON)
    shop.store.change_order("#1003", "2026-11-20T12:00:00Z", note="the bookmark moves past the deletion")
    shop.twist = deny_deletions
    tap = tap_for(shop, state)
    with pytest.raises(RunError, match=r"Shopify denies the events that tell which orders were deleted, .*`accept`"):
        tap.sync()
    assert {*run_of(tap).orders} == {"#1003"}
    denied = read(shop, run_of(tap).state, accept=["denied_fields"])
    assert tombstones(denied) == []
    assert "Going on without deletions. Shopify denies the events" in caplog.text
    shop.twist = lambda body: body
    assert tombstones(read(shop, denied.state)) == [NOON]


def test_a_small_bucket_is_waited_for(shop: Shop) -> None:
    with Shop(shop.store, maximum_available=600, restore_rate=10_000).serve() as small:
        tap = tap_for(small)
        tap.sync()
        assert set(run_of(tap).orders) == {one["name"] for one in small.store.orders}
        assert len(queries(small)) > tap.store.client.answers  # some were throttled, and asked again


def test_a_stream_map_that_fails_at_a_deleted_order_gets_a_sentence_that_says_so(shop: Shop) -> None:
    maps = {"orders": {"total": "float(total_price)"}}
    state = of_october(read(shop, stream_maps=maps).state)
    shop.store.delete_order("#1005", NOON)
    with pytest.raises(RunError, match="it was deleted, so its fields are null: let the map's `__filter__` be"):
        read(shop, state, stream_maps=maps)
    maps["orders"]["__filter__"] = "not _sdc_deleted_at"
    assert tombstones(read(shop, state, stream_maps=maps)) == []


def test_stream_maps_and_flattening_work_on_what_is_read(shop: Shop) -> None:
    who = "md5(record['customer']['name']) if record['customer'] else None"
    maps = {"orders": {"shop_id": "shop_id", "id": "id", "who": who, "__else__": None}, "customers": "__NULL__"}
    run = read(shop, stream_maps=maps)
    assert not run.records["customers"]
    assert {frozenset(one) for one in run.records["orders"]} == {frozenset({"shop_id", "id", "who"})}
    assert len(next(one["who"] for one in run.records["orders"] if one["who"])) == 32
    flat = read(shop, flattening_enabled=True, flattening_max_depth=1).records["orders"][0]
    assert flat["total_price_set__shop_money"]


def test_a_stream_map_takes_a_tombstone_as_a_record_whose_fields_are_null(shop: Shop) -> None:
    maps = {"orders": {"__filter__": "record['financial_status'] != 'paid'", "name": "name or 'gone'"}}
    first = read(shop, stream_maps=maps)
    shop.store.delete_order("#1005", NOON)
    run = read(shop, of_october(first.state), stream_maps=maps)
    assert {one["name"] for one in run.deleted["orders"]} == {"gone"}
    assert {frozenset(one) for one in run.deleted["orders"]} == {
        frozenset({"shop", "shop_id", "id", "admin_graphql_api_id", "name", "updated_at", "_sdc_deleted_at"})
    }
    assert "paid" not in {one["financial_status"] for one in first.records["orders"]}


def test_a_signal_is_heard_while_shopify_is_slow(shop: Shop) -> None:
    tap = tap_for(shop)
    tap.begin()
    _ = tap.store.counts({one.name: one.window.search for one in tap.selected_streams})
    tap.reading = True
    tap.stop.signal = signal.SIGTERM
    shop.controls.reply_next(Reply(delay_seconds=3))
    with pytest.raises(SystemExit):
        tap.sync()
    assert tap.store.client.answers == 2  # what is granted, and how much there is


@pytest.mark.parametrize("then", ["2026-09-01", None])
def test_a_start_date_that_was_later_at_first_is_said_until_a_full_refresh(
    shop: Shop, then: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    whole = read(shop, start_date=then)
    first = read(shop, start_date="2026-10-15")
    again = read(shop, first.state, start_date="2026-10-20T12:00:00Z")  # before the bookmark: all since then was read
    assert "--full-refresh" not in caplog.text
    later = read(shop, again.state, start_date=then)
    assert dict(later.records) == {}
    assert (
        "Not all orders from before 2026-10-15T00:00:00Z were read, as that was `start_date` in an earlier run, and it "
        "is earlier now or gone: only the same `meltano run` with `--full-refresh` brings them."
    ) in caplog.messages
    caplog.clear()
    refreshed = read(shop, start_date=then)
    assert (refreshed.records, "full refresh" in caplog.text) == (whole.records, False)


@pytest.mark.parametrize(
    "ends",
    [
        pytest.param(["2026-09-01", "2026-10-01"], id="in each part something had changed"),
        pytest.param(["2010-01-01", "2011-01-01", "2026-10-01"], id="in the first parts nothing had"),
    ],
)
def test_a_backfill_in_parts_that_lacks_nothing_is_taken_for_whole(
    shop: Shop, ends: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    state: dict[str, Any] = {}
    parts = [{"start_date": start, "end_date": end} for start, end in pairwise(ends)]
    for part in ({"end_date": ends[0]}, *parts, {"start_date": ends[-1]}, {}, {}):
        state = read(shop, state, **part).state
    assert "full refresh" not in caplog.text


def test_a_start_date_that_was_later_than_what_was_read_is_said_too(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    first = read(shop, start_date="2026-09-01", end_date="2026-10-01")
    second = read(shop, first.state, start_date="2026-10-20")
    assert "--full-refresh" not in caplog.text
    read(shop, second.state, start_date="2026-09-01")
    assert "Not all orders from before 2026-10-20T00:00:00Z were read" in caplog.text


def test_a_run_that_reads_all_leaves_the_start_date_of_the_others_alone(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    first = read(shop, start_date="2026-09-01")
    full = catalog_of(shop)
    for entry in full["streams"]:
        entry["replication_method"] = "FULL_TABLE"
    second = read(shop, first.state, full, start_date="2026-10-15")
    read(shop, second.state, start_date="2026-09-01")
    assert "--full-refresh" not in caplog.text


@pytest.mark.parametrize("asked_to_end", [True, False])
def test_a_question_in_flight_is_not_asked_again_when_the_run_is_over(shop: Shop, *, asked_to_end: bool) -> None:
    tap = tap_for(shop)
    if asked_to_end:
        _ = tap.store.granted
        tap.stop.signal = signal.SIGTERM
    with pytest.raises(SystemExit) if asked_to_end else nullcontext():
        tap.sync()
    shop.controls.reply_next(*[Reply(status=503)] * 3)  # what is still under way may take two of them
    with pytest.raises(Busy):
        tap.store.client.ask("{ shop { name } }")


def test_a_run_without_streams_asks_for_what_is_granted_only(shop: Shop) -> None:
    tap_for(shop, catalog=catalog_of(shop, streams=())).check(probe=True)
    assert len(queries(shop)) == 1
