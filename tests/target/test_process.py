"""The target as a process of its own: what a user sees when something is wrong, and what is left when it is stopped."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.controls import Reply
from tests.waiting import LONGEST_WAIT_SECONDS, wait_until

from .conftest import lines

if TYPE_CHECKING:
    from conftest import Runs
    from sandbox.posthog import PostHog
    from target_posthog.mapping.language.functions import JSON

LIBC = ctypes.CDLL(None)
OPERATION = Path(__file__).parents[2] / "docs/operation.md"
SALE = {"event": "Sale", "distinct_id": "email", "timestamp": "created_at", "key": ["id"]}
SCHEMA = {
    "type": "SCHEMA",
    "stream": "sales",
    "key_properties": ["id"],
    "schema": {"type": "object", "properties": {"id": {}, "email": {}, "created_at": {}}},
}


def sale(number: int) -> dict[str, Any]:
    record = {"id": number, "email": f"jane{number % 100}@example.com", "created_at": "2026-11-01T00:00:00Z"}
    return {"type": "RECORD", "stream": "sales", "record": record}


def state(number: int) -> dict[str, Any]:
    return {"type": "STATE", "value": {"n": number}}


def last_line(log: str) -> str:
    return log.splitlines()[-1].rsplit(" | ", 1)[-1]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"api_key": ""},
            "The setting `api_key` is missing (in .env POSTHOG_API_KEY, elsewhere TARGET_POSTHOG_API_KEY): PostHog's",
        ),
        ({"api_key": "phc_wrong"}, "`api_key`: PostHog at "),
        ({"host": "https://nowhere.invalid"}, "`host`: https://nowhere.invalid can't be reached (connection error); "),
        ({"host": "http://nowhere.invalid"}, "`host` begins with http://, so the project key and customers' data"),
        ({"hots": "x"}, "There is no setting `hots`; did you mean `host`?"),
        ({"mapping": "ecomerce"}, "`mapping`: no mapping called `ecomerce` comes with the target; did you mean"),
        ({"mapping": "./nowhere.yaml"}, "`mapping`: the file ./nowhere.yaml can't be read (No such file or directory)"),
        (
            {"mappings": {"sales": [{**SALE, "when": "("}]}},
            "your rule `Sale` of stream `sales`, `when`: `(` is no JMESPath",
        ),
        (
            {"mappings": {"sales": [{**SALE, "when": "totl"}]}},
            "your rule `Sale` of stream `sales`, `when`: `totl`: there is no",
        ),
        ({"mappings": {}, "unmapped": "fail"}, "`unmapped`: no rule says what the records of stream `sales` mean"),
        ({"max_events": 1}, "`max_events`: this run would send more than 1 events to PostHog; it has stopped after 0"),
    ],
)
def test_a_users_mistake_is_one_sentence_an_exit_code_and_no_state(
    runs: Runs, tmp_path: Path, posthog: PostHog, settings: dict[str, JSON], sentence: str
) -> None:
    done = runs.process_of(tmp_path, SCHEMA, sale(1), sale(2), state(1), **{"mappings": {"sales": [SALE]}, **settings})
    assert (done.code, done.states) == (1, [])
    assert last_line(done.log).startswith(sentence)
    assert "Traceback" not in done.log
    assert posthog.events() == []


def test_bad_yaml_is_one_sentence(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("streams:\n  orders: [\n")
    done = runs.process_of(tmp_path, SCHEMA, mapping=str(tmp_path / "mine.yaml"))
    assert (done.code, "is no YAML (line 3" in last_line(done.log), "Traceback" in done.log) == (1, True, False)


def test_about_lists_the_settings() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "target_posthog", "--about", "--format=json"], capture_output=True, text=True, check=True
    )
    about = json.loads(said.stdout)
    assert about["name"] == "target-posthog"
    assert about["version"] != "[could not be detected]"
    assert "batch" not in about["capabilities"]
    assert about["settings"]["properties"]["api_key"]["secret"] is True
    assert {"host", "mapping", "mappings", "identity", "unmapped"} <= set(about["settings"]["properties"])


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("senders", [1, 4])
def test_a_signal_ends_the_target_at_once_without_a_state_for_what_is_not_delivered(
    runs: Runs, tmp_path: Path, posthog: PostHog, sent: signal.Signals, senders: int
) -> None:
    # Also of /batch/, which is asked where V1 goes on answering so.
    posthog.controls.reply_next(*[Reply(status=503, path=path) for path in ("/i/v1", "/batch") for _ in range(50)])
    process = runs.process(tmp_path, mappings={"sales": [SALE]}, senders=senders, max_retry_seconds=600)
    assert process.stdin
    for message in (SCHEMA, *(sale(number) for number in range(200)), state(1)):
        process.stdin.write(json.dumps(message) + "\n")
    process.stdin.close()
    process.stdin = None
    wait_until(lambda: len(posthog.controls.requests) >= 3)
    process.send_signal(sent)
    said, _ = process.communicate(timeout=LONGEST_WAIT_SECONDS)
    assert (process.returncode, said) == (128 + sent, "")


@pytest.mark.skipif(not hasattr(LIBC, "tgkill"), reason="the C library can't signal a thread")
def test_a_signal_that_finds_another_thread_ends_the_target_too(runs: Runs, tmp_path: Path, posthog: PostHog) -> None:
    """The main thread isn't woken by it, as it isn't by one that comes at the moment at which its wait begins."""
    posthog.controls.reply_next(*[Reply(status=503, path=path) for path in ("/i/v1", "/batch") for _ in range(50)])
    process = runs.process(tmp_path, mappings={"sales": [SALE]}, max_retry_seconds=600)
    assert process.stdin
    process.stdin.write("".join(json.dumps(message) + "\n" for message in (SCHEMA, sale(1), state(1))))
    process.stdin.close()
    process.stdin = None
    wait_until(lambda: len(posthog.controls.requests) >= 3)
    (other, *_) = sorted({int(path.name) for path in Path(f"/proc/{process.pid}/task").iterdir()} - {process.pid})
    assert LIBC.tgkill(process.pid, other, signal.SIGTERM) == 0
    said, _ = process.communicate(timeout=LONGEST_WAIT_SECONDS)
    assert (process.returncode, said) == (128 + signal.SIGTERM, "")


@pytest.mark.parametrize("protocol", ["v1", "batch"])
def test_killed_at_any_moment_and_run_again_the_events_are_the_same(
    runs: Runs, tmp_path: Path, posthog: PostHog, protocol: str
) -> None:
    settings = {"mappings": {"sales": [SALE]}, "protocol": protocol}
    messages = [SCHEMA]
    for number in range(3_000):
        messages += [sale(number)] + ([state(number)] if number % 500 == 499 else [])
    text = "".join(json.dumps(message) + "\n" for message in messages)
    for requests_before_the_kill in (2, 4):
        posthog.controls.reset()
        process = runs.process(tmp_path, **settings)
        assert process.stdin
        process.stdin.write(text)
        process.stdin.close()
        process.stdin = None
        wait_until(lambda: len(posthog.controls.requests) >= requests_before_the_kill)  # noqa: B023  # called in the loop
        process.kill()
        process.communicate(timeout=LONGEST_WAIT_SECONDS)
    done = runs.process_of(tmp_path, *messages, **settings)
    assert (done.code, done.states) == (0, ['{"n": 2999}'])
    posthog.merge()  # what a killed run had sent after its last STATE
    assert len({one["uuid"] for one in posthog.events()}) == len(posthog.events()) == 3_000


def test_standard_output_holds_nothing_but_states(runs: Runs, tmp_path: Path, posthog: PostHog) -> None:
    posthog.controls.reply_next(Reply(status=503, path="/i/v1"), Reply(cut=True, path="/i/v1"))
    done = runs.process_of(tmp_path, SCHEMA, sale(1), state(7), mappings={"sales": [SALE]})
    assert (done.code, done.states) == (0, ['{"n": 7}'])
    assert done.log.count("trying again") == 1, "one outage, said once"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_signal_while_the_pipe_is_full_leaves_no_part_of_a_state(
    runs: Runs, tmp_path: Path, posthog: PostHog, unbuffered: str
) -> None:
    large = {"type": "STATE", "value": {"bookmarks": "x" * 500_000}}  # more than a pipe holds
    process = runs.process(tmp_path, {"PYTHONUNBUFFERED": unbuffered}, mappings={"sales": [SALE]})
    assert process.stdin
    assert process.stdout
    process.stdin.write("".join(json.dumps(message) + "\n" for message in (SCHEMA, sale(1), large)))
    process.stdin.close()
    process.stdin = None
    begun = os.read(process.stdout.fileno(), 1).decode()
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=LONGEST_WAIT_SECONDS)
    assert json.loads(begun + rest) == large["value"]
    assert process.returncode in {0, 128 + signal.SIGTERM}
    assert len(posthog.events()) == 1


def test_a_full_disk_ends_the_run_with_a_sentence(runs: Runs, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("only Linux has a device that is always full")
    wrong = {"type": "RECORD", "stream": "sales", "record": {"id": 2, "email": "jane@example.com", "created_at": 5}}
    done = runs.process_of(
        tmp_path, SCHEMA, sale(1), wrong, state(1), mappings={"sales": [SALE]}, dead_letter_path=str(full)
    )
    assert (done.code, done.states) == (1, [])
    assert last_line(done.log).endswith(
        "and `dead_letter_path`: the file /dev/full can't be written (No space left on device)"
    )
    assert "Traceback" not in done.log


def test_dead_letters_that_still_cannot_be_delivered_end_their_replay_and_stay(
    runs: Runs, tmp_path: Path, posthog: PostHog
) -> None:
    path, config = tmp_path / "dead.jsonl", tmp_path / "config.json"
    nobody = {"type": "RECORD", "stream": "sales", "record": {**sale(1)["record"], "email": None}}
    process = runs.process(tmp_path, mappings={"sales": [SALE]}, dead_letter_path=str(path))
    process.communicate(lines(SCHEMA, nobody) + "a word of the tap's\n", timeout=LONGEST_WAIT_SECONDS)
    assert process.returncode == 0
    letters = path.read_text() + lines(sale(2))
    path.write_text(letters)
    with path.open() as replayed:
        done = subprocess.run(
            [sys.executable, "-m", "target_posthog", "--config", str(config)],
            stdin=replayed,
            capture_output=True,
            text=True,
            timeout=LONGEST_WAIT_SECONDS,
        )
    assert done.returncode == 1, "or `&& rm dead.jsonl` would take them away"
    assert f"2 of the dead letters in {path} still can't be delivered; the file has them" in last_line(done.stderr)
    assert path.read_text() == letters
    assert [event["distinct_id"] for event in posthog.events()] == ["jane2@example.com"]


def test_a_replay_as_documented_loses_no_letter_that_a_run_keeps_meanwhile(
    runs: Runs, tmp_path: Path, posthog: PostHog
) -> None:
    (documented,) = (line for line in OPERATION.read_text().splitlines() if "< dead-again.jsonl" in line)
    ours = f"{sys.executable} -m target_posthog --config {tmp_path / 'config.json'}"
    replay = documented.removeprefix("$ ").replace("meltano --environment=prod invoke target-posthog", ours)
    settings = {"mappings": {"sales": [SALE]}, "dead_letter_path": str(tmp_path / "dead.jsonl")}
    nobody = [{"type": "RECORD", "stream": "sales", "record": {**sale(one)["record"], "email": None}} for one in (1, 2)]
    assert runs.process_of(tmp_path, SCHEMA, nobody[0], **settings).code == 0
    with (tmp_path / "dead.jsonl").open("a") as file:
        file.write(lines(sale(3)))  # its cause is mended
    posthog.controls.reply_next(Reply(path="/i/v1/", status=401))
    assert subprocess.run(["sh", "-c", replay], cwd=tmp_path, timeout=LONGEST_WAIT_SECONDS).returncode
    left = (tmp_path / "dead-again.jsonl").read_text()
    asked = len(posthog.controls.requests)
    posthog.controls.reply_next(Reply(path="/i/v1/", delay_seconds=3))
    replaying = subprocess.Popen(["sh", "-c", replay.replace("mv -n", "true")], cwd=tmp_path)
    wait_until(lambda: any("/i/v1/" in request.path for request in posthog.controls.requests[asked:]))
    assert runs.process_of(tmp_path, SCHEMA, nobody[1], **settings).code == 0
    assert replaying.wait(LONGEST_WAIT_SECONDS) == 0
    assert left.count('"RECORD"') == 2
    kept = [json.loads(line) for line in (tmp_path / "dead.jsonl").read_text().splitlines()]
    assert {one["record"]["id"] for one in kept if one["type"] == "RECORD"} == {1, 2}
    assert not (tmp_path / "dead-again.jsonl").exists()
    assert [event["distinct_id"] for event in posthog.events()] == ["jane3@example.com"]


def test_the_sdks_metrics_are_in_the_log_for_those_who_look_closer(runs: Runs, tmp_path: Path) -> None:
    messages = "".join(json.dumps(one) + "\n" for one in (SCHEMA, sale(1), sale(2)))
    logs = {}
    for level in ("INFO", "DEBUG"):
        process = runs.process(tmp_path, {"TARGET_POSTHOG_LOGLEVEL": level}, mappings={"sales": [SALE]})
        _, logs[level] = process.communicate(messages, timeout=LONGEST_WAIT_SECONDS)
    lines = logs["DEBUG"].splitlines()
    metrics = [json.loads(line.partition("METRIC: ")[2]) for line in lines if "METRIC: " in line]
    (read,) = (one for one in metrics if one["metric"] == "record_count")
    assert (read["type"], read["value"], read["tags"]["stream"]) == ("counter", 2, "sales")
    assert any(one["metric"] == "batch_processing_time" for one in metrics)
    assert "METRIC" not in logs["INFO"]
    assert "Skipping parse" not in logs["INFO"]
