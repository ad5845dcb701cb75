"""CPU, memory and disk of receipts: takes how many there are, prints what an event costs that is known, and a new one.

python -m benchmarks.receipts --receipts 4000000
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from target_posthog.mapping.event import Entity, RunningMoney, uuid_of
from target_posthog.receipts.sifter import Candidate, Sifted, Sifter, digest_of
from target_posthog.receipts.sqlite import SqliteStore
from target_posthog.receipts.store import TABLES
from target_posthog.singer.process import collect_less_garbage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.mapping.event import Event

AT_ONCE = 1_000  # as the queue does
MOMENTS = [
    f"2026-10-{day:02}T{hour:02}:{minute:02}:07Z" for day in range(1, 31) for hour in range(24) for minute in range(60)
]
FACTS_OF_AN_ORDER = 4
PROPERTIES = {
    **{f"property_{number}": f"value {number}" for number in range(30)},
    "products": [{"product_id": "632910392", "sku": "SKU-1", "name": "A thing", "price": 14.5, "quantity": 1}] * 3,
    "currency": "USD",
}
AMOUNTS = {"gross_sales": 50, "discounts": -5, "net_sales": 43.5, "shipping": 5, "taxes": 4.85, "total_sales": 53.35}
OTHER_AMOUNTS = ("returns", "duties", "additional_fees", "return_fees", "tips", "gift_cards")
RUNNING = RunningMoney((*AMOUNTS, *OTHER_AMOUNTS), ("currency",))
MONEY = json.dumps([{name: str(amount) for name, amount in AMOUNTS.items()}, {"currency": "USD"}])


class Tally:
    """Counts nothing: only the receipts are measured."""

    def note_already_there(self, candidate: Candidate, *, changed: bool) -> None:
        """Pass over an event that is known."""

    def note_repeated(self, candidate: Candidate) -> None:
        """Pass over an event that comes again."""

    def note_not_resent(self, candidate: Candidate) -> None:
        """Pass over an event that isn't sent again."""

    def note_not_due(self, candidate: Candidate) -> None:
        """Pass over an event that isn't due."""

    def note_provisional(self, candidate: Candidate) -> None:
        """Pass over an event that isn't final."""

    def note_never_sent(self, candidate: Candidate) -> None:
        """Pass over an event that has nothing to take back."""

    def note_without_amounts(self, candidate: Candidate) -> None:
        """Pass over an event that takes nothing back."""

    def note_erased(self, candidate: Candidate) -> None:
        """Pass over an event of an erased person."""


def candidates(first: int, number: int) -> Iterator[list[Candidate]]:
    """Yield so many events of orders, in parts as a run looks them up."""
    for start in range(first, first + number, AT_ONCE):
        part = []
        for fact in range(start, start + AT_ONCE):
            event: Event = {
                "event": "Order Completed",
                "distinct_id": f"customer{fact // 12}@example.com",
                "uuid": uuid_of(b"%d" % fact),
                "timestamp": MOMENTS[fact // FACTS_OF_AN_ORDER % len(MOMENTS)],
                "properties": PROPERTIES if fact % FACTS_OF_AN_ORDER else {**PROPERTIES, **AMOUNTS},
            }
            entity = Entity(f"gid://shopify/Order/{fact // FACTS_OF_AN_ORDER}", keeps_person=True, money=RUNNING)
            part.append(Candidate(event, "Order Completed", entity, digest=digest_of(event)))  # as the queue gives it
        yield part


def keep(store: SqliteStore, sifted: list[Sifted]) -> None:
    """Write receipts as the queue does."""
    with store.claim([item.fact for item in sifted if item.fact], []):
        pass


def main() -> None:
    """Fill a store, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--receipts", type=int, default=4_000_000)
    parser.add_argument("--events", type=int, default=20_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "receipts.sqlite"
        store = SqliteStore(str(path), "key")
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            fill(database, store.project, asked.receipts)
        size = path.stat().st_size
        sifter = Sifter(store, Tally())
        step = max(AT_ONCE, asked.receipts // (asked.events // AT_ONCE) // AT_ONCE * AT_ONCE)
        known = [part for first in range(0, asked.receipts, step) for part in candidates(first, AT_ONCE)]
        new = list(candidates(asked.receipts, asked.events))
        collect_less_garbage()  # as the target does
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        for part in known:
            for candidate in part:
                digest_of(candidate.event)
        of_digest = (time.process_time() - start) / sum(map(len, known))
        start = time.process_time()
        for part in known:
            sifter.sift(part)
        of_known = (time.process_time() - start) / sum(map(len, known))
        start = time.process_time()
        for part in new:
            sifted = sifter.sift(part)
            keep(store, sifted)
            sifter.acknowledge(sifted)
        of_new = (time.process_time() - start) / sum(map(len, new))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
        print(f"{asked.receipts:,} receipts, {size / max(1, asked.receipts):.0f} bytes of disk for each")
        print(
            f"known: {of_known * 1e6:.1f} us of CPU an event; new: {of_new * 1e6:.1f} us; memory grew by {grown:,} KiB"
        )
        print(f"{of_digest * 1e6:.1f} us more for an event's digest, which the queue makes with receipts and without")


def fill(database: sqlite3.Connection, project: int, number: int) -> None:
    """Write receipts for so many events, order by order, as runs do; the uuids' index is made at the end."""
    database.execute("INSERT OR IGNORE INTO posthog_receipts_kind VALUES (1, 'Order Completed', 'Order Completed')")
    database.execute("BEGIN")
    sql = "INSERT INTO posthog_receipts_entity (project, key, distinct_id) VALUES (?, ?, ?)"
    orders = range(number // FACTS_OF_AN_ORDER)
    entities = ((project, f"gid://shopify/Order/{order}", f"customer{order // 3}@example.com") for order in orders)
    database.executemany(sql, entities)
    database.execute("DROP INDEX posthog_receipts_anchor")
    facts = ((UUID(uuid_of(b"%d" % fact)).bytes, fact) for fact in range(number))
    rows = (
        (project, uuid, 1, order + 1, fact * 7919, 1_790_000_000, fact * 104_729, place == 0)
        for uuid, fact in facts
        for order, place in [divmod(fact, FACTS_OF_AN_ORDER)]
    )
    database.executemany("INSERT INTO posthog_receipts_fact VALUES (?, ?, ?, ?, ?, ?, ?, 0, NULL, ?)", rows)
    money = ((order + 1, UUID(uuid_of(b"%d" % (order * FACTS_OF_AN_ORDER))).bytes, MONEY) for order in orders)
    database.executemany("INSERT INTO posthog_receipts_money VALUES (?, ?, ?)", money)
    database.execute(next(table for table in TABLES if "posthog_receipts_anchor" in table))
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint")  # so that the file's size says what it takes


if __name__ == "__main__":
    main()
