"""Many shops and one PostHog on this machine, and Meltano runs of them at once, as an engine starts them."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from orchestrate.dags.store_runs import COMMAND, Environment, store_runs
from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tests.pipeline.meltano_project import LONGEST_RUN_SECONDS, SCRIPTS, Project, place_project, quiet_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAST_DAY = date(2026, 10, 31)
EVENTS_PER_SECOND = 250


@dataclass
class Many:
    """Stores, each with a last day and a token of its own, so that no store's bookmark or key could be another's."""

    shops: dict[str, Shop]
    posthog: PostHog
    project: Project

    @property
    def stores(self) -> list[dict[str, str]]:
        """The list of stores, as a user writes it."""
        return [
            {"store": name, "access_token_env": token_of(name), "admin_url": f"{shop.url}/admin"}
            for name, shop in self.shops.items()
        ]

    def run_all(self) -> list[int]:
        """Start a run per store, all at once; returns their exit codes in the order of the stores."""
        return self.run(store_runs(self.stores, EVENTS_PER_SECOND))

    def run(self, environments: list[Environment]) -> list[int]:
        """Start a run per environment, all at once; returns their exit codes."""
        return [run.wait(LONGEST_RUN_SECONDS) for run in self.start(environments)]

    def start(self, environments: list[Environment]) -> list[subprocess.Popen[bytes]]:
        """Start a run per environment, and don't wait."""
        runs = []
        for one in environments:
            with (self.project.folder / f"{one['MELTANO_RUN_STATE_ID_SUFFIX']}.log").open("ab") as log:
                command = [SCRIPTS / "meltano", *COMMAND.split()[1:]]
                environment = self.project.environment | one
                runs.append(subprocess.Popen(command, cwd=self.project.folder, env=environment, stdout=log, stderr=log))
        return runs

    def log(self, name: str) -> str:
        """What the runs of a store have said."""
        return (self.project.folder / f"{name}.log").read_text()

    def states(self) -> dict[str, dict[str, Any]]:
        """The states that the backend keeps, complete and partial, each by the store or part that is its suffix."""
        exported = json.loads(self.project.run("state", "export").stdout)
        prefix = "prod:tap-shopify-orders-to-target-posthog:"
        assert all(one.startswith(prefix) for one in exported), "no run has a state of another name"
        return {one.removeprefix(prefix): state for one, state in exported.items()}


IDS_OF_A_STORE = 1_000_000  # as in Shopify, where no id is in two stores


def token_of(name: str) -> str:
    """The name of the environment variable with a store's token."""
    return f"SHOPIFY_{name.upper().replace('-', '_')}_TOKEN"


def bookmarks(state: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """Number of the shop and bookmark per stream, of a complete state that knows one store."""
    assert not state["partial"], "the run came to its end"
    found = {}
    for stream, kept in state["completed"]["singer_state"]["bookmarks"].items():
        (partition,) = kept["partitions"]
        found[stream] = (partition["context"]["shop_id"], partition["replication_key_value"])
    return found


@contextmanager
def many(folder: Path, place: Environment, count: int, customers: int = 10) -> Iterator[Many]:
    """Serve so many shops, `store-1` and on, and a PostHog; their project's state is at `place`."""
    place_project(folder)
    with ExitStack() as opened:
        shops, tokens = {}, {}
        for number in range(1, count + 1):
            name = f"store-{number}"
            store = cdnow_store(
                LAST_DAY - timedelta(days=number),
                customers=customers,
                ids_after=number * IDS_OF_A_STORE,
            )
            store.shop.update(id=f"gid://shopify/Shop/{number}", myshopifyDomain=f"{name}.myshopify.com")
            tokens[token_of(name)] = f"shpat_{number}"
            shops[name] = opened.enter_context(Shop(store, access_token=f"shpat_{number}").serve())
        posthog = opened.enter_context(PostHog().serve())
        settings = {
            "MELTANO_ENVIRONMENT": "prod",
            "POSTHOG_API_KEY": "phc_sandbox",
            "POSTHOG_HOST": posthog.url,
        }
        yield Many(shops, posthog, Project(folder, quiet_environment() | settings | tokens | place))
