"""A span is cut into windows that hold few enough records, and nothing falls between them."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_shopify_orders.moments import as_datetime
from tap_shopify_orders.reading.windows import Window, split

BEGIN, END = as_datetime("2026-01-01"), as_datetime("2026-02-01")
SECONDS = int((END - BEGIN).total_seconds())


def cut(changes: list[int], window: Window, most: int = 3) -> list[Window]:
    """Return the windows for changes so many seconds after the beginning."""

    def count(part: Window) -> int:
        return sum(part.contains(BEGIN + timedelta(seconds=one)) for one in changes)

    return list(split(window, count(window), count, most))


@given(st.lists(st.integers(0, SECONDS - 1), max_size=40), st.sampled_from([BEGIN, None]))
def test_windows_add_up_and_hold_few_records(changes: list[int], since: datetime | None) -> None:
    whole = Window(since, END)
    windows = cut(changes, whole)
    assert (windows[0].since, windows[-1].until) == (whole.since, whole.until)
    assert all(one.until == two.since for one, two in pairwise(windows))
    for one in windows:
        held = [change for change in changes if one.contains(BEGIN + timedelta(seconds=change))]
        assert len(held) <= 3 or len(set(held)) == 1


def test_a_short_history_is_one_window() -> None:
    assert cut([1, 2, 3], Window(None, END)) == [Window(None, END)]


def test_neighbours_with_few_records_share_a_window() -> None:
    assert len(cut(list(range(0, SECONDS, SECONDS // 30)), Window(BEGIN, END), most=10)) <= 6


def test_changes_of_one_second_stay_together() -> None:
    windows = cut([500] * 50, Window(BEGIN, END))
    assert len([one for one in windows if one.contains(BEGIN + timedelta(seconds=500))]) == 1


def test_a_wrong_count_loses_nothing() -> None:
    windows = list(split(Window(BEGIN, END), 100, lambda _: 0, 10))
    assert windows[0].since == BEGIN
    assert windows[-1].until == END
    assert all(one.until == two.since for one, two in pairwise(windows))


@pytest.mark.parametrize(
    ("since", "search"),
    [
        (None, "updated_at:<'2026-02-01T00:00:00Z'"),
        (BEGIN, "updated_at:>='2026-01-01T00:00:00Z' AND updated_at:<'2026-02-01T00:00:00Z'"),
    ],
)
def test_a_window_is_written_as_shopify_searches(since: object, search: str) -> None:
    assert Window(since, END).search == search  # type: ignore[arg-type]  # a moment or None
