"""A Meltano project in a folder of its own, run as its user would."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = Path(sys.executable).parent
LONGEST_RUN_SECONDS = 240


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
