"""Lists that a bulk operation has cut without a word: orders whose lists lack something are read again by pages."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.shop import Shop
from sandbox.shop.access import MORE_SCOPES, SCOPES
from sandbox.shop.goods import Line
from sandbox.shop.store import Store
from tap_shopify_orders.reading.watch import MOST_IN_VAIN
from tests.sandbox.test_shop_situations import CD, FIRST, LATER
from tests.sandbox.test_shop_situations import order_of as placed_of

from .conftest import Message, Run, catalog_of, queries, read
from .test_ledger import add, found_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVERYTHING = frozenset({*SCOPES, *MORE_SCOPES})
MOST = 10
LONG = 25


def lines(number: int) -> list[Line]:
    return [Line(CD, 1, Decimal(price)) for price in range(10, 10 + number)]


def placed(store: Store, number: int = LONG) -> str:
    return add(store, placed_of(*lines(number)))


def edited(store: Store) -> str:
    """Return an order whose agreements are cut, which leaves what placed it as it is."""
    name = add(store, placed_of(*lines(3)))
    for number in range(MOST + 5):
        store.edit_order(name, LATER, quantities={1: 2 + number})
    return name


def refunded(store: Store) -> str:
    """Return an order of which the sales of a later agreement are cut."""
    name = add(store, placed_of(*(replace(line, quantity=3) for line in lines(9))))
    store.edit_order(name, LATER, added=[{"price": str(price)} for price in range(10, 10 + LONG)])
    return name


def returned(store: Store) -> str:
    name = placed(store, MOST + 4)
    for number in range(MOST + 3):
        store.open_return(name, LATER, 1)
        store.process_return(name, LATER, {number: 1})
    return name


MANY: dict[str, Callable[[Store], str]] = {
    "lines": placed,
    "agreements": edited,
    "sales of a later agreement": refunded,
    "returns": returned,
}


@pytest.fixture
def store() -> Store:
    store = Store()
    for _ in range(3):
        add(store, FIRST)
    store.change_order(
        "#1001", "2026-11-20T12:00:00Z", note="the last change is for pages, and what lies before it not"
    )
    return store


@pytest.fixture
def shop(store: Store, request: pytest.FixtureRequest) -> Iterator[Shop]:
    settings = getattr(request, "param", {})
    with Shop(store, scopes=EVERYTHING, bulk_nested_most=MOST, **settings).serve() as served:
        yield served


def again(shop: Shop) -> int:
    """Return how often orders were read again."""
    return len([one for one in queries(shop) if one["query"].startswith("query ById")])


def both(shop: Shop, catalog: Message | None = None) -> tuple[Run, Run]:
    pages = read(shop, catalog=catalog, method="pages")
    shop.controls.reset()
    return pages, read(shop, catalog=catalog, method="bulk")


def without(shop: Shop, *paths: tuple[str, ...]) -> Message:
    return catalog_of(shop, streams=("orders",), deselect=tuple(("orders", *path) for path in paths))


@pytest.mark.parametrize(
    "shop", [{}, {"bulk_node_parents_only": True}], indirect=True, ids=["inline", "ledger by pages"]
)
@pytest.mark.parametrize("what", MANY)
def test_an_order_whose_lists_are_cut_comes_whole(store: Store, shop: Shop, what: str) -> None:
    name = MANY[what](store)
    pages, bulk = both(shop)
    assert bulk.orders == pages.orders
    assert found_in(bulk.orders[name]) == []
    assert again(shop) <= 1
    assert bulk.state["bookmarks"]["orders"]["held"] == {}


@pytest.mark.parametrize("what", ["lines", "sales of a later agreement"])
def test_without_its_ledger_the_units_of_its_lines_tell(store: Store, shop: Shop, what: str) -> None:
    MANY[what](store)
    pages, bulk = both(shop, without(shop, ("agreements",)))
    assert bulk.orders == pages.orders
    assert again(shop) == 1


def test_without_the_units_its_sales_tell(store: Store, shop: Shop) -> None:
    shop.settings = replace(shop.settings, bulk_node_parents_only=True)
    placed(store)
    pages, bulk = both(shop, without(shop, ("current_subtotal_line_items_quantity",)))
    assert bulk.orders == pages.orders
    assert again(shop) == 1


def test_a_list_as_long_as_the_one_cut_that_was_seen_is_read_again(store: Store, shop: Shop) -> None:
    shop.settings = replace(shop.settings, bulk_nested_most=100)
    placed(store, 130)
    pages, bulk = both(shop, without(shop, ("agreements",), ("current_subtotal_line_items_quantity",)))
    assert bulk.orders == pages.orders


def test_once_a_cut_was_seen_lists_of_that_length_are_read_again_though_nothing_disagrees(
    store: Store, shop: Shop
) -> None:
    edited(store)
    name = add(store, placed_of(*lines(3)))
    for number in range(MOST + 5):  # what is left of them comes to what all of them come to
        store.edit_order(name, LATER, quantities={1: 2 + number % 2})
    pages, bulk = both(shop)
    assert bulk.orders == pages.orders
    assert again(shop) == 2


def test_orders_of_few_nodes_are_not_read_again_whatever_disagrees(store: Store, shop: Shop) -> None:
    name = placed(store, MOST - 2)
    disagree(store, name)
    read(shop, method="bulk")
    assert again(shop) == 0


def disagree(store: Store, name: str) -> None:
    """Let the ledger of a whole order disagree with it."""
    order = store.order(name)
    money = order["currentTotalPriceSet"]["shopMoney"]
    order["currentTotalPriceSet"] = {**order["currentTotalPriceSet"], "shopMoney": {**money, "amount": "1.00"}}


def disagreeing(store: Store, number: int) -> None:
    """Add whole orders of many lines whose ledger disagrees all the same."""
    for _ in range(number):
        disagree(store, placed(store, MOST))


def test_a_store_whose_ledgers_disagree_is_not_read_twice(store: Store, shop: Shop) -> None:
    shop.settings = replace(shop.settings, bulk_nested_most=None)
    disagreeing(store, 3 * MOST_IN_VAIN)
    run = read(shop, method="bulk")
    assert again(shop) == MOST_IN_VAIN
    assert len(run.orders) == len(store.orders)


def test_by_pages_nothing_is_read_again_for_that(store: Store, shop: Shop) -> None:
    disagreeing(store, 3)
    read(shop, method="pages")
    assert again(shop) == 0


def test_an_order_that_is_gone_when_it_is_to_be_read_again_is_left_out(store: Store, shop: Shop) -> None:
    name = placed(store)
    nothing: list[Any] = []

    def gone(body: Message) -> Message:
        nodes = (body.get("data") or {}).get("nodes")
        if nodes and "line_items" in (nodes[0] or {}):
            nothing.append(name)
            return {**body, "data": {"nodes": [None]}}
        return body

    shop.twist = gone
    assert {*read(shop, method="bulk").orders} == {one["name"] for one in store.orders} - {*nothing}
    assert nothing == [name]
