"""What the sandbox's PostHog answers at `/batch/`, `/flags/` and `/array/`, over real HTTP."""

from __future__ import annotations

import gzip
import json
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
import requests
from posthog.consumer import Consumer
from posthog.request import APIError, batch_post, flags

from sandbox.posthog import PostHog

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        "properties": {"$ignore_sent_at": True, "revenue": 29.30},
        **changes,
    }


def body(*events: dict[str, Any], **changes: object) -> bytes:
    return json.dumps({"api_key": "phc_sandbox", "batch": events, **changes}).encode()


def post(posthog: PostHog, data: bytes, query: str = "", **headers: str) -> requests.Response:
    return requests.post(f"{posthog.url}/batch/{query}", data=data, headers=headers, timeout=30)


@pytest.mark.parametrize("zipped", [False, True])
def test_the_posthog_library_delivers(posthog: PostHog, zipped: bool) -> None:  # noqa: FBT001  # a parameter of the test
    Consumer(None, "phc_sandbox", host=posthog.url, gzip=zipped).request([event()])
    (kept,) = posthog.events()
    assert (kept["uuid"], kept["timestamp"]) == (str(uuid.UUID(int=1)), "2026-11-01T10:00:00Z")
    assert kept["properties"] == {"$ignore_sent_at": True, "revenue": 29.3, "$ip": "127.0.0.1"}


def test_the_answer_is_ok(posthog: PostHog) -> None:
    answer = post(posthog, body(event()))
    assert (answer.status_code, answer.json()) == (200, {"status": "Ok"})


@pytest.mark.parametrize("hint", [{}, {"query": "?compression=gzip"}, {"Content-Encoding": "gzip"}])
def test_gzip_is_known_by_header_query_or_first_bytes(posthog: PostHog, hint: dict[str, str]) -> None:
    assert post(posthog, gzip.compress(body(event())), **hint).status_code == 200
    assert len(posthog.events()) == 1


@pytest.mark.parametrize("compression", ["base64", "lz64", "zstd"])
def test_other_compressions_are_400(posthog: PostHog, compression: str) -> None:
    assert post(posthog, body(event()), f"?compression={compression}").status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"event": ""},
        {"event": None},
        {"distinct_id": ""},
        {"distinct_id": " "},
        {"distinct_id": None},
        {"uuid": "order-1"},
        {"timestamp": 1762000000},
        {"properties": "none"},
        {"properties": {"note": "half a character: \ud83d"}},
    ],
)
def test_one_malformed_event_refuses_the_whole_batch(posthog: PostHog, changes: dict[str, object]) -> None:
    assert post(posthog, body(event(1), event(2, **changes), event(3))).status_code == 400
    assert posthog.events() == []


@pytest.mark.parametrize("data", [b"", b"{", b"[]", body(), body(event()).replace(b"ada", b"\xff")])
def test_a_request_without_readable_events_is_400(posthog: PostHog, data: bytes) -> None:
    assert post(posthog, data).status_code == 400


def test_an_oversized_event_is_413_after_the_ones_before_it_were_kept(posthog: PostHog) -> None:
    oversized = event(2, properties={"note": "x" * 1_000_000})
    assert post(posthog, body(event(1), oversized, event(3))).status_code == 413
    assert [kept["uuid"][-1] for kept in posthog.events()] == ["1"]


def test_a_body_beyond_20_mib_is_413(posthog: PostHog) -> None:
    assert post(posthog, b" " * (20 * MIB + 1)).status_code == 413


def test_a_body_beyond_100_mib_decompressed_is_413(posthog: PostHog) -> None:
    assert post(posthog, gzip.compress(b" " * (100 * MIB + 1), 1)).status_code == 413


@pytest.mark.parametrize("key", ["", "phx_personal", "k" * 65, "schlüssel"])
def test_a_key_of_no_projects_shape_is_401(posthog: PostHog, key: str) -> None:
    assert post(posthog, body(event(), api_key=key)).status_code == 401


def test_the_key_may_stand_in_the_properties_but_not_two(posthog: PostHog) -> None:
    first, second = ({"token": token} for token in ("phc_sandbox", "phc_another"))
    assert post(posthog, body(event(1, properties=first), api_key=None)).status_code == 200
    both = body(event(1, properties=first), event(2, properties=second), api_key=None)
    assert post(posthog, both).status_code == 401
    assert post(posthog, body(event(1), api_key=None)).status_code == 401
    assert len(posthog.events()) == 1


def test_200_hides_an_unknown_key_unless_keys_are_checked(posthog: PostHog) -> None:
    assert post(posthog, body(event(), api_key="phc_another")).status_code == 200
    posthog.unknown_keys = "refused"
    answer = post(posthog, body(event(), api_key="phc_another"))
    assert (answer.status_code, "project API key" in answer.text) == (401, True)
    assert posthog.events() == []


def test_200_hides_the_billing_limit(posthog: PostHog) -> None:
    posthog.billing_limit_reached = True
    assert post(posthog, body(event())).json() == {"status": "Ok"}
    assert posthog.events() == []


def test_a_long_distinct_id_is_cut_at_200_characters(posthog: PostHog) -> None:
    post(posthog, body(event(1, distinct_id="ü" * 250), event(2, distinct_id="ü" * 250 + "other")))
    assert {kept["distinct_id"] for kept in posthog.events()} == {"ü" * 200}


@pytest.mark.parametrize(
    ("sent", "kept"), [(42, "42"), (True, "true"), ({"id": 1}, '{"id": 1}'), (" ada ", " ada "), ("a\0b", "a\ufffdb")]
)
def test_a_distinct_id_may_be_any_json(posthog: PostHog, sent: object, kept: str) -> None:
    post(posthog, body(event(distinct_id=sent)))
    assert posthog.events()[0]["distinct_id"] == kept


def test_a_missing_uuid_is_made_up_and_a_long_name_cut(posthog: PostHog) -> None:
    post(posthog, body(event(uuid="", event="e" * 250), event(uuid=None, event="e" * 250)))
    kept = posthog.events()
    assert len({one["uuid"] for one in kept}) == 2
    assert {one["event"] for one in kept} == {"e" * 200}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-11-01T10:00:00+02:00", "2026-11-01T08:00:00Z"),
        ("2026-11-01T10:00:00.250Z", "2026-11-01T10:00:00.250000Z"),
        ("2026-11-01T10:00:00", "2026-11-01T10:00:00Z"),
        ("2026-11-01", "2026-11-01T00:00:00Z"),
        ("Sun, 01 Nov 2026 10:00:00 +0200", "2026-11-01T08:00:00Z"),
        ("1793527200", "2026-11-01T10:00:00Z"),
        ("1969-07-20T20:17:40Z", "1969-07-20T20:17:40Z"),
        ("2026-11-24T10:59:00Z", "2026-11-24T10:59:00Z"),
        ("2026-11-24T11:01:00Z", "2026-11-23T12:00:00Z"),
        (None, "2026-11-23T12:00:00Z"),
    ],
)
def test_times_are_read_leniently_and_the_far_future_becomes_now(posthog: PostHog, sent: str, kept: str) -> None:
    post(posthog, body(event(timestamp=sent)))
    assert posthog.events()[0]["timestamp"] == kept


def test_a_time_that_cannot_be_read_becomes_now_with_a_warning(posthog: PostHog) -> None:
    post(posthog, body(event(timestamp="the day before")))
    assert posthog.events()[0]["timestamp"] == "2026-11-23T12:00:00Z"
    assert [one.type for one in posthog.warnings()] == ["ignored_invalid_timestamp"]


def test_sent_at_moves_the_time_unless_it_is_ignored(posthog: PostHog) -> None:
    plain = event(1, properties={})
    post(posthog, body(plain, event(2), sent_at="2026-11-23T11:59:00Z"))
    assert [kept["timestamp"] for kept in posthog.events()] == ["2026-11-01T10:01:00Z", "2026-11-01T10:00:00Z"]


def test_a_moved_time_across_midnight_makes_an_event_twice(posthog: PostHog) -> None:
    late = event(timestamp="2026-11-01T23:59:59Z", properties={})
    post(posthog, body(late, sent_at="2026-11-23T12:00:00Z"))
    post(posthog, body(late, sent_at="2026-11-23T11:59:58Z"))
    assert [kept["timestamp"][:10] for kept in posthog.events()] == ["2026-11-01", "2026-11-02"]


def test_top_level_set_and_set_once_become_properties(posthog: PostHog) -> None:
    post(posthog, body(event(**{"$set": {"name": "Ada"}, "$set_once": {"first": 1}})))
    assert posthog.persons()[0]["properties"] == {"name": "Ada", "first": 1}


def test_a_historical_batch_is_marked(posthog: PostHog) -> None:
    batch_post("phc_sandbox", posthog.url, batch=[event()], historical_migration=True)
    assert posthog.events()[0]["historical"] is True


def test_flags_tells_a_good_key_from_a_bad_one(posthog: PostHog) -> None:
    assert flags("phc_sandbox", posthog.url, distinct_id="check")["flags"] == {}
    with pytest.raises(APIError, match="The provided API key is invalid or has expired") as error:
        flags("phc_another", posthog.url, distinct_id="check")
    assert error.value.status == 401


def test_the_remote_configuration_exists_for_the_project_only(posthog: PostHog) -> None:
    answers = [requests.get(f"{posthog.url}/array/{key}/config.js", timeout=30) for key in ("phc_sandbox", "phc_other")]
    assert [answer.status_code for answer in answers] == [200, 404]
