"""The README's first command does what the README shows."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from sandbox.posthog import PostHog
from tests.pipeline.meltano_project import LONGEST_RUN_SECONDS, ROOT, Project, place_project, quiet_environment
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VARYING = {
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ": "<time>",  # the store's last day is yesterday
    r" in \d+ s\b": " in <n> s",
    r'"\$lib_version": "[\w.]+"': '"$lib_version": <version>',  # that of the checkout
    r"http://127\.0\.0\.1:\d+": "<address>",
}


def unvarying(text: str) -> str:
    for pattern, name in VARYING.items():
        text = re.sub(pattern, name, text)
    return text.strip()


@contextmanager
def opened(folder: Path) -> Iterator[list[str]]:
    """The sandbox's command, for a sandbox of its own, which is closed afterwards."""
    home = [f"--folder={folder}", f"--shop-port={free_port()}", f"--posthog-port={free_port()}"]
    command = [sys.executable, "-m", "sandbox", *home]
    try:
        yield command
    finally:
        subprocess.run([*command, "stop"], cwd=ROOT, check=True, capture_output=True)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[list[str]]:
    with opened(tmp_path / "home") as command:
        yield command


def run(command: list[str], *verb: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *verb],
        cwd=ROOT,
        env=quiet_environment(),
        capture_output=True,
        text=True,
        timeout=LONGEST_RUN_SECONDS,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def demo(home: Path) -> Iterator[tuple[list[str], subprocess.CompletedProcess[str]]]:
    """What the demo printed, and the command for the sandbox that it has left."""
    with opened(home) as command:
        done = run(command, "demo")
        assert done.returncode == 0, done.stderr
        yield command, done


def test_the_demo_prints_what_the_readme_shows(demo: tuple[list[str], subprocess.CompletedProcess[str]]) -> None:
    sandbox, done = demo
    shown = (ROOT / "README.md").read_text().split("<!-- demo output -->\n```text\n")[1].split("```")[0]
    assert unvarying(done.stdout) == unvarying(shown)
    assert "244,091.94 USD" in done.stdout
    assert run(sandbox, "start").returncode == 0, "what arrived can be opened again"
    assert "Order Refunded" in run(sandbox, "show").stdout


@pytest.mark.usefixtures("demo")
def test_the_whole_cdnow_store_arrives_to_the_cent(home: Path) -> None:
    assert (home / "receipts.sqlite").exists(), "receipts are of one PostHog, so they stand beside it"
    with PostHog(str(home / "posthog.db")).serve() as posthog:
        placed, events = posthog.totals()["placed"], posthog.events()
    assert Decimal(placed["USD"]) == Decimal("244091.94")
    currencies = Counter(event["properties"]["currency"] for event in events if event["event"] == "Order Completed")
    assert currencies["USD"] == 6_919
    assert currencies.keys() == {"USD", "EUR", "JPY", "KWD"}


def test_a_sandbox_is_opened_shown_and_closed(sandbox: list[str]) -> None:
    assert run(sandbox, "stop").stdout == "it was not running\n"
    assert run(sandbox, "show").returncode == 1
    assert run(sandbox, "start").returncode == 0
    assert "persons            0" in run(sandbox, "show").stdout
    assert run(sandbox, "stop").stdout == "closed\n"


def test_a_job_opens_the_sandbox_syncs_and_closes_it(tmp_path: Path) -> None:
    place_project(tmp_path)
    ports = {"SANDBOX_SHOP_PORT": str(free_port()), "SANDBOX_POSTHOG_PORT": str(free_port())}
    addresses = {
        "TAP_SHOPIFY_ORDERS_ADMIN_URL": f"http://127.0.0.1:{ports['SANDBOX_SHOP_PORT']}/admin",
        "TAP_SHOPIFY_ORDERS_START_DATE": f"{datetime.now(timezone.utc) - timedelta(days=9):%Y-%m-%d}",
        "TARGET_POSTHOG_HOST": f"http://127.0.0.1:{ports['SANDBOX_POSTHOG_PORT']}",
    }
    project = Project(tmp_path, quiet_environment() | ports | addresses)
    shown = project.succeed("run", "sandbox-sync", "sandbox:stop")
    assert "Order Completed" in shown
    assert "closed" in shown


def test_a_sandbox_whose_port_is_taken_meanwhile_opens_at_another_and_is_found_there(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox", f"--folder={tmp_path / 'home'}"]
    ports = {"shop": free_port(), "posthog": free_port()}
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "ports.json").write_text(json.dumps(ports))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports["shop"]))
        taken.listen()
        opened = run(command, "start")
    assert opened.returncode == 0, opened.stderr
    assert f"127.0.0.1:{ports['shop']}/" not in opened.stdout
    assert f"http://127.0.0.1:{ports['posthog']} " in opened.stdout
    assert run(command, "show").returncode == 0
    assert run(command, "stop").stdout == "closed\n"


def test_a_taken_port_is_named(sandbox: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run([*sandbox, f"--shop-port={port}"], "start")
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr
