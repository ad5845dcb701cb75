"""A Shopify shop on loopback, in: a store and HTTP requests to its Admin API; out: what Shopify would answer.

Knows HTTP and who may come in; a query is answered by `answers`.
Source of status codes and bodies: https://shopify.dev/docs/api/usage/response-codes.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from flask import Flask, Response, g, request, send_file

from sandbox.controls import Controls
from sandbox.server import guarded, serve
from sandbox.shop import changes
from sandbox.shop.access import SCOPES, SUBJECTS, Access, approved_by_plan
from sandbox.shop.answers import Answers
from sandbox.shop.bulk import BulkOperations, ForbiddenError
from sandbox.shop.cost import Bucket
from sandbox.shop.schemas import VERSIONS, deprecated_fields, served_version
from sandbox.shop.shopifyql import Report
from sandbox.shop.tokens import BAD_TOKEN, LIFETIME_SECONDS, Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox.shop.store import Store


@dataclass(frozen=True)
class Settings:
    """What may differ between shops and apps; every argument of `Shop` but the store."""

    access_token: str = "shpat_sandbox"  # noqa: S105  # the sandbox's well-known token
    client_id: str = "sandbox-client"
    client_secret: str = "shpss_sandbox"  # noqa: S105  # the sandbox's well-known secret
    token_seconds: float = LIFETIME_SECONDS
    scopes: tuple[str, ...] = SCOPES
    approved: frozenset[str] | None = None  # protected subjects; by the plan and the kind of app if None
    maximum_available: float = 2_000_000  # so large that only a test that sets it is throttled
    restore_rate: float = 100_000
    versions: tuple[str, ...] = VERSIONS
    bulk_refusal: str = ""  # how an app without the permission is refused, by one of bulk.REFUSALS
    bulk_nodes_only: bool = False  # whether bulk queries may have only connections of objects that implement Node
    bulk_node_parents_only: bool = False  # whether `agreements { sales }` is refused, as from April to July 2026
    bulk_seconds: float = 0.0
    # How many nodes of a nested connection an operation has that ends as COMPLETED: of one it had 100, without a word
    # (https://github.com/airbytehq/airbyte/issues/78512); None: all.
    bulk_nested_most: int | None = None
    # How far pages and counts go: 25,000 (https://shopify.dev/docs/api/usage/limits: "25,001 returned"). Nobody has
    # seen whether that holds for orders and customers; None: it doesn't.
    most_counted: int | None = None
    counts_tell: bool = True  # whether a count that ends there says AT_LEAST
    most_paged: int | None = None
    # The time zone whose days a search by customers' `updated_at` compares, as its description says ("matching a whole
    # day"); "": it compares seconds. Nobody has seen which. A range has all of its last day then, or nothing of it.
    customers_by_day: str = ""
    customers_whole_days: bool = False
    report: Report = field(default_factory=Report)  # how the shop answers ShopifyQL
    clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    journal: Path | None = None  # a file that keeps the changes made over HTTP; those it has are made at once


class Shop:
    """The Admin API of one shop; `clock` tells the time for everything that passes, so that tests needn't wait.

    A hostile shop answers by `twist`, which is given the body of each right answer and returns another, as an object
    or a text.
    """

    def __init__(self, store: Store, **settings: Any) -> None:  # noqa: ANN401  # the fields of Settings
        self.store, self.settings = store, Settings(**settings)
        if self.settings.journal:
            changes.replay(store, self.settings.journal)
        self.clock = self.settings.clock
        self.controls = Controls()
        self.bucket = Bucket(self.settings.maximum_available, self.settings.restore_rate, self.clock)
        self.bulk = BulkOperations(self.clock, seconds=self.settings.bulk_seconds)
        self.tokens = Tokens(
            self.settings.access_token,
            self.clock,
            client_id=self.settings.client_id,
            client_secret=self.settings.client_secret,
            lifetime_seconds=self.settings.token_seconds,
            scopes=self.settings.scopes,
        )
        self.closed: tuple[int, str] | None = None
        self.moved_to = ""
        self.breaks: dict[str, int] = {}
        self.twist: Callable[[dict[str, Any]], Any] = lambda body: body
        self.url = ""
        self.app = self._app()

    @contextmanager
    def serve(self, port: int = 0) -> Iterator[Shop]:
        """Serve the shop on loopback; yields itself with `url` set."""
        with serve(self.app, port, self.clock) as self.url:
            yield self

    def close(self, status: int = 402) -> None:
        """Answer everything as a shop that is frozen (402), gone (404) or locked (423); 200 opens it again."""
        errors = {402: "Unavailable Shop", 404: "Not Found", 423: "Locked"}
        self.closed = (status, errors[status]) if status in errors else None

    def redirect(self, url: str) -> None:
        """Answer everything as the old address of a renamed shop does: look at the new one."""
        self.moved_to = url

    def break_field(self, name: str, times: int = 1) -> None:
        """Let `Order.customer` (or another field) fail inside Shopify so many times."""
        self.breaks[name] = times

    def _app(self) -> Flask:
        app = guarded(Flask(__name__))
        self.controls.install(app)
        app.before_request(self._at_the_door)
        app.after_request(self._sign)
        app.register_blueprint(changes.blueprint(self.store, self.clock, self.settings.journal))
        app.register_blueprint(self.tokens.blueprint())
        app.add_url_rule("/admin/api/<version>/graphql.json", view_func=self._graphql, methods=["POST"])
        app.add_url_rule("/bulk/<int:number>.jsonl", view_func=self._bulk_file)
        return app

    def _at_the_door(self) -> Response | None:
        g.request_id = str(uuid4())
        if self.closed and not request.path.startswith("/_"):
            return _answer({"errors": self.closed[1]}, status=self.closed[0])
        if self.moved_to and not request.path.startswith("/_"):
            moved = _answer({}, status=301)
            moved.headers["Location"] = f"{self.moved_to}{request.full_path.rstrip('?')}"
            return moved
        return None

    def _sign(self, response: Response) -> Response:
        response.headers.setdefault("X-Request-Id", g.get("request_id", str(uuid4())))
        return response

    def _graphql(self, version: str) -> Response:
        token = request.headers.get("X-Shopify-Access-Token")
        if not self.tokens.knows(token):
            return _answer({"errors": BAD_TOKEN}, status=401)
        if not re.fullmatch(r"\d{4}-\d{2}", version):
            return _answer({"errors": "Not Found"}, status=404)
        body = request.get_json(silent=True)
        if not isinstance(body, dict) or not isinstance(body.get("query"), str):
            return _answer({"errors": {"query": "Required parameter missing or invalid"}}, status=400)
        served = served_version(version, self.settings.versions)
        access = Access(frozenset(self.settings.scopes), self._approved(token))
        answers = Answers(self, served, access, g.request_id, request.host_url.rstrip("/"))
        debug = request.headers.get("Shopify-Search-Query-Debug") == "1"
        try:
            right = answers.body(body["query"], body.get("variables") or {}, body.get("operationName"), debug=debug)
        except ForbiddenError as error:
            return _answer({"errors": str(error)}, status=403)
        response = _answer(self.twist(right))
        response.headers["X-Shopify-API-Version"] = served
        deprecated = deprecated_fields(served, body["query"])
        if deprecated:
            response.headers["X-Shopify-API-Deprecated-Reason"] = deprecated
        return response

    def _approved(self, token: str | None) -> frozenset[str]:
        """Return the protected subjects: an app made in the admin depends on the plan, one of the Dev Dashboard not."""
        if self.settings.approved is not None:
            return self.settings.approved
        plan = self.store.shop["plan"]["publicDisplayName"]
        return approved_by_plan(plan) if token == self.tokens.permanent else SUBJECTS

    def _bulk_file(self, number: int) -> Response:
        """Serve a result, also in parts (`Range`), as the object store behind Shopify's signed links does."""
        path = self.bulk.file(number, request.args.get("Signature", ""))
        if path is None:
            page = "<?xml version='1.0'?><Error><Code>ExpiredToken</Code><Message>Invalid argument.</Message></Error>"
            return Response(page, status=400, content_type="application/xml; charset=UTF-8")
        return send_file(path, mimetype="application/jsonl", conditional=True)


def _answer(body: dict[str, Any] | str, status: int = 200) -> Response:
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status=status, content_type="application/json; charset=utf-8")
