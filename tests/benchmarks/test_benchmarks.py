"""The benchmark runs, and measures what it says it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_one_command_measures_tap_target_and_both_without_losing_an_event() -> None:
    command = [sys.executable, "-m", "benchmarks", "--orders", "30", "--times", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if line[:1] == "|"
    ]
    rows = {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines[2:]}
    assert list(rows) == ["tap", "bare tap", "target", "bare target", "tap and target"]
    assert int(rows["target"]["events"]) == int(rows["tap and target"]["events"]) > 30
    assert rows["tap"]["requests"] == rows["bare tap"]["requests"]
    assert all(float(row["CPU s"]) > 0 and int(row["peak MiB"]) > 0 for row in rows.values())
