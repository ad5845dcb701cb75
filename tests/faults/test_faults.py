"""Whatever goes wrong, the next runs make it good: seeded plans over real processes, a bounded part of the harness.

`python -m tests.faults` runs as many more as wanted.
"""

from __future__ import annotations

import pytest

from tests.faults.kinds import KINDS, Fault, Side
from tests.faults.plan import Leg, Plan, plan_of
from tests.faults.runs import play

SEEDS = (24, 43, 60)


def fault(kind: str, side: Side, after_requests: int, *, seconds: float = 0.0, times: int = 1) -> Fault:
    return Fault(kind, side, after_requests, seconds, times, choice=after_requests)


# Written out, and not by seed: what a seed means changes with each new kind of fault. A plan that breaks a promise gets
# its place here.
PLANS = {
    "bulk operations under three kills, while the shop changes": Plan(
        0,
        20,
        "frequent",
        "bulk",
        (
            Leg((fault("order refunded", Side.SHOP, 5), fault("SIGKILL to tap", Side.SHOP, 9))),
            Leg((fault("customer renamed", Side.SHOP, 3), fault("SIGTERM to tap", Side.SHOP, 6))),
            Leg((fault("bulk operation ends badly", Side.SHOP, 0), fault("SIGKILL to target", Side.POSTHOG, 5))),
        ),
    ),
    "one of three stores takes the tap its token, and the tap is killed in the next run": Plan(
        0,
        20,
        "frequent",
        "auto",
        (
            Leg((fault("Shopify token revoked", Side.SHOP, 5),)),
            Leg((fault("Shopify throttles", Side.SHOP, 1, times=4), fault("SIGKILL to tap", Side.SHOP, 7))),
        ),
        "DEBUG",
        stores=3,
    ),
    "Ctrl-C in a terminal where Meltano has just started tap and target": Plan(
        58, 20, "meltano", "auto", (Leg((fault("Ctrl-C to all three", Side.SHOP, 0, seconds=0.15),)),)
    ),
    "the clock goes back while the target holds events": Plan(
        0, 10, "frequent", "auto", (Leg((fault("the machine's clock jumps", Side.POSTHOG, 6, seconds=0.1),)),), "DEBUG"
    ),
    "PostHog has taken a batch, and the target dies before it knows": Plan(
        0,
        10,
        "frequent",
        "auto",
        (
            Leg(
                (
                    fault("PostHog 500 after the work", Side.POSTHOG, 6, times=2),
                    fault("SIGKILL to target", Side.POSTHOG, 7, seconds=0.1),
                )
            ),
        ),
    ),
}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_next_runs_make_a_disturbed_one_good(seed: int) -> None:
    verdict = play(plan_of(seed))
    assert verdict.struck, "at least one fault came about"
    assert verdict.broken == [], "\n".join(verdict.lines())


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_a_plan_that_is_written_out_ends_well(plan: Plan) -> None:
    verdict = play(plan)
    assert verdict.struck, "at least one fault came about"
    assert verdict.broken == [], "\n".join(verdict.lines())


def test_a_seed_is_a_plan() -> None:
    assert [plan_of(seed) for seed in range(200)] == [plan_of(seed) for seed in range(200)]
    assert len({str(plan_of(seed)) for seed in range(200)}) > 190


def test_as_many_seeds_as_there_are_kinds_show_each_kind() -> None:
    assert {kind for seed in range(len(KINDS)) for kind in plan_of(seed).kinds} == KINDS.keys()


def test_a_plan_is_printed_as_it_is() -> None:
    kill = fault("SIGKILL to tap", Side.POSTHOG, 3)
    assert str(kill) == "SIGKILL to tap after 3 requests to PostHog"
    assert str(Plan(1, 10, "frequent", "auto", (Leg((kill,)),))) == f"10 customers, frequent, auto: {kill}"
    several = Plan(1, 10, "frequent", "auto", (Leg((kill,)),), stores=3)
    assert str(several) == f"3 stores of 10 customers, frequent, auto: {kill}"
