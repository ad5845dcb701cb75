"""The benchmark runs, and measures what it says it does."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import zstandard

from benchmarks.recording import multiply
from benchmarks.taker import Taker

ROOT = Path(__file__).parent.parent.parent


def run(*options: str) -> dict[str, dict[str, str]]:
    """Run the command; return the cells of all tables, row by row."""
    command = [sys.executable, "-m", "benchmarks", "--times", "1", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    rows: dict[str, dict[str, str]] = {}
    titles: list[str] = []
    for line in done.stdout.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line[:1] == "|" else []
        if cells[:1] == ["run"]:
            titles = cells
        elif cells and not cells[0].startswith("-"):
            rows.setdefault(cells[0], {}).update(zip(titles, cells, strict=True))
    return rows


def test_one_command_measures_tap_target_and_both_without_losing_an_event() -> None:
    rows = run("--orders", "30")
    assert list(rows) == [
        *("target", "bare limit", "default client in a loop", "default SDK target"),
        *("target, far", "default client, far", "tap", "bare tap"),
        *("meltano run", "meltano run, nothing changed", "tap and target"),
        *("tap, start", "target, start", "meltano, start"),
    ]
    for name in ("target", "target, far", "bare limit", "tap and target", "meltano run"):
        assert (int(rows[name]["events"]) > 30, rows[name]["lost"]) == (True, "0")
    assert rows["default SDK target"]["lost"] == "0"
    assert rows["tap"]["requests"] == rows["bare tap"]["requests"]
    assert rows["tap"]["points"] != "0"
    assert rows["meltano run, nothing changed"]["events"] == "0"
    assert all(float(row["CPU s"]) > 0 for row in rows.values() if "CPU s" in row)


def test_a_larger_input_is_the_recording_with_other_customers_and_orders(tmp_path: Path) -> None:
    order = b'{"type":"RECORD","stream":"orders","record":{"id":5,"email":"jane@example.com","total":"5.00"}}\n'
    recording, larger = tmp_path / "recording.jsonl", tmp_path / "larger.jsonl"
    recording.write_bytes(order)
    multiply(recording, 3, larger)
    records = [json.loads(line)["record"] for line in larger.read_bytes().splitlines()]
    assert [(one["id"], one["email"], one["total"]) for one in records] == [
        (5, "jane@example.com", "5.00"),
        (10_000_000_000_005, "1.jane@example.com", "5.00"),
        (20_000_000_000_005, "2.jane@example.com", "5.00"),
    ]


def test_the_taker_counts_each_event_once_by_whatever_way_it_comes() -> None:
    taker = Taker()
    body = b'{"batch": [{"uuid": "a", "event": "x"}, {"uuid": "b"}]}'
    for path, encoding, sent in (
        ("/batch/", None, body),
        ("/batch/", "gzip", gzip.compress(body)),
        ("/i/v1/analytics/events", "zstd", zstandard.compress(body)),
    ):
        environ = {"PATH_INFO": path, "wsgi.input": BytesIO(sent), "CONTENT_LENGTH": str(len(sent))}
        answer = taker({**environ, **({"HTTP_CONTENT_ENCODING": encoding} if encoding else {})}, lambda *_: print)
        assert json.loads(b"".join(answer))
    assert (taker.uuids, taker.arrived) == ({"a", "b"}, 6)
