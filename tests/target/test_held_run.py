"""A run is held to the plan of a preview."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from target_posthog.commands.group import commands
from target_posthog.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runs
    from sandbox.posthog import PostHog

SALE = {
    "event": {"expression": "kind"},
    "distinct_id": "email",
    "timestamp": "created_at",
    "key": ["id"],
    "properties": "extra",
    "set": {"email": "email"},
}
SETTINGS = {"mappings": {"sales": [SALE]}, "senders": 1}
SCHEMA = {
    "type": "SCHEMA",
    "stream": "sales",
    "key_properties": ["id"],
    "schema": {
        "properties": {
            "id": {"type": "integer"},
            "email": {"type": "string"},
            "created_at": {"type": "string"},
            "kind": {"type": "string"},
            "extra": {"type": "object"},
        }
    },
}
STATE = {"type": "STATE", "value": {"n": 1}}


def sale(number: int, **more: Any) -> dict[str, Any]:
    record = {
        "id": number,
        "email": f"jane{number}@example.com",
        "created_at": "2026-11-01T00:00:00Z",
        "kind": "Sale",
        "extra": {"total": 1},
        **more,
    }
    return {"type": "RECORD", "stream": "sales", "record": record}


@pytest.fixture
def plan(runs: Runs, tmp_path: Path) -> Path:
    """The kept plan of a preview of two sales."""
    file = str(tmp_path / "preview.sqlite")
    runs.here(SCHEMA, sale(1), sale(2), preview_path=file, **SETTINGS)
    kept = tmp_path / "plan.json"
    done = CliRunner().invoke(commands, ["plan", "--preview-path", file, "--out", str(kept)])
    assert done.exit_code == 0, done.output
    return kept


def test_what_was_announced_arrives(runs: Runs, posthog: PostHog, plan: Path) -> None:
    for _ in range(2):
        runs.here(SCHEMA, sale(1), sale(2), plan_path=str(plan), **SETTINGS)
    assert posthog.merge() == 2, "the second run sends the same again"
    assert len(posthog.events()) == 2


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"kind": "Refund"}, "an event `Refund`"),
        ({"extra": {"total": 1, "iban": "DE1"}}, "the property `iban` (in `properties`) of the event `Sale`"),
        ({}, "more than 2 events `Sale` from before it was made"),
    ],
)
def test_a_run_stops_before_it_sends_what_was_not_announced(  # noqa: PLR0913, PLR0917  # fixtures and a table
    runs: Runs,
    posthog: PostHog,
    plan: Path,
    more: dict[str, Any],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(RunError) as raised:
        runs.here(SCHEMA, sale(1), sale(2), STATE, sale(3, **more), plan_path=str(plan), **SETTINGS)
    assert f"doesn't announce {sentence}, so the run has stopped before it sends that; preview again" in str(
        raised.value
    )
    assert 3 not in {one["properties"].get("id") for one in posthog.events()}
    assert {one["distinct_id"] for one in posthog.events()} <= {"jane1@example.com", "jane2@example.com"}
    assert capsys.readouterr().out == ""
    assert "events accepted by PostHog" in caplog.text


def test_a_person_property_that_was_not_announced_stops_the_run(runs: Runs, posthog: PostHog, plan: Path) -> None:
    rule = {**SALE, "set": {"email": "email", "phone": "kind"}}
    content = json.loads(plan.read_text())
    other = {"mappings": {"sales": [rule]}, "senders": 1}
    with pytest.raises(RunError, match="the plan was made with another `mapping`"):
        runs.here(SCHEMA, sale(1), plan_path=str(plan), **other)
    del content["events"]["Sale"]["set"]["email"]
    plan.write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"the property `email` \(in `set`\) of the event `Sale`"):
        runs.here(SCHEMA, sale(1), plan_path=str(plan), **SETTINGS)
    assert posthog.events() == []


def test_what_happened_after_the_preview_is_held_to_names_alone(runs: Runs, posthog: PostHog, plan: Path) -> None:
    content = json.loads(plan.read_text())
    plan.write_text(json.dumps({**content, "made_at": "2026-11-01T12:00:00Z"}))
    newer = sale(3, created_at="2026-11-02T00:00:00Z")
    runs.here(SCHEMA, sale(1), sale(2), newer, plan_path=str(plan), **SETTINGS)
    assert len(posthog.events()) == 3
    with pytest.raises(RunError, match="an event `Refund`"):
        runs.here(SCHEMA, sale(4, created_at="2026-11-02T00:00:00Z", kind="Refund"), plan_path=str(plan), **SETTINGS)


def test_another_identity_than_the_plans_is_named_before_anything_is_sent(
    runs: Runs, posthog: PostHog, plan: Path
) -> None:
    with pytest.raises(RunError, match="another `mapping`, `mappings`, `identity` or `groups`"):
        runs.here(SCHEMA, sale(1), plan_path=str(plan), identity="customer_id", **SETTINGS)
    assert posthog.events() == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"can't be read \(No such file"),
        ("{", "is no plan"),
        ('{"format": 99}', "is no plan"),
        ('{"format": 1, "made_at": "", "events": {"Sale": {}}}', "is no plan"),
        ('{"format": 1, "made_at": "", "events": []}', "is no plan"),
        ("[]", "is no plan"),
    ],
)
def test_a_plan_that_is_none_is_named(runs: Runs, tmp_path: Path, content: str | None, sentence: str) -> None:
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RunError, match=f"`plan_path`: the file .* {sentence}"):
        runs.here(SCHEMA, plan_path=str(path), **SETTINGS)


def test_the_kept_plan_holds_nothing_personal(plan: Path) -> None:
    assert "jane" not in plan.read_text()
