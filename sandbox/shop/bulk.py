"""Bulk operations, in: queries that pass the rules, a clock, what a test wants to go wrong; out: operations and files.

Knows how an operation lives and ends, not what its query means: a function writes the rows.
Sources: https://shopify.dev/docs/api/usage/bulk-operations/queries, .../admin-graphql/latest/enums/BulkOperationStatus,
https://shopify.dev/changelog/faster-bulk-operations (five at once).
"""

from __future__ import annotations

import dataclasses
import secrets
import shutil
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any
from weakref import finalize

from graphql import GraphQLError

from sandbox.shop.access import AccessDeniedError
from sandbox.shop.connections import connect
from sandbox.shop.filters import SORT_KEYS
from sandbox.shop.moments import instant
from sandbox.shop.nodes import number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Node = dict[str, Any]
    WriteRows = Callable[[], Iterable[tuple[bool, str]]]

AT_ONCE = 5
LONGEST_RUN = timedelta(days=10)
URL_LIFETIME = timedelta(days=7)
FIRST_ID = 700_000_000_001
ENDED = ("CANCELED", "COMPLETED", "EXPIRED", "FAILED")


class ForbiddenError(Exception):
    """The request is refused as a whole, with status 403."""


# How an app is refused that hasn't been granted bulk operations. An "access-denied error" is all that is documented
# (https://shopify.dev/changelog/partner-apps-must-enable-bulk-operations-before-use); nobody has shown its form.
_REFUSED = "Access denied for bulkOperationRunQuery field. This app can't run bulk queries."
REFUSALS: dict[str, type[Exception]] = {
    "ACCESS_DENIED": AccessDeniedError,
    "no code": GraphQLError,
    "status 403": ForbiddenError,
}
USER_ERROR = "user error"  # of the mutation alone; the others refuse to look at operations as well


@dataclass(frozen=True)
class Outcome:
    """How an operation goes: after so many seconds of the shop's clock it ends with a status.

    `rows` cuts the file of one that doesn't complete; `stalls` lets it run until it is canceled.
    """

    status: str = "COMPLETED"
    error_code: str | None = None
    seconds: float = 0.0
    rows: int | None = None
    stalls: bool = False


@dataclass
class _Run:
    """One operation: its node, what it will come to, and its file once it has ended."""

    node: Node
    outcome: Outcome
    write_rows: WriteRows
    started: datetime
    signature: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(16))
    canceling: bool = False
    ended: datetime | None = None
    file: Path | None = None


class BulkOperations:
    """The bulk operations of one app on one shop."""

    def __init__(self, clock: Callable[[], datetime], *, at_once: int = AT_ONCE, seconds: float = 0.0) -> None:
        self.at_once, self.seconds = at_once, seconds
        self._clock, self._lock = clock, threading.RLock()
        self._runs: dict[str, _Run] = {}
        self._outcomes: list[Outcome] = []
        self._limits_reached = 0
        self._folder: Path | None = None

    def next(self, *outcomes: Outcome) -> None:
        """Decide how the coming operations go, first come first served."""
        with self._lock:
            self._outcomes.extend(outcomes)

    def reach_limit(self, times: int = 1) -> None:
        """Refuse the coming submissions with LIMIT_REACHED."""
        self._limits_reached = times

    def submit(self, query: str, write_rows: WriteRows) -> Node:
        """Start an operation; returns the payload of `bulkOperationRunQuery`."""
        with self._lock:
            if self._limits_reached:
                self._limits_reached -= 1
                return refused("LIMIT_REACHED", "Bulk operations limit reached. Please try again later.", field=None)
            running = [one.node["id"] for one in self._advanced() if one.node["status"] not in ENDED]
            if len(running) >= self.at_once:
                message = f"A bulk query operation for this app and shop is already in progress: {', '.join(running)}."
                return refused("OPERATION_IN_PROGRESS", message, field=None)
            outcome = self._outcomes.pop(0) if self._outcomes else Outcome(seconds=self.seconds)
            node = self._node(query)
            self._runs[node["id"]] = _Run(node, outcome, write_rows, self._clock())
            return {"bulkOperation": dict(node), "userErrors": []}

    def cancel(self, global_id: str) -> Node:
        """Start to cancel an operation; returns the payload of `bulkOperationCancel`."""
        with self._lock:
            run = next((one for one in self._advanced() if one.node["id"] == global_id), None)
            if run is None:
                return {
                    "bulkOperation": None,
                    "userErrors": [{"field": ["id"], "message": "Bulk operation does not exist"}],
                }
            if run.node["status"] in ENDED:
                message = f"A bulk operation cannot be canceled when it is {run.node['status'].lower()}"
                return {"bulkOperation": dict(run.node), "userErrors": [{"field": None, "message": message}]}
            run.canceling = True
            run.node["status"] = "CANCELING"
            return {"bulkOperation": dict(run.node), "userErrors": []}

    def get(self, global_id: str, url: str) -> Node | None:
        """Return an operation as it is now, with links below `url`."""
        with self._lock:
            found = [one for one in self._advanced() if one.node["id"] == global_id]
            return self._linked(found[0], url) if found else None

    def newest(self, url: str) -> Node | None:
        """Return the operation that was started last."""
        with self._lock:
            runs = self._advanced()
            return self._linked(runs[-1], url) if runs else None

    def page(self, args: Node, url: str, matches: Callable[[Node], bool] | None) -> Node:
        """Return a page of operations."""
        with self._lock:
            value = SORT_KEYS["BulkOperation"][args["sortKey"]]
            nodes = [self._linked(one, url) for one in self._advanced()]
            rows = sorted(nodes, key=lambda node: (value(node), number_of(node)))
            return connect(rows, args, lambda node: (value(node), number_of(node)), matches)

    def file(self, number: int, signature: str) -> Path | None:
        """Return the file behind a signed link; None where the signature is wrong or the link has expired."""
        with self._lock:
            run = self._runs.get(f"gid://shopify/BulkOperation/{number}")
            if run is None or run.ended is None or run.signature != signature:
                return None
            return run.file if self._clock() - run.ended <= URL_LIFETIME else None

    def _node(self, query: str) -> Node:
        return {
            "id": f"gid://shopify/BulkOperation/{FIRST_ID + len(self._runs)}",
            "status": "CREATED",
            "type": "QUERY",
            "query": query,
            "createdAt": instant(self._clock()),
            "completedAt": None,
            "errorCode": None,
            "objectCount": "0",
            "rootObjectCount": "0",
            "fileSize": None,
            "url": None,
            "partialDataUrl": None,
        }

    def _advanced(self) -> list[_Run]:
        """Bring every operation to where it is by the clock."""
        for run in self._runs.values():
            self._advance(run)
        return list(self._runs.values())

    def _advance(self, run: _Run) -> None:
        """CREATED is seen once, then RUNNING until the time is over; CANCELING is seen once as well."""
        now, status = self._clock(), run.node["status"]
        if status in ENDED:
            if run.ended is not None and now - run.ended > URL_LIFETIME and status == "COMPLETED":
                run.node["status"] = "EXPIRED"
        elif run.canceling:
            self._end(run, Outcome("CANCELED", rows=run.outcome.rows or 0))
        elif now - run.started > LONGEST_RUN:
            self._end(run, Outcome("FAILED", "TIMEOUT", rows=run.outcome.rows or 0))
        elif not run.outcome.stalls and now - run.started >= timedelta(seconds=run.outcome.seconds):
            self._end(run, run.outcome)
        else:
            run.node["status"] = "RUNNING"

    def _end(self, run: _Run, outcome: Outcome) -> None:
        if self._folder is None:
            self._folder = Path(mkdtemp(prefix="sandbox-bulk-"))
            finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        run.file = self._folder / f"{number_of(run.node)}.jsonl"
        objects = roots = 0
        error_code, status = outcome.error_code, outcome.status
        with run.file.open("w", encoding="utf-8") as file:
            try:
                for is_root, line in run.write_rows():
                    if status != "COMPLETED" and outcome.rows is not None and objects >= outcome.rows:
                        break
                    objects, roots = objects + 1, roots + is_root
                    file.write(line + "\n")
            except GraphQLError:
                status, error_code = "FAILED", "ACCESS_DENIED"
        run.ended, size = self._clock(), run.file.stat().st_size
        run.node.update(
            status=status,
            errorCode=error_code,
            completedAt=instant(run.ended) if status == "COMPLETED" else None,
            objectCount=str(objects),
            rootObjectCount=str(roots),
            fileSize=str(size) if size else None,
        )

    def _linked(self, run: _Run, url: str) -> Node:
        """Return the node with its link: for whole results, or for partial ones; none where there are no rows."""
        node = dict(run.node)
        if node["fileSize"] and run.ended is not None:
            ends = int((run.ended + URL_LIFETIME).timestamp())
            link = f"{url}/bulk/{number_of(node)}.jsonl?Expires={ends}&Signature={run.signature}"
            name = {"COMPLETED": "url", "CANCELED": "partialDataUrl", "FAILED": "partialDataUrl"}.get(node["status"])
            if name:
                node[name] = link
        return node


def without_permission(refusal: str) -> Node:
    """Return the payload for an app that hasn't been granted bulk operations; raises what else refuses it."""
    if refusal == USER_ERROR:
        return refused(None, _REFUSED, field=None)
    raise REFUSALS[refusal](_REFUSED)


def refused(code: str | None, message: str, *, field: list[str] | None) -> Node:
    """Return a payload that says why nothing was started."""
    return {"bulkOperation": None, "userErrors": [{"code": code, "field": field, "message": message}]}
