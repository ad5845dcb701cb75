"""Receipts: what PostHog has acknowledged doesn't cross the wire a second time, whatever has changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tap_shopify_orders.records.schema import CUSTOMERS, ORDERS, stream_schema

if TYPE_CHECKING:
    from conftest import Runs
    from sandbox.posthog import PostHog
    from target_posthog.mapping.language.functions import JSON

SCHEMAS = [
    {"type": "SCHEMA", "stream": name, "key_properties": ["shop", "id"], "schema": stream_schema(kind)}
    for name, kind in (("customers", CUSTOMERS), ("orders", ORDERS))
]


def customer(number: int, email: str | None, day: int = 1, **more: JSON) -> dict[str, Any]:
    record = {
        "shop": "my-store.myshopify.com",
        "id": number,
        "email": email,
        "created_at": "2026-09-01T10:00:00Z",
        "updated_at": f"2026-10-{day:02}T10:00:00Z",
        **more,
    }
    return {"type": "RECORD", "stream": "customers", "record": record}


def order(number: int, email: str | None, **more: JSON) -> dict[str, Any]:
    record = {
        "shop": "my-store.myshopify.com",
        "id": number,
        "name": f"#{number}",
        "email": email,
        "created_at": "2026-10-02T10:00:00Z",
        "processed_at": "2026-10-02T10:00:00Z",
        "updated_at": "2026-10-02T10:00:00Z",
        "currency": "USD",
        "subtotal_price": "50.00",
        "transactions": [
            {"id": number * 10, "kind": "sale", "status": "success", "processed_at": "2026-10-02T10:00:05Z"}
        ],
        **more,
    }
    return {"type": "RECORD", "stream": "orders", "record": record}


class Receipted:
    """Runs that share one store of receipts."""

    def __init__(self, runs: Runs, posthog: PostHog, receipts: str) -> None:
        self.runs, self.posthog, self.receipts = runs, posthog, receipts
        self.seen = 0

    def run(self, *records: dict[str, Any], **settings: JSON) -> list[tuple[str, str]]:
        """Run, and return what crossed the wire: each event's name and distinct id."""
        target = self.runs.here(
            *SCHEMAS, *records, **{"receipts": self.receipts, "validate_records": False, **settings}
        )
        self.summary = target.destination.summary.as_json(target.destination._client)  # noqa: SLF001  # its counts
        arrived = self.posthog.arrivals()[self.seen :]
        self.seen += len(arrived)
        return [(event["event"], event["distinct_id"]) for event in arrived]


@pytest.fixture
def receipted(runs: Runs, posthog: PostHog, tmp_path: Path) -> Receipted:
    return Receipted(runs, posthog, str(tmp_path / "kept" / "receipts.sqlite"))


def test_a_second_run_of_the_same_records_sends_nothing(receipted: Receipted) -> None:
    records = (customer(7, "jane@example.com"), order(1, "jane@example.com", customer={"id": 7}))
    assert len(receipted.run(*records)) == 4
    assert receipted.run(*records) == []
    assert receipted.summary["events"]["Order Completed"]["already_there"] == 1
