"""Each rule says what it did with a record, and why; it never differs from what the mapping does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.mapping.document import active, load
from target_posthog.mapping.explanation import Explained, Explainer
from target_posthog.mapping.language.compiler import Shipped
from target_posthog.mapping.meanings import StreamMapping
from tests.target.test_for_ever import CUSTOMER, ORDER
from tests.target.test_rule import RECORD, RULE

if TYPE_CHECKING:
    from target_posthog.mapping.language.functions import JSON

SCHEMA = {"type": "object", "properties": {key: {} for key in RECORD}}


def explained(record: dict[str, Any] | None = None, *more: dict[str, Any], **rule: JSON) -> list[Explained]:
    explainer = Explainer("orders", [{**RULE, **rule}, *more], identity="email", schema=SCHEMA)
    return explainer.explained({**RECORD, **(record or {})})


def test_a_rule_that_fired_shows_its_when_its_candidates_and_its_event() -> None:
    (one,) = explained(when="total")
    (attempt,) = one["attempts"]
    assert (one["rule"], one["kind"], one["fired"], one["why_not"]) == ("Order Completed", "event", True, "")
    assert attempt["when"] == {"expression": "total", "value": "29.33", "problem": ""}
    assert [(each["expression"], each["value"], each["id"], each["why_not"]) for each in attempt["candidates"]] == [
        ("lower(email)", "jane@example.com", "jane@example.com", ""),
        ("concat('order:', id)", "order:5", "order:5", "another stands before it"),
    ]
    made = StreamMapping("orders", [RULE], identity="email").events(RECORD)[0]
    assert attempt["event"] == {key: made[key] for key in ("uuid", "event", "distinct_id", "timestamp")}


@pytest.mark.parametrize(
    ("value", "why_not"),
    [
        (None, "it is null"),
        (5.5, "it is neither a text nor a whole number"),
        ("guest", "it is empty, or PostHog takes it for nobody's"),
        (" ", "it is empty, or PostHog takes it for nobody's"),
    ],
)
def test_a_candidate_that_is_no_id_says_why(value: JSON, why_not: str) -> None:
    (one,) = explained({"email": value}, distinct_id=["email", "id"])
    first, second = one["attempts"][0]["candidates"]
    assert (first["id"], first["counts"], first["why_not"]) == (None, False, why_not)
    assert (second["id"], second["counts"], second["why_not"]) == ("5", True, "")


def test_a_candidate_whose_expression_fails_says_why() -> None:
    (one,) = explained({"email": ["a"]})
    assert one["why_not"].endswith("`lower(email)`: lower() needs a text")
    assert one["attempts"][0]["candidates"][0]["why_not"] == "`lower(email)`: lower() needs a text"


@pytest.mark.parametrize(
    ("value", "why_not"),
    [(5, "it is the distinct id itself"), ("x" * 201, "it is longer than the 200 bytes that PostHog keeps")],
)
def test_a_second_id_that_links_nothing_says_why(value: JSON, why_not: str) -> None:
    (one,) = explained({"email": value}, distinct_id="id", anon_distinct_id=["email"])
    assert one["attempts"][0]["candidates"][1]["why_not"] == why_not


def test_a_long_distinct_id_shows_its_hash() -> None:
    (one,) = explained({"email": "x" * 201})
    assert str(one["attempts"][0]["candidates"][0]["id"]).startswith("sha256:")


@pytest.mark.parametrize(
    ("record", "rule", "why_not"),
    [
        ({"total": None}, {"when": "total"}, "its `when` isn't true"),
        ({}, {"event": "$identify"}, "it would link no ids and set nothing"),
        ({}, {"event": "$identify", "set": {"a": "total"}, "person_profile": False}, "it would link no ids"),
        ({"_sdc_deleted_at": "2026-11-02T00:00:00Z"}, {}, "the record was deleted, and the rule has no `delete` event"),
        ({"total": []}, {"for_each": "total"}, "its list is empty"),
        ({"total": "x"}, {"for_each": "total"}, "`for_each` needs a list"),
        ({"total": "x"}, {"for_each": "total(total)"}, "total() needs a list"),
        ({"total": "x"}, {"when": "number(total)"}, "number() needs a number"),
        ({"placed_at": None}, {}, "`timestamp` is empty"),
        ({}, {"for_each": Shipped("refunds")}, "there is no field `refunds`"),
        ({}, {"when": Shipped("cancelled_at")}, "there is no field `cancelled_at`"),
    ],
)
def test_a_rule_that_did_not_fire_says_why(record: dict[str, Any], rule: dict[str, Any], why_not: str) -> None:
    (one,) = explained(record, **rule)
    assert not one["fired"]
    assert why_not in one["why_not"]


def test_each_item_of_a_list_is_an_attempt_of_its_own() -> None:
    (one,) = explained({"total": [{"n": 1}, {"n": None}]}, for_each="total", when="item.n", key=["id", "item.n"])
    assert one["for_each"] == {"expression": "total", "value": 2, "problem": ""}
    assert [(each["item"], each["fired"], each["why_not"]) for each in one["attempts"]] == [
        (0, True, ""),
        (1, False, "its `when` isn't true"),
    ]


def test_a_record_that_is_left_out_says_by_which_rule() -> None:
    out = {"leave_out": "test orders", "when": "total"}
    leaves, makes = explained({}, out)
    assert (leaves["rule"], leaves["kind"], leaves["fired"]) == ("test orders", "leave_out", True)
    assert (makes["fired"], makes["why_not"]) == (False, "the record is left out (test orders)")
    stays, makes = explained({"total": None}, out)
    assert (stays["fired"], stays["why_not"], makes["fired"]) == (False, "its `when` isn't true", True)


def test_what_a_shipped_rule_does_without_is_named_with_the_reason() -> None:
    (one,) = explained(properties={"note": Shipped("note")}, distinct_id=[Shipped("vip"), "id"])
    assert list(one["missing"]) == ["distinct_id", "note"]
    assert "there is no field `note`; select it in the tap" in one["missing"]["note"]
    assert "there is no field `vip`" in one["attempts"][0]["candidates"][0]["why_not"]


@pytest.mark.parametrize("mapping", ["ecommerce", "shopify-connector"])
@pytest.mark.parametrize("stream", ["customers", "orders"])
@pytest.mark.parametrize("change", [{}, {"test": True}, {"email": None, "customer": None}, {"cancelled_at": None}])
def test_an_explanation_is_json_and_agrees_with_the_mapping(mapping: str, stream: str, change: dict[str, Any]) -> None:
    rules = active(load(mapping)["streams"][stream])
    record = {**{"customers": CUSTOMER, "orders": ORDER}[stream], **change}
    found = Explainer(stream, rules, identity="email").explained(record)
    assert json.loads(json.dumps(found)) == found
    stream_mapping = StreamMapping(stream, rules, identity="email")
    made = [] if stream_mapping.reason_to_leave_out(record) else [one.event for one in stream_mapping.made(record)]
    attempts = [attempt for one in found for attempt in one["attempts"] if attempt["event"]]
    assert [attempt["event"]["uuid"] for attempt in attempts if attempt["event"]] == [one["uuid"] for one in made]
    for attempt in attempts:
        counting = {each["key"]: each["id"] for each in attempt["candidates"] if each["counts"]}
        assert attempt["event"]
        assert counting["distinct_id"] == attempt["event"]["distinct_id"]
