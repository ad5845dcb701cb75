"""Client of PostHog's query API: sends questions in PostHog's SQL with a personal API key.

Takes a query, returns rows; knows only `POST /api/projects/:project_id/query/`, as
https://posthog.com/docs/api/queries describes it. For questions, a retry is decided in `QueryApi._wait` and nowhere
else.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import requests
import stamina

from target_posthog.errors import BusyError, RunError
from target_posthog.posthog.answers import decoded, is_busy, retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from target_posthog.mapping.language.functions import JSON

MOST_ROWS = 50_000  # of one answer: https://posthog.com/docs/api/queries
MOST_UUIDS = 1_000  # in one question
TIMEOUT_SECONDS = 120.0
LONGEST_WAIT_SECONDS = 60.0  # between two attempts, unless PostHog asks for more
# Questions have another address than events: https://posthog.com/docs/api
INGESTION_HOST = re.compile(r"(?<=//)(us|eu)\.i\.posthog\.com$")
FIRST_DAY = "2006-01-01"  # before the first Shopify store
KNOWN = """
select distinct toString(uuid) as id
from events
where timestamp >= toDateTime('{first}T00:00:00Z') and timestamp < toDateTime('{end}T00:00:00Z')
  and toString(uuid) in ({uuids})
order by id"""
UUID = re.compile(r"[0-9a-fA-F-]{36}")


class QueryApi:
    """Asks one project. `host` may be that of ingestion; the key goes there and nowhere else."""

    def __init__(
        self,
        personal_api_key: str,
        project_id: str,
        host: str,
        *,
        max_retry_seconds: float = 900,
        page_rows: int = MOST_ROWS,
    ) -> None:
        self._page_rows = page_rows
        host = (host if "://" in host else f"https://{host}").rstrip("/")
        self.host = INGESTION_HOST.sub(r"\1.posthog.com", host)
        self._url = f"{self.host}/api/projects/{project_id}/query/"
        self._headers = {"Authorization": f"Bearer {personal_api_key.strip()}"}
        self._max_retry_seconds = max_retry_seconds

    def rows(self, query: str) -> list[list[Any]]:
        """Return the rows of a query that names no limit; raises `RunError`, also if they are too many for an answer.

        PostHog refuses OFFSET to a personal API key, so whoever wants more rows asks for `pages`.
        """
        found = self._answer(f"{query}\nlimit {MOST_ROWS}")
        if len(found) == MOST_ROWS:
            raise RunError(f"PostHog has more than {MOST_ROWS:,} rows for one question; ask for fewer days")
        return found

    def pages(self, query: Callable[[list[Any] | None], str], place: int) -> Iterator[list[Any]]:
        """Yield the rows of a query page by page; `query` is given the last row, and asks for those after it.

        The rows are ordered by their first `place` values. Rows that share these with a page's last row are taken from
        the next page, so that none is lost between two.
        """
        last: list[Any] | None = None
        while True:
            found = self._answer(f"{query(last)}\nlimit {self._page_rows}")
            if len(found) < self._page_rows:
                yield from found
                return
            whole = [row for row in found if row[:place] != found[-1][:place]] or found
            yield from whole
            last = whole[-1]

    def events_known(self, uuids: Iterable[str], first: str = FIRST_DAY, last: str = "") -> set[str]:
        """Return those of the events' uuids that PostHog has, between two days (all by default); raises `RunError`."""
        wanted = sorted({uuid.lower() for uuid in uuids if UUID.fullmatch(uuid)})
        end = day_after(last)
        found: set[str] = set()
        for start in range(0, len(wanted), MOST_UUIDS):
            listed = ", ".join(f"'{uuid}'" for uuid in wanted[start : start + MOST_UUIDS])
            found |= {row[0] for row in self.rows(KNOWN.format(first=first, end=end, uuids=listed))}
        return found

    def _answer(self, query: str) -> list[list[Any]]:
        caller = stamina.RetryingCaller(
            attempts=None if self._max_retry_seconds else 1,
            timeout=self._max_retry_seconds or None,
            wait_initial=0.5,
            wait_max=LONGEST_WAIT_SECONDS,
        )
        return caller.on(self._wait)(self._attempt, query)

    def _wait(self, error: Exception) -> bool | float:
        """Decide on a retry: False for none, True for one after the usual backoff, or the seconds PostHog wants."""
        if not isinstance(error, BusyError):
            return False
        return True if error.retry_after is None else min(error.retry_after, self._max_retry_seconds)

    def _attempt(self, query: str) -> list[list[Any]]:
        try:
            response = requests.post(
                self._url,
                json={"query": {"kind": "HogQLQuery", "query": query}},
                headers=self._headers,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,  # `requests` would take the key along
            )
        except requests.RequestException as error:
            raise BusyError(f"PostHog at {self.host} can't be asked ({type(error).__name__})") from None
        answer = decoded(response.content)
        rows: JSON = answer.get("results")
        if response.status_code == HTTPStatus.OK and isinstance(rows, list):
            return rows
        raise self._judged(response, answer)

    def _judged(self, response: requests.Response, answer: dict[str, JSON]) -> RunError:
        """Return what an answer without rows means; PostHog's own words stand in `detail`."""
        status = response.status_code
        detail = answer.get("detail") or "no reason given"
        if status == HTTPStatus.UNAUTHORIZED:
            return RunError(
                f"`personal_api_key`: PostHog at {self.host} doesn't know it; make one with the permission Query Read "
                "in PostHog's user settings (it starts with phx_)"
            )
        if status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            return RunError(
                f"`project_id`, `personal_api_key`: PostHog at {self.host} refuses the question (HTTP {status}: "
                f"{detail}); the key needs the permission Query Read for this project"
            )
        if is_busy(status):
            return BusyError(f"PostHog at {self.host} is busy (HTTP {status})", retry_after_seconds(response))
        return RunError(f"`host`: {self.host} doesn't answer as PostHog's query API does (HTTP {status}: {detail})")


def day_after(day: str) -> str:
    """Return the day after a day (`2026-11-01`), or after tomorrow where there is none: events can be ahead of us."""
    known = date.fromisoformat(day) if day else datetime.now(timezone.utc).date() + timedelta(days=1)
    return (known + timedelta(days=1)).isoformat()
