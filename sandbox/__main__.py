"""The sandbox's commands, in: a verb; out: a shop and a PostHog that run, stop, change or show what arrived."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sandbox.home import POSTHOG_PORT, PREVIEW_PORT, SHOP_PORT, Home, free_port

if TYPE_CHECKING:
    from types import FrameType

    from sandbox.controls import Controls

IDLE_MINUTES = 60  # a forgotten sandbox ends by itself
# The points of a store of Shopify's Standard plan, as its answers give them: shopify.dev/docs/api/usage/limits. So the
# tap reads it as it would read such a store, a first time by bulk operations.
STANDARD_PLAN = {"maximum_available": 2_000, "restore_rate": 100}


@click.group(help=__doc__)
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path(".sandbox"), show_default=True, help="Its home."
)
@click.option("--shop-port", type=int, show_default=f"{SHOP_PORT}, or one that is free", envvar="SANDBOX_SHOP_PORT")
@click.option(
    "--posthog-port", type=int, show_default=f"{POSTHOG_PORT}, or one that is free", envvar="SANDBOX_POSTHOG_PORT"
)
@click.pass_context
def sandbox(context: click.Context, folder: Path, shop_port: int | None, posthog_port: int | None) -> None:
    """Place the sandbox before its verb acts."""
    context.obj = Home.at(folder.absolute(), shop_port, posthog_port)


@sandbox.command
@click.option("--fresh", is_flag=True, help="Forget what an earlier sandbox was sent.")
@click.pass_obj
def start(home: Home, *, fresh: bool) -> None:
    """Open the shop and the PostHog in the background; they end after an hour without a request."""
    if fresh:
        home.stop()
    if home.running() is None:
        home.make(fresh=fresh)
        home = home.with_free_ports()
        home.start()
    click.echo(f"shop     {home.shop_url}/admin   (token shpat_sandbox)")
    click.echo(f"PostHog  {home.posthog_url}   (project key phc_sandbox)")
    if (home.shop_port, home.posthog_port) != (SHOP_PORT, POSTHOG_PORT):
        click.echo("Other ports than meltano.yml has; for `meltano run` set")
        click.echo(f"  TAP_SHOPIFY_ORDERS_ADMIN_URL={home.shop_url}/admin TARGET_POSTHOG_HOST={home.posthog_url}")


@sandbox.command
@click.pass_obj
def stop(home: Home) -> None:
    """Close the sandbox; what PostHog was sent stays in its folder."""
    click.echo("closed" if home.stop() else "it was not running")


@sandbox.command
@click.pass_obj
def show(home: Home) -> None:
    """Print what PostHog was sent."""
    from sandbox.report import arrived  # noqa: PLC0415  # so that stop and start stay quick

    if home.running() is None:
        raise click.ClickException("the sandbox isn't open: `python -m sandbox start` opens it")
    for line in arrived(home.posthog_url):
        click.echo(line)


@sandbox.command
@click.pass_obj
def demo(home: Home) -> None:
    """Sync the store twice with `meltano run sync`, one order changed in between, and show what arrived."""
    from sandbox.demo import run_demo  # noqa: PLC0415  # so that stop and start stay quick

    run_demo(home, echo=click.echo)


@sandbox.command
@click.argument("file", type=click.Path(path_type=Path), default=Path(".preview/preview.sqlite"))
@click.option("--port", type=int, show_default=f"{PREVIEW_PORT}, or one that is free", envvar="SANDBOX_PREVIEW_PORT")
def preview(file: Path, port: int | None) -> None:
    """Show the page of a preview FILE until told to stop, or idle for an hour."""
    from sandbox.posthog.preview import Preview  # noqa: PLC0415  # so that the other commands stay quick
    from sandbox.posthog.preview_file import NotAPreviewError, PreviewFile  # noqa: PLC0415  # the same

    try:
        opened = PreviewFile(file)
    except NotAPreviewError as error:
        raise click.ClickException(str(error)) from None
    with Preview(opened).serve(free_port(PREVIEW_PORT) if port is None else port) as page:
        click.echo(f"{page.url}/   (Ctrl+C ends it)")
        _serve_until_told([page.controls])


@sandbox.command(hidden=True)
@click.pass_obj
def serve(home: Home) -> None:
    """Serve shop and PostHog in the foreground until told to stop, or idle for an hour."""
    from sandbox.posthog import PostHog  # noqa: PLC0415  # the same
    from sandbox.shop import Shop  # noqa: PLC0415  # the same
    from sandbox.shop.access import SCOPES  # noqa: PLC0415  # the same
    from sandbox.shop.cdnow import cdnow_store  # noqa: PLC0415  # so that the other commands stay quick

    home.make(fresh=False)
    shop = Shop(cdnow_store(home.last_day()), scopes=(*SCOPES, "read_reports"), journal=home.journal, **STANDARD_PLAN)
    zone = str(shop.store.shop["ianaTimezone"])
    posthog = PostHog(database=str(home.database), shop_url=home.shop_url, time_zone=zone)
    posthog.app.add_url_rule("/_sandbox/process", view_func=lambda: {"pid": os.getpid()})
    with shop.serve(home.shop_port), posthog.serve(home.posthog_port):
        home.write_pid()
        _serve_until_told([shop.controls, posthog.controls])


def _serve_until_told(controls: list[Controls]) -> None:
    """Wait for a signal, or for an hour without a request."""
    told = threading.Event()

    def stop_serving(_signum: int, _frame: FrameType | None) -> None:
        told.set()

    signal.signal(signal.SIGTERM, stop_serving)
    signal.signal(signal.SIGINT, stop_serving)
    started = time.monotonic()
    while not told.wait(timeout=5):
        last = max([started, *(seen.at for one in controls for seen in one.requests[-1:])])
        if time.monotonic() - last > IDLE_MINUTES * 60:
            return


if __name__ == "__main__":
    sandbox(prog_name="python -m sandbox")
