"""A plan's figures, warnings and lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.posthog.normalization import INITIAL
from target_posthog.mapping.event import COPIED_TO_PERSON, money_in
from target_posthog.preview.file import KnownRecord, PlannedEvent
from target_posthog.preview.lines import plan_lines
from target_posthog.preview.persons import Persons
from target_posthog.preview.plan import Planning

if TYPE_CHECKING:
    from target_posthog.mapping.catalogue import EventEntry
    from target_posthog.mapping.language.functions import JSON


def record(number: int, stream: str = "orders", **more: str | None) -> KnownRecord:
    known = {"name": f"#{number}", "left_out": None, "undeliverable": None, **more}
    return KnownRecord(number, stream, key_name=f"id={number}", **known)  # type: ignore[arg-type]  # the texts above


def event(of: int, name: str = "Sale", timestamp: str = "2026-11-01T00:00:00Z", **properties: JSON) -> PlannedEvent:
    distinct_id = properties.pop("distinct_id", f"user-{of}")
    said = {"event": name, "distinct_id": distinct_id, "uuid": f"{name}-{of}", "timestamp": timestamp}
    money = money_in(properties)
    return PlannedEvent(
        of,
        name,
        {**said, "properties": properties},  # type: ignore[typeddict-item]  # all of an event's keys
        historical=timestamp < "2026-11-10",
        repeated=False,
        amount=f"{money.amount:f}" if money else None,
        currency=money.currency if money else None,
    )


def planned(
    records: list[KnownRecord], events: list[PlannedEvent], entries: list[EventEntry] | None = None
) -> dict[str, Any]:
    return Planning({"format": 1, "made_at": "2026-11-20T00:00:00Z"}, {"city"}, entries or []).plan(records, events)


def test_an_empty_preview_has_a_plan() -> None:
    plan = planned([], [])
    assert (plan["events"], plan["oldest"], plan["bill"]["events"]) == ({}, None, 0)
    assert next(plan_lines(plan)) == "A run would send 0 events, of no records; nothing has been sent"


def test_events_are_counted_by_name_day_and_age() -> None:
    plan = planned(
        [record(1), record(2)],
        [event(1), event(1, "Paid", "2026-11-12T00:00:00Z"), event(2, timestamp="2026-11-12T23:59:59Z")],
    )
    assert {name: one["count"] for name, one in plan["events"].items()} == {"Paid": 1, "Sale": 2}
    assert [(one["day"], one["events"]) for one in plan["days"]] == [
        ("2026-11-01", {"Sale": 1}),
        ("2026-11-12", {"Paid": 1, "Sale": 1}),
    ]
    assert (plan["historical"], plan["live"]) == (1, 2)
    assert (plan["oldest"], plan["newest"]) == ("2026-11-01T00:00:00Z", "2026-11-12T23:59:59Z")
    assert (plan["events"]["Sale"]["oldest"], plan["events"]["Sale"]["live"]) == ("2026-11-01T00:00:00Z", 1)


@pytest.mark.parametrize(
    ("zone", "timestamp", "day"),
    [
        ("UTC", "2026-11-02T03:59:59Z", "2026-11-02"),
        ("America/New_York", "2026-11-02T04:59:59Z", "2026-11-01"),
        ("America/New_York", "2026-11-01T03:59:59Z", "2026-10-31"),  # in summer time still
        ("America/New_York", "2026-11-02T05:00:00Z", "2026-11-02"),
        ("Asia/Kathmandu", "2026-11-01T18:15:00Z", "2026-11-02"),  # 5 hours and 45 minutes before UTC
        ("Asia/Kathmandu", "2026-11-01T18:14:59Z", "2026-11-01"),
        ("Asia/Tokyo", "9999-12-31T23:00:00Z", "9999-12-31"),
    ],
)
def test_days_are_those_of_the_shops_zone_and_it_is_named(zone: str, timestamp: str, day: str) -> None:
    planning = Planning({"format": 1, "made_at": "2026-11-20T00:00:00Z"}, (), [], time_zone=zone)
    plan = planning.plan([record(1)], [event(1, timestamp=timestamp)])
    assert ([one["day"] for one in plan["days"]], plan["time_zone"]) == ([day], zone)
    assert f"  days, those of {zone}:" in plan_lines(plan)


def test_money_is_exact_and_each_currency_apart() -> None:
    sums = [event(one, revenue=0.1, currency="USD") for one in range(1, 11)]
    plan = planned(
        [record(one) for one in range(1, 13)],
        [*sums, event(11, revenue=1.234, currency="KWD"), event(12, revenue=5)],
    )
    assert plan["money"] == {"KWD": {"Sale": "1.234"}, "USD": {"Sale": "1.0"}}
    assert plan["events"]["Sale"]["money"] == {"KWD": "1.234", "USD": "1.0"}
    assert plan["days"][0]["money"] == {"Sale": {"KWD": "1.234", "USD": "1.0"}}


def test_an_event_that_is_repeated_counts_once() -> None:
    plan = planned([record(1), record(2)], [event(1, revenue=1, currency="USD")._replace(repeated=True), event(2)])
    assert (plan["events"]["Sale"]["count"], plan["events"]["Sale"]["repeated"]) == (1, 1)
    assert (plan["bill"]["events"], plan["money"], plan["persons"]["ids"]) == (1, {}, 1)


def test_records_that_become_nothing_are_counted_with_their_reason_and_examples() -> None:
    plan = planned(
        [
            *(record(one, left_out="test orders") for one in range(1, 6)),
            record(6, "customers", undeliverable="no id", name="id=6"),
            record(7),
        ],
        [],
    )
    assert plan["left_out"] == [
        {"stream": "orders", "reason": "test orders", "records": 5, "examples": ["#1", "#2", "#3"]}
    ]
    assert plan["undeliverable"] == [{"stream": "customers", "reason": "no id", "records": 1, "examples": ["id=6"]}]
    assert plan["without_events"] == {"orders": 1}
    lines = "\n".join(plan_lines(plan))
    assert "left out of orders: 5 records (test orders), such as #1, #2, #3" in lines
    assert "UNDELIVERABLE, which would end the run, of customers: 1 records (no id), such as id=6" in lines


def test_linked_ids_are_one_person_and_anonymous_events_none() -> None:
    plan = planned(
        [record(one) for one in range(1, 5)],
        [
            event(1, "$identify", distinct_id="a@x.com", **{"$anon_distinct_id": "customer:1"}),
            event(2, distinct_id="customer:1"),
            event(3, "$create_alias", distinct_id="a@x.com", alias="visitor"),
            event(4, distinct_id="order:4", **{"$process_person_profile": False}),
        ],
    )
    assert plan["persons"] == {"ids": 3, "persons": 1, "merged": 2}
    assert plan["bill"] == {"events": 4, "identified": 3, "anonymous": 1}


def test_orders_of_nobody_are_warned_of_unless_the_mapping_wants_it_so() -> None:
    nobody = {"$process_person_profile": False}
    plan = planned(
        [record(1), record(2), record(3)],
        [event(1), event(2, **nobody), event(3, "Ticket", **nobody)],
    )
    assert [one for one in plan["warnings"] if one["about"] == "nobody"] == [
        {
            "about": "nobody",
            "text": "events of nobody, which count for no person: 1 of 2 Sale",
            "count": 1,
            "examples": ["#2"],
        }
    ]


def test_customers_that_share_an_address_are_warned_of_and_one_that_is_read_twice_is_not() -> None:
    def identify(of: int, customer: int) -> PlannedEvent:
        said = {"$set": {"email": "a@x.com"}, "$anon_distinct_id": f"customer:{customer}"}
        return event(of, "$identify", distinct_id="a@x.com", **said)

    customers = [record(one, "customers") for one in (1, 2)]
    plan = planned([*customers, customers[1]._replace(id=3)], [identify(1, 1), identify(2, 2), identify(3, 2)])
    assert [(one["count"], one["examples"]) for one in plan["warnings"] if one["about"] == "shared"] == [
        (1, ["#1 and #2"])
    ]
    twice = planned([customers[0], customers[0]._replace(id=2)], [identify(1, 1), identify(2, 1)])
    assert [one for one in twice["warnings"] if one["about"] == "shared"] == []


def test_events_of_the_future_are_warned_of_as_the_protocol_decides_on_them() -> None:
    times = {1: "2026-11-20T22:59:59Z", 2: "2026-11-20T23:00:01Z", 3: "2126-01-01T00:00:00Z", 4: "2019-01-01T00:00:00Z"}
    plan = planned([record(one) for one in times], [event(one, timestamp=at) for one, at in times.items()])
    assert plan["warnings"] == [
        {
            "about": "future",
            "text": "events more than 23 hours in the future, which capture V1 keeps as they are, while by `/batch/` "
            "they are undeliverable: 2",
            "count": 2,
            "examples": ["#2", "#3"],
        }
    ]


ENTRY: EventEntry = {
    "stream": "orders",
    "rule": "Sale",
    "event": "Sale",
    "about": "",
    "when": "",
    "for_each": "",
    "timestamp": "",
    "deleted": "",
    "properties": [
        {"name": name, "place": "properties", "expression": "", "type": "", "unit": "", "example": "", "about": ""}
        for name in ("always", "seldom", "never")
    ],
}


def test_properties_that_are_empty_or_nearly_so_are_warned_of_and_announced() -> None:
    events = [event(one, always=1, **({"seldom": 1} if one == 1 else {})) for one in range(1, 31)]
    plan = planned([record(one) for one in range(1, 31)], events, [ENTRY])
    assert plan["events"]["Sale"]["properties"] == {"always": 30, "never": 0, "seldom": 1}
    (warning,) = plan["warnings"]
    assert warning["text"] == (
        "`Sale`: 1 of 3 properties are always empty: never; "
        "1 of 3 properties are in fewer than 5% of the events: seldom"
    )


def test_of_an_event_that_posthog_has_already_no_property_is_called_empty() -> None:
    plan = planned([record(1)], [event(1, always=1)._replace(there=True)], [ENTRY])
    assert (plan["events"]["Sale"]["already_there"], plan["warnings"]) == (1, [])


def test_personal_data_is_listed_by_name_and_place() -> None:
    plan = planned(
        [record(1), record(2)],
        [
            event(1, distinct_id="a@x.com", **{"$set": {"first_name": "Ann", "orders_count": 1}, "city": "Ulm"}),
            event(2, distinct_id="customer:2", **{"$set": {"first_name": "Bo"}}),
        ],
    )
    assert plan["personal"] == [
        {"name": "distinct_id", "place": "distinct_id", "events": 1},
        {"name": "city", "place": "properties", "events": 1},
        {"name": "first_name", "place": "set", "events": 2},
    ]


def test_a_sample_shows_the_first_event_of_each_name_with_its_record() -> None:
    plan = planned([record(1), record(2)], [event(1, total=1), event(2, total=2)])
    sample = plan["events"]["Sale"]["sample"]
    assert (sample["stream"], sample["record"], sample["event"]["properties"]) == ("orders", "#1", {"total": 1})


@pytest.mark.parametrize(
    ("links", "persons"),
    [
        ([], 4),
        ([("a", "b")], 3),
        ([("a", "b"), ("b", "a"), ("a", "a")], 3),
        ([("a", "b"), ("c", "d"), ("b", "c")], 1),
        ([("d", "c"), ("c", "b"), ("b", "a"), ("a", "d")], 1),
    ],
)
def test_links_join_whole_groups(links: list[tuple[str, str]], persons: int) -> None:
    found = Persons()
    for one in "abcd":
        found.of(one)
    for one, other in links:
        found.link(one, other)
    assert (found.ids, found.count) == (4, persons)
    assert len({found.of(one) for one in "abcd"}) == persons


def test_what_posthog_would_copy_onto_a_person_is_a_warning() -> None:
    nobody = {"utm_source": "b", "$process_person_profile": False}
    plan = planned(
        [record(1), record(2), record(3)],
        [event(1, utm_source="a", gclid="x"), event(2, utm_source=None, source="b"), event(3, **nobody)],
    )
    (warning,) = [one for one in plan["warnings"] if one["about"] == "copied"]
    assert warning["text"].endswith(": `Sale`: gclid (1), utm_source (2)"), "a null would clear the person's"
    assert (warning["count"], warning["examples"]) == (3, ["#1", "#2"])
    assert not [one for one in planned([record(1)], [event(1, source="a")])["warnings"] if one["about"] == "copied"]


def test_the_names_that_posthog_copies_are_those_of_the_sandbox() -> None:
    assert {*INITIAL} == COPIED_TO_PERSON
