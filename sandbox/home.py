"""Where a sandbox lives, in: a checkout; out: its folder, addresses and the process that serves it.

Knows nothing of shops or events.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import click
import requests

SHOP_PORT = 8461  # as meltano.yml has it for the environment sandbox; a free one if another program has it
POSTHOG_PORT = 8462
PREVIEW_PORT = 8463
START_SECONDS = 60.0  # a store of 7,000 orders is made up in a few
STOP_SECONDS = 10.0
PORTS = "ports.json"


@dataclass(frozen=True)
class Home:
    """The folder `.sandbox` of a checkout: PostHog's database, the demo's state, logs; readable by its owner only."""

    folder: Path
    shop_port: int = SHOP_PORT
    posthog_port: int = POSTHOG_PORT
    asked_for: frozenset[int | None] = frozenset()  # ports that aren't to be replaced

    @classmethod
    def at(cls, folder: Path, shop_port: int | None = None, posthog_port: int | None = None) -> Home:
        """Return the home in a folder, at the ports asked for, else at those that it was last opened at."""
        try:
            noted = json.loads((folder / PORTS).read_text())
        except (OSError, ValueError):
            noted = {}
        return cls(
            folder,
            shop_port or noted.get("shop", SHOP_PORT),
            posthog_port or noted.get("posthog", POSTHOG_PORT),
            frozenset({shop_port, posthog_port} - {None}),
        )

    def with_free_ports(self) -> Home:
        """Return this home with free ports in place of taken ones, except for those that were asked for by number."""
        return replace(self, shop_port=self._free(self.shop_port), posthog_port=self._free(self.posthog_port))

    def _free(self, port: int) -> int:
        return port if port in self.asked_for else free_port(port)

    @property
    def shop_url(self) -> str:
        """The shop's address."""
        return f"http://127.0.0.1:{self.shop_port}"

    @property
    def posthog_url(self) -> str:
        """PostHog's address."""
        return f"http://127.0.0.1:{self.posthog_port}"

    @property
    def database(self) -> Path:
        """The file that keeps what PostHog was sent."""
        return self.folder / "posthog.db"

    @property
    def receipts(self) -> Path:
        """The file in which the target remembers what this PostHog has; the environment sandbox names the same."""
        return self.folder / "receipts.sqlite"

    @property
    def journal(self) -> Path:
        """The file that keeps what was changed in the shop."""
        return self.folder / "changes.jsonl"

    def last_day(self) -> date:
        """Return the last day of the store: yesterday when the sandbox was made, also if it is opened again later."""
        path = self.folder / "last_day"
        if not path.exists():
            path.write_text(f"{datetime.now(timezone.utc).date() - timedelta(days=1)}")
        return date.fromisoformat(path.read_text())

    @property
    def _pid_file(self) -> Path:
        return self.folder / "serve.pid"

    def make(self, *, fresh: bool) -> None:
        """Make the folder; `fresh` wipes what an earlier sandbox left."""
        if fresh and self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(mode=0o700, exist_ok=True)

    def running(self) -> int | None:
        """The id of the process that serves this sandbox, or None."""
        try:
            pid = json.loads(self._pid_file.read_text())
            answer = requests.get(f"{self.posthog_url}/_sandbox/process", timeout=5).json()
        except (OSError, ValueError):
            return None
        return pid if answer.get("pid") == pid else None

    def start(self) -> None:
        """Serve in a process of its own that outlives this one; raises ClickException when it doesn't come up."""
        for port in (self.shop_port, self.posthog_port):
            if _is_taken(port):
                raise click.ClickException(
                    f"port {port} is taken by another program: end it, or choose with SANDBOX_SHOP_PORT and"
                    " SANDBOX_POSTHOG_PORT"
                )
        (self.folder / PORTS).write_text(json.dumps({"shop": self.shop_port, "posthog": self.posthog_port}))
        log_path = self.folder / "serve.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [
                    sys.executable,
                    *("-m", "sandbox"),
                    f"--folder={self.folder}",
                    f"--shop-port={self.shop_port}",
                    f"--posthog-port={self.posthog_port}",
                    "serve",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=Path(__file__).parent.parent,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            if self.running() == process.pid:
                return
            time.sleep(0.1)
        raise click.ClickException(
            f"the sandbox did not start; its last words ({log_path}):\n{log_path.read_text()[-2000:]}"
        )

    def stop(self) -> bool:
        """End the process that serves this sandbox; False if there was none."""
        pid = self.running()
        if pid is None:
            return False
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and any(_is_taken(port) for port in (self.shop_port, self.posthog_port)):
            time.sleep(0.05)
        return True

    def write_pid(self) -> None:
        """Note which process serves, for `running`."""
        self._pid_file.write_text(json.dumps(os.getpid()))


def free_port(preferred: int) -> int:
    """Return the port if no program has it, else one that is free."""
    if not _is_taken(preferred):
        return preferred
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        free: int = found.getsockname()[1]
    return free


def _is_taken(port: int) -> bool:
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0
