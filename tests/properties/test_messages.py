"""Whatever stands in a target's input, or in Shopify's answer, becomes a message, an answer or a sentence."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from singer_sdk.exceptions import InvalidInputLine, SingerSDKError

from sandbox.posthog import PostHog
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.shopify.answers import LONGEST_WAIT_SECONDS, Answer, Busy, Unauthorized, judge, judge_link
from target_posthog.errors import RuleError
from target_posthog.errors import RunError as NotTaken
from target_posthog.singer.target import TargetPostHog
from tests.properties.values import TEXTS, VALUES, spoilt

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES = Path(__file__).parent.parent / "target/messages"
SENTENCES = (NotTaken, RuleError, SingerSDKError, InvalidInputLine)
RIGHT = [path.read_bytes() for path in sorted(MESSAGES.glob("*s*.jsonl")) if path.stat().st_size < 5_000]
PARSED = [
    [json.loads(line) for line in (MESSAGES / f"{name}.jsonl").read_text().splitlines()]
    for name in ("nested_and_null", "several_streams_and_states", "deleted_records")
]
SHOPIFYS = {
    "data": {"page": {"nodes": [{"id": "gid://shopify/Order/1"}], "pageInfo": {"hasNextPage": False}}},
    "errors": [
        {"message": "no", "path": ["a", 0], "extensions": {"code": "MAX_COST_EXCEEDED", "cost": 2, "maxCost": 1}}
    ],
    "extensions": {
        "cost": {
            "requestedQueryCost": 10,
            "actualQueryCost": None,
            "throttleStatus": {"maximumAvailable": 1000.0, "currentlyAvailable": 1, "restoreRate": 50.0},
        },
        "search": [{"query": "a:b", "warnings": []}],
    },
}
CODES = ("THROTTLED", "MAX_COST_EXCEEDED", "ACCESS_DENIED", "INTERNAL_SERVER_ERROR", "TIMEOUT", "other")


@pytest.fixture(scope="module")
def settings() -> Iterator[dict[str, Any]]:
    with PostHog().serve() as posthog:
        yield {"api_key": posthog.api_key, "host": posthog.url, "max_retry_seconds": 1}


def listen(settings: dict[str, Any], lines: bytes) -> None:
    try:
        TargetPostHog(config=settings).listen(io.BytesIO(lines))  # type: ignore[arg-type]  # as standard input is
    except SENTENCES as error:
        assert str(error)


@st.composite
def garbled(draw: st.DrawFn) -> bytes:
    """Return a file of messages with some bytes replaced, added or taken away."""
    lines = bytearray(draw(st.sampled_from(RIGHT)))
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(lines)))
        lines[begin : begin + draw(st.integers(0, 6))] = draw(st.binary(max_size=4))
    return bytes(lines)


@given(garbled() | st.binary(max_size=60))
def test_any_bytes_are_messages_or_a_sentence(settings: dict[str, Any], lines: bytes) -> None:
    listen(settings, lines)


@given(st.sampled_from(PARSED).flatmap(spoilt))
def test_any_messages_are_taken_or_get_a_sentence(settings: dict[str, Any], messages: list[Any]) -> None:
    listen(settings, "".join(json.dumps(one) + "\n" for one in messages).encode())


def response(status: int, headers: dict[str, str], body: bytes) -> requests.Response:
    made = requests.Response()
    made.status_code, made.raw = status, io.BytesIO(body)
    made.headers.update(headers)
    return made


HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "Date", "Location", "X-Request-Id", "X-Shopify-API-Version"]), TEXTS, max_size=3
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    body = draw(spoilt(SHOPIFYS))
    if draw(st.booleans()) and isinstance(body, dict):
        body.pop("errors", None)
    text = json.dumps(body).replace("MAX_COST_EXCEEDED", draw(st.sampled_from(CODES)))
    return text.encode()[: draw(st.none() | st.integers(0, len(text)))]


@given(st.sampled_from([200, 200, 200, 301, 401, 402, 404, 418, 429, 500, 530]), HEADERS, bodies() | st.binary())
@example(429, {"Retry-After": "nan"}, b"")
@example(429, {"Retry-After": "-5"}, b"")
@example(429, {"Retry-After": "9" * 400}, b"")
def test_any_answer_of_shopify_is_one_or_has_a_class_that_says_what_to_do(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    try:
        answer = judge(
            response(status, headers, body), "https://my-store.myshopify.com/admin", version="2026-10", any_version=True
        )
    except (RunError, Busy, Unauthorized) as error:
        assert str(error)
        assert not isinstance(error, Busy) or error.seconds is None or 0 <= error.seconds <= LONGEST_WAIT_SECONDS
        assert not isinstance(error, Busy) or 0 < error.share <= 1
    else:
        assert isinstance(answer, Answer)


@given(st.integers(100, 599), HEADERS)
def test_any_answer_to_a_link_is_one_or_has_a_class_that_says_what_to_do(status: int, headers: dict[str, str]) -> None:
    try:
        judge_link(response(status, headers, b""))
    except (RunError, Busy) as error:
        assert str(error)


@given(VALUES)
def test_a_body_of_anything_is_no_crash(value: Any) -> None:
    try:
        judge(response(200, {}, json.dumps(value).encode()), "https://a.example", version="x", any_version=True)
    except (RunError, Busy, Unauthorized) as error:
        assert str(error)
