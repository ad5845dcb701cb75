"""Previews of a few sales, and the commands that read them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from target_posthog.commands.group import commands
from target_posthog.preview.file import PreviewFile

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runs
    from target_posthog.mapping.language.functions import JSON

SALE = {
    "event": "Sale",
    "distinct_id": "email",
    "timestamp": "created_at",
    "key": ["id"],
    "properties": {"revenue": "number(total)", "currency": "'USD'", "note": "note"},
}
RULES = [SALE, {"leave_out": "gifts", "when": "total == '0'"}]
SCHEMA = {
    "type": "SCHEMA",
    "stream": "sales",
    "key_properties": ["id"],
    "schema": {
        "properties": {
            "id": {"type": "integer"},
            "email": {"type": ["null", "string"]},
            "created_at": {"type": ["null", "string"]},
            "total": {},
            "note": {},
        }
    },
}


def sale(number: int, **more: JSON) -> dict[str, Any]:
    record = {"id": number, "email": f"jane{number}@example.com", "created_at": "2026-11-01T00:00:00Z", **more}
    return {"type": "RECORD", "stream": "sales", "record": record}


class Previews:
    """Previews in one file."""

    def __init__(self, runs: Runs, folder: Path) -> None:
        self.runs = runs
        self.path = folder / "shown" / "preview.sqlite"

    def make(self, *messages: dict[str, Any], **settings: JSON) -> dict[str, Any]:
        """Preview and return the plan."""
        settings = {"mappings": {"sales": RULES}, "api_key": None, **settings}
        self.runs.here(SCHEMA, *messages, preview_path=str(self.path), **settings)
        return self.plan()

    def plan(self) -> dict[str, Any]:
        with closing(PreviewFile(str(self.path))) as file:
            return file.plan()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as database:
            return database.execute(sql).fetchall()

    def command(self, *arguments: str, **environment: str) -> str:
        """Run a command that succeeds."""
        code, said = self._done(arguments, environment)
        assert code == 0, said
        return said

    def mistake(self, *arguments: str, **environment: str) -> str:
        """Run a command whose last line is why it fails."""
        code, said = self._done(arguments, environment)
        assert code == 1
        assert "Traceback" not in said
        return said.splitlines()[-1]

    def _done(self, arguments: tuple[str, ...], environment: dict[str, str]) -> tuple[int, str]:
        variables = {"TARGET_POSTHOG_PREVIEW_PATH": str(self.path), **environment}
        done = CliRunner().invoke(commands, arguments, env=variables)
        return done.exit_code, done.output
