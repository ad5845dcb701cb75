"""PostHog's two capture protocols: each sends a batch once and reads the verdict on each of its events.

Takes events, returns `Verdicts`. Whether to send again is decided in `Client._wait`, not here. V1 is described in the
`posthog` library's capture_v1.py and in PostHog's rust/capture, v1/analytics. The library's own senders aren't used: of
V1 they take an event of which the answer says nothing for delivered, of `/batch/` any 200, they follow redirects with
the key, and they read answers of any length.
"""

from __future__ import annotations

import gzip
import logging
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import msgspec
import requests
import zstandard
from typing_extensions import override

from target_posthog.posthog.answers import AnswerError, decoded, plain_reason, retry_after_seconds
from target_posthog.posthog.transport import MIB, Session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_posthog.mapping.event import Event
    from target_posthog.mapping.language.functions import JSON

PATH = "/i/v1/analytics/events"
BATCH_PATH = "/batch/"
LARGEST_ANSWER_BYTES = MIB  # a verdict takes some hundred bytes
GZIP_LEVEL = 1  # level 9 takes four times as long for a tenth fewer bytes
SENDER = f"target-posthog/{version('shopify-posthog')}"
# What a server, or a proxy before it, may say to zstd. PostHog itself takes it and says 415 to what it doesn't know.
REFUSES_ENCODING = frozenset(
    (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.NOT_IMPLEMENTED,
    )
)
ABOUT_ENCODING = frozenset(("", "unsupported_encoding", "request_decoding_error"))
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
PERSON_PROCESSING_DISABLED = "person_processing_disabled"  # PostHog rust/capture v1/analytics/constants.rs

logger = logging.getLogger(__name__)


@dataclass
class Envelope:
    """What stays the same in all attempts at a batch: PostHog's contract for SDKs wants one id and one time of it."""

    historical: bool
    request_id: str = field(default_factory=lambda: str(uuid4()))
    created_at: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat())


class Verdicts(NamedTuple):
    """What PostHog said of a batch: the uuids that it refused, each with the reason, and those to send again.

    All others are acknowledged; of those in `person_skipped` it has kept the event and left the person as it was.
    `unknown` are those with a result that this version doesn't know, with its word, so the run can't go on.
    `retry_after` is in seconds.
    """

    refused: dict[str, JSON]
    again: list[str]
    person_skipped: list[str]
    unknown: dict[str, str]
    retry_after: float | None


TAKEN = Verdicts({}, [], [], {}, None)


class CaptureV1:
    """Posts batches; safe to use from several threads."""

    def __init__(self, api_key: str, host: str) -> None:
        self._url = host + PATH
        self._encoding = "zstd"
        self._session = Session(most_bytes=LARGEST_ANSWER_BYTES)
        self._session.headers.update(
            {"User-Agent": SENDER, "PostHog-Sdk-Info": SENDER, "Content-Type": "application/json"}
        )
        self._session.auth = _Bearer(api_key)

    def post(self, events: Sequence[Event], envelope: Envelope, *, attempt: int, timeout_seconds: float) -> Verdicts:
        """Send events once; raises AnswerError for an answer to the whole batch, RequestException if there is none."""
        body: dict[str, Any] = {"created_at": envelope.created_at, "batch": [as_v1(event) for event in events]}
        if envelope.historical:
            body["historical_migration"] = True
        text = msgspec.json.encode(body)
        headers = {
            "PostHog-Attempt": str(attempt),
            "PostHog-Request-Id": envelope.request_id,
            "PostHog-Request-Timestamp": datetime.now(timezone.utc).isoformat(),
        }
        response = self._post(text, headers, self._encoding, timeout_seconds)
        if self._encoding == "zstd" and _refuses_encoding(response):
            zipped = self._post(text, headers, "gzip", timeout_seconds)
            if not _refuses_encoding(zipped):
                logger.info("Events travel in gzip: the server, or a proxy before it, doesn't take zstd")
                self._encoding = "gzip"
            response = zipped
        return _verdicts(response, [event["uuid"] for event in events])

    def _post(
        self, text: bytes, headers: Mapping[str, str], encoding: str, timeout_seconds: float
    ) -> requests.Response:
        data = zstandard.compress(text) if encoding == "zstd" else gzip.compress(text, GZIP_LEVEL)
        return self._session.post(
            self._url, data=data, headers={**headers, "Content-Encoding": encoding}, timeout=timeout_seconds
        )


class CaptureBatch:
    """Posts batches to `/batch/`, which takes or refuses them as a whole; safe to use from several threads."""

    def __init__(self, api_key: str, host: str) -> None:
        self._api_key = api_key
        self._url = host + BATCH_PATH
        self._session = Session(most_bytes=LARGEST_ANSWER_BYTES)
        self._session.headers.update(
            {"User-Agent": SENDER, "Content-Type": "application/json", "Content-Encoding": "gzip"}
        )

    def post(self, events: Sequence[Event], envelope: Envelope, *, timeout_seconds: float) -> Verdicts:
        """Send events once; raises as `CaptureV1.post` does, with status 402 for a 200 that means it.

        Without `sent_at`, PostHog doesn't correct times by the difference of the clocks.
        """
        body: dict[str, Any] = {"api_key": self._api_key, "batch": events}
        if envelope.historical:
            body["historical_migration"] = True
        data = gzip.compress(msgspec.json.encode(body), GZIP_LEVEL)
        response = self._session.post(self._url, data=data, timeout=timeout_seconds)
        if response.status_code != HTTPStatus.OK:
            raise AnswerError.of(response)
        answer = decoded(response.content)
        if answer.get("quota_limited"):
            raise AnswerError(HTTPStatus.PAYMENT_REQUIRED, "quota_limited")
        # `Ok` since 2025, 1 before: PostHog rust/capture, api.rs.
        if answer.get("status") not in ("Ok", 1) or answer.get("status") is True:
            raise AnswerError(response.status_code, "no acknowledgement")
        return TAKEN


def check_by_flags(api_key: str, host: str, *, timeout_seconds: float) -> None:
    """Return if PostHog knows a project key; raises AnswerError, RequestException, or ValueError for no PostHog.

    `/flags` is the one endpoint that has always said of a wrong key that it is wrong.
    """
    body = {"api_key": api_key, "distinct_id": "target-posthog"}
    with Session(most_bytes=LARGEST_ANSWER_BYTES) as session:
        response = session.post(
            f"{host}/flags/?v=2", json=body, headers={"User-Agent": SENDER}, timeout=timeout_seconds
        )
    if response.status_code != HTTPStatus.OK:
        raise AnswerError.of(response)
    if not decoded(response.content):
        raise ValueError("no JSON object")


class _Bearer(requests.auth.AuthBase):
    """Shows the key; unlike a header of the session, it isn't replaced by what ~/.netrc has for the host."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    @override
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._api_key}"
        return request


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


def _refuses_encoding(response: requests.Response) -> bool:
    """Say whether an answer may be about the encoding of the body: by PostHog's word, or by no word of PostHog's."""
    if response.status_code not in REFUSES_ENCODING:
        return False
    return str(decoded(response.content).get("error", "")) in ABOUT_ENCODING


def _verdicts(response: requests.Response, uuids: Sequence[str]) -> Verdicts:
    if response.status_code != HTTPStatus.OK:
        raise AnswerError.of(response)
    retry_after = retry_after_seconds(response)
    results = decoded(response.content).get("results")
    if not isinstance(results, dict):
        raise AnswerError(response.status_code, "no verdicts", retry_after)
    return judged(results, uuids, retry_after)


def judged(results: Mapping[str, JSON], uuids: Sequence[str], retry_after: float | None) -> Verdicts:
    """Return what the results of an answer mean: PostHog rust/capture, v1/analytics/types.rs and response.rs.

    PostHog names every event that it was sent. One that it doesn't name, or not in its form, isn't acknowledged, and is
    to be sent again; nor is one with a result that isn't known here, of which nobody can say what became of it.
    """
    verdicts = Verdicts({}, [], [], {}, retry_after)
    for uuid in uuids:
        match results.get(uuid):
            # Acknowledged. The detail stands beside `ok` for an id that stands for nobody, beside `warning` for one
            # that is written to too often.
            case {"result": "ok", "details": details} if details == PERSON_PROCESSING_DISABLED:
                verdicts.person_skipped.append(uuid)
            case {"result": "ok"}:
                pass
            case {"result": "warning"}:
                verdicts.person_skipped.append(uuid)
            case {"result": "drop", **others}:
                verdicts.refused[uuid] = others.get("details")  # for good: PostHog will never keep the event
            case {"result": "retry"}:
                verdicts.again.append(uuid)  # PostHog couldn't keep it now
            case {"result": str(word)}:
                verdicts.unknown[uuid] = plain_reason(word)
            case _:
                verdicts.again.append(uuid)  # no verdict
    return verdicts
