"""A Meltano project in a folder of its own, run as its user would."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = Path(sys.executable).parent
LONGEST_RUN_SECONDS = 600


def place_project(folder: Path) -> None:
    """Put the repository's own Meltano project there, as `make setup` leaves it."""
    shutil.copy(ROOT / "meltano.yml", folder)
    shutil.copy(ROOT / "shop.meltano.example.yml", folder / "shop.meltano.yml")
    shutil.copytree(ROOT / "plugins", folder / "plugins")


@dataclass
class Project:
    """A folder with a meltano.yml; `run` is the `meltano` of the project's environment in it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPTS / "meltano", *arguments],
            cwd=self.folder,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=LONGEST_RUN_SECONDS,
        )

    def succeed(self, *arguments: str, **more: str) -> str:
        """Run, and give what was printed; a failure shows Meltano's own words."""
        done = self.run(*arguments, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def states(self) -> dict[str, list[str | None]]:
        """What Meltano's database keeps, complete and partial, by id: as `meltano state export`, without its start."""
        path = f"file:{self.folder / '.meltano' / 'meltano.db'}?mode=ro"
        with closing(sqlite3.connect(path, uri=True)) as database:
            rows = database.execute("SELECT state_id, completed_state, partial_state FROM state").fetchall()
        return {name: state for name, *state in rows}


def has_traceback(said: str) -> bool:
    """Whether a run of Meltano shows a traceback, but for one of its own.

    A target that ends while Meltano writes to it breaks the pipe; Meltano 4.4.1 then waits for the pipe to close, which
    raises the error again: meltano/core/logging/utils.py, `_write_line_writer`.
    """
    unwrapped = re.sub(r"[\s│]", "", said)
    if "in_write_line_writer" in unwrapped and "BrokenPipeError" in unwrapped:
        return bool(re.search(r"(tap_shopify_orders|target_posthog)/[\w/]+\.py", unwrapped))
    return "Traceback" in said


def quiet_environment() -> dict[str, str]:
    """What a user's shell would have, without settings of theirs that could reach the sandbox."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MELTANO_", "TAP_", "TARGET_", "SHOPIFY_", "POSTHOG_"))
    }
    return kept | {
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        "NO_COLOR": "1",
    }
