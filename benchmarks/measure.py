"""Processes in a pipe, in: their commands, a file to read and one to write; out: what each one used.

Knows neither taps nor targets.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, see getrusage(2)


@dataclass(frozen=True)
class Used:
    """What a pipe of processes used, children included: CPU is user and system time, peak memory that of the largest.

    `started_at` is in monotonic seconds, which are the same in all processes of a machine.
    """

    started_at: float
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


def run(
    commands: Sequence[list[str | Path]],
    read: Path | None = None,
    write: Path | None = None,
    *,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
) -> Used:
    """Run the commands as a shell would with `|`; raises RuntimeError for one that fails, with its last words."""
    started = time.monotonic()
    processes: list[subprocess.Popen[bytes]] = []
    with ExitStack() as stack:
        source = stack.enter_context(open(read or os.devnull, "rb"))  # noqa: PTH123  # or /dev/null
        sink = stack.enter_context(open(write or os.devnull, "wb"))  # noqa: PTH123  # the same
        words = [stack.enter_context(tempfile.TemporaryFile()) for _ in commands]
        for number, (command, stderr) in enumerate(zip(commands, words, strict=True), 1):
            before = processes[-1].stdout if processes else source
            after = sink if number == len(commands) else subprocess.PIPE
            processes.append(
                subprocess.Popen(command, stdin=before, stdout=after, stderr=stderr, cwd=folder, env=environment)
            )
            if before and before is not source:
                before.close()  # the reader has it now
        usages = [_wait(process, stderr) for process, stderr in zip(processes, words, strict=True)]
    wall = time.monotonic() - started
    return Used(started, wall, sum(cpu for cpu, _ in usages), max(peak for _, peak in usages))


def _wait(process: subprocess.Popen[bytes], stderr: IO[bytes]) -> tuple[float, int]:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        stderr.seek(0)
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}: {stderr.read().decode()[-2000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * RSS_UNIT_BYTES
