"""The tap as a command, in circumstances that its user may make or an attacker: a sentence, no traceback, no secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.processes import is_clean, sentences, shell
from tests.tap.conftest import settings

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.shop import Shop


@pytest.fixture
def config(shop: Shop, tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings(shop)))
    return path


@pytest.mark.parametrize("redirection", ["<&-", "2>&-", "2>/dev/full"])
def test_a_stream_that_is_not_needed_may_be_closed_or_full(config: Path, tmp_path: Path, redirection: str) -> None:
    ended = shell(f"$TAP --config {config} {redirection}", folder=tmp_path)
    assert (ended.code, is_clean(ended)) == (0, True)
    assert '"STATE"' in ended.out.splitlines()[-1]


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full", "<&- >&- 2>/dev/null"])
def test_records_that_nobody_takes_end_the_run(config: Path, tmp_path: Path, redirection: str) -> None:
    ended = shell(f"$TAP --config {config} {redirection}", folder=tmp_path)
    assert (ended.code, is_clean(ended), ended.out) == (1, True, "")
    assert len(sentences(ended.log)) == (0 if "2>" in redirection else 1)


@pytest.mark.parametrize(
    "given",
    ["$TAP --config <(cat config.json)", "cat config.json | $TAP --config /dev/stdin"],
)
def test_settings_may_come_through_a_pipe(config: Path, given: str) -> None:
    ended = shell(f"{given} | tail -1", folder=config.parent)
    assert (ended.code, '"STATE"' in ended.out) == (0, True)


@pytest.mark.parametrize("form", ["catalog", "state"])
def test_other_files_may_come_through_a_pipe_and_be_odd(config: Path, tmp_path: Path, form: str) -> None:
    (tmp_path / "odd").write_text('{"a":' * 50_000)
    ended = shell(f"$TAP --config {config} --{form} <(cat odd)", folder=tmp_path)
    assert (ended.code, is_clean(ended)) == (1, True)


# In blocks of 1,024 bytes: no byte at all, and the beginning of a result.
@pytest.mark.parametrize("room", [0, 8])
def test_without_room_for_temporary_files_a_history_is_read_by_pages(shop: Shop, tmp_path: Path, room: int) -> None:
    (tmp_path / "config.json").write_text(json.dumps(settings(shop, method="bulk")))
    whole = shell("$TAP --config config.json", folder=tmp_path)
    cramped = shell(f"ulimit -f {room}; exec $TAP --config config.json", folder=tmp_path)
    assert (whole.code, cramped.code, is_clean(cramped, "shpat_sandbox")) == (0, 0, True)
    assert records(cramped.out) == records(whole.out)
    assert any("/bulk/" in one.path for one in shop.controls.requests)
    assert "no room in the folder for temporary files" not in whole.log
    said = [line for line in cramped.log.splitlines() if "no room in the folder for temporary files" in line]
    assert len(said) == 2, "one for each stream"
    assert all("reading the window by pages" in line for line in said)


def records(out: str) -> dict[tuple[str, int], dict[str, Any]]:
    messages = [json.loads(line) for line in out.splitlines()]
    return {(one["stream"], one["record"]["id"]): one["record"] for one in messages if one["type"] == "RECORD"}


def test_what_it_leaves_is_its_owners_alone(config: Path, tmp_path: Path) -> None:
    ended = shell(f"umask 022; exec $TAP --config {config} --about --format=json >about; umask 000", folder=tmp_path)
    assert ended.code == 0
