"""Text of a plan and of an explanation, for people.

Pure: takes a plan, or a record with what each rule did with it; yields lines. Nothing in a plan's lines is personal;
what an explanation is given may be masked before.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from target_posthog.mapping.language.functions import JSON
    from target_posthog.preview.file import KnownRecord, PlannedEvent

MOST_DAYS = 7
MARKS = {True: "+", False: "-"}
LONGEST_VALUE = 100  # characters; the record above it shows the whole value


def plan_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield the plan line by line, the total first."""
    bill, persons = plan["bill"], plan["persons"]
    records = ", ".join(f"{count:,} {stream}" for stream, count in plan["records"].items()) or "no records"
    yield f"A run would send {bill['events']:,} events, of {records}; nothing has been sent"
    for name, event in plan["events"].items():
        yield f"  {name}: {event['count']:,}{_more(event)}"
    if plan["oldest"]:
        yield f"  from {plan['oldest']} to {plan['newest']}: {plan['historical']:,} historical, {plan['live']:,} live"
    yield from _day_lines(plan["days"], plan["time_zone"])
    yield f"  persons: at most {persons['persons']:,} new, of {persons['ids']:,} ids ({persons['merged']:,} merged)"
    yield (
        f"  PostHog would bill {bill['events']:,} events: {bill['identified']:,} with a person, "
        f"{bill['anonymous']:,} anonymous"
    )
    for kind, words in (("left_out", "left out of"), ("undeliverable", "UNDELIVERABLE, which would end the run, of")):
        for reason in plan[kind]:
            yield f"  {words} {reason['stream']}: {reason['records']:,} records ({reason['reason']}){_such_as(reason)}"
    for stream, count in plan["without_events"].items():
        yield f"  no event from {count:,} records of {stream}"
    if plan["personal"]:
        fields = ", ".join(f"{field['name']} ({field['events']:,})" for field in plan["personal"])
        yield f"  personal data would leave in: {fields}"
    for warning in plan["warnings"]:
        yield f"  warning: {warning['text']}{_such_as(warning)}"


def _more(event: Mapping[str, JSON]) -> str:
    money_name = f"{event['money_name'].replace('_', ' ')} " if event["money_name"] else ""
    money = "".join(f", {money_name}{Decimal(amount):,f} {currency}" for currency, amount in event["money"].items())
    repeated = f", {event['repeated']:,} repeated" if event["repeated"] else ""
    there = f", {event['already_there']:,} already there" if event["already_there"] else ""
    return f"{money}{repeated}{there}"


def _day_lines(days: list[dict[str, Any]], time_zone: str) -> Iterator[str]:
    """Yield the last days with events."""
    which = f"the last {MOST_DAYS} of {len(days):,} days" if len(days) > MOST_DAYS else "days"
    if days:
        yield f"  {which}, those of {time_zone}:"
    for day in days[-MOST_DAYS:]:
        money: dict[str, list[str]] = {}
        for name, sums in day["money"].items():
            money[name] = [f"{Decimal(amount):,f} {currency}" for currency, amount in sums.items()]
        events = ", ".join(
            f"{count:,} {name}{' (' + ', '.join(money[name]) + ')' if name in money else ''}"
            for name, count in day["events"].items()
        )
        yield f"    {day['day']}: {events}"


def _such_as(reason: Mapping[str, JSON]) -> str:
    return f", such as {', '.join(reason['examples'])}" if reason["examples"] else ""


def explanation_lines(
    record: KnownRecord, explanation: Iterable[Mapping[str, Any]], events: Sequence[PlannedEvent]
) -> Iterator[str]:
    """Yield what became of the record: its events first, then what each rule did."""
    yield f"{record.name} ({record.stream}, {record.key_name})"
    if record.left_out:
        yield f"Left out: {record.left_out}"
    if record.undeliverable:
        yield f"UNDELIVERABLE, which would end a run: {record.undeliverable}"
    yield f"\nThe events: {len(events)}"
    for planned in _by_time(events):
        yield from _event_lines(planned)
    yield "\nThe rules (+ fired, - didn't)"
    for rule in explanation:
        yield from _rule_lines(rule)


def record_lines(content: JSON) -> Iterator[str]:
    """Yield a record as it was read."""
    yield "\nThe record as read"
    yield from (f"  {line}" for line in json.dumps(content, indent=2, ensure_ascii=False).splitlines())


def _rule_lines(rule: Mapping[str, Any]) -> Iterator[str]:
    verb = "leaves out" if rule["kind"] == "leave_out" else "makes"
    why_not = f": {rule['why_not']}" if rule["why_not"] else ""
    yield f"  {MARKS[rule['fired']]} {verb} `{rule['rule']}`{why_not}"
    for what, reason in rule["missing"].items():
        yield f"      without {what}: {reason}"
    if rule["for_each"]:
        yield f"      for each of {_asked(rule['for_each'])} items"
    for attempt in rule["attempts"]:
        if attempt["item"] is not None:
            why = f": {attempt['why_not']}" if attempt["why_not"] else ""
            yield f"      {MARKS[attempt['fired']]} item {attempt['item'] + 1}{why}"
        if attempt["when"]:
            yield f"      when {_asked(attempt['when'])}"
        for candidate in attempt["candidates"]:
            why = "counts" if candidate["counts"] else candidate["why_not"]
            yield f"      {candidate['key']} {candidate['expression']} = {_short(candidate['value'])}: {why}"


def arrival_lines(events: Sequence[PlannedEvent], rows: Mapping[str, int], kept_from: str) -> Iterator[str]:
    """Yield whether PostHog has each event; `rows` counts those of an event there, by uuid, its copies with it.

    `kept_from` is the first day of which PostHog still gives all events.
    """
    yield "\nIn PostHog"
    for planned in _by_time(events):
        event = planned.event
        number = rows.get(event["uuid"], 0)
        verdict = "PostHog has it" if number else "PostHog doesn't have it"
        if number > 1:
            verdict = f"PostHog has it, with {_copies(number - 1)} not merged yet"
        elif not number and event["timestamp"][:10] < kept_from:
            verdict = f"PostHog gives no events from before {kept_from}"
        yield f"  {event['timestamp']}  {event['event']}: {verdict}"


def _copies(number: int) -> str:
    return "1 copy" if number == 1 else f"{number:,} copies"


def _by_time(events: Iterable[PlannedEvent]) -> list[PlannedEvent]:
    return sorted(events, key=lambda planned: planned.event["timestamp"])


def _event_lines(planned: PlannedEvent) -> Iterator[str]:
    event = planned.event
    yield f"  {event['timestamp']}  {event['event']}  (rule `{planned.rule}`)"
    yield f"      uuid {event['uuid']}  distinct id {event['distinct_id']}"
    if planned.repeated:
        yield "      a later one here is the same to PostHog"
    if planned.there:
        yield "      it has a receipt, so it isn't sent again"
    for name, value in event["properties"].items():
        yield f"      {name}: {json.dumps(value, ensure_ascii=False)}"


def _asked(asked: Mapping[str, JSON]) -> str:
    return f"{asked['expression']} = {asked['problem'] or _short(asked['value'])}"


def _short(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
