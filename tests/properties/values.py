"""Values of any kind, in: nothing; out: hypothesis strategies for JSON, and for mistakes in what was right.

Knows neither records nor messages.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = Any

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        ["", " ", "0", "1e999999", "-1e9999999999", "-1.50", "NaN", "Infinity", "null", "jane@example.com", "a\0b"]
    ),
    st.sampled_from(["2026-11-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-02-30"]),
    st.datetimes().map(lambda moment: moment.isoformat()),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
VALUES: st.SearchStrategy[JSON] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=6
)


def places(value: JSON, way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to everything inside a value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in inside:
        yield (*way, step)
        yield from places(inner, (*way, step))


@st.composite
def spoilt(draw: st.DrawFn, right: JSON, most: int = 3) -> JSON:
    """Return a right value with up to so many others in places of its own."""
    value = deepcopy(right)
    for _ in range(draw(st.integers(0, most))):
        *way, last = draw(st.sampled_from(list(places(value)) or [("new",)]))
        owner = value
        for step in way:
            owner = owner[step]
        owner[last] = draw(VALUES)
    return value
