"""Stores at once in one project folder, each a run of its own: a bookmark is the store's own, and so is a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.orchestrate.many import Many, bookmarks, many, token_of
from tests.orchestrate.servers import STATE_SERVERS

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.shop import Shop


def last_changes(shop: Shop) -> dict[str, tuple[str, str]]:
    nodes = {"customers": shop.store.customers, "orders": shop.store.orders}
    return {
        stream: (int(shop.store.shop["id"].rpartition("/")[2]), max(node["updatedAt"] for node in kind)[:19] + "Z")
        for stream, kind in nodes.items()
    }


def check_bookmarks(stores: Many) -> None:
    states = stores.states()
    assert states.keys() == stores.shops.keys()
    for name, shop in stores.shops.items():
        assert bookmarks(states[name]) == last_changes(shop), stores.log(name)


def test_eight_stores_at_once_twice_keep_each_its_own_bookmark(tmp_path: Path) -> None:
    with STATE_SERVERS["postgres"]() as place, many(tmp_path, place, count=8) as stores:
        stores.project.succeed("state", "list")
        assert stores.run_all() == [0] * 8
        check_bookmarks(stores)
        received = stores.posthog.totals()["received"]
        assert received == len(stores.posthog.events()) > 8
        orders = [event["properties"] for event in stores.posthog.events() if event["event"] == "Order Completed"]
        assert {order["affiliation"] for order in orders} == {f"{name}.myshopify.com" for name in stores.shops}

        assert stores.run_all() == [0] * 8
        check_bookmarks(stores)
        assert stores.posthog.totals()["received"] == received, "nothing has changed, so nothing is sent"


def test_a_store_that_fails_fails_alone_and_keeps_no_bookmark(tmp_path: Path) -> None:
    with STATE_SERVERS["s3"]() as place, many(tmp_path, place, count=2) as stores:
        stores.project.environment[token_of("store-2")] = "shpat_revoked"
        assert stores.run_all() == [0, 1]
        assert "bookmarks" not in str(stores.states().get("store-2"))
        stores.project.environment[token_of("store-2")] = "shpat_2"
        assert stores.run_all() == [0, 0]
        check_bookmarks(stores)
