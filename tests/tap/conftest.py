"""A tap pointed at the sandbox: in this process, with its messages in a list, or as the command that users run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.contrib.msgspec import MsgSpecWriter

from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tap_shopify_orders.bookmark import Bookmarks
from tap_shopify_orders.side_by_side import Stop
from tap_shopify_orders.state import checked
from tap_shopify_orders.store_run import StoreRun
from tests.conftest import LAST_DAY, weeks_later

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from tap_shopify_orders.reading.changes import Limits

Message = dict[str, Any]
SHOP = {"shop": "sandbox.myshopify.com", "shop_id": 60_000_000_001}  # what each record of the sandbox says of it


@dataclass
class Run:
    """What a run put out, and how it ended; `code` and `log` are those of a process.

    `records` are of what is there, `deleted` those of what isn't any more.
    """

    messages: list[Message]
    code: int = 0
    log: str = ""
    records: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    deleted: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    state: Message = field(default_factory=dict)

    def __post_init__(self) -> None:
        for message in self.messages:
            if message["type"] == "RECORD":
                kind = self.deleted if message["record"].get("_sdc_deleted_at") else self.records
                kind[message["stream"]].append(message["record"])
            if message["type"] == "STATE":
                self.state = message["value"]

    @property
    def orders(self) -> dict[str, Message]:
        """The orders that are there, by name."""
        return {one["name"]: one for one in self.records["orders"]}


class Collected(MsgSpecWriter):
    """Keeps messages as they would stand on the wire."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def write_message(self, message: Any) -> None:
        self.messages.append(json.loads(self.format_message(message)))


class Interrupting(Collected):
    """Asks the run to stop, as a signal does, while it writes the nth record."""

    def __init__(self, nth: int) -> None:
        super().__init__()
        self.stop = Stop()
        self._nth = nth

    def write_message(self, message: Any) -> None:
        super().write_message(message)
        if len([one for one in self.messages if one["type"] == "RECORD"]) == self._nth:
            self.stop.signal = signal.SIGTERM


def of_october(state: Message) -> Message:
    """Return a state as if its first run had been in October, before what a test lets happen in November."""
    streams = {stream: {**bookmark, "began": "2026-10-01T00:00:00Z"} for stream, bookmark in state["bookmarks"].items()}
    return {"bookmarks": streams}


def settings(shop: Shop, **more: Any) -> dict[str, Any]:
    return {"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": f"{shop.url}/admin", **more}


def tap_for(
    shop: Shop,
    state: Message | None = None,
    catalog: Message | None = None,
    *,
    limits: Limits | None = None,
    **more: Any,
) -> StoreRun:
    """Return a store's run in this process, which begins at the store's part of a state."""
    config = settings(shop, **more)
    bookmarks = Bookmarks(checked(state or {}))
    return StoreRun(
        config=config,
        state_of=lambda shop_id: bookmarks.state_of(shop_id, alone=True),
        limits=limits,
        catalog=catalog,
        message_writer=Collected(),
        parse_env_config=False,
    )


def run_of(tap: StoreRun) -> Run:
    """Return what a run in this process has put out so far."""
    return Run(tap.message_writer.messages)  # type: ignore[attr-defined]  # it is Collected


def let_it_be(at: datetime, tap: StoreRun) -> None:
    """Let it be so late in a run's shop."""
    tap.store.looked = replace(tap.store.granted, at=at)


def read(shop: Shop, state: Message | None = None, catalog: Message | None = None, **more: Any) -> Run:
    """Run the tap in this process; its errors are raised."""
    tap = tap_for(shop, state, catalog, **more)
    tap.sync()
    return run_of(tap)


def queries(shop: Shop) -> list[Message]:
    """Return the bodies of the GraphQL requests that the shop has seen."""
    return [json.loads(one.body) for one in shop.controls.requests if one.path.endswith("graphql.json")]


def without_nodes_by_id(body: Message) -> Message:
    """Twist an answer of a shop: it has nothing of what was asked for by id."""
    return {**body, "data": {**body["data"], "nodes": []}} if "nodes" in body["data"] else body


def catalog_of(
    shop: Shop, *, deselect: tuple[tuple[str, ...], ...] = (), streams: tuple[str, ...] = ("customers", "orders")
) -> Message:
    """Return the discovered catalog, with streams selected and properties (stream, name, ...) deselected."""
    catalog: Message = tap_for(shop).catalog_dict
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = stream["stream"] in streams
            path = (stream["stream"], *entry["breadcrumb"][1::2])
            if path in deselect:
                entry["metadata"]["selected"] = False
    return catalog


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Run]:
    """Run the command as users do; `config` None leaves it to the environment."""

    def run(config: Message | None, *args: str, state: Message | None = None, env: dict[str, str] | None = None) -> Run:
        told = []
        for name, value in (("config", config), ("state", state)):
            if value is not None:
                (tmp_path / f"{name}.json").write_text(json.dumps(value))
                told += [f"--{name}", str(tmp_path / f"{name}.json")]
        ended = subprocess.run(
            [sys.executable, "-m", "tap_shopify_orders", *told, *args],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, **(env or {})},
        )
        lines = [line for line in ended.stdout.splitlines() if line.startswith('{"type"')]
        return Run([json.loads(line) for line in lines], ended.returncode, ended.stderr)

    return run


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Serve a shop of some seventy orders, some weeks after its last day."""
    with Shop(cdnow_store(LAST_DAY, customers=20), clock=weeks_later()).serve() as served:
        yield served
