"""A preview becomes a PostHog to look at, in: the preview file; out: the page over what PostHog would hold.

Its events go the way of real ones, so that persons, merges and what PostHog would refuse are as they would be.
Nothing can be sent to it. A new preview in the file's place is shown from the next look on.
"""

from __future__ import annotations

import itertools
import sys
import threading
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.datastructures import Headers

from sandbox.controls import Controls
from sandbox.posthog import capture_v0
from sandbox.posthog.database import Database
from sandbox.posthog.intake import take
from sandbox.posthog.pages import pages
from sandbox.posthog.preview_file import NotAPreviewError, PreviewFile
from sandbox.posthog.views import views
from sandbox.server import guarded, serve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

EVENTS_AT_ONCE = 1_000


class Preview:
    """The page of one preview file; `url` is its address while it is served."""

    def __init__(self, file: PreviewFile) -> None:
        self.url = ""
        self.controls = Controls()
        self._lock = threading.Lock()
        self._show(file)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request from the preview that is in the file's place now."""
        with self._lock:
            self._follow()
            app = self.app
        return app(environ, start_response)

    @contextmanager
    def serve(self, port: int = 0) -> Iterator[Preview]:
        """Serve in a thread on loopback."""
        with serve(self, port) as self.url:
            yield self

    def _follow(self) -> None:
        if self.file.is_current():
            return
        # Without a new one, the one before stays; as it may still answer a request, nobody closes it here.
        with suppress(NotAPreviewError):
            self._show(PreviewFile(self.file.path))

    def _show(self, file: PreviewFile) -> None:
        database = Database(":memory:")
        _fill(database, file)
        app = guarded(Flask("sandbox.preview"))
        app.url_map.strict_slashes = False
        self.controls.install(app)
        app.register_blueprint(views(database))
        app.register_blueprint(pages(database, preview=file))
        self.file, self.database, self.app = file, database, app


def _fill(database: Database, file: PreviewFile) -> None:
    now = datetime.now(timezone.utc)
    events = file.events()
    while batch := list(itertools.islice(events, EVENTS_AT_ONCE)):
        body = b'{"api_key":"phc_preview","batch":[' + b",".join(event for event, _ in batch) + b"]}"
        read = capture_v0.read(Headers(), "", body, now, sys.maxsize)  # the preview has told what is too large
        for event, (_, historical) in zip(read.events, batch, strict=True):
            event.historical = historical
        take(database, read.events, read.notices)
    database.merge()  # an event that two records become shows as it does once PostHog has merged the two
