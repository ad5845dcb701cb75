"""An expression that makes ever more of what it is given is named before there is any record."""

from __future__ import annotations

import jmespath
import pytest

from target_posthog.mapping.language.growth import growth


def of(text: str) -> int:
    return growth(jmespath.compile(text).parsed)


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("id", 1),
        ("a.b[0].c", 1),
        ("'x'", 1),
        ("a || b || c", 1),
        ("a == b && !c", 1),
        ("a[1:2].b[::-1]", 1),
        ("line_items[*].price", 1),
        ("line_items[?price > `1`].{a: price, b: title}", 2),
        ("[a, b, c][]", 3),
        ("concat(a, ':', b)", 3),
        ("map(&concat(@, @), tags)", 2),
        ("join(', ', tags)", 2),
        ("concat(@, @) | [@, @] | {a: @, b: @}", 8),
    ],
)
def test_it_counts_how_often_the_input_may_be_in_the_value(text: str, most: int) -> None:
    assert of(text) == most


@pytest.mark.parametrize(
    "step",
    [
        "[@, @]",
        "{a: @, b: @}",
        "concat(@, @)",
        'join(@, `["", "", ""]`)',
        "map(&[@, @], @)",
        "[*].[@, @]",
        "[?@].[@, @]",
        "[@, @][]",
        "merge({a: @}, {b: @})",
        "not_null([@, @])",
        "sort_by([@, @], &a)",
        "(@ || [@, @]) | [@, @]",
    ],
)
def test_what_doubles_at_each_step_is_seen(step: str) -> None:
    assert of(" | ".join(["a", *[step] * 40])) >= 2**40
