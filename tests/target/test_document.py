"""Mapping files and settings become the rules of each stream."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.errors import RuleError
from target_posthog.mapping.document import active, combined, load, recognised, shipped_names
from target_posthog.mapping.likely import rule_for_unmapped
from target_posthog.mapping.meanings import StreamMapping
from target_posthog.mapping.rule import RecordError, rule_name

if TYPE_CHECKING:
    from pathlib import Path

    from target_posthog.mapping.language.functions import JSON

BASE: dict[str, list[dict[str, Any]]] = {
    "orders": [
        {"leave_out": "test orders", "when": "test"},
        {
            "event": "Order Completed",
            "distinct_id": "email",
            "timestamp": "created_at",
            "key": ["id"],
            "properties": {"revenue": "number(total)", "coupon": "code"},
        },
    ]
}
SALE = {"event": "Sale", "distinct_id": "email", "timestamp": "at", "key": ["id"]}


def orders(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return active(combined(BASE, {"orders": list(changes)})["orders"])


def test_an_event_is_renamed_in_its_place() -> None:
    _, rule = orders({"extends": "Order Completed", "event": "Purchase"})
    assert (rule["event"], rule_name(rule), rule["timestamp"]) == ("Purchase", "Order Completed", "created_at")


def test_a_property_is_added_changed_or_dropped() -> None:
    change = {"revenue": "number(net)", "note": "note", "coupon": None}
    _, rule = orders({"extends": "Order Completed", "properties": change})
    (event,) = StreamMapping("orders", [rule], identity="email").events(
        {"email": "a@b.c", "created_at": "2026-11-01", "id": 1, "net": "5", "note": "n", "code": "c"}
    )
    assert {"revenue", "note", "coupon"} & set(event["properties"]) == {"revenue", "note"}


def test_a_rule_is_switched_off() -> None:
    assert [rule_name(rule) for rule in orders({"extends": "Order Completed", "disabled": True})] == ["test orders"]
    assert [rule_name(rule) for rule in orders({"extends": "test orders", "disabled": True})] == ["Order Completed"]


def test_a_rule_is_filtered() -> None:
    _, rule = orders({"extends": "Order Completed", "when": "channel == 'web'"})
    assert rule["when"] == "channel == 'web'"


def test_a_key_is_taken_away_with_null() -> None:
    _, rule = orders({"extends": "Order Completed", "properties": None})
    assert "properties" not in rule


def test_with_a_rule_name_its_own_a_rule_stands_beside_the_one_it_extends() -> None:
    found = orders({"extends": "Order Completed", "name": "per item", "event": "Item Sold", "for_each": "items"})
    assert [rule_name(rule) for rule in found] == ["test orders", "Order Completed", "per item"]


def test_rules_of_which_none_extends_take_the_place_of_all_there_were() -> None:
    assert [rule_name(rule) for rule in orders(SALE)] == ["Sale"]
    assert orders() == []


def test_beside_one_that_extends_a_rule_is_added_or_takes_the_place_of_its_name() -> None:
    keep = {"extends": "*"}
    assert [rule_name(rule) for rule in orders(keep, SALE)] == ["test orders", "Order Completed", "Sale"]
    _, rule = orders(keep, {**SALE, "event": "Order Completed"})
    assert "properties" not in rule


def test_a_filter_alone_is_added() -> None:
    pos = {"leave_out": "point of sale", "when": "pos"}
    assert [rule_name(rule) for rule in orders(pos)] == ["test orders", "Order Completed", "point of sale"]


def test_one_rule_stands_for_a_list_and_a_dotted_name_may_come_taken_apart() -> None:
    assert combined({}, {"invoices": SALE}) == {"invoices": [SALE]}
    apart: dict[str, JSON] = {"public": {"orders": [SALE], "v2": {"event": SALE}}, "a.b": SALE}
    assert combined({}, apart) == {"public.orders": [SALE], "public.v2.event": [SALE], "a.b": [SALE]}


def test_a_shipped_rule_is_for_the_streams_of_its_tap_alone() -> None:
    rules = load("ecommerce")["streams"]["orders"]
    assert recognised("orders", rules, {"shop", "id", "name"}) == rules
    assert recognised("orders", rules, {"id", "total"}) == []
    mine = combined({"orders": rules}, {"orders": [{"extends": "Order Completed", "event": "Purchase"}, SALE]})
    with pytest.raises(RuleError, match="extends a rule for tap-shopify-orders, whose streams have `shop`; this one"):
        recognised("orders", mine["orders"], {"id", "total"})


def test_there_is_a_mapping_without_rules() -> None:
    assert load("none")["streams"] == {}


def test_a_stream_is_added() -> None:
    assert combined(BASE, {"invoices": [SALE]})["invoices"] == [SALE]


def test_a_rule_that_was_changed_can_be_changed_again() -> None:
    _, rule = orders(
        {"extends": "Order Completed", "event": "Purchase"}, {"extends": "Order Completed", "when": "paid"}
    )
    assert (rule["event"], rule["when"]) == ("Purchase", "paid")


def test_working_in_changes_neither_side() -> None:
    base, change = copy.deepcopy(BASE), {"orders": [{"extends": "Order Completed", "properties": {"a": "b"}}]}
    before = copy.deepcopy(change)
    combined(base, change)
    assert (base, change) == (BASE, before)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"orders": [{"extends": "Order Complete"}]},
            "no rule `Order Complete` to extend; did you mean `Order Completed`?",
        ),
        ({"orders": [{**SALE, "propertys": {}}]}, "has no key `propertys`; did you mean `properties`?"),
        ({"orders": [{"leave_out": "x", "event": "y"}]}, "has no key `event`"),
        ({"orders": [{"event": "Sale", "timestamp": "at"}]}, "lacks `distinct_id`, `key`"),
        ({"orders": [{**SALE, "key": "id"}]}, "`key` is a list of expressions"),
        ({"orders": [{**SALE, "event": ["a"]}]}, "`event` is a name, or {expression: ...}"),
        ({"orders": {}}, "stream `orders` of the mapping needs a list of rules"),
        ({"orders": {"of": "x"}}, "stream `orders.of` of the mapping needs a list of rules"),
        ({"orders": ["Sale"]}, "stream `orders` of the mapping needs a list of rules"),
        ([SALE], "`mappings` needs an object"),
        ({"orders": [{**SALE, "when": "a"}, {**SALE, "when": "b"}]}, "has two rules `Sale`: give one of them a `name`"),
        ({"orders": {"extends": "Order Completed"}}, "changes nothing; Meltano drops a null that isn't in a list"),
        ({"orders": [{**SALE, "groups": "account_id"}]}, "`groups` is an object"),
        ({"orders": [{**SALE, "when": ["a", "b"]}]}, "`when` is an expression, or true or false"),
        ({"orders": [{"leave_out": "x", "when": ["a"]}]}, "`when` is an expression, or true or false"),
    ],
)
def test_a_wrong_rule_is_named(changes: JSON, problem: str) -> None:
    with pytest.raises(RuleError) as wrong:
        combined(BASE, changes)
    assert problem in str(wrong.value)


def test_two_rules_of_one_event_stand_beside_each_other_by_their_names() -> None:
    rules = [{**SALE, "name": "first"}, SALE]
    assert combined(BASE, {"invoices": rules})["invoices"] == rules


def test_a_file_can_build_on_a_shipped_mapping(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: ecommerce\nstreams:\n  orders:\n  - {extends: Order Completed, event: Purchase}\n")
    mine, shipped = load(str(path)), load("ecommerce")
    names = [rule_name(rule) for rule in mine["streams"]["orders"]]
    assert names == [rule_name(rule) for rule in shipped["streams"]["orders"]]
    assert "Purchase" in [rule.get("event") for rule in mine["streams"]["orders"]]
    assert mine["streams"]["customers"] == shipped["streams"]["customers"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("streams: [", "is no YAML (line 1"),
        ("- a\n- b\n", "needs an object with `streams`"),
        ("stream: {}\n", "has no key `stream`; did you mean `streams`?"),
        ("streams: {orders: [{event: x}]}\n", "lacks `distinct_id`, `timestamp`, `key`"),
        ("extends: ecomerce\n", "no mapping called `ecomerce` comes with the target; did you mean `ecommerce`?"),
        (
            "extends: ecommerce\nrecords: {orders: {keeps_persn: true}}",
            "`orders` in `records` of {path} has no key `keeps_persn`; did you mean `keeps_person`?",
        ),
        ("records: {orders: {keeps_person: 'on'}}", "`orders` in `records` of {path}: `keeps_person` is true or false"),
        ("groups: {shop: {key: id, sets: {}}}", "`shop` in `groups` of {path} has no key `sets`; did you mean `set`?"),
        ("extends: ecommerce\ngroups: {shop: {set: {name: shop}}}", "`shop` in `groups` of {path}: `key` is an expr"),
        ("glossary: {e_mail: {persnal: true}}", "has no key `persnal`; did you mean `personal`?"),
    ],
)
def test_a_wrong_file_is_named_with_the_place(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(RuleError) as wrong:
        load(str(path))
    assert problem.format(path=path) in str(wrong.value)


def test_a_mapping_that_is_not_there_is_named_with_the_remedy() -> None:
    with pytest.raises(RuleError, match="no mapping called `ecomerce` comes with the target; did you mean `ecommerce`"):
        load("ecomerce")
    with pytest.raises(RuleError, match=r"there are ecommerce, shopify-connector.*, or give a file's path"):
        load("zzz")
    with pytest.raises(RuleError, match=r"the file \./nowhere\.yaml can't be read \(No such file"):
        load("./nowhere.yaml")


def test_the_shipped_mappings_are_there() -> None:
    assert {"ecommerce", "shopify-connector"} <= set(shipped_names())


def unmapped(schema: dict[str, Any], keys: list[str], record: dict[str, Any]) -> JSON:
    rule = rule_for_unmapped("tickets", schema, keys)
    (event,) = StreamMapping("tickets", [rule], identity="email", schema=schema).events(record)
    return event


TIME = {"type": "string", "format": "date-time"}


def test_an_unmapped_record_becomes_an_event_of_nobody_with_all_its_fields() -> None:
    schema = {"properties": {"Id": {}, "updatedAt": TIME, "createdAt": TIME}}
    record = {"Id": 1, "updatedAt": "2026-11-02T00:00:00Z", "createdAt": "2026-11-01T00:00:00Z"}
    event = unmapped(schema, ["Id"], record)
    assert (event["event"], event["distinct_id"], event["timestamp"]) == (
        "tickets",
        "tickets:1",
        "2026-11-01T00:00:00Z",
    )
    assert event["properties"]["$process_person_profile"] is False
    assert record.items() <= event["properties"].items()


def test_an_unmapped_record_without_keys_still_has_its_identity() -> None:
    schema = {"properties": {"what's": {}, "b": {}, "at": TIME}}
    record = {"what's": 1, "b": 2, "at": "2026-11-23T00:00:00Z"}
    first, again = unmapped(schema, [], record), unmapped(schema, [], {"b": 2.0, **record})
    assert (first["uuid"], first["distinct_id"]) == (again["uuid"], again["distinct_id"])
    assert unmapped(schema, [], {**record, "what's": 2})["uuid"] != first["uuid"]


def test_an_unmapped_record_without_a_sure_time_is_invalid_rather_than_of_the_moment() -> None:
    for schema in ({"properties": {"id": {}}}, {"properties": {"id": {}, "due_date": TIME}}):
        with pytest.raises(RecordError, match="no time that is surely its own; say in `mappings`"):
            unmapped(schema, ["id"], {"id": 1, "due_date": "2026-11-01T00:00:00Z"})


def test_an_unmapped_record_with_a_long_or_empty_key_is_sent_all_the_same() -> None:
    schema = {"properties": {"id": {}, "x": {}, "at": TIME}}
    at = {"at": "2026-11-01T00:00:00Z"}
    assert unmapped(schema, ["id"], {"id": "x" * 500, **at})["distinct_id"].startswith("sha256:")
    assert unmapped(schema, ["id", "x"], {"id": "a", "x": None, **at})["distinct_id"].startswith("tickets:")
