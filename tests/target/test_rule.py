"""A rule and a record become events."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import pytest

from target_posthog.errors import RuleError
from target_posthog.mapping.document import combined
from target_posthog.mapping.event import NAMESPACE, Event
from target_posthog.mapping.language.compiler import Shipped
from target_posthog.mapping.meanings import StreamMapping
from target_posthog.mapping.rule import RecordError

if TYPE_CHECKING:
    from target_posthog.mapping.language.functions import JSON

RULE: dict[str, Any] = {
    "event": "Order Completed",
    "distinct_id": ["lower(email)", "concat('order:', id)"],
    "timestamp": "placed_at",
    "key": ["shop", "id"],
}
RECORD = {"shop": "s", "id": 5, "email": "Jane@Example.com", "placed_at": "2026-11-01T12:00:00+01:00", "total": "29.33"}
ALWAYS = {"$lib": "target-posthog", "$ignore_sent_at": True, "$geoip_disable": True}


def events(record: dict[str, Any] | None = None, *, identity: str = "email", **rule: JSON) -> list[Event]:
    return StreamMapping("orders", [{**RULE, **rule}], identity=identity).events(RECORD if record is None else record)


def said(record: dict[str, Any] | None = None, **rule: JSON) -> dict[str, Any]:
    (event,) = events(record, **rule)
    return {key: value for key, value in event["properties"].items() if key not in ALWAYS}


def test_an_event_has_five_parts() -> None:
    assert events(properties={"revenue": "number(total)"}) == [
        {
            "event": "Order Completed",
            "distinct_id": "jane@example.com",
            "uuid": str(uuid5(NAMESPACE, '["Order Completed","","s",5]')),
            "timestamp": "2026-11-01T11:00:00Z",
            "properties": {"revenue": 29.33, **ALWAYS},
        }
    ]


def test_the_namespace_of_the_uuids_never_changes() -> None:
    assert UUID("5f0c8a3e-6f0b-5d0f-9c4e-2f6f1f6a7c11") == NAMESPACE


def test_the_same_record_gives_the_same_events_and_stays_as_it_was() -> None:
    record = copy.deepcopy(RECORD)
    mapping = StreamMapping("orders", [{**RULE, "properties": "@"}], identity="email")
    first = mapping.events(record)
    first[0]["properties"]["total"] = "changed"
    assert mapping.events(record)[0]["properties"]["total"] == "29.33"
    assert record == RECORD


def test_a_whole_number_is_the_same_key_however_it_was_written() -> None:
    assert events({**RECORD, "id": 5.0})[0]["uuid"] == events()[0]["uuid"]
    assert events({**RECORD, "id": "5"})[0]["uuid"] != events()[0]["uuid"]


def test_the_first_usable_candidate_is_the_distinct_id() -> None:
    for unusable in (None, "", " ", "null", "Guest"):
        assert events({**RECORD, "email": unusable})[0]["distinct_id"] == "order:5"


def test_a_distinct_id_can_depend_on_the_identity() -> None:
    table = {"email": ["email"], "customer_id": ["concat('c:', id)"]}
    assert events(distinct_id=table, identity="customer_id")[0]["distinct_id"] == "c:5"
    assert events(distinct_id=table, identity="email")[0]["distinct_id"] == "Jane@Example.com"


def test_when_decides_whether_there_is_an_event() -> None:
    assert len(events(when="total")) == 1
    assert events(when="!total") == []


def test_for_each_makes_an_event_of_each_item_with_the_record_beside_it() -> None:
    record = {**RECORD, "refunds": [{"id": 1, "amount": "2.50"}, {"id": 2, "amount": "1"}]}
    found = events(
        record,
        for_each="refunds",
        key=["id", "item.id"],
        when="item.amount",
        properties={"a": "item.amount", "o": "id"},
    )
    assert [(one["properties"]["a"], one["properties"]["o"]) for one in found] == [("2.50", 5), ("1", 5)]
    assert len({one["uuid"] for one in found}) == 2
    assert events(for_each="refunds") == []


def test_an_event_name_can_be_an_expression() -> None:
    (event,) = events(event={"expression": "concat('Order ', total)"})
    assert (event["event"], event["uuid"]) == (
        "Order 29.33",
        str(uuid5(NAMESPACE, '["Order 29.33","","s",5]')),
    )


def test_null_properties_are_left_out_and_false_ones_are_not() -> None:
    assert said(properties={"a": "missing", "b": "`false`", "c": "`0`", "d": 5, "e": True}) == {
        "b": False,
        "c": 0,
        "d": 5,
        "e": True,
    }


def test_properties_can_be_nested_or_the_whole_record() -> None:
    assert said(properties={"money": {"total": "number(total)", "tax": "tax"}}) == {"money": {"total": 29.33}}
    assert said(properties="@") == RECORD


def test_person_properties_are_set_set_once_and_unset() -> None:
    assert said(set={"email": "email"}, set_once={"first": "placed_at"}, unset=["phone"]) == {
        "$set": {"email": "Jane@Example.com"},
        "$set_once": {"first": "2026-11-01T12:00:00+01:00"},
        "$unset": ["phone"],
    }
    assert said(unset={"phone": "!phone", "email": "!email"}) == {"$unset": ["phone"]}


@pytest.mark.parametrize("key", ["set", "set_once"])
def test_what_is_set_is_an_object(key: str) -> None:
    with pytest.raises(RecordError, match=f"`{key}` needs an object"):
        events(**{key: "email"})
    of_object = events({**RECORD, "traits": {"city": "Rome", "size": None}}, **{key: "traits"})
    assert of_object[0]["properties"][f"${key}"] == {"city": "Rome"}
    (of_null,) = events({**RECORD, "traits": None}, **{key: "traits"})
    assert f"${key}" not in of_null["properties"]


def test_what_is_gone_is_unset_but_not_what_the_stream_has_no_field_for() -> None:
    rule = {**RULE, "set": {name: Shipped(name) for name in ("total", "email", "phone")}, "unset": Shipped("gone")}
    schema = {"properties": {name: {} for name in (*RECORD, "phone")}}
    for fields, gone in (
        (schema, ["total", "phone"]),
        ({"properties": {name: {} for name in RECORD}}, ["total"]),
    ):
        mapping = StreamMapping("orders", [rule], identity="email", schema=fields)
        (event,) = mapping.events({**RECORD, "total": None})
        assert event["properties"]["$unset"] == gone


def test_unset_is_a_list_an_object_or_what_is_gone() -> None:
    with pytest.raises(RuleError, match="`unset` has names, or is `gone`"):
        combined({}, {"orders": [{**RULE, "unset": "phone"}]})


def test_an_event_without_a_person_says_nothing_of_persons() -> None:
    assert said(set={"email": "email"}, anon_distinct_id="id", person_profile="missing") == {
        "$process_person_profile": False
    }
    assert said(person_profile=False) == {"$process_person_profile": False}
    assert said(person_profile="email") == {}


@pytest.mark.parametrize("other", ["null", "0", "undefined", "x" * 201, " Jane@Example.com", "", None, 5.5])
def test_an_unusable_second_id_is_left_out(other: JSON) -> None:
    assert "$anon_distinct_id" not in said({**RECORD, "other": other}, distinct_id="email", anon_distinct_id="other")


def test_a_second_id_is_linked() -> None:
    assert said(anon_distinct_id=["missing", "concat('c:', id)"]) == {"$anon_distinct_id": "c:5"}


def test_an_identify_that_would_do_nothing_is_not_made() -> None:
    assert events(event="$identify") == []
    assert events(event="$identify", anon_distinct_id="missing") == []
    assert len(events(event="$identify", anon_distinct_id="id")) == 1
    assert len(events(event="$identify", set={"a": "id"})) == 1
    assert events(event="$identify", set={"a": "id"}, person_profile=False) == []


def session(began: str, version: int = 7, variant: int = 8) -> str:
    """Return the id of a session as posthog-js makes it: a UUID whose first 48 bits are its moment in milliseconds."""
    moment = f"{int(datetime.fromisoformat(began).timestamp() * 1000):012x}"
    return f"{moment[:8]}-{moment[8:]}-{version}000-{variant}000-000000000001"


@pytest.mark.parametrize(
    ("session_id", "counts"),
    [
        (session("2026-11-01T11:00:00+00:00"), True),
        (session("2026-10-31T11:00:00.001+00:00"), True),
        (session("2026-10-31T11:00:00+00:00"), False),  # a session has 24 hours at most
        (session("2025-05-05T11:00:00+00:00"), False),  # a cart resumed after months
        (session("2026-11-01T11:00:00.001+00:00"), False),  # a draft order that took over a later cart's attributes
        (session("2026-11-01T10:00:00+00:00", version=4), False),
        (session("2026-11-01T10:00:00+00:00", variant=0), False),
        ("ffffffff-ffff-7fff-8fff-ffffffffffff", False),
        ("undefined", False),
        (5, False),
        (None, False),
    ],
)
def test_a_session_id_counts_only_if_the_event_can_be_of_that_session(session_id: JSON, *, counts: bool) -> None:
    expected = {"$session_id": session_id} if counts else {}
    assert said({**RECORD, "s": session_id}, session_id="s") == expected, "RECORD is of 11:00 UTC"


def test_groups_are_named_and_identified() -> None:
    assert said(groups={"shop": "shop", "none": "missing"}) == {"$groups": {"shop": "s"}}
    (event,) = events(
        event="$groupidentify", distinct_id="missing", groups={"shop": "shop"}, group_set={"currency": "'USD'"}
    )
    assert event["distinct_id"] == "$shop_s"
    assert event["properties"] == {
        "$group_type": "shop",
        "$group_key": "s",
        "$group_set": {"currency": "USD"},
        **ALWAYS,
    }


def test_a_deleted_record_becomes_the_rules_delete_event_and_nothing_else() -> None:
    deleted = {"shop": "s", "id": 5, "_sdc_deleted_at": "2026-11-05T00:00:00Z"}
    (event,) = events(deleted, delete="Order Deleted", when="total", properties={"order": "id"})
    assert (event["event"], event["distinct_id"], event["timestamp"]) == (
        "Order Deleted",
        "order:5",
        "2026-11-05T00:00:00Z",
    )
    assert event["properties"] == {"order": 5, "$process_person_profile": False, **ALWAYS}
    assert events(deleted) == []


def test_leave_out_rules_come_first_and_name_their_reason() -> None:
    mapping = StreamMapping("orders", [RULE, {"leave_out": "test orders", "when": "test"}], identity="email")
    assert mapping.reason_to_leave_out({**RECORD, "test": True}) == "test orders"
    assert mapping.reason_to_leave_out(RECORD) is None


def test_a_leave_out_rule_that_fails_refuses_the_record() -> None:
    mapping = StreamMapping("orders", [RULE, {"leave_out": "cheap", "when": "number(total) == `0`"}], identity="email")
    with pytest.raises(RecordError, match=r"^your rule `cheap` of stream `orders`: `number\(total\)"):
        mapping.reason_to_leave_out({**RECORD, "total": "a lot"})


@pytest.mark.parametrize(
    ("record", "rule", "problem"),
    [
        ({"placed_at": None}, {}, "`timestamp` is empty"),
        ({"placed_at": ["2026"]}, {}, "needs a time such as"),
        ({"placed_at": 5}, {}, "needs a time such as"),
        ({"placed_at": 1700000000}, {}, "needs a time"),
        ({"placed_at": "soon"}, {}, "needs a time"),
        ({"email": None, "id": None}, {}, "no candidate of `distinct_id` gives an id"),
        ({"shop": None}, {"key": ["shop"]}, "`key` is empty"),
        ({"total": "a lot"}, {"properties": {"total": "number(total)"}}, "`number(total)`: number() needs a number"),
        ({"total": "x"}, {"for_each": "total"}, "`for_each` needs a list"),
        ({"total": None}, {"event": {"expression": "total"}}, "`event` gives no name"),
        ({}, {"properties": "total"}, "`properties` needs an object"),
        ({}, {"event": "$groupidentify", "groups": {}}, "exactly one entry in `groups`"),
    ],
)
def test_a_record_that_cannot_become_an_event_is_refused_with_the_rules_name(
    record: dict[str, Any], rule: dict[str, Any], problem: str
) -> None:
    with pytest.raises(RecordError) as refused:
        events({**RECORD, **record}, **rule)
    assert problem in str(refused.value)
    assert "of stream `orders`" in str(refused.value)


SCHEMA = {"type": "object", "properties": {key: {} for key in (*RECORD, "refunds")}}


def test_a_rule_is_checked_against_the_streams_schema() -> None:
    with pytest.raises(RuleError) as wrong:
        StreamMapping("orders", [{**RULE, "properties": {"revenue": "number(totl)"}}], identity="email", schema=SCHEMA)
    assert str(wrong.value) == (
        "your rule `Order Completed` of stream `orders`, `properties.revenue`: `number(totl)`: there is no field "
        "`totl`; did you mean `total`?"
    )


@pytest.mark.parametrize(
    ("candidates", "schema"), [({"email": ["email"]}, {}), ([Shipped("emial")], SCHEMA), ([], {}), ({}, {})]
)
def test_a_rule_without_a_candidate_is_found_before_any_record(candidates: JSON, schema: dict[str, Any]) -> None:
    with pytest.raises(RuleError) as wrong:
        StreamMapping("orders", [{**RULE, "distinct_id": candidates}], identity="customer_id", schema=schema)
    assert str(wrong.value) == (
        "your rule `Order Completed` of stream `orders`, `distinct_id`: there is no candidate for `identity: "
        "customer_id`"
    )


def test_an_item_is_checked_against_the_lists_schema() -> None:
    items = {"type": "array", "items": {"type": "object", "properties": {"id": {}}}}
    schema = {"type": "object", "properties": {**SCHEMA["properties"], "refunds": items}}  # type: ignore[dict-item]  # a test's schema
    good = {**RULE, "for_each": "refunds", "key": ["item.id"]}
    StreamMapping("orders", [good], identity="email", schema=schema)
    with pytest.raises(RuleError, match="there is no field `idd`; did you mean `id`"):
        StreamMapping("orders", [{**good, "key": ["item.idd"]}], identity="email", schema=schema)


def test_a_shipped_rule_does_without_what_the_stream_lacks() -> None:
    rule = {**RULE, "properties": {"revenue": "number(total)", "note": Shipped("note")}}
    mapping = StreamMapping("orders", [rule], identity="email", schema=SCHEMA)
    assert mapping.missing == ["note"]
    assert mapping.events(RECORD)[0]["properties"] == {"revenue": 29.33, **ALWAYS}


def test_a_shipped_rule_cannot_do_without_its_time_or_key() -> None:
    with pytest.raises(RuleError, match="`timestamp`"):
        StreamMapping("orders", [{**RULE, "timestamp": Shipped("at")}], identity="email", schema=SCHEMA)


def test_a_shipped_rule_is_left_out_where_the_stream_lacks_what_it_is_about() -> None:
    for change in ({"for_each": Shipped("payments")}, {"when": Shipped("cancelled_at")}):
        mapping = StreamMapping("orders", [RULE | change, {**RULE, "event": "Sale"}], identity="email", schema=SCHEMA)
        assert mapping.missing == ["Order Completed"]
        assert [one["event"] for one in mapping.events(RECORD)] == ["Sale"]
        own = {key: str(value) for key, value in change.items()}
        with pytest.raises(RuleError):
            StreamMapping("orders", [RULE | own], identity="email", schema=SCHEMA)


def test_a_shipped_expression_does_with_one_side_of_an_or() -> None:
    rule = {**RULE, "timestamp": Shipped("happened_at || placed_at")}
    assert StreamMapping("orders", [rule], identity="email", schema=SCHEMA).events(RECORD)
    with pytest.raises(RuleError, match="there is no field `happened_at`"):
        StreamMapping("orders", [{**rule, "timestamp": "happened_at || placed_at"}], identity="email", schema=SCHEMA)
