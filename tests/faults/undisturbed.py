"""A run that nothing disturbs, in: a store; out: what PostHog should have, and which events each record becomes.

Knows no faults.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.posthog import PostHog
from sandbox.shop import Shop
from target_posthog.mapping import StreamMapping
from target_posthog.rules import active, load
from tests.faults.checks import Facts, Written
from tests.faults.pipes import LONGEST_RUN_SECONDS
from tests.faults.world import store_of
from tests.pipeline.meltano_project import SCRIPTS, quiet_environment

if TYPE_CHECKING:
    from sandbox.shop.store import Store


@dataclass(frozen=True)
class Undisturbed:
    """The facts that a run leaves, and the records that it read."""

    facts: Facts
    written: tuple[Written, ...]


@cache
def of_untouched(customers: int) -> Undisturbed:
    """Return what an undisturbed run makes of the store of so many buyers; it runs once a process."""
    return of(store_of(customers))


def of(store: Store) -> Undisturbed:
    """Return what an undisturbed run makes of a store as it is now: tap into a file, then the file into the target."""
    with tempfile.TemporaryDirectory() as name, Shop(store).serve() as shop, PostHog().serve() as posthog:
        folder = Path(name)
        tap = {"store": "sandbox", "access_token": shop.settings.access_token, "admin_url": f"{shop.url}/admin"}
        messages = folder / "messages.jsonl"
        _run(folder, "tap-shopify-orders", tap, out=messages)
        _run(folder, "target-posthog", {"api_key": posthog.api_key, "host": posthog.url}, given=messages)
        return Undisturbed(Facts.of(posthog), tuple(_written(messages)))


def _run(
    folder: Path, command: str, settings: dict[str, str], *, given: Path | None = None, out: Path | None = None
) -> None:
    config = folder / f"{command}.json"
    config.write_text(json.dumps(settings))
    messages = out or folder / "states.jsonl"
    with (given or config).open("rb") as stdin, messages.open("wb") as stdout:
        subprocess.run(
            [SCRIPTS / command, "--config", config],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=quiet_environment(),
            timeout=LONGEST_RUN_SECONDS,
            check=True,
        )


def _written(messages: Path) -> list[Written]:
    """Return the records among the messages, with their events by the shipped mapping."""
    mappings = {
        stream: StreamMapping(stream, active(rules), identity="email")
        for stream, rules in load("ecommerce")["streams"].items()
    }
    written = []
    for line in messages.read_text().splitlines():
        message = json.loads(line)
        if message["type"] == "RECORD":
            record, mapping = message["record"], mappings[message["stream"]]
            events = [] if mapping.reason_to_leave_out(record) else mapping.events(record)
            identities = frozenset((one["uuid"], one["event"], one["distinct_id"], one["timestamp"]) for one in events)
            key = record["admin_graphql_api_id"].removeprefix("gid://shopify/")
            written.append(Written(message["stream"], key, record["updated_at"], identities))
    return written
