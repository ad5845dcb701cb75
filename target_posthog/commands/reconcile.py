"""`target-posthog reconcile`: prints the books, and where they differ.

Takes a preview's file and, with a key, PostHog's answers; what is known of the run between them explains differences.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import click

from target_posthog.books.against_posthog import Traces, compare
from target_posthog.books.bookkeeper import Bookkeeper
from target_posthog.books.differences import InFlight
from target_posthog.books.lines import MOST_SHOWN, PERIODS, balance_lines
from target_posthog.commands.options import ending_with_sentence, out_option, query_api, setting, write_file
from target_posthog.delivery.dead_letters import dead_letter_reasons
from target_posthog.errors import RunError
from target_posthog.mapping.language.functions import as_timestamp
from target_posthog.posthog.client import DEFAULT_HOST
from target_posthog.preview.file import DEFAULT_PATH, PreviewFile
from target_posthog.receipts.opening import open_store
from target_posthog.receipts.rebuilding import LONGEST_FLIGHT_SECONDS, missing, shown_since
from target_posthog.receipts.store import time_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_posthog.receipts.store import Fact

MOST_ABSENT = 10_000
LATE, LOST = "they may be on their way, ask again in a day", "`resend --missing` sends them"


@click.command
@setting("preview_path", "File of the preview.", DEFAULT_PATH)
@setting("summary_path", "Summary of the run: what one of the last day has sent may be on its way.")
@setting("dead_letter_path", "Dead letters of the run, for their reasons.")
@setting("personal_api_key", "PostHog's personal API key, with which PostHog is asked what it has.")
@setting("project_id", "The project's number in PostHog.")
@setting("host", "Where PostHog is.", DEFAULT_HOST)
@setting("time_zone", "The time zone by whose days is compared, if the shop's own report wasn't read.", "UTC")
@setting("receipts", "Where the receipts are, for events that PostHog has acknowledged and doesn't show.")
@setting("api_key", "The project's API key, whose receipts these are.")
@click.option("--by", "period", type=click.Choice([*PERIODS]), help="Show all figures of each month or day.")
@out_option("File for all figures by month and day, and all differences, as JSON.")
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
    period: str | None,
    out: Path | None,
) -> None:
    """Compare the shop's own report with its ledger and with what PostHog has, to the cent.

    Three columns stand next to each other, by month or by day of the shop. Where they differ, the order and the reason
    are named. The exit code is 1 if a difference has no explanation, or if events are still to be
    sent: those that PostHog has acknowledged and doesn't show, and dead letters.
    """
    with ending_with_sentence(), contextlib.closing(PreviewFile(preview_path)) as preview:
        api = query_api(personal_api_key, project_id, host)
        keeper = Bookkeeper(preview, time_zone)
        keeper.read()
        keeper.check_money()
        absent: list[Fact] = []
        in_flight = _in_flight(summary_path)
        if api:
            store = open_store({"receipts": receipts, "api_key": api_key}, is_read_only=True)
            letters = dead_letter_reasons(dead_letter_path)
            erased = store.erased() if store else set[bytes]()
            compare(keeper, api, Traces(letters, store.with_receipt if store else None, in_flight, erased))
            if store:
                since, note = shown_since(api)
                keeper.balance.notes += [note] if note else []
                before = int(time.time()) - LONGEST_FLIGHT_SECONDS
                absent = [] if since is None else list(islice(missing(api, store, since, before), MOST_ABSENT))
    balance = keeper.balance
    for line in balance_lines(balance, period):
        click.echo(line)
    late, lost = _parted(absent, in_flight)
    more = "at least " if len(absent) == MOST_ABSENT else ""
    for line in (*absent_lines(late, LATE, more), *absent_lines(lost, LOST, more)):
        click.echo(line)
    if out:
        with ending_with_sentence():
            write_file(out, json.dumps(balance.as_json(), indent=1, ensure_ascii=False) + "\n")
        click.echo(f"All figures and differences: {out}")
    if balance.unexplained or balance.to_mend or lost:
        raise SystemExit(1)


def _in_flight(summary_path: str | None) -> InFlight:
    """Return what may be on its way; raises `RunError` for a summary that is none.

    What happened within the last hours can't have been sent before. Of what is older, only the last run's summary says
    that it was sent within them.
    """
    since = as_timestamp(datetime.fromtimestamp(time.time() - LONGEST_FLIGHT_SECONDS, timezone.utc))
    summary = Path(summary_path) if summary_path else None
    if not summary or not summary.is_file() or time.time() - summary.stat().st_mtime >= LONGEST_FLIGHT_SECONDS:
        return InFlight(since)
    accepted: Counter[tuple[str, str]] = Counter()
    try:
        for day, event, _, number, _ in json.loads(summary.read_text("utf-8"))["days"]:
            accepted[event, day] += number
    except OSError as error:
        raise RunError(f"`summary_path`: the file {summary} can't be read ({error.strerror})") from None
    except (ValueError, TypeError, KeyError):
        raise RunError(f"`summary_path`: the file {summary} isn't the summary of a run") from None
    return InFlight(since, accepted)


def _parted(absent: Sequence[Fact], in_flight: InFlight) -> tuple[list[Fact], list[Fact]]:
    """Return which of the absent events may be on their way, and which are lost."""
    is_in_flight = in_flight.told()
    late: list[Fact] = []
    lost: list[Fact] = []
    for fact in absent:
        (late if is_in_flight(fact.event, time_of(fact.at)) else lost).append(fact)
    return late, lost


def absent_lines(absent: Sequence[Fact], remedy: str, more: str = "") -> Iterator[str]:
    """Yield the events that PostHog has acknowledged and doesn't show, and what to do."""
    if not absent:
        return
    yield f"\n{more}{len(absent):,} events have a receipt, and PostHog doesn't show them; {remedy}:"
    for fact in absent[:MOST_SHOWN]:
        day = datetime.fromtimestamp(fact.at, timezone.utc).date()
        yield f"  {fact.event} of {day} ({fact.entity or 'no record known'}), uuid {UUID(bytes=fact.uuid)}"
