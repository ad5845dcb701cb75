"""The page's addresses, in: a URL; out: HTML made from the database.

Nothing is fetched from elsewhere, no script runs, and nothing stays in the browser's cache: previews of real customers
look the same.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import requests
from flask import Blueprint, abort, redirect, render_template, request, url_for

from sandbox.posthog.database import iso
from sandbox.posthog.pages import pictures, words
from sandbox.posthog.pages.books import books_of, shelves_of, sums_of, told_by_time
from sandbox.posthog.pages.lines import Filters, lines_of, orders_named, page_of
from sandbox.posthog.pages.overview import Figures, View, figures_of, names_of, rows_of
from sandbox.posthog.pages.periods import DAYS_IN
from sandbox.posthog.pages.plan import Plan, add_routes
from sandbox.posthog.pages.profiles import PROFILES_A_PAGE, profile_of, profiles_before, profiles_named
from sandbox.posthog.pages.shop_side import RecordSide

if TYPE_CHECKING:
    from datetime import date

    from flask import Response
    from werkzeug import Response as BaseResponse
    from werkzeug.exceptions import HTTPException

    from sandbox.posthog.database import Database
    from sandbox.posthog.pages.shop_side import ShopOrder, Side
    from sandbox.posthog.preview_file import PreviewFile

MOST_LINES = 200  # of a person's timeline; the rest stands in the list of events
WARNINGS_A_PAGE = 100
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
EVENTS_OF_PERSON = "e.distinct_id in (select distinct_id from distinct_ids where person = ?)"
WARNINGS = "select number, type, details from warnings where number < ? order by number desc limit ?"


def pages(
    database: Database, shop: Side | None = None, preview: PreviewFile | None = None, time_zone: str = "UTC"
) -> Blueprint:
    """Build the routes of the page, whose days are those of a time zone; a preview knows its shop's.

    With a shop, an order's page shows what the shop itself has beside its events. With a preview, the events are those
    that would be sent, and there are its plan and its records to look at.
    """
    pages = Blueprint("pages", __name__, template_folder="templates", static_folder="static", static_url_path="/page")
    views = _Views(database, RecordSide(preview) if preview else shop, preview, time_zone)
    for name in ("money", "count", "day", "plain"):
        pages.add_app_template_filter(getattr(words, name))
    pages.add_app_template_filter(iso)
    pages.add_app_template_filter(lambda time: words.moment(time, views.zone), "moment")
    pages.add_app_template_test(words.is_table, "table")
    pages.add_app_template_test(words.is_amount, "amount")
    pages.add_url_rule("/", view_func=views.overview)
    pages.add_url_rule("/events", view_func=views.events)
    pages.add_url_rule("/events/<uuid>", view_func=views.event)
    pages.add_url_rule("/persons", view_func=views.persons)
    pages.add_url_rule("/persons/<uuid>", view_func=views.person)
    pages.add_url_rule("/orders/<path:wanted>", view_func=views.order)
    pages.add_url_rule("/search", view_func=views.search)
    pages.add_url_rule("/warnings", view_func=views.warnings)
    if preview:
        add_routes(pages, preview)
    pages.context_processor(lambda: {"preview": preview, "time_zone": views.zone.key})
    for status in (400, 404):
        pages.register_error_handler(status, _told)

    @pages.before_request
    def index() -> None:
        database.index_for_reading()

    @pages.after_request
    def guard(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    return pages


class _Views:
    """One method per kind of page."""

    def __init__(self, database: Database, shop: Side | None, preview: PreviewFile | None, time_zone: str) -> None:
        self.database, self.shop, self.preview = database, shop, preview
        self._figures: tuple[int, Figures] | None = None
        self._booked = preview.booked() if preview else []
        self._differences = preview.differences() if preview else []
        # Several shops may have days of several zones: the page has those of the one with most of them.
        zones = [one.time_zone for one in self._booked]
        self.zone = ZoneInfo(max(zones, key=zones.count) if zones else time_zone)

    def overview(self) -> str:
        figures = self._current_figures()
        try:
            view = View.of(request.args, figures, self._today())
        except ValueError as error:
            abort(400, str(error))
        if view is None:
            return render_template("empty.html", plan=Plan.of(self.preview) if self.preview else None)
        rows, names = rows_of(figures, view), names_of(figures, view)
        return render_template(
            "overview.html",
            totals=figures.totals,
            currencies=figures.currencies,
            units=DAYS_IN,
            view=view,
            rows=rows,
            shelves=shelves_of(self._booked, self._differences, view, view.periods),
            names=names,
            days=figures.days,
            zoomed=bool(request.args.get("from") or request.args.get("to")),
            into=pictures.into,
            plan=Plan.of(self.preview) if self.preview else None,
            money_chart=pictures.money_chart(rows, view),
            orders_chart=pictures.orders_chart(rows, view),
        )

    def events(self) -> str:
        try:
            filters = Filters.of(request.args, self.zone)
            page = page_of(
                self.database, filters, before=request.args.get("before", ""), after=request.args.get("after", "")
            )
        except ValueError as error:
            abort(400, str(error))
        names = [name for (name,) in self.database.ask("select distinct event from events order by event")]
        return render_template("events.html", page=page, filters=filters, asked=filters.asked, names=names)

    def event(self, uuid: str) -> str:
        lines = lines_of(self.database, "e.uuid = ?", [uuid])
        if not lines:
            abort(404, f"There is no event {uuid}.")
        record = self.preview.record_of_event(uuid) if self.preview else None
        return render_template("event.html", lines=lines, uuid=uuid, record=record)

    def persons(self) -> str:
        try:
            found = profiles_before(self.database, request.args.get("before", ""))
        except ValueError as error:
            abort(400, str(error))
        ((count,),) = self.database.ask("select count(*) from persons")
        shown, more = found[:PROFILES_A_PAGE], len(found) > PROFILES_A_PAGE
        return render_template("persons.html", profiles=shown, count=count, older=shown[-1].cursor if more else None)

    def person(self, uuid: str) -> str:
        profile = profile_of(self.database, uuid)
        if profile is None:
            abort(404, f"There is no person {uuid}.")
        lines = lines_of(self.database, EVENTS_OF_PERSON, [uuid], order="desc")
        return render_template(
            "person.html", profile=profile, books=books_of(lines), lines=lines[:MOST_LINES], count=len(lines)
        )

    def order(self, wanted: str) -> str | BaseResponse:
        orders = orders_named(self.database, wanted)
        if not orders:
            abort(404, f"No event names an order {wanted}.")
        if len(orders) > 1:
            return redirect(url_for("pages.search", q=wanted))
        ((called, found),) = orders.items()
        lines = told_by_time(found)
        told, silent = self._beside(called)
        return render_template(
            "order.html",
            called=called,
            lines=lines,
            books=books_of(lines),
            sums=sums_of(lines),
            told=told,
            silent=silent,
            when=self.shop.when if self.shop else "",
            record=self.preview.record_of_event(lines[0].uuid) if self.preview else None,
        )

    def search(self) -> str | BaseResponse:
        wanted = request.args.get("q", "").strip()
        if not wanted:
            return render_template("search.html", wanted="", profiles=[], orders={}, records=[])
        if self.database.ask("select 1 from events where uuid = ? limit 1", [wanted.lower()]):
            return redirect(url_for("pages.event", uuid=wanted.lower()))
        orders, profiles = orders_named(self.database, wanted), profiles_named(self.database, wanted)
        records = self.preview.named(wanted) if self.preview else []
        if not profiles and len(orders) == 1:
            return redirect(url_for("pages.order", wanted=next(iter(orders))))
        if not orders and len(profiles) == 1:
            return redirect(url_for("pages.person", uuid=profiles[0].uuid))
        if not orders and not profiles and len(records) == 1:
            return redirect(url_for("pages.record", number=records[0].number))
        return render_template("search.html", wanted=wanted, profiles=profiles, orders=orders, records=records)

    def warnings(self) -> str:
        before = request.args.get("before", 2**62, type=int)
        found = self.database.ask(WARNINGS, [before, WARNINGS_A_PAGE + 1])
        counts = self.database.ask("select type, count(*) from warnings group by type order by 2 desc, type")
        shown = [(kind, msgspec.json.decode(details)) for _, kind, details in found[:WARNINGS_A_PAGE]]
        older = found[WARNINGS_A_PAGE - 1][0] if len(found) > WARNINGS_A_PAGE else None
        plan = Plan.of(self.preview) if self.preview else None
        return render_template("warnings.html", warnings=shown, counts=dict(counts), older=older, plan=plan)

    def _today(self) -> date:
        """The day on which the events were there: that of the preview, else today."""
        made = datetime.fromisoformat(self.preview.plan["made_at"].replace("Z", "+00:00")) if self.preview else None
        return (made or datetime.now(timezone.utc)).astimezone(self.zone).date()

    def _current_figures(self) -> Figures:
        """Read the figures, or those of the last look if nothing has arrived since."""
        changes = self.database.changes
        if self._figures is None or self._figures[0] != changes:
            self._figures = changes, figures_of(self.database, self.zone)
        return self._figures[1]

    def _beside(self, order_id: str) -> tuple[ShopOrder | None, str]:
        """Return what the shop says, or why it says nothing."""
        if self.shop is None:
            return None, ""
        try:
            told = self.shop.order(order_id)
        except (requests.RequestException, ValueError, KeyError):
            return None, "The shop did not answer."
        return told, "" if told else "The shop has no order of this number."


def _told(error: HTTPException) -> tuple[str, int]:
    return render_template("told.html", error=error), error.code or 500
