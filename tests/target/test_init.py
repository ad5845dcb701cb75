"""`target-posthog init` reads what a run reads: no stream is missing from the draft because its line is odd."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner

from target_posthog.commands.group import commands

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = (
    b'{"type": "SCHEMA", "stream": "tickets", "key_properties": ["id"], "schema": {"properties": '
    b'{"id": {}, "opened_at": {"type": "string", "format": "date-time"}}}}\n'
)
RECORD = (
    b'{"type": "RECORD", "stream": "tickets", "record": {"id": 1, "opened_at": "2026-11-01T00:00:00Z", "late": 5}}\n'
)


def drafted(folder: Path, content: bytes) -> dict[str, list[dict[str, object]]]:
    path = folder / "streams.singer"
    path.write_bytes(content)
    done = CliRunner().invoke(commands, ["init", str(path)])
    assert done.exit_code == 0, done.output
    found: dict[str, list[dict[str, object]]] = yaml.safe_load(done.output)["streams"]
    return found


@pytest.mark.parametrize(
    "content",
    {
        "a byte order mark": b"\xef\xbb\xbf" + SCHEMA,
        "NaN in the schema": SCHEMA.replace(b'"id": {}', b'"id": {"default": NaN}'),
        "half a surrogate pair": SCHEMA.replace(b'"id": {}', b'"id": {"description": "\\ud83d"}'),
        "a number without a float": SCHEMA.replace(b'"id": {}', b'"id": {"maximum": 1e400}'),
        "lines of Windows": SCHEMA.replace(b"\n", b"\r\n"),
        "what is no message before it": b"reading page 1\n[1]\n\n" + SCHEMA,
    }.items(),
    ids=lambda one: one[0],
)
def test_a_schema_that_a_run_reads_is_in_the_draft(tmp_path: Path, content: tuple[str, bytes]) -> None:
    (rule,) = drafted(tmp_path, content[1])["tickets"]
    assert rule["timestamp"] == "opened_at"


def test_fields_of_records_that_a_run_reads_are_in_the_draft(tmp_path: Path) -> None:
    for odd in (b"NaN, ", b"1e400, "):
        record = RECORD.replace(b'"late"', b'"rate": ' + odd + b'"late"')
        (rule,) = drafted(tmp_path, SCHEMA + record)["tickets"]
        assert "late" in json.dumps(rule["properties"])


def test_a_file_without_a_schema_gets_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "streams.singer"
    path.write_bytes(RECORD)
    done = CliRunner().invoke(commands, ["init", str(path)])
    assert (done.exit_code, "has no SCHEMA message" in done.output) == (1, True)


def test_a_mapping_that_has_been_corrected_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "streams.singer").write_bytes(SCHEMA)
    call = ["init", str(tmp_path / "streams.singer"), "--out", str(tmp_path / "mapping.yaml")]
    assert CliRunner().invoke(commands, call).exit_code == 0
    (tmp_path / "mapping.yaml").write_text("corrected")
    done = CliRunner().invoke(commands, call)
    assert (done.exit_code, "name another, or remove it" in done.output) == (1, True)
    assert (tmp_path / "mapping.yaml").read_text() == "corrected"
