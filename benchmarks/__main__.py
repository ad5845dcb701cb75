"""How fast tap and target are on this machine, in: how many orders; out: tables, which --write puts into README.md.

Each row is a process or a pipe of its own, against a shop and a taker of events in another process; medians of several
runs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click

from benchmarks.measure import run
from benchmarks.recording import count, multiply, write_events
from benchmarks.report import Row, machine, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Used

    Command = list[str | Path]

HERE = Path(__file__).parent
SCRIPTS = Path(sysconfig.get_path("scripts"))
MOST_ORDERS_IN_THE_SHOP = 10_000  # the shop keeps its answers in memory; the target's input can be multiplied

TAP = ("run", "wall s", "records/s", "CPU s", "records/CPU s", "peak MiB", "requests", "points", "MiB moved")
TARGET = ("run", "wall s", "events", "lost", "events/s", "CPU s", "peak MiB", "requests", "MiB moved")
BOTH = ("run", "wall s", "records/s", "events", "lost", "events/s", "first event s", "CPU s", "peak MiB")
RATIOS = ("wall, ours = 1", "CPU, ours = 1")
THOUSANDS = ("requests", "requests/1,000", "points", "points/1,000")


class Servers:
    """The shop and the taker of events in their own process; `shop` and `posthog` are their addresses."""

    def __init__(self, orders: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.servers", str(orders)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE.parent,
        )
        addresses = self._line()
        self.shop, self.posthog, self.since = (addresses[name] for name in ("shop", "posthog", "since"))

    def ask(self, verb: str) -> dict[str, Any]:
        """Return the answer to `near` or `far` (which count from zero), `counts` or `questions`."""
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


class Bench:
    """The rows, each the median by wall time of `times` runs."""

    def __init__(self, servers: Servers, folder: Path, times: int) -> None:
        self._servers, self._folder, self._times = servers, folder, times
        self.recording, self.messages = folder / "recording.jsonl", folder / "messages.jsonl"
        self._events, self._questions = folder / "events.jsonl", folder / "questions.json"
        admin_url = f"{servers.shop}/admin"
        tap = {"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": admin_url, "start_date": servers.since}
        self._settings("tap", **tap)
        self._settings("target", api_key="phc_sandbox", host=servers.posthog)
        self._settings("plain", host=servers.posthog)
        self._tap: Command = [SCRIPTS / "tap-shopify-orders", "--config", folder / "tap.json"]
        self._target: Command = [SCRIPTS / "target-posthog", "--config", folder / "target.json"]
        self._environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("MELTANO_", "TAP_", "TARGET_"))
            },
            **{f"TAP_SHOPIFY_ORDERS_{name.upper()}": value for name, value in tap.items()},
            "TARGET_POSTHOG_HOST": servers.posthog,
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
            "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        }

    def record(self, copies: int) -> None:
        """Run the tap once: the shop remembers its answers, files the messages (so often) and their events."""
        run([self._tap], write=self.recording)
        self._questions.write_text(json.dumps(self._servers.ask("questions")["questions"]))
        multiply(self.recording, copies, self.messages)
        self._records = count(self.recording).total()
        self._expected = write_events(self.recording, self._events)
        self._many_records = count(self.messages).total()
        self._many_expected = write_events(self.messages, self._events)

    def of_the_tap(self) -> list[Row]:
        """Run the tap, and the least that a tap can be."""
        bare: Command = [sys.executable, HERE / "bare.py", "ask", self._servers.shop, self._questions]
        return [self._pipe("tap", [self._tap]), self._pipe("bare tap", [bare])]

    def of_the_target(self) -> list[Row]:
        """Run the target, and what a user could take instead, on the same records or their events."""
        host = self._servers.posthog
        plain: Command = [sys.executable, HERE / "plain_target.py", "--config", self._folder / "plain.json"]
        records, events = self._many_records, self._many_expected
        naive: Command = [sys.executable, HERE / "naive.py", host]
        return [
            self._median(name, records, expected, lambda: run([command], read), distance)  # noqa: B023  # called at once
            for name, distance, expected, command, read in (
                ("target", "near", events, self._target, self.messages),
                ("bare limit", "near", events, [sys.executable, HERE / "bare.py", "send", host], self._events),
                ("default client in a loop", "near", events, naive, self._events),
                ("default SDK target", "near", records, plain, self.messages),
                ("target, far", "far", events, self._target, self.messages),
                ("default client, far", "far", events, naive, self._events),
            )
        ]

    def of_both(self) -> list[Row]:
        """Run the pair in a pipe and through Meltano, there also when nothing has changed since."""
        rows = [self._pipe("tap and target", [self._tap, self._target], self._expected)]
        projects = [self._folder / f"project{number}" for number in range(self._times)]
        for project in projects:
            project.mkdir()
            shutil.copy(HERE.parent / "meltano.yml", project)
        for name, records, expected in (
            ("meltano run", self._records, self._expected),
            ("meltano run, nothing changed", 0, 0),
        ):
            folders = iter(projects)
            rows.append(self._median(name, records, expected, lambda: self._meltano(next(folders))))  # noqa: B023  # called at once
        return rows

    def of_nothing(self) -> list[Row]:
        """Run each command for nothing, to see what its start costs."""
        versions: list[tuple[str, Command]] = [
            ("tap, start", [SCRIPTS / "tap-shopify-orders", "--version"]),
            ("target, start", [SCRIPTS / "target-posthog", "--version"]),
            ("meltano, start", [SCRIPTS / "meltano", "--version"]),
        ]
        return [self._median(name, 0, 0, lambda: run([command])) for name, command in versions]  # noqa: B023  # at once

    def _meltano(self, project: Path) -> Used:
        command: Command = [SCRIPTS / "meltano", "run", "tap-shopify-orders", "target-posthog"]
        return run([command], folder=project, environment=self._environment)

    def _pipe(self, name: str, commands: list[Command], expected: int = 0) -> Row:
        return self._median(name, self._records, expected, lambda: run(commands))

    def _median(
        self, name: str, records: int, expected: int, measured: Callable[[], Used], distance: str = "near"
    ) -> Row:
        rows = []
        for _ in range(self._times):
            self._servers.ask(distance)
            used = measured()
            rows.append(Row(name, records, expected, used, self._servers.ask("counts")))
        wall = median(row.used.wall_seconds for row in rows)
        return min(rows, key=lambda row: abs(row.used.wall_seconds - wall))

    def _settings(self, name: str, **settings: str) -> None:
        (self._folder / f"{name}.json").write_text(json.dumps(settings))


README = """# How fast it is

    {command}

{machine}; medians of {times} runs. {recorded} in the shop, {sent} for the target.

## The target

{target}

The same with answers that come after 40 ms, as from a cloud:

{far}

The same records for all, or the events that the target makes of them. *Bare limit*: the events, decoded, encoded,
packed with gzip and posted, with no checks, retries or state. *Default client in a loop*: `capture` and `shutdown` of
the posthog library as its documentation shows them; what it loses it doesn't say. *Default SDK target*: the Singer
SDK's reader, validator and batch sink, one event per record.

## The tap

{tap}

{thousands}

*Bare tap*: asks the tap's questions again and decodes the answers.

## Both

{both}

{nothing}

## How it is measured

- Each row is a process, or a pipe of two, of its own. The shop and the PostHog are in another process on the same
  machine and share its cores, so compare ratios within one table, not seconds between machines.
- CPU and memory are the row's own with its children, by `getrusage`; peak memory is that of the largest process.
- The shop executes GraphQL once and then sends the same bytes again; the PostHog unpacks, decodes, keeps the uuids and
  says "ok". So neither's own work is what is measured. `lost` is how many of the different events never came.
- Above {most:,} orders the target's input is the tap's recording several times over, with other customers and orders.
"""


@click.command(help=__doc__)
@click.option("--orders", default=10_000, show_default=True, help="About so many; from 6,919 the buyers are repeated.")
@click.option("--times", default=3, show_default=True, help="Runs of each row.")
@click.option("--write", is_flag=True, help="Write benchmarks/README.md anew.")
def main(orders: int, times: int, *, write: bool) -> None:
    """Measure and print."""
    here, in_shop = machine(), min(orders, MOST_ORDERS_IN_THE_SHOP)
    with tempfile.TemporaryDirectory() as name, closing(Servers(in_shop)) as servers:
        bench = Bench(servers, Path(name), times)
        bench.record(round(orders / in_shop))
        recorded, sent = (_said(path) for path in (bench.recording, bench.messages))
        tap, target, both, nothing = bench.of_the_tap(), bench.of_the_target(), bench.of_both(), bench.of_nothing()
    text = README.format(
        command=f"python -m benchmarks --orders {orders} --times {times} --write",
        machine=here,
        times=times,
        recorded=recorded,
        sent=sent,
        target=table(target[:-2], (*TARGET, *RATIOS), compared=True),
        far=table(target[-2:], (*TARGET, *RATIOS), compared=True),
        tap=table(tap, (*TAP, *RATIOS), compared=True),
        thousands=table([*tap[:1], *both[1:]], ("run", *THOUSANDS)),
        both=table(both, BOTH),
        nothing=table(nothing, ("run", "wall s", "CPU s", "peak MiB")),
        most=MOST_ORDERS_IN_THE_SHOP,
    )
    click.echo(text)
    if write:
        (HERE / "README.md").write_text(text)


def _said(messages: Path) -> str:
    return " and ".join(f"{records:,} {stream}" for stream, records in sorted(count(messages).items()))


if __name__ == "__main__":
    main()
