"""Records as targets other than PostHog's want them: money as numbers, names of columns that fit, deletions apart."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
import yaml
from singer_sdk.helpers._flattening import flatten_schema

from sandbox.shop import Shop
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.moments import SECOND, utc
from tap_shopify_orders.records.fields import EXACT, as_number, decimal, time, with_numbers
from tap_shopify_orders.records.records import Reader
from tap_shopify_orders.records.schema import CUSTOMERS, KEYS, ORDERS, report_schema, stream_schema
from tap_shopify_orders.settings import MONEY
from target_posthog.mapping.meanings import Meanings
from tests.waiting import wait_until

from .conftest import catalog_of, read
from .test_sales_by_day import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Run

PAGE = Path(__file__).parents[2] / "docs/other-targets.md"
LONGEST_NAME = 63  # of a column in PostgreSQL, the shortest of the warehouses
DEEPEST = 20
SCHEMAS = {
    "orders": stream_schema(ORDERS),
    "customers": stream_schema(CUSTOMERS),
    "sales_by_day": report_schema(numbers=False),
}

FIGURES = [name for name, one in SCHEMAS["sales_by_day"]["properties"].items() if one.get("format") == EXACT]


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
@pytest.mark.parametrize("depth", range(1, DEEPEST, 3))
def test_however_deep_records_are_flattened_no_name_is_too_long_or_there_twice(
    schema: dict[str, Any], depth: int
) -> None:
    columns = [*flatten_schema(schema, max_level=depth)["properties"]]
    assert [name for name in columns if len(name) > LONGEST_NAME] == []
    assert len({name.lower() for name in columns}) == len(columns)
    assert columns == [*flattened(schema, depth)]


def flattened(schema: dict[str, Any], depth: int, within: str = "") -> Iterator[str]:
    """Yield all names of columns, as targets make them that don't use the SDK."""
    for name, one in schema["properties"].items():
        if "properties" in one and depth:
            yield from flattened(one, depth - 1, f"{within}{name}__")
        else:
            yield f"{within}{name}"


def values(value: Any, schema: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield each value inside a record that isn't null, with its schema."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from values(inner, schema["properties"][name])
    elif isinstance(value, list) and "properties" in schema["items"]:
        for inner in value:
            yield from values(inner, schema["items"])
    elif value is not None:
        yield schema, value


def schema_of(run: Run, stream: str) -> dict[str, Any]:
    return next(one["schema"] for one in run.messages if one["type"] == "SCHEMA" and one["stream"] == stream)


@pytest.mark.parametrize("method", ["pages", "bulk"])
def test_money_can_be_json_numbers_of_the_same_digits(shop: Shop, method: str) -> None:
    texts, numbers = read(shop, method=method), read(shop, method=method, money="number")
    for stream in ("customers", "orders"):
        before, after = schema_of(texts, stream), schema_of(numbers, stream)
        assert EXACT in json.dumps(before)
        assert EXACT not in json.dumps(after)
        check, amounts = jsonschema_rs.validator_for(after), 0
        for one, other in zip(texts.records[stream], numbers.records[stream], strict=True):
            check.validate(other)
            for (schema, text), (_, number) in zip(values(one, before), values(other, after), strict=True):
                if schema.get("format") == EXACT:
                    amounts += 1
                    assert isinstance(number, (int, float))
                    assert Decimal(repr(number)) == Decimal(text)
                else:
                    assert number == text
        assert amounts >= len(texts.records[stream])


def test_a_number_has_every_digit_of_the_text() -> None:
    huge = "-12345678901234567890.1234567890"
    reader = Reader(with_numbers((decimal("amount", "An amount."), time("updated_at", "When."))))
    node = reader.node(f'{{"amount": "{huge}", "updated_at": "2026-11-01T00:00:00Z"}}'.encode())
    assert f'"amount":{huge},'.encode() in bytes(reader.record(node).json)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "", "1,5", {}])
def test_what_is_no_number_gets_a_sentence(value: object) -> None:
    reader = Reader(with_numbers((decimal("amount", "An amount."), time("updated_at", "When."))))
    node = reader.node(json.dumps({"amount": value, "updated_at": "2026-11-01T00:00:00Z"}).encode())
    with pytest.raises(RunError, match="can't be read"):
        reader.record(node)


def test_the_sales_report_has_numbers_too(shop: Shop) -> None:
    catalog = catalog_of(shop, streams=("sales_by_day",))
    with Shop(shop.store, scopes=ALL).serve() as other:
        texts, numbers = (read(other, money=money, catalog=catalog).records["sales_by_day"] for money in MONEY)
    assert texts
    for one, two in zip(texts, numbers, strict=True):
        jsonschema_rs.validate(report_schema(numbers=True), two)
        assert [Decimal(str(two[name])) for name in FIGURES] == [Decimal(one[name]) for name in FIGURES]


def test_what_is_no_decimal_keeps_its_schema() -> None:
    moment = {"type": ["null", "string"], "format": "date-time"}
    assert as_number(moment) == moment


def test_the_stream_map_of_the_page_keeps_deletions_apart(shop: Shop) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (plugin,) = yaml.safe_load(block)["plugins"]["extractors"]
    catalog = catalog_of(shop, streams=("orders",))
    first = read(shop, catalog=catalog, **plugin["config"])
    deleted, at = first.orders["#1005"]["id"], utc(shop.clock() + SECOND)  # after the run began
    shop.store.delete_order("#1005", at)
    wait_until(lambda: utc(shop.clock()) > at)  # a run reads up to the second in which it begins
    second = read(shop, first.state, catalog, **plugin["config"])
    assert (set(first.records), set(first.deleted)) == ({"orders"}, set())
    assert {name: [{**one} for one in found] for name, found in second.deleted.items() if found} == {
        "deleted_orders": [
            {
                "shop_id": first.orders["#1006"]["shop_id"],
                "id": deleted,
                "updated_at": at,
                "_sdc_deleted_at": at,
            }
        ]
    }


SETTINGS = {"mapping": "ecommerce", "identity": "email", "unmapped": "event", "groups": False}


def test_of_numbers_this_projects_target_makes_the_same_events(shop: Shop) -> None:
    made = []
    for money in MONEY:
        run, meanings = read(shop, money=money), Meanings(SETTINGS)
        for stream in ("orders", "customers"):
            meaning = meanings.of(stream, schema_of(run, stream), KEYS)
            assert meaning
            made.append([event for record in run.records[stream] for event in meaning.mapping.events(record)])
    assert made[:2] == made[2:]
    assert len(made[0]) > len(shop.store.orders)
