"""`meltano --environment=preview run sync`: what it shows is what would arrive."""

from __future__ import annotations

import json
import stat
import subprocess
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from tests.pipeline.meltano_project import has_traceback

if TYPE_CHECKING:
    from sandbox.posthog import PostHog
    from tests.pipeline.meltano_project import Project

PREVIEW = "--environment=preview"
NOTHING_NEW = "A run would send 0 events"
STATE_ID = "sandbox:tap-shopify-orders-to-target-posthog"


@pytest.fixture
def user(project: Project) -> Project:
    """A project whose .env names a shop, as a user's does."""
    project.environment |= {"SHOPIFY_STORE": "sandbox", "SHOPIFY_ACCESS_TOKEN": "shpat_sandbox"}
    return project


def kept_plan(project: Project) -> dict[str, Any]:
    project.succeed(PREVIEW, "invoke", "target-posthog:plan", "--out", "plan.json")
    plan: dict[str, Any] = json.loads((project.folder / "plan.json").read_text())
    return plan


def test_what_a_preview_shows_is_what_arrives_and_a_run_can_be_held_to_it(user: Project, posthog: PostHog) -> None:
    said = user.succeed(PREVIEW, "run", "sync")
    assert "nothing has been sent" in said
    plan = kept_plan(user)
    shown = user.succeed(PREVIEW, "invoke", "target-posthog:explain", "1001", "--mask")
    assert "#1001 (orders, shop_id=60000000001, id=" in shown
    assert "+ makes `Order Completed`" in shown
    assert 'example.com"' not in shown
    folder = user.folder / ".preview"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "preview.sqlite").stat().st_mode) == 0o600
    assert posthog.controls.requests == [], "nothing has left the machine"

    less = {name: one for name, one in plan["events"].items() if name != "Order Refunded"}
    (user.folder / "less.json").write_text(json.dumps({**plan, "events": less}))
    stopped = user.run("run", "sync", TARGET_POSTHOG_PLAN_PATH="less.json")
    assert stopped.returncode == 1
    assert "doesn't announce an event `Order Refunded`" in stopped.stderr
    assert not has_traceback(stopped.stderr)
    assert "Order Refunded" not in posthog.totals()["events"]

    user.succeed("run", "sync", TARGET_POSTHOG_PLAN_PATH="plan.json")
    assert_every_figure(plan, posthog)


def assert_every_figure(plan: dict[str, Any], posthog: PostHog) -> None:
    """Compare the plan with what PostHog holds."""
    events, totals = posthog.events(), posthog.totals()
    assert {name: one["count"] for name, one in plan["events"].items()} == totals["events"]
    assert plan["bill"]["events"] == len(events)
    assert totals["doubles"] == 0
    assert plan["bill"]["anonymous"] == sum(one["properties"].get("$process_person_profile") is False for one in events)
    assert (plan["persons"]["persons"], plan["oldest"], plan["newest"]) == (
        totals["persons"],
        totals["oldest"],
        totals["newest"],
    )
    assert plan["historical"] == totals["historical"] == sum(map(is_history, events))
    assert {name: Decimal(amount) for name, amount in plan["events"]["Order Completed"]["money"].items()} == {
        name: Decimal(amount) for name, amount in totals["placed"].items()
    }
    assert {one["day"]: one["events"] for one in plan["days"]} == by_day(events, ZoneInfo(plan["time_zone"]))
    for name, one in plan["events"].items():
        of_name = [event for event in events if event["event"] == name]
        arrived = [event["properties"] for event in of_name]
        carried = Counter(key for properties in arrived for key in properties if not key.startswith("$"))
        assert {key: count for key, count in one["properties"].items() if count} == carried
        sets = [key for properties in arrived for key in properties.get("$set", {})]
        assert one["set"] == Counter(sets)
        assert (one["identified"], one["historical"]) == (
            sum(properties.get("$process_person_profile") is not False for properties in arrived),
            sum(map(is_history, of_name)),
        )
    emails = sum("@" in event["distinct_id"] for event in events)
    assert {"name": "distinct_id", "place": "distinct_id", "events": emails} in plan["personal"]


def is_history(event: dict[str, Any]) -> bool:
    """What changes persons never travels as history, a `Customer Created` that makes one neither."""
    return not event["event"].startswith("$") and "$set_once" not in event["properties"]


def by_day(events: list[dict[str, Any]], zone: ZoneInfo) -> dict[str, Counter[str]]:
    days: dict[str, Counter[str]] = {}
    for event in events:
        at = datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00"))
        days.setdefault(str(at.astimezone(zone).date()), Counter())[event["event"]] += 1
    return days


def test_a_preview_leaves_the_place_of_other_runs_and_has_none_of_its_own(user: Project, posthog: PostHog) -> None:
    user.succeed("run", "sync")
    received = posthog.totals()["received"]
    before = user.states()
    assert before.keys() == {STATE_ID}
    for _ in range(2):
        assert NOTHING_NEW not in user.succeed(PREVIEW, "run", "sync"), "each preview is whole"
    assert user.states() == before
    assert posthog.totals()["received"] == received

    user.succeed("state", "copy", "--force", STATE_ID, STATE_ID.replace("sandbox", "preview"))
    for _ in range(2):
        assert NOTHING_NEW in user.succeed(PREVIEW, "run", "sync"), "the next run alone, as often as one likes"


def test_another_taps_records_are_previewed_as_well(user: Project, posthog: PostHog) -> None:
    people = user.folder / "people.singer"
    schema = {"properties": {"id": {"type": "integer"}, "mail": {}, "at": {"type": "string", "format": "date-time"}}}
    messages: list[dict[str, Any]] = [
        {"type": "SCHEMA", "stream": "people", "key_properties": ["id"], "schema": schema},
        *(
            {"type": "RECORD", "stream": "people", "record": {"id": one, "mail": "a@x.com", "at": f"2026-11-0{one}"}}
            for one in (1, 2)
        ),
    ]
    people.write_text("".join(json.dumps(one) + "\n" for one in messages))
    done = subprocess.run(
        f"meltano {PREVIEW} invoke target-posthog < people.singer",
        shell=True,
        cwd=user.folder,
        env=user.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    plan = kept_plan(user)
    assert plan["events"]["people"]["anonymous"] == 2
    assert plan["personal"] == [{"name": "mail", "place": "properties", "events": 2}]
    assert posthog.controls.requests == []


def test_lost_receipts_are_rebuilt_from_the_environment_that_can_ask_posthog(user: Project, posthog: PostHog) -> None:
    user.environment |= {
        "POSTHOG_API_KEY": "phc_sandbox",
        "POSTHOG_PROJECT_ID": "1",
        "POSTHOG_PERSONAL_API_KEY": "phx_sandbox",
    }
    prod = "--environment=prod"
    user.succeed(prod, "run", "sync")
    facts = posthog.totals()["events"]
    kept = [json.loads(user.run(one, "invoke", "--dump=config", "target-posthog").stdout) for one in (prod, PREVIEW)]
    assert len({config["receipts"] for config in kept}) == 1
    assert len({config["api_key"] for config in kept}) == 1
    Path(kept[0]["receipts"]).unlink()
    assert "receipts are new" in user.succeed(PREVIEW, "invoke", "target-posthog:receipts", "rebuild")
    assert "0 events would be" in user.succeed(PREVIEW, "invoke", "target-posthog:resend", "--missing", "--yes")
    user.succeed(prod, "run", "--full-refresh", "sync")
    now = posthog.totals()["events"]
    assert {name: count for name, count in now.items() if name[0] != "$"} == {
        name: count for name, count in facts.items() if name[0] != "$"
    }, "persons alone are described once more"
    assert posthog.totals()["doubles"] == 0
