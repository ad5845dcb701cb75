"""What bytes do to either side: takes any bytes as what Shopify answers, a target is given, or a mapping says.

Returns when all that the side makes of them is done; raises what no user should see. The corpus in `corpus/` and the
fuzzer (`python -m tests.attacks.fuzz`) go through here.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
from functools import cache
from typing import TYPE_CHECKING, Any

import stamina
from singer_sdk.exceptions import ConfigValidationError, InvalidInputLine, SingerSDKError

from tap_shopify_orders.errors import RunError
from tap_shopify_orders.reading.join import Counted, Incomplete, Rows
from tap_shopify_orders.reading.known import Mark
from tap_shopify_orders.reading.question import Question
from tap_shopify_orders.records import schema
from tap_shopify_orders.shopify.answers import Busy
from tap_shopify_orders.shopify.auth import AccessToken
from tap_shopify_orders.shopify.bulk import BulkOperations
from tap_shopify_orders.shopify.client import Client
from tap_shopify_orders.shopify.pages import pages
from tap_shopify_orders.shopify.store import Store
from tap_shopify_orders.shopify.transport import Received, Transport
from target_posthog.errors import RunError as TargetError
from target_posthog.mapping.language.expressions import Expression, ExpressionError
from target_posthog.mapping.plain_yaml import PlainDataError, check_size, read
from target_posthog.singer.target import TargetPostHog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

URL = "https://my-store.myshopify.com/admin"
SHOP = {"shop": "my-store.myshopify.com", "shop_id": 1}
STATUSES = (200, 200, 200, 200, 200, 401, 429, 302, 402, 503)
HEADERS = (
    "Date",
    "Retry-After",
    "X-Request-Id",
    "X-Shopify-API-Version",
    "Location",
    "X-Shopify-API-Deprecated-Reason",
)
MOST_PAGES = 5
RECORD: dict[str, Any] = {
    "id": 1,
    "email": "jane@example.com",
    "price": "1.50",
    "at": "2026-11-01T00:00:00Z",
    "items": [{"price": "1", "title": "a"}, {"price": None}],
    "url": "https://shop.example/?utm_source=x",
}


class Scripted(Transport):
    """Answers everything with the same bytes; nothing is asked."""

    def __init__(self, received: Received) -> None:
        """Take the answer."""
        super().__init__(URL)
        self._received = received

    def post(self, url: str, data: bytes | Mapping[str, str], headers: Mapping[str, str] | None = None) -> Received:  # noqa: ARG002  # as the transport's
        """Return it."""
        return self._received


@cache
def _questions() -> list[Question]:
    return [
        Question.of(name, fields, SHOP) for name, fields in (("orders", schema.ORDERS), ("customers", schema.CUSTOMERS))
    ]


def tap(data: bytes) -> None:
    """Take bytes as an answer of Shopify's: a status, a header, a body; and that as rows of a bulk operation."""
    status = STATUSES[data[0] % len(STATUSES)] if data else 200
    line, _, body = data[1:].partition(b"\n")
    header = {HEADERS[line[0] % len(HEADERS)]: line[1:].decode("latin-1")} if line else {}
    client = Client(URL, AccessToken("shpat_x"), transport=Scripted(Received(status, header, body)))
    looks: list[Callable[[], object]] = [
        lambda: client.ask("{x}"),
        lambda: Store(client, BulkOperations(client)).granted.block({}),
        lambda: BulkOperations(client).look("gid://shopify/BulkOperation/1"),
        lambda: Rows(io.BytesIO(body), (("line_items",),), Counted(body.count(b"\n"), 1)).close(),
        *(lambda question=question: _records(client, question) for question in _questions()),
    ]
    with stamina.set_testing(True, attempts=1), _quietly("tap-shopify-orders"):
        for look in looks:
            _look(look)


@contextlib.contextmanager
def _quietly(name: str) -> Iterator[None]:
    """Have a logger say nothing meanwhile: a fuzzer hears it a million times."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _look(look: Callable[[], object]) -> None:
    sentence = ""
    try:
        look()
    except (RunError, Busy, Incomplete) as error:
        sentence = str(error)
    assert sentence.isprintable(), "one line"


def _records(client: Client, question: Question) -> None:
    for number, page in enumerate(pages(lambda _: client.ask("{x}"))):
        for raw in page:
            node = question.reader.node(raw)
            Mark.of(node, raw)
            question.reader.record(node)
        if number >= MOST_PAGES:
            return


def mapping(data: bytes) -> None:
    """Take bytes as the text of a mapping, and each text in it as an expression."""
    with contextlib.suppress(UnicodeDecodeError, PlainDataError, ExpressionError):
        document = read(data.decode())
        check_size(document)
        for text in [document] if isinstance(document, str) else _texts(document):
            with contextlib.suppress(ValueError):
                Expression(text).value(RECORD)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inside for text in _texts(one)]


def target(data: bytes) -> None:
    """Take bytes as rules (a line of JSON) and as messages (the other lines), for a preview."""
    line, _, messages = data.partition(b"\n")
    try:
        rules = json.loads(line)
    except (ValueError, RecursionError):
        rules = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        config = {"preview_path": f"{folder}/preview.sqlite", "mapping": "none", "mappings": rules}
        with contextlib.suppress(TargetError, SingerSDKError, InvalidInputLine, ConfigValidationError):
            TargetPostHog(config=config).listen(io.BytesIO(messages))  # type: ignore[arg-type]  # as standard input is


SIDES: dict[str, Callable[[bytes], None]] = {"tap": tap, "target": target, "mapping": mapping}


def corpus(side: str, folder: Path) -> list[Path]:
    """Return the files of a side's corpus."""
    return sorted((folder / side).iterdir())
