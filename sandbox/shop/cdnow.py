"""Real purchases become a shop, in: the CDNOW sample and a last day; out: a filled store, always the same.

The purchases keep their spacing and their dollars (an order's subtotal); who bought, what it was and what became of it
is made up by `buyers` and `lives`. Knows no GraphQL. Source and licence of the data: data/README.md.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.shop import customers as customer_nodes
from sandbox.shop import journeys, lives, totals
from sandbox.shop.buyers import Buyer
from sandbox.shop.extras import extras
from sandbox.shop.situations import Situation, happen_to_people
from sandbox.shop.store import Store
from sandbox.shop.store_data import FIRST_ID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from sandbox.shop.orders import Order

SAMPLE = Path(__file__).parent / "data" / "cdnow_sample.txt.gz"
CDNOW_DOLLARS = Decimal("244091.94")  # the sum of the file
BUYERS = 2_357  # numbered from 1
FIRST_CUSTOMER = 7_000_000_000_000


@dataclass(frozen=True)
class Purchase:
    """One line of the sample: so many CDs for so many dollars on a day."""

    buyer: int
    day: date
    quantity: int
    dollars: Decimal


@cache
def purchases() -> tuple[Purchase, ...]:
    """Return the whole sample in the order of the file."""
    rows = (line.split() for line in gzip.decompress(SAMPLE.read_bytes()).decode().splitlines())
    return tuple(
        Purchase(int(buyer), date(int(day[:4]), int(day[4:6]), int(day[6:])), int(quantity), Decimal(dollars))
        for _, buyer, day, quantity, dollars in rows
    )


def cdnow_store(
    last_day: date,
    customers: int | None = None,
    *,
    copies: int = 1,
    ids_after: int = 0,
) -> Store:
    """Return a store whose purchases end on `last_day` (UTC), of the first so many buyers or of all.

    The net sales of its USD orders as they were placed, without test orders, sum up to 244,091.94, if nobody is left
    out; merchants change some of them later. With `copies`, so many times as many people buy the same on the same days.
    `ids_after` is added to the ids of customers, orders and what belongs to them: in Shopify no two stores share one.
    """
    shift = last_day - max(one.day for one in purchases())
    chosen = [
        replace(one, buyer=number) if copy else one
        for copy in range(copies)
        for one in purchases()
        if (number := one.buyer + copy * BUYERS) and (customers is None or number <= customers)
    ]
    store = Store()
    store.ids = count(FIRST_ID + ids_after)
    end = datetime(last_day.year, last_day.month, last_day.day, tzinfo=timezone.utc) + timedelta(days=1)
    buyers = {number: Buyer.of(number) for number in dict.fromkeys(one.buyer for one in chosen)}
    timed = sorted(
        ((_moment(one, shift, buyers[one.buyer].random), one) for one in chosen),
        key=lambda pair: (pair[0], pair[1].buyer),
    )
    nodes: dict[int, dict[str, Any]] = {}
    placed: list[Order] = []
    for number, (at, one) in enumerate(timed, 1001):
        buyer = buyers[one.buyer]
        if one.buyer not in nodes:
            nodes[one.buyer] = buyer.customer(FIRST_CUSTOMER + ids_after + one.buyer, at)
        life = lives.Life(buyer, nodes[one.buyer], store.ids, at, end, Situation(number, store.ids, end))
        placed.append(life.order(number, one.quantity, one.dollars))
    more = extras(store.ids, end, len(timed) + 1001)
    lives.tag_at_once(placed, end)
    _fill(store, [*nodes.values(), *more.customers], [*placed, *more.orders])
    happen_to_people(store, end)
    return store


def _moment(one: Purchase, shift: timedelta, random: Random) -> datetime:
    """Return when in the day a purchase happened: between 6 and 24 h UTC, to the microsecond."""
    day = one.day + shift
    start = datetime(day.year, day.month, day.day, 6, tzinfo=timezone.utc)
    return start + timedelta(microseconds=random.randrange(64_800_000_000 - 1))


def _fill(store: Store, people: Sequence[dict[str, Any]], placed: Sequence[Order]) -> None:
    """Settle orders, then the customers they belong to, and fill the store."""
    of_customer: dict[str, list[Order]] = {}
    for one in placed:
        totals.settle(one)
        if one["customer"]:
            of_customer.setdefault(one["customer"]["id"], []).append(one)
    for person in people:
        mine = sorted(of_customer.get(person["id"], []), key=lambda one: one["processedAt"])
        customer_nodes.settle(person, mine)
        journeys.count(mine)
        person["updatedAt"] = max([person["updatedAt"], *(one["updatedAt"] for one in mine)])
    store.fill(people, placed)
