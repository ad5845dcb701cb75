"""One corpus per side: each file of it, and whatever is near to one, is taken or ends in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.attacks.inputs import SIDES, corpus

CORPUS = Path(__file__).parent / "corpus"
FILES = {side: corpus(side, CORPUS) for side in SIDES}
CASES = [(side, path) for side, paths in FILES.items() for path in paths]
AS_THEY_COME = settings(
    derandomize=True, max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


@pytest.mark.parametrize(("side", "path"), CASES, ids=lambda one: getattr(one, "name", one))
def test_what_was_found_once_is_found_no_more(side: str, path: Path) -> None:
    SIDES[side](path.read_bytes())


@st.composite
def near(draw: st.DrawFn, paths: list[Path]) -> bytes:
    """Return a file with some bytes replaced, added, repeated or taken away."""
    data = bytearray(draw(st.sampled_from(paths)).read_bytes())
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.integers(0, 8)))
        data[begin:end] = draw(st.binary(max_size=4)) or bytes(data[begin:end]) * draw(st.integers(0, 3))
    return bytes(data)


@pytest.mark.parametrize("side", SIDES)
def test_what_is_near_to_it_is_taken_or_gets_a_sentence(side: str) -> None:
    @AS_THEY_COME
    @given(near(FILES[side]) | st.binary(max_size=80))
    def feed(data: bytes) -> None:
        SIDES[side](data)

    feed()
