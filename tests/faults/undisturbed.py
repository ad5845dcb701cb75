"""A run that nothing disturbs, in: stores; out: what PostHog should have, and which events each record becomes.

Knows no faults.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.posthog import PostHog
from target_posthog.mapping.document import active, load
from target_posthog.mapping.meanings import StreamMapping
from tests.faults.checks import Facts, Written, identity_of
from tests.faults.pipes import LONGEST_RUN_SECONDS
from tests.faults.world import read_by, shops_of
from tests.pipeline.meltano_project import SCRIPTS, quiet_environment

if TYPE_CHECKING:
    from sandbox.shop import Shop


@dataclass(frozen=True)
class Undisturbed:
    """The facts that a run leaves, and the records that it read."""

    facts: Facts
    written: tuple[Written, ...]


@cache
def of_untouched(customers: int, stores: int) -> Undisturbed:
    """Return what an undisturbed run makes of so many stores of so many buyers; it runs once a process."""
    return of(shops_of(customers, stores))


def of(shops: list[Shop]) -> Undisturbed:
    """Return what an undisturbed run makes of stores as they are: tap into a file, then the file into the target."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        posthog = opened.enter_context(PostHog().serve())
        tap, keys = read_by([opened.enter_context(shop.serve()) for shop in shops])
        messages = _run(folder, "tap-shopify-orders", tap, keys)
        _run(folder, "target-posthog", {"api_key": posthog.api_key, "host": posthog.url}, given=messages)
        return Undisturbed(Facts.of(posthog, stores=len(shops)), tuple(_written(messages)))


def _run(
    folder: Path, command: str, settings: dict[str, Any], keys: dict[str, str] | None = None, given: Path | None = None
) -> Path:
    """Run a command, with `keys` in its environment, on what is given; returns the file with its messages."""
    config, messages = folder / f"{command}.json", folder / f"{command}.jsonl"
    config.write_text(json.dumps(settings))
    with (given or config).open("rb") as stdin, messages.open("wb") as stdout:
        ended = subprocess.run(
            [SCRIPTS / command, "--config", config],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=quiet_environment() | (keys or {}),
            timeout=LONGEST_RUN_SECONDS,
        )
    if ended.returncode:
        raise RuntimeError(
            f"{command} ended with {ended.returncode}, though nothing disturbed it:\n{ended.stderr.decode()}"
        )
    return messages


def _written(messages: Path) -> list[Written]:
    """Return the records among the messages, with their events by the shipped mapping."""
    mappings = {
        stream: StreamMapping(stream, active(rules), identity="email")
        for stream, rules in load("ecommerce")["streams"].items()
        if rules  # of the shop's sales by day the target makes no event
    }
    written = []
    for line in messages.read_text().splitlines():
        message = json.loads(line)
        if message["type"] == "RECORD" and message["stream"] in mappings:
            record, mapping = message["record"], mappings[message["stream"]]
            events = [] if mapping.reason_to_leave_out(record) else mapping.events(record)
            identities = frozenset(map(identity_of, events))
            key = record["admin_graphql_api_id"].removeprefix("gid://shopify/")
            written.append(Written(record["shop_id"], message["stream"], key, record["updated_at"], identities))
    return written
