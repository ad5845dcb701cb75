"""PostHog's two capture protocols: each sends a batch once and reads the verdict on each of its events.

Takes events, returns `Verdicts`. Whether to send again is decided in `Client._wait`, not here. V1 is described in the
`posthog` library's capture_v1.py and in PostHog's rust/capture, v1/analytics. The library's own sender isn't used for
it: it takes an event of which the answer says nothing for delivered, and needs five times as long for the same bytes.
"""

from __future__ import annotations

from datetime import datetime, timezone
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import msgspec
import requests
import zstandard
from posthog.request import APIError, batch_post
from requests.adapters import HTTPAdapter
from typing_extensions import override

from target_posthog.posthog.answers import decoded, retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_posthog.mapping.event import Event
    from target_posthog.mapping.language.functions import JSON

PATH = "/i/v1/analytics/events"
# Properties that have a place of their own in V1, with the kind of value that it takes there; PostHog makes them
# properties again. Those of the library it takes from the header PostHog-Sdk-Info.
OPTIONS = {
    "$ignore_sent_at": ("disable_skew_correction", bool),
    "$process_person_profile": ("process_person_profile", bool),
    "$cookieless_mode": ("cookieless_mode", bool),
    "$product_tour_id": ("product_tour_id", str),
}
FIELDS = {"$session_id": "session_id", "$window_id": "window_id"}
OF_THE_LIBRARY = ("$lib", "$lib_version")
MOST_CONNECTIONS = 100  # kept open; beyond them urllib3 would warn of each that it closes


class Verdicts(NamedTuple):
    """What PostHog said of a batch: the uuids that it refused, each with the reason, and those to send again.

    All others are acknowledged. `retry_after` is in seconds.
    """

    refused: dict[str, JSON]
    again: list[str]
    retry_after: float | None


class CaptureV1:
    """Posts batches; safe to use from several threads."""

    def __init__(self, api_key: str, host: str, *, timeout_seconds: float) -> None:
        self._url = host + PATH
        self._timeout_seconds = timeout_seconds
        sender = f"target-posthog/{version('shopify-posthog')}"
        self._session = _session()
        self._session.headers.update(
            {
                "User-Agent": sender,
                "PostHog-Sdk-Info": sender,
                "Content-Type": "application/json",
                "Content-Encoding": "zstd",
            }
        )
        self._session.auth = _Bearer(api_key)

    def post(self, events: Sequence[Event], *, historical: bool, attempt: int = 1) -> Verdicts:
        """Send events once; raises APIError for an answer to the whole batch, RequestException if there is none."""
        now = datetime.now(timezone.utc).isoformat()
        body: dict[str, Any] = {"created_at": now, "batch": [as_v1(event) for event in events]}
        if historical:
            body["historical_migration"] = True
        response = self._session.post(
            self._url,
            data=zstandard.compress(msgspec.json.encode(body)),
            headers={
                "PostHog-Attempt": str(attempt),
                "PostHog-Request-Id": str(uuid4()),
                "PostHog-Request-Timestamp": now,
            },
            timeout=self._timeout_seconds,
            allow_redirects=False,
        )
        return _verdicts(response, [event["uuid"] for event in events])


class CaptureBatch:
    """Posts batches to `/batch/`; safe to use from several threads.

    It has no verdicts: PostHog takes or refuses the whole batch. The library's function below `Consumer.request` is
    used, because that wouldn't show the answer.
    """

    def __init__(self, api_key: str, host: str, *, timeout_seconds: float) -> None:
        self._api_key = api_key
        self._host = host
        self._timeout_seconds = timeout_seconds
        self._session = _session()
        self._session.max_redirects = 0  # events and key are for this host alone

    def post(self, events: Sequence[Event], *, historical: bool, attempt: int = 1) -> Verdicts:  # noqa: ARG002  # V1 has it
        """Send events once; raises as `CaptureV1.post` does, with status 402 for a 200 that says so."""
        try:
            response = batch_post(
                self._api_key,
                self._host,
                gzip=True,
                timeout=self._timeout_seconds,
                batch=events,
                historical_migration=historical,
                session=self._session,
            )
        except requests.TooManyRedirects as error:
            status = error.response.status_code if error.response is not None else HTTPStatus.FOUND
            raise APIError(status, "a redirection") from None
        answer = decoded(response.content)
        if "status" not in answer:
            raise APIError(response.status_code, "no status")
        if answer.get("quota_limited"):
            raise APIError(HTTPStatus.PAYMENT_REQUIRED, "quota_limited")
        return Verdicts({}, [], None)


class _Bearer(requests.auth.AuthBase):
    """Shows the key; unlike a header of the session, it isn't replaced by what ~/.netrc has for the host."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    @override
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._api_key}"
        return request


def _session() -> requests.Session:
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=MOST_CONNECTIONS))
    return session


def as_v1(event: Event) -> dict[str, JSON]:
    """Return an event as V1 writes it, without options of a wrong kind, for which it would refuse the batch."""
    properties = event["properties"].copy()
    for name in OF_THE_LIBRARY:
        properties.pop(name, None)
    options = {
        option: value
        for name, (option, kind) in OPTIONS.items()
        if name in properties and isinstance(value := properties.pop(name), kind)
    }
    fields = {
        field: value
        for name, field in FIELDS.items()
        if name in properties and isinstance(value := properties.pop(name), str)
    }
    return {**event, **fields, "options": options, "properties": properties}


def _verdicts(response: requests.Response, uuids: Sequence[str]) -> Verdicts:
    retry_after = retry_after_seconds(response)
    answer = decoded(response.content)
    if not HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES:
        raise APIError(response.status_code, str(answer.get("error_description", "")), retry_after)
    results = answer.get("results")
    if not isinstance(results, dict):
        raise APIError(response.status_code, "no results", retry_after)
    return judged(results, uuids, retry_after)


def judged(results: Mapping[str, JSON], uuids: Sequence[str], retry_after: float | None) -> Verdicts:
    """Return what the results of an answer mean: PostHog rust/capture, v1/analytics/response.rs.

    PostHog names every event that it was sent. One that it doesn't name, or names with a result that isn't known here,
    isn't acknowledged.
    """
    refused: dict[str, JSON] = {}
    again: list[str] = []
    for uuid in uuids:
        match results.get(uuid):
            case {"result": "ok"}:
                pass  # acknowledged: PostHog keeps the event
            case {"result": "warning"}:
                pass  # acknowledged, too: PostHog keeps the event and has made a note of something in it
            case {"result": "drop", **others}:
                refused[uuid] = others.get("details")  # refused for good: PostHog will never keep the event
            case {"result": "retry"}:
                again.append(uuid)  # PostHog couldn't keep it now: it has to be sent again
            case _:
                again.append(uuid)  # no verdict, so no acknowledgement
    return Verdicts(refused, again, retry_after)
