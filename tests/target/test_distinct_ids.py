"""Persons are counted exactly, in little memory."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.delivery.distinct_ids import MOST_IN_MEMORY, DistinctIds
from tests.own_process import in_own_process

FEW, MANY = 20_000, 600_000
SLACK_BYTES = 30 << 20  # sets of so many ids take some 70 MiB


@given(st.lists(st.tuples(st.sampled_from(["seen", "linked"]), st.text(max_size=2))))
def test_a_person_is_an_id_that_was_seen_and_never_linked(noted: list[tuple[str, str]]) -> None:
    ids = DistinctIds()
    for what, one in noted:
        (ids.see if what == "seen" else ids.link)(one)
    seen, linked = ({one for what, one in noted if what == this} for this in ("seen", "linked"))
    assert ids.persons == len(seen - linked)


def test_ids_are_told_apart_across_what_memory_holds() -> None:
    ids = DistinctIds()
    for _ in range(2):
        for number in range(MOST_IN_MEMORY + 1):
            ids.see(str(number))
    assert ids.persons == MOST_IN_MEMORY + 1
    ids.link("0")
    assert ids.persons == MOST_IN_MEMORY


def peak_bytes(number: int) -> int:
    """Return the most memory that Python had while so many persons were counted."""
    ids = DistinctIds()
    tracemalloc.start()
    for one in range(number):
        ids.see(f"{one}@example.com")
    assert ids.persons == number
    return tracemalloc.get_traced_memory()[1]


def test_many_ids_take_hardly_more_memory_than_few() -> None:
    few, many = (in_own_process(peak_bytes, number) for number in (FEW, MANY))
    assert many < few + SLACK_BYTES
