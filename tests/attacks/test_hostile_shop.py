"""A shop that answers what no shop should: the run ends, by a sentence or with records, and no log line is forged."""

from __future__ import annotations

import json
import logging
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import stamina

from sandbox.controls import Reply
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.shopify.answers import Answer, Busy
from tap_shopify_orders.shopify.bulk import BulkOperations
from tests.attacks.hostile_answers import (
    DEEP,
    DEEP_LEVELS,
    FORGED,
    alternating,
    cursors,
    everywhere,
    fresh,
    only_inside,
    without_nodes,
)
from tests.tap.conftest import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Twist = Callable[[Any], Any]

STORE = cdnow_store(date(2026, 10, 31), customers=3)
MOST_ANSWERS = 400


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(STORE).serve() as served:
        yield served


def bounded(twist: Twist) -> tuple[Twist, list[int]]:
    """Return the twist, and how many answers it has made; too many of them are errors, so that a test has an end."""
    made: list[int] = []

    def counted(body: Any) -> Any:
        made.append(1)
        if len(made) > MOST_ANSWERS:
            raise RuntimeError("this would go on")
        return twist(body)

    return counted, made


def end_of(shop: Shop, twist: Twist, method: str = "pages") -> str:
    """Return the sentence that ends a run over the twisted shop, or "" if it came to its end."""
    shop.twist, made = bounded(twist)
    try:
        read(shop, method=method)
    except (RunError, Busy) as error:
        sentence = str(error)
        assert sentence
        assert sentence.isprintable(), "one line, nothing that steers a terminal"
    else:
        sentence = ""
    assert len(made) < MOST_ANSWERS, "it would never end"
    return sentence


ENDLESS: dict[str, Callable[[], Twist]] = {
    "one cursor": lambda: cursors(lambda: "a"),
    "two cursors": lambda: cursors(alternating()),
    "two cursors inside": lambda: only_inside(cursors(alternating())),
    "one cursor inside": lambda: only_inside(cursors(lambda: "a")),
    "ever new cursors without nodes": lambda: without_nodes(cursors(fresh())),
    "ever new cursors inside without nodes": lambda: only_inside(without_nodes(cursors(fresh()))),
    "a cursor that is null": lambda: cursors(lambda: None),  # type: ignore[arg-type,return-value]  # no cursor at all
}


@pytest.mark.parametrize("twist", ENDLESS.values(), ids=ENDLESS)
def test_pages_that_lead_nowhere_end(shop: Shop, twist: Callable[[], Twist]) -> None:
    assert end_of(shop, twist())


IDS = [
    "gid://shopify/Order/",
    "gid://shopify/Order/x",
    "Order",
    "",
    "/",
    1,
    None,
    [],
    {},
    "gid://shopify/Order/" + "9" * 5_000,
]
TIMES = [
    "",
    "soon",
    1_700_000_000,
    1.5,
    None,
    [],
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "99999-01-01",
]


@pytest.mark.parametrize("method", ["pages", "bulk"])
@pytest.mark.parametrize("value", IDS, ids=lambda one: str(one)[:24])
def test_an_id_that_is_none_gets_a_sentence(shop: Shop, method: str, value: object) -> None:
    def odd(right: Any, _: dict[str, Any]) -> Any:
        return value if str(right).startswith(("gid://shopify/Order/", "gid://shopify/LineItem/")) else right

    assert end_of(shop, everywhere("id", odd), method)


@pytest.mark.parametrize("method", ["pages", "bulk"])
@pytest.mark.parametrize("value", TIMES, ids=str)
def test_a_time_of_change_that_is_none_gets_a_sentence(shop: Shop, method: str, value: object) -> None:
    assert end_of(shop, everywhere("updated_at", lambda _, __: value), method)


@pytest.mark.parametrize("key", ["id", "updated_at"])
def test_a_record_without_it_gets_a_sentence(shop: Shop, key: str) -> None:
    def lacking(body: Any) -> Any:
        page = (body.get("data") or {}).get("page")
        for node in page["nodes"] if isinstance(page, dict) else ():
            node.pop(key, None)
        return body

    assert end_of(shop, lacking)


def test_what_is_nested_without_end_gets_a_sentence(shop: Shop) -> None:
    for body in (
        DEEP,
        f'{{"data": {DEEP}}}',
        f'{{"errors": {DEEP}}}',
        f'{{"extensions": {DEEP}}}',
        '{"a":' * DEEP_LEVELS,
    ):
        assert end_of(shop, lambda _, body=body: body)


@pytest.mark.parametrize("key", ["note", "tags", "customer", "line_items", "total_price_set", "default_address"])
def test_a_field_that_is_nested_without_end_passes_or_gets_a_sentence(shop: Shop, key: str) -> None:
    deep = everywhere(key, lambda _, __: "DEEP")
    end_of(shop, lambda body: json.dumps(deep(body)).replace('"DEEP"', DEEP))


WORDS: dict[str, Any] = {
    "message": {"errors": [{"message": FORGED}]},
    "denied": {
        "data": None,
        "errors": [{"message": FORGED, "path": [FORGED], "extensions": {"code": "ACCESS_DENIED"}}],
    },
    "search": {"data": {}, "extensions": {"search": [{"query": FORGED, "warnings": [{"message": FORGED}]}]}},
    "code": {"errors": [{"message": "x", "extensions": {"code": FORGED}}]},
    "long": {"errors": [{"message": "x" * 1_000_000}]},
}


@pytest.mark.parametrize("body", WORDS.values(), ids=WORDS)
def test_shopifys_words_are_said_on_one_line(shop: Shop, body: object) -> None:
    sentence = end_of(shop, lambda _: body)
    assert 0 < len(sentence) < 2_000


@pytest.mark.parametrize("name", ["X-Request-Id", "X-Shopify-API-Version", "Location", "Retry-After"])
@pytest.mark.parametrize("status", [200, 302, 418, 429, 500])
def test_shopifys_headers_are_said_on_one_line(shop: Shop, name: str, status: int) -> None:
    value = "https://x\x1b[2J\x85.example/" if name == "Location" else "x\x1b[2J\x85" + "y" * 5_000
    shop.controls.reply_next(*[Reply(status=status, body="{}", headers={name: value})] * 9)
    with pytest.raises((RunError, Busy)) as raised:
        read(shop)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1_000


def test_no_word_of_the_shop_forges_a_line_of_the_log(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    end_of(shop, everywhere("name", lambda _, __: FORGED))
    end_of(shop, everywhere("handle", lambda right, __: f"{right}{FORGED}"))
    shop.controls.reply_next(Reply(headers={"X-Shopify-API-Deprecated-Reason": "x\x1b[2J"}))
    end_of(shop, lambda body: body)
    for line in caplog.messages:
        assert not {"\r", "\x1b", "\u2028", "\u202e", "\x00", "\x85"} & {*line}
        assert "| forged" not in line.split("\n", 1)[0] or "\n" not in line


DATES = [
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 +1400",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Fri, 01 Jan 99999 00:00:00 GMT",
    "now",
    "",
]


@pytest.mark.parametrize("date_", DATES)
def test_a_clock_that_cannot_be_right_hides_no_record(shop: Shop, date_: str) -> None:
    @shop.app.after_request
    def dated(response: Any) -> Any:
        response.headers["Date"] = date_
        return response

    assert set(read(shop).orders) == {one["name"] for one in STORE.orders}


COUNTS = [-1, 10**18, 10**30, 1.5, "1", None]


@pytest.mark.parametrize("method", ["auto", "bulk", "pages"])
@pytest.mark.parametrize("value", COUNTS)
def test_a_count_that_cannot_be_right_ends_or_does_not_matter(shop: Shop, method: str, value: object) -> None:
    end_of(shop, everywhere("count", lambda _, __: value), method)


OPERATIONS: dict[str, tuple[str, Any]] = {
    "counts that are none": ("objectCount", "many"),
    "counts below zero": ("rootObjectCount", "-1"),
    "counts without end": ("objectCount", "9" * 5_000),
    "a link in the clear to elsewhere": ("url", "http://storage.example/x"),
    "a link that is none": ("url", "http://[bad"),
    "a file of this machine": ("url", "file:///etc/passwd"),
    "a number as a link": ("url", 1),
    "an id of another kind": ("id", "x"),
}


@pytest.mark.parametrize(("key", "value"), OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_that_is_none_is_read_by_pages_or_gets_a_sentence(shop: Shop, key: str, value: object) -> None:
    end_of(
        shop,
        everywhere(key, lambda _, owner: value if "objectCount" in owner else owner[key]),
        "bulk",
    )


ROWS = {
    "no JSON": b"{",
    "no text": b'{"id": "\xff"}',
    "a list": b"[]",
    "a number": b"1",
    "nested without end": b'{"id": ' + b"[" * DEEP_LEVELS,
    "no id": b'{"updated_at": "2026-01-01T00:00:00Z"}',
    "an id without a number": b'{"id": "gid://shopify/Order/x", "updated_at": "2026-01-01T00:00:00Z"}',
    "an id of a huge number": b'{"id": "gid://shopify/Order/' + b"9" * 30 + b'", "updated_at": "2026-01-01T00:00:00Z"}',
    "a numeric time": b'{"id": "gid://shopify/Order/1", "updated_at": 1}',
    "no time": b'{"id": "gid://shopify/Order/1"}',
    "a time that is none": b'{"id": "gid://shopify/Order/1", "updated_at": "soon"}',
    "a parent that is none": b'{"id": "gid://shopify/LineItem/1", "__parentId": "x", "in_line_items": "LineItem"}',
    "a parent of itself": b'{"id": "gid://shopify/Order/1", "__parentId": "gid://shopify/Order/1"}',
    "a child of nothing": b'{"id": "gid://shopify/LineItem/1", "__parentId": "gid://shopify/Order/1"}',
    "an empty line": b"",
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_row_that_is_none_is_read_by_pages_or_gets_a_sentence(shop: Shop, row: bytes) -> None:
    shop.controls.reply_next(*[Reply(status=200, body=row + b"\n", path="/bulk/")] * 20)
    end_of(shop, everywhere("objectCount", lambda _, __: "1"), "bulk")


class Counting:
    """A client whose operation never ends, and counts one object more each time."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, document: str, variables: Any) -> Answer:
        self.asked.append(document)
        count = str(len(self.asked))
        operation = {"id": variables["id"], "status": "RUNNING", "objectCount": count, "rootObjectCount": count}
        data = msgspec.Raw(json.dumps({"operation": operation}).encode())
        return Answer(data, "2026-10", datetime.now(timezone.utc), None, "")


def test_an_operation_that_counts_for_ever_is_given_up() -> None:
    now = [0.0]
    client = Counting()

    def sleep(seconds: float) -> None:
        now[0] += seconds * 1_000

    bulk = BulkOperations(client, clock=lambda: now[0], sleep=sleep)  # type: ignore[arg-type]  # asks as a client does
    ended = bulk.end_of("gid://shopify/BulkOperation/1", lambda: None)
    assert ended
    assert ended.status == "STUCK"
    assert "Cancel" in client.asked[-1]
