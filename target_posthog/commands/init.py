"""`target-posthog init`: writes a mapping to start from.

Takes what a tap has written, as a file or on standard input; returns a YAML file with a rule per stream, to be read and
corrected.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from target_posthog.commands.options import ending_with_sentence, out_option, write_file
from target_posthog.decoding import LineDecoder
from target_posthog.errors import RunError
from target_posthog.mapping.draft import Stream, draft

if TYPE_CHECKING:
    from collections.abc import Iterable

RECORDS_LOOKED_AT = 100  # of each stream; the rest of the file is read for other streams


@click.command
@click.argument("streams", type=click.Path(dir_okay=False))
@out_option("New file to write the mapping to; by default it is printed.")
def init(streams: str, out: Path | None) -> None:
    """Write a mapping to start from, of what a tap has written.

    STREAMS is a file of Singer messages, such as `tap-github ... > streams.singer` makes, or - for standard input.
    """
    with ending_with_sentence():
        if out and out.exists():
            raise RunError(
                f"--out: there is a file {out} already, maybe with your corrections: name another, or remove it"
            )
        found = _streams(streams)
        written = draft(found, "standard input" if streams == "-" else Path(streams).name)
        if out:
            write_file(out, written)
            click.echo(f"The mapping is in {out}: correct it, then set `mapping` to its path")
        else:
            click.echo(written, nl=False)


def _streams(path: str) -> list[Stream]:
    try:
        with nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb") as file:
            found = streams_of(file)
    except OSError as error:
        raise RunError(f"The file {path} can't be read ({error.strerror})") from None
    if not found:
        raise RunError(
            f"{'Standard input' if path == '-' else path} has no SCHEMA message; is it what a tap has written?"
        )
    return found


def streams_of(lines: Iterable[bytes]) -> list[Stream]:
    """Return the streams of Singer messages, in their order, read as a run reads them; passes over what is none."""
    streams: dict[str, Stream] = {}
    decoder = LineDecoder(tell=lambda _: None)
    for line in lines:
        message: Any = decoder.decode(line)
        if not isinstance(message, dict) or not isinstance(message.get("stream"), str):
            continue
        name, schema = message["stream"], message.get("schema")
        if message.get("type") == "SCHEMA":
            records = streams[name].records if name in streams else []
            keys = [key for key in message.get("key_properties") or () if isinstance(key, str)]
            streams[name] = Stream(name, schema if isinstance(schema, dict) else {}, keys, records)
            continue
        stream, record = streams.get(name), message.get("record")
        if stream and isinstance(record, dict) and len(stream.records) < RECORDS_LOOKED_AT:
            stream.records.append(record)
    return list(streams.values())
