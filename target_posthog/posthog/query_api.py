"""Client of PostHog's query API.

Takes a query and a personal API key; returns rows, or raises what to do without them. Knows neither Singer nor what
is asked: only `POST /api/projects/:project_id/query/`, as https://posthog.com/docs/api/queries describes it, and `GET
/api/projects/:project_id/`. Whether to ask again is decided in `_wait` alone.
"""

from __future__ import annotations

import json
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import requests
import stamina
import urllib3

from target_posthog.errors import BusyError, RunError
from target_posthog.posthog.answers import decoded, is_busy, retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    JsonObject = dict[str, Any]

Result = TypeVar("Result")

MOST_ROWS = 50_000  # of one answer, a higher LIMIT is cut to it in silence: posthog/hogql/constants.py
TIMEOUT_SECONDS = 120.0  # for the whole of an answer; PostHog gives a question 10 seconds, and 30 in its queue
LARGEST_ANSWER_BYTES = 128 * 1024 * 1024  # 50,000 rows of 2.5 kB
CHUNK_BYTES = 64 * 1024
LONGEST_WAIT_SECONDS = 60.0  # between two attempts, unless PostHog asks for more
# Questions have another address than events: https://posthog.com/docs/api
INGESTION_HOST = re.compile(r"(?<=//)(us|eu)\.i\.posthog\.com$")
# Without it an answer may be hours old: a reconciliation right after a load would miss the load.
FRESH = "force_blocking"
# What PostHog says of a question that reads too much: posthog/exceptions.py, and the names of ClickHouse's errors.
TOO_MUCH = frozenset((HTTPStatus.GATEWAY_TIMEOUT, 512, 513))
TOO_MUCH_CODES = frozenset(("too_many_bytes", "too_many_rows", "clickhouse_memory_limit_exceeded"))


class TooMuch(Exception):  # noqa: N818  # the class says what to do next: ask for less
    """The question reads more than PostHog allows: ask for a shorter time."""


class Project(NamedTuple):
    """What of a project's settings bears on its answers.

    `kept_months` is how old an event may be to be in an answer, None if nothing is enforced: PostHog's
    `event_retention_months` and `events_retention_enforced`, which depend on the plan.
    """

    time_zone: str
    kept_months: int | None


class QueryApi:
    """Asks one project. `host` may be that of ingestion; the key goes there and nowhere else.

    Waiting for a PostHog that is busy ends after `max_retry_seconds`.
    """

    def __init__(self, personal_api_key: str, project_id: str, host: str, *, max_retry_seconds: float = 900) -> None:
        host = (host if "://" in host else f"https://{host}").rstrip("/")
        self.host = INGESTION_HOST.sub(r"\1.posthog.com", host)
        self._url = f"{self.host}/api/projects/{project_id}/"
        self._headers = {"Authorization": f"Bearer {personal_api_key.strip()}"}
        self._max_retry_seconds = max_retry_seconds

    def rows(self, query: str, name: str) -> list[list[Any]]:
        """Return the rows of a query with a LIMIT; `name` is shown in PostHog's query log.

        Raises `TooMuch` for a question that reads too much, `RunError`, for a PostHog that is busy after `max_retry_seconds`.
        """
        asked = {"query": {"kind": "HogQLQuery", "query": query}, "name": name, "refresh": FRESH}
        return self._answered("POST", "query/", asked, _rows)

    def project(self) -> Project | None:
        """Return what of the project's settings bears on its answers, None if the key may not read it (project:read).

        Raises `RunError`.
        """
        try:
            return self._answered("GET", "", None, _project)
        except _ScopeError:
            return None

    def _answered(
        self, method: str, path: str, body: Mapping[str, Any] | None, meaning: Callable[[JsonObject], Result | None]
    ) -> Result:
        for attempt in stamina.retry_context(
            on=self._wait,
            attempts=None if self._max_retry_seconds else 1,
            timeout=self._max_retry_seconds or None,
            wait_initial=0.5,
            wait_max=LONGEST_WAIT_SECONDS,
        ):
            with attempt:
                status, headers, said = self._attempt(method, path, body)
                found = meaning(said) if status == HTTPStatus.OK else None
                if found is None:
                    raise self._judged(status, said, _longer(headers.get("Retry-After", ""), attempt.next_wait))
                return found
        raise AssertionError  # the last attempt returns or raises

    def _wait(self, error: Exception) -> bool | float:
        """Say whether to ask again, or after how many seconds."""
        if not isinstance(error, BusyError):
            return False
        return True if error.retry_after is None else min(error.retry_after, self._max_retry_seconds)

    def _attempt(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> tuple[int, Mapping[str, str], JsonObject]:
        """Ask once; return status, headers and the answer's JSON object, an empty one if it is none."""
        ends_at = time.monotonic() + TIMEOUT_SECONDS
        try:
            with requests.request(
                method,
                self._url + path,
                json=body,
                headers=self._headers,
                timeout=TIMEOUT_SECONDS,
                stream=True,
                allow_redirects=False,  # `requests` would take the key along
            ) as answer:
                content = _content(answer.raw, ends_at)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise BusyError(f"PostHog at {self.host} can't be asked ({type(error).__name__})") from None
        try:
            said = json.loads(content)
        except (ValueError, RecursionError):
            said = None
        return answer.status_code, answer.headers, said if isinstance(said, dict) else {}

    def _judged(self, status: int, said: JsonObject, wait_seconds: float | None) -> Exception:
        """Return what an answer without a result means; PostHog's own words stand in `detail`."""
        told = str(said.get("detail") or "no reason given")
        if status in TOO_MUCH or said.get("code") in TOO_MUCH_CODES:
            return TooMuch(f"HTTP {status}: {told}")
        if status == HTTPStatus.OK and said.get("is_cached"):
            return BusyError(f"PostHog at {self.host} gives an earlier answer again", wait_seconds)
        if status == HTTPStatus.ACCEPTED or status in TRY_AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return BusyError(f"PostHog at {self.host} is busy (HTTP {status})", wait_seconds)
        if status == HTTPStatus.FORBIDDEN and "scope" in told:
            return _ScopeError(f"`personal_api_key`: PostHog at {self.host} wants one more permission: {told}")
        return RunError(self._sentence(status, said, told))

    def _sentence(self, status: int, said: JsonObject, told: str) -> str:
        if status == HTTPStatus.UNAUTHORIZED:
            return (
                f"`personal_api_key`: PostHog at {self.host} doesn't know it; make one with the permission Query Read "
                "in PostHog's user settings (it starts with phx_)"
            )
        if status == HTTPStatus.PAYMENT_REQUIRED:
            return f"PostHog answers no more questions over its API for now: {told}"
        if status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            return (
                f"`project_id`, `personal_api_key`: PostHog at {self.host} refuses the question (HTTP {status}: "
                f"{told}); the key needs the permission Query Read for this project"
            )
        if status == HTTPStatus.BAD_REQUEST and said.get("detail"):
            return f"PostHog refuses a question of this command, which is the command's fault: {told}"
        return f"`host`: {self.host} doesn't answer as PostHog's query API does (HTTP {status}: {told})"


class _ScopeError(RunError):
    """The key lacks a permission."""


def _content(raw: urllib3.HTTPResponse, ends_at: float) -> bytes:
    """Return an answer's body; raises TooMuch or TimeoutError if it doesn't end."""
    content = bytearray()
    while chunk := raw.read1(CHUNK_BYTES, decode_content=True):
        content += chunk
        if len(content) > LARGEST_ANSWER_BYTES:
            raise TooMuch(f"an answer of more than {LARGEST_ANSWER_BYTES:,} bytes")
        if time.monotonic() > ends_at:
            raise TimeoutError
    return bytes(content)


def _longer(retry_after: str, backoff: float) -> float | None:
    """Return the larger of what PostHog asks for, in seconds, and the backoff; None for the backoff with its jitter."""
    return max(float(retry_after), backoff) if re.fullmatch(r"[0-9]{1,9}", retry_after) else None


def _rows(said: JsonObject) -> list[list[Any]] | None:
    found = said.get("results")
    return found if isinstance(found, list) and not said.get("is_cached") else None


def _project(said: JsonObject) -> Project | None:
    months = said.get("event_retention_months")
    enforced = said.get("events_retention_enforced") is True and isinstance(months, int)
    return Project(str(said["timezone"]), months if enforced else None) if "timezone" in said else None
