"""Points and bytes that Shopify's ledger costs: takes sizes of stores, prints tables, which --write puts in README.md.

python -m benchmarks.ledger --write

The tap reads the sandbox's store in this process, as points and bytes are the same on any machine.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from singer_sdk.contrib.msgspec import MsgSpecWriter

from benchmarks.report import placed
from sandbox.shop import Shop
from sandbox.shop.access import MORE_SCOPES, SCOPES
from sandbox.shop.catalog import PRODUCTS
from sandbox.shop.cdnow import cdnow_store
from sandbox.shop.goods import Line, Placed
from sandbox.shop.money import Currencies
from sandbox.shop.store import Store
from tap_shopify_orders.bookmark import Bookmarks
from tap_shopify_orders.state import checked
from tap_shopify_orders.store_run import StoreRun

if TYPE_CHECKING:
    from singer_sdk.singerlib import Message

README = Path(__file__).parent / "README.md"
LAST_DAY = date(2026, 10, 31)
PLACED, SENT = "2026-10-30T12:00:00.000000Z", "2026-10-31T12:00:00.000000Z"
SIZES = {"pages": (50, 250), "bulk": (100, 800)}  # customers of a small and of a larger store
WAITING = (1, 50)  # orders
LEDGER = ["properties", "agreements"]


class Weighed(MsgSpecWriter):
    """Weighs records as they would stand on the wire, and keeps the last state."""

    def __init__(self) -> None:
        self.records = self.size_bytes = 0
        self.state: dict[str, Any] = {}

    def write_message(self, message: Message) -> None:
        """Weigh a message."""
        told: Any = message.to_dict()
        if told["type"] == "RECORD":
            self.records += 1
            self.size_bytes += len(told["record"])
        elif told["type"] == "STATE":
            self.state = copy.deepcopy(told["value"])


@dataclass(frozen=True)
class Cost:
    """What a run took: records of orders, their bytes, the points of all its questions; and the state that it left."""

    orders: int
    size_bytes: int
    points: float
    state: dict[str, Any]


@cache
def store_of(customers: int) -> Store:
    """Return the default store, as if it had so many customers."""
    return cdnow_store(LAST_DAY, customers=customers)


def cost(store: Store, state: dict[str, Any] | None = None, *, ledger: bool = True, **settings: object) -> Cost:
    """Read the orders of a store, with their ledger or without."""
    with Shop(store, scopes=frozenset({*SCOPES, *MORE_SCOPES})).serve() as shop:
        config = {"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": f"{shop.url}/admin", **settings}
        catalog = _run(config).catalog_dict
        for stream in catalog["streams"]:
            for entry in stream["metadata"]:
                if not entry["breadcrumb"]:
                    entry["metadata"]["selected"] = stream["tap_stream_id"] == "orders"
                elif entry["breadcrumb"][: len(LEDGER)] == LEDGER:
                    entry["metadata"]["selected"] = ledger
        run = _run(config, state, catalog)
        run.sync()
        weighed: Any = run.message_writer
        return Cost(weighed.records, weighed.size_bytes, run.store.client.points, weighed.state)


def _run(
    config: dict[str, Any], state: dict[str, Any] | None = None, catalog: dict[str, Any] | None = None
) -> StoreRun:
    bookmarks = Bookmarks(checked(state or {}))
    return StoreRun(
        config=config,
        state_of=lambda shop_id: bookmarks.state_of(shop_id, alone=True),
        catalog=catalog,
        message_writer=Weighed(),
        parse_env_config=False,
    )


def of_orders(method: str, sizes: tuple[int, int], *, ledger: bool) -> tuple[float, float]:
    """Return the points and bytes of an order: the difference of two stores, which leaves out what a start takes."""
    small, large = (cost(store_of(customers), ledger=ledger, method=method) for customers in sizes)
    more = large.orders - small.orders
    return (large.points - small.points) / more, (large.size_bytes - small.size_bytes) / more


def waiting_store(orders: int, *, of_returns: bool) -> Store:
    """Return a store of orders that wait for a parcel, or for what is to come back; and of one more, changed last."""
    store = Store()
    for number in range(1, orders + 2):
        line = Line(PRODUCTS[0], 2, Decimal(10))
        name = store.add_order(Placed(PLACED, number, [line], Currencies("USD", "USD")))["name"]
        if number > orders:
            store.change_order(name, "2026-11-02T12:00:00.000000Z", note="the bookmark lies beyond all others")
        elif of_returns:
            store.open_return(name, SENT, 1)
        else:
            store.fulfill_order(name, SENT)
            store.order(name)["fulfillments"][0]["displayStatus"] = "IN_TRANSIT"
    return store


def of_waiting(orders: int, *, of_returns: bool) -> float:
    """Return the points that it takes to look again at so many orders of which none has changed."""
    store = waiting_store(orders, of_returns=of_returns)
    first = cost(store, lookback_seconds=0)
    looks, passes = (cost(store, first.state, lookback_seconds=0, look_again_days=days) for days in (30, 0))
    return looks.points - passes.points


def tables(sizes: dict[str, tuple[int, int]]) -> str:
    """Return both tables as Markdown."""
    lines = [
        "| | points an order by pages | points an order by bulk | bytes of an order's record |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, ledger in (("without `agreements`", False), ("all fields", True)):
        (pages, size_bytes), (bulk, _) = (of_orders(method, sizes[method], ledger=ledger) for method in sizes)
        lines.append(f"| {name} | {pages:.1f} | {bulk:.2f} | {size_bytes:,.0f} |")
    few, many = WAITING
    lines += [
        "",
        f"| orders that wait, none of which has changed | points for {few} | points for {many} |",
        "| --- | ---: | ---: |",
    ]
    for name, of_returns in (("for a parcel, a payment or attribution", False), ("for a return", True)):
        points = [of_waiting(orders, of_returns=of_returns) for orders in WAITING]
        lines.append(f"| {name} | {points[0]:.0f} | {points[1]:.0f} |")
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--write", is_flag=True, help="Write the tables into benchmarks/README.md.")
def main(*, write: bool) -> None:
    """Measure and print."""
    today = datetime.now(timezone.utc).date()
    customers = "; ".join(f"{few} and {many} customers by {method}" for method, (few, many) in SIZES.items())
    part = f"`python -m benchmarks.ledger --write`, {today}: {customers}.\n\n{tables(SIZES)}"
    click.echo(part)
    if write:
        README.write_text(placed(README.read_text(), "ledger", part))


if __name__ == "__main__":
    main()
