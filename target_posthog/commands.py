"""What the target can do with a preview, in: a command line; out: a plan, an explanation or the books, printed.

Knows only which command is where and what it is called: the files and figures are others' business.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from target_posthog.books.command import reconcile
from target_posthog.options import setting
from target_posthog.posthog.client import DEFAULT_HOST, Busy, Refused
from target_posthog.posthog.query_api import QueryApi
from target_posthog.preview.explained import explanation_lines
from target_posthog.preview.file import DEFAULT_PATH, PreviewFile
from target_posthog.preview.lines import plan_lines
from target_posthog.preview.personal import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_posthog.preview.file import KnownRecord


@click.group(help=__doc__)
def commands() -> None:
    """Give the commands a home."""


commands.add_command(reconcile)


@commands.command
@setting("preview_path", "File of the preview.", DEFAULT_PATH)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to keep the plan in, as JSON.")
def plan(preview_path: str, out: Path | None) -> None:
    """Print the plan of a preview; with --out keep it, so that a run can be held to it (`plan_path`)."""
    with _sentences(), contextlib.closing(PreviewFile(preview_path)) as preview:
        found = preview.plan()
    for line in plan_lines(found):
        click.echo(line)
    if out:
        for one in found["events"].values():
            del one["sample"]  # personal data
        with _sentences():
            _write(out, json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        click.echo(f"The plan is kept in {out}: the setting `plan_path` holds a run to it")


@commands.command
@setting("preview_path", "File of the preview.", DEFAULT_PATH)
@setting("personal_api_key", "With it PostHog is asked whether it has the events.")
@setting("project_id", "The project's number in PostHog.")
@setting("host", "Where PostHog is.", DEFAULT_HOST)
@click.option("--mask", is_flag=True, help="Show stand-ins for personal data.")
@click.argument("name")
def explain(  # noqa: PLR0913  # each is an option of the command
    *, name: str, preview_path: str, personal_api_key: str | None, project_id: str | None, host: str, mask: bool
) -> None:
    """Explain the record called NAME (an order's number, an id, an e-mail): what it became, and why."""
    with _sentences(), contextlib.closing(PreviewFile(preview_path)) as preview:
        for record in _found(preview, name):
            content, explained, stand_ins = preview.content(record.id)
            events = list(preview.events(record.id))
            known = None
            if personal_api_key and project_id:
                api = QueryApi(personal_api_key, project_id, host)
                known = api.events_known(one.event["uuid"] for one in events)
            if mask:
                content, explained = masked(content, stand_ins), masked(explained, stand_ins)
                events = [one._replace(event=masked(one.event, stand_ins)) for one in events]
            for line in explanation_lines(record, content, explained or (), events, known):
                click.echo(line)


def _found(preview: PreviewFile, name: str) -> list[KnownRecord]:
    """Return the record of that name, more than once if it was read so; raises `Refused` for none or several."""
    records = preview.called(name)
    called = list(dict.fromkeys(one.called for one in records))
    if not records:
        raise Refused(
            "The preview has no record of that name; give an order's number, the number in its address in the admin, "
            "or an e-mail"
        )
    if len(called) > 1:
        raise Refused(f"The preview has {len(called):,} records of that name; choose one: {', '.join(called)}")
    return records


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise Refused(f"--out: the file {path} can't be written ({error.strerror})") from None


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    """End the command with a sentence where it can't go on."""
    try:
        yield
    except (Refused, Busy) as error:
        raise click.ClickException(str(error)) from None
