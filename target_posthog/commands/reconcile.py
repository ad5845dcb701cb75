"""`target-posthog reconcile`: prints the books, and where they differ.

Takes a preview's file, the summary and dead letters of the run after it and, with a key, PostHog's answers.
"""

from __future__ import annotations

import contextlib
import json
import time
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click

from target_posthog.books.balance import Balance, Balancer
from target_posthog.commands.options import ending_with_sentence, out_option, query_api, setting, write_file
from target_posthog.delivery.dead_letters import dead_letter_reasons
from target_posthog.posthog.client import DEFAULT_HOST
from target_posthog.preview.file import DEFAULT_PATH, PreviewFile
from target_posthog.receipts.opening import open_store
from target_posthog.receipts.rebuilding import missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from target_posthog.books.arrived import Figure
    from target_posthog.receipts.store import Fact

MOST_ABSENT = 10_000
MOST_SHOWN = 50  # differences on the terminal; the rest stands in the file
LONGEST_FLIGHT_SECONDS = 24 * 3600  # PostHog names no time in which events show; a day is generous
NUMBER, AMOUNT = 8, 16  # widths of the columns


@click.command
@setting("preview_path", "File of the preview.", DEFAULT_PATH)
@setting("summary_path", "Summary of the run, for what PostHog acknowledged.")
@setting("dead_letter_path", "Dead letters of the run, for their reasons.")
@setting("personal_api_key", "PostHog's personal API key, with which PostHog is asked what it has.")
@setting("project_id", "The project's number in PostHog.")
@setting("host", "Where PostHog is.", DEFAULT_HOST)
@setting("time_zone", "The shop's time zone, by whose days is compared.", "UTC")
@setting("receipts", "Where the receipts are, for events that PostHog has acknowledged and doesn't show.")
@setting("api_key", "The project's API key, whose receipts these are.")
@out_option("File for all sums and differences, as JSON.")
def reconcile(  # noqa: PLR0913  # each is an option of the command
    *,
    preview_path: str,
    summary_path: str | None,
    dead_letter_path: str | None,
    personal_api_key: str | None,
    project_id: str | None,
    host: str,
    time_zone: str,
    receipts: str | None,
    api_key: str | None,
    out: Path | None,
) -> None:
    """Compare what the store says with what PostHog has, to the cent.

    Four sides stand next to each other: records as read, events planned, acknowledged by PostHog, and shown by
    PostHog. Where they differ, the order and the reason are named. The exit code is 1 if a difference has no
    explanation.
    """
    with ending_with_sentence(), contextlib.closing(PreviewFile(preview_path)) as preview:
        api = query_api(personal_api_key, project_id, host)
        balancer = Balancer(preview, time_zone)
        balancer.read()
        summary = Path(summary_path) if summary_path else None
        if summary and summary.is_file():
            age_seconds = time.time() - summary.stat().st_mtime
            days = json.loads(summary.read_text("utf-8")).get("days", [])
            balancer.acknowledge(days, is_recent=age_seconds < LONGEST_FLIGHT_SECONDS)
        letters = dead_letter_reasons(dead_letter_path)
        absent: list[Fact] = []
        if api:
            balancer.ask(api, letters)
            store = open_store({"receipts": receipts, "api_key": api_key}, is_read_only=True)
            if store:
                absent = list(islice(missing(api, store, int(time.time()) - LONGEST_FLIGHT_SECONDS), MOST_ABSENT))
        else:
            balancer.compare_acknowledged(letters)
    balance = balancer.balance
    for line in lines(balance, asked=api is not None):
        click.echo(line)
    for line in absent_lines(absent):
        click.echo(line)
    if out:
        with ending_with_sentence():
            write_file(out, json.dumps(balance.as_json(), indent=1, ensure_ascii=False) + "\n")
        click.echo(f"All sums and differences: {out}")
    if balance.unexplained:
        raise SystemExit(1)


def absent_lines(absent: Sequence[Fact]) -> Iterator[str]:
    """Yield the events that PostHog has acknowledged and doesn't show, and what to do."""
    if not absent:
        return
    more = "at least " if len(absent) == MOST_ABSENT else ""
    number = f"{more}{len(absent):,}"
    yield f"\n{number} events have a receipt, and PostHog doesn't show them; `resend --missing` sends them:"
    for fact in absent[:MOST_SHOWN]:
        day = datetime.fromtimestamp(fact.at, timezone.utc).date()
        yield f"  {fact.event} of {day} ({fact.entity or 'no record known'}), uuid {UUID(bytes=fact.uuid)}"


def lines(balance: Balance, *, asked: bool) -> Iterator[str]:
    """Yield the totals of each side, then what differs, and the verdict."""
    totals = balance.ledger.totals()
    names = list(next(iter(totals.values()), {}))
    yield " " * 19 + "".join(f"{side:>{NUMBER + AMOUNT}}" for side in names)
    for (kind, currency), figures in sorted(totals.items(), key=lambda item: item[0][::-1]):
        yield f"{currency:<5}{kind:<14}" + _columns(figures)
    if not asked:
        yield "PostHog wasn't asked: that needs the settings `personal_api_key` and `project_id`"
    yield from balance.notes
    copies = sum(balance.copies.values())
    if copies:
        named = ", ".join(f"{kind} {number:,}" for kind, number in balance.copies.items() if number)
        yield f"{copies:,} copies not merged yet ({named}): until PostHog merges them, its insights count them too"
    differing = balance.keys_that_differ()
    if differing:
        yield f"\n{len(differing):,} days ({balance.time_zone}) on which the sides differ:"
        for key in differing[:MOST_SHOWN]:
            yield f"  {key[0]} {key[2]:<4} {key[1]:<10} " + _columns(balance.figures(key))
    if balance.differences:
        yield f"\n{len(balance.differences):,} differences, {len(balance.unexplained):,} of them unexplained:"
        explained = [difference for difference in balance.differences if difference.is_explained]
        for difference in [*balance.unexplained, *explained][:MOST_SHOWN]:
            sides = (difference.left, difference.right)
            decimals = max((_decimals(amount) for amount in sides if amount is not None), default=0)
            amounts = " | ".join("-" if amount is None else f"{amount:,.{decimals}f}" for amount in sides)
            yield (
                f"  {difference.record} {difference.day} {difference.kind} ({difference.between}): {amounts} "
                f"{difference.currency}: {difference.reason}"
            )
    if max(len(differing), len(balance.differences)) > MOST_SHOWN:
        yield f"  ... the first {MOST_SHOWN} of each are shown; `--out FILE` keeps all"
    if balance.unexplained:
        yield "\n✗ The books don't balance"
    else:
        yield "\n✓ Each difference is explained" if balance.differences else "\n✓ The books balance"


def _columns(figures: Mapping[str, Figure]) -> str:
    decimals = max(_decimals(figure.amount) for figure in figures.values())
    return "".join(f"{figure.number:>{NUMBER},}{figure.amount:>{AMOUNT},.{decimals}f}" for figure in figures.values())


def _decimals(amount: Decimal) -> int:
    """Return how many decimals show an amount whole, two at least where it has some."""
    exponent = amount.normalize().as_tuple().exponent
    return max(-exponent, 2) if isinstance(exponent, int) and exponent < 0 else 0
