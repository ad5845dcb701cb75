"""History by bulk operations: the same records as by pages, each operation submitted once, whatever goes wrong."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import pytest
import stamina

from sandbox.controls import Reply
from sandbox.shop import Shop
from sandbox.shop.bulk import REFUSALS, USER_ERROR, Outcome
from sandbox.shop.bulk_rules import complaints
from sandbox.shop.cdnow import cdnow_store
from sandbox.shop.schemas import read_document
from sandbox.shop.schemas import schema as schema_of
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.moments import as_datetime
from tap_shopify_orders.reading.changes import Limits
from tap_shopify_orders.shopify.bulk import BulkOperations
from tap_shopify_orders.shopify.client import API_VERSION
from tap_shopify_orders.side_by_side import Stop
from tap_shopify_orders.store_run import StoreRun
from tests.waiting import LONGEST_WAIT_SECONDS, wait_until

from .conftest import Interrupting, Message, Run, catalog_of, let_it_be, queries, read, run_of, settings, tap_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tap_shopify_orders.shopify.client import Client

BULK_FILE = "/bulk/"
MOST_BYTES = 750_000  # of a result, in a test
ORDERS_ONLY = ("orders",)


class Clock:
    """Time that passes when the tap waits, for the tap and for the shop."""

    def __init__(self) -> None:
        self._began = datetime.now(timezone.utc)
        self._passed = 0.0

    def __call__(self) -> datetime:
        return self._began + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        self._passed += seconds


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


@pytest.fixture
def clock() -> Clock:
    return Clock()


def served(clock: Clock, customers: int = 5, **of_shop: Any) -> Any:
    return Shop(cdnow_store(date(2026, 10, 31), customers=customers), clock=clock, **of_shop).serve()


@pytest.fixture
def small(clock: Clock) -> Iterator[Shop]:
    with served(clock) as shop:
        yield shop


@dataclass
class Meanwhile:
    """What happens when an operation was submitted (its id is given), before the tap waits, or after a download."""

    submitted: Callable[[str], object] = bool
    waiting: Callable[[], object] = bool
    saved: Callable[[], object] = bool


class Watched(BulkOperations):
    """Bulk operations during which something else happens."""

    def __init__(self, client: Client, clock: Clock, meanwhile: Meanwhile) -> None:
        super().__init__(client, clock=clock.monotonic, sleep=clock.sleep)
        self.meanwhile = meanwhile

    def submit(self, text: str, since: str) -> str | None:
        operation = super().submit(text, since)
        self.meanwhile.submitted(operation or "")
        return operation

    def wait(self, seconds: float, pause: Callable[[], None]) -> None:
        self.meanwhile.waiting()
        super().wait(seconds, pause)

    def save(self, link: str, file: IO[bytes]) -> None:
        super().save(link, file)
        self.meanwhile.saved()


def bulk_tap(
    shop: Shop,
    clock: Clock,
    state: Message | None = None,
    *,
    records: int = 20_000,
    meanwhile: Meanwhile | None = None,
    **more: Any,
) -> StoreRun:
    """Return a tap that reads orders by bulk operations of so many records, and waits by the clock."""
    more.setdefault("catalog", catalog_of(shop, streams=ORDERS_ONLY))
    more.setdefault("limits", Limits(operation_records=records))
    tap = tap_for(shop, state, **{"method": "bulk", **more})
    tap.store.bulk = Watched(tap.store.client, clock, meanwhile or Meanwhile())
    if isinstance(clock, Signalling):
        clock.stop = tap.stop
    return tap


def bulk_read(shop: Shop, clock: Clock, state: Message | None = None, **more: Any) -> Run:
    tap = bulk_tap(shop, clock, state, **more)
    tap.sync()
    return run_of(tap)


def stopped(tap: StoreRun) -> Run:
    """Run a tap that a signal ends."""
    with pytest.raises(SystemExit):
        tap.sync()
    return run_of(tap)


def asked(shop: Shop, word: str) -> list[Message]:
    """Return the requests whose query has a word: Submit, Look, Cancel, Beginnings, Orders."""
    return [one for one in queries(shop) if word in one["query"].partition("{")[0].split("(")[0].split("\n")[-1]]


def downloads(shop: Shop) -> list[Any]:
    return [one for one in shop.controls.requests if one.path.startswith(BULK_FILE)]


def names(shop: Shop) -> set[str]:
    return {one["name"] for one in shop.store.orders}


def once(shop: Shop, *runs: Run) -> bool:
    """Say whether the runs hold every order exactly once."""
    emitted = [one["name"] for run in runs for one in run.records["orders"]]
    return sorted(emitted) == sorted(names(shop))


def make_odd(shop: Shop) -> None:
    """Give the store what makes orders differ: refunds of all kinds, many lines and codes, cancellations."""
    many = next(one for one in shop.store.orders if len(one["lineItems"]) == 300)["name"]
    shop.store.refund_order(many, "2026-09-02T12:00:00Z", quantities=dict.fromkeys(range(30), 1))
    shop.store.refund_order("#1007", "2026-09-03T12:00:00Z", amount="1.25")
    shop.store.refund_order("#1007", "2026-09-04T12:00:00Z")
    shop.store.cancel_order("#1006", "2026-09-05T12:00:00Z", "FRAUD")
    shop.store.change_order("#1003", "2026-09-06T12:00:00Z", discountCodes=[f"CODE{number}" for number in range(120)])
    shop.store.change_order("#1004", "2026-09-07T12:00:00Z", note='"__parentId":"gid://shopify/Order/1"\n\u2028é')


@pytest.mark.parametrize("strict", [False, True], ids=["all connections", "of nodes only"])
@pytest.mark.parametrize("records", [20_000, 15])
def test_records_are_the_same_field_for_field_whichever_way_they_were_read(
    clock: Clock, *, strict: bool, records: int
) -> None:
    with served(clock, customers=20, bulk_nodes_only=strict) as shop:
        make_odd(shop)
        pages = read(shop, method="pages")
        shop.controls.reset()
        bulk = bulk_read(shop, clock, records=records, catalog=None)
        assert asked(shop, "Submit")
        for stream in ("customers", "orders"):
            by_id = {one["id"]: one for one in bulk.records[stream]}
            assert len(by_id) == len(bulk.records[stream])
            assert by_id == {one["id"]: one for one in pages.records[stream]}
        for stream in ("customers", "orders"):  # they began at other moments
            assert {**bulk.state["bookmarks"][stream], "began": ""} == {**pages.state["bookmarks"][stream], "began": ""}
        assert dict(bulk_read(shop, clock, bulk.state, catalog=None).records) == {}


def test_what_is_asked_for_keeps_the_rules_of_bulk_operations(small: Shop) -> None:
    schema = schema_of(API_VERSION)
    node = schema.type_map["Node"]
    for stream in tap_for(small).selected_streams:
        every, *_, of_nodes = stream.changes.forms() * 2
        for form, nodes_only in ((every, False), (of_nodes, True)):
            text = form.text(stream.window)
            assert complaints(schema, text, read_document(API_VERSION, text), nodes_only=nodes_only) == []
        assert (stream.name, set(of_nodes.nested)) in (("customers", set()), ("orders", {("line_items",)}))
    assert node in schema.type_map["LineItem"].interfaces  # type: ignore[attr-defined]  # an object type


def test_records_come_oldest_change_first_and_the_state_after_each_window(small: Shop, clock: Clock) -> None:
    run = bulk_read(small, clock, records=8)
    changes = [one["updated_at"] for one in run.records["orders"]]
    assert changes == sorted(changes)
    assert once(small, run)
    states = [one["value"]["bookmarks"]["orders"] for one in run.messages if one["type"] == "STATE"]
    under_way = [len([task for task in one.get("bulk", []) if task["operation"]]) for one in states]
    assert under_way[:3] == [1, 2, 3]
    assert under_way[-1] == 0
    bookmarks = [one["replication_key_value"] for one in states if "replication_key_value" in one]
    assert bookmarks == sorted(bookmarks)
    assert len(set(bookmarks)) == 4


def test_an_operation_stands_in_the_state_before_anything_else_happens(small: Shop, clock: Clock) -> None:
    run = bulk_read(small, clock)
    after_schema = [one for one in run.messages if one["type"] != "SCHEMA"]
    (task,) = next(one for one in after_schema if "bulk" in json.dumps(one))["value"]["bookmarks"]["orders"]["bulk"]
    assert task["operation"].startswith("gid://shopify/BulkOperation/")
    assert [one["type"] for one in after_schema[:2]] == ["STATE", "STATE"] or after_schema[1]["type"] == "RECORD"


def test_up_to_five_operations_are_under_way(clock: Clock) -> None:
    with served(clock, bulk_seconds=60) as shop:
        run = bulk_read(shop, clock, records=3)
        assert once(shop, run)
        states = [one["value"]["bookmarks"]["orders"] for one in run.messages if one["type"] == "STATE"]
        under_way = [len([task for task in one.get("bulk", []) if task["operation"]]) for one in states]
        assert max(under_way) == 5


def test_only_orders_with_refunds_are_asked_for_again(small: Shop, clock: Clock) -> None:
    small.store.refund_order("#1007", "2026-09-03T12:00:00Z", amount="1.25")
    bulk_read(small, clock)
    ids = [one for request in asked(small, "Beginnings") for one in request["variables"]["ids"]]
    old = [one for one in small.store.orders if one["updatedAt"] < "2026-10-31T20"]
    assert sorted(ids) == sorted(refund["id"] for one in old for refund in one["refunds"])


def test_an_order_that_is_deleted_before_its_refunds_are_read_is_left_out(small: Shop, clock: Clock) -> None:
    small.store.refund_order("#1007", "2026-09-03T12:00:00Z", amount="1.25")
    small.store.refund_order("#1008", "2026-09-03T12:00:00Z", amount="1")
    deletes = Meanwhile(saved=lambda: small.store.delete_order("#1007", clock()))
    run = bulk_read(small, clock, meanwhile=deletes)
    assert set(run.orders) == names(small)


@pytest.mark.parametrize("times", [1, 100])
def test_a_refund_that_answers_lack_does_not_take_its_order_along(small: Shop, clock: Clock, times: int) -> None:
    small.store.refund_order("#1007", "2026-09-03T12:00:00Z", amount="1.25")
    small.store.refund_order("#1007", "2026-09-04T12:00:00Z")
    pages = read(small, method="pages", catalog=catalog_of(small, streams=ORDERS_ONLY))
    left = times

    def without_refunds(body: Message) -> Message:
        """Answer null for refunds that are asked for by id, so many times."""
        nonlocal left
        nodes = body["data"].get("nodes", [])
        if left and nodes and "refund_line_items" in (nodes[0] or {}):
            left -= 1
            return {**body, "data": {"nodes": [None for _ in nodes]}}
        return body

    small.twist = without_refunds
    assert bulk_read(small, clock).orders == pages.orders
    assert left < times


@pytest.mark.parametrize(
    ("method", "restore_rate", "customers", "submitted"),
    [
        ("auto", 20, 40, True),
        ("auto", 100_000, 40, False),
        ("auto", 20, 1, False),
        ("pages", 20, 1, False),
        ("bulk", 100_000, 1, True),
    ],
)
def test_the_method_decides_and_auto_weighs_what_pages_would_take(
    clock: Clock, method: str, restore_rate: int, customers: int, *, submitted: bool
) -> None:
    with served(clock, customers=customers, restore_rate=restore_rate) as shop:
        tap = bulk_tap(shop, clock, method=method)
        run_tap(tap)
        assert bool(asked(shop, "Submit")) is submitted


def run_tap(tap: StoreRun) -> Run:
    tap.sync()
    return run_of(tap)


FAILURES = {
    "internal error": (Outcome("FAILED", "INTERNAL_SERVER_ERROR"), "FAILED (INTERNAL_SERVER_ERROR): submitting"),
    "a part of the result": (Outcome("FAILED", "INTERNAL_SERVER_ERROR", rows=9), "submitting it again"),
    "cancelled by Shopify": (Outcome("CANCELED", rows=9), "CANCELED: submitting it again"),
    "too long": (Outcome("FAILED", "TIMEOUT", rows=3), "TIMEOUT): submitting it again, in parts"),
    "stuck": (Outcome(stalls=True), "ended as STUCK: submitting it again, in parts"),
    "expired": (Outcome("EXPIRED"), "ended as EXPIRED: submitting it again"),
    "denied": (Outcome("FAILED", "ACCESS_DENIED"), "ACCESS_DENIED): reading the window by pages"),
}


@pytest.mark.parametrize(("outcome", "sentence"), FAILURES.values(), ids=FAILURES)
def test_an_operation_that_comes_to_nothing_loses_nothing(
    small: Shop, clock: Clock, caplog: pytest.LogCaptureFixture, outcome: Outcome, sentence: str
) -> None:
    small.bulk.next(outcome)
    run = bulk_read(small, clock)
    assert once(small, run)
    (said,) = [one.getMessage() for one in caplog.records if one.name.endswith(".history")]
    assert sentence in said
    assert "bulk" not in run.state["bookmarks"]["orders"]


def test_a_result_that_is_too_large_is_asked_for_in_parts(
    small: Shop, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    run = bulk_read(small, clock, limits=Limits(most_result_bytes=MOST_BYTES))
    whole, *parts = [int(one.node["fileSize"]) for one in small.bulk._runs.values()]  # noqa: SLF001  # those it ran
    assert max(parts) <= MOST_BYTES < whole
    assert once(small, run)
    (said,) = [one.getMessage() for one in caplog.records if one.name.endswith(".history")]
    assert f"left a result of more than {MOST_BYTES:,} bytes: submitting it again, in parts" in said


def test_a_window_that_fails_again_is_read_by_pages(
    small: Shop, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    small.bulk.next(*[Outcome("FAILED", "INTERNAL_SERVER_ERROR")] * 2)
    run = bulk_read(small, clock)
    assert once(small, run)
    assert len(asked(small, "Submit")) == 2
    assert "reading the window by pages" in caplog.text


def test_a_window_in_the_middle_that_fails_keeps_the_order(small: Shop, clock: Clock) -> None:
    failed = Outcome("FAILED", "INTERNAL_SERVER_ERROR")
    small.bulk.next(Outcome(), failed, Outcome(), Outcome(), Outcome(), failed, failed)
    run = bulk_read(small, clock, records=5)
    changes = [one["updated_at"] for one in run.records["orders"]]
    assert once(small, run)
    assert changes == sorted(changes)


def test_an_operation_that_is_being_cancelled_is_waited_for(small: Shop, clock: Clock) -> None:
    small.bulk.next(Outcome(seconds=60))
    cancels = Meanwhile(submitted=lambda operation: operation.endswith("1") and small.bulk.cancel(operation))
    assert once(small, bulk_read(small, clock, meanwhile=cancels))
    assert len(asked(small, "Submit")) == 2


COMPLETED_WITHOUT_FILE = {
    "id": "gid://shopify/BulkOperation/1",
    "status": "COMPLETED",
    "createdAt": "2026-11-01T00:00:00Z",
    "objectCount": "12",
    "rootObjectCount": "3",
    "url": None,
    "query": "",
}


def test_objects_without_a_file_are_no_result(small: Shop, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    strange = Reply(status=200, body=json.dumps({"data": {"operation": COMPLETED_WITHOUT_FILE}}))
    follows = Meanwhile(submitted=lambda operation: operation.endswith("1") and small.controls.reply_next(strange))
    assert once(small, bulk_read(small, clock, meanwhile=follows))
    assert "has 12 objects, but no file: submitting it again" in caplog.text


def test_no_objects_and_no_file_is_an_empty_window(small: Shop, clock: Clock) -> None:
    since = max(as_datetime(one["updatedAt"]) for one in small.store.orders) - timedelta(hours=2)
    run = bulk_read(small, clock, start_date=since.isoformat())
    assert asked(small, "Submit")
    assert downloads(small) == []
    assert set(run.orders) == {one["name"] for one in small.store.orders if as_datetime(one["updatedAt"]) >= since}


@pytest.mark.parametrize("fault", [{"status": 503}, {"cut": True}], ids=["unavailable", "cut"])
def test_a_download_that_breaks_off_goes_on_where_it_was(small: Shop, clock: Clock, fault: dict[str, Any]) -> None:
    small.controls.reply_next(
        Reply(path=BULK_FILE, truncate_bytes=200_000),
        Reply(path=BULK_FILE, **fault),
        Reply(path=BULK_FILE, truncate_bytes=1),
    )
    assert once(small, bulk_read(small, clock))
    begins = [one.headers["Range"] for one in downloads(small)]
    assert begins == ["bytes=0-", "bytes=200000-", "bytes=200000-", "bytes=200001-"]
    assert len(asked(small, "Submit")) == 1


def test_patience_begins_anew_where_a_download_got_well_further(small: Shop) -> None:
    client = tap_for(small).store.client
    whole = "x" * (2 << 20)
    small.controls.reply_next(
        Reply(path=BULK_FILE, status=200, body=whole, truncate_bytes=len(whole) - 1),
        *[Reply(path=BULK_FILE, status=503)] * 3,  # with the break, as often as patience lasts
        Reply(path=BULK_FILE, status=206, body="x"),
    )
    file = BytesIO()
    client.save(f"{small.url}{BULK_FILE}1.jsonl", file)
    assert file.getvalue() == whole.encode()


def test_a_server_that_knows_no_parts_sends_all_again(small: Shop) -> None:
    client = tap_for(small).store.client
    small.controls.reply_next(Reply(path=BULK_FILE, status=200, body="whole"))
    file = BytesIO(b"wh")
    client.save(f"{small.url}{BULK_FILE}1.jsonl", file)
    assert file.getvalue() == b"whole"


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(path=BULK_FILE, status=400, body="<Code>ExpiredToken</Code>"), "isn't there any more (status 400)"),
        (Reply(path=BULK_FILE, status=403), "isn't there any more (status 403)"),
        (Reply(path=BULK_FILE, status=200, body=""), "has 0 of"),
        (Reply(path=BULK_FILE, status=200, body='{"id": "gid://'), "isn't as it should be"),
    ],
    ids=["expired link", "forbidden link", "no rows", "half a row"],
)
def test_a_result_that_is_not_whole_is_asked_for_again(
    small: Shop, clock: Clock, caplog: pytest.LogCaptureFixture, reply: Reply, sentence: str
) -> None:
    small.controls.reply_next(reply)
    assert once(small, bulk_read(small, clock))
    assert f"{sentence}" in caplog.text
    assert len(asked(small, "Submit")) == 2


def test_the_next_result_is_fetched_while_one_is_written_and_no_more_than_that(small: Shop, clock: Clock) -> None:
    tap = bulk_tap(small, clock, records=5)
    records: Any = tap.streams["orders"].get_records(None)
    emitted = [next(records)]
    wait_until(lambda: len(downloads(small)) > 1)  # the one ahead comes by a thread
    assert len(asked(small, "Submit")) == 5
    assert len(downloads(small)) == 2
    emitted.extend(records)
    assert sorted(one.to_dict()["name"] for one in emitted) == sorted(names(small))
    assert len({one.path for one in downloads(small)}) == len(downloads(small)) > 2


def test_a_result_that_is_not_whole_when_it_is_fetched_ahead_is_asked_for_again(small: Shop, clock: Clock) -> None:
    small.controls.reply_next(Reply(path=BULK_FILE), Reply(path=BULK_FILE, status=403))
    run = bulk_read(small, clock, records=5)
    assert once(small, run)
    assert len(asked(small, "Submit")) == 6


def test_a_result_that_begins_anew_and_is_cut_for_ever_is_read_by_pages(
    small: Shop, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    cut = [Reply(ignores=("Range",), truncate_bytes=size, path=BULK_FILE) for size in (9_000, 3_000, 0, 12_000) * 50]
    small.controls.reply_next(*cut)
    run = bulk_read(small, clock)
    assert run.orders == read(small, catalog=catalog_of(small, streams=ORDERS_ONLY), method="pages").orders
    downloads = [one for one in small.controls.requests if BULK_FILE in one.path]
    assert 1 < len(downloads) <= 4, "as often as patience allows for, then no more"
    assert "broke off" in caplog.text
    assert "reading the window by pages" in caplog.text


def test_a_search_that_shopify_ignores_in_part_gets_no_bulk_operation(small: Shop, clock: Clock) -> None:
    tap = bulk_tap(small, clock)
    tap.begin()
    _ = tap.store.counts({one.name: one.window.search for one in tap.selected_streams})
    page = {"pageInfo": {"hasNextPage": False}, "nodes": []}
    warning = {
        "path": ["page"],
        "query": "updated_at:<'x'",
        "warnings": [{"field": "updated_at", "message": "Invalid"}],
    }
    body = {"data": {"page": page}, "extensions": {"search": [warning]}}
    small.controls.reply_next(Reply(status=200, body=json.dumps(body)))
    with pytest.raises(RunError, match="ignored a part of the search"):
        tap.sync()
    assert asked(small, "Submit") == []


def test_a_long_wait_says_how_far_shopify_is(small: Shop, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    small.bulk.next(Outcome(seconds=60))
    bulk_read(small, clock)
    assert "a bulk operation has 0 objects so far" in caplog.text
    assert re.search(r"\d+ orders of the beginning to \S+, by a bulk operation", caplog.text)


def test_no_token_goes_to_the_address_of_a_result(small: Shop, clock: Clock) -> None:
    bulk_read(small, clock)
    (download,) = downloads(small)
    assert "shpat_" not in str(download.headers)


def test_a_slot_is_waited_for(small: Shop, clock: Clock) -> None:
    small.bulk.reach_limit(4)
    run = bulk_read(small, clock)
    assert once(small, run)
    assert len(asked(small, "Submit")) == 5


def test_other_jobs_leave_fewer_slots(small: Shop, clock: Clock) -> None:
    small.bulk.at_once = 1
    run = bulk_read(small, clock, records=5)
    changes = [one["updated_at"] for one in run.records["orders"]]
    assert once(small, run)
    assert changes == sorted(changes)


def test_slots_that_stay_taken_are_no_reason_to_stop(
    small: Shop, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    small.bulk.at_once = 0
    assert once(small, bulk_read(small, clock))
    assert "There is still no slot: going on by pages" in caplog.text


REFUSED = [*REFUSALS, USER_ERROR]


@pytest.mark.parametrize("refusal", REFUSED)
def test_an_app_that_may_not_run_bulk_operations_reads_by_pages_and_says_why(
    clock: Clock, caplog: pytest.LogCaptureFixture, refusal: str
) -> None:
    with served(clock, customers=40, restore_rate=20, bulk_refusal=refusal) as shop:
        assert once(shop, bulk_read(shop, clock, records=20, method="auto"))
        (said,) = [one.getMessage() for one in caplog.records if one.name.endswith(".history")]
        assert "doesn't let this app run bulk operations" in said
        assert "Allow bulk queries" in said
        assert len(asked(shop, "Submit")) == 1


@pytest.mark.parametrize("refusal", REFUSED)
def test_an_app_that_may_not_run_bulk_operations_ends_a_run_that_is_to_use_nothing_else(
    clock: Clock, refusal: str
) -> None:
    with (
        served(clock, bulk_refusal=refusal) as shop,
        pytest.raises(RunError, match=r"doesn't let this app run bulk operations.*Allow bulk queries.*set `method`"),
    ):
        bulk_read(shop, clock)


@pytest.mark.parametrize("refusal", REFUSED)
def test_an_app_that_lost_its_permission_since_an_operation_was_submitted_goes_on_by_pages(refusal: str) -> None:
    clock = Signalling()
    with served(clock, customers=40, restore_rate=20, bulk_seconds=300) as shop:
        first = stopped(bulk_tap(shop, clock, records=50, method="auto"))
        assert first.state["bookmarks"]["orders"]["bulk"]
        shop.settings = replace(shop.settings, bulk_refusal=refusal)
        second = bulk_read(shop, clock, first.state, method="auto", records=50)
        assert once(shop, first, second)
        assert "bulk" not in second.state["bookmarks"]["orders"]


def test_denied_fields_are_left_out_of_bulk_operations_too(clock: Clock) -> None:
    scopes = ("read_all_orders", "read_customers", "read_orders")
    with served(clock, scopes=scopes) as shop:
        run = bulk_read(shop, clock, accept=["denied_fields"])
        assert once(shop, run)
        assert downloads(shop)
        assert all("product_id" not in line for one in run.records["orders"] for line in one["line_items"])


def test_an_operation_without_denied_fields_is_picked_up() -> None:
    clock = Signalling()
    scopes = ("read_all_orders", "read_customers", "read_orders")
    with served(clock, scopes=scopes, bulk_seconds=300) as shop:
        first = stopped(bulk_tap(shop, clock, accept=["denied_fields"]))
        bookmark = first.state["bookmarks"]["orders"]
        bookmark |= {"replication_key": "updated_at", "replication_key_value": "2006-01-02T00:00:00Z"}
        shop.controls.reset()
        second = bulk_read(shop, clock, first.state, accept=["denied_fields"])
        assert once(shop, second)
        assert (len(asked(shop, "Submit")), len(asked(shop, "Cancel"))) == (0, 0)


def test_a_token_that_ends_while_an_operation_runs_is_renewed(clock: Clock) -> None:
    with served(clock, bulk_seconds=5) as shop:
        app = {"access_token": None, "client_id": "sandbox-client", "client_secret": "shpss_sandbox"}
        run = bulk_read(shop, clock, meanwhile=Meanwhile(waiting=shop.tokens.revoke), **app)
        assert once(shop, run)
        assert len(asked(shop, "Submit")) == 1


@pytest.mark.parametrize("reply", [Reply(cut=True), Reply(truncate_bytes=10), Reply(status=502, acts=True)])
def test_a_submission_whose_answer_is_lost_is_not_made_twice(small: Shop, clock: Clock, reply: Reply) -> None:
    tap = bulk_tap(small, clock)
    (orders,) = tap.selected_streams
    text = orders.changes.forms()[0].text(orders.window)
    small.controls.reply_next(reply)
    operation = tap.store.bulk.submit(text, "2026-11-01T00:00:00Z")
    assert len(asked(small, "Submit")) == 1
    assert tap.store.bulk.look(str(operation))


def test_a_submission_that_never_arrived_is_made_again(small: Shop, clock: Clock) -> None:
    tap = bulk_tap(small, clock)
    small.controls.reply_next(Reply(status=503))
    assert tap.store.bulk.submit("{orders{edges{node{id}}}}", "2026-11-01T00:00:00Z")
    assert len(asked(small, "Submit")) == 2


class Signalling(Clock):
    """Asks the run to stop, as a signal does, when the tap has waited so often."""

    left = 2

    def __init__(self) -> None:
        super().__init__()
        self.stop = Stop()

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.left -= 1
        if not self.left:
            self.stop.signal = signal.SIGTERM


def test_a_run_that_ends_while_it_waits_is_picked_up_and_nothing_is_submitted_twice() -> None:
    clock = Signalling()
    with served(clock, bulk_seconds=300) as shop:
        first = stopped(bulk_tap(shop, clock, records=10))
        submitted = len(asked(shop, "Submit"))
        tasks = first.state["bookmarks"]["orders"]["bulk"]
        assert first.messages[-1]["type"] == "STATE"
        assert submitted == len(tasks) > 2
        shop.controls.reset()
        second = bulk_read(shop, clock, first.state)
        assert once(shop, first, second)
        assert asked(shop, "Submit") == []
        assert {one["variables"]["id"] for one in asked(shop, "Look")} == {one["operation"] for one in tasks}


@pytest.mark.parametrize("then", ["2026-01-01", None])
def test_a_start_date_that_is_moved_back_before_the_first_record_is_read_from(then: str | None) -> None:
    clock = Signalling()
    with served(clock, bulk_seconds=300) as shop:
        first = stopped(bulk_tap(shop, clock, start_date="2026-10-15"))
        assert first.state["bookmarks"]["orders"]["bulk"]
        second = bulk_read(shop, clock, first.state, start_date=then)
        assert second.orders.keys() == bulk_read(shop, clock, start_date=then).orders.keys()
        later = "2026-10-15T00:00:00Z"
        assert min(one["updated_at"] for one in second.orders.values()) < later, "or the test shows nothing"


def whole_each_time(shop: Shop) -> Message:
    """Return a catalog that wants orders, all of them in each run."""
    catalog = catalog_of(shop, streams=ORDERS_ONLY)
    for stream in catalog["streams"]:
        stream["replication_method"] = "FULL_TABLE"
    return catalog


def test_a_run_that_reads_all_takes_up_nothing_and_frees_the_slots() -> None:
    clock = Signalling()
    with served(clock, bulk_seconds=300) as shop:
        state = stopped(bulk_tap(shop, clock, records=10)).state
        bookmark = state["bookmarks"]["orders"]
        tasks, half = bookmark["bulk"], shop.store.orders[len(shop.store.orders) // 2]["updatedAt"]
        bookmark.update(replication_key="updated_at", replication_key_value=half, bulk=tasks[-1:])
        run = bulk_read(shop, clock, state, catalog=whole_each_time(shop))
        assert once(shop, run)
        assert [one["variables"]["id"] for one in asked(shop, "Cancel")] == [tasks[-1]["operation"]]
        assert "bulk" not in run.state["bookmarks"]["orders"]


def test_what_changes_between_two_runs_comes_after_what_was_picked_up() -> None:
    clock = Signalling()
    with served(clock, bulk_seconds=300) as shop:
        first = stopped(bulk_tap(shop, clock, records=10))
        shop.store.change_order("#1003", "2026-11-02T12:00:00Z", note="changed")
        tap = bulk_tap(shop, clock, first.state)
        second = run_tap(tap)
        assert [one["note"] for one in second.records["orders"] if one["name"] == "#1003"][-1] == "changed"
        assert set(second.orders) == names(shop)
        assert "bulk" not in second.state["bookmarks"]["orders"]


def test_a_run_that_ends_within_a_window_goes_on_there(small: Shop, clock: Clock) -> None:
    tap = bulk_tap(small, clock)
    writer = Interrupting(10)
    tap = StoreRun(config=dict(tap.config), catalog=tap.input_catalog, message_writer=writer, stop=writer.stop)
    first = stopped(tap)
    second = bulk_read(small, clock, first.state)
    assert 0 < len(first.orders) < len(names(small))
    assert {*first.orders, *second.orders} == names(small)
    assert len(set(first.orders) & set(second.orders)) <= 1  # those that share the second of the bookmark
    assert len(asked(small, "Submit")) == 1


def test_a_start_before_shopify_s_first_store_is_picked_up_like_any_other() -> None:
    clock = Signalling()
    with served(clock, bulk_seconds=300) as shop:
        first = stopped(bulk_tap(shop, clock, start_date="1970-01-01"))
        assert first.state["bookmarks"]["orders"]["bulk"]
        assert once(shop, first, bulk_read(shop, clock, first.state, start_date="1970-01-01"))


def test_a_search_that_is_behind_leaves_no_operation_s_rows_out(small: Shop, clock: Clock) -> None:
    in_order = sorted(small.store.orders, key=lambda one: one["updatedAt"])
    first = in_order[5]
    state = {"bookmarks": {"orders": {"replication_key": "updated_at", "replication_key_value": first["updatedAt"]}}}
    small.store.change_unsearched(first["name"], "2026-11-20T12:00:00Z", note="the search has it at its old place")
    run = bulk_read(small, clock, state)
    assert downloads(small)
    assert {*run.orders} >= {one["name"] for one in in_order[5:]}


def test_an_operation_of_another_selection_is_cancelled_and_submitted_anew() -> None:
    clock = Signalling()
    with served(clock, bulk_seconds=300) as shop:
        first = stopped(bulk_tap(shop, clock))
        catalog = catalog_of(shop, streams=ORDERS_ONLY, deselect=(("orders", "note"),))
        second = bulk_read(shop, clock, first.state, catalog=catalog)
        assert once(shop, first, second)
        assert all("note" not in one for one in second.records["orders"])
        assert (len(asked(shop, "Submit")), len(asked(shop, "Cancel"))) == (2, 1)


@pytest.mark.parametrize(("days", "sentence"), [(8, "ended as EXPIRED"), (0, "isn't known to Shopify")])
def test_an_operation_that_is_no_more_is_submitted_again(
    caplog: pytest.LogCaptureFixture, days: int, sentence: str
) -> None:
    clock = Signalling()
    with served(clock, bulk_seconds=300) as shop:
        first = stopped(bulk_tap(shop, clock))
        (task,) = first.state["bookmarks"]["orders"]["bulk"]
        if days:
            clock.sleep(600)
            shop.bulk.newest("")
            clock.sleep(days * 86_400)
        else:
            task["operation"] = "gid://shopify/BulkOperation/5"
        assert once(shop, first, bulk_read(shop, clock, first.state))
        assert sentence in caplog.text


NOT_ANY_MORE = {
    "it may": {},
    "denied": {"message": "Denied.", "path": ["canceled"], "extensions": {"code": "ACCESS_DENIED"}},
    "refused": {"message": "This app can't run bulk queries."},
}


@pytest.mark.parametrize("refusal", NOT_ANY_MORE)
def test_pages_may_take_over_what_an_interrupted_run_left_to_bulk_operations(refusal: str) -> None:
    clock = Signalling()
    with served(clock, bulk_seconds=300) as shop:
        first = stopped(bulk_tap(shop, clock))
        error = NOT_ANY_MORE[refusal]
        shop.twist = lambda body: {"errors": [error]} if error and "canceled" in body["data"] else body
        second = bulk_read(shop, clock, first.state, method="pages")
        assert once(shop, first, second)
        assert "bulk" not in second.state["bookmarks"]["orders"]


def test_a_later_window_is_read_as_well_when_the_first_of_those_left_has_to_be_read_by_pages() -> None:
    clock = Signalling()
    clock.left = 1
    with served(clock, bulk_seconds=300) as shop:
        first = stopped(bulk_tap(shop, clock, records=10))
        first.state["bookmarks"]["orders"]["bulk"][0]["operation"] = ""
        shop.bulk.at_once = 0
        assert once(shop, bulk_read(shop, clock, first.state))


def test_an_order_that_changes_while_operations_run_is_left_to_the_next_run(clock: Clock) -> None:
    with served(clock, bulk_seconds=60) as shop:
        moved = clock() + timedelta(hours=1)
        changes = Meanwhile(waiting=lambda: shop.store.change_order("#1003", moved, note="changed meanwhile"))
        first = bulk_read(shop, clock, meanwhile=changes)
        later = bulk_tap(shop, clock, first.state)
        let_it_be(moved + timedelta(hours=1), later)
        second = run_tap(later)
        assert set(first.orders) == names(shop) - {"#1003"}
        assert set(second.orders) == {"#1003"}


def wait_for(process: subprocess.Popen[bytes], word: bytes) -> list[Message]:
    """Return the messages of a process up to one that has a word."""
    lines = []
    assert process.stdout
    for line in process.stdout:
        lines.append(json.loads(line))
        if word in line:
            return lines
    raise AssertionError(lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("moment", ["polling", "downloading"])
def test_an_ended_process_is_picked_up_by_the_next(
    tmp_path: Path, clock: Clock, number: signal.Signals, moment: str
) -> None:
    with served(clock, bulk_seconds=60 if moment == "polling" else 0) as shop:
        (tmp_path / "config.json").write_text(json.dumps(settings(shop, method="bulk")))
        (tmp_path / "catalog.json").write_text(json.dumps(catalog_of(shop, streams=ORDERS_ONLY)))
        if moment == "downloading":
            shop.controls.reply_next(Reply(path=BULK_FILE, delay_seconds=30))
        command = [sys.executable, "-m", "tap_shopify_orders", "--config", "config.json", "--catalog", "catalog.json"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path, env=None
        ) as process:
            lines = wait_for(process, b'"operation":"gid')
            wait_until(lambda: downloads(shop) if moment == "downloading" else asked(shop, "Look"))
            process.send_signal(number)
            assert process.stdout
            lines += [json.loads(line) for line in process.stdout]
            assert process.wait(LONGEST_WAIT_SECONDS) == (128 + number if number == signal.SIGTERM else -number)
        first = Run(lines)
        assert not first.orders
        clock.sleep(120)
        second = bulk_read(shop, clock, first.state)
        assert once(shop, second)
        assert len(asked(shop, "Submit")) == 1
