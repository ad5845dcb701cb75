"""The worked examples of docs/mapping.md, with records as other taps send them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tap_shopify_orders.records.schema import CUSTOMERS, stream_schema
from target_posthog.mapping.catalogue import catalogue
from target_posthog.mapping.document import load, shipped_names

if TYPE_CHECKING:
    from conftest import Runs
    from sandbox.posthog import PostHog

EXAMPLES = Path(__file__).parent / "examples"


def records(stream: str, *rows: dict[str, Any], keys: tuple[str, ...] = ("id",)) -> list[dict[str, Any]]:
    fields = {name for row in rows for name in row}
    schema = {"type": "object", "properties": {name: {} for name in fields}}
    return [
        {"type": "SCHEMA", "stream": stream, "key_properties": list(keys), "schema": schema},
        *({"type": "RECORD", "stream": stream, "record": row} for row in rows),
    ]


def run(runs: Runs, posthog: PostHog, example: str, *messages: list[dict[str, Any]], **settings: bool) -> None:
    """Run an example twice, and let PostHog merge what the second run has sent again."""
    mapping = str(EXAMPLES / f"{example}.yaml") if (EXAMPLES / f"{example}.yaml").exists() else example
    for _ in range(2):
        runs.here(*(one for stream in messages for one in stream), mapping=mapping, **settings)
    posthog.merge()


def test_a_billing_taps_invoices_become_revenue_to_the_cent(runs: Runs, posthog: PostHog) -> None:
    paid = {
        "id": "in_1",
        "status": "paid",
        "customer": "cus_1",
        "customer_email": "Jane@Example.com",
        "status_transitions": {"paid_at": 1793534400},
        "amount_paid": 1999,
        "currency": "usd",
        "lines": {"data": [{"plan": {"nickname": "Pro"}}]},
        "billing_reason": "subscription_cycle",
    }
    yen = {**paid, "id": "in_2", "customer_email": None, "amount_paid": 1999, "currency": "jpy"}
    draft = {**paid, "id": "in_3", "status": "draft"}
    customers = records(
        "customers", {"id": "cus_1", "email": "jane@example.com", "name": "Jane", "created": 1790000000}
    )
    run(runs, posthog, "billing", customers, records("invoices", paid, yen, draft))
    invoices = [one for one in posthog.events() if one["event"] == "Invoice Paid"]
    assert sorted((one["properties"]["revenue"], one["properties"]["currency"]) for one in invoices) == [
        (19.99, "USD"),
        (1999, "JPY"),
    ]
    assert {one["timestamp"] for one in invoices} == {"2026-11-01T12:00:00Z"}
    (person,) = posthog.persons()
    assert set(person["distinct_ids"]) == {"jane@example.com", "cus_1"}


def test_a_support_taps_tickets_are_events_of_the_person_who_asked(runs: Runs, posthog: PostHog) -> None:
    ticket = {
        "id": 5,
        "requester_id": 9,
        "created_at": "2026-11-01T10:00:00Z",
        "updated_at": "2026-11-01T13:30:00Z",
        "status": "solved",
        "subject": "Where is it?",
        "via": {"channel": "email"},
        "tags": [],
        "satisfaction_rating": {"score": "good"},
    }
    user = {
        "id": 9,
        "email": "Jane@example.com",
        "name": "Jane",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-11-01T09:00:00Z",
    }
    run(runs, posthog, "support", records("tickets", ticket), records("users", user))
    events = {one["event"]: one for one in posthog.events()}
    assert set(events) == {"Ticket Opened", "Ticket Solved", "$identify"}
    assert events["Ticket Solved"]["properties"]["hours_to_solve"] == 3.5
    (person,) = posthog.persons()
    assert set(person["distinct_ids"]) == {"jane@example.com", "zendesk:9"}


def test_a_databases_tables_become_groups_events_and_deletions(runs: Runs, posthog: PostHog) -> None:
    account = {
        "id": 3,
        "name": "Acme",
        "plan": "paid",
        "seats": 5,
        "monthly_fee": "49.50",
        "owner_id": 11,
        "created_at": "2026-11-01T00:00:00Z",
        "_sdc_deleted_at": None,
    }
    login = {
        "id": 1,
        "user_id": 11,
        "account_id": 3,
        "at": "2026-11-02T00:00:00Z",
        "details": {"device": "phone"},
        "plan": "paid",
    }
    gone = {"id": 4, "_sdc_deleted_at": "2026-11-03T00:00:00Z"}
    run(runs, posthog, "database", records("public-accounts", account, gone), records("public-logins", login))
    assert posthog.totals()["events"] == {
        "$groupidentify": 1,
        "Account Created": 1,
        "Account Deleted": 1,
        "Logged In": 1,
    }
    (group,) = posthog.groups()
    assert (group["type"], group["key"], group["properties"]) == (
        "account",
        "3",
        {"name": "Acme", "plan": "paid", "seats": 5, "monthly_fee": 49.5},
    )


def test_the_store_can_be_a_group(runs: Runs, posthog: PostHog) -> None:
    schema = {
        "type": "SCHEMA",
        "stream": "customers",
        "key_properties": ["shop", "id"],
        "schema": stream_schema(CUSTOMERS),
    }
    made = [
        {
            "shop": f"{shop}.myshopify.com",
            "id": number,
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-11-01T00:00:00Z",
        }
        for number, shop in enumerate(("a", "a", "b"))
    ]
    rows = [{"type": "RECORD", "stream": "customers", "record": {**row, "currency": "USD"}} for row in made]
    for _ in range(2):
        runs.here(schema, *rows, groups=True)
    assert [(group["type"], group["key"], group["properties"]) for group in posthog.groups()] == [
        ("shop", "a.myshopify.com", {"name": "a.myshopify.com", "currency": "USD"}),
        ("shop", "b.myshopify.com", {"name": "b.myshopify.com", "currency": "USD"}),
    ]
    assert {one["copies"] for one in posthog.events() if one["event"] == "$groupidentify"} == {1}
    assert all(
        one["properties"]["$groups"]["shop"].endswith(".myshopify.com")
        for one in posthog.events()
        if one["event"] != "$groupidentify"
    )


@pytest.mark.parametrize("name", shipped_names())
def test_the_catalogue_has_each_event_with_its_properties_and_their_meaning(name: str) -> None:
    entries = catalogue(load(name))
    assert {"Order Completed", "Created Shopify Order"} & {entry["event"] for entry in entries}
    for entry in entries:
        assert entry["about"]
        assert all(one["type"] and one["about"] for one in entry["properties"])
