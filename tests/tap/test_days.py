"""A search for customers that may know whole days alone: whichever it does, each comes once in each of its states."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.moments import as_datetime
from tap_shopify_orders.reading.changes import Limits
from tap_shopify_orders.reading.customer_search import finds_seconds
from tap_shopify_orders.reading.windows import Window
from tap_shopify_orders.store_run import StoreRun

from .conftest import Interrupting, Message, Run, catalog_of, let_it_be, queries, run_of, settings, tap_for

if TYPE_CHECKING:
    from collections.abc import Iterator

OF_TEN = Limits(operation_records=10)
CUSTOMERS_ONLY = ("customers",)
METHODS = ("pages", "bulk")
WAYS = {
    "seconds": {},
    "days": {"customers_by_day": "UTC"},
    "days of the west": {"customers_by_day": "Pacific/Honolulu"},
    "days of the east": {"customers_by_day": "Pacific/Kiritimati"},
    "whole days": {"customers_by_day": "UTC", "customers_whole_days": True},
    "whole days of the west": {"customers_by_day": "Pacific/Honolulu", "customers_whole_days": True},
    "whole days of the east": {"customers_by_day": "Pacific/Kiritimati", "customers_whole_days": True},
}


@pytest.fixture(params=["seconds", "days", "days of the west", "whole days of the east"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    with Shop(cdnow_store(date(2026, 10, 31), customers=60), **WAYS[request.param]).serve() as served:
        yield served


def tap_at(shop: Shop, at: str, state: Message | None = None, method: str = "pages", **more: Any) -> StoreRun:
    """Return a tap that reads customers, as if it were so late; bulk operations of ten."""
    catalog = catalog_of(shop, streams=CUSTOMERS_ONLY)
    tap = tap_for(shop, state, catalog, limits=OF_TEN, method=method, **more)
    let_it_be(as_datetime(at), tap)
    return tap


def read(shop: Shop, at: str, state: Message | None = None, **more: Any) -> Run:
    tap = tap_at(shop, at, state, **more)
    tap.sync()
    return run_of(tap)


def emitted(*runs: Run) -> list[str]:
    return sorted(one["admin_graphql_api_id"] for run in runs for one in run.records["customers"])


def everybody(shop: Shop) -> list[str]:
    return sorted(one["id"] for one in shop.store.customers)


@pytest.mark.parametrize("method", METHODS)
def test_every_customer_comes_once_and_in_order(shop: Shop, method: str) -> None:
    run = read(shop, "2026-11-02T15:00:00Z", method=method)
    assert emitted(run) == everybody(shop)
    changes = [one["updated_at"] for one in run.records["customers"]]
    assert changes == sorted(changes)
    assert any("mutation Submit" in one["query"] for one in queries(shop)) is (method == "bulk")


@pytest.mark.parametrize("method", METHODS)
def test_runs_within_a_day_and_across_days_follow_one_another(shop: Shop, method: str) -> None:
    state, names = read(shop, "2026-11-02T09:00:00Z", method=method).state, []
    one, other = (one["id"].rpartition("/")[2] for one in shop.store.customers[:2])
    moments = [as_datetime("2026-11-02T09:00:00Z") + timedelta(hours=5 * hour) for hour in range(6)]
    for place, at in enumerate(moments):
        shop.store.change_customer(int(one), at + timedelta(minutes=5), firstName=f"A{place}")
        shop.store.change_customer(int(other), at + timedelta(hours=4, minutes=59), firstName=f"B{place}")
        run = read(shop, (at + timedelta(hours=5)).isoformat(), state, method=method)
        names += [record["first_name"] for record in run.records["customers"]]
        state = run.state
    assert names == [name for place in range(6) for name in (f"A{place}", f"B{place}")]
    assert not read(shop, (moments[-1] + timedelta(hours=6)).isoformat(), state, method=method).records


def test_a_window_of_a_start_and_an_end_has_its_own_customers_alone(shop: Shop) -> None:
    changes = sorted(as_datetime(one["updatedAt"]).replace(microsecond=0) for one in shop.store.customers)
    since, until = changes[10], changes[-10]
    dates = {"start_date": since.isoformat(), "end_date": until.isoformat()}
    for method in METHODS:
        run = read(shop, "2026-11-02T15:00:00Z", method=method, **dates)
        assert len(emitted(run)) == sum(since <= one < until for one in changes)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_is_stopped_goes_on(shop: Shop, method: str) -> None:
    writer = Interrupting(33)
    catalog = catalog_of(shop, streams=CUSTOMERS_ONLY)
    config = settings(shop, method=method)
    tap = StoreRun(config=config, catalog=catalog, message_writer=writer, stop=writer.stop, limits=OF_TEN)
    let_it_be(as_datetime("2026-11-02T15:00:00Z"), tap)
    with pytest.raises(SystemExit):
        tap.sync()
    first = run_of(tap)
    second = read(shop, "2026-11-02T15:30:00Z", first.state, method=method)
    ids = emitted(first, second)
    assert [*dict.fromkeys(ids)] == everybody(shop)
    assert len(ids) <= len(everybody(shop)) + (method == "bulk")  # the one at the bookmark


@pytest.mark.parametrize("way", WAYS)
def test_the_trial_tells_seconds_from_days(way: str) -> None:
    with Shop(cdnow_store(date(2026, 10, 31), customers=20), **WAYS[way]).serve() as shop:
        tap = tap_for(shop)
        assert finds_seconds(tap.store.client) is (way == "seconds")
        assert tap.store.client.points < 20


def test_a_store_without_customers_has_nothing_to_try(shop: Shop) -> None:
    shop.store.by_type["Customer"].clear()
    shop.store.forget()
    assert finds_seconds(tap_for(shop).store.client)


def test_customers_that_are_denied_are_said_with_the_remedy() -> None:
    store = cdnow_store(date(2026, 10, 31), customers=5)
    with Shop(store).serve() as shop:
        state = read(shop, "2026-11-02T15:00:00Z").state
    with Shop(store, approved=frozenset()).serve() as shop, pytest.raises(RunError, match="Or deselect the stream"):
        read(shop, "2026-11-02T16:00:00Z", state)


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        ("2026-11-02T09:00:00Z", "2026-11-02T10:00:00Z", ("2026-11-01", "2026-11-04")),
        ("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z", ("2026-11-01", "2026-11-04")),
        ("2026-11-02T23:59:59Z", "2026-11-03T00:00:01Z", ("2026-11-01", "2026-11-05")),
        (None, "2026-11-03T00:00:00Z", (None, "2026-11-04")),
    ],
)
def test_days_around_a_window(since: str | None, until: str, days: tuple[str | None, str]) -> None:
    window = Window(as_datetime(since) if since else None, as_datetime(until))
    begins, ends = days
    assert window.of_days(more=1) == Window(as_datetime(begins) if begins else None, as_datetime(ends))
