"""The arithmetic of many stores, in: what one store costs, as measured; out: the tables of docs/scale.md. Pure."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, fields

STORES = (1, 100, 10_000)
HOUR_SECONDS = 3_600

# https://shopify.dev/docs/api/usage/limits: points per second of a store on a Standard plan
RESTORE_RATE = 100
# https://posthog.com/docs/migrate: events per second of a backfill, of all stores together
HISTORICAL_EVENTS_PER_SECOND = 2_000

# The store of the arithmetic. An order's points and events are those of benchmarks/README.md, customers included.
ORDERS_OF_HISTORY = 10_000
ORDERS_A_DAY = 30
POINTS_PER_ORDER = 126
EVENTS_PER_ORDER = 5.3
STORES_PER_RUN = 20


@dataclass(frozen=True)
class Row:
    """What stores cost that were run at once; CPU, requests and points are per store."""

    run: str
    stores: int
    wall_seconds: float
    cpu_seconds: float
    largest_process_mib: int
    requests: float
    points: float

    @classmethod
    def read(cls, line: str) -> Row:
        """Return the row that `lines` wrote."""
        run, *cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
        kinds = (int, float, float, int, float, float)
        return cls(run, *(kind(cell.replace(",", "")) for kind, cell in zip(kinds, cells, strict=True)))


FIRST, AGAIN, TOGETHER = "first run, a run per store", "nothing changed, a run per store", "nothing changed, one run"


def measured(rows: list[Row]) -> list[str]:
    """Return the table of what was measured."""
    heads = [
        "run",
        "stores",
        "wall s",
        "CPU s per store",
        "largest process MiB",
        "requests per store",
        "points per store",
    ]
    assert len(heads) == len(fields(Row))
    cells = [[f"{cell:,}" if isinstance(cell, (int, float)) else cell for cell in astuple(row)] for row in rows]
    return _table(heads, cells)


def arithmetic(rows: list[Row]) -> list[str]:
    """Return the table of what so many stores need, each hour and once."""
    by_run = {row.run: row for row in rows}
    own, together = by_run[AGAIN], by_run[TOGETHER]

    def cores(cpu_seconds: float) -> str:
        return f"{cpu_seconds / HOUR_SECONDS:,.2f} cores"

    def memory(stores: int) -> str:
        at_once = math.ceil(stores * own.cpu_seconds / HOUR_SECONDS)
        return f"{at_once * 3 * own.largest_process_mib / 1024:,.1f} GiB"

    def duration(seconds: float) -> str:
        return f"{seconds:,.0f} s" if seconds < 90 else f"{seconds / HOUR_SECONDS:,.1f} h"

    lines = {
        f"every hour, nothing changed: points of each store's {RESTORE_RATE * HOUR_SECONDS:,}": lambda _n: (
            f"{own.points:,.0f}"
        ),
        "- a run per store (Airflow)": lambda n: cores(n * own.cpu_seconds),
        "- its memory, if runs follow each other without a pause": memory,
        f"- {STORES_PER_RUN} stores per run (`stores`)": lambda n: cores(n * together.cpu_seconds),
        f"{ORDERS_A_DAY} orders a day: events per second": lambda n: (
            f"{n * ORDERS_A_DAY * EVENTS_PER_ORDER / 86_400:,.3f}"
        ),
        f"{ORDERS_OF_HISTORY:,} orders of history: by pages, each store at its own rate": lambda _n: duration(
            ORDERS_OF_HISTORY * POINTS_PER_ORDER / RESTORE_RATE
        ),
        f"- into PostHog, at {HISTORICAL_EVENTS_PER_SECOND:,} events per second": lambda n: duration(
            n * ORDERS_OF_HISTORY * EVENTS_PER_ORDER / HISTORICAL_EVENTS_PER_SECOND
        ),
    }
    heads = ["", *(f"{stores:,} store{'s' * (stores > 1)}" for stores in STORES)]
    return _table(heads, [[name, *(cell(stores) for stores in STORES)] for name, cell in lines.items()])


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [heads, ["---"] + ["--:"] * (len(heads) - 1), *rows]]
