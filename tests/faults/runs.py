"""A plan is played and judged, in: a plan; out: how many reruns it needed, and every promise that was broken.

Knows what must hold after which run; how it is found out is `checks`'.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.shop import Shop
from tests.faults import checks, undisturbed
from tests.faults.kinds import FULL_DISKS, KINDS, Fault, Side
from tests.faults.plan import Leg, Plan
from tests.faults.world import Left, World, next_second

if TYPE_CHECKING:
    from tests.faults.undisturbed import Undisturbed

MOST_RERUNS = 3
UNTROUBLED = Leg(())


@dataclass
class Verdict:
    """What came of a plan: `broken` has a sentence for each broken promise.

    `reruns` is how many runs without faults it took until everything was there, `struck` are the faults that came
    about before their run was over, `codes` the exit codes of each run's processes, `copies` how many events of each
    run PostHog had already, `open` how many it had at each run's end without a receipt.
    """

    plan: Plan
    reruns: int = 0
    broken: list[str] = field(default_factory=list)
    struck: list[Fault] = field(default_factory=list)
    codes: list[dict[str, int]] = field(default_factory=list)
    copies: list[int] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """Return the verdict for people: plan, ends of the runs, and what is broken."""
        ends = " ".join("/".join(map(str, codes.values())) for codes in self.codes)
        met = f"{len(self.struck)} of {len(self.plan.kinds)} faults struck"
        copies = "/".join(map(str, self.copies))
        outcome = f"exits {ends}, reruns {self.reruns}, copies {copies}, {met}, {self.seconds:.1f} s"
        head = f"seed {self.plan.seed}: {'BROKEN' if self.broken else 'kept'} ({outcome}) {self.plan}"
        return [head, *(f"    ! {one}" for one in self.broken)]


def play(plan: Plan, keep: Path | None = None) -> Verdict:
    """Play a plan and judge what it leaves; `keep` is a folder for logs and states, a temporary one by default."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        with World(plan, Path(keep or folder)) as world:
            verdict = _Judge(plan, world).verdict()
        verdict.seconds = time.monotonic() - started
    return verdict


class _Judge:
    """Plays one plan in a world."""

    def __init__(self, plan: Plan, world: World) -> None:
        self._plan, self._world, self._result = plan, world, Verdict(plan)
        self._left: list[Left] = []
        self._may_be_open = not plan.receipts

    def verdict(self) -> Verdict:
        """Run the disturbed legs, then run on until all is there, and look at everything on the way."""
        try:
            for leg in self._plan.legs:
                self._run(leg)
            self._settle()
        except (TimeoutError, AssertionError) as error:
            self._result.broken.append(str(error))
        self._result.broken = list(dict.fromkeys(self._result.broken))
        return self._result

    def _run(self, leg: Leg) -> Left:
        left = self._world.run(leg)
        self._left.append(left)
        result = self._result
        result.struck += left.struck
        result.codes.append(left.codes)
        result.broken += checks.said(left.logs, checks.personal(self._world.shop.store))
        full = {FULL_DISKS.get(fault.kind) for fault in leg.faults}  # of these not even the log can be written
        codes = {name: code for name, code in left.codes.items() if name not in full}
        result.broken += checks.silent(codes, left.logs)
        result.copies.append(len(left.copies))
        result.open.append(len(left.open))
        self._look_at_copies(left)
        return left

    def _look_at_copies(self, left: Left) -> None:
        """A copy must have been under way when something struck; who ends well leaves nothing under way."""
        kinds = [(KINDS[one.kind], one) for one in left.struck]
        killed = any(kind.about == "process" for kind, _ in kinds)
        self._may_be_open |= killed or any(left.codes.values())
        unanswered = any(fault.side is Side.POSTHOG for kind, fault in kinds if kind.about == "answer")
        self._result.broken += checks.sent_again(
            left.copies, left.receipts, may_be_open=self._may_be_open or unanswered
        )
        if left.open and not killed and not any(left.codes.values()):
            self._result.broken.append(f"a run that says it succeeded leaves {len(left.open)} events without a receipt")

    def _settle(self) -> None:
        """Run without faults until nothing differs; at most three times, and each must succeed."""
        expected, earlier = self._expected()
        while True:
            found = checks.Facts.of(self._world.posthog, stores=self._plan.stores)
            differences = checks.differences(
                found, expected.facts, earlier, self._world.gone, facts_stay=self._plan.receipts
            )
            succeeded = not any(self._left[-1].codes.values())
            if not differences or self._result.reruns == MOST_RERUNS:
                break
            if succeeded and not self._changed_in_last_run() and not self._holds_orders():
                self._result.broken.append("a run that says it succeeded has left something out")
                break
            self._result.reruns += 1
            self._run(UNTROUBLED)
            if any(self._left[-1].codes.values()):
                self._result.broken.append(f"a run without faults fails: {self._left[-1].codes}")
        self._result.broken += differences + checks.doubles(self._world.posthog)
        before = earlier.events if earlier else {}
        all_events = {**before, **expected.facts.events}
        for left in self._left:
            facts = checks.Facts({one: all_events[one] for one in left.arrived & all_events.keys()}, {})
            said = checks.said_already(expected.facts.events, facts) if self._plan.receipts else set()
            as_before = checks.same_events(expected.facts.events, left.arrived & before.keys())
            needless = self._world.gone.needless(expected.facts.events, left.arrived & before.keys())
            there = left.arrived | needless | said | as_before
            self._result.broken += checks.ahead(left.bookmarks, expected.written, there)

    def _holds_orders(self) -> bool:
        """Whether the last run says that it has held orders for the next one, as their ledgers seem to be cut short."""
        return any(bookmark.get("held") for bookmark in self._left[-1].bookmarks.values())

    def _changed_in_last_run(self) -> bool:
        return any(KINDS[one.kind].changes for one in self._left[-1].struck)

    def _expected(self) -> tuple[Undisturbed, checks.Facts | None]:
        """Return what an undisturbed run makes of the store as it is now, and if it has changed, as it was before."""
        untouched = undisturbed.of_untouched(self._plan.customers, self._plan.stores)
        if not self._world.touched:
            return untouched, None
        next_second()
        return undisturbed.of([Shop(one.store) for one in self._world.shops]), untouched.facts
