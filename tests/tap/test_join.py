"""Rows of a bulk operation find their parents, whatever their order; a file that isn't whole is no result."""

from __future__ import annotations

import json
import sys
import tracemalloc
from contextlib import closing
from io import BytesIO
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_shopify_orders.reading.join import ROWS_AT_ONCE, Counted, Incomplete, Rows
from tests.own_process import in_own_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NESTED = (("line_items",), ("discounts",))
LEDGER = (("agreements",), ("agreements", "sales"))
SLACK_BYTES = 1_000_000  # what caches make of it; 20,000 orders more would be some 20 MB
ALWAYS = ("", "9999")
Row = dict[str, Any]


def order(number: int, changed: str = "2026-01-01T00:00:00Z") -> Row:
    return {"id": f"gid://shopify/Order/{number}", "updated_at": changed}


def line(number: int, parent: int) -> Row:
    return {
        "in_line_items": "LineItem",
        "id": f"gid://shopify/LineItem/{number}",
        "__parentId": f"gid://shopify/Order/{parent}",
    }


def discount(code: str, parent: int) -> Row:
    """Return a child without an id."""
    return {"in_discounts": "Discount", "code": code, "__parentId": f"gid://shopify/Order/{parent}"}


def joined(rows: list[Row], *, window: tuple[str, str] = ALWAYS) -> list[tuple[int, list[int], list[str]]]:
    """Return (order, its line items, its discount codes) of each node."""
    file = BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    counted = Counted(len(rows), sum("__parentId" not in row for row in rows))
    with closing(Rows(file, NESTED, counted)) as found:
        return [
            (
                number_of(json.loads(root)),
                [number_of(json.loads(one)) for _, one in children["line_items",]],
                [json.loads(one)["code"] for _, one in children["discounts",]],
            )
            for root, children in chain.from_iterable(found.batches(*window))
        ]


def number_of(node: Row) -> int:
    return int(node["id"].rpartition("/")[2])


@pytest.mark.parametrize(
    ("rows", "nodes"),
    [
        ([], []),
        ([order(1)], [(1, [], [])]),
        ([order(1), line(1, 1), line(2, 1), order(2), line(3, 2)], [(1, [1, 2], []), (2, [3], [])]),
        ([order(1), order(2), line(1, 1), line(3, 2), line(2, 1)], [(1, [1, 2], []), (2, [3], [])]),
        ([order(1), discount("B", 1), line(1, 1), discount("A", 1)], [(1, [1], ["B", "A"])]),
        ([line(1, 1), discount("A", 1), order(1)], [(1, [1], ["A"])]),
        ([order(1, "2026-01-02T00:00:00Z"), order(2)], [(2, [], []), (1, [], [])]),
        ([order(2), order(1)], [(1, [], []), (2, [], [])]),
    ],
    ids=[
        "no rows",
        "no children",
        "children behind their parents",
        "children behind all parents",
        "kinds that alternate, children without an id",
        "children before their parents",
        "oldest change first",
        "by number within a second",
    ],
)
def test_children_find_their_parents(rows: list[Row], nodes: list[Any]) -> None:
    assert joined(rows) == nodes


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8), st.randoms(use_true_random=False))
def test_any_order_of_rows_gives_the_same_nodes(sizes: list[tuple[int, int]], random: Any) -> None:
    rows: list[Row] = []
    for number, (lines, codes) in enumerate(sizes, start=1):
        rows += [order(number), *(line(10 * number + one, number) for one in range(lines))]
        rows += [discount(f"{number}-{one}", number) for one in range(codes)]
    random.shuffle(rows)

    def children(kind: str, number: int, name: str) -> list[Any]:
        mine = [row for row in rows if kind in row and row["__parentId"].endswith(f"/{number}")]
        return [number_of(row) if name == "id" else row[name] for row in mine]

    assert joined(rows) == [
        (number, children("in_line_items", number, "id"), children("in_discounts", number, "code"))
        for number in range(1, len(sizes) + 1)
    ]


def test_only_the_window_is_read_inclusive_below_and_exclusive_above() -> None:
    rows = [order(day, f"2026-01-0{day}T00:00:00Z") for day in range(1, 6)]
    window = ("2026-01-02T00:00:00Z", "2026-01-04T00:00:00Z")
    assert [number for number, _, _ in joined(rows, window=window)] == [2, 3]


def test_a_batch_has_the_fewer_nodes_the_more_children_they_have() -> None:
    lines = 2 * ROWS_AT_ONCE // 3
    rows = [order(number) for number in range(1, 6)]
    rows += [line(number, parent) for parent in range(1, 5) for number in range(lines)]
    file = BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    with closing(Rows(file, NESTED, Counted(len(rows), 5))) as found:
        batches = [[len(one.children["line_items",]) for one in batch] for batch in found.batches(*ALWAYS)]
    assert batches == [[lines, lines], [lines, lines], [0]]


@pytest.mark.parametrize(
    ("rows", "counted", "reason"),
    [
        ([order(1)], Counted(2, 1), "1 of 2 rows"),
        ([order(1), order(2)], Counted(1, 1), "2 of 1 rows"),
        ([order(1), line(1, 1)], Counted(2, 2), "2 of 2 rows"),
        ([order(1), line(1, 2)], Counted(2, 1), "without their parent"),
        ([order(1), order(1)], Counted(2, 2), "a row twice"),
        ([order(1), {"__parentId": "gid://shopify/Order/1"}], Counted(2, 1), "another query"),
    ],
)
def test_rows_that_are_not_those_counted_are_no_result(rows: list[Row], counted: Counted, reason: str) -> None:
    file = BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    with pytest.raises(Incomplete, match=reason):
        Rows(file, NESTED, counted)


def agreement(number: int, order_number: int) -> Row:
    parent = f"gid://shopify/Order/{order_number}"
    return {"in_agreements": "Agreement", "id": f"gid://shopify/SalesAgreement/{number}", "__parentId": parent}


def sale(number: int, agreement_number: int) -> Row:
    parent = f"gid://shopify/SalesAgreement/{agreement_number}"
    return {"in_sales": "Sale", "id": f"gid://shopify/Sale/{number}", "__parentId": parent}


def ledgers(rows: list[Row]) -> dict[int, list[tuple[int | None, int]]]:
    """Return (agreement, sale) of each order."""
    file = BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    counted = Counted(len(rows), sum("__parentId" not in row for row in rows))
    with closing(Rows(file, LEDGER, counted)) as found:
        return {
            number_of(json.loads(root)): [(owner, number_of(json.loads(line))) for owner, line in children[LEDGER[1]]]
            for root, children in chain.from_iterable(found.batches(*ALWAYS))
        }


@pytest.mark.parametrize("backwards", [False, True])
def test_children_of_children_find_their_parents(*, backwards: bool) -> None:
    rows = [order(1), order(2), agreement(1, 1), agreement(2, 2), agreement(3, 1), sale(1, 1), sale(2, 3), sale(3, 2)]
    found = ledgers(rows[::-1] if backwards else rows)
    assert {number: sorted(sales) for number, sales in found.items()} == {1: [(1, 1), (3, 2)], 2: [(2, 3)]}


def test_a_sale_without_its_agreement_is_no_result() -> None:
    with pytest.raises(Incomplete, match="without their parent"):
        ledgers([order(1), agreement(1, 1), sale(1, 2)])


def test_half_a_row_is_no_result() -> None:
    with pytest.raises(Incomplete, match="isn't as it should be"):
        Rows(BytesIO(b'{"id": "gid://shop'), NESTED, Counted(1, 1))


def peak_bytes(orders: int, path: Path) -> int:
    """Return the most bytes that joining took, children scattered; the file's own aren't counted."""

    def rows() -> Iterator[Row]:
        for number in range(orders):
            yield order(number, f"2026-01-01T{number % 24:02}:00:00Z")
        for number in range(2 * orders):
            yield line(number, number * 7 % orders)

    path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in rows()))
    with path.open("rb") as file:
        tracemalloc.start()
        with closing(Rows(file, NESTED, Counted(3 * orders, orders))) as found:
            nodes = chain.from_iterable(found.batches(*ALWAYS))
            assert sum(len(children["line_items",]) for _, children in nodes) == 2 * orders
        return tracemalloc.get_traced_memory()[1]


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="memory is counted by CPython")
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    few, many = (in_own_process(peak_bytes, orders, tmp_path / str(orders)) for orders in (4_000, 24_000))
    assert many < few + SLACK_BYTES
