"""Files with customers' data, or a key, are their owner's alone, also where the shell would let others read."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.controls import Reply
from sandbox.home import Home
from sandbox.posthog import PostHog
from sandbox.shop.bulk import Outcome
from tests.pipeline.meltano_project import LONGEST_RUN_SECONDS, ROOT, SCRIPTS, place_project, quiet_environment
from tests.waiting import LONGEST_WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.shop import Shop

OTHERS = stat.S_IRWXG | stat.S_IRWXO
USUAL_UMASK, DOCUMENTED_UMASK = 0o022, 0o077


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(USUAL_UMASK)
    yield
    os.umask(before)


def readable_by_others(folder: Path) -> set[str]:
    """Return the files that another user of the machine could open below a folder, by their paths in it."""
    found: set[str] = set()
    for path in folder.iterdir():
        if path.stat().st_mode & OTHERS:
            inside = readable_by_others(path) if path.is_dir() else {""}
            found |= {f"{path.name}/{one}".rstrip("/") for one in inside}
    return found


def test_dead_letters_are_their_owners_alone(posthog: PostHog, tmp_path: Path) -> None:
    dead, summary, config = tmp_path / "dead.jsonl", tmp_path / "summary.json", tmp_path / "config.json"
    settings = {"api_key": posthog.api_key, "host": posthog.url}
    config.write_text(json.dumps({**settings, "dead_letter_path": str(dead), "summary_path": str(summary)}))
    record = {"id": 1, "email": "jane@example.com", "created_at": "soon"}
    properties = {"id": {}, "email": {}, "created_at": {"type": "string", "format": "date-time"}}
    messages = [
        {"type": "SCHEMA", "stream": "sales", "key_properties": ["id"], "schema": {"properties": properties}},
        {"type": "RECORD", "stream": "sales", "record": record},
    ]
    subprocess.run(
        [sys.executable, "-m", "target_posthog", "--config", config],
        input="".join(json.dumps(one) + "\n" for one in messages),
        capture_output=True,
        text=True,
        check=True,
        timeout=LONGEST_WAIT_SECONDS,
    )
    assert "jane@example.com" in dead.read_text()
    assert stat.S_IMODE(dead.stat().st_mode) == 0o600
    assert not [word for word in ("jane", "phc_") if word in summary.read_text()], "others may read it"


def open_files(pid: int) -> dict[str, int]:
    """Return the files that a process has open, with their modes."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it is closed by now
            found[str(link.readlink())] = stat.S_IMODE(link.stat().st_mode)
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux shows a process's files")
def test_a_result_of_a_bulk_operation_has_no_name_and_no_other_reader(shop: Shop, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    settings = {"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": f"{shop.url}/admin"}
    config.write_text(json.dumps({**settings, "method": "bulk"}))
    shop.bulk.next(Outcome())
    # Once the file is there, the connections that the result lacks are asked for, and answered late.
    shop.controls.reply_next(*[Reply(delay_seconds=0.5, path="graphql.json")] * 40)
    (tmp_path / "temporary").mkdir()
    process = subprocess.Popen(
        [SCRIPTS / "tap-shopify-orders", "--config", config],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=quiet_environment() | {"TMPDIR": str(tmp_path / "temporary")},
    )
    seen: dict[str, int] = {}
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while process.poll() is None and not seen and time.monotonic() < deadline:
        files = open_files(process.pid)
        seen = {name: mode for name, mode in files.items() if str(tmp_path / "temporary") in name}
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert seen
    assert all(name.endswith(" (deleted)") for name in seen)
    assert not [mode for mode in seen.values() if mode & OTHERS]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_sandbox_is_its_owners_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "sandbox")
    home.make(fresh=True)
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
    with PostHog(str(home.database)).serve():
        assert stat.S_IMODE(home.database.stat().st_mode) == 0o600


@pytest.fixture
def project(shop: Shop, posthog: PostHog, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A Meltano project in a folder of its own, and the environment of its runs."""
    folder = tmp_path / "project"
    folder.mkdir()
    place_project(folder)
    return folder, quiet_environment() | {
        "TAP_SHOPIFY_ORDERS_ACCESS_TOKEN": shop.settings.access_token,
        "TAP_SHOPIFY_ORDERS_ADMIN_URL": f"{shop.url}/admin",
        "TARGET_POSTHOG_API_KEY": posthog.api_key,
        "TARGET_POSTHOG_HOST": posthog.url,
    }


def test_meltano_leaves_neither_a_key_nor_a_customer_for_others(project: tuple[Path, dict[str, str]]) -> None:
    folder, environment = project
    command = [SCRIPTS / "meltano", "run", "sync"]
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True, timeout=LONGEST_RUN_SECONDS)
    left = {one for one in readable_by_others(folder) if "meltano.yml" not in one and not one.startswith("plugins/")}
    texts = [b'shpat_sandbox"', b'phc_sandbox"', b"@example."]
    assert [one for one in left if any(text in (folder / one).read_bytes() for text in texts)] == []


def test_under_the_documented_umask_the_keys_of_a_run_are_its_owners_alone(
    project: tuple[Path, dict[str, str]],
) -> None:
    folder, environment = project
    process = subprocess.Popen(
        [SCRIPTS / "meltano", "run", "sync"],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        umask=DOCUMENTED_UMASK,
    )
    modes: dict[str, int] = {}
    deadline = time.monotonic() + LONGEST_RUN_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        for path in (folder / ".meltano").glob("run/*/*config.json"):
            with contextlib.suppress(FileNotFoundError):  # it is gone as the run is
                modes[path.name] = stat.S_IMODE(path.stat().st_mode)
        time.sleep(0.01)
    assert process.wait(LONGEST_WAIT_SECONDS) == 0
    assert modes
    assert not [mode for mode in modes.values() if mode & OTHERS]
    assert f"umask {DOCUMENTED_UMASK:03o}" in (ROOT / "docs/operation.md").read_text()
