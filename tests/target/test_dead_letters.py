"""Records that can't be delivered are kept whole, or not at all."""

from __future__ import annotations

import json
import resource
from typing import TYPE_CHECKING

import msgspec
import pytest

from target_posthog.delivery.dead_letters import DeadLetters, dead_letter_reasons
from target_posthog.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_disk_that_fills_up_leaves_the_file_as_it_was_and_the_next_record_comes_with_its_schema(
    tmp_path: Path,
) -> None:
    path = tmp_path / "dead.jsonl"
    letters = DeadLetters(str(path))
    letters.keep("sales", {"type": "object"}, ["id"], msgspec.Raw(b'{"id": 1}'), "wrong")
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            letters.keep("tickets", {"type": "object"}, ["id"], msgspec.Raw(b'{"id": 2}'), "wrong")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    letters.keep("tickets", {"type": "object"}, ["id"], msgspec.Raw(b'{"id": 2}'), "wrong")
    kinds = [(one["type"], one["stream"]) for one in map(json.loads, path.read_text().splitlines())]
    assert kinds == [("SCHEMA", "sales"), ("RECORD", "sales"), ("SCHEMA", "tickets"), ("RECORD", "tickets")]


@pytest.mark.parametrize("line", ["no JSON", "[]", "5", '{"type": "SCHEMA"}', '{"type": "RECORD", "record": {}}'])
def test_a_line_that_is_no_dead_letter_is_named_and_a_blank_one_is_passed_over(tmp_path: Path, line: str) -> None:
    path = tmp_path / "dead.jsonl"
    DeadLetters(str(path)).keep("sales", {"type": "object"}, ["id"], msgspec.Raw(b'{"id": 1}'), "wrong", name="id=1")
    path.write_text(path.read_text() + "\n")
    assert dead_letter_reasons(str(path)) == {"id=1": "wrong"}
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(RunError, match=r"line 4 of .* is no dead letter"):
        dead_letter_reasons(str(path))
