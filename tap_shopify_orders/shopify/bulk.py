"""Bulk operations: take a client and a query, return an operation that has ended, and its result in a file.

They know how Shopify runs such operations, but neither Singer nor what the rows mean. A submission whose answer was
lost is looked for before it is sent again; `client.py` decides when.
https://shopify.dev/docs/api/usage/bulk-operations/queries
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import IO, TYPE_CHECKING, Annotated

import msgspec

from tap_shopify_orders.decoding import decoded
from tap_shopify_orders.errors import RunError, printable
from tap_shopify_orders.shopify import query
from tap_shopify_orders.shopify.answers import Busy, Refused
from tap_shopify_orders.shopify.pages import WAIT_SECONDS, patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_shopify_orders.shopify.client import Client

AT_ONCE = 5  # per app and store, since 2026-01: https://shopify.dev/changelog/faster-bulk-operations
FIRST_LOOK_SECONDS = 0.25  # small operations end within seconds, so look soon, then ever less often
LONGEST_LOOK_SECONDS = 30.0
STILL_SECONDS = 3_600.0  # Shopify lets an operation run for ten days; one that counts nothing for an hour is stuck
LOG_SECONDS = 10.0  # how often a long operation is logged
LONGEST_SECONDS = 86_400.0  # of one operation, however many objects it counts; a window takes minutes
_ENDED = ("CANCELED", "COMPLETED", "EXPIRED", "FAILED")
_logger = logging.getLogger("tap-shopify-orders.bulk")
_NO_SLOT = ("OPERATION_IN_PROGRESS", "LIMIT_REACHED")


class Unsuited(RunError):  # noqa: N818  # the class says what to do next
    """Shopify doesn't run this query as a bulk operation."""


_Id = Annotated[str, msgspec.Meta(pattern=r"^gid://shopify/BulkOperation/[0-9]{1,30}$")]  # it stands in the state
_Count = Annotated[str, msgspec.Meta(pattern="^[0-9]{1,15}$")]


class Operation(msgspec.Struct, rename="camel"):
    """A bulk operation, as far as it is; counts are texts of digits."""

    id: _Id
    status: str
    error_code: str | None = None
    object_count: _Count = "0"
    root_object_count: _Count = "0"
    url: str | None = None
    created_at: str = ""  # of the newest alone, as is `query`
    query: str = ""

    @property
    def ended(self) -> bool:
        """Whether it goes on no more."""
        return self.status in _ENDED

    @property
    def trouble(self) -> str:
        """What is wrong with its result, in the rest of a sentence; empty if that is whole.

        A part of a result (`partialDataUrl`) is no result: nothing says what it lacks.
        """
        if self.status != "COMPLETED":
            return f"ended as {printable(self.status)}{f' ({printable(self.error_code)})' if self.error_code else ''}"
        return f"has {self.object_count} objects, but no file" if not self.url and self.object_count != "0" else ""


class _Named(msgspec.Struct):
    id: _Id


class _UserError(msgspec.Struct):
    message: str
    code: str | None = None
    field: list[str] | None = None

    @property
    def is_of_query(self) -> bool:
        """Whether it is the query that breaks a rule; else it is the app that may not run any."""
        return self.code == "INVALID" or "query" in (self.field or ())


class _Submitted(msgspec.Struct, rename="camel"):
    user_errors: list[_UserError]
    bulk_operation: _Named | None = None


class _Submission(msgspec.Struct):
    submitted: _Submitted


class _Look(msgspec.Struct):
    operation: Operation | None = None


class _Nodes(msgspec.Struct):
    nodes: list[Operation]


class _Newest(msgspec.Struct):
    newest: _Nodes


_submission = msgspec.json.Decoder(_Submission)
_look = msgspec.json.Decoder(_Look)
_newest = msgspec.json.Decoder(_Newest)


class BulkOperations:
    """The bulk operations of one app on one store; `clock` and `sleep` are those of `time`, in seconds."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the way to the store."""
        self._client, self._sleep = client, sleep
        self.clock = clock

    def submit(self, text: str, since: str) -> str | None:
        """Start an operation; returns its id, or None while all slots are taken. `since` is now, by Shopify's clock.

        One whose submission wasn't answered is looked for before it is submitted again. Raises Unsuited for a query
        that Shopify doesn't run, Denied or Refused where the app may not run any.
        """
        lost = False

        def submitted() -> str | None:
            nonlocal lost
            if lost and (found := self._submitted(text, since)):
                return found
            try:
                answer = self._client.ask_once(query.read("bulk_submit"), {"query": text})
            except Busy:
                lost = True
                raise
            return _started(decoded(answer.data, _submission).submitted)

        return self._client.retrying(submitted)

    def look(self, operation_id: str) -> Operation | None:
        """Return an operation as it is now; None for one that Shopify doesn't know."""
        answer = self._client.ask(query.read("bulk_look"), {"id": operation_id})
        return decoded(answer.data, _look).operation

    def cancel(self, operation_id: str) -> None:
        """Have an operation end, if it hasn't."""
        self._client.ask(query.read("bulk_cancel"), {"id": operation_id})

    def end_of(self, operation_id: str, pause: Callable[[], None]) -> Operation | None:
        """Return an operation once it has ended; None for an unknown one. One that is stuck is cancelled: STUCK.

        It is stuck when it counts no more objects for a while, or goes on for longer than any should.

        `pause` is called several times a second meanwhile.
        """
        began = since = logged = self.clock()
        most, started = 0, False
        for seconds in _waits():
            operation = patiently(partial(self.look, operation_id), pause)
            if operation is None or operation.ended:
                return operation
            objects = int(operation.object_count)
            if objects > most or (not started and operation.status == "RUNNING"):
                most, since, started = max(most, objects), self.clock(), operation.status == "RUNNING" or started
            if self.clock() - since > STILL_SECONDS or self.clock() - began > LONGEST_SECONDS:
                self.cancel(operation_id)
                return msgspec.structs.replace(operation, status="STUCK")
            if self.clock() - logged >= LOG_SECONDS:
                _logger.info("Shopify is still at it: a bulk operation has %s objects so far.", operation.object_count)
                logged = self.clock()
            self.wait(seconds, pause)
        raise AssertionError  # the waits never end

    def save(self, link: str, file: IO[bytes]) -> None:
        """Put a result into an empty file; raises Gone when its link leads nowhere."""
        self._client.save(link, file)

    def wait(self, seconds: float, pause: Callable[[], None]) -> None:
        """Let time pass, while `pause` is called."""
        ends = self.clock() + seconds
        while (left := ends - self.clock()) > 0:
            pause()
            self._sleep(min(left, WAIT_SECONDS))

    def _submitted(self, text: str, since: str) -> str | None:
        answer = self._client.ask(query.read("bulk_newest"))
        newest = decoded(answer.data, _newest).newest.nodes
        return next(
            (operation.id for operation in newest if operation.query == text and operation.created_at >= since), None
        )


def _started(submitted: _Submitted) -> str | None:
    if submitted.bulk_operation:
        return submitted.bulk_operation.id
    if any(error.code in _NO_SLOT for error in submitted.user_errors):
        return None
    kind = Unsuited if any(error.is_of_query for error in submitted.user_errors) else Refused
    raise kind(printable("; ".join(error.message for error in submitted.user_errors)) or "no reason given")


def _waits() -> Iterator[float]:
    seconds = FIRST_LOOK_SECONDS
    while True:
        yield seconds
        seconds = min(seconds * 1.5, LONGEST_LOOK_SECONDS)
