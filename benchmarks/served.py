"""The process of the servers, in: how many orders; out: their addresses, and what they saw of a row.

Knows neither tap nor target.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

HERE = Path(__file__).parent


class Servers:
    """The shop and the taker of events in their own process; `shop` and `posthog` are their addresses."""

    def __init__(self, orders: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.servers", str(orders)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE.parent,
        )
        addresses = self._line()
        self.shop, self.posthog, self.since = (addresses[name] for name in ("shop", "posthog", "since"))

    def ask(self, *words: object) -> dict[str, Any]:
        """Return the answer to `reset near|far COPIES` (which counts from zero), `counts` or `questions FILE`.

        The questions of a row go into the file, and the path of the first is the answer: what the process that starts
        the rows holds counts as their memory.
        """
        assert self._process.stdin
        self._process.stdin.write(shlex.join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return self._line()

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=30)

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise click.ClickException("the servers ended: their last words stand above")
        answer: dict[str, Any] = json.loads(line)
        return answer
