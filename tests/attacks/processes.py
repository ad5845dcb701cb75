"""Tap and target as processes in odd circumstances: takes a command and its circumstances, returns how it ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LONGEST_RUN_SECONDS = 60.0
OURS = ("TAP_SHOPIFY_ORDERS_", "TARGET_POSTHOG_", "SHOPIFY_")


class Ended(NamedTuple):
    """The exit code and what was printed."""

    code: int
    out: str
    log: str


def shell(script: str, *, folder: Path, stdin: str = "", **variables: str) -> Ended:
    """Run a script of the shell, with `$TAP` and `$TARGET` for the two commands."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    commands = {"TAP": f"{sys.executable} -m tap_shopify_orders", "TARGET": f"{sys.executable} -m target_posthog"}
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        input=stdin,
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), **commands, **variables},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LONGEST_RUN_SECONDS,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def sentences(log: str) -> list[str]:
    """Return the lines of a log that are errors."""
    return [line for line in log.splitlines() if "ERROR" in line]


def is_clean(ended: Ended, *secrets: str) -> bool:
    """Say whether a run that failed has said so in a sentence, without a traceback and without what is secret."""
    printed = ended.out + ended.log
    return "Traceback" not in printed and "Exception" not in printed and not [one for one in secrets if one in printed]
