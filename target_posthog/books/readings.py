"""Readings of the ledger that make it agree with the shop's own report.

Pure: takes by how much the report exceeds the ledger on each day, and what each other reading would add; returns which
readings the report follows, and what is left. A report reads the ledger in one way on all days: so a reading that
mends one day and breaks two others isn't one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from target_posthog.books.figures import ZERO, less, without_zeros

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from target_posthog.books.figures import Figures

Days = dict[str, "Figures"]


class Explained(NamedTuple):
    """The parts that readings explain, by day and name, and what no reading does."""

    parts: dict[str, dict[str, Figures]]
    rest: Days


def explained(gaps: Mapping[str, Figures], readings: Mapping[str, Mapping[str, Figures]]) -> Explained:
    """Return what readings explain of the gaps, one after another as long as one of them makes fewer or smaller gaps.

    `gaps` has each figure that is compared, also one that is zero: a reading can break it.
    """
    rest = {day: dict(figures) for day, figures in gaps.items()}
    chosen: list[str] = []
    while True:
        left = [name for name in readings if name not in chosen]
        gains = {name: _gain(rest, readings[name]) for name in left}
        best = max(left, key=lambda name: gains[name], default=None)
        if best is None or gains[best] <= (0, ZERO):
            break
        chosen.append(best)
        rest = _without(rest, readings[best])
    for name in [*chosen]:  # what only made gaps smaller explains none
        put_back = _without(rest, readings[name], -1)
        if _wrong(put_back) <= _wrong(rest):
            chosen.remove(name)
            rest = put_back
    parts: dict[str, dict[str, Figures]] = {}
    for name in chosen:
        for day in readings[name].keys() & gaps.keys():
            part = without_zeros(
                {figure: amount for figure, amount in readings[name][day].items() if figure in gaps[day]}
            )
            if part:
                parts.setdefault(day, {})[name] = part
    return Explained(parts, {day: more for day, figures in rest.items() if (more := without_zeros(figures))})


def _gain(rest: Mapping[str, Figures], reading: Mapping[str, Figures]) -> tuple[int, Decimal]:
    """Return how many gaps a reading closes, less those that it opens, and by how much it makes them smaller."""
    closed, smaller = 0, ZERO
    for day in reading.keys() & rest.keys():
        for name, amount in reading[day].items():
            if name in rest[day] and amount:
                before, after = rest[day][name], rest[day][name] - amount
                closed += bool(before) - bool(after)
                smaller += abs(before) - abs(after)
    return closed, smaller


def _without(rest: Mapping[str, Figures], reading: Mapping[str, Figures], sign: int = 1) -> Days:
    found = {day: dict(figures) for day, figures in rest.items()}
    for day in reading.keys() & rest.keys():
        for name, amount in reading[day].items():
            if name in found[day]:
                found[day][name] -= sign * amount
    return found


def _wrong(rest: Mapping[str, Figures]) -> int:
    return sum(bool(amount) for figures in rest.values() for amount in figures.values())


def gaps(report: Mapping[str, Figures], ledger: Mapping[str, Figures], names: set[str]) -> Days:
    """Return by how much the report exceeds the ledger, for each day of either and each figure that the report has."""
    found: Days = {}
    for day in report.keys() | ledger.keys():
        gap = less(report.get(day, {}), ledger.get(day, {}))
        found[day] = {name: gap.get(name, ZERO) for name in names}
    return found
