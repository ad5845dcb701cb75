"""The persons in the end don't depend on the order in which PostHog's partitions apply what a run has sent.

A partition holds the events of one distinct id on one topic (sandbox/posthog/partitions.py). Each case of
docs/identity.md is sent by one run, held back, and applied in every order that PostHog could choose.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from tests.target.test_persons import (
    IDENTITIES,
    VISITOR,
    Syncs,
    customer,
    note,
    order,
    web_shop_identifies,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from conftest import Runs
    from sandbox.posthog import PostHog
    from sandbox.posthog.partitions import Partition

NEW, OLD, NUMBER = "new@example.com", "old@example.com", "shopify:customer:7"
Persons = frozenset[tuple[frozenset[str], str]]
EVERY_ORDER: Callable[[Sequence[Partition]], bool] = lambda _: True  # noqa: E731  # a value of the parameter


def web(posthog: PostHog, *emails: str) -> int:
    """Let a web shop identify visitors, each another one, before anything else; return how many events that takes."""
    for number, email in enumerate(emails):
        web_shop_identifies(posthog, email, VISITOR if number == 0 else f"01928f3a-0000-7000-8000-00000000000{number}")
    return len(emails)


def ends(posthog: PostHog, earlier: int, allowed: Callable[[Sequence[Partition]], bool] = EVERY_ORDER) -> set[Persons]:
    """Apply what is held in every order, the `earlier` events first; return the different persons in the end."""
    held = posthog.held()
    assert len(held) <= 8, "all orders of more would take too long"
    found = set()
    for later in filter(allowed, set(itertools.permutations(held[earlier:]))):
        posthog.database.wipe()
        posthog.apply([*held[:earlier], *later])
        found.add(persons(posthog))
    return found


def persons(posthog: PostHog) -> Persons:
    return frozenset(
        (frozenset(one["distinct_ids"]), json.dumps(one["properties"], sort_keys=True)) for one in posthog.persons()
    )


def id_sets(found: Iterable[Persons]) -> list[list[list[str]]]:
    return [sorted(sorted(ids) for ids, _ in persons) for persons in found]


CART = note(_posthog_distinct_id=VISITOR)
# What the web shop identified before, and what one run brings.
CASES: dict[str, tuple[tuple[str, ...], list[dict[str, Any]]]] = {
    "one e-mail": ((), [customer(7, NEW), order(1, NEW, (7, NEW))]),
    "one e-mail, identified on the web": ((NEW,), [customer(7, NEW), order(1, NEW, (7, NEW))]),
    "an order with another e-mail": ((), [customer(7, NEW), order(1, OLD, (7, NEW))]),
    "a new e-mail, identified on the web, and an old order": ((NEW,), [customer(7, NEW), order(1, OLD, (7, NEW))]),
    "a visitor in the cart": ((), [customer(7, NEW), order(1, NEW, (7, NEW), note_attributes=CART)]),
    "a visitor in the cart of an old order": ((), [customer(7, NEW), order(1, OLD, (7, NEW), note_attributes=CART)]),
    "a customer without an e-mail": ((), [customer(7, None), order(1, OLD, (7, None))]),
    "a customer without an e-mail, identified on the web": ((OLD,), [customer(7, None), order(1, OLD, (7, None))]),
    "an order before its customer": ((NEW,), [order(1, OLD, (7, NEW))]),
    "a guest with a visitor in the cart": ((), [order(1, NEW, note_attributes=CART)]),
}


@pytest.mark.parametrize("identity", IDENTITIES)
@pytest.mark.parametrize("case", CASES)
def test_in_whatever_order_it_arrives_the_customer_is_one_person(
    runs: Runs, posthog: PostHog, case: str, identity: str
) -> None:
    identified, records = CASES[case]
    if identity == "email_sha256":
        identified = ()  # the web shop would have to identify by the hash
    posthog.hold()
    earlier = web(posthog, *identified)
    Syncs(runs, identity)(*records)
    found = ends(posthog, earlier)
    assert all(len(only) == 1 for only in found), id_sets(found)
    assert len({ids for only in found for ids, _ in only}) == 1
    # Whether the e-mail that only the web shop knows stays with the person is said in docs/identity.md.
    assert len(found) == 1 or case == "a customer without an e-mail, identified on the web"


@pytest.mark.parametrize("identity", IDENTITIES)
def test_two_customers_with_one_e_mail_are_one_person_in_whatever_order(
    runs: Runs, posthog: PostHog, identity: str
) -> None:
    posthog.hold()
    Syncs(runs, identity)(customer(7, NEW), customer(8, NEW), order(1, NEW, (8, NEW)))
    assert [len(one) for one in ends(posthog, 0)] == [1]


def test_a_customer_whose_e_mail_changes_while_the_run_reads_stays_one_person(runs: Runs, posthog: PostHog) -> None:
    """`customers` was read before the change, the order after it; the customer comes again with the next run."""
    posthog.hold()
    sync = Syncs(runs)
    sync(customer(7, "before@example.com"), order(1, OLD, (7, NEW)))
    sync(customer(7, NEW, 2))
    first = len(posthog.held()) - 1
    found = set()
    for later in set(itertools.permutations(posthog.held()[:first])):
        posthog.database.wipe()
        posthog.apply([*later, *posthog.held()[first:]])
        found.add(frozenset(ids for ids, _ in persons(posthog)))
    assert len(found) == 1
    assert [set(ids) for ids in next(iter(found))] == [{"before@example.com", NEW, OLD, NUMBER}]


def test_another_customers_e_mail_on_an_order_waits_for_that_customer(runs: Runs, posthog: PostHog) -> None:
    """The one order that matters: John's own `$identify` has been acknowledged before his e-mail is offered to Jane."""
    posthog.hold()
    jane, john = "jane@example.com", "john@example.com"
    Syncs(runs)(customer(7, jane), customer(8, john), order(1, john, (7, jane)))
    bodies = [zstandard.decompress(seen.body) for seen in posthog.controls.requests if "events" in seen.path]
    batches = [json.loads(body)["batch"] for body in bodies]
    links = [
        number
        for number, batch in enumerate(batches)
        for one in batch
        if {one["distinct_id"], one["properties"].get("$anon_distinct_id")} == {jane, john}
    ]
    of_john = [
        n
        for n, batch in enumerate(batches)
        for one in batch
        if (one["distinct_id"], one["event"]) == (john, "$identify")
    ]
    assert max(of_john) < min(links), "in an earlier request"

    main = [one for one in posthog.held() if one.topic == "events_plugin_ingestion"]
    mails = [one for one in main if "@" in one.distinct_id]
    assert main[-4:] == mails, "what makes the two persons comes first"
    assert [one.distinct_id for one in mails] == [jane, john, jane, jane], "Jane, John, then the order's two links"

    def as_acknowledged(order: Sequence[Partition]) -> bool:
        mine = [one.distinct_id for one in order if one in mails]
        return mine.index(john) < 3

    assert {len(one) for one in ends(posthog, 0, as_acknowledged)} == {2}
    # What docs/identity.md says PostHog could still do: apply the link before what it had acknowledged earlier.
    assert {len(one) for one in ends(posthog, 0)} == {1, 2}
