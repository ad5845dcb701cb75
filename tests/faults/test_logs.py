"""No log, error, summary or name of a dead letter tells of a customer or a key: at any level, under every fault."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.faults.kinds import KINDS, Fault, Kind, Side
from tests.faults.plan import Leg, Plan
from tests.faults.runs import play

FAULTS_AT_ONCE = 7
REQUESTS_BETWEEN = 2


def leg(*kinds: str) -> Leg:
    faults = []
    for number, name in enumerate(kinds):
        side = KINDS[name].side or Side.SHOP
        faults.append(Fault(name, side, number * REQUESTS_BETWEEN, seconds=0.1, times=1, choice=number))
    letters = next((KINDS[name].dead_letters for name in kinds if KINDS[name].dead_letters), "")
    return Leg(tuple(faults), letters)


def of_commands(*, ends_the_run: bool) -> list[str]:
    """Return the kinds of faults that can befall the two commands within seconds: those that end a run, or not."""

    def fits(kind: Kind) -> bool:
        ends = kind.final or kind.about == "process"
        return ends is ends_the_run and kind.pipe != "meltano" and not kind.long

    return [name for name, kind in KINDS.items() if fits(kind)]


def together(names: list[str]) -> list[Leg]:
    rest = iter(names)
    return [leg(*some) for some in iter(lambda: tuple(islice(rest, FAULTS_AT_ONCE)), ())]


# What is answered wrongly and what changes comes in groups; what ends a run, one after the other.
PLANS = [
    Plan(number, 10, "frequent", "bulk", (one,), "DEBUG")
    for number, one in enumerate(together(of_commands(ends_the_run=False)))
] + [
    Plan(number, 10, "frequent", "auto", tuple(map(leg, of_commands(ends_the_run=True)[number::3])), "DEBUG")
    for number in range(3)
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: ", ".join(plan.kinds))
def test_no_log_tells_of_a_customer_or_a_key(plan: Plan) -> None:
    verdict = play(plan)
    assert verdict.struck
    assert verdict.broken == [], "\n".join(verdict.lines())


def test_every_kind_of_fault_that_can_befall_the_commands_is_among_them() -> None:
    named = {name for plan in PLANS for name in plan.kinds}
    assert named == {name for name, kind in KINDS.items() if kind.pipe != "meltano" and not kind.long}
