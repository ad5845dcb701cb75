"""GraphQL client of one store: takes a document and its variables, returns the answer, waiting for it if need be.

Every retry of the tap is decided here, by `_wait`; `answers.py` says which answers are worth one. The client knows
Shopify's HTTP and its limits, but neither Singer nor what an order is.
"""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from io import SEEK_END
from typing import IO, TYPE_CHECKING, Any, Protocol

import msgspec
import stamina

from tap_shopify_orders.errors import RunError
from tap_shopify_orders.shopify.answers import (
    Answer,
    Busy,
    Throttled,
    TooDear,
    TooLarge,
    Unauthorized,
    judge,
    judge_link,
)
from tap_shopify_orders.shopify.transport import Transport, check_link

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

API_VERSION = "2026-10"  # the one place; https://shopify.dev/docs/api/usage/versioning
LARGEST_QUERY_POINTS = 1_000  # on any question: https://shopify.dev/docs/api/usage/limits
LARGEST_PAGE = 250  # https://shopify.dev/docs/api/usage/pagination-graphql
GOOD_ANSWERS_BEFORE_GROWTH = 8  # after an overload the page grows again this slowly
FIRST_PATIENCE_SECONDS = 3.0  # before the first answer a wrong setting is likelier than a busy store
PATIENCE_SECONDS = 900.0  # later: longer than the incidents on Shopify's status page usually are
MOST_WARNINGS = 20  # of one store
LARGEST_RESULT_BYTES = 4 << 30  # a window of 20,000 records has some 200 MB
LEAST_PROGRESS_BYTES = 1 << 20  # of a download between two breaks; with less, patience goes on
MOST_PARTS = 100  # of a download that breaks off again and again
# Their successor exists from 2026-10 on, while these are in all versions that Shopify serves.
KNOWN_DEPRECATIONS = frozenset(
    f"CustomerPhoneNumber.marketing{field}" for field in ("CollectedFrom", "OptInLevel", "State", "UpdatedAt")
)

_logger = logging.getLogger("tap-shopify-orders.client")


class Credentials(Protocol):
    """What `auth.py` has several of."""

    def token(self) -> str:
        """Return a token that is valid now; raises RunError or Busy."""

    def is_current(self, token: str) -> bool:
        """Say whether a token is still the one to ask with; asks nothing."""

    def renew(self) -> bool:
        """Forget the token after a 401; False if there can't be another. Asks nothing."""


@dataclass
class PageSize:
    """How many nodes to ask for: as many as a query may cost, learnt from its cost, and fewer after an overload.

    Begins small, so that no run begins with a query that is refused.
    """

    first: int = 10
    overloaded: bool = False
    good: int = 0
    waited: bool = False  # for the points of this very page

    def shrink(self, busy: Busy) -> None:
        """Ask for the share that Shopify may be able to answer; raises RunError when a single node is too dear.

        A page that is throttled keeps its size, unless the points that it was to wait for have gone to others.
        """
        if self.first == 1 and isinstance(busy, TooDear):
            raise RunError("A single record costs more than Shopify allows for a query: deselect fields of the stream.")
        share = busy.share
        if isinstance(busy, Throttled):
            share = min(share, busy.holds) if self.waited else share
            self.waited = True
        if share < 1.0:
            self.first = max(1, min(int(self.first * share), self.first - 1))
            self.overloaded, self.good = True, 0

    def grow(self, requested_points: float) -> None:
        """Note a good answer: ask for what fits, but after an overload double only now and then."""
        fits = int(self.first * LARGEST_QUERY_POINTS / max(requested_points, 1.0))
        fits = min(LARGEST_PAGE, max(self.first, fits))
        self.waited = False
        self.good += 1
        if not self.overloaded:
            self.first = fits
        elif self.good >= GOOD_ANSWERS_BEFORE_GROWTH:
            self.first, self.good = min(fits, self.first * 2), 0
            self.overloaded = self.first < fits


class Client:
    """Asks one store's Admin API, at one version.

    `answers` and `points` count what it took so far; `points_left` is what the bucket held after the last answer, and
    `at` when that was given, by Shopify's clock.
    """

    def __init__(  # noqa: PLR0913  # where it asks, as whom, and how long and how much
        self,
        admin_url: str,
        credentials: Credentials,
        *,
        accept: Collection[str] = (),
        transport: Transport | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        most_result_bytes: int = LARGEST_RESULT_BYTES,
    ) -> None:
        """Take the root of the Admin API without `/api`, such as https://my-store.myshopify.com/admin."""
        self._patience_seconds, self._most_result_bytes = patience_seconds, most_result_bytes
        self._root = admin_url.rstrip("/")
        self._url = f"{self._root}/api/{API_VERSION}/graphql.json"
        self._credentials = credentials
        self._accept = frozenset(accept)
        self._transport = transport or Transport(admin_url)
        self._warned_of: set[str] = set()
        # It logs addresses at DEBUG, and a signed link is its own key. What it has to say reaches us as exceptions.
        logging.getLogger("urllib3.connectionpool").disabled = True
        self._renewed = False
        self._renewal = threading.Lock()
        self._is_closed = False
        self.answers = 0
        self.points = 0.0
        self.points_left: float | None = None
        self.at = datetime.now(timezone.utc)

    def ask(
        self,
        document: str,
        variables: Mapping[str, Any] | Callable[[int], Mapping[str, Any]] | None = None,
        size: PageSize | None = None,
    ) -> Answer:
        """Return the answer to a query; `size` sets its variable `first`, and learns from what happens.

        Where `variables` is a function, it makes all of them of the size. Raises RunError when the answer can't be had
        (Denied where that concerns some fields only), Busy when patience ran out.
        """
        return self.retrying(self.ask_once, document, variables, size)

    @property
    def retrying(self) -> stamina.BoundRetryingCaller:
        """What calls a function with its arguments until that succeeds, or it is time to give up."""
        patience = self._patience_seconds if self.answers else FIRST_PATIENCE_SECONDS
        return stamina.RetryingCaller(attempts=None, timeout=patience, wait_initial=0.5, wait_max=30.0).on(self._wait)

    def close(self) -> None:
        """Ask nothing again: what is under way in the background ends with the answer that it gets."""
        self._is_closed = True

    def _wait(self, error: Exception) -> bool | float:
        """Decide every retry of the tap: no, yes (stamina says when), or after how many seconds."""
        if self._is_closed or not isinstance(error, Busy):
            return False
        return True if error.seconds is None else error.seconds

    def ask_once(
        self,
        document: str,
        variables: Mapping[str, Any] | Callable[[int], Mapping[str, Any]] | None = None,
        size: PageSize | None = None,
    ) -> Answer:
        """Return the answer to a query or mutation; raises Busy also for what `ask` would ask again."""
        if callable(variables):
            values = variables(size.first if size else LARGEST_PAGE)
        else:
            values = {**(variables or {}), **({"first": size.first} if size else {})}
        token = ""
        try:
            token = self._credentials.token()
            answer = self._try(document, values, token)
        except Busy as busy:
            if size:
                size.shrink(busy)
            elif isinstance(busy, TooDear):
                raise Busy(str(busy)) from None  # there is nothing to ask for less of: it waits as any other does
            raise
        except Unauthorized as unauthorized:
            with self._renewal:
                if self._credentials.is_current(token):  # else another question in flight has had it renewed
                    if self._renewed or not self._credentials.renew():
                        raise RunError(str(unauthorized)) from None
                    self._renewed = True
            raise Busy("The token had expired.", seconds=0.0) from None
        self._renewed = False
        self._count(answer, size)
        return answer

    def save(self, link: str, file: IO[bytes]) -> None:
        """Put what is behind a signed link into an empty file, and go on where it breaks off.

        The link is its own key: no token goes there. Raises Gone when it leads nowhere, or where no result may come
        from, TooLarge for more than `most_result_bytes`, Busy when patience ran out: that counts where what came in
        the meantime is hardly more than before.
        """
        check_link(link, self._transport, self._root)
        furthest = 0
        with closing(Transport(link, seconds=self._transport.seconds)) as transport:
            for _ in range(MOST_PARTS):
                if self.retrying(_save_rest, transport, link, file, furthest, self._most_result_bytes):
                    return
                furthest = file.seek(0, SEEK_END)
        raise Busy(f"The result of a bulk operation broke off {MOST_PARTS} times.")

    def _count(self, answer: Answer, size: PageSize | None) -> None:
        self.answers += 1
        self.at = answer.at
        if answer.cost:
            self.points += answer.cost.actual_query_cost or 0.0
            throttle = answer.cost.throttle_status
            self.points_left = throttle.currently_available if throttle else None
        if size:
            size.grow(answer.cost.requested_query_cost if answer.cost else LARGEST_QUERY_POINTS)

    def _try(self, document: str, variables: Mapping[str, Any], token: str) -> Answer:
        response = self._transport.post(
            self._url,
            msgspec.json.encode({"query": document, "variables": variables}),
            {"X-Shopify-Access-Token": token, "Content-Type": "application/json"},
        )
        any_version = "api_version" in self._accept
        answer = judge(response, self._root, version=API_VERSION, any_version=any_version)
        self._warn_of_deprecated(answer.deprecated)
        if answer.is_our_clock:
            self._warn_of(
                "Shopify's answers don't say when they were given, or can't be right: this machine's clock counts."
            )
        return answer

    def _warn_of_deprecated(self, fields: str) -> None:
        fields = ", ".join(field for field in fields.split(", ") if field not in KNOWN_DEPRECATIONS)
        if fields:
            self._warn_of(f"Shopify says that the tap uses what is deprecated: {fields}")

    def _warn_of(self, sentence: str) -> None:
        if sentence not in self._warned_of and len(self._warned_of) < MOST_WARNINGS:
            self._warned_of.add(sentence)
            _logger.warning("%s", sentence)


def _save_rest(transport: Transport, link: str, file: IO[bytes], furthest: int, most_bytes: int) -> bool:
    """Add to a file what it lacks of what is behind a link; returns False if that broke off, but well after `furthest`.

    A server that ignores where to begin sends all again, and gets no further if it breaks off again.
    """
    begins = file.seek(0, SEEK_END)
    try:
        with transport.download(link, begins) as download:
            if not judge_link(download):
                file.truncate(file.seek(0))
                begins = 0
            for block in download.blocks:
                begins += file.write(block)
                if begins > most_bytes:
                    raise TooLarge(f"left a result of more than {most_bytes:,} bytes")
    except Busy:
        if begins > furthest + LEAST_PROGRESS_BYTES:
            return False
        raise
    return True
