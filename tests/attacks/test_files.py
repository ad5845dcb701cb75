"""Files are whole or as they were, whoever else writes them and however full the disk is; others can't read them."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from target_posthog.delivery.dead_letters import DeadLetters
from target_posthog.whole_file import write_whole

SCHEMA = {"properties": {"id": {}}}
LARGEST_FILE_BYTES = 20_000
WRITERS, LETTERS = 4, 50

# A process whose files may have so many bytes: a full disk that lets the first part of a write through.
FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
import msgspec
from target_posthog.delivery.dead_letters import DeadLetters
try:
    DeadLetters(sys.argv[1]).keep("s", {}, ["id"], msgspec.Raw(b'{"id": "' + b"x" * 50_000 + b'"}'), "no")
except OSError as error:
    sys.exit(error.errno)
"""


def keep(letters: DeadLetters, number: int) -> None:
    letters.keep("s", SCHEMA, ["id"], msgspec.Raw(json.dumps({"id": number, "x": "y" * 5_000}).encode()), "no")


def records(path: Path) -> list[int]:
    messages = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [one["record"]["id"] for one in messages if one["type"] == "RECORD"]


def test_runs_that_share_a_file_of_dead_letters_write_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"

    def write(writer: int) -> None:
        letters = DeadLetters(str(path))
        for number in range(LETTERS):
            keep(letters, writer * LETTERS + number)

    with ThreadPoolExecutor(WRITERS) as writers:
        list(writers.map(write, range(WRITERS)))
    assert sorted(records(path)) == list(range(WRITERS * LETTERS))


def test_a_run_on_a_full_disk_takes_back_its_own_letter_alone(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    letters = DeadLetters(str(path))
    keep(letters, 1)
    with path.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # the other run waits here, with its letter at hand
        other = subprocess.Popen([sys.executable, "-c", FULL_DISK, path, str(LARGEST_FILE_BYTES)])
        held.write(json.dumps({"type": "RECORD", "stream": "s", "record": {"id": 2}}).encode() + b"\n")
    assert other.wait(60) == errno.EFBIG
    keep(letters, 3)
    assert records(path) == [1, 2, 3]


def test_a_file_that_another_run_never_lets_go_is_an_error_after_a_while(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    with path.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another run holds it"):
            keep(DeadLetters(str(path), patience_seconds=0.1), 1)
    keep(DeadLetters(str(path)), 2)
    assert records(path) == [2]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_its_owners_alone_also_where_it_was_not(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text("before")
    path.chmod(0o644)
    write_whole(path, "after")
    assert (path.read_text(), mode(path), list(tmp_path.iterdir())) == ("after", 0o600, [path])


def test_a_link_keeps_leading_there_and_a_device_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_whole(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "x"
    write_whole("/dev/null", "x")
    assert Path("/dev/null").is_char_device()


@pytest.fixture
def _full_disk() -> object:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE_BYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("_full_disk")
def test_on_a_full_disk_a_file_is_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_whole(path, "before")
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        write_whole(path, "x" * 50_000)
    assert (path.read_text(), list(tmp_path.iterdir())) == ("before", [path])
