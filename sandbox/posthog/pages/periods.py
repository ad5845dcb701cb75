"""Two days become the periods between them, in: a unit of time and today; out: periods without gaps.

Pure: knows neither money nor events.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

from sandbox.posthog.pages.words import day

DAYS_IN = {"day": 1, "week": 7, "month": 28, "year": 365}
USUAL_PERIODS = 92  # bars in a chart that are still easy to tell apart: the days of a quarter
MOST_PERIODS = 366  # a year of days
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Period:
    """From its first day to its last, both included; `unfinished` if more may come in what is left of it."""

    first: date
    last: date
    label: str
    unfinished: bool = False


def usual_unit(first: date, last: date) -> str:
    """Return the finest unit of which a chart can show all periods between two days."""
    days = (last - first).days + 1
    return next((unit for unit, length in DAYS_IN.items() if days <= length * USUAL_PERIODS), "year")


def periods(first: date, last: date, unit: str, today: date = date.max) -> list[Period]:
    """Return the periods from one day to another, no more than the newest 366; the outer ones may be cut.

    One that is cut at its end or has today in it is unfinished.
    """
    found: list[Period] = []
    end = last
    while end >= first and len(found) < MOST_PERIODS:
        start = max(_start_of(end, unit), first)
        whole_end = _end_of(end, unit)
        unfinished = whole_end > end or start <= today <= whole_end
        found.append(Period(start, end, _label(start, unit), unfinished))
        if start == first:
            break
        end = start - ONE_DAY
    return found[::-1]


def _label(start: date, unit: str) -> str:
    return {"month": f"{start:%b %Y}", "year": f"{start.year}"}.get(unit) or day(start)


def _start_of(one: date, unit: str) -> date:
    """Return the first day of the period that a day is in; weeks start on Monday."""
    if unit == "week":
        return date.fromordinal(max(1, one.toordinal() - one.weekday()))
    if unit == "month":
        return one.replace(day=1)
    return one.replace(month=1, day=1) if unit == "year" else one


def _end_of(one: date, unit: str) -> date:
    """Return the last day of the period that a day is in."""
    if unit == "week":
        return date.fromordinal(min(date.max.toordinal(), one.toordinal() + 6 - one.weekday()))
    if unit == "month":
        return one.replace(day=monthrange(one.year, one.month)[1])
    return one.replace(month=12, day=31) if unit == "year" else one
