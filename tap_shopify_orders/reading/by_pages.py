"""Reader by pages: takes a client and the fields wanted, returns records of a search that nobody has emitted before.

It knows what Shopify may deny, but neither Singer nor how windows are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from typing import TYPE_CHECKING, cast

from tap_shopify_orders.decoding import kind_in
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.moments import utc
from tap_shopify_orders.reading.connections import NULL, Completion, asked_by_id, whole
from tap_shopify_orders.reading.known import Mark, change_of, reached
from tap_shopify_orders.reading.question import Question
from tap_shopify_orders.reading.windows import Window, changed_at
from tap_shopify_orders.records import schema
from tap_shopify_orders.records.fields import paths, select
from tap_shopify_orders.shopify.answers import Denied
from tap_shopify_orders.shopify.client import LARGEST_PAGE, PageSize
from tap_shopify_orders.shopify.pages import MOST_OBJECTS, ahead, pages, patiently
from tap_shopify_orders.shopify.store import denial

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    import msgspec

    from tap_shopify_orders.reading.known import Known
    from tap_shopify_orders.records.fields import Field, Names
    from tap_shopify_orders.records.records import Node, Record
    from tap_shopify_orders.shopify.answers import Answer
    from tap_shopify_orders.shopify.client import Client


FEW_FIELDS_PAGE = 50  # nodes of a question for less than all fields, to begin with


@dataclass
class Reading:
    """The reading of one stream of one store; `accept` has the gaps that are taken, `pause` is called while it waits.

    `ungranted` are response paths that aren't asked for, as the app lacks their scope. The first page has so many nodes
    as `first_page` says; what a query costs tells how many the next one may have.

    Of one search, pages may end after `most_objects` as if that were all.

    `question` is how the fields are asked for, as far as they are granted.
    """

    name: str
    fields: tuple[Field, ...]
    client: Client
    shop: Mapping[str, object]
    accept: Collection[str]
    pause: Callable[[], None]
    logger: logging.Logger
    ungranted: Collection[Names] = ()
    first_page: int = 10
    most_objects: int = MOST_OBJECTS

    def __post_init__(self) -> None:
        """Make the question; nothing is asked yet."""
        self._denied: set[Names] = {*self.ungranted}
        self._size = PageSize(first=self.first_page)
        self.completion = Completion(self.client, self.pause)
        self.question = self.question_for(lambda _: True)

    def ask(self, search: str, cursor: str | None = None, *, newest_first: bool = False) -> Answer:
        """Return a page; without the fields that are denied, if that is accepted."""
        variables = {"query": search, "after": cursor, "reverse": newest_first}
        try:
            return self.client.ask(self.question.query.text, variables, self._size)
        except Denied as gaps:
            self._go_without(gaps)
        return self.ask(search, cursor, newest_first=newest_first)  # each time for fewer fields

    def by_ids(self, ids: Sequence[str], wanted: Callable[[Names], bool] | None = None) -> Iterator[Record]:
        """Yield the records of global ids that are still there; of less than all fields where not all are wanted."""
        left, size = ids, PageSize(first=FEW_FIELDS_PAGE if wanted else self.first_page)
        while left:
            asked = self.question_for(wanted) if wanted else self.question  # anew, as some may be denied by now
            document = asked.query.by_id(kind_in(left[0]))
            try:
                found = patiently(partial(asked_by_id, self.client, document, left, size), self.pause)
            except Denied as gaps:
                self._go_without(gaps, below=1)
                continue
            nodes = [asked.reader.node(raw) for raw in found if raw != NULL]
            yield from self.completion.records(nodes, asked)
            left = left[len(found) :]

    def question_for(self, wanted: Callable[[Names], bool]) -> Question:
        """Return the question for those of the fields that are wanted, as far as they are granted."""
        return Question.of(self.name, select(self.fields, wanted, self._denied), self.shop)

    def changes(self, window: Window, known: Known, asked: Window) -> Iterator[tuple[Mark, Record]]:
        """Yield the records of a window that are new or changed; raises RunError where pages end too early.

        What is `asked` for is the window, or a wider one, of which the rest is left out.
        """
        parts = self._pages(asked)
        yield from self._fresh(parts if asked == window else _inside(window, parts), known, window.until)

    def deletions(self, window: Window, subject: str, known: Known) -> Iterator[tuple[Mark, Record]]:
        """Yield tombstones of what was deleted in a window; Shopify keeps these events for a year.

        Raises Denied. https://shopify.dev/docs/api/admin-graphql/2026-10/queries/events
        """
        yield from self._fresh(self._pages_of_deletions(window, subject), known, window.until)

    def _pages(self, window: Window) -> Iterator[tuple[Question, list[msgspec.Raw]]]:
        nodes = 0
        for page in pages(partial(self.ask, window.search)):
            yield self.question, page
            nodes += len(page)
        if self._may_go_on(nodes):
            raise RunError(
                f"Shopify's pages of {self.name} end after {nodes:,}, as many as they may have, and there may be more"
                f" that changed in {window}: set `method` to `bulk`."
            )

    def _pages_of_deletions(self, window: Window, subject: str) -> Iterator[tuple[Question, list[msgspec.Raw]]]:
        """Yield the pages of a window, where they end too early also of what is left of it: events don't move."""
        names = {schema.DELETED_AT, *(one.name for one in self.fields)}
        fields = select(schema.DELETIONS, lambda path: path[0] in names)
        question, size = Question.of("deletions", fields, self.shop), PageSize()
        left: Window | None = window
        while left:
            search = f"action:destroy AND subject_type:{subject} AND {left.search_by('created_at')}"
            ask = partial(self.client.ask, question.query.text, size=size)
            nodes, since, left = 0, left.since, None
            for page in pages(lambda cursor: ask({"query": search, "after": cursor})):  # noqa: B023  # asked here
                yield question, page
                nodes += len(page)
                last = change_of(page[-1]) if page else since
            if self._may_go_on(nodes):
                left = self._left(window, since, last)

    def _left(self, window: Window, since: datetime | None, last: datetime | None) -> Window | None:
        """Return what is left of a window of deletions; None, with a warning, where all pages were of one second."""
        if last == since:
            self.logger.warning(
                "Shopify has more deleted %s of %s than it has pages of: some of them get no tombstones.",
                self.name,
                utc(last) if last else "the beginning",
            )
            return None
        return Window(last, window.until)

    def _may_go_on(self, nodes: int) -> bool:
        """Say whether pages that ended after so many nodes may have ended too early."""
        return self.most_objects <= nodes < self.most_objects + LARGEST_PAGE

    def _fresh(
        self, parts: Iterator[tuple[Question, list[msgspec.Raw]]], known: Known, until: datetime
    ) -> Iterator[tuple[Mark, Record]]:
        """Yield the pages' records that aren't known in this very state, while the page after the next is fetched.

        What comes after the pages has changed at `until` or later.
        """
        for part, following in pairwise(chain(ahead(parts, self.pause), [None])):
            question, page = cast("tuple[Question, list[msgspec.Raw]]", part)  # the last one alone is None
            fresh: list[tuple[Mark, Node]] = []
            nodes = [question.reader.node(raw) for raw in page]
            rest = min(map(change_of, following[1]), default=until) if following else until
            marks = [Mark.of(node, raw) for node, raw in zip(nodes, page, strict=True)]
            places = reached([mark.updated_at for mark in marks], rest)
            for seen, node, place in zip(marks, nodes, places, strict=True):
                mark = seen._replace(reached=place)
                if known.has(mark):
                    known.add(mark)
                else:
                    fresh.append((mark, node))
            gone = self.completion.complete([node for _, node in fresh if not whole(node, question)], question)
            for mark, node in fresh:
                if any(node is one for one in gone):
                    continue
                record = question.reader.record(node)
                moment = changed_at(record.updated_at)  # later, if an order changed while its ledger was read
                yield (mark if moment == mark.updated_at else Mark.unknown(moment, mark.reached)), record

    def _denied_with(self, denied: set[Names]) -> set[Names]:
        """Return where else there is what is denied: a page need not have all of it."""
        names = {path[-1] for path in denied} & schema.DENIED_TOGETHER
        return {path[: path.index(name) + 1] for path in paths(self.fields) for name in names if name in path}

    def _go_without(self, gaps: Denied, *, below: int = 2) -> None:
        """Ask for less from now on; the denied paths begin below page and nodes, or below nodes alone."""
        denied = {path[below:] for path, _ in gaps.gaps}
        if "denied_fields" not in self.accept or () in denied or denied <= self._denied:
            raise RunError(denial(self.name, gaps)) from None
        self._denied |= denied | self._denied_with(denied)
        self.question = self.question_for(lambda _: True)
        self.logger.warning("Going on without fields that Shopify denies. %s", denial(self.name, gaps))


def _inside(
    window: Window, parts: Iterator[tuple[Question, list[msgspec.Raw]]]
) -> Iterator[tuple[Question, list[msgspec.Raw]]]:
    """Yield the pages less what isn't in a window."""
    for question, page in parts:
        yield question, [raw for raw in page if window.contains(change_of(raw))]
