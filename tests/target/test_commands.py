"""`target-posthog plan` and `explain`, with the preview that they read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from sandbox.posthog import PostHog
from tests.attacks.hostile import Hostile, head
from tests.target.previews import RULES, SALE, SCHEMA, Previews, sale
from tests.waiting import LONGEST_WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Runs


@pytest.fixture
def previews(runs: Runs, tmp_path: Path) -> Previews:
    return Previews(runs, tmp_path)


@pytest.fixture
def named(previews: Previews, tmp_path: Path) -> Previews:
    """A preview of sales that people know by numbers and addresses."""
    mapping = tmp_path / "own.yaml"
    mapping.write_text("records: {sales: {name: \"concat('#', id)\", find: [email, note]}}\nstreams: {}\n")
    previews.make(
        sale(1, total="5", note="twice"),
        sale(2, total="0", note="twice"),
        sale(3, email="guest", note="Jane Doe"),
        mapping=str(mapping),
    )
    return previews


def test_a_record_is_explained_by_each_of_its_names(named: Previews) -> None:
    for name in ("#1", "1", "id=1", " JANE1@example.com"):
        shown = named.command("explain", name)
        assert shown.startswith("#1 (sales, id=sha256:6b86b273ff34)")
        assert "+ makes `Sale`" in shown
        assert "- leaves out `gifts`: its `when` isn't true\n      when total == '0' = false" in shown
        assert 'distinct_id email = "jane1@example.com": counts' in shown
        assert "2026-11-01T00:00:00Z  Sale  (rule `Sale`)" in shown
        assert "PostHog wasn't asked" in shown
        assert shown.index("The events: 1") < shown.index("The rules"), "the answer comes first"
        assert "The record as read" not in shown
    assert '"email": "jane1@example.com"' in named.command("explain", "1", "--record").split("The record as read")[1]
    assert "Left out: gifts" in named.command("explain", "2")
    explained = named.command("explain", "3")
    assert (
        "UNDELIVERABLE, which would end a run: your rule `Sale` of stream `sales`: no candidate of `distinct_id`"
        in explained
    )
    assert "The events: 0" in explained


def test_each_item_of_a_list_is_explained(previews: Previews) -> None:
    rule = {**SALE, "name": "per line", "for_each": "note", "when": "item.sold", "key": ["id", "item.id"]}
    previews.make(sale(1, note=[{"id": 1, "sold": True}, {"id": 2}]), mappings={"sales": [rule]})
    shown = previews.command("explain", "1")
    assert "+ makes `per line`\n      for each of note = 2 items\n      + item 1\n      when item.sold = true" in shown
    assert "- item 2: its `when` isn't true\n      when item.sold = null" in shown
    assert "The events: 1" in shown


def test_what_a_shipped_rule_lacks_is_explained(previews: Previews) -> None:
    schema = {"properties": {name: {} for name in ("shop", "id", "data_sale_opt_out", "created_at", "updated_at")}}
    record = {"shop": "s", "id": 7, "created_at": "2026-11-01T00:00:00Z", "updated_at": "2026-11-02T00:00:00Z"}
    previews.make(
        {"type": "SCHEMA", "stream": "customers", "key_properties": ["id"], "schema": schema},
        {"type": "RECORD", "stream": "customers", "record": record},
        mappings={},
    )
    shown = previews.command("explain", "customer 7")
    assert "+ makes `$identify`" in shown
    assert "      without email: " in shown


def test_what_is_explained_can_be_masked(named: Previews) -> None:
    shown = named.command("explain", "1", "--mask")
    assert "jane" not in shown.lower()
    assert "distinct id email-" in shown
    assert shown.startswith("#1 (sales, id=sha256:6b86b273ff34)")
    assert "Jane Doe" not in named.command("explain", "3", "--mask")


def test_a_name_of_none_or_several_gets_a_sentence(named: Previews) -> None:
    assert "has no record of that name" in named.mistake("explain", "99")
    assert "has 2 records of that name; choose one: #1, #2" in named.mistake("explain", "twice")


@pytest.mark.parametrize("command", [["plan"], ["explain", "1"]])
def test_no_preview_gets_a_sentence(previews: Previews, tmp_path: Path, command: list[str]) -> None:
    assert "There is no preview at" in previews.mistake(*command)
    other = tmp_path / "other.sqlite"
    other.write_text("something else, and longer than the header of a database would be" * 20)
    said = previews.mistake(*command, TARGET_POSTHOG_PREVIEW_PATH=str(other))
    assert "is no preview that this version can read" in said


def test_posthog_says_what_it_has_if_there_is_a_key(named: Previews, runs: Runs, posthog: PostHog) -> None:
    runs.here(SCHEMA, sale(1, total="5", note="twice"), mappings={"sales": RULES})
    asking = {
        "TARGET_POSTHOG_PERSONAL_API_KEY": "phx_sandbox",
        "TARGET_POSTHOG_PROJECT_ID": "1",
        "TARGET_POSTHOG_HOST": posthog.url,
    }
    assert "PostHog has it" in named.command("explain", "1", **asking)
    with PostHog().serve() as empty:
        asking["TARGET_POSTHOG_HOST"] = empty.url
        assert "PostHog doesn't have it" in named.command("explain", "1", **asking)


def test_what_is_explained_is_printed_before_posthog_is_asked(named: Previews) -> None:
    printed, gave_up = threading.Event(), threading.Event()

    def when_it_is_printed(_: bytes) -> Iterator[bytes]:
        if not printed.wait(LONGEST_WAIT_SECONDS):
            gave_up.set()
        body = b'{"results": [], "timezone": "UTC"}'
        yield head(f"Content-Length: {len(body)}", "Connection: close") + body

    with Hostile(when_it_is_printed).serve() as asked:
        process = subprocess.Popen(
            [sys.executable, "-m", "target_posthog", "explain", "1"],
            env={
                **os.environ,
                "TARGET_POSTHOG_PREVIEW_PATH": str(named.path),
                "TARGET_POSTHOG_PERSONAL_API_KEY": "phx_sandbox",
                "TARGET_POSTHOG_PROJECT_ID": "1",
                "TARGET_POSTHOG_HOST": asked.url,
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout
            for line in process.stdout:
                if "email" in line:  # of the last rule
                    printed.set()
        assert process.returncode == 0
        assert asked.requests
    assert printed.is_set()
    assert not gave_up.is_set(), "the answer was held back until PostHog had answered"


def test_the_kept_plan_is_the_printed_one_without_personal_data(named: Previews, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    printed = named.command("plan", "--out", str(out))
    assert printed.startswith("A run would send 1 events, of 3 sales; nothing has been sent")
    kept = json.loads(out.read_text())
    whole = named.plan()
    assert kept["events"]["Sale"].items() <= whole["events"]["Sale"].items()
    assert "jane" not in out.read_text() + printed
    assert "can't be written" in named.mistake("plan", "--out", str(tmp_path / "none" / "plan.json"))
