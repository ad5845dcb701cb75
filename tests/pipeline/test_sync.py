"""`meltano run sync`, as a user schedules it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.posthog import PostHog
    from sandbox.shop import Shop
    from tests.pipeline.meltano_project import Project


def identity(event: dict) -> tuple[str, str, str, str]:
    """What PostHog counts events by."""
    return event["uuid"], event["event"], event["distinct_id"], event["timestamp"]


def test_a_second_run_sends_nothing_and_a_changed_order_moves_alone(
    project: Project, shop: Shop, posthog: PostHog
) -> None:
    project.succeed("run", "sync")
    first = posthog.totals()
    assert first["received"] == len(posthog.events()) > 100
    said = project.succeed("run", "sync")
    assert posthog.totals()["received"] == first["received"]
    lines = [line for line in said.splitlines() if " tap-shopify-orders " in line or " target-posthog " in line]
    assert 3 <= len(lines) <= 5, "a run without changes is quiet"

    before = {identity(event) for event in posthog.events()}
    order = next(one for one in shop.store.orders if one["displayFinancialStatus"] == "PAID" and one["customer"])
    shop.store.refund_order(order["name"], shop.clock(), amount="1.00")
    project.succeed("run", "sync")
    assert posthog.totals()["received"] == first["received"] + 3
    after = {identity(event): event for event in posthog.events()}
    assert before <= after.keys(), "nothing that was sent has become another event"
    new = {after[one]["event"]: after[one] for one in after.keys() - before}
    assert new.keys() == {"Order Refunded", "Payment Refunded", "$identify"}, "and its customer"
    assert new["Order Refunded"]["properties"]["order_name"] == order["name"]
    assert posthog.totals()["doubles"] == 0


def test_a_full_refresh_sends_nothing_that_posthog_has(project: Project, posthog: PostHog) -> None:
    project.succeed("run", "sync")
    before = posthog.fired()
    project.succeed("run", "--full-refresh", "tap-shopify-orders", "target-posthog")
    assert posthog.fired() == before
    said = project.succeed("invoke", "target-posthog:receipts")
    assert "Order Completed" in said


def test_meltano_discovers_describes_and_tests_both_plugins(project: Project, posthog: PostHog) -> None:
    assert '"tap_stream_id":"orders"' in project.succeed("invoke", "tap-shopify-orders", "--discover")
    assert "access_token" in project.succeed("invoke", "tap-shopify-orders", "--about")
    assert "api_key" in project.succeed("invoke", "target-posthog", "--about")
    project.succeed("--environment=sandbox", "config", "test", "tap-shopify-orders")
    # Meltano 4.4.1 calls its test of any loader a success, then falls over a process that has ended: its own exit code
    # says nothing. meltano/core/plugin_test_service.py, `finally: process.terminate()`.
    tested = project.run("--environment=sandbox", "config", "test", "target-posthog")
    assert "Test data was written to your target system" in tested.stderr
    assert posthog.totals()["received"] == 0, "the record of the test is not an event"
    mistaken = project.run("--environment=sandbox", "config", "test", "target-posthog", TARGET_POSTHOG_API_KEY="phc_no")
    assert "Test data was written to your target system" not in mistaken.stderr


def test_the_schedule_runs_the_job(project: Project, posthog: PostHog) -> None:
    project.succeed("schedule", "run", "hourly-sync")
    assert posthog.totals()["events"]["Order Completed"] > 0
