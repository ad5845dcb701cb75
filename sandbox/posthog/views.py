"""What PostHog keeps, to look at, in: the database and a question in a URL; out: JSON.

Numbers are shown as they were sent. Knows nothing of capture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from flask import Blueprint, Response, request, url_for

from sandbox.posthog.totals import totals_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.posthog.database import Database

USUALLY_LISTED = 100
MOST_LISTED = 1_000


def views(database: Database) -> Blueprint:
    """Build the routes under which a database can be read, merged and wiped."""
    views = Blueprint("views", __name__)

    @views.get("/api/")
    def overview() -> Response:
        names = ("events", "persons", "groups", "totals", "warnings", "fired")
        return as_json({"totals": totals_of(database), "views": {name: url_for(f"views.{name}") for name in names}})

    @views.get("/api/events")
    def events() -> Response:
        wanted = {name: request.args[name] for name in ("event", "distinct_id") if name in request.args}
        where = " and ".join(["true", *(f"e.{name} = ?" for name in wanted)])
        return as_json(database.events(where, list(wanted.values()), *_page()))

    @views.get("/api/events/<uuid>")
    def event(uuid: str) -> Response:
        found = database.events("e.uuid = ?", [uuid])
        return as_json(found[-1]) if found else Response(status=404)

    @views.get("/api/persons")
    def persons() -> Response:
        if "distinct_id" not in request.args:
            return as_json(database.persons("true", [], *_page()))
        having = "uuid = (select person from distinct_ids where distinct_id = ?)"
        return as_json(database.persons(having, [request.args["distinct_id"]]))

    @views.get("/api/groups")
    def groups() -> Response:
        return as_json(database.groups())

    @views.get("/api/totals")
    def totals() -> Response:
        return as_json(totals_of(database))

    @views.get("/api/warnings")
    def warnings() -> Response:
        return as_json(database.warnings())

    @views.get("/api/fired")
    def fired() -> Response:
        return as_json(database.fired())

    _add_controls(views, database)
    views.after_request(_kept_out_of_caches)
    return views


def _add_controls(views: Blueprint, database: Database) -> None:
    """Add what changes the database. `get_json` answers 415 to a web page, which can't post JSON to another site."""

    @views.post("/_sandbox/merge")
    def merge() -> Response:
        return as_json({"merged": database.merge(request.get_json().get("month", ""))})

    @views.post("/_sandbox/reset")
    def reset() -> Response:
        request.get_json()
        database.wipe()
        return as_json({})


def as_json(value: object, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a value as JSON: decimals as strings, properties as the text that was sent."""
    return Response(msgspec.json.encode(value), mimetype="application/json", headers=dict(headers or {}))


def _kept_out_of_caches(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"  # previews of real customers look the same
    return response


def _page() -> tuple[int, int]:
    limit = request.args.get("limit", USUALLY_LISTED, type=int)
    return max(0, min(limit, MOST_LISTED)), max(0, request.args.get("offset", 0, type=int))
