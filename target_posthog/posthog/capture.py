"""PostHog's two capture protocols, in: events; out: its verdict on each of them.

Knows neither records nor when to try again. V1 is described in the `posthog` library's capture_v1.py and in PostHog's
rust/capture, v1/analytics; the library's own sender isn't used for it because it takes an event of which the answer
says nothing for delivered, and spends five times as long on the same bytes.
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
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.mapping.language.functions import JSON
    from target_posthog.mapping.stream_rules import Event

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
DROPPED, WANTED_AGAIN = "drop", "retry"  # the other results, "ok" and "warning", say that the event is kept


class Verdicts(NamedTuple):
    """What PostHog said of a batch: the uuids that it refused, each with the reason, and those to send again.

    An event that the answer doesn't mention is one to send again; PostHog mentions all (rust/capture,
    v1/analytics/response.rs).
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
    """Posts batches to `/batch/`, which has no verdicts: PostHog takes or refuses the whole; safe to use in threads.

    It goes through the library's function below `Consumer.request`, which wouldn't show the answer.
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
        said = _decoded(response.content)
        if "status" not in said:
            raise APIError(response.status_code, "no status")
        if said.get("quota_limited"):
            raise APIError(HTTPStatus.PAYMENT_REQUIRED, "quota_limited")
        return Verdicts({}, [], None)


class _Bearer(requests.auth.AuthBase):
    """Shows the key; unlike a header of the session, it isn't replaced by what ~/.netrc has for the host."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

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
    retry_after = _retry_after(response)
    answer = _decoded(response.content)
    if not HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES:
        raise APIError(response.status_code, str(answer.get("error_description", "")), retry_after)
    said = answer.get("results")
    if not isinstance(said, dict):
        raise APIError(response.status_code, "no results", retry_after)
    verdicts = {uuid: one if isinstance(one := said.get(uuid), dict) else {} for uuid in uuids}
    return Verdicts(
        {uuid: one.get("details") for uuid, one in verdicts.items() if one.get("result") == DROPPED},
        [uuid for uuid, one in verdicts.items() if one.get("result", WANTED_AGAIN) == WANTED_AGAIN],
        retry_after,
    )


def _decoded(content: bytes) -> dict[str, JSON]:
    """Return the object of an answer, an empty one if it is none."""
    try:
        answer = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _retry_after(response: requests.Response) -> float | None:
    try:
        return Retry().get_retry_after(response.raw)
    except InvalidHeader:
        return None
