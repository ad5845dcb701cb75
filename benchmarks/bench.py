"""One run of a command against the servers, in: what to run, and for how large a store; out: a row of figures.

Knows how tap, target and Meltano are called, but not which rows make a table.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from typing import TYPE_CHECKING, NamedTuple

import click

from benchmarks.measure import run, run_side_by_side
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Used
    from benchmarks.served import Servers

    Command = list[str | Path]

HERE = Path(__file__).parent
TOKEN = "shpat_sandbox"
STORES = 8
FOR_MELTANO = ("MELTANO_", "TAP_", "TARGET_")
SCRIPTS = Path(sysconfig.get_path("scripts"))


class Load(NamedTuple):
    """What a row is to bring through: records of each store, and the different events that they mean."""

    records: int = 0
    events: int = 0
    distance: str = "near"
    stores: int = 1


class Bench:
    """Rows, each the median by wall time of `times` runs, of one for a larger store; `copies` says how large it is."""

    def __init__(self, servers: Servers, folder: Path, times: int) -> None:
        self._servers, self._folder, self._times = servers, folder, times
        self.copies = 1
        self._bare_tap: Command = [sys.executable, HERE / "bare.py", "ask", servers.shop]
        self._target: Command = [SCRIPTS / "target-posthog", "--config", folder / "target.json"]
        self._few_fields: Command = ["--catalog", folder / "few_fields.json"]
        self._settings("target", api_key="phc_sandbox", host=servers.posthog)
        self._settings("plain_target", host=servers.posthog)
        self._tap = {
            "store": "sandbox",
            "access_token": TOKEN,
            "admin_url": f"{servers.shop}/admin",
            "start_date": servers.since,
        }
        self._record()

    @property
    def orders(self) -> int:
        """How many orders the store has now."""
        return self._sizes["orders"] * self.copies

    @property
    def customers(self) -> int:
        """How many customers the store has now."""
        return self._sizes["customers"] * self.copies

    def tap(self, name: str, method: str, *, few_fields: bool = False) -> Row:
        """Run the tap alone."""
        return self._read(name, [*self._tap_by(method), *(self._few_fields if few_fields else [])])

    def bare_tap(self, name: str, method: str) -> Row:
        """Ask what the tap asked by that method, and no more."""
        return self._read(name, [*self._bare_tap, self._folder / f"questions_{method}.json"])

    def plain_tap(self) -> Row:
        """Run the SDK's tap on the same questions."""
        plain: Command = [sys.executable, HERE / "plain_tap.py", "--config", self._folder / "plain_tap.json"]
        return self._read("default SDK tap", plain)

    def target(self, name: str = "target", distance: str = "near") -> Row:
        """Run the target alone, on the tap's messages."""
        return self._fed(name, self._target, "messages", self._all._replace(distance=distance))

    def bare_target(self) -> Row:
        """Send the events, and no more."""
        return self._fed("bare limit", [sys.executable, HERE / "bare.py", "send", self._servers.posthog], "events")

    def default_client(self, name: str = "default client in a loop", distance: str = "near") -> Row:
        """Give the events to the posthog library."""
        naive: Command = [sys.executable, HERE / "naive.py", self._servers.posthog]
        return self._fed(name, naive, "events", self._all._replace(distance=distance))

    def plain_target(self) -> Row:
        """Run the SDK's target, which makes an event of each record."""
        plain: Command = [sys.executable, HERE / "plain_target.py", "--config", self._folder / "plain_target.json"]
        return self._fed("default SDK target", plain, "messages", self._all._replace(events=self._all.records))

    def pair(self, method: str) -> Row:
        """Run tap and target in a pipe."""
        pipe = [self._tap_by(method), self._target]
        return self._median("tap and target", self._all, lambda: run(pipe, write=self._folder / "states.jsonl"))

    def pair_again(self, method: str) -> Row:
        """Run tap and target from the state that they left."""
        pipe = [[*self._tap_by(method), "--state", self._last_state], self._target]
        return self._median("tap and target, nothing changed", Load(), lambda: run(pipe))

    def pairs_with_receipts(self, method: str) -> list[Row]:
        """Run tap and target with receipts: into an empty store, once more from the start, and from the last state."""
        receipts = self._folder / "receipts.sqlite"
        settings = json.loads((self._folder / "target.json").read_text())
        self._settings("target_with_receipts", **settings, receipts=str(receipts))
        target: Command = [*self._target[:2], self._folder / "target_with_receipts.json"]
        first, again = [self._tap_by(method), target], [[*self._tap_by(method), "--state", self._last_state], target]

        def from_nothing() -> Used:
            for file in self._folder.glob(f"{receipts.name}*"):
                file.unlink()
            return run(first, write=self._folder / "states.jsonl")

        load = self._all._replace(events=self._sizes["events once"] * self.copies)
        return [
            self._median("with receipts", load, from_nothing),
            self._median("with receipts, full refresh", self._all._replace(events=0), lambda: run(first)),
            self._median("with receipts, nothing changed", Load(), lambda: run(again)),
        ]

    def meltano(self, method: str, *, few_fields: bool = False) -> list[Row]:
        """Run both through Meltano; with all fields again when nothing has changed since."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(FOR_MELTANO)},
            **{f"TAP_SHOPIFY_ORDERS_{name.upper()}": value for name, value in self._tap.items()},
            "TAP_SHOPIFY_ORDERS_METHOD": method,
            "TARGET_POSTHOG_HOST": self._servers.posthog,
            "TARGET_POSTHOG_RECEIPTS": "",  # a link is sent once with them, so that fewer events say the same
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
            "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        }
        if few_fields:
            environment["TAP_SHOPIFY_ORDERS__CATALOG"] = str(self._folder / "few_fields.json")
            environment["TAP_SHOPIFY_ORDERS__SELECT"] = "[]"  # as the catalog says
        command: Command = [SCRIPTS / "meltano", "run", "tap-shopify-orders", "target-posthog"]
        projects = [Path(mkdtemp(dir=self._folder)) for _ in range(self._times)]
        for project in projects:
            shutil.copy(HERE.parent / "meltano.yml", project)
            shutil.copy(HERE.parent / "shop.meltano.example.yml", project / "shop.meltano.yml")
            shutil.copytree(HERE.parent / "plugins", project / "plugins")
        rows = []
        loads = {"meltano run": self._all, "meltano run, nothing changed": Load()}
        for name, load in ({"meltano run, 40 fields": self._few} if few_fields else loads).items():
            folders = iter(projects)
            rows.append(
                self._median(name, load, lambda: run([command], folder=next(folders), environment=environment))  # noqa: B023  # called at once
            )
        return rows

    def stores(self, method: str) -> list[Row]:
        """Run the pair for eight stores: in one run, and in a run for each at the same time."""
        urls = {f"store-{number}": f"{self._servers.shop}/store-{number}/admin" for number in range(1, STORES + 1)}
        shared = {"start_date": self._servers.since, "method": method}
        entries = [{"store": name, "admin_url": url, "access_token_env": "SHOPIFY_TOKEN"} for name, url in urls.items()]
        self._settings("stores", **shared, stores=entries)
        for name, url in urls.items():
            self._settings(name, **shared, store=name, admin_url=url, access_token=TOKEN)
        environment = {**os.environ, "SHOPIFY_TOKEN": TOKEN}
        one = [self._tap_by("stores"), self._target]
        each = [[self._tap_by(name), self._target] for name in urls]
        load = self._all._replace(stores=STORES)
        return [
            self._median("eight stores, one run", load, lambda: run(one, environment=environment)),
            self._median("eight stores, a run for each", load, lambda: run_side_by_side(each)),
        ]

    def starts(self) -> list[Row]:
        """Run each command for nothing, to see what its start costs."""
        commands = {"tap": "tap-shopify-orders", "target": "target-posthog", "meltano": "meltano"}
        return [
            self._median(f"{name}, start", Load(), lambda: run([[SCRIPTS / command, "--version"]]))  # noqa: B023  # called at once
            for name, command in commands.items()
        ]

    def profiled(self, what: str) -> Path:
        """Run tap or target below cProfile; return the file with what it found."""
        found = self._folder / "profile"
        self._servers.ask("reset", "near", self.copies)
        if what == "target":
            profiler: Command = [sys.executable, "-m", "cProfile", "-o", found, "-m", "target_posthog"]
            run([[*profiler, *self._target[1:]]], feed=self._feed("messages"))
        else:
            run([[sys.executable, "-m", "benchmarks.profiled_tap", found, *self._tap_by(what)[1:]]])
        return found

    @property
    def _last_state(self) -> Path:
        """A file with the state that the pair has left."""
        state = self._folder / "state.json"
        state.write_text((self._folder / "states.jsonl").read_text().splitlines()[-1])
        return state

    @property
    def _all(self) -> Load:
        return Load(self.customers + self.orders, self._sizes["events"] * self.copies)

    @property
    def _few(self) -> Load:
        return self._all._replace(events=self._sizes["events of few fields"] * self.copies)

    def _record(self) -> None:
        """Run the tap once: its messages and their events are what targets read, its questions what others ask."""
        self._settings("pages", **self._tap, method="pages")
        self._settings("bulk", **self._tap, method="bulk")
        self._servers.ask("reset", "near", 1)
        run([self._tap_by("pages")], write=self._folder / "recording.jsonl")
        questions = self._folder / "questions_pages.json"
        api = self._servers.ask("questions", questions)["path"]
        run([[*self._bare_tap, questions]], write=self._folder / "nodes.jsonl")
        run([[*self._tap_by("pages"), "--discover"]], write=self._folder / "all_fields.json")
        run([[sys.executable, "-m", "benchmarks.prepare", self._folder]], write=self._folder / "sizes.json")
        self._sizes: dict[str, int] = json.loads((self._folder / "sizes.json").read_text())
        streams = json.loads((self._folder / "plain_streams.json").read_text())
        self._settings("plain_tap", url=self._servers.shop + api, streams=streams)
        # Every question once, so that the shop has worked out all the answers before it counts.
        run([[*self._tap_by("pages"), *self._few_fields]])
        few, events = self._folder / "recording_of_few.jsonl", self._folder / "events_of_few.json"
        run([[*self._tap_by("bulk"), *self._few_fields]], write=few)
        self._servers.ask("reset", "near", 1)
        run([self._tap_by("bulk")])
        self._servers.ask("questions", self._folder / "questions_bulk.json")
        run([[sys.executable, "-m", "benchmarks.recording", few, os.devnull]], write=events)
        self._sizes["events of few fields"] = json.loads(events.read_text())["events"]

    def _tap_by(self, method: str) -> Command:
        return [SCRIPTS / "tap-shopify-orders", "--config", self._folder / f"{method}.json"]

    def _feed(self, name: str) -> Command:
        return [sys.executable, "-m", "benchmarks.feed", self._folder / f"{name}.jsonl", str(self.copies)]

    def _read(self, name: str, command: Command) -> Row:
        return self._median(name, self._all._replace(events=0), lambda: run([command]))

    def _fed(self, name: str, command: Command, feed: str, load: Load | None = None) -> Row:
        return self._median(name, load or self._all, lambda: run([command], feed=self._feed(feed)))

    def _median(self, name: str, load: Load, measured: Callable[[], Used]) -> Row:
        rows = []
        orders, records, events = (load.stores * number for number in (self.orders, load.records, load.events))
        for _ in range(self._times if self.copies == 1 else 1):
            self._servers.ask("reset", load.distance, self.copies)
            rows.append(Row(name, orders, records, events, measured(), self._servers.ask("counts")))
        walls = [row.used.wall_seconds for row in rows]
        click.echo(f"{name}, {orders:,} orders: {', '.join(f'{wall:.1f} s' for wall in walls)}", err=True)
        return min(rows, key=lambda row: abs(row.used.wall_seconds - median(walls)))

    def _settings(self, name: str, **settings: object) -> None:
        (self._folder / f"{name}.json").write_text(json.dumps(settings))
