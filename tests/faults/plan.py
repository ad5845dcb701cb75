"""A seed becomes a plan of faults, in: a number; out: a store's size, a pipe, and what goes wrong when.

Pure: the same seed gives the same plan. Knows the kinds' names and sides, not what they do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Literal

from tests.faults.kinds import KINDS, DeadLetters, Fault, Side

CUSTOMERS = (10, 20, 40)
LATEST_REQUEST = {Side.SHOP: 9, Side.POSTHOG: 25}  # of a first run; it makes some more
LATEST_REQUEST_LATER = {Side.SHOP: 5, Side.POSTHOG: 12}  # of one that has less to do
MOST_FAULTS_IN_A_LEG = 3
MELTANO_EVERY = 12  # one run in so many goes through Meltano, whose start alone takes longer than a pipe's whole run
BULK_SHARE = 0.4
SEVERAL_EVERY = 7  # one run in so many reads several stores, of which one is struck
SEVERAL_STORES = 3
RECEIPTS_SHARE = 0.75  # of the commands; Meltano's project always has them
PIPES = {"commands": ("", "commands"), "frequent": ("", "commands", "frequent"), "meltano": ("", "meltano")}
WEIGHTS = {"process": 3, "change": 2, "answer": 1}

PipeName = Literal["commands", "frequent", "meltano"]
Method = Literal["auto", "bulk"]
Level = Literal["INFO", "DEBUG"]
DEBUG_EVERY = 3


@dataclass(frozen=True)
class Leg:
    """One disturbed run; `dead_letters` is what the setting `dead_letter_path` is: a file, a full disk, or nothing."""

    faults: tuple[Fault, ...]
    dead_letters: DeadLetters = ""


@dataclass(frozen=True)
class Plan:
    """What happens in one seeded run, before the reruns without faults; `level` is how much is logged.

    Of several `stores` the first is where the shop's faults strike. With `receipts` the target knows what PostHog has.
    """

    seed: int
    customers: int
    pipe: PipeName
    method: Method
    legs: tuple[Leg, ...] = field(default=())
    level: Level = "INFO"
    stores: int = 1
    receipts: bool = True

    @property
    def kinds(self) -> list[str]:
        """The names of the faults, in order."""
        return [one.kind for leg in self.legs for one in leg.faults]

    def __str__(self) -> str:
        legs = " | ".join(
            ", ".join(map(str, leg.faults)) + (f" (dead letters: {leg.dead_letters})" if leg.dead_letters else "")
            for leg in self.legs
        )
        level = f", {self.level}" if self.level != "INFO" else ""
        stores = f"{self.stores} stores of " if self.stores > 1 else ""
        receipts = "" if self.receipts else ", no receipts"
        return f"{stores}{self.customers} customers, {self.pipe}, {self.method}{receipts}{level}: {legs}"


def plan_of(seed: int, only: str | None = None) -> Plan:
    """Return the seed's plan; `only` makes it one fault of one kind.

    The first fault's kind goes round all kinds as seeds do, so that as many seeds in a row as there are kinds show all.
    """
    random = Random(seed)
    names = list(KINDS)
    first = only or names[seed % len(names)]
    meltano = KINDS[first].pipe == "meltano" or (seed % MELTANO_EVERY == 0 and not KINDS[first].pipe)
    pipe: PipeName = "meltano" if meltano else random.choices(("frequent", "commands"), (3, 1))[0]
    pipe = "frequent" if KINDS[first].pipe == "frequent" else pipe
    method: Method = "bulk" if KINDS[first].method == "bulk" or random.random() < BULK_SHARE else "auto"
    several = seed % SEVERAL_EVERY == 0 and pipe != "meltano" and not KINDS[first].changes
    possible = [
        name
        for name in names
        if KINDS[name].pipe in PIPES[pipe] and KINDS[name].method in ("", method) and not KINDS[name].long
        if not (several and KINDS[name].changes)  # whose store a person is like would be a matter of chance
    ]
    weights = [WEIGHTS[KINDS[name].about] for name in possible]
    legs: list[Leg] = []
    for number in range(1 if only or meltano else random.choices((1, 2), (3, 1))[0]):
        more = 0 if only else random.randint(0, MOST_FAULTS_IN_A_LEG - 1)
        chosen = [first] * (number == 0) + random.choices(possible, weights, k=more + (number > 0))
        legs.append(_leg(random, chosen, LATEST_REQUEST_LATER if number else LATEST_REQUEST))
    level: Level = "INFO" if seed % DEBUG_EVERY else "DEBUG"
    stores = SEVERAL_STORES if several else 1
    customers = random.choice(CUSTOMERS)
    receipts = pipe == "meltano" or random.random() < RECEIPTS_SHARE
    return Plan(seed, customers, pipe, method, tuple(legs), level, stores, receipts)


def _leg(random: Random, chosen: list[str], latest: dict[Side, int]) -> Leg:
    faults = []
    for name in chosen:
        side = KINDS[name].side or random.choice(list(Side))
        faults.append(
            Fault(
                kind=name,
                side=side,
                after_requests=random.randint(0, latest[side]),
                seconds=round(random.uniform(0.0, 0.3), 3),
                times=random.randint(1, KINDS[name].most),
                choice=random.randrange(1_000_000),
            )
        )
    dead_letters: DeadLetters = next((KINDS[name].dead_letters for name in chosen if KINDS[name].dead_letters), "")
    return Leg(tuple(faults), dead_letters)
