"""Whatever is given as a state or a catalog: a run whose own state is right, or a sentence."""

from __future__ import annotations

import json
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tap_shopify_orders import command as files
from tap_shopify_orders.bookmark import Bookmarks
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.output import WholeLines
from tap_shopify_orders.side_by_side import SENTENCES
from tap_shopify_orders.state import checked
from tap_shopify_orders.store_run import StoreRun
from tap_shopify_orders.tap import TapShopifyOrders
from tests.properties.values import VALUES, spoilt

if TYPE_CHECKING:
    from collections.abc import Iterator

BOOKMARK = {
    "replication_key": "updated_at",
    "replication_key_value": "2026-10-01T00:00:00Z",
    "known": {"Order/1001": "0123456789abcdef"},
}
TASK = {
    "since": "2026-10-01T00:00:00Z",
    "until": "2026-10-02T00:00:00Z",
    "operation": "gid://shopify/BulkOperation/1",
    "asks": "0123456789abcdef",
}
OF_ONE_SHOP = {"bookmarks": {"customers": BOOKMARK, "orders": {**BOOKMARK, "bulk": [TASK], "progress_markers": {}}}}
BY_SHOP = {
    "bookmarks": {
        stream: {"partitions": [{"context": {"shop_id": 60_000_000_001}, **bookmark}]}
        for stream, bookmark in OF_ONE_SHOP["bookmarks"].items()
    }
}
KEPT = ("id", "email", "updated_at", "default_address")


def catalog() -> dict[str, Any]:
    """Return the tap's catalog, of a few properties."""
    found = TapShopifyOrders(config={}, validate_config=False).catalog_dict
    for stream in found["streams"]:
        properties = stream["schema"]["properties"]
        stream["schema"]["properties"] = {name: properties[name] for name in KEPT if name in properties}
        stream["metadata"] = [one for one in stream["metadata"] if {*one["breadcrumb"]} <= {"properties", *KEPT}]
    return found


class Last(WholeLines):
    """Keeps the last state alone."""

    def __init__(self) -> None:
        super().__init__()
        self.state: Any = None

    def write_message(self, message: Any) -> None:
        self.state = json.loads(self.format_message(message)).get("value", self.state)


@pytest.fixture(scope="module")
def settings() -> Iterator[dict[str, Any]]:
    with Shop(cdnow_store(date(2026, 10, 31), customers=2)).serve() as shop:
        yield {"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": f"{shop.url}/admin"}


def runs(settings: dict[str, Any], state: Any = None, given_catalog: Any = None) -> None:
    """Run the tap in this process; a sentence ends it as well as its last record."""
    written = Last()
    try:
        bookmarks = Bookmarks(checked(state or {}))
        StoreRun(
            config=settings,
            state_of=lambda shop_id: bookmarks.state_of(shop_id, alone=True),
            catalog=given_catalog,
            message_writer=written,
        ).read()
    except SENTENCES as error:
        assert str(error)
        return
    if written.state is not None:  # a stream is selected
        assert checked(written.state), "the next run can begin with it"


@given(st.one_of(st.sampled_from([OF_ONE_SHOP, BY_SHOP]).flatmap(spoilt), VALUES))
@example({"bookmarks": {"orders": {"replication_key_value": "2006-01-01T00:00:00Z"}}})
def test_any_json_as_a_state_is_taken_or_gets_a_sentence(settings: dict[str, Any], state: Any) -> None:
    try:
        state = files.json_object("--state", "state.json", partial(json.dumps, state))
    except RunError as refused:
        assert not isinstance(state, dict), refused
        return
    runs(settings, state)


@given(spoilt(catalog()))
def test_any_json_as_a_catalog_is_taken_or_gets_a_sentence(settings: dict[str, Any], found: Any) -> None:
    try:
        found = files.checked_catalog(files.json_object("--catalog", "catalog.json", partial(json.dumps, found)))
    except RunError:
        return
    runs(settings, given_catalog=found)


@given(st.sampled_from(sorted(files.REMEDIES)), st.text() | st.binary())
@example("--config", b"")
def test_any_file_is_an_object_or_gets_a_sentence(option: str, content: bytes | str) -> None:
    try:
        assert isinstance(files.json_object(option, "file.json", lambda: content), dict)
    except RunError as refused:
        assert f"`{option} file.json`" in str(refused)
