"""What fits in one request, and in which order requests go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.delivery.batches import (
    LARGEST_BATCH_BYTES,
    LARGEST_EVENT_BYTES,
    MOST_EVENTS_IN_A_BATCH,
    Outgoing,
    sending_order,
    sized,
)
from target_posthog.receipts.sifter import Sifted

if TYPE_CHECKING:
    from target_posthog.mapping.event import Event
    from target_posthog.mapping.language.functions import JSON

CUT = "2026-11-21T00:00:00Z"  # events before it are historical


def event(number: int, day: str = "2026-11-23", who: str = "jane", **properties: JSON) -> Event:
    return {
        "event": "Order Completed",
        "distinct_id": who,
        "uuid": f"00000000-0000-5000-8000-{number:012}",
        "timestamp": f"{day}T12:00:00Z",
        "properties": properties,
    }


def kept(event: Event) -> Sifted:
    return Sifted(event, "rule", None)


def out(*events: Event) -> list[Outgoing]:
    return [Outgoing(one, 100, kept(one)) for one in events]


def numbers(batches: list[JSON]) -> list[list[int]]:
    return [[int(one["uuid"][-12:]) for one in batch.events] for batch in batches]


def test_historical_and_live_events_never_share_a_batch() -> None:
    (lane,) = sending_order(out(event(1), event(2, "2026-11-20"), event(3)), historical_before=CUT).lanes
    assert [(batch.historical, *numbers([batch])) for batch in lane] == [(True, [2]), (False, [1, 3])]


def test_historical_events_go_oldest_day_first_and_no_batch_mixes_months() -> None:
    days = ["2026-03-02", "2026-03-01", "2025-12-31", "2026-03-01"]
    (lane,) = sending_order(out(*(event(at, day) for at, day in enumerate(days))), historical_before=CUT).lanes
    assert numbers(lane) == [[2], [1, 3, 0]]


def test_a_batch_ends_before_it_holds_too_many_events_or_bytes() -> None:
    many = out(*(event(number) for number in range(MOST_EVENTS_IN_A_BATCH + 1)))
    assert [len(batch.items) for batch in sending_order(many, historical_before=CUT).lanes[0]] == [
        MOST_EVENTS_IN_A_BATCH,
        1,
    ]
    large = [one._replace(size_bytes=LARGEST_BATCH_BYTES // 2 + 1) for one in out(*map(event, range(3)))]
    assert numbers(sending_order(large, historical_before=CUT).lanes[0]) == [[0], [1], [2]]


def test_events_that_change_persons_go_first_in_the_order_of_their_records() -> None:
    first = event(1, "2026-11-23", **{"$set": {"a": 1}})
    older = event(2, "2026-01-05", **{"$set": {"a": 2}})
    other = event(3, "2026-01-05", who="john", **{"$set_once": {"a": 2}})
    plain = event(4, "2020-01-01")
    planned = sending_order(out(plain, first, older, other), historical_before=CUT)
    assert numbers(planned.persons) == [[3], [1, 2]]
    assert [batch.is_old for batch in planned.persons] == [True, False], "each month apart, and a back-fill's pace"
    assert [numbers(lane) for lane in planned.lanes] == [[[4]]]


def test_what_changes_persons_never_travels_in_the_historical_lane() -> None:
    changes = [
        {"$set": {"a": 1}},
        {"$set_once": {"a": 1}},
        {"$unset": ["a"]},
        {"$anon_distinct_id": "x"},
        {"alias": "x"},
    ]
    old = [event(number, "2020-01-05", f"p{number}", **one) for number, one in enumerate(changes)]
    planned = sending_order(out(*old, event(9, "2020-01-05")), historical_before=CUT)
    assert [batch.historical for batch in planned.persons] == [False] * len(planned.persons)
    assert [batch.historical for batch in planned.lanes[0]] == [True]


def link(number: int, who: str, other: str) -> Event:
    return event(number, "2026-11-23", who, **{"$anon_distinct_id": other})


def test_what_touches_an_id_of_another_partition_waits_until_that_is_acknowledged() -> None:
    events = [
        link(1, "jane", "c7"),
        link(2, "john", "c8"),
        link(3, "jane", "john"),  # John's own event has another distinct id, so PostHog keeps no order of the two
        link(4, "jane", "visitor"),  # after the link before it, which has the same distinct id
        link(5, "eve", "c9"),
        link(6, "c8", "eve"),
    ]
    assert numbers(sending_order(out(*events), historical_before=CUT).persons) == [[1, 2, 5], [3, 4, 6]]


def test_many_orders_with_links_of_their_own_take_as_many_rounds_as_the_longest_needs() -> None:
    events = [one for n in range(0, 400, 2) for one in (link(n, f"a{n}", f"c{n}"), link(n + 1, f"b{n}", f"a{n}"))]
    assert [len(batch) for batch in numbers(sending_order(out(*events), historical_before=CUT).persons)] == [200, 200]


def test_of_events_that_posthog_takes_for_the_same_the_last_one_is_sent() -> None:
    early, late = event(1, total=1), event(1, total=2)
    planned = sending_order(out(early, event(2), late), historical_before=CUT)
    assert [one.event["properties"] for one in planned.repeated] == [{"total": 1}]
    assert [one["properties"] for one in planned.lanes[0][0].events] == [{}, {"total": 2}]


@pytest.mark.parametrize(
    ("said", "places"),
    [
        ({"$set_once": {"a": 1}}, [1, 2]),  # it makes a person: before what is said of the person, though it came again
        ({"$set": {"a": 1}}, [2, 1]),  # it changes one: the last change holds
        ({"$set_once": {"a": 1}, "$set": {"a": 1}}, [2, 1]),
    ],
    ids=str,
)
def test_where_an_event_stands_that_comes_again_after_another(said: dict[str, JSON], places: list[int]) -> None:
    told = [event(1, **said), event(2, **{"$set": {"a": 2}}), event(1, **said, again=True)]
    planned = sending_order(out(*told), historical_before=CUT)
    assert numbers(planned.persons) == [places]
    assert [one["properties"].get("again") for one in planned.persons[0].events if "000001" in one["uuid"]] == [True]
    assert [one.event for one in planned.repeated] == [told[0]]


@pytest.mark.parametrize(
    ("earlier", "later", "numbers_sent"),
    [
        ({"$set": {"a": 1, "b": 1}}, {"$set": {"a": 2}, "$unset": ["b"]}, [2]),
        ({"$unset": ["a"]}, {"$set": {"a": 2}}, [2]),
        ({"$unset": ["a"]}, {"$set": {"b": 2}}, [1, 2]),
        ({"$set": {"a": 1}}, {"$set": {"b": 2}}, [1, 2]),
        ({"$set_once": {"a": [1]}}, {"$set_once": {"a": [1], "b": 2}}, [2]),
        ({"$set_once": {"a": 1}}, {"$set_once": {"a": 2}}, [1, 2]),
        ({"$set_once": {"a": 1}}, {"$set": {"a": 1}}, [1, 2]),
        ({"$anon_distinct_id": "x"}, {"$anon_distinct_id": "x"}, [2]),
        ({"$anon_distinct_id": "x"}, {"$anon_distinct_id": "y"}, [1, 2]),
        ({"alias": "x"}, {"$set": {"a": 1}}, [1, 2]),
        ({"$set": {"a": 1}}, {"$anon_distinct_id": "x", "$set": {"a": 1}}, [2]),
        ({"$group_set": {"a": 1}}, {"$group_set": {"b": 1}}, [1, 2]),
        ({"$group_set": {"a": 1}}, {"$group_set": {"a": 2}}, [2]),
    ],
)
def test_what_the_next_version_does_not_repeat_of_a_person_is_sent_before_it(
    earlier: dict[str, JSON], later: dict[str, JSON], numbers_sent: list[int]
) -> None:
    versions = out(event(1, version=1, **earlier), event(1, version=2, **later))
    planned = sending_order(versions, historical_before=CUT)
    sent = [[one["properties"]["version"] for one in batch.events] for batch in planned.persons]
    assert sent == [[number] for number in numbers_sent], "never twice in one batch"
    assert len(planned.repeated) == 2 - len(numbers_sent)


def test_a_first_value_stays_first_when_a_third_version_has_it_again() -> None:
    once = [{"a": 1}, {"a": 2}, {"a": 1}]
    planned = sending_order(out(*(event(1, **{"$set_once": each}) for each in once)), historical_before=CUT)
    assert [one["properties"]["$set_once"] for batch in planned.persons for one in batch.events] == once


def test_the_same_uuid_with_another_day_or_person_is_sent_in_a_batch_of_its_own() -> None:
    planned = sending_order(
        out(event(1, "2026-11-22"), event(1, "2026-11-23"), event(1, who="john")), historical_before=CUT
    )
    assert numbers(planned.lanes[0]) == [[1], [1], [1]]
    assert planned.repeated == []


PERSONS = st.sampled_from(["a", "b", "c", "d", "e"])
EVENTS = st.lists(
    st.tuples(PERSONS, st.dates().map(str), st.booleans()).map(lambda one: (one[0], one[1], one[2])), max_size=40
)


@given(EVENTS, st.integers(1, 4))
def test_every_event_is_sent_once_and_each_person_stays_in_order(
    drawn: list[tuple[str, str, bool]], senders: int
) -> None:
    made = [
        event(at, day.rjust(10, "0"), who, **({"$set": {"at": at}} if changes else {}))
        for at, (who, day, changes) in enumerate(drawn)
    ]
    planned = sending_order(out(*made), historical_before=CUT, senders=senders)
    sent = [*planned.persons, *(batch for lane in planned.lanes for batch in lane)]
    assert sorted(number for batch in numbers(sent) for number in batch) == list(range(len(made)))
    for who in "abcde":
        changes = [
            one["properties"]["$set"]["at"]
            for batch in planned.persons
            for one in batch.events
            if one["distinct_id"] == who
        ]
        assert changes == sorted(changes)
        lanes = [
            lane for lane in planned.lanes if any(one["distinct_id"] == who for batch in lane for one in batch.events)
        ]
        assert len(lanes) <= 1
    for batch in sent:
        assert not batch.historical or all(one["timestamp"] < CUT for one in batch.events)


def test_planning_changes_no_event() -> None:
    events = out(event(1, **{"$set": {"a": 1}}), event(2, "2020-01-01"))
    before = json.dumps([one.event for one in events])
    sending_order(events, historical_before=CUT, senders=3)
    assert json.dumps([one.event for one in events]) == before


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (2**53, 2**53),
        (-(2**53), -(2**53)),
        (2**53 + 1, "9007199254740993"),
        (-(2**53) - 1, "-9007199254740993"),
        (10**30, "1" + "0" * 30),
        ("820982911946154508", "820982911946154508"),
        (1234567890123456.5, 1234567890123456.5),
        (True, True),
    ],
)
def test_a_whole_number_that_posthog_would_change_is_a_text_wherever_it_stands(value: JSON, sent: JSON) -> None:
    deep = {"id": value, "list": [{"id": [value]}], "$set": {"id": value}, "$groups": {"shop": value}, "rest": None}
    outgoing = sized(kept(event(1, **deep)))
    assert outgoing
    assert outgoing.event["properties"] == {
        "id": sent,
        "list": [{"id": [sent]}],
        "$set": {"id": sent},
        "$groups": {"shop": sent},
        "rest": None,
    }
    assert outgoing.size_bytes == len(msgspec.json.encode(outgoing.event))


def test_an_event_has_the_size_of_its_json() -> None:
    small = event(1, name="Ä")
    data = msgspec.json.encode(small)
    assert sized(kept(small)) == Outgoing(small, len(data), kept(small))


def test_a_whole_number_that_posthog_would_round_becomes_text() -> None:
    exact, rounded = 2**53, 2**53 + 1
    outgoing = sized(kept(event(1, a=exact, b=rounded, c=[-rounded, 1.5], d={"e": rounded}, f=str(rounded), g=True)))
    assert outgoing is not None
    said = outgoing.event["properties"]
    text = str(rounded)
    assert [said[name] for name in "abcdfg"] == [exact, text, [f"-{text}", 1.5], {"e": text}, text, True]


def test_an_event_too_large_has_its_longest_list_shortened_with_a_mark() -> None:
    products = [{"name": 'a "quoted" name' * 20, "at": number} for number in range(5_000)]
    large = event(1, products=products, tags=["a", "b"], total=5)
    shortened = sized(kept(large))
    assert shortened is not None
    properties = shortened.event["properties"]
    assert properties["products_shortened_from"] == 5_000
    assert properties["products"] == products[: len(properties["products"])]
    assert (properties["tags"], properties["total"]) == (["a", "b"], 5)
    assert LARGEST_EVENT_BYTES * 0.8 < shortened.size_bytes <= LARGEST_EVENT_BYTES
    assert len(large["properties"]["products"]) == 5_000


@pytest.mark.parametrize(
    "properties", [{"note": "x" * LARGEST_EVENT_BYTES}, {"note": "x" * LARGEST_EVENT_BYTES, "a": [1, 2]}]
)
def test_an_event_too_large_without_its_lists_is_not_sent(properties: dict[str, JSON]) -> None:
    assert sized(kept(event(1, **properties))) is None
