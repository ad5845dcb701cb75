"""Processes in a pipe, in: their commands, a file to read and one to write; out: what each one used.

Knows neither taps nor targets.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, see getrusage(2)


@dataclass(frozen=True)
class Used:
    """What a pipe of processes used, children included: CPU is user and system time.

    `peaks_bytes` is the peak memory of each process, or of the largest of its children. `started_at` is in monotonic
    seconds, which are the same in all processes of a machine.
    """

    started_at: float
    wall_seconds: float
    cpu_seconds: float
    peaks_bytes: tuple[int, ...]


def run(
    commands: Sequence[list[str | Path]],
    *,
    feed: list[str | Path] | None = None,
    write: Path | None = None,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
) -> Used:
    """Run the commands as a shell would with `|`; raises RuntimeError for one that fails, with its last words.

    What `feed` writes is what the first one reads; it isn't counted.
    """
    started = time.monotonic()
    processes: list[subprocess.Popen[bytes]] = []
    pipe = [*([feed] if feed else []), *commands]
    with ExitStack() as stack:
        nothing = stack.enter_context(open(os.devnull, "rb"))  # noqa: PTH123  # not a file
        sink = stack.enter_context(open(write or os.devnull, "wb"))  # noqa: PTH123  # or /dev/null
        words = [stack.enter_context(tempfile.TemporaryFile()) for _ in pipe]
        for number, (command, stderr) in enumerate(zip(pipe, words, strict=True), 1):
            before = processes[-1].stdout if processes else nothing
            after = sink if number == len(pipe) else subprocess.PIPE
            processes.append(
                subprocess.Popen(command, stdin=before, stdout=after, stderr=stderr, cwd=folder, env=environment)
            )
            if before and before is not nothing:
                before.close()  # the reader has it now
        used = [_wait(process, stderr) for process, stderr in zip(processes, words, strict=True)][-len(commands) :]
    wall = time.monotonic() - started
    return Used(started, wall, sum(cpu for cpu, _ in used), tuple(peak for _, peak in used))


def run_side_by_side(pipes: Sequence[Sequence[list[str | Path]]], **options: Any) -> Used:  # noqa: ANN401  # those of `run`
    """Run pipes at the same time; the peak memory is that of all their processes together."""
    with ThreadPoolExecutor(len(pipes)) as threads:
        used = list(threads.map(lambda pipe: run(pipe, **options), pipes))
    started = min(one.started_at for one in used)
    wall = max(one.started_at + one.wall_seconds for one in used) - started
    return Used(started, wall, sum(one.cpu_seconds for one in used), (sum(sum(one.peaks_bytes) for one in used),))


def _wait(process: subprocess.Popen[bytes], stderr: IO[bytes]) -> tuple[float, int]:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        stderr.seek(0)
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}: {stderr.read().decode()[-2000:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * RSS_UNIT_BYTES
