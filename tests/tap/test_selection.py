"""Whatever a catalog selects: a SCHEMA that has all that the records have, and neither without keys."""

from __future__ import annotations

import logging
from datetime import date
from itertools import chain
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tap_shopify_orders.command import checked_catalog

from .conftest import Message, Run, catalog_of, of_october, queries, read
from .test_sales_by_day import ALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOON = "2026-11-01T12:00:00Z"
STREAMS = ("customers", "orders", "sales_by_day")
KEYS = {"customers": {"shop_id", "id"}, "orders": {"shop_id", "id"}, "sales_by_day": {"shop_id", "day"}}


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(cdnow_store(date(2026, 10, 31), customers=20), scopes=ALL).serve() as served:
        yield served


def beyond(value: Any, schema: Message, place: str) -> Iterator[str]:
    """Yield the places of a record that its schema hasn't got."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in schema.get("properties", {}):
                yield from beyond(inner, schema["properties"][name], f"{place}.{name}")
            else:
                yield f"{place}.{name}"
    for inner in value if isinstance(value, list) else ():
        yield from beyond(inner, schema.get("items", {}), place)


def agree(run: Run) -> bool:
    """Say whether there are records, each has what its SCHEMA has, and both have the keys and the bookmark."""
    schemas: dict[str, Message] = {}
    for one in run.messages:
        if one["type"] == "SCHEMA":
            schemas[one["stream"]] = one["schema"]
            assert {*one["key_properties"]} == KEYS[one["stream"]]
            assert {*one["key_properties"], *one["bookmark_properties"]} <= {*one["schema"]["properties"]}
        if one["type"] == "RECORD":
            assert {*beyond(one["record"], schemas[one["stream"]], one["stream"])} == set()
            assert KEYS[one["stream"]] <= {*one["record"]}
    return bool(run.records)


def first_and_second(shop: Shop, catalog: Message, **more: Any) -> tuple[Run, Run]:
    """Read a shop before and after one of its orders, and one of its customers, are deleted."""
    first = read(shop, catalog=catalog, **more)
    lonely = next(one for one in shop.store.customers if not shop.store.orders_of(one))
    shop.store.delete_order("#1005", NOON)
    shop.store.delete_customer(int(lonely["legacyResourceId"]), NOON)
    return first, read(shop, of_october(first.state), catalog, **more)


@pytest.mark.parametrize("method", ["pages", "bulk"])
def test_a_deletion_stays_marked_where_little_is_selected(shop: Shop, method: str) -> None:
    off = ("_sdc_deleted_at", "shop", "admin_graphql_api_id")
    catalog = catalog_of(shop, deselect=tuple((stream, name) for stream in STREAMS for name in off))
    number = int(shop.store.order("#1005")["legacyResourceId"])
    first, second = first_and_second(shop, checked_catalog(catalog), method=method)
    assert agree(first)
    assert agree(second)
    assert {name for one in (*first.records["orders"], *first.records["customers"]) for name in off if name in one} == {
        "_sdc_deleted_at"
    }
    assert second.deleted["orders"] == [
        {"shop_id": 60_000_000_001, "id": number, "updated_at": NOON, "_sdc_deleted_at": NOON}
    ]
    assert {*second.deleted["customers"][-1]} == {"shop_id", "id", "updated_at", "_sdc_deleted_at"}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("method", ["pages", "bulk"])
def test_a_record_has_nothing_that_its_schema_lacks(shop: Shop, method: str, seed: int) -> None:
    random, catalog = Random(seed), catalog_of(shop, streams=STREAMS)
    share = random.random()
    for one in chain.from_iterable(stream["metadata"] for stream in catalog["streams"]):
        if one["breadcrumb"] and random.random() < share:
            one["metadata"] = {"selected": False}  # as catalogs have it that say nothing of `inclusion`
    first, second = first_and_second(shop, checked_catalog(catalog), method=method)
    assert agree(first)
    assert agree(second)
    assert {*first.records} == {*STREAMS}


def test_what_always_comes_is_called_automatic(shop: Shop) -> None:
    for stream in catalog_of(shop)["streams"]:
        always = {*KEYS[stream["stream"]], stream["replication_key"]}
        if stream["stream"] != "sales_by_day":
            always.add("_sdc_deleted_at")
        assert {
            one["breadcrumb"][-1] for one in stream["metadata"] if one["metadata"].get("inclusion") == "automatic"
        } == always


def properties_of(catalog: Message, stream: str) -> Message:
    (entry,) = (one for one in catalog["streams"] if one["stream"] == stream)
    properties: Message = entry["schema"]["properties"]
    return properties


def schema_of(run: Run, stream: str) -> Message:
    schema: Message = next(one["schema"] for one in run.messages if one["type"] == "SCHEMA" and one["stream"] == stream)
    return schema


def test_what_the_schema_of_a_catalog_lacks_is_not_asked_for(shop: Shop) -> None:
    catalog = catalog_of(shop)
    orders = properties_of(catalog, "orders")
    del orders["email"]
    del orders["customer"]["properties"]["phone"]
    del orders["line_items"]["items"]["properties"]["gift_card"]
    shop.controls.reset()
    run = read(shop, catalog=checked_catalog(catalog))
    assert agree(run)
    properties = schema_of(run, "orders")["properties"]
    for record in run.records["orders"]:
        assert {*record} == {*properties} == {*orders}
        assert {*(record["customer"] or orders["customer"]["properties"])} == {*orders["customer"]["properties"]}
        assert not any("gift_card" in line for line in record["line_items"])
    asked = [one["query"] for one in queries(shop) if one["query"].startswith("query Orders")]
    assert asked
    assert not any("isGiftCard" in one or "defaultPhoneNumber{number" in one for one in asked)


def emptied(schema: Message) -> None:
    schema.clear()


def without_its_keys(schema: Message) -> None:
    for name in ("shop_id", "id", "day", "updated_at", "_sdc_deleted_at"):
        schema["properties"].pop(name, None)


def of_little(schema: Message) -> None:
    for name, one in schema["properties"].items():
        schema["properties"][name] = {} if "properties" in one or "items" in one else {"type": one["type"]}
    del schema["type"]


@pytest.mark.parametrize("twist", [emptied, without_its_keys, of_little])
def test_a_schema_of_a_catalog_that_says_too_little_costs_nothing(shop: Shop, twist: Callable[..., None]) -> None:
    catalog = catalog_of(shop, streams=STREAMS)
    whole = read(shop, catalog=checked_catalog(catalog))
    for stream in catalog["streams"]:
        twist(stream["schema"])
    run = read(shop, catalog=checked_catalog(catalog))
    assert agree(run)
    assert run.records == whole.records
    assert [schema_of(run, one) for one in STREAMS] == [schema_of(whole, one) for one in STREAMS]


@pytest.mark.parametrize("name", ["shop_id", "id", "day", "updated_at", "_sdc_deleted_at"])
def test_a_key_that_a_catalog_calls_unsupported_comes_all_the_same(shop: Shop, name: str) -> None:
    catalog = catalog_of(shop, streams=STREAMS)
    for one in chain.from_iterable(stream["metadata"] for stream in catalog["streams"]):
        if one["breadcrumb"] == ["properties", name]:
            one["metadata"]["inclusion"] = "unsupported"
    run = read(shop, catalog=checked_catalog(catalog))
    assert agree(run)
    assert {*run.records} == {*STREAMS}


def cut(schema: Message, random: Random, share: float) -> None:
    for name, inner in [*schema.get("properties", {}).items()]:
        if random.random() < share:
            del schema["properties"][name]
        else:
            cut(inner.get("items", inner), random, share)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", ["pages", "bulk"])
def test_however_its_schema_is_cut_a_record_has_nothing_that_its_schema_lacks(
    shop: Shop, method: str, seed: int
) -> None:
    random, catalog = Random(seed), catalog_of(shop, streams=STREAMS)
    share = random.random()
    for stream in catalog["streams"]:
        cut(stream["schema"], random, share)
    first, second = first_and_second(shop, checked_catalog(catalog), method=method)
    assert agree(first)
    assert agree(second)
    assert {*first.records} == {*STREAMS}


def test_a_catalog_of_other_types_does_not_change_those_of_the_schema(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    older = catalog_of(shop, streams=STREAMS)
    run, as_it_is = read(shop, catalog=checked_catalog(older), money="number"), read(shop, money="number")
    assert run.records == as_it_is.records
    assert [schema_of(run, one) for one in STREAMS] == [schema_of(as_it_is, one) for one in STREAMS]
    warnings = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert [one for one in warnings if one.startswith("The catalog has other types than the records of orders, ")]
    assert not [one for one in warnings if "other types" in one and "order_number" in one]


def test_words_that_a_catalog_adds_to_the_schema_are_passed_on(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    catalog = catalog_of(shop)
    properties_of(catalog, "orders")["total_price"]["x-sql-datatype"] = "numeric"
    properties_of(catalog, "orders")["total_price"]["type"] = ["string", "null"]
    run = read(shop, catalog=checked_catalog(catalog))
    assert schema_of(run, "orders")["properties"]["total_price"]["x-sql-datatype"] == "numeric"
    assert not [one for one in caplog.records if "other types" in one.getMessage()]


@pytest.mark.parametrize("step", [(), ("items",)], ids=["as the SDK", "as singer-python"])
def test_what_is_deselected_inside_a_list_is_not_asked_for(
    shop: Shop, step: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    catalog = catalog_of(shop, streams=("orders",))
    for stream in catalog["streams"]:
        breadcrumb = ("properties", "line_items", *step, "properties", "gift_card")
        stream["metadata"].append({"breadcrumb": breadcrumb, "metadata": {"selected": False}})
    shop.controls.reset()
    run = read(shop, catalog=checked_catalog(catalog))
    assert agree(run)
    assert not any("gift_card" in line for one in run.records["orders"] for line in one["line_items"])
    assert not any("isGiftCard" in one["query"] for one in queries(shop))
    assert not [one for one in caplog.records if "of orders" in one.getMessage()]


def test_what_a_catalog_deselects_and_is_not_there_is_named(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    catalog = catalog_of(shop, streams=("orders",))
    for stream in catalog["streams"]:
        if stream["stream"] == "orders":
            for way in (("emial",), ("line_items", "items", "properties", "fax")):
                stream["metadata"].append({"breadcrumb": ["properties", *way], "metadata": {"selected": False}})
    read(shop, catalog=checked_catalog(catalog))
    (told,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert told == "The catalog has metadata of what isn't there in orders: emial, line_items.fax."


def test_fields_that_a_catalog_does_not_know_are_named(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    catalog = catalog_of(shop)
    del properties_of(catalog, "customers")["note"]
    for name in ("note", "tags"):
        del properties_of(catalog, "orders")[name]
    for stream in catalog["streams"]:
        if stream["stream"] == "orders":
            stream["metadata"] = [
                one for one in stream["metadata"] if one["breadcrumb"][1:] not in (["note"], ["tags"])
            ]
    caplog.set_level(logging.INFO)
    read(shop, catalog=checked_catalog(catalog))
    (told,) = [one.getMessage() for one in caplog.records if "doesn't know" in one.getMessage()]
    assert told == "The catalog doesn't know of fields of orders, which aren't read: note, tags."
