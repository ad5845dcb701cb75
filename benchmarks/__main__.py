"""How fast tap and target are on this machine, in: sizes of stores; out: tables, which --write puts into README.md.

Each row is a process or a pipe of its own, against a shop and a taker of events in another process.
"""

from __future__ import annotations

import pstats
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmarks.bench import Bench
from benchmarks.report import machine, placed, table
from benchmarks.served import Servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.report import Row

README = Path(__file__).parent / "README.md"
MOST_ORIGINALS = 10_000  # orders; a larger store has copies of them
MOST_BY_PAGES = 100_000  # more would take hours at a real store's rate limit; and enough for whatever is slow
SIZES = (10_000, 100_000, 1_000_000)
PROFILE_LINES = 40

RATIOS = ("wall, ours = 1", "CPU, ours = 1")
TAP = ("run", "wall s", "records/s", "CPU s", "records/CPU s", "peak MiB", "requests", "points", "MiB moved", *RATIOS)
TARGET = ("run", "wall s", "events", "lost", "events/s", "CPU s", "peak MiB", "requests", "MiB moved", *RATIOS)
START = ("run", "wall s", "CPU s", "peak MiB")
MANY_TAP = (
    *("orders", "run", "wall s", "records/s", "records/CPU s", "CPU s/1,000 orders", "peak MiB"),
    *("requests", "requests/1,000 orders", "points/1,000 orders", "MiB moved"),
)
MANY_TARGET = ("orders", "run", "wall s", "events", "lost", "events/s", "CPU s", "CPU s/1,000 orders", "peak MiB")
MANY_BOTH = (
    *("orders", "run", "wall s", "orders/s", "events", "lost", "events/s", "first event s"),
    *("CPU s", "CPU s/1,000 orders", "peak MiB", "requests", "points"),
)


def alternatives(bench: Bench, _: Sequence[int]) -> str:
    """Return tables of tap and target beside what a user could take instead."""
    targets = [bench.target(), bench.bare_target(), bench.default_client(), bench.plain_target()]
    far = [bench.target("target, far", "far"), bench.default_client("default client, far", "far")]
    taps = [bench.tap("tap", "pages"), bench.bare_tap("bare tap", "pages"), bench.plain_tap()]
    return "\n\n".join(
        [
            f"{bench.customers:,} customers and {bench.orders:,} orders.",
            table(targets, TARGET, compared=True),
            table(far, TARGET, compared=True),
            table(taps, TAP, compared=True),
            table(bench.starts(), START),
        ]
    )


def tap(bench: Bench, sizes: Sequence[int]) -> str:
    """Return a table of the tap alone, by pages and by bulk operations, of stores of all sizes."""
    rows: list[Row] = []
    for size in _each(bench, sizes):
        if size <= MOST_BY_PAGES:
            rows.append(bench.tap("by pages", "pages"))
            rows.append(bench.tap("by pages, 40 fields", "pages", few_fields=True))
            rows.append(bench.tap("by bulk, 40 fields", "bulk", few_fields=True))
        rows.append(bench.tap("by bulk", "bulk"))
        rows.append(bench.bare_tap("bare limit by bulk", "bulk"))
    return table(rows, MANY_TAP)


def target(bench: Bench, sizes: Sequence[int]) -> str:
    """Return a table of the target alone, and of what else could send the events."""
    rows: list[Row] = []
    for size in _each(bench, sizes):
        rows.append(bench.target())
        rows += [bench.bare_target(), bench.default_client()] if size <= MOST_BY_PAGES else []
    return table(rows, MANY_TARGET)


def both(bench: Bench, sizes: Sequence[int]) -> str:
    """Return a table of the pair, in a pipe and through Meltano, also when nothing has changed since."""
    rows: list[Row] = []
    for size in _each(bench, sizes):
        rows += [bench.pair("bulk"), bench.pair_again("bulk"), *bench.pairs_with_receipts("bulk")]
        if size <= MOST_BY_PAGES:
            rows += [*bench.meltano("bulk"), *bench.meltano("bulk", few_fields=True)]
    return table(rows, MANY_BOTH)


def stores(bench: Bench, _: Sequence[int]) -> str:
    """Return a table of eight stores on one machine."""
    return table([bench.pair("bulk"), *bench.stores("bulk")], MANY_BOTH)


def _each(bench: Bench, sizes: Sequence[int]) -> Iterator[int]:
    """Yield the sizes, each while the store is so large."""
    for size in sizes:
        bench.copies = round(size / min(sizes[0], MOST_ORIGINALS))
        yield size


PARTS: dict[str, Callable[[Bench, Sequence[int]], str]] = {
    "alternatives": alternatives,
    "tap": tap,
    "target": target,
    "both": both,
    "stores": stores,
}


@click.command(help=__doc__)
@click.option("--orders", multiple=True, type=int, default=SIZES, show_default=True, help="About so many; repeatable.")
@click.option("--times", default=3, show_default=True, help="Runs of each row, of which it is the median.")
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)), help="One of the parts; repeatable.")
@click.option("--write", is_flag=True, help="Write the parts into benchmarks/README.md.")
@click.option("--profile", type=click.Choice(["pages", "bulk", "target"]), help="Show instead where the CPU time goes.")
def main(orders: Sequence[int], times: int, only: Sequence[str], *, write: bool, profile: str | None) -> None:
    """Measure and print."""
    here, sizes = machine(), sorted(orders)
    originals = min(sizes[0], MOST_ORIGINALS)
    with tempfile.TemporaryDirectory() as folder, closing(Servers(originals)) as servers:
        bench = Bench(servers, Path(folder), times)
        if profile:
            pstats.Stats(str(bench.profiled(profile))).strip_dirs().sort_stats("tottime").print_stats(PROFILE_LINES)
            return
        for name in only or PARTS:
            bench.copies = 1
            options = "".join(f" --orders {size}" for size in sizes)
            said = f"`python -m benchmarks --only {name}{options} --times {times} --write`, {here}."
            part = f"{said}\n\n{PARTS[name](bench, sizes)}"
            click.echo(part + "\n")
            if write:
                README.write_text(placed(README.read_text(), name, part))


if __name__ == "__main__":
    main()
