"""Two days become the periods between them, in: a unit of time; out: periods without gaps.

Pure: knows neither money nor events.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

DAYS_IN = {"day": 1, "week": 7, "month": 28, "year": 365}
USUAL_PERIODS = 92  # bars in a chart that are still easy to tell apart: the days of a quarter
MOST_PERIODS = 366  # a year of days
LABELS = {"day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Period:
    """From its first day to its last, both included."""

    first: date
    last: date
    label: str


def usual_unit(first: date, last: date) -> str:
    """Return the finest unit of which a chart can show all periods between two days."""
    days = (last - first).days + 1
    return next((unit for unit, length in DAYS_IN.items() if days <= length * USUAL_PERIODS), "year")


def periods(first: date, last: date, unit: str) -> list[Period]:
    """Return the periods from one day to another, no more than the newest 366; the outer ones may be cut."""
    found: list[Period] = []
    end = last
    while end >= first and len(found) < MOST_PERIODS:
        start = max(_start_of(end, unit), first)
        found.append(Period(start, end, start.strftime(LABELS[unit])))
        if start == first:
            break
        end = start - ONE_DAY
    return found[::-1]


def _start_of(day: date, unit: str) -> date:
    """Return the first day of the period that a day is in; weeks start on Monday."""
    if unit == "week":
        return date.fromordinal(max(1, day.toordinal() - day.weekday()))
    if unit == "month":
        return day.replace(day=1)
    return day.replace(month=1, day=1) if unit == "year" else day
