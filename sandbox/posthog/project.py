"""A PostHog project on this machine, in: capture requests as the real one takes them; out: what it keeps of them.

Both capture protocols and the checks of a project key. Knows nothing of who sends.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import msgspec
from flask import Flask, Response, request

from sandbox.controls import Controls
from sandbox.posthog import capture, capture_v0, capture_v1
from sandbox.posthog.database import Database, PersonRow, Row
from sandbox.posthog.intake import take
from sandbox.posthog.limits import QUESTIONS, SETTINGS, RequestLimit
from sandbox.posthog.pages import pages
from sandbox.posthog.pages.shop_side import ShopSide
from sandbox.posthog.partitions import Log
from sandbox.posthog.query_api import PROJECT_SCOPE, SCOPE, query_api
from sandbox.posthog.totals import totals_of
from sandbox.posthog.views import as_json, views
from sandbox.server import guarded, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from sandbox.posthog.capture import Event, Notice
    from sandbox.posthog.limits import DistinctIdLimit
    from sandbox.posthog.partitions import Partition

# What `/flags` says of a key that no project has: https://github.com/PostHog/posthog/issues/54670.
BAD_KEY = "The provided API key is invalid or has expired. Please check your API key and try again."
# What V1 says of a project over its billing limit: PostHog rust/capture v1/error.rs [5a75b3c0].
BILLING_LIMIT = "Billing quota exceeded. Events are being dropped. Upgrade your plan to resume ingestion."
PROJECT_ID = 1
DETAILS = {"warning": "person_processing_disabled", "drop": "rejected", "retry": "not_persisted"}


class PostHog:
    """A project whose key is `api_key`; what it keeps lives in `database`, a path or `:memory:`.

    Each behaviour that differs between PostHog's versions and moments is an attribute, to be changed while it serves:

    `v1`: `"on"`; `"missing"` answers 404 as servers before June 2026 do; `"unconfigured"` a bare 503 as Hobby may
    (PostHog rust/capture v1/analytics/process.rs; v1/error.rs [5a75b3c0] gives its reason to nobody).
    `unknown_keys`: `"accepted"` answers 200 and keeps nothing (https://github.com/PostHog/posthog/issues/54670),
    `"refused"` 401.
    `billing_limit_reached`: V1 answers `billing_limit_status`, `/batch/` 200 and keeps nothing. The status is 402
    (v1/error.rs [5a75b3c0]); before, it was 429 ([048eabf8]), with the same word.
    `largest_event_bytes`: beyond it V1 drops the event, `/batch/` answers 413 after the events before it.
    `verdicts`: V1 verdicts to give instead of its own, by uuid or event name, each list used up one per arrival
    (`{"Order Completed": ["retry", "ok"]}`; details after a colon: `"drop:event_too_big"`).
    `distinct_id_limit`: beyond it events are kept and the person isn't touched: V1 says `warning`, `/batch/` nothing.
    `drop_events_older_than`: the project's setting; older events are told `ok` and dropped (drop-old-events-step.ts).
    `clock`: now, as a datetime with its zone.
    `personal_api_key`: the key of the query API for project 1; `key_scopes` is what it may do.
    `time_zone`: the project's, in which HogQL and the page show times.
    `event_retention_months`, `events_retention_enforced`: with the second no query returns an older event (team
    serializer, posthog-api.md 1.2).
    `question_limit`, `settings_limit`: how many requests the query API and the project's settings take (limits.py).
    `shop_url`: the sandbox's shop, to be asked for an order that somebody looks at; nobody is asked by default.
    """

    def __init__(  # noqa: PLR0913  # each is a behaviour of the real one, and has a default
        self,
        database: str = ":memory:",
        api_key: str = "phc_sandbox",
        *,
        v1: Literal["on", "missing", "unconfigured"] = "on",
        unknown_keys: Literal["accepted", "refused"] = "accepted",
        billing_limit_reached: bool = False,
        billing_limit_status: Literal[402, 429] = 402,
        largest_event_bytes: int = capture.LARGEST_EVENT_BYTES,
        verdicts: Mapping[str, list[str]] | None = None,
        distinct_id_limit: DistinctIdLimit | None = None,
        drop_events_older_than: timedelta | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        personal_api_key: str = "phx_sandbox",
        key_scopes: frozenset[str] = frozenset((SCOPE, PROJECT_SCOPE)),
        time_zone: str = "UTC",
        event_retention_months: int = 84,
        events_retention_enforced: bool = False,
        shop_url: str | None = None,
    ) -> None:
        self.api_key = api_key
        self.v1 = v1
        self.unknown_keys = unknown_keys
        self.billing_limit_reached = billing_limit_reached
        self.billing_limit_status = billing_limit_status
        self.largest_event_bytes = largest_event_bytes
        self.verdicts = {name: list(queue) for name, queue in (verdicts or {}).items()}
        self.distinct_id_limit = distinct_id_limit
        self.drop_events_older_than = drop_events_older_than
        self.clock = clock
        self.personal_api_key = personal_api_key
        self.key_scopes = key_scopes
        self.time_zone = time_zone
        self.event_retention_months = event_retention_months
        self.events_retention_enforced = events_retention_enforced
        self.question_limit = RequestLimit(*QUESTIONS)
        self.settings_limit = RequestLimit(*SETTINGS)
        self.shop_url = shop_url
        self.url = ""
        self.controls = Controls()
        self.log = Log()
        self.database = Database(database)
        self.app = self._app()

    @contextmanager
    def serve(self, port: int = 0) -> Iterator[PostHog]:
        """Serve in a thread on loopback; `url` is the address, such as `http://127.0.0.1:40123`."""
        with serve(self.app, port) as self.url:
            yield self

    def events(self) -> list[dict[str, Any]]:
        """Return each event, and each copy of it that isn't merged, in the order of arrival.

        `properties` are Python values, `copies` counts the others of the same event.
        """
        return [_plain(one) for one in self.database.events()]

    def persons(self) -> list[dict[str, Any]]:
        """Return the persons, oldest first: uuid, distinct_ids, properties, is_identified, created_at."""
        return [_plain(one) for one in self.database.persons()]

    def groups(self) -> list[dict[str, Any]]:
        """Return the groups by type and key: type, key, properties, created_at."""
        return [json.loads(msgspec.json.encode(one)) for one in self.database.groups()]

    def merge(self, month: str = "") -> int:
        """Let ClickHouse merge the copies, of all months or one (`2026-11`), and return how many there were."""
        return self.database.merge(month)

    def fired(self) -> list[dict[str, Any]]:
        """Return each arrival, for which destinations, workflows and webhooks would have run, oldest first."""
        return [msgspec.structs.asdict(one) for one in self.database.fired()]

    def hold(self) -> None:
        """Let what is accepted from now on wait before the project, for `apply`."""
        self.log.hold()

    def held(self) -> list[Partition]:
        """Return the partition of each event that waits, in the order of arrival; PostHog may take any permutation."""
        return self.log.partitions()

    def apply(self, order: Sequence[Partition]) -> None:
        """Let the project take the waiting events in this order, a permutation of `held`.

        They stay, so that a test can empty the database and try the next order.
        """
        self._take(self.log.in_order(order))

    def warnings(self) -> list[Notice]:
        """Return what PostHog would show as ingestion warnings, oldest first."""
        return self.database.warnings()

    def totals(self) -> dict[str, Any]:
        """Return the figures of `sandbox.posthog.totals.Totals`, money as exact `Decimal` by currency."""
        return msgspec.structs.asdict(totals_of(self.database))

    def _app(self) -> Flask:
        app = guarded(Flask("sandbox.posthog"))
        app.url_map.strict_slashes = False
        self.controls.install(app)
        app.register_blueprint(views(self.database))
        app.register_blueprint(query_api(self.database, PROJECT_ID, self))
        side = ShopSide(self.shop_url) if self.shop_url else None
        app.register_blueprint(pages(self.database, side, time_zone=self.time_zone))
        for path, answer in {
            capture_v1.PATH: self._capture_v1,
            capture_v0.PATH: self._capture_v0,
            "/flags/": self._flags,
        }.items():
            app.add_url_rule(path, view_func=answer, methods=["POST"])
        app.add_url_rule("/array/<token>/config.js", view_func=self._config)
        return app

    def _capture_v1(self) -> Response:
        if self.v1 == "missing":
            return Response(status=404)
        try:
            results = self._judge()
        except capture.Refused as refused:
            return _v1_refusal(refused)
        retry = any(one.result == "retry" for one in results.values())
        return as_json({"results": results}, headers={"Retry-After": capture_v1.RETRY_AFTER_SECONDS} if retry else {})

    def _judge(self) -> dict[str, capture_v1.Verdict]:
        """Take a V1 batch and return the verdicts by uuid; raises Refused for the whole of it."""
        head = capture_v1.Request.of(request.headers)
        judged = capture_v1.read(head, request.get_data(), self.clock(), self.largest_event_bytes)
        if self.billing_limit_reached:
            raise capture.Refused(self.billing_limit_status, "billing_limit_exceeded", BILLING_LIMIT)
        known = self._knows(head.api_key)
        if self.v1 == "unconfigured":
            raise capture.Refused(503, "service_unavailable", "Service Unavailable")
        with self.database.lock:
            results, kept = self._overruled(judged)
            if known:
                self._accept(kept)
        return results

    def _capture_v0(self) -> Response:
        try:
            compression = request.args.get("compression", "")
            batch = capture_v0.read(
                request.headers, compression, request.get_data(), self.clock(), self.largest_event_bytes
            )
            if self._knows(batch.api_key) and not self.billing_limit_reached:
                for event in batch.events:
                    event.person_processing = self._looks_at_the_person(event)
                self._accept(batch.events, batch.notices)
        except capture.Refused as refused:
            return Response(str(refused), refused.status, mimetype="text/plain")
        if batch.oversized:
            return Response("event exceeds the maximum size", 413, mimetype="text/plain")
        return as_json({"status": "Ok"})

    def _accept(self, events: Sequence[Event], notices: Iterable[Notice] = ()) -> None:
        """Note where and when the events came in, and let the project take them, unless they are to wait."""
        for event in events:
            event.sender, event.created_at = request.remote_addr or "", self.clock()
        if self.log.is_held:
            self.log.add(events)
        else:
            self._take(events, notices)

    def _take(self, events: Sequence[Event], notices: Iterable[Notice] = ()) -> None:
        oldest = self.clock() - self.drop_events_older_than if self.drop_events_older_than else None
        take(self.database, events, notices, oldest=oldest)

    def _looks_at_the_person(self, event: Event) -> bool:
        return self.distinct_id_limit is None or self.distinct_id_limit.allows(event.distinct_id, self.clock())

    def _knows(self, api_key: str) -> bool:
        """Say whether the key is this project's; raises Refused(401) if another is refused at the door."""
        if api_key != self.api_key and self.unknown_keys == "refused":
            raise capture.Refused(401, "invalid_api_token", "The provided project API key is not known.")
        return api_key == self.api_key

    def _overruled(
        self, judged: list[tuple[Event | None, str, capture_v1.Verdict]]
    ) -> tuple[dict[str, capture_v1.Verdict], list[Event]]:
        """Put the test's verdicts in place of one's own; return verdicts by uuid, and the events to keep."""
        results: dict[str, capture_v1.Verdict] = {}
        kept: list[Event] = []
        for event, uuid, own in judged:
            verdict = own
            if event and event.person_processing and not self._looks_at_the_person(event):
                verdict = capture_v1.Verdict("warning", capture_v1.PERSON_PROCESSING_DISABLED)
            queue = self.verdicts.get(uuid) or (self.verdicts.get(event.event) if event else None)
            if queue:
                result, _, details = queue.pop(0).partition(":")
                verdict = capture_v1.Verdict(result, details or DETAILS.get(result))
            if event and verdict.result in {"ok", "warning"}:
                event.person_processing &= verdict.result == "ok"
                kept.append(event)
            results[uuid] = verdict
        return results, kept

    def _flags(self) -> Response:
        encoding = request.headers.get("Content-Encoding", "")
        try:
            body = json.loads(capture.unpacked(request.get_data(), encoding, capture.MIB))
        except (capture.Refused, ValueError):
            return Response("Failed to decode request", 400, mimetype="text/plain")
        if body.get("api_key", body.get("token")) != self.api_key:
            return Response(BAD_KEY, 401, mimetype="text/plain")
        return as_json({"flags": {}, "errorsWhileComputingFlags": False, "requestId": str(uuid4())})

    def _config(self, token: str) -> Response:
        if token != self.api_key:
            return Response(status=404)
        return Response("(function(){})();", mimetype="application/javascript")


def _plain(row: Row | PersonRow) -> dict[str, Any]:
    values = msgspec.structs.asdict(row)
    values["properties"] = msgspec.json.decode(row.properties)
    return values


def _v1_refusal(refused: capture.Refused) -> Response:
    body = {"error": refused.tag, "error_description": str(refused), "error_uri": "https://posthog.com/docs/api"}
    response = as_json(body)
    response.status_code = refused.status
    if refused.status >= 500 or refused.status == 408:  # noqa: PLR2004  # the server's own faults can be tried again
        response.headers["Retry-After"] = capture_v1.RETRY_AFTER_SECONDS
    if refused.status == 429:  # noqa: PLR2004  # what the server knows as a limit
        response.headers["Retry-After"] = capture_v1.RETRY_AFTER_A_LIMIT_SECONDS
    return response
