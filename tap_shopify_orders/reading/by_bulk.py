"""Reader by bulk operations: takes windows, returns the rows of each, oldest first, or leaves a window to the pages.

It knows what to do when a bulk operation fails, but neither Singer nor GraphQL.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import deque
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from tap_shopify_orders.errors import RunError
from tap_shopify_orders.moments import as_datetime, utc
from tap_shopify_orders.reading.join import Counted, Incomplete, Rows
from tap_shopify_orders.reading.windows import Window
from tap_shopify_orders.shopify.answers import Busy, Denied, Gone, Refused, TooLarge
from tap_shopify_orders.shopify.bulk import AT_ONCE, BulkOperations, Operation, Unsuited
from tap_shopify_orders.shopify.pages import patiently, result
from tap_shopify_orders.shopify.transport import in_background

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from datetime import datetime

    from tap_shopify_orders.shopify.query import Names, PageQuery

SLOT_SECONDS = 15.0  # how often to ask for a slot while other jobs of the app hold all
SLOT_PATIENCE_SECONDS = 1_800.0
BUFFER_BYTES = 1 << 16
MOST_FAILURES = 2  # then a window is read by pages

_logger = logging.getLogger("tap-shopify-orders.history")


@dataclass(frozen=True)
class Task:
    """A window to be read: `operation` is the id of the one that reads it, once there is one.

    `asks` is a fingerprint of its query, by which a later run tells whether that is still what is wanted.
    """

    window: Window
    operation: str = ""
    asks: str = ""
    failures: int = 0

    @property
    def saved(self) -> dict[str, str | None]:
        """The task as it stands in a state."""
        since = utc(self.window.since) if self.window.since else None
        return {"since": since, "until": utc(self.window.until), "operation": self.operation, "asks": self.asks}

    @classmethod
    def loaded(cls, saved: Mapping[str, str | None], bookmark: datetime | None) -> Task:
        """Return the task of a state; what lies before the bookmark was emitted, so that pages needn't read it."""
        since = as_datetime(saved["since"]) if saved["since"] else None
        task = cls(Window(since, as_datetime(str(saved["until"]))), saved["operation"] or "", saved["asks"] or "")
        if task.operation or not bookmark or not task.window.contains(bookmark):
            return task
        return replace(task, window=Window(bookmark, task.window.until))

    @property
    def by_pages(self) -> bool:
        """Whether bulk operations failed at it too often."""
        return self.failures >= MOST_FAILURES


class _Failed(Exception):  # noqa: N818  # an internal signal
    """An operation came to nothing, for a reason that is the rest of a sentence."""

    def __init__(
        self, reason: str, operation: Operation | None = None, *, for_good: bool = False, too_much: bool = False
    ) -> None:
        super().__init__(reason)
        too_long = operation is not None and (operation.error_code == "TIMEOUT" or operation.status == "STUCK")
        self.too_much = too_much or too_long
        denied = operation is not None and operation.error_code == "ACCESS_DENIED"  # pages tell which field
        self.for_good = for_good or denied


def _let_go(coming: Future[Rows | None]) -> None:
    """Close rows that nobody will read, as the run ends before."""
    rows = None if coming.exception() else coming.result()
    if rows:
        rows.close()


def _no_room(reason: Exception) -> _Failed:
    why = reason.strerror if isinstance(reason, OSError) else reason
    return _Failed(f"has a result for which there is no room in the folder for temporary files ({why})", for_good=True)


@dataclass(frozen=True)
class Form:
    """One way to ask: for the records of a window, with the connections of `nested` inside.

    `asked` returns what to ask for, where the search can't tell a window's records from those around it.
    """

    query: PageQuery
    nested: tuple[Names, ...]
    asked: Callable[[Window], Window]

    def text(self, window: Window) -> str:
        """Return the window's query."""
        return self.query.bulk(self.asked(window).search, self.nested)

    def asks(self, window: Window) -> str:
        """Return a fingerprint of the window's query."""
        return blake2b(self.text(window).encode(), digest_size=8).hexdigest()


class History:
    """Windows read by bulk operations, up to five of them under way, taken oldest first.

    `forms` are the ways to ask as they are now, the best first; `note` is told the tasks whenever they change, right
    after an operation was submitted above all; `now` is Shopify's clock; `pause` is called while there is only to wait.
    `halved` returns the parts of a window that is too much for one operation, each with half of its records at most.
    Where the app may not run bulk operations, pages go on, or the run ends if `has_pages` is false.
    """

    def __init__(  # noqa: PLR0913  # what it asks, tells and waits with
        self,
        bulk: BulkOperations,
        forms: Callable[[], Sequence[Form]],
        *,
        note: Callable[[Sequence[Task]], None],
        now: Callable[[], str],
        pause: Callable[[], None],
        halved: Callable[[Window], Sequence[Window]],
        has_pages: bool = True,
    ) -> None:
        """Take what it works with; nothing is asked yet."""
        self._bulk, self._forms, self._note, self._now, self._pause = bulk, forms, note, now, pause
        self._halved, self._has_pages = halved, has_pages
        self._tasks: deque[Task] = deque()
        self._unsuited: set[tuple[Names, ...]] = set()
        self._unable = False
        self._coming: dict[str, Future[Rows | None]] = {}  # by operation; one at most, as each is a file

    def read(self, resumed: Iterable[Task], windows: Iterator[Window]) -> Iterator[tuple[Window, Rows | None]]:
        """Yield windows with their rows, which are closed afterwards, or with None where pages have to do it.

        A window counts as done when the next one is asked for. The next one's rows are fetched meanwhile. Raises
        RunError where the app may not run bulk operations and there are no pages instead.
        """
        self._tasks.extend(resumed)
        try:
            yield from self._read(windows)
        finally:
            for coming in self._coming.values():
                coming.add_done_callback(_let_go)

    def _read(self, windows: Iterator[Window]) -> Iterator[tuple[Window, Rows | None]]:
        while self._fill(windows):
            task = self._tasks[0]
            if self._unable or task.by_pages:
                yield task.window, None
            elif not task.operation:
                self._wait_for_slot()
                continue
            else:
                try:
                    rows = self._rows(task)
                except _Failed as failed:
                    self._again(task, failed)
                    continue
                except (Denied, Refused) as reason:  # the permission can be gone since the operation was submitted
                    self._forbidden(reason)
                    continue
                with closing(rows):
                    self._fetch_next()
                    yield task.window, rows
            self._tasks.popleft()
            self._note(self._tasks)

    def _fill(self, windows: Iterator[Window]) -> bool:
        """Take on windows and submit operations, as many as there are slots; returns whether there is anything left."""
        while len(self._tasks) < AT_ONCE and (window := patiently(partial(next, windows, None), self._pause)):
            self._tasks.append(Task(window))
        for index, task in enumerate(self._tasks):
            if not (self._unable or task.operation or task.by_pages or self._submit(index)):
                break
        return bool(self._tasks)

    def _submit(self, index: int) -> bool:
        """Submit a task's operation; returns False while there is no slot, or never will be."""
        task = self._tasks[index]
        for form in self._forms():
            if form.nested in self._unsuited:
                continue
            try:
                operation = self._bulk.submit(form.text(task.window), self._now())
            except Unsuited as reason:
                self._unsuited.add(form.nested)
                _logger.info(
                    "Shopify doesn't run the bulk operation with %s: %s",
                    ", ".join(".".join(path) for path in form.nested),
                    reason,
                )
                continue
            except (Denied, Refused) as reason:
                return self._forbidden(reason)
            if operation:
                self._tasks[index] = replace(task, operation=operation, asks=form.asks(task.window))
                self._note(self._tasks)
            return bool(operation)
        return self._give_up("Shopify doesn't run the stream's query as a bulk operation.")

    def _forbidden(self, reason: RunError) -> bool:
        """Go on by pages, as the app may not run bulk operations; raises RunError where there are none.

        https://shopify.dev/changelog/partner-apps-must-enable-bulk-operations-before-use doesn't show the refusal.
        """
        sentence = (
            f"Shopify doesn't let this app run bulk operations: {str(reason).rstrip('.')}. An app made by a partner"
            " needs the permission `Allow bulk queries` (API access requests), and loses it after 31 days without use."
        )
        if not self._has_pages:
            raise RunError(f"{sentence} Or set `method` to `auto`, which goes on by pages then.")
        return self._give_up(sentence)

    def _give_up(self, reason: str) -> bool:
        _logger.warning("%s Going on by pages, which takes longer.", reason)
        self._unable = True
        return False

    def _wait_for_slot(self) -> None:
        """Wait until other jobs leave the oldest window a slot; have it read by pages if they don't."""
        _logger.info("Other jobs of this app hold all slots for bulk operations: waiting for one.")
        ends = self._bulk.clock() + SLOT_PATIENCE_SECONDS
        while self._bulk.clock() < ends:
            self._bulk.wait(SLOT_SECONDS, self._pause)
            if self._submit(0) or self._unable:
                return
        _logger.warning("There is still no slot: going on by pages from %s.", self._tasks[0].window)
        self._tasks[0] = replace(self._tasks[0], failures=MOST_FAILURES)

    def _rows(self, task: Task) -> Rows:
        """Return the rows of the oldest task; raises _Failed if they can't be had."""
        coming = self._coming.pop(task.operation, None)
        rows = result(coming, self._pause) if coming else None
        if rows:
            return rows
        form = self._form_of(task)
        if form is None:
            self._bulk.cancel(task.operation)
            raise _Failed("asks for other fields than are wanted now")
        operation = self._bulk.end_of(task.operation, self._pause)
        if operation is None:
            raise _Failed("isn't known to Shopify")
        if operation.trouble:
            raise _Failed(operation.trouble, operation)
        return patiently(partial(self._joined, operation, form.nested), self._pause)

    def _fetch_next(self) -> None:
        """Begin to fetch the second task's rows, if its operation has ended."""
        if len(self._tasks) > 1 and self._tasks[1].operation and not self._coming:
            task = self._tasks[1]
            self._coming[task.operation] = in_background(partial(self._rows_there, task))

    def _rows_there(self, task: Task) -> Rows | None:
        """Return a task's rows; None if its operation hasn't ended, or not as it should."""
        form, operation = self._form_of(task), self._bulk.look(task.operation)
        good = form and operation and operation.ended and not operation.trouble
        return self._joined(operation, form.nested) if form and operation and good else None

    def _form_of(self, task: Task) -> Form | None:
        """Return how the task's operation asks, if that is still what is wanted."""
        return next((form for form in self._forms() if form.asks(task.window) == task.asks), None)

    def _joined(self, operation: Operation, nested: Sequence[Names]) -> Rows:
        """Return the rows of a whole result; raises _Failed if there is none."""
        try:
            file = TemporaryFile(buffering=BUFFER_BYTES)  # noqa: SIM115  # the rows close it
        except OSError as reason:
            raise _no_room(reason) from None
        try:
            if operation.url:
                self._bulk.save(operation.url, file)
            return Rows(file, nested, Counted(int(operation.object_count), int(operation.root_object_count)))
        except (Gone, Incomplete) as reason:
            file.close()
            raise _Failed(str(reason), too_much=isinstance(reason, TooLarge)) from reason
        except Busy as reason:
            file.close()
            raise _Failed(f"left a result that can't be had ({reason})", for_good=True) from reason
        except (OSError, sqlite3.Error) as reason:
            with suppress(OSError):  # what waits to be written finds no room either
                file.close()
            raise _no_room(reason) from None
        except BaseException:
            file.close()
            raise

    def _again(self, task: Task, failed: _Failed) -> None:
        """Replace the oldest task: by one to be submitted again, or its parts if it was too much, or by pages."""
        self._tasks.popleft()
        failures = MOST_FAILURES if failed.for_good else task.failures + 1
        windows = (self._halved(task.window) if failed.too_much and failures < MOST_FAILURES else ()) or (task.window,)
        self._tasks.extendleft(Task(window, failures=failures) for window in reversed(windows))
        remedy = "submitting it again, in parts" if len(windows) > 1 else "submitting it again"
        remedy = "reading the window by pages" if failures >= MOST_FAILURES else remedy
        _logger.warning("The bulk operation of %s %s: %s.", task.window, failed, remedy)
        self._note(self._tasks)
