"""Costs of deselected fields, in: the tap's schemas and the shipped mapping `ecommerce`; out: docs/selecting.md.

A rule is compiled against a stream without the field, as it is when the field is deselected, and says what it lacks.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from tap_shopify_orders.records.schema import BOOKMARK, CUSTOMERS, DELETED_AT, KEYS, ORDERS, stream_schema
from target_posthog.errors import RuleError
from target_posthog.mapping.document import active, load
from target_posthog.mapping.rule import Rule, rule_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_shopify_orders.records.fields import Field
    from target_posthog.mapping.rule import Spec

STREAMS: dict[str, tuple[Field, ...]] = {"orders": ORDERS, "customers": CUSTOMERS}
IDS = {
    "distinct_id": "the e-mail as distinct id: the next candidate of [identity.md](identity.md) is taken",
    "anon_distinct_id": "a link of two ids",
    "person_profile": "persons of those who may have opted out",
    "session_id": "the visit's session",
}
# What no rule says, as an order without its ledger is a case of its own.
BESIDES = {("orders", "agreements"): "`Order Completed` has `total_sales` alone, and the run ends without `no_ledger`"}

# An amount in the customer's currency is there only where that isn't the shop's: their rules compare the two.
COMPARED = ("currency", "presentment_currency")
PRESENTMENT = "presentment_"

INTRODUCTION = """# Selecting fields

`meltano select` takes fields away before they are asked for: a page of Shopify's then holds more orders, and a bulk
operation less. Written by `make docs` from the rules of the mapping `ecommerce`; a mapping of your own may need other
fields. For Meltano an exclusion alone leaves nothing, so select all first:

```console
$ meltano select tap-shopify-orders '*' '*'
```

Then leave out what you don't need. The first of these costs nothing, as no event has it; the second costs the
properties `coupon`, `coupons` and `promotions`; the third three events:

```console
$ meltano select tap-shopify-orders orders note --exclude
$ meltano select tap-shopify-orders orders discount_applications --exclude
$ meltano select tap-shopify-orders orders transactions --exclude
```

Some fields the tap asks for all the same and keeps to itself: those by which it tells whether an order that you want
is whole and final, such as `original_total_price` for the ledger and `return_status` for a return under way.

The target says in each run what it does without, in one warning per stream. The keys `shop_id` and `id`, `updated_at`
and the mark of a deletion, `_sdc_deleted_at`, always come. A whole stream is left out by `meltano select
tap-shopify-orders customers '*' --exclude`: without `customers` nobody is described, and orders still say whose they
are.
"""


@dataclass
class Cost:
    """What a deselected field costs: events, by rule, and properties.

    `ends` if a rule can't do without it, `hides` if the shipped rules know the stream by it.
    """

    events: list[str] = field(default_factory=list)
    counts: list[str] = field(default_factory=list)
    properties: set[str] = field(default_factory=set)
    ends: bool = False
    hides: bool = False

    def said(self, stream: str, name: str) -> Iterator[str]:
        """Yield what it costs, a half-sentence each."""
        if self.hides:
            yield "all: the shipped rules know their stream by it, and leave one alone that hasn't got it"
            return
        if self.ends:
            yield "the target refuses the stream, and says why"
        if self.events:
            yield f"no {_listed(self.events)}"
        if self.counts:
            yield f"{', '.join(self.counts)} count"
        if properties := sorted(self.properties - IDS.keys()):
            yield (
                f"the properties {_listed(properties)}"
                if len(properties) > 1
                else f"the property {_listed(properties)}"
            )
        yield from (IDS[one] for one in sorted(self.properties & IDS.keys()))
        if (stream, name) in BESIDES:
            yield BESIDES[stream, name]


def cost_of(stream: str, name: str) -> Cost:
    """Return what a field of a stream costs when it isn't selected."""
    whole = stream_schema(STREAMS[stream])
    less = {**whole, "properties": {key: one for key, one in whole["properties"].items() if key != name}}
    cost = Cost()
    for spec, always_missing in _rules(stream):
        cost.hides |= name in spec["origin"]["fields"]
        if name in COMPARED:
            cost.properties |= {one for one in spec.get("properties", {}) if one.startswith(PRESENTMENT)}
        if not re.search(rf"\b{name}\b", json.dumps(spec)):
            continue
        try:
            rule = _compiled(stream, spec, less)
        except RuleError:
            cost.ends = True
            continue
        if rule.is_usable:
            cost.properties |= rule.missing.keys() - always_missing
        else:
            (cost.counts if rule.is_filter else cost.events).append(rule_name(spec))
    return cost


def fields_of(stream: str) -> list[str]:
    """Return the fields of a stream that can be deselected."""
    return [name for name in stream_schema(STREAMS[stream])["properties"] if name not in (*KEYS, BOOKMARK, DELETED_AT)]


def selecting_page() -> str:
    """Return docs/selecting.md."""
    lines = [INTRODUCTION]
    for stream in STREAMS:
        costs = {name: "; ".join(cost_of(stream, name).said(stream, name)) for name in fields_of(stream)}
        free = [name for name, cost in costs.items() if not cost]
        lines += [f"## Fields of `{stream}`", "", "| without | it costs |", "| --- | --- |"]
        lines += [f"| `{name}` | {cost} |" for name, cost in costs.items() if cost]
        lines += ["", f"These cost nothing: {_listed(free)}.", ""]
    return "\n".join(lines).rstrip() + "\n"


@cache
def _rules(stream: str) -> list[tuple[Spec, frozenset[str]]]:
    """Return a stream's rules, each with the properties that it lacks even where all fields are selected."""
    whole, rules = stream_schema(STREAMS[stream]), active(load("ecommerce")["streams"][stream])
    return [(spec, frozenset(_compiled(stream, spec, whole).missing)) for spec in rules]


def _compiled(stream: str, spec: Spec, schema: dict[str, Any]) -> Rule:
    return Rule(stream, spec, identity="email", schema=schema)


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
