"""Files of this checkout, as git lists them: those that it knows, and new ones that it doesn't ignore."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
LISTED = ("git", "ls-files", "--cached", "--others", "--exclude-standard")


def files() -> list[str]:
    """Return their paths from the root; one that was deleted and not committed is among them."""
    return subprocess.run(LISTED, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
