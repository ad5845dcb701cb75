"""What many stores cost on this machine, in: how many at once; out: tables, which --write puts into docs/scale.md.

    python -m tests.orchestrate --stores 8 --write

Runs them as the tests do, over a PostgreSQL and the sandbox; `scale.py` does the arithmetic.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import cast

import click

from docs.generate import ROOT, between
from orchestrate.dags.store_runs import store_runs
from sandbox.shop.cost import Bucket
from tests.orchestrate import scale
from tests.orchestrate.many import EVENTS_PER_SECOND, Many, many
from tests.orchestrate.servers import postgres

PAGE = ROOT / "docs" / "scale.md"
CUSTOMERS = 40  # and some 120 orders


class Meter(Bucket):
    """A bucket that knows how much was taken."""

    taken = 0.0

    def take(self, points: float) -> bool:
        """Take points, and count them."""
        given = super().take(points)
        self.taken += points * given
        return given


@click.command()
@click.option("--stores", "count", type=click.IntRange(1, 64), default=8, show_default=True, help="How many at once.")
@click.option("--write", is_flag=True, help="Write the tables into docs/scale.md.")
def main(*, count: int, write: bool) -> None:
    """Run so many stores at once: the first time, again, and again in one run of all."""
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres() as place,
        many(Path(folder), place, count, CUSTOMERS) as stores,
    ):
        for shop in stores.shops.values():
            shop.bucket = Meter(shop.bucket.maximum_available, shop.bucket.restore_rate, shop.clock)
        stores.project.succeed("state", "list")
        apart = store_runs(stores.stores, EVENTS_PER_SECOND)
        together = [
            apart[0]
            | {
                "TAP_SHOPIFY_ORDERS_STORES": json.dumps(stores.stores),
                "TAP_SHOPIFY_ORDERS_STORES_AT_ONCE": str(count),
                "MELTANO_RUN_STATE_ID_SUFFIX": "together",
                "MELTANO_SYS_DIR_ROOT": ".meltano/stores/together",
            }
        ]
        rows = [measure(stores, scale.FIRST, apart), measure(stores, scale.AGAIN, apart)]
        measure(stores, "first run of all", together)
        rows.append(measure(stores, scale.TOGETHER, together))
    for name, table in (("figures", scale.measured(rows)), ("arithmetic", scale.arithmetic(rows))):
        click.echo("\n".join([*table, ""]))
        if write:
            PAGE.write_text(between(PAGE.read_text(), name, "\n".join(table)))


def measure(stores: Many, name: str, environments: list[dict[str, str]]) -> scale.Row:
    """Run them all at once; the shops and the PostHog are in this process, whose own use doesn't count."""
    count, buckets = len(stores.shops), [cast("Meter", shop.bucket) for shop in stores.shops.values()]
    seen, taken = _requests(stores), sum(bucket.taken for bucket in buckets)
    started = time.monotonic()
    cpu, peak = 0.0, 0
    for run in stores.start(environments):
        _, status, used = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        if run.returncode:
            raise click.ClickException(f"{name}: a run failed; {stores.log('store-1')[-2000:]}")
        cpu, peak = cpu + used.ru_utime + used.ru_stime, max(peak, used.ru_maxrss // 1024)
    wall = time.monotonic() - started
    requests, points = _requests(stores) - seen, sum(bucket.taken for bucket in buckets) - taken
    return scale.Row(name, count, round(wall, 1), round(cpu / count, 2), peak, requests / count, points / count)


def _requests(stores: Many) -> int:
    return sum(len(shop.controls.requests) for shop in stores.shops.values())


if __name__ == "__main__":
    main()
