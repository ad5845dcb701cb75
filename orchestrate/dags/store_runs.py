"""A list of stores comes in; the environment of one Meltano run per store (and month) goes out, and its shell line.

Knows neither Airflow nor what a store's entry means: that goes to the tap as it is, and holds names of secrets only.
No environment holds a secret: Airflow keeps and shows them.
"""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

# The project's own job: a mapper or another target in it holds for every store.
COMMAND = "meltano run sync"

# What PostHog has is remembered beside the state, so that tasks on all machines know it. The worker's shell finds the
# database, whose password would stand in the environment of a task.
RECEIPTS = """case "$MELTANO_DATABASE_URI" in
  postgres*) export TARGET_POSTHOG_RECEIPTS="${TARGET_POSTHOG_RECEIPTS:-$MELTANO_DATABASE_URI}" ;;
esac"""

Store: TypeAlias = "Mapping[str, Any]"
Environment: TypeAlias = "dict[str, str]"


def read_stores(path: Path) -> list[Store]:
    """Return the stores that a YAML or JSON file lists, in the form of the tap's setting `stores`.

    Raises ValueError for a file that holds something else, or a store twice.
    """
    stores = yaml.safe_load(path.read_text())
    if not isinstance(stores, list) or not all(isinstance(one, dict) and one.get("store") for one in stores):
        raise ValueError(f"{path.name} has to be a list of stores, each with its `store`.")
    handles = [handle(one["store"]) for one in stores]
    for twice in sorted({one for one in handles if handles.count(one) > 1}):
        raise ValueError(f"{path.name} names the store {twice} twice.")
    return stores


def handle(store: str) -> str:
    """Return the store's short name: my-store for my-store.myshopify.com and the other forms that the tap takes."""
    return re.sub(r"^(https?://)?(admin\.shopify\.com/store/)?|(\.myshopify\.com)?(/.*)?$", "", store.strip().lower())


def chosen(stores: Iterable[Store], names: Iterable[str]) -> list[Store]:
    """Return the stores of these names, in the list's order, or all if none is named; ValueError for a stranger."""
    named, by_handle = {handle(name) for name in names}, {handle(store["store"]): store for store in stores}
    if strangers := named - by_handle.keys():
        raise ValueError(f"The list of stores has no {', '.join(sorted(strangers))}.")
    return [store for name, store in by_handle.items() if not named or name in named]


def shell_line(command: str) -> str:
    """Return what a shell in the project runs for `command`, from the project's environment if it has one.

    Meltano writes keys into files of a run, as the umask says.
    """
    return f'{RECEIPTS}\numask 077; PATH="$PWD/.venv/bin:$PATH" exec {command}'


def store_runs(stores: Iterable[Store], events_per_second: int) -> list[Environment]:
    """Return the environment of each store's run; its target sends at most so many old events per second."""
    return [_environment(store, handle(store["store"]), events_per_second) for store in stores]


def backfill_runs(stores: Iterable[Store], start: date, end: date, events_per_second: int) -> list[Environment]:
    """Return the environments that bring each store's months from `start` up to, not including, `end`; oldest first.

    Each part has a bookmark of its own, so a part that failed goes on alone and one that is done sends nothing again.
    Raises ValueError for days the wrong way round.
    """
    if start >= end:
        raise ValueError(f"The backfill's start_date, {start}, has to be before its end_date, {end}.")
    stores = list(stores)
    return [
        _environment(
            {**store, "start_date": first.isoformat(), "end_date": last.isoformat()},
            f"{handle(store['store'])}.{first}",
            events_per_second,
        )
        for first, last in months(start, end)
        for store in stores
    ]


def months(start: date, end: date) -> Iterator[tuple[date, date]]:
    """Yield the days [first, last) of each calendar month between the two, cut at both ends."""
    while start < end:
        following = (start.replace(day=1) + timedelta(days=31)).replace(day=1)
        yield start, min(following, end)
        start = following


def _environment(store: Store, run: str, events_per_second: int) -> Environment:
    return {
        "TAP_SHOPIFY_ORDERS_STORES": json.dumps([store], default=str),
        "TARGET_POSTHOG_HISTORICAL_EVENTS_PER_SECOND": str(events_per_second),
        # The state's name in the shared backend: <environment>:tap-shopify-orders-to-target-posthog:<run>
        "MELTANO_RUN_STATE_ID_SUFFIX": run,
        # Meltano 4.4 keeps a running tap's state and catalog in this folder under the tap's name, where runs of several
        # stores take each other's bookmarks: https://github.com/meltano/meltano/issues/8763
        "MELTANO_SYS_DIR_ROOT": f".meltano/stores/{run}",
    }
