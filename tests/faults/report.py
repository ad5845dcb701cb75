"""What was run becomes a document, in: verdicts; out: docs/reliability.md.

Knows neither processes nor how a verdict comes about.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections import Counter
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tests.faults.kinds import KINDS, Side
from tests.pipeline.meltano_project import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.runs import Verdict

PAGE = ROOT / "docs/reliability.md"
CASES = {
    "messages that the target is given": "tests/target/messages",
    "answers that Shopify gives": "tests/tap/answers",
    "states that the tap is given": "tests/tap/states",
    "bytes that Shopify answers, to begin a fuzzer with, and its finds": "tests/attacks/corpus/tap",
    "bytes that the target is given, the same": "tests/attacks/corpus/target",
    "bytes that a mapping says, the same": "tests/attacks/corpus/mapping",
}
COLUMNS = (
    *("seed", "stores", "customers", "pipe", "reading", "faults that struck", "exit codes by run", "copies by run"),
    *("reruns", "promises"),
)
HEAD = """# Reliability

What is promised when things go wrong, and seeded runs in which they did. Written by
`python -m tests.faults --runs {runs} --seed {seed} --write`; a bounded part of it belongs to `make test-scale`.

## What is promised

Whatever goes wrong, at any moment, after the next runs that nothing disturbs:

1. **Complete and once.** PostHog's events and persons equal, to the property, those of an undisturbed run over the same
   store; once PostHog has merged what a crash has repeated, no event is counted twice. With receipts, nothing that has
   its receipt is sent again: copies are at most what was under way, without an acknowledgement, when something struck.
2. **State never runs ahead.** After every run, however it ended, each event of the records for which the last STATE
   vouches is in PostHog.
3. **Success means complete.** A run with exit code 0 has left nothing out of what was there when it began, but for
   orders that it says it holds for the next run, because their ledgers seem to be cut short.
4. **Failure is a sentence.** No log has a traceback; a process that fails says why.
5. **Nothing leaks.** No log of tap or target, also at DEBUG, and no summary has a customer's e-mail, phone number,
   name, IP address or any part of an address, or a credential.

## How it is tested

The real commands (`tap-shopify-orders | target-posthog`, and `meltano run sync`) run between the sandbox's Shopify and
PostHog over real HTTP. A seed decides the store's size, the way of reading (pages or bulk operations) and which faults
strike, each when a side has seen a certain number of requests. Each plan has one or two disturbed runs, then at most
three without faults, which must succeed. `commands` are as users run them; `frequent` are the same with a STATE every
seven records instead of every 1,000 (and bulk operations of 25 records), because a small store is over before the first
STATE otherwise; `meltano` is `meltano run`.

Every seventh seed, where its pipe and first fault allow it, reads three stores side by side in one run, which have the
same people. Faults of the shop strike the first of them alone. All that each has must arrive; in which store a person
was seen first, and that person's `customer_id`, aren't compared: they are of the store that was read first or last. The
stores don't change
meanwhile, or it would be open whose state a person has.

If the shop changes while it is read, the comparison is with an undisturbed run over the final store. Beside it, only
an `$identify` of a customer's earlier state may be there, exactly as an undisturbed run over the earlier store has
it: its uuid holds the time of the state, so PostHog rightly keeps both. Not compared are `$lib` and `$lib_version`,
which follow from the protocol (capture V1 or `/batch/`).

Three quarters of the seeds of the commands, and all of Meltano, have receipts. There an event that was sent before
the shop changed may stay, to the property, as the store before had it, and a link or a description of a person may come
by one event where an undisturbed run without receipts says it by several. After each run it is counted how many of its
events PostHog had already (`copies`). None may have had its receipt when the run began. There may be none at all as
long as no process was struck, no run has failed and PostHog has answered. Without receipts there is no such bound: a
run sends again what it reads again.

Where an order was deleted or an e-mail changed, an incremental run may rightly keep what it knew: unchanged events of
the deleted order, `Order Deleted`, no `$identify` that links an e-mail of before to a person who came with it, and of
that person what belonged to that e-mail: a property that has no value any more stays as it was in PostHog.

A clock that jumps is libfaketime between a process and the machine's clock, by up to 30 days back and 400 forth. Of the
`frequent` commands, one that waits for a bulk operation has a clock 600 times as fast, so that one that hangs is given
up after six seconds instead of an hour. Every third seed runs with the log level DEBUG of tap and target.

Not covered: a machine that crashes. Python itself answers a Ctrl-C in the hundredths of a second before the first line
of the package, by its own traceback; nothing is read, and nothing lost. At Meltano's own level `debug`, which isn't
used here, Meltano logs every record that passes: see [privacy.md](privacy.md)."""


def write(verdicts: Sequence[Verdict]) -> None:
    """Write the document."""
    PAGE.write_text("\n".join(_lines(verdicts)) + "\n")


def _lines(verdicts: Sequence[Verdict]) -> list[str]:
    reruns = Counter(one.reruns for one in verdicts)
    broken = sum(bool(one.broken) for one in verdicts)
    struck = Counter(fault.kind for one in verdicts for fault in one.struck)
    needed = ", ".join(f"{count} for {number} seeds" for count, number in sorted(reruns.items()))
    seconds = sum(one.seconds for one in verdicts)
    return [
        HEAD.format(runs=len(verdicts), seed=verdicts[0].plan.seed),
        "",
        "## Bad input",
        "",
        "Each file is a case, and gets one sentence that quotes nothing, and loses nothing; or is rightly taken.",
        "Beside them stand property-based tests of the pure parts (`tests/properties`).",
        "The fuzzer that coverage guides (`python -m tests.attacks.fuzz`) has run for an hour over the last three.",
        "",
        "| what is bad | where the cases are | how many |",
        "| --- | --- | ---: |",
        *(f"| {what} | `{folder}` | {len([*(ROOT / folder).iterdir()])} |" for what, folder in CASES.items()),
        "",
        "## Faults",
        "",
        "| fault | where its moment is counted | how often it struck |",
        "| --- | --- | ---: |",
        *(f"| {name} | {_side(name)} | {struck[name]} |" for name in KINDS),
        "",
        "## Runs",
        "",
        f"{datetime.now(timezone.utc):%Y-%m-%d}, {_code()}, {_machine()}, {seconds / 60:.0f} minutes.",
        f"{len(verdicts)} seeds, {struck.total()} faults that struck, **{broken} seeds with a broken promise**.",
        f"Reruns until everything was there: {needed}.",
        *_copies(verdicts),
        "",
        f"| {' | '.join(COLUMNS)} |",
        "| ---: | ---: | ---: | --- | --- | --- | --- | --- | ---: | --- |",
        *map(_row, verdicts),
    ]


def _copies(verdicts: Sequence[Verdict]) -> list[str]:
    """Say how many copies there were, and how many events the worst run has left without a receipt."""
    with_receipts = [one for one in verdicts if one.plan.receipts]
    without = [one for one in verdicts if not one.plan.receipts]
    most = max((number for one in with_receipts for number in one.copies), default=0)
    under_way = max((number for one in with_receipts for number in one.open), default=0)
    return [
        f"Copies with receipts: {_all_copies(with_receipts)} in {len(with_receipts)} seeds, at most {most} in a run.",
        f"At most {under_way} events were left without a receipt by a run that was struck.",
        f"Copies without receipts: {_all_copies(without)} in {len(without)} seeds.",
    ]


def _all_copies(verdicts: Sequence[Verdict]) -> int:
    return sum(sum(one.copies) for one in verdicts)


def _row(verdict: Verdict) -> str:
    plan = verdict.plan
    struck = "; ".join(map(str, verdict.struck)) or "none: the run was over before"
    ends = " ".join("/".join(map(str, codes.values())) for codes in verdict.codes)
    copies = " ".join(map(str, verdict.copies)) + ("" if plan.receipts else " (no receipts)")
    reading = {"auto": "pages"}.get(plan.method, plan.method)
    promises = "; ".join(verdict.broken) or "kept"
    return (
        f"| {plan.seed} | {plan.stores} | {plan.customers} | {plan.pipe} | {reading} | {struck} | {ends} "
        f"| {copies} | {verdict.reruns} | {promises} |"
    )


def _side(name: str) -> str:
    side = KINDS[name].side
    return side.value if side else " or ".join(one.value for one in Side)


def _code() -> str:
    """Return which commit was run, and whether with changes."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty=, changed"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return f"commit {found.stdout.strip()}"


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
