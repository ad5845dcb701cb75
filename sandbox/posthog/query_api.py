"""PostHog's query API, and the project's settings beside it.

Takes a HogQL query with a personal API key; returns its rows, or the answer that refuses it, as
https://posthog.com/docs/api/queries says of `POST /api/projects/:project_id/query/` and posthog/api/query.py does. The
language itself is `hogql.py`'s.
"""

from __future__ import annotations

import json
import math
from calendar import monthrange
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from flask import Blueprint, jsonify, request

from sandbox.posthog.database import TooSlowError
from sandbox.posthog.hogql import QueryError, answered

if TYPE_CHECKING:
    from flask import Response

    from sandbox.posthog.database import Database
    from sandbox.posthog.limits import RequestLimit

SCOPE = "query:read"  # "A personal API key for your project with the Query Read permission"
PROJECT_SCOPE = "project:read"
# "Treat SQL query caching like day insight" (posthog/hogql_queries/hogql_query_runner.py@00f113d), and those are fresh
# for six hours (posthog/caching/utils.py@030c9cf); the docs speak of "very fresh results in the cache".
FRESH_FOR = timedelta(hours=6)
# https://posthog.com/docs/api/queries. `force_cache` calculates too, if there is nothing fresh: posthog/api/query.py.
FROM_CACHE = frozenset(("blocking", "force_cache", "lazy_async"))
REFRESHES = FROM_CACHE | {"force_blocking"}
FIELDS = frozenset(("query", "name", "refresh", "client_query_id", "filters_override", "variables_override"))
QUERY_FIELDS = frozenset(("kind", "query", "name", "tags", "version", "modifiers", "explain"))


class Asked(Protocol):
    """The project that is asked."""

    personal_api_key: str
    key_scopes: frozenset[str]
    time_zone: str
    event_retention_months: int
    events_retention_enforced: bool
    question_limit: RequestLimit
    settings_limit: RequestLimit

    def clock(self) -> datetime:
        """Return now."""


class _Kept(NamedTuple):
    """An answer in the cache."""

    at: datetime
    answer: dict[str, Any]


class _RefusedError(Exception):
    """An answer other than 200: status, type, code and detail as PostHog words them, and its headers."""

    def __init__(self, status: int, kind: str, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, kind, code, detail)
        self.headers = headers or {}


# 401: https://github.com/PostHog/posthog/issues/27656; 403: https://github.com/PostHog/posthog/issues/30993.
NO_KEY = (401, "authentication_error", "not_authenticated", "Authentication credentials were not provided.")
BAD_KEY = (
    *(401, "authentication_error", "authentication_failed"),
    "Personal API key found in request Authorization header is invalid.",
)
NO_SCOPE = (403, "authentication_error", "permission_denied", "API key missing required scope '{}'")
NO_PROJECT = (403, "authentication_error", "permission_denied", "You don't have access to the project.")
NO_TEXT = (400, "validation_error", "invalid_input", "The sandbox answers a HogQLQuery with a text only.")
NO_ASYNC = (400, "validation_error", "invalid_input", "The sandbox answers at once only: no async refresh.")
EXTRA = (400, "validation_error", "invalid_input", "Extra inputs are not permitted")  # REPORT: posthog-api.md 1.1
# posthog/exceptions.py: posthog-api.md 1.1. The exception's kind and code aren't known.
TOO_SLOW = (504, "server_error", "error", "Query has hit the max execution time before completing.")
# posthog-api.md 1.1; Django REST Framework exceptions.py, `Throttled`.
THROTTLED = (429, "throttled_error", "throttled", "Request was throttled. Expected available in {} seconds.")
AT_ONCE = (429, "throttled_error", "throttled", "Too many queries are running at once for this project.")


def query_api(database: Database, project_id: int, project: Asked) -> Blueprint:
    """Build the routes; `project` is looked at with each question."""
    api = Blueprint("query_api", __name__)
    cache: dict[str, _Kept] = {}

    @api.post("/api/projects/<int:asked_id>/query/")
    def query(asked_id: int) -> Response:
        _check(project, SCOPE, is_its_project=asked_id == project_id)
        _throttle(project, project.question_limit)
        text, refresh = _asked(request.get_json(silent=True) or {})
        kept = cache.get(text)
        if kept and refresh in FROM_CACHE and project.clock() - kept.at < FRESH_FOR:
            return jsonify({**kept.answer, "is_cached": True})
        places = project.question_limit.places
        if not places.acquire(blocking=False):
            raise _RefusedError(*AT_ONCE)
        try:
            cache[text] = _Kept(project.clock(), _rows(database, text, project))
        except QueryError as error:
            raise _RefusedError(400, "validation_error", "hogql_query_error", str(error)) from None
        except TooSlowError:
            raise _RefusedError(*TOO_SLOW) from None
        finally:
            places.release()
        return jsonify(cache[text].answer)

    @api.get("/api/projects/<int:asked_id>/")
    def settings(asked_id: int) -> Response:
        _check(project, PROJECT_SCOPE, is_its_project=asked_id == project_id)
        _throttle(project, project.settings_limit)
        return jsonify(
            {
                "id": project_id,
                "timezone": project.time_zone,
                "event_retention_months": project.event_retention_months,
                "events_retention_enforced": project.events_retention_enforced,
            }
        )

    @api.errorhandler(_RefusedError)
    def refusal(refused: _RefusedError) -> tuple[Response, int, dict[str, str]]:
        status, kind, code, detail = refused.args
        return jsonify({"type": kind, "code": code, "detail": detail, "attr": None}), status, refused.headers

    return api


def _asked(body: dict[str, Any]) -> tuple[str, str]:
    """Return the query's text and how fresh its answer has to be."""
    asked = body.get("query")
    if not isinstance(asked, dict) or asked.get("kind") != "HogQLQuery" or not isinstance(asked.get("query"), str):
        raise _RefusedError(*NO_TEXT)
    if set(body) - FIELDS or set(asked) - QUERY_FIELDS:
        raise _RefusedError(*EXTRA)
    refresh = body.get("refresh", "blocking")
    if refresh not in REFRESHES:
        raise _RefusedError(*NO_ASYNC)
    return asked["query"], refresh


def _check(project: Asked, scope: str, *, is_its_project: bool) -> None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not key:
        raise _RefusedError(*NO_KEY)
    if key != project.personal_api_key:
        raise _RefusedError(*BAD_KEY)
    if scope not in project.key_scopes:
        raise _RefusedError(*NO_SCOPE[:3], NO_SCOPE[3].format(scope))
    if not is_its_project:
        raise _RefusedError(*NO_PROJECT)


def _throttle(project: Asked, limit: RequestLimit) -> None:
    seconds = math.ceil(limit.wait_seconds(project.clock()))
    if seconds:
        raise _RefusedError(*THROTTLED[:3], THROTTLED[3].format(seconds), {"Retry-After": str(seconds)})


def _rows(database: Database, text: str, project: Asked) -> dict[str, Any]:
    months = project.event_retention_months if project.events_retention_enforced else None
    oldest = None if months is None else _before(project.clock(), months)
    answer = answered(database, text, zone=project.time_zone, oldest=oldest)
    pages = {} if answer.has_more is None else {"hasMore": answer.has_more, "limit": len(answer.rows), "offset": 0}
    return {
        "columns": answer.columns,
        "results": json.loads(json.dumps(answer.rows)),
        "query": text,
        "error": None,
        "is_cached": False,
        "last_refresh": project.clock().isoformat(),
        **pages,  # for a query without LIMIT alone: posthog/hogql_queries/hogql_query_runner.py
    }


def _before(now: datetime, months: int) -> datetime:
    """Return the moment some months ago, on the last day of the month if it has no such day."""
    year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    return now.replace(year=year, month=month + 1, day=min(now.day, monthrange(year, month + 1)[1]))
