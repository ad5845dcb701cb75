"""The demo, in: a sandbox; out: its store in its PostHog by `meltano run sync`, twice, and in words what arrived.

Knows Meltano as a command only.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
import requests

from sandbox.report import TIMEOUT_SECONDS, arrived, ask, one_in_full

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sandbox.home import Home

JOB = ["meltano", "--environment=sandbox", "run", "sync"]
LONGEST_SILENCE_SECONDS = 300  # a busy machine may take its time, but something goes on
LOOK_EVERY_SECONDS = 1.0
SAY_EVERY_SECONDS = 10.0  # in a log
EVENTS_PER_PAGE = 1_000
LATER = ("Order Updated", "Order Returned", "Order Refunded", "Order Cancelled")
LAST_WORDS = 30  # lines of a failed run's log


def run_demo(home: Home, echo: Callable[[str], None]) -> None:
    """Open a fresh sandbox, sync, change one order, sync again.

    Raises ClickException when a run fails, or when the second one sends anything but the change.
    """
    home.stop()
    home.make(fresh=True)
    home = home.with_free_ports()
    echo("A shop with the 6,919 purchases of CDNOW's customers and an empty PostHog open on this machine ...")
    home.start()

    _sync(home, echo)
    echo("\nWhat arrived in PostHog:\n")
    for line in arrived(home.posthog_url):
        echo(f"  {line}")
    order = _paid_order(home)
    first = ask(home.posthog_url, "/api/totals")
    echo("\nOne event in full:\n")
    echo(one_in_full(home.posthog_url, order["uuid"]))

    label = order["properties"]["order_name"]
    echo(f"\nNow order {label} is refunded in the shop, and the job runs again:")
    change = {"change": "refund_order", "order_id": label}
    requests.post(f"{home.shop_url}/_control/change", json=change, timeout=TIMEOUT_SECONDS).raise_for_status()
    _sync(home, echo)
    second = ask(home.posthog_url, "/api/totals")
    _tell_difference(first, second, echo)
    echo(f"\nLook at it:  {home.posthog_url}/   (open for an hour after the last look; `make sandbox` opens it again)")


def _sync(home: Home, echo: Callable[[str], None]) -> None:
    """Run the job as a user would, its words kept in a file, and say how many records were read."""
    log_path, summary_path = home.folder / "meltano.log", home.folder / "summary.json"
    echo(f"\n$ {shlex.join(JOB)}")
    started = time.monotonic()
    environment = os.environ | {
        "MELTANO_DATABASE_URI": f"sqlite:///{home.folder / 'meltano.db'}",
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
        "TAP_SHOPIFY_ORDERS_ADMIN_URL": f"{home.shop_url}/admin",
        "TARGET_POSTHOG_HOST": home.posthog_url,
        "TARGET_POSTHOG_RECEIPTS": str(home.receipts),
        "TARGET_POSTHOG_SUMMARY_PATH": str(summary_path),
    }
    with (
        log_path.open("ab") as log,
        subprocess.Popen(JOB, env=environment, stdout=log, stderr=log) as run,  # noqa: S603  # ours
    ):
        _watch(run, home, log_path)
    if run.returncode:
        words = "\n".join(log_path.read_text().splitlines()[-LAST_WORDS:])
        raise click.ClickException(f"the job failed; its last words ({log_path}):\n{words}")
    records = json.loads(summary_path.read_text())["records"]
    read = " and ".join(f"{records.get(stream, 0):,} {stream}" for stream in ("customers", "orders"))
    echo(f"  read {read} in {time.monotonic() - started:.0f} s")


def _watch(run: subprocess.Popen[bytes], home: Home, log_path: Path) -> None:
    """Wait for the job, and say on standard error how far it is; one whose log has stopped growing is ended."""
    started, at_terminal = time.monotonic(), sys.stderr.isatty()
    grown_at, size = started, 0
    while True:
        with suppress(subprocess.TimeoutExpired):
            run.wait(LOOK_EVERY_SECONDS if at_terminal else SAY_EVERY_SECONDS)
            break
        now, size_before, size = time.monotonic(), size, log_path.stat().st_size
        grown_at = now if size > size_before else grown_at
        if now - grown_at > LONGEST_SILENCE_SECONDS:
            run.kill()
            raise click.ClickException(f"the job has said nothing for {LONGEST_SILENCE_SECONDS} seconds; it was ended")
        arrived_so_far = sum(ask(home.posthog_url, "/api/totals")["events"].values())
        line = f"  {now - started:.0f} s, {arrived_so_far:,} events have arrived ..."
        click.echo(f"\r{line}\033[K" if at_terminal else line, err=True, nl=not at_terminal)
    if at_terminal:
        click.echo("\r\033[K", err=True, nl=False)


def _paid_order(home: Home) -> dict[str, Any]:
    """Return the newest `Order Completed` that is paid in one sum, and to which nothing has happened since."""
    told = {name: list(_events(home, name)) for name in ("Order Completed", "Order Paid", *LATER)}
    touched = {one["properties"]["order_id"] for name in LATER for one in told[name]}
    cash = {one["properties"]["order_id"]: one["properties"].get("cash") for one in told["Order Paid"]}
    paid = (
        one
        for one in told["Order Completed"]
        if one["properties"]["order_id"] not in touched
        and one["properties"]["total_sales"] == cash.get(one["properties"]["order_id"])
    )
    return max(paid, key=lambda one: str(one["timestamp"]))


def _events(home: Home, name: str) -> Iterator[dict[str, Any]]:
    for offset in itertools.count(0, EVENTS_PER_PAGE):
        page = ask(home.posthog_url, "/api/events", event=name, limit=EVENTS_PER_PAGE, offset=offset)
        yield from page
        if len(page) < EVENTS_PER_PAGE:
            return


def _tell_difference(first: dict[str, Any], second: dict[str, Any], echo: Callable[[str], None]) -> None:
    """Say what the second run brought; raises ClickException if that isn't one refund and its customer's figures."""
    new = {name: count - first["unique"].get(name, 0) for name, count in second["unique"].items()}
    brought = {name: count for name, count in new.items() if count}
    for name, count in brought.items():
        echo(f"  new in PostHog: {count} {name}")
    again, doubles = second["copies"] - first["copies"], second["doubles"]
    echo(f"  sent again: {f'{again} of that order, which PostHog merges' if again else 'nothing'}")
    if doubles or brought != {"Order Refunded": 1, "Payment Refunded": 1, "$identify": 1}:
        raise click.ClickException("the second run should have brought one refund and its customer's new figures")
