"""Limits on pages and counts, which may hold for orders and customers or not: whichever it is, nothing is lost."""

from __future__ import annotations

from collections import deque
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.moments import as_datetime
from tap_shopify_orders.reading.changes import Limits
from tap_shopify_orders.reading.windows import Window, split
from tap_shopify_orders.shopify.store import Count
from tap_shopify_orders.store_run import StoreRun

from .conftest import Interrupting, Run, catalog_of, of_october, queries, run_of, settings, tap_for

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 50
SMALL = Limits(operation_records=MOST * 4 // 5, most_objects=MOST)  # as small as those of the shop
BOTH = ("customers", "orders")
LIMITS = {
    "counts and pages": {"most_counted": MOST, "most_paged": MOST},
    "counts that don't tell": {"most_counted": MOST, "most_paged": MOST, "counts_tell": False},
    "counts alone": {"most_counted": MOST},
    "pages alone": {"most_paged": MOST},
}


@pytest.fixture(scope="module")
def store() -> Any:
    return cdnow_store(date(2026, 10, 31), customers=60)


@pytest.fixture(params=LIMITS)
def shop(store: Any, request: pytest.FixtureRequest) -> Iterator[Shop]:
    with Shop(store, **LIMITS[request.param]).serve() as served:
        yield served


def read(shop: Shop, *args: Any, **more: Any) -> Run:
    tap = tap_for(shop, *args, limits=SMALL, **more)
    tap.sync()
    return run_of(tap)


def assert_once(shop: Shop, *runs: Run) -> None:
    for name, nodes in (("customers", shop.store.customers), ("orders", shop.store.orders)):
        emitted = [one["admin_graphql_api_id"] for run in runs for one in run.records[name]]
        assert len(emitted) > MOST
        assert sorted(emitted) == sorted(one["id"] for one in nodes)


@pytest.mark.parametrize("method", ["pages", "bulk"])
def test_every_record_comes_once_and_in_order(shop: Shop, method: str) -> None:
    run = read(shop, method=method)
    assert_once(shop, run)
    for name in BOTH:
        changes = [one["updated_at"] for one in run.records[name]]
        assert changes == sorted(changes)
    assert dict(read(shop, run.state, method=method).records) == {}


@pytest.mark.parametrize("nth", [20, 90, 140])
def test_a_run_that_is_stopped_goes_on(shop: Shop, nth: int) -> None:
    writer = Interrupting(nth)
    tap = StoreRun(config=settings(shop, method="pages"), message_writer=writer, stop=writer.stop, limits=SMALL)
    with pytest.raises(SystemExit):
        tap.sync()
    first = run_of(tap)
    assert_once(shop, first, read(shop, first.state, method="pages"))


def test_no_operation_has_more_than_it_should(shop: Shop) -> None:
    read(shop, catalog=catalog_of(shop, streams=("orders",)), method="bulk")
    roots = [int(one.node["rootObjectCount"]) for one in shop.bulk._runs.values()]  # noqa: SLF001  # those it ran
    assert len(roots) > 3
    assert max(roots) <= MOST * 4 // 5


def test_where_nobody_knows_how_many_there_are_auto_takes_bulk_operations(store: Any) -> None:
    for limits, submits in (({}, False), ({"most_counted": MOST}, True)):
        with Shop(store, **limits).serve() as shop:
            read(shop, catalog=catalog_of(shop, streams=("orders",)), method="auto")
            assert any("mutation Submit" in one["query"] for one in queries(shop)) is submits


def test_more_of_one_second_than_pages_may_have_is_no_success() -> None:
    with Shop(cdnow_store(date(2026, 10, 31), customers=30), most_paged=MOST).serve() as shop:
        names = sorted(one["name"] for one in shop.store.orders)
        for name in names[:-2]:
            shop.store.change_order(name, "2026-11-02T12:00:00Z", note="changed by an import")
        for name in names[-2:]:
            shop.store.change_order(name, "2026-11-04T12:00:00Z", note="later")
        with pytest.raises(RunError, match=r"pages of orders end after 50.*set `method` to `bulk`"):
            read(shop, method="pages")
        assert {*read(shop, method="bulk").orders} == {*names}


def test_deletions_go_on_where_their_pages_end() -> None:
    with Shop(cdnow_store(date(2026, 10, 31), customers=60), most_paged=MOST).serve() as shop:
        first = read(shop, method="pages")
        gone = [one["name"] for one in shop.store.orders][: 2 * MOST + 10]
        for place, name in enumerate(gone):
            shop.store.delete_order(name, f"2026-11-02T12:{place // 7:02}:00Z")
        second = read(shop, of_october(first.state), method="pages")
        tombstones = [one["id"] for one in second.deleted["orders"]]
        assert len(tombstones) == len({*tombstones}) == len(gone)


def test_more_deletions_of_one_second_than_pages_may_have_are_said(caplog: pytest.LogCaptureFixture) -> None:
    with Shop(cdnow_store(date(2026, 10, 31), customers=60), most_paged=MOST).serve() as shop:
        first = read(shop, method="pages")
        for name in [one["name"] for one in shop.store.orders][: MOST + 5]:
            shop.store.delete_order(name, "2026-11-02T12:00:00Z")
        second = read(shop, of_october(first.state), method="pages")
        assert len({one["id"] for one in second.deleted["orders"]}) == MOST
        assert "has more deleted orders of 2026-11-02T12:00:00Z than it has pages of" in caplog.text


@pytest.mark.parametrize(
    ("count", "known"),
    [
        (Count(24_999), 24_999),
        (Count(25_000), None),
        (Count(25_001), None),
        (Count(25_002), 25_002),
        (Count(10_000, "AT_LEAST"), None),
    ],
    ids=str,
)
def test_a_count_at_the_limit_tells_nothing(count: Count, known: int | None) -> None:
    assert count.up_to(25_000) == known


def test_counts_that_never_end_do() -> None:
    whole = Window(None, as_datetime("2026-01-01"))
    with pytest.raises(RunError, match="lead nowhere"):
        deque(split(whole, None, lambda _: None, 10), maxlen=0)
