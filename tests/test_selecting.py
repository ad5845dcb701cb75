"""docs/selecting.md says what a deselected field costs: held against the events of records that lack it."""

from __future__ import annotations

import logging
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from docs.selecting import BESIDES, IDS, STREAMS, cost_of, fields_of
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tap_shopify_orders.records.schema import KEYS, stream_schema
from target_posthog.errors import RuleError
from target_posthog.mapping.document import load
from target_posthog.mapping.meanings import Meanings
from target_posthog.mapping.rule import rule_name
from tests.tap.conftest import catalog_of, read

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[1] / "docs/selecting.md").read_text()
MEANINGS = Meanings({"mapping": "ecommerce", "identity": "email", "unmapped": "event", "groups": False})
FIELDS = [(stream, name) for stream in STREAMS for name in fields_of(stream)]
OUTER = ("$set", "$set_once", "$unset")
EXCLUDED = re.findall(r"^\$ meltano select tap-shopify-orders (\w+) (\w+) --exclude$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with Shop(cdnow_store(date(2026, 10, 31), customers=20)).serve() as served:
        yield served


@pytest.fixture(scope="module")
def records(shop: Shop) -> dict[str, list[dict[str, Any]]]:
    return read(shop).records


def events(stream: str, records: list[dict[str, Any]], without: str = "") -> dict[tuple[str, str], dict[str, Any]]:
    """Return the events of records that lack a field, by rule and uuid: their properties, also those of persons."""
    schema = stream_schema(STREAMS[stream])
    less = {**schema, "properties": {key: one for key, one in schema["properties"].items() if key != without}}
    meaning = MEANINGS.of(stream, less, KEYS)
    assert meaning
    found = {}
    for record in records:
        cut = {key: value for key, value in record.items() if key != without}
        if meaning.mapping.reason_to_leave_out(cut):
            continue
        for made in meaning.mapping.made(cut):
            properties = dict(made.event["properties"])
            for outer in OUTER:
                properties |= (
                    properties.pop(outer, {}) if outer != "$unset" else dict.fromkeys(properties.pop(outer, ()))
                )
            found[made.rule, made.event["uuid"]] = {**properties, "distinct_id": made.event["distinct_id"]}
    return found


@pytest.fixture(scope="module")
def whole(records: dict[str, list[dict[str, Any]]]) -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
    return {stream: events(stream, records[stream]) for stream in STREAMS}


@pytest.mark.parametrize(("stream", "name"), FIELDS, ids=lambda one: one)
def test_a_field_costs_what_the_page_says_and_no_more(
    records: dict[str, list[dict[str, Any]]], whole: Any, stream: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    cost = cost_of(stream, name)
    if cost.hides:
        assert not {rule for rule, _ in whole[stream]} & {rule for rule, _ in events(stream, records[stream], name)}
        return
    if cost.ends:
        with pytest.raises(RuleError):
            events(stream, records[stream], name)
        return
    before, after = whole[stream], events(stream, records[stream], name)
    assert {rule for rule, _ in after} & {*cost.events} == set()
    if (stream, name) in BESIDES:
        return
    links = cost.properties & {"distinct_id", "anon_distinct_id"}
    assert {rule for rule, uuid in before.keys() - after.keys()} <= {*cost.events, *(OF_PERSONS if links else ())}
    assert cost.counts or {rule for rule, _ in after.keys() - before.keys()} <= {*(OF_PERSONS if links else ())}
    changed = {
        key
        for one in before.keys() & after.keys()
        for key in before[one].keys() | after[one].keys()
        if before[one].get(key) != after[one].get(key)
    }
    assert changed - {"person_profile"} <= {*cost.properties, *(IMPLIED if cost.properties & IDS.keys() else ())}


OF_PERSONS = [rule_name(one) for one in load("ecommerce")["streams"]["orders"] if str(one.get("event")).startswith("$")]
# What an event has only with a person, or with another id.
IMPLIED = (
    *("$anon_distinct_id", "$process_person_profile", "$session_id", "distinct_id"),
    *("customer_since", "first_shop"),
)


@pytest.mark.parametrize(("stream", "name"), EXCLUDED, ids=lambda one: one)
def test_an_example_of_the_page_takes_the_field_out_of_the_records(shop: Shop, stream: str, name: str) -> None:
    run = read(shop, catalog=catalog_of(shop, deselect=((stream, name),), streams=(stream,)))
    assert run.records[stream]
    assert not any(name in one for one in run.records[stream])


def test_the_examples_cost_what_is_said_beside_them() -> None:
    costs = [cost_of(stream, name) for stream, name in EXCLUDED]
    assert [(sorted(one.properties), one.events) for one in costs] == [
        ([], []),
        (["coupon", "coupons", "promotions"], []),
        ([], ["Order Paid", "Payment Refunded", "Change Given"]),
    ]
