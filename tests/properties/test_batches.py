"""Events in batches: each once, in the order that their persons need, and never more than a request holds."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.delivery.batches import (
    LARGEST_BATCH_BYTES,
    MOST_EVENTS_IN_A_BATCH,
    Batch,
    Outgoing,
    sending_order,
)
from target_posthog.mapping.event import changes_person
from target_posthog.receipts.sifter import Sifted

CUT = "2026-11-21T00:00:00Z"
DAYS = ("2025-12-31", "2026-10-31", "2026-11-01", "2026-11-20", "2026-11-21", "2026-11-23")
SIZES = (100, LARGEST_BATCH_BYTES // 3, 900_000)


@st.composite
def outgoing(draw: st.DrawFn) -> Outgoing:
    properties: dict[str, Any] = {"$set": {"a": 1}} if draw(st.booleans()) else {}
    event: Any = {
        "event": draw(st.sampled_from(("Order Completed", "$identify"))),
        "distinct_id": draw(st.sampled_from(("jane", "ann", "eve"))),
        "uuid": f"00000000-0000-5000-8000-{draw(st.integers(0, 6)):012}",
        "timestamp": f"{draw(st.sampled_from(DAYS))}T12:00:00Z",
        "properties": properties,
    }
    return Outgoing(event, draw(st.sampled_from(SIZES)), Sifted(event, "rule", None))


def identity(one: Outgoing) -> tuple[str, ...]:
    return one.event["uuid"], one.event["event"], one.event["distinct_id"], one.event["timestamp"][:10]


@given(st.lists(outgoing(), max_size=40), st.integers(1, 4))
def test_each_event_is_in_one_batch_or_a_later_one_took_its_place(events: list[Outgoing], senders: int) -> None:
    planned = sending_order(events, historical_before=CUT, senders=senders)
    batches = [*planned.persons, *chain.from_iterable(planned.lanes)]
    sent = [one for batch in batches for one in batch.items]
    assert sorted(map(id, [*sent, *planned.repeated])) == sorted(map(id, events))
    latest = {identity(one): one for one in events}
    assert {identity(one): id(one) for one in sent} == {key: id(one) for key, one in latest.items()}
    earlier = [one for one in sent if latest[identity(one)] is not one]
    assert all(changes_person(one.event) for one in earlier), "nothing else of it counts"
    by_persons = {id(one) for batch in planned.persons for one in batch.items}
    assert all({id(one), id(latest[identity(one)])} <= by_persons for one in earlier), "versions leave by one way"


@given(st.lists(outgoing(), max_size=40), st.integers(1, 4))
def test_a_batch_is_one_that_a_request_can_hold(events: list[Outgoing], senders: int) -> None:
    planned = sending_order(events, historical_before=CUT, senders=senders)
    for batch in [*planned.persons, *chain.from_iterable(planned.lanes)]:
        check(batch)


def check(batch: Batch) -> None:
    uuids = [one.event["uuid"] for one in batch.items]
    assert 0 < len(uuids) <= MOST_EVENTS_IN_A_BATCH
    assert len(set(uuids)) == len(uuids)
    assert sum(one.size_bytes for one in batch.items) <= LARGEST_BATCH_BYTES
    if batch.historical:
        assert all(one.event["timestamp"] < CUT for one in batch.items)
        assert not any(changes_person(one.event) for one in batch.items), "that lane keeps no order with the others"


@given(st.lists(outgoing(), max_size=40), st.integers(1, 4))
def test_what_changes_a_person_leaves_in_the_order_of_the_records(events: list[Outgoing], senders: int) -> None:
    planned = sending_order(events, historical_before=CUT, senders=senders)
    place = {id(one): number for number, one in enumerate(events)}
    by_person = defaultdict(list)
    for one in chain.from_iterable(batch.items for batch in planned.persons):
        by_person[one.event["distinct_id"]].append(place[id(one)])
    assert all(places == sorted(places) for places in by_person.values())


@given(st.lists(outgoing(), max_size=40), st.integers(2, 4))
def test_the_events_of_a_person_share_a_lane(events: list[Outgoing], senders: int) -> None:
    lanes = sending_order(events, historical_before=CUT, senders=senders).lanes
    persons = [{one.event["distinct_id"] for batch in lane for one in batch.items} for lane in lanes]
    assert sum(map(len, persons)) == len(set().union(*persons))
