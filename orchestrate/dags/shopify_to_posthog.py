"""A list of stores comes in, one task per store goes out: every hour what changed, on demand a backfill month by month.

Knows nothing of Shopify and PostHog: a task is the project's own `meltano run`, in an environment of `store_runs`.
"""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import Param, XComArg, dag, task
from store_runs import COMMAND, Environment, backfill_runs, chosen, read_stores, shell_line, store_runs

PROJECT = Path(__file__).resolve().parents[2]
STORES = Path(os.environ.get("SHOPIFY_POSTHOG_STORES", PROJECT / "orchestrate" / "stores.yml"))

# The pool's slots are events per second: the 2,000 that PostHog's cloud takes of history (pools.json). A task
# holds as many slots as its target may send, so the tasks of both DAGs together keep the limit, whatever these two are.
POOL = "posthog_events_per_second"
SYNC_EVENTS_PER_SECOND = 40  # 50 stores at once, whose old events are few
BACKFILL_EVENTS_PER_SECOND = 250  # 8 parts at once

# After a killed run Meltano takes the store for busy until its heartbeat is five minutes old.
RETRY_DELAY = timedelta(minutes=6)


def meltano(command: str) -> dict[str, object]:
    """Return what makes a BashOperator run Meltano in this project."""
    return {"bash_command": shell_line(command), "cwd": str(PROJECT), "append_env": True}


def run_each(environments: XComArg, events_per_second: int, longest: timedelta, priority: int) -> None:
    """Map one task per environment, after one that opens the state backend."""
    # One task learns that the state can't be reached, not a thousand; and of runs that make a new database's tables at
    # the same moment all but one would fail.
    open_state = BashOperator(task_id="open_state", **meltano("meltano state list --pattern none"))
    run = BashOperator.partial(
        task_id="run",
        **meltano(COMMAND),
        pool=POOL,
        pool_slots=events_per_second,
        priority_weight=priority,
        execution_timeout=longest,
        retries=3,  # each goes on from the last state
        retry_delay=RETRY_DELAY,
        retry_exponential_backoff=True,
        map_index_template="{{ task.env['MELTANO_RUN_STATE_ID_SUFFIX'] }}",
    ).expand(env=environments)
    open_state >> run


@dag(schedule="@hourly", start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False, max_active_runs=1)
def shopify_to_posthog() -> None:
    """Bring what changed in each store."""

    @task
    def stores() -> list[Environment]:
        return store_runs(read_stores(STORES), SYNC_EVENTS_PER_SECOND)

    run_each(stores(), SYNC_EVENTS_PER_SECOND, longest=timedelta(hours=1), priority=2)


@dag(
    schedule=None,
    params={
        "start_date": Param(type="string", format="date", description="first day"),
        "end_date": Param(type="string", format="date", description="the day after the last"),
        "stores": Param([], type="array", items={"type": "string"}, description="their short names; all by default"),
    },
)
def shopify_to_posthog_backfill() -> None:
    """Bring the history of each store, month by month."""

    @task
    def parts(params: dict) -> list[Environment]:
        start, end = (date.fromisoformat(params[name]) for name in ("start_date", "end_date"))
        return backfill_runs(chosen(read_stores(STORES), params["stores"]), start, end, BACKFILL_EVENTS_PER_SECOND)

    run_each(parts(), BACKFILL_EVENTS_PER_SECOND, longest=timedelta(days=1), priority=1)


shopify_to_posthog()
shopify_to_posthog_backfill()
