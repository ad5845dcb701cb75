"""The public singer-io/tap-shopify with this target as it is: whole runs of its version 1 (REST) and 3 (GraphQL).

The records hold the sample order, customer and refund of Shopify's own webhook documentation, as those versions name
them; no code of that tap was read for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.singer.target import TargetPostHog

if TYPE_CHECKING:
    from conftest import Runs
    from sandbox.posthog import PostHog

VERSIONS = ["version_1", "version_3"]
FOLDER = Path(__file__).parent / "singer_io"


def run(runs: Runs, version: str, **settings: str) -> None:
    target = TargetPostHog(config={**runs.settings, "mapping": "shopify-singer-io", **settings})
    with (FOLDER / f"{version}.jsonl").open(encoding="utf-8") as file:
        target.listen(file)


def events(posthog: PostHog) -> dict[str, dict[str, Any]]:
    named = {(one["event"], one["properties"].get("order_name", "")): one for one in posthog.events()}
    return {" ".join(name).strip(): one for name, one in named.items()}


@pytest.mark.parametrize("version", VERSIONS)
def test_each_record_becomes_its_events(runs: Runs, posthog: PostHog, version: str) -> None:
    run(runs, version)
    assert set(events(posthog)) == {
        *("$identify", "Customer Created", "Order Refunded"),
        *("Order Completed #10000", "Order Completed #10001", "Order Cancelled #10001"),  # #9999 is a test order
    }
    totals = posthog.totals()
    assert (str(totals["revenue"]["USD"]), str(totals["refunds"]["USD"])) == ("809.90", "89.99")


@pytest.mark.parametrize("version", VERSIONS)
def test_an_order_has_its_money_items_and_time(runs: Runs, posthog: PostHog, version: str) -> None:
    run(runs, version)
    order = events(posthog)["Order Completed #10000"]
    assert (order["distinct_id"], order["timestamp"]) == ("jon@example.com", "2022-01-01T00:00:00Z")
    said = order["properties"]
    money = ("revenue", "total", "tax", "shipping", "discount", "tip", "current_total", "presentment_total")
    assert [said[name] for name in money] == [404.95, 404.95, 0, 10, 20, 0, 414.95, 404.95]
    assert (said["currency"], said["coupon"], said["gateway"], said["source_name"]) == (
        "USD",
        "SUMMER10",
        "visa",
        "web",
    )
    assert (said["order_id"], said["affiliation"]) == ("820982911946154501", "jsmith.myshopify.com")
    assert (said["shipping_country"], said["taxes_included"]) == ("US", False)
    assert said["$session_id"] == "01928f3a-0000-7000-8000-000000000001"
    assert [(one["sku"], one["price"], one["quantity"]) for one in said["products"]][:2] == [
        ("SKU2006-001", 89.99, 1),
        ("LENS-PROTECT-2YR", 19.99, 1),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_customer_is_one_person_with_their_orders(runs: Runs, posthog: PostHog, version: str) -> None:
    run(runs, version)
    (person,) = posthog.persons()
    customer = f"shopify:customer:{person['properties']['customer_id']}"
    assert set(person["distinct_ids"]) == {"jon@example.com", customer}
    known = ("name", "total_spent", "orders_count", "city", "country_code", "verified_email", "tax_exempt")
    assert [person["properties"][name] for name in known] == ["Bob Biller", 809.9, 2, "Ottawa", "CA", True, False]
    assert (person["properties"]["customer_state"], person["properties"]["email_marketing_state"]) == (
        "disabled",
        "subscribed",
    )


@pytest.mark.parametrize("identity", ["email", "customer_id", "email_sha256"])
def test_a_change_from_version_1_to_version_3_makes_no_other_event(runs: Runs, posthog: PostHog, identity: str) -> None:
    run(runs, "version_1", identity=identity)
    once = [(one["uuid"], one["event"], one["distinct_id"], one["timestamp"]) for one in posthog.events()]
    run(runs, "version_3", identity=identity)
    assert posthog.merge() == len(once), "each has come again, and PostHog takes it for the same"
    assert [(one["uuid"], one["event"], one["distinct_id"], one["timestamp"]) for one in posthog.events()] == once


def test_only_what_a_version_does_not_have_is_left_out(runs: Runs, caplog: pytest.LogCaptureFixture) -> None:
    run(runs, "version_3")
    assert "has no fields" not in caplog.text
    run(runs, "version_1")
    assert "Stream `customers` has no fields for customer_locale; the events do without" in caplog.text
    assert caplog.text.count("has no fields") == 1
