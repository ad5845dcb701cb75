"""Client of PostHog's query API: sends questions in PostHog's SQL with a personal API key.

Takes a query, returns rows, or raises what to do without them; knows only `POST /api/projects/:project_id/query/`, as
https://posthog.com/docs/api/queries describes it, and `GET /api/projects/:project_id/`. For questions, a retry is
decided in `QueryApi._wait` and nowhere else.
"""

from __future__ import annotations

import re
import time
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import stamina

from target_posthog.errors import BusyError, RunError
from target_posthog.posthog.address import ingestion_address
from target_posthog.posthog.answers import decoded, is_busy, network_trouble, retry_after_seconds, untrusted
from target_posthog.posthog.transport import MIB, LargeAnswerError, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

    from target_posthog.mapping.language.functions import JSON

Result = TypeVar("Result")

MOST_ROWS = 50_000  # of one answer, a higher LIMIT is cut to it in silence: posthog/hogql/constants.py
TIMEOUT_SECONDS = 120.0  # PostHog gives a question 10 seconds, and 30 in its queue
LARGEST_ANSWER_BYTES = 128 * MIB  # 50,000 rows of 2.5 kB
LONGEST_WAIT_SECONDS = 60.0  # between two attempts, unless PostHog asks for more
# All who ask a project share 240 questions a minute and 2,400 an hour: https://posthog.com/docs/api/queries. So whoever
# has none left gets some within an hour.
LONGEST_LIMIT_SECONDS = 3_600.0
FARTHEST_MOMENT_SECONDS = 7 * 24 * 3_600.0  # that is named; more is an error of something between
# Questions have another address than events: https://posthog.com/docs/api
INGESTION_HOST = re.compile(r"(?<=//)(us|eu)\.i\.posthog\.com$")
# Without it an answer may be hours old: what has just been sent would be missing.
FRESH = "force_blocking"
# What PostHog says of a question that reads too much: posthog/exceptions.py, and the names of ClickHouse's errors.
TOO_MUCH = frozenset((HTTPStatus.GATEWAY_TIMEOUT, 512, 513))
TOO_MUCH_CODES = frozenset(("too_many_bytes", "too_many_rows", "clickhouse_memory_limit_exceeded"))


class TooMuchError(RunError):
    """A question reads more than PostHog allows, for that `reason`: ask for a shorter time, where it has one."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"PostHog can't answer so large a question ({reason}); it may when it is less busy")
        self.reason = reason


class Project(NamedTuple):
    """What of a project's settings bears on its answers.

    `kept_months` is how old an event may be to be in an answer, None if nothing is enforced: PostHog's
    `event_retention_months` and `events_retention_enforced`, which depend on the plan.
    """

    time_zone: str
    kept_months: int | None

    def kept_from(self, now: datetime) -> str:
        """Return the first day of which PostHog still gives all events, "" if it gives those of all days.

        When on a day the time is over is PostHog's to know, so the day at the border isn't one.
        """
        if self.kept_months is None:
            return ""
        year, month = divmod(now.year * 12 + now.month - 1 - self.kept_months, 12)
        border = date(year, month + 1, min(now.day, monthrange(year, month + 1)[1]))
        return (border + timedelta(days=1)).isoformat()


class QueryApi:
    """Asks one project. `host` may be that of ingestion; the key goes there and nowhere else.

    Waiting for a PostHog that is busy ends after `max_retry_seconds`. Where its limit of questions is reached, PostHog
    is waited for beside that, `longest_limit_seconds` at most. Raises `RunError` for a host that is none.
    """

    def __init__(
        self,
        personal_api_key: str,
        project_id: str,
        host: str,
        *,
        max_retry_seconds: float = 900,
        longest_limit_seconds: float = LONGEST_LIMIT_SECONDS,
    ) -> None:
        self.host = INGESTION_HOST.sub(r"\1.posthog.com", ingestion_address(host))
        self._url = f"{self.host}/api/projects/{project_id}/"
        self._session = Session(most_bytes=LARGEST_ANSWER_BYTES, accepts_gzip=True)
        self._session.headers["Authorization"] = f"Bearer {personal_api_key.strip()}"
        self._max_retry_seconds = max_retry_seconds
        self._longest_limit_seconds = longest_limit_seconds

    def rows(self, query: str, name: str) -> list[list[Any]]:
        """Return the rows of a query with a LIMIT; `name` is shown in PostHog's query log.

        Raises `TooMuchError` for a question that reads too much, else another `RunError`.
        """
        question = {"query": {"kind": "HogQLQuery", "query": query}, "name": name, "refresh": FRESH}
        return self._answer("POST", "query/", question, _rows)

    def project(self) -> Project | None:
        """Return what of the project's settings bears on its answers, None if the key may not read them.

        For that it needs the scope project:read. Raises `RunError`.
        """
        try:
            return self._answer("GET", "", None, _project)
        except _ScopeError:
            return None

    def _answer(
        self,
        method: str,
        path: str,
        question: Mapping[str, JSON] | None,
        meaning: Callable[[Mapping[str, JSON]], Result | None],
    ) -> Result:
        patience = _Patience(time.monotonic() + self._max_retry_seconds, self._longest_limit_seconds)
        try:
            for attempt in stamina.retry_context(
                on=partial(self._wait, patience),
                attempts=None if self._max_retry_seconds else 1,
                timeout=None,
                wait_initial=0.5,
                wait_max=LONGEST_WAIT_SECONDS,
            ):
                with attempt:
                    response = self._attempt(method, path, question)
                    answer = decoded(response.content)
                    found = meaning(answer) if response.status_code == HTTPStatus.OK else None
                    if found is None:
                        if question is not None:
                            _check_size(response.status_code, answer)
                        wait = max(retry_after_seconds(response) or 0.0, attempt.next_wait)
                        raise self._judged(response.status_code, answer, wait)
                    return found
        except _LimitError as error:
            raise BusyError(f"{error}; {_when(error.retry_after or 0.0)}") from None
        raise AssertionError  # the last attempt returns or raises

    def _wait(self, patience: _Patience, error: Exception) -> bool | float:
        """Decide on a retry: False for none, True for one after the usual backoff, or after how many seconds.

        Nothing waits in vain: where PostHog asks for more than is left, that ends it at once.
        """
        if not isinstance(error, BusyError):
            return False
        asked_for = error.retry_after or 0.0
        if isinstance(error, _LimitError):
            if asked_for > patience.limit_seconds:
                return False
            patience.limit_seconds -= asked_for
            patience.ends_at += asked_for
            return asked_for
        left = patience.ends_at - time.monotonic()
        if left <= 0 or asked_for > left:
            return False
        return asked_for or True

    def _attempt(self, method: str, path: str, question: Mapping[str, JSON] | None) -> requests.Response:
        try:
            return self._session.request(method, self._url + path, json=question, timeout=TIMEOUT_SECONDS)
        except LargeAnswerError:
            raise TooMuchError(f"an answer of more than {LARGEST_ANSWER_BYTES:,} bytes") from None
        except OSError as error:  # requests' are among them
            raise untrusted(error, self.host) or BusyError(
                f"PostHog at {self.host} can't be asked ({network_trouble(error)})"
            ) from None

    def _judged(self, status: int, answer: Mapping[str, JSON], wait_seconds: float) -> Exception:
        """Return what an answer without a result means; PostHog's own words stand in `detail`."""
        detail = _detail(answer)
        if status == HTTPStatus.OK and answer.get("is_cached"):
            return BusyError(f"PostHog at {self.host} gives an earlier answer again", wait_seconds)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return _LimitError(
                f"PostHog at {self.host} is busy (HTTP {status}): all who ask this project share 240 questions "
                "a minute and 2,400 an hour",
                wait_seconds,
            )
        if status == HTTPStatus.ACCEPTED or is_busy(status):
            return BusyError(f"PostHog at {self.host} is busy (HTTP {status})", wait_seconds)
        if status == HTTPStatus.FORBIDDEN and "scope" in detail:
            return _ScopeError(f"`personal_api_key`: PostHog at {self.host} wants one more permission: {detail}")
        return RunError(self._sentence(status, answer, detail))

    def _sentence(self, status: int, answer: Mapping[str, JSON], detail: str) -> str:
        if status == HTTPStatus.UNAUTHORIZED:
            return (
                f"`personal_api_key`: PostHog at {self.host} doesn't know it; make one with the permission Query Read "
                "in PostHog's user settings (it starts with phx_)"
            )
        if status == HTTPStatus.PAYMENT_REQUIRED:
            return f"PostHog answers no more questions over its API for now: {detail}"
        if status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            return (
                f"`project_id`, `personal_api_key`: PostHog at {self.host} refuses the question (HTTP {status}: "
                f"{detail}); the key needs the permission Query Read for this project"
            )
        if status == HTTPStatus.BAD_REQUEST and answer.get("detail"):
            return f"PostHog refuses a question of this command, which is the command's fault: {detail}"
        return f"`host`: {self.host} doesn't answer as PostHog's query API does (HTTP {status}: {detail})"


@dataclass
class _Patience:
    """How long one question is still asked again: until a moment, and for so many seconds of a limit beside that."""

    ends_at: float
    limit_seconds: float


class _LimitError(BusyError):
    """The project has no questions left for now."""


class _ScopeError(RunError):
    """The key lacks a permission."""


def _when(seconds: float) -> str:
    """Return when to go on, in so many seconds from now."""
    if seconds > FARTHEST_MOMENT_SECONDS:
        return "run the command again later"
    at = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return f"run the command again after {at:%Y-%m-%d %H:%M:%S} UTC"


def _check_size(status: int, answer: Mapping[str, JSON]) -> None:
    """Raise `TooMuchError` for the answer to a question that reads too much; the settings' 504 is a gateway's."""
    if status in TOO_MUCH or answer.get("code") in TOO_MUCH_CODES:
        raise TooMuchError(f"HTTP {status}: {_detail(answer)}")


def _detail(answer: Mapping[str, JSON]) -> str:
    return str(answer.get("detail") or "no reason given")


def _rows(answer: Mapping[str, JSON]) -> list[Any] | None:
    rows = answer.get("results")
    return rows if isinstance(rows, list) and not answer.get("is_cached") else None


def _project(answer: Mapping[str, JSON]) -> Project | None:
    months = answer.get("event_retention_months")
    kept = months if answer.get("events_retention_enforced") is True and isinstance(months, int) else None
    return Project(str(answer["timezone"]), kept) if "timezone" in answer else None
