"""Who a person is in the sandbox's PostHog after the events that the posthog library delivered."""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.posthog.persons import is_illegal
from tests.posthog_events import event as numbered_event
from tests.posthog_events import send

if TYPE_CHECKING:
    from sandbox.posthog import PostHog

numbers = itertools.count(1)


def event(distinct_id: str, name: str = "seen", day: int = 1, **properties: object) -> dict[str, Any]:
    return numbered_event(next(numbers), name, distinct_id, f"2026-11-{day:02}T10:00:00Z", **properties)


def identify(distinct_id: str, other_id: str | None = None, **properties: object) -> dict[str, Any]:
    other = {} if other_id is None else {"$anon_distinct_id": other_id}
    return event(distinct_id, "$identify", **other, **properties)


def ids(posthog: PostHog) -> list[set[str]]:
    return sorted((set(person["distinct_ids"]) for person in posthog.persons()), key=sorted)


def person(posthog: PostHog, distinct_id: str) -> dict[str, Any]:
    (found,) = (one for one in posthog.persons() if distinct_id in one["distinct_ids"])
    return found


def test_an_event_starts_an_unidentified_person_at_its_own_time(posthog: PostHog) -> None:
    send(posthog, event("ada", day=5), event("ada", day=3), event("ada", "$set", day=2, **{"$set_once": {"a": 1}}))
    (only,) = posthog.persons()
    assert (only["distinct_ids"], only["is_identified"], only["created_at"]) == (["ada"], False, "2026-11-05T10:00:00Z")


def test_a_persons_uuid_is_that_of_team_and_first_id(posthog: PostHog) -> None:
    send(posthog, event("ada"))
    # 932979b4-... is PostHog's namespace for persons, 1 the team
    expected = str(uuid.uuid5(uuid.UUID("932979b4-65c3-4424-8467-0b66ec27bc22"), "1:ada"))
    assert (posthog.persons()[0]["uuid"], posthog.events()[0]["person_id"]) == (expected, expected)


def test_set_overwrites_in_the_order_of_arrival_whatever_the_time(posthog: PostHog) -> None:
    send(posthog, event("ada", "$set", day=9, **{"$set": {"city": "Kyiv", "tags": ["a"]}}))
    send(posthog, event("ada", "$set", day=2, **{"$set": {"city": "Lviv"}}))
    assert person(posthog, "ada")["properties"] == {"city": "Lviv", "tags": ["a"]}


def test_set_once_writes_only_what_is_absent(posthog: PostHog) -> None:
    send(posthog, event("ada", **{"$set_once": {"first": 1, "nothing": None}}))
    send(posthog, event("ada", **{"$set_once": {"first": 2, "nothing": 2, "second": 2}}))
    assert person(posthog, "ada")["properties"] == {"first": 1, "nothing": None, "second": 2}


def test_set_wins_over_set_once_in_one_event(posthog: PostHog) -> None:
    send(posthog, event("ada", **{"$set": {"plan": "set"}, "$set_once": {"plan": "once"}}))
    assert person(posthog, "ada")["properties"] == {"plan": "set"}


@pytest.mark.parametrize("unset", [["city", "unknown", 7], {"city": ""}])
def test_unset_takes_a_list_or_an_object(posthog: PostHog, unset: object) -> None:
    send(posthog, event("ada", **{"$set": {"city": "Kyiv", "name": "Ada"}}), event("ada", **{"$unset": unset}))
    assert person(posthog, "ada")["properties"] == {"name": "Ada"}


@pytest.mark.parametrize("name", ["$exception", "$$heatmap"])
def test_some_events_never_update_a_person(posthog: PostHog, name: str) -> None:
    send(posthog, event("ada", name, **{"$set": {"city": "Kyiv"}}))
    assert person(posthog, "ada")["properties"] == {}


def test_a_person_that_grows_beyond_its_limit_is_not_updated(posthog: PostHog) -> None:
    send(posthog, event("ada", **{"$set": {"name": "Ada", "note": "x" * 300_000}}))
    send(posthog, event("ada", **{"$set": {"name": "Eve", "other_note": "x" * 300_000}}))
    assert person(posthog, "ada")["properties"]["name"] == "Ada"
    assert [one.type for one in posthog.warnings()] == ["person_properties_size_violation"]


def test_person_properties_keep_their_exact_numbers(posthog: PostHog) -> None:
    send(posthog, event("ada", **{"$set": {"total_spent": 244091.94, "orders_count": 9007199254740992}}))
    assert b'{"total_spent":244091.94,"orders_count":9007199254740992}' in bytes(
        posthog.database.persons()[0].properties
    )


def test_identify_without_another_id_only_sets(posthog: PostHog) -> None:
    send(posthog, identify("ada", **{"$set": {"name": "Ada"}}))
    only = person(posthog, "ada")
    assert (only["properties"], only["is_identified"]) == ({"name": "Ada"}, False)


def test_identify_makes_one_person_of_two_new_ids(posthog: PostHog) -> None:
    send(posthog, identify("ada@x.io", "customer:1", **{"$set": {"name": "Ada"}}))
    only = person(posthog, "customer:1")
    assert (only["distinct_ids"], only["is_identified"]) == (["ada@x.io", "customer:1"], True)
    assert only["properties"] == {"name": "Ada"}


def test_identify_keeps_the_uuid_of_an_id_that_was_used_without_a_person(posthog: PostHog) -> None:
    send(posthog, event("customer:1", **{"$process_person_profile": False}))
    personless = posthog.events()[0]["person_id"]
    send(posthog, identify("ada@x.io", "customer:1"))
    assert person(posthog, "ada@x.io")["uuid"] == personless


@pytest.mark.parametrize("first", ["ada@x.io", "customer:1"])
@pytest.mark.parametrize("identified", [False, True])
def test_identify_adds_the_id_that_has_no_person_identified_or_not(
    posthog: PostHog, first: str, *, identified: bool
) -> None:
    send(posthog, identify(first, "seen before") if identified else event(first))
    send(posthog, identify("ada@x.io", "customer:1"))
    (only,) = posthog.persons()
    assert {"ada@x.io", "customer:1"} <= set(only["distinct_ids"])
    assert only["is_identified"] is True


def test_identify_of_one_person_changes_nothing_but_its_properties(posthog: PostHog) -> None:
    send(posthog, identify("ada@x.io", "customer:1"))
    send(posthog, identify("ada@x.io", "customer:1", **{"$set": {"name": "Ada"}}))
    assert ids(posthog) == [{"ada@x.io", "customer:1"}]
    assert person(posthog, "ada@x.io")["properties"] == {"name": "Ada"}


def test_identify_merges_an_unidentified_person_into_its_own(posthog: PostHog) -> None:
    send(posthog, event("visitor", day=2, **{"$set": {"city": "Kyiv", "utm": "mail"}}))
    send(posthog, event("ada@x.io", day=5, **{"$set": {"city": "Lviv"}}))
    kept = person(posthog, "ada@x.io")["uuid"]
    send(posthog, identify("ada@x.io", "visitor", **{"$set": {"name": "Ada"}}))
    (only,) = posthog.persons()
    assert (only["uuid"], only["is_identified"], only["created_at"]) == (kept, True, "2026-11-02T10:00:00Z")
    assert only["properties"] == {"city": "Lviv", "utm": "mail", "name": "Ada"}
    assert {one["person_id"] for one in posthog.events()} == {kept}


@pytest.mark.parametrize("name", ["$identify", "$create_alias"])
def test_an_identified_person_is_not_merged_into_another(posthog: PostHog, name: str) -> None:
    send(posthog, identify("old@x.io", "customer:1"), event("new@x.io"))
    link = {"$anon_distinct_id": "customer:1", "alias": "customer:1", "$set": {"name": "Ada"}}
    for _ in range(2):
        send(posthog, event("new@x.io", name, **link))
    assert ids(posthog) == [{"customer:1", "old@x.io"}, {"new@x.io"}]
    assert [one.type for one in posthog.warnings()] == ["cannot_merge_already_identified"] * 2
    assert person(posthog, "new@x.io")["properties"] == {"name": "Ada"}
    assert posthog.totals()["events"][name] == 2 + (name == "$identify")


def test_the_other_direction_merges_when_only_the_target_is_identified(posthog: PostHog) -> None:
    send(posthog, identify("old@x.io", "customer:1"), event("new@x.io"))
    send(posthog, identify("customer:1", "new@x.io"))
    assert ids(posthog) == [{"customer:1", "new@x.io", "old@x.io"}]


def test_merge_dangerously_merges_also_an_identified_person(posthog: PostHog) -> None:
    send(posthog, identify("old@x.io", "customer:1"), identify("new@x.io", "customer:2"))
    send(posthog, event("new@x.io", "$merge_dangerously", alias="old@x.io"))
    assert ids(posthog) == [{"customer:1", "customer:2", "new@x.io", "old@x.io"}]


def test_an_alias_adds_an_id(posthog: PostHog) -> None:
    send(posthog, event("ada@x.io"), event("ada@x.io", "$create_alias", alias="customer:1"))
    assert ids(posthog) == [{"ada@x.io", "customer:1"}]


def test_an_alias_of_nothing_or_of_itself_changes_nothing(posthog: PostHog) -> None:
    send(posthog, event("ada", "$create_alias", alias=""), identify("ada", "ada"))
    only = person(posthog, "ada")
    assert (ids(posthog), only["is_identified"], posthog.warnings()) == ([{"ada"}], False, [])


@pytest.mark.parametrize(("distinct_id", "other_id"), [("ada", "anonymous"), ("null", "ada"), ("ada", " ")])
def test_an_illegal_id_is_never_merged_but_the_event_is_kept(posthog: PostHog, distinct_id: str, other_id: str) -> None:
    send(posthog, identify(distinct_id, other_id, **{"$set": {"name": "Ada"}}))
    assert ids(posthog) == [{distinct_id}]
    assert person(posthog, distinct_id)["properties"] == {"name": "Ada"}
    assert [one.type for one in posthog.warnings()] == ["cannot_merge_with_illegal_distinct_id"]
    assert len(posthog.events()) == 1


@pytest.mark.parametrize(
    ("distinct_id", "illegal"),
    [
        *(
            (one, True)
            for one in ("", "  ", "Anonymous", "GUEST", '"email"', "'Undefined'", "TRUE", "None", '"0"', "NaN")
        ),
        *((one, False) for one in ("nan", "NULL", "00", "guest@x.io", "ada", "backend")),
    ],
)
def test_an_id_is_illegal_in_any_case_or_as_written(distinct_id: str, *, illegal: bool) -> None:
    assert is_illegal(distinct_id) is illegal


def test_an_event_without_person_processing_leaves_no_person(posthog: PostHog) -> None:
    send(posthog, event("ada", **{"$process_person_profile": False, "$set": {"a": 1}, "$set_once": {"b": 1}, "x": 1}))
    (kept,) = posthog.events()
    left = {"$ignore_sent_at": True, "$process_person_profile": False, "x": 1, "$ip": "127.0.0.1"}
    assert kept["properties"] == left
    assert posthog.persons() == []


def test_an_event_without_person_processing_still_belongs_to_an_existing_person(posthog: PostHog) -> None:
    send(posthog, identify("ada@x.io", "customer:1"))
    send(posthog, event("customer:1", **{"$process_person_profile": False, "$set": {"name": "Eve"}}))
    only = person(posthog, "ada@x.io")
    assert posthog.events()[-1]["person_id"] == only["uuid"]
    assert only["properties"] == {}


@pytest.mark.parametrize("name", ["$identify", "$create_alias", "$merge_dangerously", "$groupidentify"])
def test_a_person_event_without_person_processing_is_dropped(posthog: PostHog, name: str) -> None:
    group = {"$group_type": "store", "$group_key": "acme"}
    send(posthog, event("ada", name, alias="eve", **group, **{"$process_person_profile": False}))
    assert (posthog.events(), posthog.persons(), posthog.groups()) == ([], [], [])
    assert [one.type for one in posthog.warnings()] == ["invalid_event_when_process_person_profile_is_false"]


def test_person_processing_that_is_no_boolean_is_on_with_a_warning(posthog: PostHog) -> None:
    send(posthog, event("ada", **{"$process_person_profile": "false"}))
    assert ids(posthog) == [{"ada"}]
    assert [one.type for one in posthog.warnings()] == ["invalid_process_person_profile"]


def test_a_group_gathers_its_properties(posthog: PostHog) -> None:
    store = {"$group_type": "store", "$group_key": "acme"}
    send(posthog, event("$store_acme", "$groupidentify", **store, **{"$group_set": {"name": "Acme", "plan": 1}}))
    send(posthog, event("$store_acme", "$groupidentify", day=2, **store, **{"$group_set": {"plan": 2}}))
    (only,) = posthog.groups()
    assert (only["type"], only["key"], only["created_at"]) == ("store", "acme", "2026-11-01T10:00:00Z")
    assert only["properties"] == {"name": "Acme", "plan": 2}


def test_a_sixth_group_type_is_ignored_and_its_event_kept(posthog: PostHog) -> None:
    send(posthog, *(event("g", "$groupidentify", **{"$group_type": f"t{n}", "$group_key": "k"}) for n in range(6)))
    assert [one["type"] for one in posthog.groups()] == ["t0", "t1", "t2", "t3", "t4"]
    assert posthog.totals()["events"] == {"$groupidentify": 6}


@pytest.mark.parametrize("group", [{"$group_key": "k"}, {"$group_type": "t", "$group_key": "k" * 401}])
def test_a_group_event_without_type_or_with_a_long_key_is_dropped(posthog: PostHog, group: dict[str, str]) -> None:
    send(posthog, event("g", "$groupidentify", **group))
    assert (posthog.events(), posthog.groups(), len(posthog.warnings())) == ([], [], 1)


some_ids = st.sampled_from(["ada@x.io", "eve@x.io", "customer:1", "customer:2", "visitor", "null"])
some_events = st.builds(
    lambda name, distinct_id, other_id, profile, value: event(
        distinct_id,
        name,
        day=value + 1,
        **{"$anon_distinct_id": other_id, "alias": other_id, "$process_person_profile": profile},
        **{"$set": {"set": value}, "$set_once": {"once": value}, "$unset": ["set"] if value == 0 else []},
    ),
    st.sampled_from(["seen", "$identify", "$create_alias", "$merge_dangerously"]),
    some_ids,
    some_ids,
    st.sampled_from([True, True, True, False]),
    st.integers(0, 5),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(some_events, min_size=1, max_size=12))
def test_how_events_are_cut_into_batches_changes_nothing(posthog: PostHog, events: list[dict[str, Any]]) -> None:
    kept = []
    for batches in ([events], [[one] for one in events]):
        posthog.database.wipe()
        for batch in batches:
            send(posthog, *batch)
        events_kept = [{**one, "created_at": ""} for one in posthog.events()]
        kept.append((posthog.persons(), events_kept, posthog.warnings()))
    assert kept[0] == kept[1]
    everybody = [distinct_id for person in posthog.persons() for distinct_id in person["distinct_ids"]]
    assert len(everybody) == len(set(everybody))
