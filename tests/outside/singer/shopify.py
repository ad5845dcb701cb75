"""Runs of the public tap-shopify on the sandbox's store, in: the tap; out: the messages that it writes.

As a module it writes `tests/target/singer_io/version_3_13.jsonl` anew: a few records as that tap shapes them, and which
fields of which kinds it declares. The data are the sandbox's; nothing of the tap's code is in it.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.shop.cdnow import cdnow_store
from tests.outside.singer.any_shop import AnyShop
from tests.outside.singer.environments import executable
from tests.outside.singer.stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sandbox.shop.store import Store

HOST = "sandbox.myshopify.com"
STREAMS = ("customers", "orders", "order_refunds", "order_shipping_lines", "transactions")
FIXTURE = Path(__file__).parents[2] / "target/singer_io/version_3_13.jsonl"
LIMIT_SECONDS = 120
Message = dict[str, Any]


def messages_of(store: Store, folder: Path, since: str, deselected: Collection[str] = ()) -> list[Message]:
    """Run the tap over a store, from a day on; `deselected` are fields of orders that it is told to leave out."""
    tap = executable("tap-shopify")
    config, catalog = folder / "config.json", folder / "catalog.json"
    config.write_text(json.dumps({"shop": HOST.partition(".")[0], "api_key": "shpat_sandbox", "start_date": since}))
    with StandIn(AnyShop(store, HOST).answer, folder, [HOST]).serve() as environment:
        run = {"env": environment, "capture_output": True, "text": True, "check": True, "timeout": LIMIT_SECONDS}
        found = json.loads(subprocess.run([tap, "--config", config, "--discover"], **run).stdout)
        for stream in found["streams"]:
            for entry in stream["metadata"]:
                field = entry["breadcrumb"][-1] if entry["breadcrumb"] else ""
                entry["metadata"]["selected"] = stream["tap_stream_id"] in STREAMS and field not in deselected
        catalog.write_text(json.dumps(found))
        done = subprocess.run([tap, "--config", config, "--catalog", catalog], **run)
    return [json.loads(line) for line in done.stdout.splitlines()]


def shape(schema: Message) -> Message:
    """Return of a schema which fields there are, and of which kind."""
    kept = {key: schema[key] for key in ("type", "format") if key in schema}
    if "properties" in schema:
        kept["properties"] = {name: shape(one) for name, one in schema["properties"].items()}
    if "items" in schema:
        kept["items"] = shape(schema["items"])
    return kept


def few(messages: Iterable[Message]) -> list[Message]:
    """Return the messages of a few orders of different fates, with their customers, payments and refunds."""
    told = list(messages)
    records = {
        stream: [one["record"] for one in told if one.get("record") and one["stream"] == stream] for stream in STREAMS
    }
    orders = records["orders"]
    fates = (
        lambda one: one["test"],
        lambda one: one["displayFinancialStatus"] == "REFUNDED",
        lambda one: one["displayFinancialStatus"] == "PARTIALLY_REFUNDED",
        lambda one: one["displayFinancialStatus"] == "PENDING",
        lambda one: one["discountCodes"],
        lambda one: one["customAttributes"] and one["fulfillments"],
        lambda one: one["customer"] and one["customer"]["email"] != one["email"],
        lambda one: one["customer"] is None,
        lambda one: one["presentmentCurrencyCode"] != one["currencyCode"],
    )
    chosen = {one["id"]: one for fate in fates for one in [next(filter(fate, orders), None)] if one}
    buyers = {one["customer"]["id"] for one in chosen.values() if one["customer"]}
    kept = {
        "orders": list(chosen.values()),
        "customers": [one for one in records["customers"] if one["id"] in buyers or one["dataSaleOptOut"]],
        "transactions": [one for one in records["transactions"] if one["order"]["id"] in chosen],
        "order_refunds": [one for one in records["order_refunds"] if one["order"]["id"] in chosen],
        "order_shipping_lines": records["order_shipping_lines"][:1],
    }
    made: list[Message] = []
    for one in told:
        if one["type"] == "SCHEMA" and one["stream"] in kept:
            made.append({**one, "schema": shape(one["schema"])})
            made += [{"type": "RECORD", "stream": one["stream"], "record": row} for row in kept.pop(one["stream"])]
    return [*made, {"type": "STATE", "value": {"n": 1}}]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        written = few(messages_of(cdnow_store(date(2026, 10, 31), customers=40), Path(name), "2024-01-01T00:00:00Z"))
    FIXTURE.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in written))
