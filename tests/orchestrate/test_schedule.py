"""The cron line and the systemd unit, each with nothing in its environment but what cron and systemd give it."""

from __future__ import annotations

import configparser
import fcntl
import os
import re
import shlex
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.pipeline.meltano_project import LONGEST_RUN_SECONDS, ROOT, SCRIPTS, place_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.posthog import PostHog
    from sandbox.shop import Shop

FOLDER = "/srv/shopify-posthog"
PAGE = (ROOT / "docs/operation.md").read_text()
CRON_LINE = re.findall(rf"^7 \* \* \* \* ({FOLDER}/\S+)$", PAGE, re.MULTILINE)
UNITS = sorted((ROOT / "orchestrate/systemd").iterdir())
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@pytest.fixture
def folder(tmp_path: Path, shop: Shop, posthog: PostHog) -> Path:
    """A checkout after set-up, with a .env."""
    place_project(tmp_path)
    (tmp_path / ".venv").symlink_to(SCRIPTS.parent)
    (tmp_path / "orchestrate").mkdir()
    shutil.copy(ROOT / "orchestrate/sync", tmp_path / "orchestrate")
    answers = {
        "SHOPIFY_STORE": "sandbox",
        "SHOPIFY_ACCESS_TOKEN": "shpat_sandbox",
        "POSTHOG_API_KEY": "phc_sandbox",
        "POSTHOG_HOST": posthog.url,
        "TAP_SHOPIFY_ORDERS_ADMIN_URL": f"{shop.url}/admin",
    }
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in answers.items()))
    return tmp_path


def by_cron(folder: Path, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    """Run the line as cron does: by /bin/sh in the owner's home, with four variables."""
    (line,) = CRON_LINE
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {"HOME": str(home), "LOGNAME": "nobody", "SHELL": "/bin/sh", "PATH": path}
    return subprocess.run(
        ["/bin/sh", "-c", line.replace(FOLDER, str(folder))],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        umask=0o022,
        timeout=LONGEST_RUN_SECONDS,
    )


def test_the_cron_line_is_silent_when_all_is_well_and_says_what_failed(folder: Path, posthog: PostHog) -> None:
    done = by_cron(folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), (folder / "sync.log").read_text()
    assert posthog.totals()["events"]
    assert (folder / ".sync.done").exists()
    left = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and ".meltano" in path.parts]
    assert left
    assert not [path for path in (*left, folder / "sync.log") if path.stat().st_mode & OTHERS]

    (folder / ".sync.done").unlink()
    (folder / ".env").write_text((folder / ".env").read_text().replace("shpat_sandbox", "shpat_revoked"))
    failed = by_cron(folder)
    assert failed.returncode == 1
    assert "the run failed with exit code 1" in failed.stdout
    assert "access_token" in failed.stdout, "cron mails what to do"
    assert "shpat_revoked" not in failed.stdout
    assert not (folder / ".sync.done").exists()


def test_a_run_that_is_still_under_way_is_left_alone(folder: Path, posthog: PostHog) -> None:
    with (folder / ".sync.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = by_cron(folder)
    assert (done.returncode, done.stdout) == (0, "")
    assert "still under way" in (folder / "sync.log").read_text()
    assert posthog.controls.requests == []


@pytest.mark.parametrize(
    ("flock", "code"),
    [("", 127), ("#!/bin/sh\nexit 1\n", 1), ("#!/bin/sh\nexit 66\n", 66)],
    ids=["missing", "another's", "failing"],
)
def test_a_lock_that_cannot_be_taken_is_no_run_under_way(folder: Path, posthog: PostHog, flock: str, code: int) -> None:
    programs = folder / "programs"
    programs.mkdir()
    for name in ("date", "dirname", "sh", "tail", "touch"):
        (programs / name).symlink_to(shutil.which(name, path=os.defpath) or name)
    if flock:
        (programs / "flock").write_text(flock)
        (programs / "flock").chmod(0o755)
    done = by_cron(folder, path=str(programs))
    assert done.returncode == code
    assert "nothing was started" in done.stderr, "cron mails it"
    assert posthog.controls.requests == []
    assert not (folder / ".sync.done").exists()


def by_systemd(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the unit's commands as systemd does, with what it says and nothing else."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # systemd's names have capitals
    unit.read_string((ROOT / "orchestrate/systemd/shopify-posthog.service").read_text().replace(FOLDER, str(folder)))
    service = unit["Service"]
    name, _, value = service["Environment"].partition("=")
    assert {name for name in service if name.startswith("Exec")} == {"ExecStart"}
    return subprocess.run(
        shlex.split(service["ExecStart"]),
        cwd=service["WorkingDirectory"],
        env={name: value},
        capture_output=True,
        text=True,
        umask=int(service["UMask"], 8),
        timeout=LONGEST_RUN_SECONDS,
    )


@pytest.mark.parametrize("scheduled", [by_cron, by_systemd])
def test_keys_that_a_killed_run_has_left_go_and_those_of_another_command_stay(
    folder: Path, scheduled: Callable[[Path], subprocess.CompletedProcess[str]]
) -> None:
    left, another = (folder / f".meltano/run/{name}/1.config.json" for name in ("tap-shopify-orders", "target-posthog"))
    for path in (left, another):
        path.parent.mkdir(parents=True)
        path.write_text('{"access_token": "shpat_sandbox"}')
    os.utime(left, (0, 0))
    assert scheduled(folder).returncode == 0
    assert (left.exists(), another.exists()) == (False, True)


def test_the_unit_runs_with_what_it_says_and_nothing_else(folder: Path, posthog: PostHog) -> None:
    done = by_systemd(folder)
    assert done.returncode == 0, done.stderr
    assert posthog.totals()["events"]
    assert (folder / ".sync.done").exists()


def test_a_run_of_the_unit_that_did_nothing_or_failed_is_none_that_went_well(folder: Path, posthog: PostHog) -> None:
    with (folder / ".sync.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert by_systemd(folder).returncode == 0, "the run before is still under way"
    assert posthog.controls.requests == []
    assert not (folder / ".sync.done").exists()
    (folder / ".env").write_text((folder / ".env").read_text().replace("shpat_sandbox", "shpat_revoked"))
    assert by_systemd(folder).returncode == 1
    assert not (folder / ".sync.done").exists()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd on this machine")
def test_systemd_has_nothing_to_say_about_the_units(tmp_path: Path) -> None:
    (tmp_path / "wrong.service").write_text("[Service]\nExecStrat=/bin/true\n")
    wrong = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / "wrong.service"], capture_output=True)
    if wrong.returncode == 0:
        pytest.skip("systemd-analyze can't tell a wrong unit here")
    for unit in UNITS:  # the user and the folder that they name aren't on this machine
        text = unit.read_text().replace(FOLDER, str(tmp_path)).replace("User=shopify-posthog", "User=root")
        (tmp_path / unit.name).write_text(text)
    paths = [str(tmp_path / unit.name) for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if "shopify-posthog" in line] == []
    assert os.access(ROOT / "orchestrate/sync", os.X_OK)
