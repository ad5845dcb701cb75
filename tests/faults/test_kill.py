"""Killed at any moment and run again, the pipe ends with the events of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tests.faults.checks import Facts
from tests.pipeline.meltano_project import SCRIPTS, quiet_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAST_DAY = date(2026, 10, 31)
TOKENS = {"SHOPIFY_EU_TOKEN": "shpat_eu", "SHOPIFY_US_TOKEN": "shpat_us", "SHOPIFY_JP_TOKEN": "shpat_jp"}
IDS_OF_A_STORE = 100_000  # in Shopify no two stores share one
RUNS_AFTER_A_KILL = 3
LONGEST_RUN_SECONDS = 120


def start(
    folder: Path, tap_settings: dict[str, Any], posthog: PostHog
) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    """The tap and the target in a pipe, going on from the last state that the target wrote."""
    (folder / "tap.json").write_text(json.dumps(tap_settings))
    (folder / "target.json").write_text(json.dumps({"api_key": "phc_sandbox", "host": posthog.url}))
    states = (folder / "states.jsonl").read_text().splitlines() if (folder / "states.jsonl").exists() else []
    (folder / "state.json").write_text(states[-1] if states else "{}")
    environment = quiet_environment() | TOKENS
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


def run_to_the_end(folder: Path, tap_settings: dict[str, Any], posthog: PostHog) -> tuple[int, int]:
    tap, target = start(folder, tap_settings, posthog)
    return target.wait(LONGEST_RUN_SECONDS), tap.wait(LONGEST_RUN_SECONDS)


def facts(posthog: PostHog, settings: dict[str, Any]) -> Facts:
    """Events and persons as PostHog has them once it has merged, without what it makes up itself."""
    posthog.merge()
    found = Facts.of(posthog, stores=len(settings.get("stores", [settings])))
    assert len(found.events) == len(posthog.events())
    return found


@dataclass(frozen=True)
class Undisturbed:
    """Settings of the tap, and the facts that a run leaves which nothing disturbs."""

    settings: dict[str, Any]
    facts: Facts

    @classmethod
    def of(cls, folder: Path, settings: dict[str, Any]) -> Undisturbed:
        with PostHog().serve() as posthog:
            assert run_to_the_end(folder, settings, posthog) == (0, 0)
            return cls(settings, facts(posthog, settings))


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    with Shop(cdnow_store(LAST_DAY, customers=120)).serve() as shop:
        settings = {"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": f"{shop.url}/admin"}
        yield Undisturbed.of(tmp_path_factory.mktemp("calm"), settings)


@pytest.fixture(scope="module")
def several_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    with ExitStack() as open_shops:
        entries = []
        for number, (name, variable) in enumerate(zip(("acme-eu", "acme-us", "acme-jp"), TOKENS, strict=True), 1):
            store = cdnow_store(LAST_DAY, customers=40, ids_after=number * IDS_OF_A_STORE)
            store.shop.update(id=f"gid://shopify/Shop/{number}", myshopifyDomain=f"{name}.myshopify.com")
            shop = open_shops.enter_context(Shop(store, access_token=TOKENS[variable]).serve())
            entries.append({"store": name, "access_token_env": variable, "admin_url": f"{shop.url}/admin"})
        yield Undisturbed.of(tmp_path_factory.mktemp("calm"), {"stores": entries})


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda sent: sent.name)
@pytest.mark.parametrize("victim", ["tap", "target"])
def test_a_killed_run_is_made_good_by_the_next(
    tmp_path: Path, one_store: Undisturbed, victim: str, sent: signal.Signals
) -> None:
    kill_and_compare(tmp_path, one_store, victim, sent)


@pytest.mark.parametrize("victim", ["tap", "target"])
def test_a_killed_run_of_several_stores_is_made_good_by_the_next(
    tmp_path: Path, several_stores: Undisturbed, victim: str
) -> None:
    kill_and_compare(tmp_path, several_stores, victim, signal.SIGKILL)


def kill_and_compare(folder: Path, undisturbed: Undisturbed, victim: str, sent: signal.Signals) -> None:
    """Kill a side some times, run to the end, and compare what arrived with an undisturbed run's."""
    chance = random.Random(f"{victim} {sent}")
    with PostHog().serve() as posthog:
        for _ in range(RUNS_AFTER_A_KILL):
            seen = len(posthog.controls.requests)
            tap, target = start(folder, undisturbed.settings, posthog)
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
        assert run_to_the_end(folder, undisturbed.settings, posthog) == (0, 0)
        found, expected = facts(posthog, undisturbed.settings), undisturbed.facts
        differing = [key for key in found.events | expected.events if found.events.get(key) != expected.events.get(key)]
        assert [(key, found.events.get(key), expected.events.get(key)) for key in differing] == []
        assert found == expected
