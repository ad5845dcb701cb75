"""The target as a command, in circumstances that its user may make or an attacker: a sentence, no traceback, no key."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks.processes import ROOT, is_clean, sentences, shell

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.posthog import PostHog

SCHEMA = {"properties": {"id": {"type": "string"}, "at": {"type": "string", "format": "date-time"}}}
RULE = {"event": "Sale", "distinct_id": "id", "timestamp": "at", "key": ["id"]}
FORGED = "sales\r\n2026-01-01 00:00:00,000 | ERROR | target-posthog | forged\x1b[2J\u202e"
LONGEST_GOODBYE_SECONDS = 20.0


def messages(stream: str = "sales", **record: Any) -> str:
    said = [
        {"type": "SCHEMA", "stream": stream, "key_properties": ["id"], "schema": SCHEMA},
        {"type": "RECORD", "stream": stream, "record": {"id": "1", "at": "2026-11-01T00:00:00Z", **record}},
        {"type": "STATE", "value": {"a": 1}},
    ]
    return "".join(json.dumps(one) + "\n" for one in said)


@pytest.fixture
def folder(posthog: PostHog, tmp_path: Path) -> Path:
    settings = {"api_key": posthog.api_key, "host": posthog.url, "mappings": {"sales": [RULE]}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "messages").write_text(messages())
    return tmp_path


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_a_stream_that_is_not_needed_may_be_closed_or_full(folder: Path, redirection: str) -> None:
    ended = shell(f"$TARGET --config config.json <messages {redirection}", folder=folder)
    assert (ended.code, ended.out.strip(), is_clean(ended)) == (0, '{"a": 1}', True)


def test_without_standard_input_there_is_nothing_to_read(folder: Path) -> None:
    ended = shell("$TARGET --config config.json <&-", folder=folder)
    assert (ended.code, ended.out, is_clean(ended)) == (0, "", True)


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_a_state_that_nobody_takes_ends_the_run(folder: Path, redirection: str) -> None:
    ended = shell(f"$TARGET --config config.json <messages {redirection}", folder=folder)
    assert (ended.code, is_clean(ended)) == (1, True)
    assert len(sentences(ended.log)) == 1


def test_settings_may_come_through_a_pipe(folder: Path) -> None:
    ended = shell("$TARGET --config <(cat config.json) <messages", folder=folder)
    assert (ended.code, ended.out.strip()) == (0, '{"a": 1}')


def test_no_name_of_a_stream_forges_a_line_of_the_log(folder: Path) -> None:
    ended = shell("$TARGET --config config.json", folder=folder, stdin=messages(FORGED))
    assert not [line for line in ended.log.splitlines() if line.startswith("2026-01-01")]
    assert not {"\x1b", "\u202e", "\r"} & {*ended.log}


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_target_while_it_reads_its_mapping(folder: Path, sent: signal.Signals) -> None:
    settings = json.loads((folder / "config.json").read_text())
    (folder / "long.yaml").write_text("about: [" + "[a, b], " * 120_000 + "]")
    (folder / "config.json").write_text(json.dumps({**settings, "mapping": str(folder / "long.yaml")}))
    process = subprocess.Popen(
        [sys.executable, "-m", "target_posthog", "--config", folder / "config.json"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(3.0)
    process.send_signal(sent)
    _, log = process.communicate(timeout=LONGEST_GOODBYE_SECONDS)
    assert process.returncode in (128 + sent, -sent)
    assert "Traceback" not in log


def test_two_previews_to_one_path_are_written_one_after_the_other(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "preview_path": str(folder / "p/preview.sqlite")}))
    script = """
    mkfifo slow; ($TARGET --config config.json <slow 2>first) & exec 3>slow; cat messages >&3
    for _ in $(seq 600); do [ -e p/preview.sqlite.unfinished ] && break; sleep 0.1; done
    $TARGET --config config.json <messages 2>second; echo $?; exec 3>&-; wait $!; echo $?
    $TARGET --config config.json <messages 2>third; echo $?
    """
    ended = shell(script, folder=folder)
    assert ended.out.split() == ["1", "0", "0"]
    assert "another preview is being written there" in (folder / "second").read_text()
    assert [path.name for path in (folder / "p").iterdir() if "unfinished" in path.name] == []


def test_what_it_leaves_is_its_owners_alone(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "summary_path": str(folder / "summary.json")}))
    assert shell("umask 000; $TARGET --config config.json <messages", folder=folder).code == 0
    assert (folder / "summary.json").stat().st_mode & 0o077 == 0


def test_a_key_is_in_no_log_unless_the_mapping_calls_it_no_personal_data(folder: Path) -> None:
    phone = "15551234567"
    ended = shell("$TARGET --config config.json", folder=folder, stdin=messages(id=phone, at="soon"))
    assert (ended.code, is_clean(ended, phone)) == (1, True)
    assert "record id=sha256:" in sentences(ended.log)[-1]
    (folder / "mine.yaml").write_text(f"records: {{sales: {{shown: [id]}}}}\nstreams: {{sales: [{json.dumps(RULE)}]}}")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "mapping": "./mine.yaml"}))
    ended = shell("$TARGET --config config.json", folder=folder, stdin=messages(id=phone, at="soon"))
    assert f"record id={phone}" in sentences(ended.log)[-1]
