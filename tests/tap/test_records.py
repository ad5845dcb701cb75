"""What is in a record: everything, exactly, and only what was asked for."""

from __future__ import annotations

import gzip
import json
from importlib.resources import files
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import msgspec
import pytest
from graphql import build_schema, parse, validate

from sandbox.shop.schemas import read_document
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.reading.question import Question
from tap_shopify_orders.records import schema
from tap_shopify_orders.records.fields import Field, enum, exact, json_schema, many, paths, select, text, with_needed
from tap_shopify_orders.records.order import NEEDS
from tap_shopify_orders.records.records import WHOLE, Reader
from tap_shopify_orders.shopify import query
from tap_shopify_orders.shopify.client import API_VERSION, PageSize
from tap_shopify_orders.shopify.pages import nodes_of

from .conftest import SHOP, catalog_of, queries, read, tap_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.shop import Shop

SHARED = Path(__file__).parents[3] / "shared" / "shopify" / "schemas"
FILES = [one for one in (files("tap_shopify_orders.shopify") / "queries").iterdir() if one.name.endswith(".graphql")]
UPDATED = select(schema.ORDERS, lambda path: path == ("updated_at",))
REFUNDED = ("refunds", "refund_line_items")
STREAMS = {"customers": schema.CUSTOMERS, "orders": schema.ORDERS}


def record_of(fields: tuple[Field, ...], node: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a node with some fields."""
    reader = Reader((*fields, *UPDATED))
    made = reader.record(reader.node(msgspec.json.encode({**node, "updated_at": "2026-01-01T00:00:00Z"}))).to_dict()
    del made["updated_at"]
    return made


def leaves(properties: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for name, one in properties.items():
        yield (*path, name), one
        yield from leaves(one.get("properties") or one.get("items", {}).get("properties") or {}, (*path, name))


def test_every_record_is_valid_and_keyed_once(shop: Shop) -> None:
    run = read(shop)
    for stream in ("customers", "orders"):
        told = next(one for one in run.messages if one["type"] == "SCHEMA" and one["stream"] == stream)
        validator = jsonschema_rs.validator_for(told["schema"], validate_formats=True)
        wrong = [str(error) for record in run.records[stream] for error in validator.iter_errors(record)]
        keys = [(one["shop_id"], one["id"]) for one in run.records[stream]]
        assert wrong == []
        assert told["key_properties"] == ["shop_id", "id"]
        assert len(set(keys)) == len(keys) == len(getattr(shop.store, stream))


def test_customers_come_before_orders(shop: Shop) -> None:
    streams = [one["stream"] for one in read(shop).messages if one["type"] == "RECORD"]
    assert streams == sorted(streams)
    assert set(streams) == {"customers", "orders"}


@pytest.mark.parametrize("stream", STREAMS)
def test_every_field_is_described(stream: str) -> None:
    found = dict(leaves(json_schema(STREAMS[stream])))
    assert [path for path, one in found.items() if not one.get("description")] == []


def asked_for(document: str) -> set[tuple[str, ...]]:
    """Return the response paths of a query's leaves, below the nodes of its page."""
    definitions = {one.name.value: one for one in parse(document).definitions}
    found = set()

    def walk(selections: Any, path: tuple[str, ...]) -> None:
        for one in selections.selections:
            if one.kind == "fragment_spread":
                walk(definitions[one.name.value].selection_set, path)
            elif one.kind == "inline_fragment":
                walk(one.selection_set, path)
            elif one.selection_set:
                walk(one.selection_set, (*path, (one.alias or one.name).value))
            else:
                found.add((*path, (one.alias or one.name).value))

    walk(parse(document).definitions[0].selection_set, ())
    return {path[2:] for path in found if "pageInfo" not in path}


@pytest.mark.parametrize("stream", [*STREAMS, "deletions"])
def test_a_query_names_exactly_the_fields_of_the_schema(stream: str) -> None:
    assert asked_for(query.read(stream)) - {("id",)} == set(
        paths({**STREAMS, "deletions": schema.DELETIONS}[stream])
    ) - {("id",)}


@pytest.mark.parametrize("name", sorted(one.name.removesuffix(".graphql") for one in FILES))
def test_a_query_is_valid_and_uses_nothing_deprecated(name: str) -> None:
    assert not isinstance(read_document(API_VERSION, query.read(name)), list)


def test_order_of_300_line_items_is_complete(shop: Shop) -> None:
    run = read(shop)
    most = max(run.records["orders"], key=lambda one: len(one["line_items"]))
    in_shop = shop.store.order(most["name"])["lineItems"]
    assert [one["admin_graphql_api_id"] for one in most["line_items"]] == [one["id"] for one in in_shop]
    assert len(in_shop) == 300
    rest = [one for one in queries(shop) if "rest0" in one["query"] and "lineItems(first:$first" in one["query"]]
    assert len(rest) == 2  # after the first ten: 250 and 40


def test_a_deselected_field_is_not_asked_for(shop: Shop) -> None:
    catalog = catalog_of(
        shop,
        deselect=(
            ("orders", "email"),
            ("orders", "line_items"),
            ("orders", "customer", "phone"),
            ("orders", "total_tax_set"),
            ("customers", "note"),
        ),
    )
    shop.controls.reset()
    run = read(shop, catalog=catalog)
    order = run.records["orders"][0]
    assert not {"email", "line_items", "total_tax_set"} & set(order)
    assert order["total_tax"]
    assert all("phone" not in one["customer"] for one in run.records["orders"] if one["customer"])
    assert "note" not in run.records["customers"][0]
    asked = next(one["query"] for one in queries(shop) if one["query"].startswith("query Orders"))
    assert "lineItems" not in asked
    assert "defaultPhoneNumber{number" not in asked
    assert "total_tax_set:totalTaxSet{shop_money:shopMoney{amount}}" in asked
    told = next(one for one in run.messages if one["type"] == "SCHEMA" and one["stream"] == "orders")
    assert "email" not in told["schema"]["properties"]


def test_a_deselected_stream_is_not_asked_for(shop: Shop) -> None:
    run = read(shop, catalog=catalog_of(shop, streams=("orders",)))
    assert not run.records["customers"]
    assert run.records["orders"]
    assert not any(one["query"].startswith("query Customers") for one in queries(shop))


def test_money_is_the_text_that_shopify_sent_in_every_currency(shop: Shop) -> None:
    orders = read(shop).records["orders"]
    assert {one["presentment_currency"] for one in orders} >= {"USD", "EUR", "JPY", "KWD"}
    for one in orders:
        there = shop.store.order(one["name"])["currentTotalPriceSet"]
        sides = one["current_total_price_set"]
        assert one["current_total_price"] == there["shopMoney"]["amount"] == sides["shop_money"]["amount"]
        assert sides["presentment_money"]["amount"] == there["presentmentMoney"]["amount"]
        assert isinstance(one["current_total_price"], str)


def test_enums_are_lower_case_as_rest_writes_them(shop: Shop) -> None:
    for one in read(shop).records["orders"]:
        there = shop.store.order(one["name"])
        assert one["financial_status"] == there["displayFinancialStatus"].lower()
        assert [t["kind"] for t in one["transactions"]] == [t["kind"].lower() for t in there["transactions"]]


@pytest.mark.parametrize(
    ("value", "text"), [("29.90", "29.90"), (0.07, "0.07"), (1, "1"), (1e-07, "0.0000001"), (10.0, "10.0")]
)
def test_a_decimal_is_written_as_it_came(value: str | float, text: str) -> None:
    assert exact(value) == text


def test_a_guest_order_has_no_customer_and_a_missing_object_no_fields() -> None:
    fields = select(schema.ORDERS, lambda path: path[0] in ("customer", "landing_site"))
    node = {"customer": None, "customer_journey": {"first_visit": None}}
    assert record_of(fields, node) == {"customer": None, "landing_site": None}


def test_discounts_tell_their_kind_and_their_value() -> None:
    fields = select(schema.ORDERS, lambda path: path[0] in ("discount_applications", "discount_codes"))
    common = {"index": 0, "allocation_method": "ACROSS", "target_selection": "ALL", "target_type": "LINE_ITEM"}
    nodes = [
        {**common, "kind": "DiscountCodeApplication", "code": "TEN", "pricing": {"percentage": 10.0}},
        {
            **common,
            "kind": "ManualDiscountApplication",
            "title": "Sorry",
            "description": None,
            "pricing": {"amount": "5.00", "currency_code": "EUR"},
        },
        {**common, "kind": "NewDiscountApplication", "pricing": {"percentage": 0.0}},
    ]
    node: dict[str, Any] = {"discount_codes": ["TEN"], "discount_applications": {"pageInfo": WHOLE, "nodes": nodes}}
    record = record_of(fields, node)
    assert record["discount_codes"] == [{"code": "TEN"}]
    read_ones = [(one["type"], one["value"], one["value_type"]) for one in record["discount_applications"]]
    assert [one["currency_code"] for one in record["discount_applications"]] == [None, "EUR", None]
    assert read_ones == [
        ("discount_code", "10.0", "percentage"),
        ("manual", "5.00", "fixed_amount"),
        ("NewDiscountApplication", "0.0", "percentage"),
    ]


def expected(fields: tuple[Field, ...], node: dict[str, Any]) -> dict[str, Any]:
    """Return what the fields say of a node, without haste."""
    record = {}
    for one in fields:
        value: Any = node
        for step in one.source:
            value = value.get(step, msgspec.UNSET) if isinstance(value, dict) else value[step] if value else None
        if value is msgspec.UNSET and len(one.source) > 1:
            value = None
        if value and one.convert:
            value = one.convert(value)
        if value and one.connection:
            value = value["nodes"]
            if one.sort:
                value = sorted(value, key=lambda node, sort=one.sort: sort(SimpleNamespace(**node)))
        if value and one.fields:
            value = [expected(one.fields, inner) for inner in value] if one.many else expected(one.fields, value)
        if value is not msgspec.UNSET:
            record[one.name] = value
    return record


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("stream", STREAMS)
def test_whatever_is_selected_the_compiled_reader_does_what_the_fields_say(shop: Shop, stream: str, seed: int) -> None:
    random = Random(seed)
    share = random.random()
    ungranted = [path for scoped in schema.SCOPED.values() for path in scoped]
    chosen = select(STREAMS[stream], lambda path: path == ("updated_at",) or random.random() < share, ungranted)
    fields = select(with_needed(STREAMS[stream], chosen, NEEDS), lambda _: True, ungranted)
    question = Question.of(stream, fields, SHOP)
    newest = {"query": "", "after": None, "reverse": True}
    nodes = nodes_of(tap_for(shop).store.client.ask(question.query.text, newest, PageSize(first=10)))
    for raw in nodes:
        record = question.reader.record(question.reader.node(raw))
        of_all = {**SHOP, "_sdc_deleted_at": None}
        assert record.to_dict() == {**expected(chosen, msgspec.json.decode(raw)), **of_all}
        assert msgspec.json.decode(record.judged) == {**expected(fields, msgspec.json.decode(raw)), **of_all}


def test_what_leaves_as_it_came_is_not_looked_into() -> None:
    reader = Reader(select(schema.ORDERS, lambda path: path[0] in ("updated_at", "note", "shipping_address")))
    as_it_came = rb'"note":"caf\u00e9","shipping_address":{"latitude":1.10,"new":[]}'
    record = reader.record(reader.node(b'{"updated_at": "2026-01-01T00:00:00Z", %s}' % as_it_came))
    assert as_it_came in bytes(record.json)


def test_a_record_is_one_line_however_shopify_writes_its_answer() -> None:
    fields = select(schema.ORDERS, lambda path: path[0] in ("updated_at", "shipping_address"))
    node = {"updated_at": "2026-01-01T00:00:00Z", "shipping_address": {"zip": "10117", "city": "Berlin"}}
    reader = Reader(fields)
    record = reader.record(reader.node(json.dumps(node, indent=2).encode()))
    assert b"\n" not in bytes(record.json)
    assert record.to_dict() == node


def test_an_id_that_is_asked_for_to_read_on_is_not_in_the_record_unless_it_is_wanted() -> None:
    wanted = {("refunds",), ("refunds", "note"), REFUNDED, (*REFUNDED, "sku")}
    fields = select(schema.ORDERS, wanted.__contains__)
    line = {"line_item": {"sku": "A"}}
    refund = {"id": "gid://shopify/Refund/1", "note": None, REFUNDED[1]: {"pageInfo": WHOLE, "nodes": [line]}}
    assert record_of(fields, {"refunds": [refund]}) == {"refunds": [{"note": None, REFUNDED[1]: [{"sku": "A"}]}]}


VISIT = ("customer_journey", "first_visit")


@pytest.mark.parametrize(
    ("wanted", "needed"),
    [
        ([("note",)], []),
        ([VISIT[:1], VISIT, (*VISIT, "source")], [("created_at",), ("customer_journey", "ready")]),
        ([("refunds",), ("refunds", "note")], [("return_status",)]),
        ([("refunds",), ("refunds", "note"), ("return_status",)], []),
        ([("returns",), ("returns", "name"), ("returns", "id")], [("return_status",), ("returns", "status")]),
        ([("agreements",), ("agreements", "reason")], [("agreements", "id"), ("return_status",)]),
    ],
    ids=str,
)
def test_what_something_is_judged_by_is_needed_with_it_but_nothing_of_objects_that_nobody_wants(
    wanted: list[tuple[str, ...]], needed: list[tuple[str, ...]]
) -> None:
    def staying(fields: tuple[Field, ...], way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        for one in fields:
            yield from [(*way, one.name)] if one.stays_here else []
            yield from staying(one.fields, (*way, one.name))

    fields = with_needed(schema.ORDERS, select(schema.ORDERS, wanted.__contains__), NEEDS)
    assert sorted(staying(fields)) == needed


def test_every_need_is_a_field() -> None:
    every = {path for path, _ in leaves(json_schema(schema.ORDERS))}
    assert {*NEEDS, *(path for paths in NEEDS.values() for path in paths)} <= every


def test_reading_goes_without_what_is_denied() -> None:
    fields = select(schema.ORDERS, lambda _: True, {("line_items", "nodes", "product"), ("email",)})
    names = {one.name for one in fields}
    lines = next(one for one in fields if one.name == "line_items")
    assert "email" not in names
    assert "product_id" not in {one.name for one in lines.fields}
    assert "variant_id" in {one.name for one in lines.fields}
    assert not any(path[:3] == ("line_items", "nodes", "product") for path in paths(fields))


def test_an_unselected_parent_takes_its_fields_along() -> None:
    assert select((Field("a", {}, ("a",), fields=(Field("b", {}, ("b",)),)),), lambda path: path != ("a",)) == ()


def test_the_catalog_is_discovered_without_credentials(shop: Shop) -> None:
    catalog = tap_for(shop).catalog_dict
    assert [one["stream"] for one in catalog["streams"]] == ["customers", "orders", "sales_by_day"]
    assert shop.controls.requests == []
    assert json.dumps(catalog)


SCHEMAS = sorted(SHARED.glob("admin-*.graphql.gz"))


@pytest.mark.skipif(not SCHEMAS, reason="Shopify's whole schemas are there in CI alone")
@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_every_query_is_valid_in_shopify_s_whole_schema_of_each_version(path: Path) -> None:
    whole = build_schema(gzip.decompress(path.read_bytes()).decode(), assume_valid=True)
    wrong = {file.name: validate(whole, parse(query.read(file.name.removesuffix(".graphql")))) for file in FILES}
    assert {name: errors for name, errors in wrong.items() if errors} == {}


def test_a_value_that_the_tap_does_not_expect_is_named_by_its_field_and_never_quoted(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    def odd(body: Any) -> Any:
        for node in body["data"].get("page", {}).get("nodes", []):
            for transaction in node.get("transactions", []):
                transaction["status"] = {"jane@example.com": 1}
        return body

    shop.twist = odd
    caplog.set_level("DEBUG", "tap-shopify-orders")
    with pytest.raises(
        RunError,
        match=r"promises, or the tap is mistaken about it: `transactions\.status` of gid://shopify/Order/\d+"
        r" can't be read \(TypeError\)\. Report it; until then deselect the field\.",
    ) as raised:
        tap_for(shop).read()
    (trace,) = [one.getMessage() for one in caplog.records if one.getMessage().startswith("What can't be read")]
    assert "records.py" in trace
    assert "jane" not in trace + str(raised.value)


@pytest.mark.parametrize(
    ("odd", "field"),
    [
        ({"parts": [{"of": {"kind": "A"}}, {"of": {"kind": 1}}]}, "`parts.kind`"),
        ({"state": 1}, "`state`"),
        ({"note": object()}, "a field"),  # it fails where the record becomes JSON
    ],
    ids=["lifted out of a list", "as it stands", "nobody knows which"],
)
def test_the_field_that_fails_is_named_as_the_record_has_it(odd: dict[str, Any], field: str) -> None:
    parts = many("parts", "Parts.", enum("kind", "Kind.", "of", "kind"))
    reader = Reader((parts, enum("state", "State."), text("note", "Note."), *UPDATED))
    told = {"parts": [], "state": "A", "updated_at": "2026-01-01T00:00:00Z", **odd}
    note = told.pop("note", None)
    node = reader.node(json.dumps(told).encode())
    if note:
        node.note = note  # type: ignore[attr-defined]  # a struct made for the fields
    with pytest.raises(RunError, match=f"mistaken about it: {field} of None can't be read"):
        reader.record(node)
