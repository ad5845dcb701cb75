"""PostHog's grammar and ClickHouse, for the tests here: a line of JSON to a process, a line of JSON back."""

from __future__ import annotations

import copy
import json
import select
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.outside.environments import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
LONGEST_ANSWER_SECONDS = 20


class Process:
    """A process that answers each line with one."""

    def __init__(self, *command: str) -> None:
        if not Path(command[0]).exists() and "/" in command[0]:
            raise FileNotFoundError(f"{command[0]} isn't there: make test-outside makes it")
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, value: Any) -> Any:
        self._process.stdin.write(json.dumps(value).encode() + b"\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], LONGEST_ANSWER_SECONDS)
        assert ready, "no answer"
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Grammar(Process):
    """PostHog's own parser of HogQL."""

    def __init__(self) -> None:
        super().__init__("node", str(HERE / "grammar.mjs"), str(OUTSIDE / "hogql-node"))
        self._trees: dict[str, dict[str, Any]] = {}  # it is slow: a tenth of a second for a question, more at first

    def tree(self, query: str) -> dict[str, Any]:
        """Return a query's syntax tree; raises SyntaxError as PostHog would refuse it."""
        if query not in self._trees:
            self._trees[query] = self.ask(query)
        tree = self._trees[query]
        if tree.get("error"):
            raise SyntaxError(tree["message"])
        return copy.deepcopy(tree)


class ClickHouse(Process):
    """ClickHouse with PostHog's table of events."""

    def __init__(self) -> None:
        super().__init__(str(OUTSIDE / "hogql" / "bin" / "python"), str(HERE / "clickhouse.py"))

    def rows(self, statement: str) -> list[list[Any]]:
        """Run a statement; raises ValueError with ClickHouse's words."""
        said = self.ask(statement)
        if "error" in said:
            raise ValueError(said["error"])
        return said["rows"]


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield a syntax tree's nodes."""
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(child)
    if isinstance(tree, dict) and "node" in tree:
        yield tree
