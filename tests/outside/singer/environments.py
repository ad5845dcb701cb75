"""Taps and targets that others wrote, each in an environment of its own: `make test-outside` makes them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]
EXECUTABLES = {
    "meltanolabs-tap-postgres": "tap-postgres",
    "meltanolabs-target-csv": "target-csv",
    "meltanolabs-target-postgres": "target-postgres",
    "pipelinewise-tap-postgres": "tap-postgres",
    "pipelinewise-target-postgres": "target-postgres",
}


def executable(package: str) -> Path:
    """Return the program of a package; raises FileNotFoundError if its environment isn't there."""
    path = ROOT / ".outside" / f"singer-{package}" / "bin" / EXECUTABLES.get(package, package)
    if not path.exists():
        raise FileNotFoundError(f"{path} isn't there: make test-outside makes it")
    return path
