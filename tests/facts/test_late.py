"""What comes late or goes, through tap and target: attribution, a ledger, and an order that is deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.practice import Practice
from sandbox.shop.store import Store
from tests.facts.situations import FIGURES, simple
from tests.facts.test_situations import Project, days, money, reported
from tests.sandbox.placed import PLACED
from tests.sandbox.test_shop_situations import FIRST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Event = dict[str, Any]

LATER, LATEST = "2026-11-03T12:00:00.000000Z", "2026-11-05T12:00:00.000000Z"
UNREADY = {"ready": False, "momentsCount": None, "firstVisit": None, "lastVisit": None}


@pytest.fixture
def store() -> Store:
    """Return a store of two orders, in which nothing unsure moves an order's `updated_at`."""
    store = Store(practice=Practice(moves=frozenset()))
    for number in (1001, 1002):
        store.add_order(replace(FIRST, number=number))
    return store


@pytest.fixture
def project(store: Store, tmp_path: Path) -> Iterator[Project]:
    with Shop(store).serve() as shop, PostHog().serve() as posthog:
        yield Project(shop, posthog, tmp_path / "receipts.sqlite")


def of(project: Project, order: str) -> list[Event]:
    return [one for one in project.facts() if one["properties"]["order_name"] == order]


def named(events: list[Event]) -> list[str]:
    return [one["event"] for one in events]


def test_attribution_that_comes_late_is_a_fact_of_its_own_for_that_order_alone(project: Project, store: Store) -> None:
    store.order("#1002")["customerJourneySummary"] = dict(UNREADY)
    project.sync(attribution_hours=0)
    assert "first_source" not in of(project, "#1002")[0]["properties"]
    store.ready_journey("#1002", LATER)
    project.sync()
    project.sync()
    (attributed,) = (one for one in project.facts() if one["event"] == "Order Attributed")
    assert attributed["properties"]["order_name"] == "#1002"
    assert attributed["properties"]["order_index"] == 1
    assert money(attributed) == {}
    assert attributed["timestamp"][:16] == PLACED[:16]
    assert {one["copies"] for one in project.facts()} == {0}


def test_a_ledger_that_appears_is_sent_as_the_same_fact_before_the_order_s_others(
    project: Project, store: Store
) -> None:
    store.hide_ledger("#1002", LATER)
    project.sync(accept=["no_ledger"])
    (first, *_) = of(project, "#1002")
    assert {name: str(amount) for name, amount in money(first).items()} == {"total_sales": "1.1E+2"}
    assert "net_sales" not in first["properties"]
    store.hide_ledger("#1002", LATER, hidden=False)
    store.refund_order("#1002", LATEST, {0: 1})
    project.sync()
    project.sync()
    whole = of(project, "#1002")
    again = [one for one in whole if one["event"] == "Order Completed"][1]
    assert (again["uuid"], again["timestamp"], again["distinct_id"]) == (
        first["uuid"],
        first["timestamp"],
        first["distinct_id"],
    )
    assert named(whole).index("Order Refunded") > whole.index(again)
    assert project.posthog.merge() == 1, "once more on the wire, and no more"
    assert days(project.facts()) == reported(store)


def test_of_an_order_that_was_never_sent_no_deletion_is_sent(project: Project, store: Store) -> None:
    test = store.add_order(replace(simple("50"), number=9, extra={"test": True}))
    project.sync()
    store.delete_order(test["name"], LATEST)
    project.sync()
    assert "Order Deleted" not in named(project.facts())


def test_an_order_that_is_deleted_takes_back_what_was_sent_of_it(project: Project, store: Store) -> None:
    store.refund_order("#1002", LATER, {0: 1})
    project.sync()
    sent = of(project, "#1002")
    before = days(of(project, "#1001"))
    store.delete_order("#1002", LATEST)
    project.sync()
    project.sync()
    (gone,) = (one for one in project.facts() if one["event"] == "Order Deleted")
    assert gone["timestamp"][:10] == LATEST[:10]
    assert gone["distinct_id"] == sent[0]["distinct_id"]
    assert gone["properties"]["currency"] == "USD"
    of_it = [*sent, gone]
    assert {name: sum(money(one).get(name, 0) for one in of_it) for name in FIGURES} == dict.fromkeys(FIGURES, 0)
    assert days(of(project, "#1001")) == before


def test_a_run_before_a_full_refresh_takes_back_an_order_that_was_deleted(project: Project, store: Store) -> None:
    project.sync()
    store.delete_order("#1002", LATEST)
    project.sync()
    project.sync(full_refresh=True)
    assert named(of(project, "#1002"))[-1] == "Order Deleted"
    assert {name: sum(money(one).get(name, 0) for one in of(project, "#1002")) for name in FIGURES} == dict.fromkeys(
        FIGURES, 0
    )
    assert {one["copies"] for one in project.facts()} == {0}


def test_of_an_order_that_was_gone_before_the_first_run_no_deletion_is_sent(project: Project, store: Store) -> None:
    store.delete_order("#1002", LATEST)
    project.sync()
    project.sync()
    assert "Order Deleted" not in named(project.facts())
