"""What the sandbox's PostHog answers at `/i/v1/analytics/events`, over real HTTP."""

from __future__ import annotations

import gzip
import json
import uuid
import zlib
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

import pytest
import requests
import zstandard
from posthog.capture_compression import CaptureCompression
from posthog.capture_mode import CaptureMode
from posthog.capture_v1 import CaptureV1Error
from posthog.consumer import Consumer

from sandbox.posthog import PostHog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
MIB = 1024 * 1024


@pytest.fixture
def posthog() -> Iterator[PostHog]:
    with PostHog(clock=lambda: NOW).serve() as served:
        yield served


def event(number: int = 1, **changes: object) -> dict[str, Any]:
    return {
        "event": "Order Completed",
        "uuid": str(uuid.UUID(int=number)),
        "distinct_id": "ada@example.com",
        "timestamp": "2026-11-01T10:00:00Z",
        "options": {"disable_skew_correction": True},
        "properties": {"revenue": 29.30},
        **changes,
    }


def body(*events: dict[str, Any], **changes: object) -> bytes:
    return json.dumps({"created_at": "2026-11-23T12:00:00Z", "batch": events, **changes}).encode()


HEADERS = {
    "Authorization": "Bearer phc_sandbox",
    "Content-Type": "application/json",
    "User-Agent": "test/1.0",
    "PostHog-Sdk-Info": "posthog-python/7.91.1",
    "PostHog-Attempt": "1",
    "PostHog-Request-Id": str(uuid.UUID(int=7)),
    "PostHog-Request-Timestamp": "2026-11-23T12:00:00Z",
}


def post(posthog: PostHog, data: bytes, **changes: str | None) -> requests.Response:
    headers = {**HEADERS, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return requests.post(f"{posthog.url}/i/v1/analytics/events", data=data, headers=headers, timeout=30)


def verdict(posthog: PostHog, one: dict[str, Any]) -> dict[str, str]:
    answer = post(posthog, body(one))
    assert answer.status_code == 200, answer.text
    (only,) = answer.json()["results"].values()
    return only


def consumer(posthog: PostHog, **options: bool | int | CaptureCompression) -> Consumer:
    return Consumer(None, "phc_sandbox", host=posthog.url, capture_mode=CaptureMode.V1, **options)


def message(number: int = 1, **changes: object) -> dict[str, Any]:
    return {
        "event": "Order Completed",
        "uuid": str(uuid.UUID(int=number)),
        "distinct_id": "ada@example.com",
        "timestamp": "2026-11-01T10:00:00+00:00",
        "properties": {"$ignore_sent_at": True, "$session_id": "s-1", "revenue": 29.3},
        **changes,
    }


@pytest.mark.parametrize("compression", CaptureCompression)
def test_the_posthog_library_delivers_in_each_compression(posthog: PostHog, compression: CaptureCompression) -> None:
    consumer(posthog, capture_compression=compression).request([message()])
    (kept,) = posthog.events()
    assert (kept["uuid"], kept["timestamp"]) == (str(uuid.UUID(int=1)), "2026-11-01T10:00:00Z")


def test_options_session_and_library_become_properties_again(posthog: PostHog) -> None:
    consumer(posthog).request([message()])
    (kept,) = posthog.events()
    assert kept["properties"].pop("$lib_version")
    assert kept["properties"] == {
        "revenue": 29.3,
        "$session_id": "s-1",
        "$ignore_sent_at": True,
        "$lib": "posthog-python",
        "$ip": "127.0.0.1",
    }


def test_each_event_gets_a_verdict(posthog: PostHog) -> None:
    answer = post(posthog, body(event(1), event(2, distinct_id=""), event(3, distinct_id="anonymous")))
    assert answer.json() == {
        "results": {
            str(uuid.UUID(int=1)): {"result": "ok"},
            str(uuid.UUID(int=2)): {"result": "drop", "details": "missing_distinct_id"},
            str(uuid.UUID(int=3)): {"result": "ok", "details": "person_processing_disabled"},
        }
    }
    assert [kept["uuid"][-1] for kept in posthog.events()] == ["1", "3"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"event": ""}, "missing_event_name"),
        ({"event": "e" * 201}, "event_name_too_long"),
        ({"distinct_id": "  "}, "missing_distinct_id"),
        ({"distinct_id": "ü" * 101}, "distinct_id_too_large"),
        ({"timestamp": "2026-11-01"}, "invalid_event_timestamp"),
        ({"timestamp": "2026-11-01T10:00:00"}, "invalid_event_timestamp"),
        ({"timestamp": "yesterday"}, "invalid_event_timestamp"),
        ({"properties": [1]}, "malformed_event_properties"),
        ({"properties": {"note": "x" * 1_000_000}}, "event_too_big"),
    ],
)
def test_a_bad_event_is_dropped_with_its_reason(posthog: PostHog, changes: dict[str, object], reason: str) -> None:
    assert verdict(posthog, event(**changes)) == {"result": "drop", "details": reason}
    assert posthog.events() == []


def test_an_id_of_200_bytes_is_kept(posthog: PostHog) -> None:
    assert verdict(posthog, event(distinct_id="ü" * 100)) == {"result": "ok"}


def test_quotes_count_twice_in_the_size_of_an_event(posthog: PostHog) -> None:
    assert verdict(posthog, event(properties={"note": "x" * 600_000})) == {"result": "ok"}
    assert verdict(posthog, event(properties={"note": '"' * 300_000}))["details"] == "event_too_big"


@pytest.mark.parametrize("illegal", ["0", "Guest", "NONE", "[object Object]", str(uuid.UUID(int=0)), " null "])
def test_an_illegal_id_leaves_no_person(posthog: PostHog, illegal: str) -> None:
    assert verdict(posthog, event(distinct_id=illegal)) == {"result": "ok", "details": "person_processing_disabled"}
    assert (len(posthog.events()), posthog.persons()) == (1, [])


@pytest.mark.parametrize(
    ("data", "tag"),
    [
        (b"{", "request_parsing_error"),
        (body(event()).replace(b"ada", b"\xff"), "request_decoding_error"),
        (b'{"batch": []}', "request_parsing_error"),
        (body(), "empty_batch"),
        (body(event(), created_at="today"), "invalid_batch"),
        (body(event(1), event(1)), "duplicate_event_uuid"),
        (body(event(1), event(2, uuid="")), "missing_event_uuid"),
        (body(event(1), event(2, uuid="order-2")), "invalid_event_uuid"),
        (body(event(1), event(2, timestamp=1762000000)), "request_parsing_error"),
        (body(event(1), event(2, options={"process_person_profile": "no"})), "request_parsing_error"),
    ],
)
def test_some_faults_refuse_the_whole_batch(posthog: PostHog, data: bytes, tag: str) -> None:
    answer = post(posthog, data)
    assert (answer.status_code, answer.json()["error"]) == (400, tag)
    assert posthog.events() == []


@pytest.mark.parametrize(
    ("changes", "status", "tag"),
    [
        ({"Authorization": None}, 401, "missing_authorization"),
        ({"Authorization": "Basic abc"}, 400, "invalid_header_value"),
        ({"Authorization": "Bearer phx_personal"}, 401, "invalid_api_token"),
        ({"PostHog_Sdk_Info": None}, 400, "missing_required_headers"),
        ({"PostHog_Attempt": "0"}, 400, "invalid_header_value"),
        ({"PostHog_Request_Id": "first"}, 400, "invalid_header_value"),
        ({"PostHog_Request_Timestamp": "now"}, 400, "invalid_header_value"),
        ({"Content_Type": "text/plain"}, 415, "unsupported_content_type"),
        ({"Content_Encoding": "lz4"}, 415, "unsupported_encoding"),
        ({"Content_Encoding": "gzip"}, 400, "request_decoding_error"),
    ],
)
def test_a_request_needs_its_headers(posthog: PostHog, changes: dict[str, str | None], status: int, tag: str) -> None:
    answer = post(posthog, body(event()), **changes)
    assert (answer.status_code, answer.json()["error"]) == (status, tag)


def test_a_body_beyond_10_mib_is_413(posthog: PostHog) -> None:
    assert post(posthog, b" " * (10 * MIB + 1)).status_code == 413


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstandard.compress)],
)
def test_a_body_beyond_50_mib_decompressed_is_413(
    posthog: PostHog, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    answer = post(posthog, compress(b" " * (50 * MIB + 1)), Content_Encoding=encoding)
    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


def test_the_senders_clock_moves_the_time_unless_the_option_forbids_it(posthog: PostHog) -> None:
    events = event(1, options={}), event(2)
    post(posthog, body(*events), PostHog_Request_Timestamp="2026-11-23T11:59:00Z")
    assert [kept["timestamp"] for kept in posthog.events()] == ["2026-11-01T10:01:00Z", "2026-11-01T10:00:00Z"]


def test_a_time_more_than_23_hours_ahead_becomes_now(posthog: PostHog) -> None:
    ahead = (NOW + timedelta(hours=24)).isoformat()
    post(posthog, body(event(1, options={}, timestamp=ahead)))
    assert posthog.events()[0]["timestamp"] == "2026-11-23T12:00:00Z"


def test_a_reached_billing_limit_is_402(posthog: PostHog) -> None:
    posthog.billing_limit_reached = True
    answer = post(posthog, body(event()))
    assert (answer.status_code, answer.json()["error"]) == (402, "billing_limit_exceeded")
    assert posthog.events() == []


def test_an_unknown_key_is_taken_and_forgotten_or_401(posthog: PostHog) -> None:
    stranger = "Bearer phc_another_project"
    assert post(posthog, body(event()), Authorization=stranger).status_code == 200
    posthog.unknown_keys = "refused"
    answer = post(posthog, body(event()), Authorization=stranger)
    assert (answer.status_code, "project API key" in answer.text) == (401, True)
    assert posthog.events() == []


@pytest.mark.parametrize(("mode", "status"), [("missing", 404), ("unconfigured", 503)])
def test_an_older_server_has_no_v1(posthog: PostHog, mode: Literal["missing", "unconfigured"], status: int) -> None:
    posthog.v1 = mode
    with pytest.raises(CaptureV1Error) as error:
        consumer(posthog, retries=0).request([message()])
    assert error.value.status == status
    assert posthog.events() == []


def test_a_retried_event_is_kept_when_it_comes_again(posthog: PostHog) -> None:
    posthog.verdicts = {str(uuid.UUID(int=2)): ["retry"]}
    consumer(posthog, retries=1).request([message(1), message(2)])
    assert [kept["uuid"][-1] for kept in posthog.events()] == ["1", "2"]
    first, second = (json.loads(seen.body)["batch"] for seen in posthog.controls.requests)
    assert ([one["uuid"][-1] for one in first], [one["uuid"][-1] for one in second]) == (["1", "2"], ["2"])


def test_a_test_may_have_an_event_dropped_with_details(posthog: PostHog) -> None:
    posthog.verdicts = {"Order Completed": ["drop:event_restriction_drop"]}
    with pytest.raises(CaptureV1Error) as error:
        consumer(posthog).request([message(1), message(2)])
    assert error.value.drops == [(str(uuid.UUID(int=1)), "event_restriction_drop")]
    assert [kept["uuid"][-1] for kept in posthog.events()] == ["2"]


def test_a_historical_batch_is_marked(posthog: PostHog) -> None:
    consumer(posthog, historical_migration=True).request([message(1)])
    consumer(posthog).request([message(2)])
    assert [kept["historical"] for kept in posthog.events()] == [True, False]
    assert posthog.totals()["historical"] == 1
