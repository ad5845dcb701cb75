"""Windows, what is known, and rows of a file: nothing falls between, nothing comes twice."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta, timezone
from io import BytesIO
from itertools import chain
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tap_shopify_orders.moments import SECOND, utc
from tap_shopify_orders.reading.join import Counted, Incomplete, Rows
from tap_shopify_orders.reading.known import Known, Mark
from tap_shopify_orders.reading.windows import Window, split

BEGINNING = datetime(2026, 1, 1, tzinfo=timezone.utc)
MOMENTS = st.integers(0, 5_000).map(lambda seconds: BEGINNING + timedelta(seconds=seconds))


@given(st.none() | MOMENTS, MOMENTS, st.lists(MOMENTS, max_size=60), st.integers(1, 20))
def test_the_parts_of_a_window_follow_one_another_and_hold_what_it_holds(
    since: datetime | None, until: datetime, changes: list[datetime], most: int
) -> None:
    whole = Window(since, until)
    if whole.empty:
        return

    def count(window: Window) -> int:
        return sum(map(window.contains, changes))

    parts = list(split(whole, count(whole), count, most))
    assert (parts[0].since, parts[-1].until) == (since, until)
    assert [one.until for one in parts[:-1]] == [one.since for one in parts[1:]]
    assert all(count(one) <= most or not one.halves() for one in parts)
    assert sum(map(count, parts)) == count(whole)


@given(st.none() | MOMENTS, MOMENTS, st.integers(0, 100), st.integers(1, 20), st.randoms(use_true_random=False))
def test_counts_that_are_wrong_lose_no_time(
    since: datetime | None, until: datetime, records: int, most: int, random: Any
) -> None:
    whole = Window(since, until)
    if whole.empty:
        return
    parts = list(split(whole, records, lambda _: random.randint(0, records), most))
    assert (parts[0].since, parts[-1].until) == (since, until)
    assert [one.until for one in parts[:-1]] == [one.since for one in parts[1:]]


@given(MOMENTS, MOMENTS)
def test_halves_are_the_window(since: datetime, until: datetime) -> None:
    halves = Window(since, until).halves()
    if halves is None:
        assert until - since <= SECOND
    else:
        assert (halves[0].since, halves[0].until, halves[1].until) == (since, halves[1].since, until)


def mark(number: int, state: int, at: datetime) -> Mark:
    node = {"id": f"gid://shopify/Order/{number}", "updated_at": utc(at)}
    return Mark.of(node, msgspec.Raw(msgspec.json.encode([number, state, utc(at)])))


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2), MOMENTS), max_size=40), st.integers(0, 5_000))
def test_what_a_later_run_reads_again_is_known_in_its_last_state(
    emitted: list[tuple[int, int, datetime]], lookback_seconds: int
) -> None:
    lookback = timedelta(seconds=lookback_seconds)
    known = Known({}, lookback)
    marks = [mark(*one) for one in sorted(emitted, key=lambda one: one[2])]
    for one in marks:
        known.add(one)
    later = Known(dict(known.prints), lookback)
    last = {one.record_id: one for one in marks}
    newest = max((one.updated_at for one in marks), default=BEGINNING)
    assert all(later.has(one) for one in last.values() if one.updated_at >= newest - lookback)
    assert known.prints.keys() <= last.keys()
    assert all(last[key].fingerprint == value for key, value in known.prints.items())


@st.composite
def files(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[int, list[int]]]:
    """Return rows of a bulk operation's result, and the children of each order in the order of the rows."""
    numbers = draw(st.lists(st.integers(1, 50), unique=True, max_size=6))
    rows: list[dict[str, Any]] = [
        {"id": f"gid://shopify/Order/{number}", "updated_at": utc(draw(MOMENTS))} for number in numbers
    ]
    for place, owner in enumerate(draw(st.lists(st.sampled_from(numbers), max_size=12)) if numbers else []):
        child = f"gid://shopify/LineItem/{1_000 + place}"
        rows.append({"in_line_items": "LineItem", "id": child, "__parentId": f"gid://shopify/Order/{owner}"})
    rows = draw(st.permutations(rows))
    children = {
        number: [_number(row["id"]) for row in rows if row.get("__parentId") == f"gid://shopify/Order/{number}"]
        for number in numbers
    }
    return rows, children


def _number(global_id: str) -> int:
    return int(global_id.rpartition("/")[2])


def rows_of(lines: bytes, counted: Counted) -> list[tuple[int, list[int]]]:
    with closing(Rows(BytesIO(lines), (("line_items",),), counted)) as found:
        return [
            (
                _number(json.loads(root)["id"]),
                [_number(json.loads(line)["id"]) for _, line in inside.get(("line_items",), ())],
            )
            for root, inside in chain.from_iterable(found.batches("", "9999"))
        ]


@given(files())
def test_children_find_their_parents_in_any_order_of_rows(
    file: tuple[list[dict[str, Any]], dict[int, list[int]]],
) -> None:
    rows, children = file
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    assert dict(rows_of(lines, Counted(len(rows), len(children)))) == children


@given(files(), st.data())
def test_a_file_that_lacks_a_part_is_no_result(
    file: tuple[list[dict[str, Any]], dict[int, list[int]]], data: st.DataObject
) -> None:
    rows, children = file
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    shorter = lines[: data.draw(st.integers(0, max(0, len(lines) - 2)))]
    if not rows:
        return
    try:
        rows_of(shorter, Counted(len(rows), len(children)))
    except Incomplete:
        return
    raise AssertionError("half a file was taken for all of it")
