"""What is asked for, in: a catalog, questions, nodes; out: a catalog of few fields, the settings of a plain tap.

Knows Singer's catalogs and JSON schemas, but runs nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Schema = dict[str, Any]

# What revenue, funnels and people of a store need; the other streams keep all fields.
FORTY_FIELDS = {
    *("id", "name", "shop", "created_at", "updated_at", "processed_at", "cancelled_at", "cancel_reason", "test"),
    *("financial_status", "fulfillment_status", "currency", "email", "tags", "source_name", "landing_site"),
    *("total_price", "subtotal_price", "total_discounts", "total_tax", "total_shipping_price", "total_refunded"),
    *("current_total_price", "current_subtotal_price", "discount_codes", "payment_gateway_names", "note_attributes"),
    *("customer.id", "customer.email", "customer.orders_count", "customer.data_sale_opt_out"),
    *("shipping_address.city", "shipping_address.province_code", "shipping_address.country_code"),
    *("line_items.product_id", "line_items.variant_id", "line_items.title", "line_items.sku"),
    *("line_items.quantity", "line_items.price"),
}
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
PAGE_OF = re.compile(r"\{page:(customers|orders)\(")


def few_fields(catalog: dict[str, Any]) -> dict[str, Any]:
    """Return the catalog with the forty fields of orders selected, and no others of them."""
    (orders,) = (one for one in catalog["streams"] if one["tap_stream_id"] == "orders")
    orders["metadata"] = [{"breadcrumb": [], "metadata": {"selected": True}}]
    for path in _paths(orders["schema"]):
        name = ".".join(path)
        selected = any(name == one or one.startswith(f"{name}.") for one in FORTY_FIELDS)
        breadcrumb = [step for one in path for step in ("properties", one)]
        orders["metadata"].append({"breadcrumb": breadcrumb, "metadata": {"selected": selected}})
    return catalog


def _paths(schema: Schema) -> Iterator[tuple[str, ...]]:
    for name, one in schema.get("properties", schema.get("items", {}).get("properties", {})).items():
        yield (name,)
        yield from ((name, *below) for below in _paths(one))


def plain_streams(questions: Iterable[tuple[str, str]], nodes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return for each stream the question of its largest page, its variables, and the schema of its nodes."""
    streams: dict[str, Any] = {}
    for _, body in questions:
        asked = msgspec.json.decode(body)
        found = PAGE_OF.search(asked["query"])
        first = asked["variables"].get("first", 0)
        if found and first > streams.get(found[1], {}).get("variables", {}).get("first", 0):
            kind = f"/{found[1].removesuffix('s').capitalize()}/"
            schema = schema_of([one for one in nodes if kind in one["id"]])
            variables = {**asked["variables"], "reverse": False}
            streams[found[1]] = {"query": asked["query"], "variables": variables, "schema": schema}
    return streams


def schema_of(values: Sequence[Any], name: str = "") -> Schema:
    """Return a schema of values, as somebody would write it who knows them."""
    there = [one for one in values if one is not None]
    objects = [one for one in there if isinstance(one, dict)]
    if objects:
        names = dict.fromkeys(key for one in objects for key in one)
        properties = {key: schema_of([one[key] for one in objects if key in one], key) for key in names}
        return {"type": ["object", "null"], "properties": properties}
    if any(isinstance(one, list) for one in there):
        return {"type": ["array", "null"], "items": schema_of([inner for one in there for inner in one])}
    kind = next((TYPES[type(one)] for one in there if type(one) in TYPES), "string")
    if name.endswith("_at"):
        return {"type": ["string", "null"], "format": "date-time"}
    return {"type": [kind, "null"]}
