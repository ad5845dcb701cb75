"""A shop, a PostHog and a pipe between them, in: a plan; out: runs of it, with each fault at its moment.

Knows how faults are timed and what a run leaves behind, but not what is right.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from sandbox.posthog import PostHog
from sandbox.server import HOST
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from target_posthog.receipts.opening import open_store
from tests.faults import checks
from tests.faults.checks import Gone, identity_of
from tests.faults.kinds import KINDS, Fault, Side, jump
from tests.faults.pipes import CommandPipe, MeltanoPipe, of_clock

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable
    from pathlib import Path

    from typing_extensions import Self

    from sandbox.controls import Controls
    from sandbox.shop.store import Store
    from tests.faults.pipes import Bookmarks, Codes, Pipe
    from tests.faults.plan import Leg, Plan

LAST_DAY = date(2026, 10, 31)
LOOK_EVERY_SECONDS = 0.004
IDS_OF_A_STORE = 100_000
FULL_DISK = "/dev/full"
BUCKET_POINTS, BUCKET_POINTS_A_SECOND = 2_000_000.0, 100_000.0  # as the sandbox's shop has it by default


def store_of(customers: int, ids_after: int = 0) -> Store:
    """Return the store of so many buyers, the same each time."""
    return cdnow_store(LAST_DAY, customers=customers, ids_after=ids_after)


def shops_of(customers: int, stores: int) -> list[Shop]:
    """Return the shops of a plan; several have the same people and orders under ids of their own, as in Shopify."""
    if stores == 1:
        return [Shop(store_of(customers))]
    shops = []
    for number in range(1, stores + 1):
        store = store_of(customers, number * IDS_OF_A_STORE)
        store.shop.update(id=f"gid://shopify/Shop/{number}", myshopifyDomain=f"acme-{number}.myshopify.com")
        shops.append(Shop(store, access_token=f"shpat_{number:016x}", client_secret=f"shpss_{number:016x}"))
    return shops


def read_by(shops: list[Shop], *, granted: bool = False) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the tap's settings for the shops, and the variables with several shops' keys.

    The keys are permanent tokens, or, if they are to be `granted`, what a token is granted for.
    """
    if len(shops) == 1:
        entry, variables = _entry_of(shops[0], granted=granted)
        return entry | variables, {}
    entries, environment = [], {}
    for shop in shops:
        entry, variables = _entry_of(shop, granted=granted)
        prefix = "SHOPIFY_" + entry["store"].upper().replace("-", "_")
        entries.append(entry | {f"{name}_env": f"{prefix}_{name.upper()}" for name in variables})
        environment |= {f"{prefix}_{name.upper()}": value for name, value in variables.items()}
    return {"stores": entries}, environment


def _entry_of(shop: Shop, *, granted: bool) -> tuple[dict[str, str], dict[str, str]]:
    settings, name = shop.settings, shop.store.shop["myshopifyDomain"].split(".")[0]
    keys = ("client_id", "client_secret") if granted else ("access_token",)
    return {"store": name, "admin_url": f"{shop.url}/admin"}, {key: getattr(settings, key) for key in keys}


def next_second() -> None:
    """Wait for the next second: a run reads what changed before the second in which it begins, by the shop's clock."""
    time.sleep(1.0 - time.time() % 1.0)


@dataclass
class Left:
    """What a run leaves: exit codes, state, which events PostHog has by now, logs, the faults that came about.

    `copies` are the arrivals of events that had arrived before, `receipts` the uuids that had a receipt when the run
    began, `open` the events that PostHog has and that have none at its end.
    """

    codes: Codes
    bookmarks: Bookmarks
    arrived: set[tuple[str, ...]]
    logs: dict[str, str]
    struck: list[Fault]
    copies: list[tuple[str, ...]] = field(default_factory=list)
    receipts: frozenset[str] = frozenset()
    open: frozenset[tuple[str, ...]] = frozenset()


@dataclass
class World:
    """Everything of one plan; `shop` is the one that is struck, the first of `shops`.

    `touched` are the ids of customers who have changed, `deleted` the numbers of orders, `left_emails` those that
    customers had before; `clock` is the file that puts the clock of the machine on which the processes run.
    """

    plan: Plan
    folder: Path
    touched: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    left_emails: dict[str, str] = field(default_factory=dict)
    shops: list[Shop] = field(init=False)
    posthog: PostHog = field(init=False)

    def __post_init__(self) -> None:
        """Fill the store; nothing is served yet."""
        self.clock = self.folder / "clock"
        self.shops = shops_of(self.plan.customers, self.plan.stores)
        self.posthog = PostHog()
        self._servers, self._others = {side: ExitStack() for side in Side}, ExitStack()
        self.pipe: Pipe = (
            MeltanoPipe(self.folder)
            if self.plan.pipe == "meltano"
            else CommandPipe(self.folder, frequent=self.plan.pipe == "frequent")
        )

    def __enter__(self) -> Self:
        """Open shop and PostHog."""
        for side in Side:
            self._open(side, 0)
        for other in self.shops[1:]:
            self._others.enter_context(other.serve())
        return self

    def __exit__(self, *_: object) -> None:
        """Close all."""
        for server in (*self._servers.values(), self._others):
            server.close()

    @property
    def shop(self) -> Shop:
        """The shop that is struck."""
        return self.shops[0]

    def controls(self, side: Side) -> Controls:
        """Return a side's controls."""
        return self._served(side).controls

    def down(self, side: Side, seconds: float) -> None:
        """Let a side refuse connections for so long; its port stays taken, so that no other test is given it."""
        port = urlsplit(self._served(side).url).port or 0
        self._servers[side].close()
        with socket.socket() as kept:
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            kept.bind((HOST, port))
            time.sleep(seconds)
        self._open(side, port)

    def pid(self, name: str) -> int | None:
        """Return a running process's id, when it is ready for signals."""
        while self.pipe.is_coming(name):
            time.sleep(LOOK_EVERY_SECONDS)
        return self.pipe.pid(name)

    @staticmethod
    def signal(pid: int, sent: signal.Signals) -> None:
        """Send a signal to a process that may have ended meanwhile."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sent)

    def run(self, leg: Leg) -> Left:
        """Run the pipe to its end while the leg's faults strike; afterwards both sides are well again."""
        for side in Side:
            self.controls(side).reset()
        before, receipts = self._fired(), self._receipts()
        if self.touched:
            next_second()
        granted = any(KINDS[one.kind].pipe == "commands" for one in leg.faults)
        tap, keys = read_by(self.shops, granted=granted)
        self.pipe.start(tap | {"method": self.plan.method}, self._target(leg), self._environment(leg) | keys)
        with ThreadPoolExecutor(1) as conductor:
            struck = conductor.submit(self._conduct, leg.faults)
            try:
                codes = self.pipe.wait()
            finally:
                faults = struck.result()
                self._heal()
        logs = self.pipe.logs() | ({"summary": self._summary.read_text()} if self._summary.exists() else {})
        if leg.dead_letters == "file":
            logs |= self._replay(leg)
        copies = checks.copies(before, self._fired()[len(before) :])
        arrived = self.arrived()
        left_open = checks.without_receipt(arrived, self._receipts()) if self.plan.receipts else ()
        return Left(codes, self.pipe.state(), arrived, logs, faults, copies, receipts, frozenset(left_open))

    @property
    def gone(self) -> Gone:
        """What the shop has no more."""
        return Gone(self.deleted, self.left_emails.keys(), self.left_emails.values())

    def arrived(self) -> set[tuple[str, ...]]:
        """Return the events that PostHog has."""
        return set(map(identity_of, self.posthog.events()))

    def _fired(self) -> list[tuple[str, ...]]:
        """Return each arrival so far, in order; each copy of an event has the same time."""
        return list(map(identity_of, self.posthog.fired()))

    def _receipts(self) -> frozenset[str]:
        """Return the uuids that have a receipt."""
        settings = {"receipts": str(self._receipts_path), "api_key": self.posthog.api_key}
        store = open_store(settings, is_read_only=True) if self.plan.receipts else None
        if store is None:
            return frozenset()
        with contextlib.closing(store):
            return frozenset(str(UUID(bytes=bytes(fact.uuid))) for fact in store.export())

    def _served(self, side: Side) -> Shop | PostHog:
        return self.shop if side is Side.SHOP else self.posthog

    def _open(self, side: Side, port: int) -> None:
        self._servers[side].enter_context(self._served(side).serve(port))

    def _target(self, leg: Leg) -> dict[str, Any]:
        target: dict[str, Any] = {
            "api_key": self.posthog.api_key,
            "host": self.posthog.url,
            "summary_path": str(self._summary),
        }
        if self.plan.receipts and self.plan.pipe != "meltano":  # the project has them without being told
            target["receipts"] = str(self._receipts_path)
        if leg.dead_letters:
            target["dead_letter_path"] = str(self._dead_letters) if leg.dead_letters == "file" else FULL_DISK
        return target

    def _environment(self, leg: Leg) -> dict[str, str]:
        logged = {"LOGLEVEL": self.plan.level}  # of tap and target: at DEBUG, Meltano itself logs every record
        if not any(KINDS[one.kind].strike is jump for one in leg.faults):
            return logged
        self.clock.write_text("+0")
        return logged | of_clock(self.clock)

    def _conduct(self, faults: Iterable[Fault]) -> list[Fault]:
        """Let each fault strike when its moment has come, for as long as the run goes on; return those that did."""
        struck = []
        coming = sorted(faults, key=lambda one: (one.after_requests, one.seconds))
        while coming and self.pipe.running:
            seen = {side: len(self.controls(side).requests) for side in Side}
            due = next((one for one in coming if seen[one.side] >= one.after_requests), None)
            if due is None:
                time.sleep(LOOK_EVERY_SECONDS)
                continue
            coming.remove(due)
            time.sleep(due.seconds)
            if self.pipe.running:
                KINDS[due.kind].strike(self, due)
                struck.append(due)
        return struck

    def _heal(self) -> None:
        """Take every fault away that nothing has met, but for the ends of bulk operations that are still to come."""
        for side in Side:
            self.controls(side).reset()
        self.shop.close(200)
        self.shop.tokens.permanent = self.shop.settings.access_token
        self.shop.tokens.refuse("", times=0)
        self.shop.breaks.clear()
        self.shop.twist = lambda body: body
        self.shop.bulk.reach_limit(0)
        self.shop.bucket.maximum_available = BUCKET_POINTS
        self.shop.bucket.restore_rate = BUCKET_POINTS_A_SECOND
        self.posthog.v1 = "on"
        self.posthog.verdicts.clear()

    def _replay(self, leg: Leg) -> dict[str, str]:
        """Let the dead letters in again, as docs/operation.md says, and put them away."""
        if not self._dead_letters.exists():
            return {}
        assert stat.S_IMODE(self._dead_letters.stat().st_mode) == 0o600, "dead letters are their owner's alone"
        sender = CommandPipe(self.folder / "replay", frequent=False)
        (self.folder / "replay").mkdir(exist_ok=True)
        code = sender.feed(self._dead_letters, {**self._target(leg), "dead_letter_path": f"{self._dead_letters}.again"})
        assert code == 0, "dead letters can be sent again"
        self._dead_letters.unlink()
        return {"replay": sender.logs()["target"]}

    @property
    def _receipts_path(self) -> Path:
        return self.folder / ".sandbox/receipts.sqlite"  # where Meltano's project has them, by its meltano.yml

    @property
    def _summary(self) -> Path:
        return self.folder / "summary.json"

    @property
    def _dead_letters(self) -> Path:
        return self.folder / "dead.jsonl"
