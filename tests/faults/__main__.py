"""Seeded runs under faults, in: how many, and the first seed; out: each run's verdict, and exit code 1 for a violation.

    python -m tests.faults --runs 20 --seed 100
    python -m tests.faults --runs 1 --seed 17 --keep run17     # keeps logs and states in the folder run17

Knows only how to ask for runs and to show them.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import click

from tests.faults import report
from tests.faults.kinds import KINDS
from tests.faults.plan import Plan, plan_of
from tests.faults.runs import Verdict, play

MOST_RUNS = 2_000


@click.command()
@click.option("--runs", type=click.IntRange(1, MOST_RUNS), default=10, show_default=True, help="How many seeds.")
@click.option("--seed", type=int, default=1, show_default=True, help="The first one.")
@click.option("--minutes", type=float, default=60.0, show_default=True, help="Begin no further run after that.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Runs side by side.")
@click.option("--only", type=click.Choice(list(KINDS)), metavar="KIND", help="One fault of this kind in each run.")
@click.option("--keep", type=click.Path(path_type=Path), help="A new folder for logs and states.")
@click.option("--write", is_flag=True, help="Write the verdicts into docs/reliability.md.")
def main(  # noqa: PLR0913  # each is an option
    *, runs: int, seed: int, minutes: float, jobs: int, only: str | None, keep: Path | None, write: bool
) -> None:
    """Break everything that can break, and look whether the promises hold."""
    if keep and keep.exists():
        raise click.BadParameter("that folder is there already", param_hint="--keep")
    started, verdicts = time.monotonic(), list[Verdict]()
    plans = [plan_of(number, only) for number in range(seed, seed + runs)]
    with ProcessPoolExecutor(jobs) as pool:
        for verdict in filter(None, pool.map(partial(_unless_late, started + minutes * 60, keep), plans)):
            verdicts.append(verdict)
            for line in verdict.lines():
                click.echo(line)
    broken = sum(bool(one.broken) for one in verdicts)
    click.echo(f"{len(verdicts)} runs, {broken} with a broken promise, {time.monotonic() - started:.0f} s")
    if write:
        report.write(verdicts)
    sys.exit(broken > 0)


def _unless_late(deadline: float, keep: Path | None, plan: Plan) -> Verdict | None:
    """Play a plan, or nothing after the deadline (monotonic seconds, which processes share)."""
    if time.monotonic() > deadline:
        return None
    folder = keep / str(plan.seed) if keep else None
    if folder:
        folder.mkdir(parents=True)
    return play(plan, folder)


if __name__ == "__main__":
    main()
