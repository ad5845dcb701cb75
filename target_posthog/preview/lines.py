"""A plan for people, in: a plan; out: lines of text.

Pure; nothing in the lines is personal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_posthog.mapping.language.functions import JSON

MOST_DAYS = 7


def plan_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield the plan line by line, the total first."""
    bill, persons = plan["bill"], plan["persons"]
    records = ", ".join(f"{count:,} {stream}" for stream, count in plan["records"].items()) or "no records"
    yield f"A run would send {bill['events']:,} events, of {records}; nothing has been sent"
    for name, one in plan["events"].items():
        yield f"  {name}: {one['count']:,}{_more(one)}"
    if plan["oldest"]:
        yield f"  from {plan['oldest']} to {plan['newest']}: {plan['historical']:,} historical, {plan['live']:,} live"
    yield from _day_lines(plan["days"])
    yield f"  persons: at most {persons['persons']:,} new, of {persons['ids']:,} ids ({persons['merged']:,} merged)"
    yield (
        f"  PostHog would bill {bill['events']:,} events: {bill['identified']:,} with a person, "
        f"{bill['anonymous']:,} anonymous"
    )
    for kind, words in (("left_out", "left out of"), ("refused", "REFUSED, which would end the run, of")):
        for one in plan[kind]:
            yield f"  {words} {one['stream']}: {one['records']:,} records ({one['reason']}){_such_as(one)}"
    for stream, count in plan["without_events"].items():
        yield f"  no event from {count:,} records of {stream}"
    if plan["personal"]:
        fields = ", ".join(f"{one['name']} ({one['events']:,})" for one in plan["personal"])
        yield f"  personal data would leave in: {fields}"
    for one in plan["warnings"]:
        yield f"  warning: {one['text']}{_such_as(one)}"


def _more(one: Mapping[str, JSON]) -> str:
    money = "".join(f", {amount} {currency}" for currency, amount in one["money"].items())
    repeated = f", {one['repeated']:,} repeated" if one["repeated"] else ""
    return f"{money}{repeated}"


def _day_lines(days: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the last days with events."""
    if len(days) > MOST_DAYS:
        yield f"  the last {MOST_DAYS} of {len(days):,} days:"
    for one in days[-MOST_DAYS:]:
        money: dict[str, list[str]] = {}
        for name, sums in one["money"].items():
            money[name] = [f"{amount} {currency}" for currency, amount in sums.items()]
        events = ", ".join(
            f"{count:,} {name}{' (' + ', '.join(money[name]) + ')' if name in money else ''}"
            for name, count in one["events"].items()
        )
        yield f"    {one['day']}: {events}"


def _such_as(one: Mapping[str, JSON]) -> str:
    return f", such as {', '.join(one['examples'])}" if one["examples"] else ""
