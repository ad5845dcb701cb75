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


def kept(path: Path) -> list[tuple[str, object]]:
    """Return what a file holds: of a SCHEMA its fields, of a RECORD its number."""
    messages = map(json.loads, path.read_text().splitlines())
    return [
        (one["type"], [*one["schema"]["properties"]] if "schema" in one else one["record"]["id"]) for one in messages
    ]


def keep(letters: DeadLetters, number: int, *fields: str) -> None:
    schema = {"type": "object", "properties": {name: {} for name in fields}}
    letters.keep("orders", schema, ["id"], msgspec.Raw(b'{"id": %d}' % number), "wrong")


def test_each_of_two_runs_that_share_a_file_says_its_schema_again_after_the_other(tmp_path: Path) -> None:
    """A letter was read by the other run's schema, and its order came under another distinct id."""
    path = tmp_path / "dead.jsonl"
    one, other = DeadLetters(str(path)), DeadLetters(str(path))
    keep(one, 1, "id", "email")
    keep(one, 2, "id", "email")
    keep(other, 3, "id")
    keep(one, 4, "id", "email")
    keep(one, 5, "id", "email")
    full, less = ("SCHEMA", ["id", "email"]), ("SCHEMA", ["id"])
    letters = [("RECORD", number) for number in range(1, 6)]
    assert kept(path) == [full, *letters[:2], less, letters[2], full, *letters[3:]]


def test_a_file_that_is_taken_away_while_a_run_goes_on_begins_with_the_schema_again(tmp_path: Path) -> None:
    path = tmp_path / "dead.jsonl"
    letters = DeadLetters(str(path))
    for take_away in (path.unlink, lambda: path.write_text("")):
        keep(letters, 1, "id")
        take_away()
        keep(letters, 2, "id")
        assert kept(path) == [("SCHEMA", ["id"]), ("RECORD", 2)]


@pytest.mark.parametrize("line", ["no JSON", "[]", "5", '{"type": "SCHEMA"}', '{"type": "RECORD", "record": {}}'])
def test_a_line_that_is_no_dead_letter_is_named_and_a_blank_one_is_passed_over(tmp_path: Path, line: str) -> None:
    path = tmp_path / "dead.jsonl"
    DeadLetters(str(path)).keep("sales", {"type": "object"}, ["id"], msgspec.Raw(b'{"id": 1}'), "wrong", name="id=1")
    path.write_text(path.read_text() + "\n")
    assert dead_letter_reasons(str(path)) == {"id=1": "wrong"}
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(RunError, match=r"line 4 of .* is no dead letter"):
        dead_letter_reasons(str(path))
