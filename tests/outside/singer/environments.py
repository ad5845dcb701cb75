"""Taps and targets that others wrote, each in an environment of its own: `make test-outside` makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EXECUTABLES = {
    "meltanolabs-tap-postgres": "tap-postgres",
    "meltanolabs-target-csv": "target-csv",
    "meltanolabs-target-postgres": "target-postgres",
    "pipelinewise-tap-postgres": "tap-postgres",
    "pipelinewise-target-postgres": "target-postgres",
}


def executable(package: str) -> Path:
    """Return the program of a package; skips the test if its environment isn't there."""
    path = ROOT / ".outside" / f"singer-{package}" / "bin" / EXECUTABLES.get(package, package)
    if not path.exists():
        pytest.skip(f"{package} isn't installed: make test-outside")
    return path
