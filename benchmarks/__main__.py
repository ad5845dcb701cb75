"""How fast tap and target are on this machine, in: how many orders; out: a table, which --write puts into README.md.

Each row is a process or a pipe of its own, against the sandbox in another process; medians of several runs.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click

from benchmarks.measure import Used, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    Command = list[str | Path]

HERE = Path(__file__).parent
SCRIPTS = Path(sysconfig.get_path("scripts"))
MIB = 1024 * 1024


class Servers:
    """The shop and the PostHog in their own process; `shop` and `posthog` are their addresses."""

    def __init__(self, orders: int, folder: Path) -> None:
        command: Command = [sys.executable, "-m", "benchmarks.servers", str(orders), folder / "posthog.db"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE.parent
        )
        addresses = self._line()
        self.shop, self.posthog, self.since = (addresses[name] for name in ("shop", "posthog", "since"))

    def ask(self, verb: str) -> dict[str, Any]:
        """Return the answer to `reset`, `counts` or `questions`."""
        assert self._process.stdin
        self._process.stdin.write(f"{verb}\n")
        self._process.stdin.flush()
        return self._line()

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=30)

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise click.ClickException("the servers ended: their last words stand above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@dataclass(frozen=True)
class Row:
    """One line of the table: what ran, what it used, and what the servers saw of it."""

    name: str
    records: int
    used: Used
    counts: dict[str, Any]

    def cells(self) -> list[str]:
        """Return the numbers as they are printed."""
        used, seen = self.used, (self.counts["shop"], self.counts["posthog"])
        return [
            self.name,
            f"{used.wall_seconds:.1f}",
            f"{self.records / used.wall_seconds:,.0f}",
            f"{used.cpu_seconds:.1f}",
            f"{self.records / used.cpu_seconds:,.0f}",
            f"{used.peak_bytes / MIB:.0f}",
            f"{sum(one['requests'] for one in seen):,}",
            f"{sum(one['received_bytes'] + one['sent_bytes'] for one in seen) / MIB:.1f}",
            f"{self.counts['cpu_seconds']:.1f}",
            f"{self.counts['events']:,}",
            f"{self.counts['events'] / used.wall_seconds:,.0f}",
        ]


TITLES = [
    "run",
    "wall s",
    "records/s",
    "CPU s",
    "records/CPU s",
    "peak MiB",
    "requests",
    "MiB moved",
    "servers' CPU s",
    "events",
    "events/s",
]


class Bench:
    """The rows, each the median by wall time of `times` runs."""

    def __init__(self, servers: Servers, folder: Path, times: int) -> None:
        self._servers, self._folder, self._times = servers, folder, times
        self.singer, self.questions = folder / "messages.jsonl", folder / "questions.json"
        self._settings(
            "tap",
            store="sandbox",
            access_token="shpat_sandbox",
            admin_url=f"{servers.shop}/admin",
            start_date=servers.since,
        )
        self._settings("target", api_key="phc_sandbox", host=servers.posthog)
        self.tap: Command = [SCRIPTS / "tap-shopify-orders", "--config", folder / "tap.json"]
        self.target: Command = [SCRIPTS / "target-posthog", "--config", folder / "target.json"]
        self._bare: Command = [sys.executable, HERE / "bare.py"]

    def record(self) -> Counter[str]:
        """Run the tap once: the shop remembers its answers, a file the messages; returns the records per stream."""
        run([self.tap], None, self.singer)
        self.questions.write_text(json.dumps(self._servers.ask("questions")["questions"]))
        with self.singer.open("rb") as lines:
            messages = map(json.loads, lines)
            return Counter(one["stream"] for one in messages if one["type"] == "RECORD")

    def rows(self, records: int) -> list[Row]:
        """Run everything."""
        return [
            self._row("tap", records, [self.tap]),
            self._row("bare tap", records, [[*self._bare, "ask", self._servers.shop, self.questions]]),
            self._row("target", records, [self.target], self.singer),
            self._row("bare target", records, [[*self._bare, "send", self._servers.posthog]], self.singer),
            self._row("tap and target", records, [self.tap, self.target]),
        ]

    def _row(self, name: str, records: int, commands: list[Command], read: Path | None = None) -> Row:
        rows = []
        for _ in range(self._times):
            self._servers.ask("reset")
            used = run(commands, read, None)
            rows.append(Row(name, records, used, self._servers.ask("counts")))
        wall = median(row.used.wall_seconds for row in rows)
        return min(rows, key=lambda row: abs(row.used.wall_seconds - wall))

    def _settings(self, name: str, **settings: str) -> None:
        (self._folder / f"{name}.json").write_text(json.dumps(settings))


def machine() -> str:
    """Say where and when this ran."""
    cpus = Path("/proc/cpuinfo")
    models = [line.partition(":")[2].strip() for line in cpus.read_text().splitlines() if line.startswith("model name")]
    model = models[0] if models else platform.processor()
    today = datetime.now(timezone.utc).date()
    return f"{today}, {len(models)} x {model}, Python {platform.python_version()}, singer-sdk {version('singer-sdk')}"


def table(rows: Sequence[Row]) -> str:
    """Lay the rows out as Markdown, right-aligned so that it reads in a terminal too."""
    lines = [TITLES, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(TITLES))]
    ruled = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(
        "| "
        + " | ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in [lines[0], ruled, *lines[1:]]
    )


README = """# How fast it is

    {command}

{machine}; {of}; medians of {times} runs.

{table}

- Each row is a process (or a pipe of two) of its own; the shop and the PostHog of the sandbox serve from another
  process on the same machine, so they share its cores. CPU and memory are the row's own, by `getrusage`; peak memory
  is that of the larger process.
- The shop executes GraphQL once and then sends the same bytes again, so that its work isn't what is measured.
- The bare rows are the least that is possible here: `bare.py` asks the tap's questions and parses the answers, or
  parses the tap's messages and sends one event per record, with no checks, retries or state. Compare ratios within
  one table, not seconds between machines.
"""


@click.command(help=__doc__)
@click.option(
    "--orders", default=10_000, show_default=True, help="About so many; beyond 6,919 the buyers are repeated."
)
@click.option("--times", default=3, show_default=True, help="Runs of each row.")
@click.option("--write", is_flag=True, help="Write benchmarks/README.md anew.")
def main(orders: int, times: int, *, write: bool) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name, closing(Servers(orders, Path(name))) as servers:
        bench = Bench(servers, Path(name), times)
        records = bench.record()
        printed = table(bench.rows(sum(records.values())))
    of = " and ".join(f"{count:,} {stream}" for stream, count in records.items())
    click.echo(f"{machine()}; {of}\n\n{printed}")
    if write:
        command = f"python -m benchmarks --orders {orders} --times {times} --write"
        readme = README.format(command=command, machine=machine(), of=of, times=times, table=printed)
        (HERE / "README.md").write_text(readme)


if __name__ == "__main__":
    main()
