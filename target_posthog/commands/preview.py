"""`target-posthog plan` and `target-posthog explain`: print what a preview has written.

Take the file of a preview; `explain` also asks PostHog what it has, if there is a key.
"""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from target_posthog.commands.options import ending_with_sentence, out_option, query_api, setting, write_file
from target_posthog.errors import RunError
from target_posthog.posthog.client import DEFAULT_HOST
from target_posthog.posthog.stored_events import rows_by_uuid
from target_posthog.preview.file import DEFAULT_PATH, PreviewFile
from target_posthog.preview.lines import arrival_lines, explanation_lines, plan_lines, record_lines
from target_posthog.preview.personal import masked

if TYPE_CHECKING:
    from pathlib import Path

    from target_posthog.preview.file import KnownRecord, PlannedEvent


@click.command
@setting("preview_path", "File of the preview.", DEFAULT_PATH)
@out_option("File to keep the plan in, as JSON without personal data.")
def plan(preview_path: str, out: Path | None) -> None:
    """Print what a run would send, from a preview.

    With --out the plan is kept in a file. The setting `plan_path` holds a run to it: the run stops before it sends what
    the plan doesn't announce.
    """
    with ending_with_sentence(), contextlib.closing(PreviewFile(preview_path)) as preview:
        document = preview.plan()
    for line in plan_lines(document):
        click.echo(line)
    if out:
        for event in document["events"].values():
            del event["sample"]  # personal data
        with ending_with_sentence():
            write_file(out, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        click.echo(f"The plan is kept in {out}: the setting `plan_path` holds a run to it")


@click.command
@setting("preview_path", "File of the preview.", DEFAULT_PATH)
@setting("personal_api_key", "PostHog's personal API key, with which PostHog is asked whether it has the events.")
@setting("project_id", "The project's number in PostHog.")
@setting("host", "Where PostHog is.", DEFAULT_HOST)
@click.option("--mask", is_flag=True, help="Show stand-ins for personal data.")
@click.option("--record", "shows_record", is_flag=True, help="Show the record, too, as it was read.")
@click.argument("name")
def explain(  # noqa: PLR0913  # each is an option of the command
    *,
    name: str,
    preview_path: str,
    personal_api_key: str | None,
    project_id: str | None,
    host: str,
    mask: bool,
    shows_record: bool,
) -> None:
    """Explain one record of a preview: which events it became, and why.

    NAME is what people call the record: an order's number, an id or an e-mail.
    """
    with ending_with_sentence(), contextlib.closing(PreviewFile(preview_path)) as preview:
        api = query_api(personal_api_key, project_id, host) if project_id else None
        asked: list[PlannedEvent] = []
        for record in _found(preview, name):
            content, explanation, stand_ins = preview.content(record.id)
            events = list(preview.events(record.id))
            asked += events
            if mask:
                content, explanation = masked(content, stand_ins), masked(explanation, stand_ins)
                events = [planned._replace(event=masked(planned.event, stand_ins)) for planned in events]
            for line in explanation_lines(record, explanation or (), events):
                click.echo(line)
            for line in record_lines(content) if shows_record else ():
                click.echo(line)
        if api and asked:
            rows = rows_by_uuid(api, [planned.event for planned in asked])
            project = api.project()
            for line in arrival_lines(asked, rows, project.kept_from(datetime.now(timezone.utc)) if project else ""):
                click.echo(line)
        elif asked:
            click.echo("\nPostHog wasn't asked: that needs the settings `personal_api_key` and `project_id`")


def _found(preview: PreviewFile, words: str) -> list[KnownRecord]:
    """Return the record of that name, more than once if it was read so; raises `RunError` for none or several."""
    records = preview.find(words)
    names = list(dict.fromkeys(record.name for record in records))
    if not records:
        raise RunError(
            "The preview has no record of that name; give an order's number, the number in its address in the admin, "
            "or an e-mail"
        )
    if len(names) > 1:
        raise RunError(f"The preview has {len(names):,} records of that name; choose one: {', '.join(names)}")
    return records
