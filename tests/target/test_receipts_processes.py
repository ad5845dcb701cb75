"""Receipts between processes: what a killed target leaves, and two targets on one database."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.controls import Reply
from tests.target.conftest import lines
from tests.waiting import LONGEST_WAIT_SECONDS, wait_until

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from conftest import Runs
    from sandbox.posthog import PostHog

RULE = {"event": "Sale", "distinct_id": "email", "timestamp": "created_at", "key": ["id"]}
SETTINGS: dict[str, Any] = {"mappings": {"sales": [RULE]}, "senders": 1}
SCHEMA = {
    "type": "SCHEMA",
    "stream": "sales",
    "key_properties": ["id"],
    "schema": {"type": "object", "properties": {"id": {}, "email": {}, "created_at": {}}},
}
SALES = 1_200  # three requests


def sales(number: int = SALES) -> list[dict[str, Any]]:
    return [
        {
            "type": "RECORD",
            "stream": "sales",
            "record": {"id": one, "email": f"jane{one}@example.com", "created_at": "2026-11-01T00:00:00Z"},
        }
        for one in range(number)
    ]


MESSAGES = (SCHEMA, *sales(), {"type": "STATE", "value": {"bookmarks": {"sales": 1}}})
ACTIONS = "/i/v1/"


def copies(posthog: PostHog) -> int:
    return sum(number - 1 for number in Counter(event["uuid"] for event in posthog.fired()).values())


def begun(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write(lines(*MESSAGES))
    process.stdin.flush()
    process.stdin.close()


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(LONGEST_WAIT_SECONDS)
    for pipe in (process.stdout, process.stderr):
        assert pipe
        pipe.close()


@pytest.mark.parametrize(
    ("answered", "repeated"),
    [
        pytest.param(0, 0, id="before PostHog has the first request"),
        pytest.param(1, 500, id="PostHog has the second request, the target not its answer"),
        pytest.param(2, 200, id="PostHog has the last request, the target not its answer"),
    ],
)
def test_a_kill_lets_at_most_the_request_under_way_cross_twice_and_loses_nothing(
    runs: Runs, posthog: PostHog, tmp_path: Path, answered: int, repeated: int
) -> None:
    settings = {**SETTINGS, "receipts": str(tmp_path / "receipts.sqlite")}
    acts = answered > 0
    posthog.controls.reply_next(
        *[Reply(path=ACTIONS)] * answered,
        Reply(path=ACTIONS, delay_seconds=30, status=None if acts else 503, acts=acts),
    )
    process = runs.process(tmp_path, **settings)
    begun(process)
    arrived = min(500 * (answered + 1), SALES) if acts else 0
    wait_until(lambda: len(posthog.fired()) >= arrived and seen(posthog) > answered)
    killed(process)
    done = runs.process_of(tmp_path, *MESSAGES, **settings)
    assert done.code == 0, done.log
    assert {event["distinct_id"] for event in posthog.fired()} == {f"jane{one}@example.com" for one in range(SALES)}
    assert copies(posthog) <= repeated


def seen(posthog: PostHog) -> int:
    return sum(ACTIONS in request.path for request in posthog.controls.requests)


def test_a_kill_between_acknowledgement_and_state_lets_nothing_cross_twice(
    runs: Runs, posthog: PostHog, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "receipts": str(tmp_path / "receipts.sqlite")}
    process = runs.process(tmp_path, **settings)
    begun(process)
    assert process.stdout
    assert process.stdout.readline(), "the STATE"
    killed(process)
    assert runs.process_of(tmp_path, *MESSAGES, **settings).code == 0
    assert copies(posthog) == 0
    assert len(posthog.fired()) == SALES


@pytest.mark.parametrize("seed", range(3))
def test_two_targets_at_once_on_one_database_send_each_event_once(
    runs: Runs, posthog: PostHog, tmp_path: Path, database_of_receipts: str, seed: int
) -> None:
    settings = {**SETTINGS, "receipts": database_of_receipts, "senders": 4}
    posthog.controls.reply_next(*[Reply(path=ACTIONS, delay_seconds=0.2 * (seed + 1))] * 4)
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    processes = [runs.process(folder, **settings) for folder in folders]
    for process in processes:
        begun(process)
    for process in processes:
        process.stdin = None
        _, log = process.communicate(timeout=LONGEST_WAIT_SECONDS)
        assert process.returncode == 0, log
    assert copies(posthog) == 0
    assert len(posthog.fired()) == SALES


def test_a_target_that_dies_leaves_no_claim_on_a_database(
    runs: Runs, posthog: PostHog, tmp_path: Path, database_of_receipts: str
) -> None:
    settings = {**SETTINGS, "receipts": database_of_receipts}
    posthog.controls.reply_next(Reply(path=ACTIONS, delay_seconds=30, status=503))
    process = runs.process(tmp_path, **settings)
    begun(process)
    wait_until(lambda: seen(posthog) > 0)
    killed(process)
    assert runs.process_of(tmp_path, *MESSAGES, **settings).code == 0
    assert (copies(posthog), len(posthog.fired())) == (0, SALES)
