"""Killed at any moment and run again, the pipe ends with the events of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from datetime import date
from typing import TYPE_CHECKING

import pytest

from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tests.pipeline.meltano_project import SCRIPTS, quiet_environment

if TYPE_CHECKING:
    from pathlib import Path

RUNS_AFTER_A_KILL = 3
LONGEST_RUN_SECONDS = 120


def start(folder: Path, shop: Shop, posthog: PostHog) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    """The tap and the target in a pipe, going on from the last state that the target wrote."""
    (folder / "tap.json").write_text(
        json.dumps({"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": f"{shop.url}/admin"})
    )
    (folder / "target.json").write_text(json.dumps({"api_key": "phc_sandbox", "host": posthog.url}))
    states = (folder / "states.jsonl").read_text().splitlines() if (folder / "states.jsonl").exists() else []
    (folder / "state.json").write_text(states[-1] if states else "{}")
    environment = quiet_environment()
    with (folder / "states.jsonl").open("ab") as written, (folder / "log").open("ab") as log:
        tap = subprocess.Popen(
            [SCRIPTS / "tap-shopify-orders", "--config", folder / "tap.json", "--state", folder / "state.json"],
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
        )
        target = subprocess.Popen(
            [SCRIPTS / "target-posthog", "--config", folder / "target.json"],
            stdin=tap.stdout,
            stdout=written,
            stderr=log,
            env=environment,
        )
    assert tap.stdout
    tap.stdout.close()
    return tap, target


def run_to_the_end(folder: Path, shop: Shop, posthog: PostHog) -> tuple[int, int]:
    tap, target = start(folder, shop, posthog)
    return target.wait(LONGEST_RUN_SECONDS), tap.wait(LONGEST_RUN_SECONDS)


def facts(posthog: PostHog) -> tuple[list[str], list[str]]:
    """Events and persons as PostHog has them, without the moments and numbers that PostHog itself makes up."""
    events = [
        json.dumps([one["uuid"], one["event"], one["distinct_id"], one["timestamp"], one["properties"]], sort_keys=True)
        for one in posthog.events()
    ]
    persons = [
        json.dumps([sorted(one["distinct_ids"]), one["properties"]], sort_keys=True) for one in posthog.persons()
    ]
    return sorted(events), sorted(persons)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda sent: sent.name)
@pytest.mark.parametrize("victim", ["tap", "target"])
def test_a_killed_run_is_made_good_by_the_next(tmp_path: Path, victim: str, sent: signal.Signals) -> None:
    chance = random.Random(f"{victim} {sent}")
    store = cdnow_store(date(2026, 10, 31), customers=120)
    calm, disturbed = tmp_path / "calm", tmp_path / "disturbed"
    calm.mkdir()
    disturbed.mkdir()
    with Shop(store).serve() as shop, PostHog().serve() as expected, PostHog().serve() as posthog:
        assert run_to_the_end(calm, shop, expected) == (0, 0)
        for _ in range(RUNS_AFTER_A_KILL):
            seen = len(posthog.controls.requests)
            tap, target = start(disturbed, shop, posthog)
            # The kill falls somewhere between the first events' arrival and the end.
            deadline = time.monotonic() + chance.uniform(0.0, 1.5)
            while target.poll() is None and len(posthog.controls.requests) == seen and time.monotonic() < deadline + 10:
                time.sleep(0.005)
            time.sleep(chance.uniform(0.0, 0.3))
            process = {"tap": tap, "target": target}[victim]
            if process.poll() is None:
                os.kill(process.pid, sent)
            target.wait(LONGEST_RUN_SECONDS)
            tap.wait(LONGEST_RUN_SECONDS)
        assert run_to_the_end(disturbed, shop, posthog) == (0, 0)
        assert facts(posthog) == facts(expected)
