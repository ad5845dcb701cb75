"""Persons are counted exactly, in little memory."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from target_posthog.delivery.distinct_ids import MOST_IN_MEMORY, DistinctIds

FEW, MANY = 20_000, 600_000
SLACK_MIB = 30  # sets of so many ids take some 70
PEAK_OF = """
import resource, sys
from target_posthog.delivery.distinct_ids import DistinctIds
ids = DistinctIds()
for number in range(int(sys.argv[1])):
    ids.see(f"{number}@example.com")
print(ids.persons, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


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


def test_many_ids_take_hardly_more_memory_than_few() -> None:
    peaks = {}
    for number in (FEW, MANY):
        command = [sys.executable, "-c", PEAK_OF, str(number)]
        persons, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        assert int(persons) == number
        peaks[number] = int(peak)
    assert peaks[MANY] < peaks[FEW] + SLACK_MIB
