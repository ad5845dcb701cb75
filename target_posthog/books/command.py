"""`target-posthog reconcile`, in: a preview's file and, with a key, PostHog; out: a table of the books, for people.

Knows neither how sums are made nor how PostHog is asked.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from target_posthog.books.balance import Balancer
from target_posthog.messages import name_of
from target_posthog.options import setting
from target_posthog.posthog.client import DEFAULT_HOST, Busy, Refused
from target_posthog.posthog.query_api import QueryApi
from target_posthog.preview.file import DEFAULT_PATH, PreviewFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from target_posthog.books.arrived import Figure
    from target_posthog.books.balance import Balance

MOST_SHOWN = 50  # differences on the terminal; the rest stands in the file
LONGEST_FLIGHT_SECONDS = 24 * 3600  # PostHog names no time in which events show; a day is generous
NUMBER, AMOUNT = 8, 16  # widths of the columns


@click.command
@setting("preview_path", "File of the preview.", DEFAULT_PATH)
@setting("summary_path", "Summary of the run, for what PostHog acknowledged.")
@setting("dead_letter_path", "Dead letters of the run, for their reasons.")
@setting("personal_api_key", "With it PostHog is asked what it has.")
@setting("project_id", "The project's number in PostHog.")
@setting("host", "Where PostHog is.", DEFAULT_HOST)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File for all figures, as JSON.")
def reconcile(  # noqa: PLR0913  # each is an option of the command
    *,
    preview_path: str,
    summary_path: str | None,
    dead_letter_path: str | None,
    personal_api_key: str | None,
    project_id: str | None,
    host: str,
    out: Path | None,
) -> None:
    """Compare the books: records as read, events planned, acknowledged, and held by PostHog, down to the order.

    Ends with exit code 1 if a difference has no explanation.
    """
    try:
        api = _api(personal_api_key, project_id, host)
        file = PreviewFile(preview_path)
        balancer = Balancer(file)
        balancer.read()
        summary = Path(summary_path) if summary_path else None
        if summary and summary.is_file():
            age_seconds = time.time() - summary.stat().st_mtime
            days = json.loads(summary.read_text("utf-8")).get("days", [])
            balancer.acknowledge(days, is_recent=age_seconds < LONGEST_FLIGHT_SECONDS)
        letters = dead_letters(dead_letter_path)
        if api:
            balancer.ask(api, letters)
        else:
            balancer.compare_acknowledged(letters)
        file.close()
    except (Refused, Busy) as error:
        raise click.ClickException(str(error)) from None
    balance = balancer.balance
    for line in lines(balance, asked=api is not None):
        click.echo(line)
    if out:
        out.write_text(json.dumps(balance.figures(), indent=1, ensure_ascii=False) + "\n", "utf-8")
        click.echo(f"All figures: {out}")
    if balance.unexplained:
        raise SystemExit(1)


def _api(personal_api_key: str | None, project_id: str | None, host: str) -> QueryApi | None:
    if personal_api_key and not project_id:
        raise Refused("The setting `project_id` is missing: the project's number in PostHog, from its settings")
    return QueryApi(personal_api_key, project_id, host) if personal_api_key and project_id else None


def dead_letters(path: str | None) -> dict[str, str]:
    """Return the reason of each dead letter in a file of Singer messages, by its record's name; none without a file."""
    if not path or not Path(path).is_file():
        return {}
    reasons: dict[str, str] = {}
    keys: dict[str, list[str]] = {}
    for message in map(msgspec.json.decode, Path(path).read_bytes().splitlines()):
        if message["type"] == "SCHEMA":
            keys[message["stream"]] = message["key_properties"]
        else:
            reasons[name_of(message["record"], keys[message["stream"]])] = message["reason"]
    return reasons


def lines(balance: Balance, *, asked: bool) -> Iterator[str]:
    """Yield the totals of each side, then what differs, and the verdict."""
    totals = balance.ledger.totals()
    sides = list(next(iter(totals.values()), {}))
    yield " " * 19 + "".join(f"{side:>{NUMBER + AMOUNT}}" for side in sides)
    for (kind, currency), figures in sorted(totals.items(), key=lambda one: one[0][::-1]):
        yield f"{currency:<5}{kind:<14}" + _columns(figures)
    if not asked:
        yield "PostHog wasn't asked: that needs the settings `personal_api_key` and `project_id`"
    differing = balance.keys_that_differ()
    if differing:
        yield f"\n{len(differing):,} days on which the sides differ:"
        for key in differing[:MOST_SHOWN]:
            yield f"  {key[0]} {key[2]:<4} {key[1]:<10} " + _columns(balance.ledger.figures(key))
    if balance.differences:
        yield f"\n{len(balance.differences):,} differences, {len(balance.unexplained):,} of them unexplained:"
        for one in [*balance.unexplained, *(one for one in balance.differences if one.is_explained)][:MOST_SHOWN]:
            known = [amount for amount in (one.left, one.right) if amount is not None]
            decimals = max(map(_decimals, known), default=0)
            amounts = " | ".join("-" if side is None else f"{side:,.{decimals}f}" for side in (one.left, one.right))
            yield f"  {one.record} {one.day} {one.kind} ({one.between}): {amounts} {one.currency}: {one.reason}"
    if max(len(differing), len(balance.differences)) > MOST_SHOWN:
        yield f"  ... the first {MOST_SHOWN} of each are shown; `--out FILE` keeps all"
    if balance.unexplained:
        yield "\n✗ The books don't balance"
    else:
        yield "\n✓ Each difference is explained" if balance.differences else "\n✓ The books balance"


def _columns(figures: Mapping[str, Figure]) -> str:
    decimals = max(_decimals(one.amount) for one in figures.values())
    return "".join(f"{one.number:>{NUMBER},}{one.amount:>{AMOUNT},.{decimals}f}" for one in figures.values())


def _decimals(amount: Decimal) -> int:
    """Return how many decimals show an amount whole, two at least where it has some."""
    exponent = amount.normalize().as_tuple().exponent
    return max(-exponent, 2) if isinstance(exponent, int) and exponent < 0 else 0
