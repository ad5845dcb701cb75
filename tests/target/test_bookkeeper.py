"""The names of the orders behind a difference: the first few, and how many more there are."""

from __future__ import annotations

import pytest

from target_posthog.books.bookkeeper import Names


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ([], ""),
        (["#1", "#1"], "#1"),
        (["#1", "#2", "#3"], "#1, #2, #3"),
        ([name for name in ("#1", "#2", "#3", "#4", "#5") for _sale in range(3)], "#1, #2, #3 and 2 more"),
    ],
)
def test_an_order_counts_once_however_many_of_its_sales_give_the_same_reading(added: list[str], said: str) -> None:
    names = Names()
    for name in added:
        names.add(name)
    assert str(names) == said
