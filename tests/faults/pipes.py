"""The tap and the target as processes, in: settings; out: exit codes, the state they leave, and what they logged.

Knows how a pipe is started and what carries its state from run to run, but no faults.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psutil  # type: ignore[import-untyped]  # Meltano brings it, nobody its types

from tests.pipeline.meltano_project import ROOT, SCRIPTS, place_project, quiet_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_RUN_SECONDS = 150.0  # a run takes a few, its waits for a busy side some more
PLUGINS = {"tap": "tap-shopify-orders", "target": "target-posthog"}
Settings = dict[str, Any]
Codes = dict[str, int]
Bookmarks = dict[tuple[int, str], Any]


class Pipe(Protocol):
    """A tap, a target, and the state between two runs."""

    def start(self, tap: Settings, target: Settings, environment: Mapping[str, str]) -> None:
        """Start a run from the state that the last one left, with these variables besides."""

    def is_coming(self, name: str) -> bool:
        """Say whether a process is still to come."""

    def pid(self, name: str) -> int | None:
        """Return a running process's id; None if it isn't running."""

    @property
    def running(self) -> bool:
        """Whether anything of the run is still there."""

    def wait(self) -> Codes:
        """Return the exit codes when all has ended; raises TimeoutError, and ends what hangs."""

    def state(self) -> Bookmarks:
        """Return the bookmarks with which the next run begins, by shop and stream."""

    def logs(self) -> dict[str, str]:
        """Return what the last run's processes logged, by process."""


class CommandPipe:
    """`tap-shopify-orders | target-posthog`, with the state in a file, as the Singer specification has it."""

    def __init__(self, folder: Path, *, frequent: bool) -> None:
        self._folder, self._run, self._processes = folder, 0, dict[str, subprocess.Popen[bytes]]()
        self._environment = quiet_environment()
        self._commands: dict[str, Sequence[str | Path]] = {
            name: [sys.executable, "-m", "tests.faults.start", name] if frequent else [SCRIPTS / command]
            for name, command in PLUGINS.items()
        }

    def start(self, tap: Settings, target: Settings, environment: Mapping[str, str]) -> None:
        """Start both; the last whole line of the target's output is the tap's state."""
        self._run += 1
        self._environment = quiet_environment() | environment
        (self._folder / "state.json").write_text(self._state())
        with (self._folder / "states.jsonl").open("ab") as states:
            reading = self._started("tap", tap, ["--state", self._folder / "state.json"], stdout=subprocess.PIPE)
            self._started("target", target, [], stdin=reading.stdout, stdout=states)
        assert reading.stdout
        reading.stdout.close()

    def _started(
        self, name: str, settings: Settings, arguments: Sequence[str | Path], **streams: Any
    ) -> subprocess.Popen[bytes]:
        config = self._folder / f"{name}.json"
        config.write_text(json.dumps(settings))
        with self._log(name).open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [*self._commands[name], "--config", config, *arguments],
                stderr=log,
                cwd=ROOT,
                env=self._environment,
                **streams,
            )
        return self._processes[name]

    def feed(self, lines: Path, target: Settings) -> int:
        """Let a file of messages into the target, as `target-posthog < file` does; returns the exit code."""
        self._run += 1
        with lines.open("rb") as messages:
            process = self._started("target", target, [], stdin=messages, stdout=subprocess.DEVNULL)
        return process.wait(LONGEST_RUN_SECONDS)

    def is_coming(self, name: str) -> bool:  # noqa: ARG002  # the protocol's
        """Say no: a process is there as soon as it was started."""
        return False

    def pid(self, name: str) -> int | None:
        """Return a running process's id."""
        process = self._processes.get(name)
        return process.pid if process and process.poll() is None else None

    @property
    def running(self) -> bool:
        """Whether one of the two is running."""
        return any(process.poll() is None for process in self._processes.values())

    def wait(self) -> Codes:
        """Return both exit codes."""
        deadline = time.monotonic() + LONGEST_RUN_SECONDS
        try:
            return {name: one.wait(max(0.0, deadline - time.monotonic())) for name, one in self._processes.items()}
        except subprocess.TimeoutExpired as error:
            for one in self._processes.values():
                one.kill()
            raise TimeoutError(f"the run still goes on after {LONGEST_RUN_SECONDS:g} s") from error

    def state(self) -> Bookmarks:
        """Return the bookmarks of the last STATE that was written whole."""
        return _by_store(json.loads(self._state()))

    def _state(self) -> str:
        states = self._folder / "states.jsonl"
        lines = states.read_text().split("\n")[:-1] if states.exists() else []
        return lines[-1] if lines else "{}"

    def logs(self) -> dict[str, str]:
        """Return both logs of the last run."""
        return {name: self._log(name).read_text(errors="replace") for name in self._processes}

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}-{self._run}.log"


class MeltanoPipe:
    """`meltano run` of the repository's own project, with the state in Meltano's database."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._run = folder, 0
        self._meltano: subprocess.Popen[bytes] | None = None
        self._children: list[psutil.Process] = []
        place_project(folder)

    def start(self, tap: Settings, target: Settings, environment: Mapping[str, str]) -> None:
        """Start `meltano run sync`; `--force`, as Meltano refuses to follow one that was killed for five minutes."""
        self._run += 1
        self._children = []
        settings = _as_variables("TAP_SHOPIFY_ORDERS", tap) | _as_variables("TARGET_POSTHOG", target)
        with self._log.open("wb") as log:
            self._meltano = subprocess.Popen(
                [SCRIPTS / "meltano", "run", "--force", "sync"],
                cwd=self._folder,
                env=quiet_environment() | settings | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def is_coming(self, name: str) -> bool:  # noqa: ARG002  # the two come together
        """Say whether Meltano hasn't yet started the two."""
        return self._meltano is not None and self._meltano.poll() is None and "target" not in self._plugins()

    def pid(self, name: str) -> int | None:
        """Return the id of Meltano, of the tap or of the target."""
        if self._meltano is None or self._meltano.poll() is not None:
            return None
        return self._meltano.pid if name == "meltano" else self._plugins().get(name)

    def _plugins(self) -> dict[str, int]:
        """Return the ids of those two that run; before them runs the tap that is asked for its catalog."""
        assert self._meltano
        found: dict[str, int] = {}
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self._meltano.pid).children():
                names = [Path(part).name for part in child.cmdline()[:2]]
                found |= {name: child.pid for name, command in PLUGINS.items() if command in names}
                if child not in self._children:
                    self._children.append(child)
        return found

    @property
    def running(self) -> bool:
        """Whether Meltano or one of the two is running."""
        alive = self._meltano is not None and self._meltano.poll() is None
        return alive or any(one.is_running() for one in self._children)

    def wait(self) -> Codes:
        """Return Meltano's exit code when its plugins have ended too."""
        assert self._meltano
        try:
            code = self._meltano.wait(LONGEST_RUN_SECONDS)
        except subprocess.TimeoutExpired as error:
            self._meltano.kill()
            self._end_children()
            raise TimeoutError(f"the run still goes on after {LONGEST_RUN_SECONDS:g} s") from error
        if psutil.wait_procs(self._children, timeout=LONGEST_RUN_SECONDS)[1]:
            self._end_children()
            raise TimeoutError(f"a plugin still runs {LONGEST_RUN_SECONDS:g} s after Meltano has ended")
        return {"meltano": code}

    def _end_children(self) -> None:
        for one in self._children:
            with contextlib.suppress(psutil.Error):
                one.kill()

    def state(self) -> Bookmarks:
        """Return the bookmarks as Meltano would give them to the tap: complete ones, then what was partly done."""
        path = self._folder / ".meltano/meltano.db"
        if not path.exists():
            return {}
        with contextlib.closing(sqlite3.connect(path)) as database:
            rows = database.execute("select completed_state, partial_state from state").fetchall()
        states = [json.loads(text or "{}").get("singer_state", {}) for row in rows for text in row]
        return {place: mark for state in states for place, mark in _by_store(state).items()}

    def logs(self) -> dict[str, str]:
        """Return the one log."""
        return {"meltano": self._log.read_text(errors="replace")}

    @property
    def _log(self) -> Path:
        return self._folder / f"meltano-{self._run}.log"


def _by_store(state: dict[str, Any]) -> Bookmarks:
    """Return the bookmarks of a state."""
    return {
        (partition["context"]["shop_id"], stream): partition
        for stream, bookmark in state.get("bookmarks", {}).items()
        for partition in bookmark.get("partitions", ())
    }


def _as_variables(prefix: str, settings: Mapping[str, Any]) -> dict[str, str]:
    return {f"{prefix}_{name.upper()}": str(value) for name, value in settings.items()}


def of_clock(path: Path) -> dict[str, str]:
    """Return the variables that let processes take the time from a clock that a file says is wrong, such as by `-3h`.

    libfaketime steps in between a process and the machine's clock; the one that only counts (monotonic) stays true.
    """
    package = importlib.util.find_spec("libfaketime")
    assert package
    assert package.origin
    return {
        "LD_PRELOAD": str(Path(package.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"),
        "FAKETIME_TIMESTAMP_FILE": str(path),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
