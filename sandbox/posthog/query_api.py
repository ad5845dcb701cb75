"""PostHog's query API, in: a HogQL query with a personal API key; out: its rows, or the answer that refuses it.

What https://posthog.com/docs/api/queries says of `POST /api/projects/:project_id/query/`. Knows nothing of the
language itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, jsonify, request

from sandbox.posthog.hogql import QueryError, answered

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response

    from sandbox.posthog.database import Database

    Scopes = Callable[[str], frozenset[str] | None]

SCOPE = "query:read"  # "A personal API key for your project with the Query Read permission"


class _RefusedError(Exception):
    """An answer other than 200: status, type, code and detail as PostHog words them."""


# 401: https://github.com/PostHog/posthog/issues/27656; 403: https://github.com/PostHog/posthog/issues/30993.
NO_KEY = (401, "authentication_error", "not_authenticated", "Authentication credentials were not provided.")
BAD_KEY = (
    *(401, "authentication_error", "authentication_failed"),
    "Personal API key found in request Authorization header is invalid.",
)
NO_SCOPE = (403, "authentication_error", "permission_denied", f"API key missing required scope '{SCOPE}'")
NO_PROJECT = (403, "authentication_error", "permission_denied", "You don't have access to the project.")
NO_TEXT = (400, "validation_error", "invalid_input", "The sandbox answers a HogQLQuery with a text only.")


def query_api(database: Database, project_id: int, scopes_of: Scopes) -> Blueprint:
    """Build the route; `scopes_of` gives what a personal API key may do, None for a key that nobody has."""
    api = Blueprint("query_api", __name__)

    @api.post("/api/projects/<int:project>/query/")
    def query(project: int) -> Response:
        _check(project == project_id, scopes_of)
        asked = (request.get_json(silent=True) or {}).get("query")
        if not isinstance(asked, dict) or asked.get("kind") != "HogQLQuery" or not isinstance(asked.get("query"), str):
            raise _RefusedError(*NO_TEXT)
        try:
            return jsonify(_rows(database, asked["query"]))
        except QueryError as error:
            raise _RefusedError(400, "validation_error", "hogql_query_error", str(error)) from None

    @api.errorhandler(_RefusedError)
    def refusal(refused: _RefusedError) -> tuple[Response, int]:
        status, kind, code, detail = refused.args
        return jsonify({"type": kind, "code": code, "detail": detail, "attr": None}), status

    return api


def _check(is_its_project: bool, scopes_of: Scopes) -> None:  # noqa: FBT001  # what the URL says
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not key:
        raise _RefusedError(*NO_KEY)
    scopes = scopes_of(key)
    if scopes is None:
        raise _RefusedError(*BAD_KEY)
    if SCOPE not in scopes:
        raise _RefusedError(*NO_SCOPE)
    if not is_its_project:
        raise _RefusedError(*NO_PROJECT)


def _rows(database: Database, text: str) -> dict[str, Any]:
    answer = answered(database, text)
    return {
        "columns": answer.columns,
        "results": answer.rows,
        "hasMore": answer.has_more,
        "limit": answer.limit,
        "offset": answer.offset,
        "query": text,
        "error": None,
        "is_cached": False,
    }
