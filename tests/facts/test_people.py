"""What changes of the people of a shop, through tap and target into two projects: one synced after each change.

The other is synced once at the end.

Whatever becomes of an e-mail, a customer or a domain, each fact is there once, and the same in both.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.people import person
from sandbox.shop.practice import USUAL, Practice
from sandbox.shop.store import Store
from tap_shopify_orders.errors import RunError
from tests.facts.situations import STEPS, simple
from tests.facts.test_situations import Project, money, told, two_projects
from tests.sandbox.placed import PLACED
from tests.tap.conftest import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Change = Callable[[Store, str, int], object]

ALL_MOVE = Practice(moves=frozenset({*USUAL.moves, "erasure"}))


def bought(*, email: str | None, of_customer: bool, phone: str | None = None) -> tuple[Store, str, int]:
    """Return a store with an order of 50, its name, and the number of a customer."""
    store = Store(practice=ALL_MOVE)
    somebody = replace(person(Random(1), 1), email="jane@example.com")
    customer = store.add_customer(PLACED, somebody)
    extra = {"email": email, "phone": phone}
    order = store.add_order(replace(simple("50"), customer=customer if of_customer else None, extra=extra))
    return store, order["name"], int(customer["id"].rsplit("/", 1)[1])


CHANGES: dict[str, tuple[dict[str, Any], Change]] = {
    "the merchant corrects the order's e-mail after a sync": (
        {"email": "jnae@example.com", "of_customer": True},
        lambda store, name, _: store.change_email(name, STEPS[0], "jane@example.com"),
    ),
    "a guest order's e-mail is corrected": (
        {"email": "jnae@example.com", "of_customer": False},
        lambda store, name, _: store.change_email(name, STEPS[0], "jane@example.com"),
    ),
    "a customer is removed from a phone-only order": (
        {"email": None, "of_customer": True, "phone": "+16135550135"},
        lambda store, name, _: store.set_customer(name, STEPS[0]),
    ),
    "personal data is erased in Shopify": (
        {"email": "jane@example.com", "of_customer": True},
        lambda store, _, customer: store.erase_customer(customer, STEPS[0]),
    ),
    "the store is renamed": (
        {"email": "jane@example.com", "of_customer": True},
        lambda store, *_: store.rename_shop("renamed.myshopify.com"),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("identity", ["email", "customer_id", "email_sha256"])
def test_a_fact_is_there_once_whatever_becomes_of_its_buyer(what: str, identity: str, tmp_path: Path) -> None:
    how, change = CHANGES[what]
    store, name, customer = bought(**how)
    with two_projects(store, tmp_path, identity=identity) as (step_by_step, once):
        step_by_step.sync()
        change(store, name, customer)
        step_by_step.sync()
        step_by_step.sync(full_refresh=True)
        store.change_order(name, STEPS[1], note="by the door")
        step_by_step.sync()
        once.sync()
        facts = [
            [one for one in project.facts() if "order_name" in one["properties"]] for project in (step_by_step, once)
        ]
        assert sorted(map(told, facts[0])) == sorted(map(told, facts[1]))
        for side in facts:
            assert sum(money(one).get("net_sales", Decimal(0)) for one in side) == 50
            assert len({one["distinct_id"] for one in side}) == 1, "all events of an order are under one id"
            assert {one["copies"] for one in side} == {0}
        if what.startswith("the merchant"):
            assert_one_person(step_by_step, facts[0][0]["distinct_id"], how["email"], identity)
        if what.startswith("personal"):
            assert_forgotten(step_by_step)


def assert_one_person(project: Project, distinct_id: str, _: str, identity: str) -> None:
    """The order's first id and the customer's own belong to one person."""
    holders = [one for one in project.posthog.persons() if distinct_id in one["distinct_ids"]]
    assert len(holders) == 1
    assert holders[0]["properties"].get("email") == "jane@example.com" or identity == "email_sha256"


def assert_forgotten(project: Project) -> None:
    """Nothing that names the person is left in the person's properties."""
    for one in project.posthog.persons():
        assert not {"email", "name", "first_name", "last_name", "phone"} & one["properties"].keys()


GIVEN_AWAY: dict[str, dict[str, Any]] = {  # to a customer with an e-mail: what the one before them had
    "neither has the order an e-mail": {},
    "the order gets the other's e-mail": {"email_then": "jane@example.com"},
    "the one before opted out of data sale": {"email": "joe@example.com", "opted_out": True},
}


@pytest.mark.parametrize("identity", ["email", "customer_id", "email_sha256"])
@pytest.mark.parametrize("what", GIVEN_AWAY)
def test_an_order_that_is_given_to_another_customer_leaves_them_two_persons(
    what: str, identity: str, tmp_path: Path
) -> None:
    how = GIVEN_AWAY[what]
    store = Store(practice=ALL_MOVE)
    before = store.add_customer(PLACED, person(Random(1), 1))
    number = int(before["id"].rsplit("/", 1)[1])
    store.change_customer(number, PLACED, email=how.get("email"), dataSaleOptOut=how.get("opted_out", False))
    jane = store.add_customer(PLACED, replace(person(Random(2), 2), email="jane@example.com"))
    extra = {"email": how.get("email"), "phone": "+16135550135"}
    moved, kept = (
        store.add_order(replace(simple("50"), number=place, customer=before, extra=extra)) for place in (1, 2)
    )
    with two_projects(store, tmp_path, identity=identity) as (project, _):
        project.sync()
        store.set_customer(moved["name"], STEPS[0], int(jane["id"].rsplit("/", 1)[1]))
        if "email_then" in how:
            store.change_email(moved["name"], STEPS[0], how["email_then"])
        project.sync()
        ids = {
            one["properties"]["order_name"]: one["distinct_id"]
            for one in project.facts()
            if "order_name" in one["properties"]
        }
        assert ids == dict.fromkeys((moved["name"], kept["name"]), f"shopify:customer:{number}"), "as first sent"
        (holder,) = [one for one in project.posthog.persons() if "jane@example.com" in str(one["properties"])]
        assert f"shopify:customer:{number}" not in holder["distinct_ids"]


def test_a_customer_without_an_e_mail_is_linked_to_the_one_that_their_order_gets(tmp_path: Path) -> None:
    """Only orders are read, as a user may choose: no record of the customer says so."""
    store, name, customer = bought(email=None, of_customer=True, phone="+16135550135")
    with two_projects(store, tmp_path, mappings={"customers": []}) as (project, _):
        project.sync()
        store.change_email(name, STEPS[0], "jane@example.com")
        project.sync()
        (holder,) = project.posthog.persons()
        assert {f"shopify:customer:{customer}", "jane@example.com"} == set(holder["distinct_ids"])


@pytest.mark.parametrize("identity", ["email", "customer_id", "email_sha256"])
def test_the_shops_own_address_on_orders_of_several_customers(
    identity: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, own = Store(), "orders@shop.example.com"
    emails = [f"buyer{number}@example.com" for number in range(4)]
    for number, email in enumerate(emails):
        customer = store.add_customer(PLACED, replace(person(Random(number), number), email=email))
        store.add_order(replace(simple("50"), number=number, customer=customer, extra={"email": own}))
    with two_projects(store, tmp_path, identity=identity) as (project, _):
        project.sync()
    told = [one.message for one in caplog.records if "`nobody`" in one.message]
    assert len(told) == 1
    assert "one e-mail address" in told[0]
    assert "@" not in told[0]
    with two_projects(store, tmp_path / "again", identity=identity, nobody=[own.upper()]) as (project, _):
        project.sync()
        orders = {one["distinct_id"] for one in project.facts() if one["event"] == "Order Completed"}
        assert len(orders) == len(project.posthog.persons()) == len(emails)
        assert orders <= {one for holder in project.posthog.persons() for one in holder["distinct_ids"]}
    assert len([one for one in caplog.records if "`nobody`" in one.message]) == 1


def test_what_was_denied_and_is_approved_later_is_there_once(tmp_path: Path) -> None:
    store, _, _ = bought(email="jane@example.com", of_customer=True)
    with PostHog().serve() as posthog:
        with Shop(store, approved=frozenset({"customer", "name"})).serve() as poor:
            project = Project(poor, posthog, tmp_path / "receipts.db")
            project.sync(accept=["denied_fields"])
        with Shop(store).serve() as rich:
            project.shop = rich
            project.sync(full_refresh=True)
        facts = [one for one in project.facts() if "order_name" in one["properties"]]
        assert sum(money(one).get("net_sales", Decimal(0)) for one in facts) == 50
        assert {one["copies"] for one in facts} == {0}
        assert len({one["distinct_id"] for one in facts}) == 1


def test_customers_that_are_denied_whole_have_a_remedy_that_helps() -> None:
    store, _, _ = bought(email="jane@example.com", of_customer=True)
    with Shop(store, approved=frozenset()).serve() as shop:
        with pytest.raises(RunError) as raised:
            read(shop, accept=["denied_fields"])
        assert "to `accept`" not in str(raised.value)
        assert "approv" in str(raised.value)
