"""Runs of the target against a PostHog on loopback, in this process or in one of their own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import pytest
import sqlalchemy

from target_posthog.singer.target import TargetPostHog
from tests.orchestrate.servers import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.posthog import PostHog
    from target_posthog.mapping.language.functions import JSON

MESSAGES = Path(__file__).parent / "messages"


class Done(NamedTuple):
    """What a process left: its exit code, the STATEs it wrote, and its log."""

    code: int
    states: list[str]
    log: str


def lines(*messages: dict[str, Any]) -> str:
    """Write messages as a tap does."""
    return "".join(json.dumps(message) + "\n" for message in messages)


class Runs:
    """Runs the target against one PostHog."""

    def __init__(self, posthog: PostHog) -> None:
        self.posthog = posthog
        self.settings: dict[str, Any] = {"api_key": "phc_sandbox", "host": posthog.url, "max_retry_seconds": 20}

    def here(self, *messages: dict[str, Any], **settings: JSON) -> TargetPostHog:
        """Run in this process; exceptions arrive as they are raised."""
        target = TargetPostHog(config={**self.settings, **settings})
        target.listen(io.StringIO(lines(*messages)))
        return target

    def script(self, name: str, **settings: JSON) -> TargetPostHog:
        """Run a file of `messages/` in this process."""
        target = TargetPostHog(config={**self.settings, **settings})
        with (MESSAGES / f"{name}.jsonl").open(encoding="utf-8") as file:
            target.listen(file)
        return target

    def process(
        self, folder: Path, environment: dict[str, str] | None = None, **settings: JSON
    ) -> subprocess.Popen[str]:
        """Start the target as a process of its own, as Meltano does."""
        config = folder / "config.json"
        config.write_text(json.dumps({**self.settings, **settings}))
        return subprocess.Popen(
            [sys.executable, "-m", "target_posthog", "--config", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )

    def process_of(self, folder: Path, *messages: dict[str, Any], **settings: JSON) -> Done:
        """Run the target as a process of its own from the first message to the end."""
        process = self.process(folder, **settings)
        said, logged = process.communicate(lines(*messages), timeout=60)
        return Done(process.returncode, said.splitlines(), logged)


@pytest.fixture(scope="session")
def database_server() -> Iterator[str]:
    """A PostgreSQL, as the URL of its database."""
    with postgres() as environment:
        yield environment["MELTANO_DATABASE_URI"]


@pytest.fixture
def database_of_receipts(database_server: str) -> str:
    """A place of its own in the PostgreSQL, as a URL."""
    schema = f"receipts_{uuid4().hex}"
    engine = sqlalchemy.create_engine(database_server)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    engine.dispose()
    return f"{database_server}&options=-csearch_path%3D{schema}"


@pytest.fixture
def runs(posthog: PostHog) -> Runs:
    """Runs of the target against the fixture `posthog`."""
    return Runs(posthog)
