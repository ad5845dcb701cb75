"""Receipts on a full disk: what PostHog has acknowledged has its receipt, and a run without room sends nothing."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from sandbox.controls import Reply
from target_posthog.errors import RunError
from target_posthog.receipts.reserve import Reserve
from target_posthog.receipts.sqlite import SqliteStore
from target_posthog.receipts.store import Fact
from tests.own_process import in_own_process
from tests.target.test_receipts_processes import ACTIONS, MESSAGES, SALES, SETTINGS, begun, copies, seen
from tests.waiting import LONGEST_WAIT_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from conftest import Runs
    from sandbox.posthog import PostHog

ROOM = 2**20
FACTS = [Fact(number.to_bytes(16, "big"), "Sale", "Sale", None, "jane", 1, 2, 3) for number in range(5_000)]


def limit_files_to(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


class Quota(Reserve):
    """As a quota does: what is given back can be written."""

    @override
    def give_back(self) -> None:
        super().give_back()
        limit_files_to(resource.RLIM_INFINITY)


def quota(files: Sequence[Path]) -> Quota:
    return Quota(files, ROOM)


def claimed(store: SqliteStore, sending: Callable[[], object] = lambda: None) -> str:
    """Return what a claim says that ends the run, or nothing."""
    try:
        with store.claim(FACTS, []):
            sending()
    except RunError as error:
        return str(error)
    return ""


def full_while_posthog_answers(path: str) -> tuple[str, str, int]:
    """Return what two claims say, the first one under way when the disk was full, and how many have receipts."""
    store = SqliteStore(path, "key", reserve=quota)
    first, second = claimed(store, lambda: limit_files_to(20_000)), claimed(store)
    store.close()
    kept = SqliteStore(path, "key", is_read_only=True)
    return first, second, len(kept.with_receipt([fact.uuid for fact in FACTS]))


def test_what_was_acknowledged_when_the_disk_was_full_has_its_receipts_and_nothing_follows(tmp_path: Path) -> None:
    first, second, receipts = in_own_process(full_while_posthog_answers, str(tmp_path / "receipts.sqlite"))
    assert "receipts.sqlite can't be used (" in first
    assert "can't be used (No space left on device: receipts need 1,048,576 bytes more); make room there" in second
    assert receipts == len(FACTS)


def limited(path: str) -> tuple[str, str]:
    """Return what a claim and the next run say when files may not grow as large as the receipts could."""
    store = SqliteStore(path, "key", reserve=quota)
    limit_files_to(ROOM)
    claim = claimed(store)
    try:
        SqliteStore(path, "key")
    except RunError as error:
        return claim, str(error)
    return claim, ""


def test_a_limit_to_the_size_of_files_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    claim, next_run = in_own_process(limited, str(tmp_path / "receipts.sqlite"))
    assert "File too large: receipts need 1,048,576 bytes more" in claim
    assert "File too large: receipts need 16,777,216 bytes more" in next_run


def test_a_disk_that_is_nearly_full_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    path = str(tmp_path / "receipts.sqlite")
    with pytest.raises(RunError, match=r"can't be used \(.*: receipts need [\d,]+ bytes more\); make room there"):
        SqliteStore(path, "key", reserve=lambda files: Reserve(files, 2**62))


def test_a_file_system_that_sets_nothing_aside_is_looked_at(tmp_path: Path) -> None:
    Reserve([tmp_path / "r"], 0).check()  # of nothing, no file system can


def test_the_room_has_no_file_that_a_kill_could_leave(tmp_path: Path) -> None:
    reserve = Reserve([tmp_path / "receipts.sqlite"], ROOM)
    assert list(tmp_path.iterdir()) == []
    reserve.give_back()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path) -> None:
    """Write a file until nothing more goes in."""
    page = b"x" * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError), (disk / "bulk").open("wb", buffering=0) as file:
        while file.write(page):
            pass


def test_a_disk_that_fills_up_while_a_run_sends_lets_nothing_cross_twice(
    runs: Runs, posthog: PostHog, tmp_path: Path, small_disk: Path
) -> None:
    settings = {**SETTINGS, "receipts": str(small_disk / "r" / "receipts.sqlite")}
    for _ in range(2):
        before = len(posthog.fired())
        posthog.controls.reply_next(Reply(path=ACTIONS, delay_seconds=2))
        asked = seen(posthog)
        process = runs.process(tmp_path, **settings)
        begun(process)
        wait_until(lambda asked=asked: seen(posthog) > asked)
        fill(small_disk)
        process.stdin = None
        _, log = process.communicate(timeout=LONGEST_WAIT_SECONDS)
        assert process.returncode == 1
        assert "can't be used (database or disk is full); make room there" in log
        assert len(posthog.fired()) == before + 500
        (small_disk / "bulk").unlink()
    assert runs.process_of(tmp_path, *MESSAGES, **settings).code == 0
    assert (copies(posthog), len(posthog.fired())) == (0, SALES)
