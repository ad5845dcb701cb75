"""Persons that PostHog skipped are brought up to date later in the run, or named."""

from __future__ import annotations

import io
import json
import logging
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.controls import Reply
from target_posthog.delivery.batches import Outgoing
from target_posthog.delivery.skipped_persons import MOST_KEPT, SkippedPersons
from target_posthog.errors import RunError
from target_posthog.posthog.client import Sent
from target_posthog.receipts.sifter import Sifted
from target_posthog.singer.target import TargetPostHog
from tests.target.conftest import lines
from tests.waiting import LONGEST_WAIT_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runs
    from sandbox.posthog import PostHog
    from target_posthog.delivery.batches import Batch
    from target_posthog.mapping.event import Event

PERSON: dict[str, Any] = {
    "event": "$set",
    "distinct_id": ["email"],
    "timestamp": "at",
    "key": ["id", "at"],
    "set": {"name": "name"},
}
SCHEMA = {
    "type": "SCHEMA",
    "stream": "people",
    "key_properties": ["id"],
    "schema": {"type": "object", "properties": {name: {} for name in ("id", "email", "at", "name")}},
}


def person(number: int, name: str, day: int = 1) -> dict[str, Any]:
    at = f"2026-11-{day:02}T00:00:00Z"
    record = {"id": number, "email": f"jane{number}@example.com", "at": at, "name": name}
    return {"type": "RECORD", "stream": "people", "record": record}


def change(number: int, who: str = "jane") -> Outgoing:
    event: Event = {
        "event": "$set",
        "distinct_id": who,
        "uuid": f"00000000-0000-5000-8000-{number:012}",
        "timestamp": "2026-11-01T00:00:00Z",
        "properties": {"$set": {"n": number}},
    }
    return Outgoing(event, 100, Sifted(event, "rule", number))


def sent(*skipped: Outgoing) -> Sent:
    return Sent({}, frozenset(item.event["uuid"] for item in skipped))


class Sends:
    """Notes what is sent, and skips the persons of as many batches as it is told."""

    def __init__(self, skips: int) -> None:
        self.skips, self.batches = skips, list[list[object]]()

    def __call__(self, batch: Batch) -> Sent:
        self.batches.append([item.sifted.source for item in batch.items])
        self.skips -= 1
        return sent(*batch.items) if self.skips >= 0 else sent()


def test_a_skipped_change_comes_again_with_those_of_the_same_id_after_it() -> None:
    waits: list[float] = []
    skipped, sends = SkippedPersons(waits.append), Sends(skips=1)
    first, second, other, before = change(1), change(2), change(3, "eve"), change(0)
    skipped.note([before], sent())
    skipped.note([first, other], sent(first))
    skipped.note([second], sent())
    skipped.send_again(sends)
    assert (sends.batches, waits, skipped.left) == ([[1, 2], [1, 2]], [1.0, 5.0], [])


def test_of_a_fact_only_what_it_says_of_its_person_comes_again() -> None:
    skipped = SkippedPersons(lambda _: None)
    batches: list[Batch] = []
    properties: dict[str, Any] = {"customer_id": "7", "$set_once": {"since": 1}, "$lib": "target-posthog"}
    fact = change(1)._replace(event={**change(1).event, "event": "Customer Created", "properties": properties})
    skipped.note([fact], sent(fact))
    skipped.send_again(lambda batch: batches.append(batch) or sent())
    ((event,),) = [batch.events for batch in batches]
    assert (event["event"], event["distinct_id"], event["timestamp"]) == ("$set", "jane", "2026-11-01T00:00:00Z")
    assert event["properties"] == {"$set_once": {"since": 1}, "$lib": "target-posthog"}
    assert event["uuid"] != fact.event["uuid"], "PostHog has kept the fact, and would show it twice"


def test_after_three_attempts_the_rest_is_left() -> None:
    waits: list[float] = []
    skipped, sends = SkippedPersons(waits.append), Sends(skips=9)
    skipped.note([change(1)], sent(change(1)))
    skipped.send_again(sends)
    assert ([item.sifted.source for item in skipped.left], waits) == ([1], [1.0, 5.0, 25.0])


def test_who_is_skipped_after_three_attempts_is_tried_again_at_the_end_alone() -> None:
    waits: list[float] = []
    skipped, sends = SkippedPersons(waits.append), Sends(skips=3)
    skipped.note([change(1)], sent(change(1)))
    skipped.send_again(sends)
    other = change(2, "eve")
    skipped.note([other], sent(other))
    skipped.send_again(sends)
    assert ([item.sifted.source for item in skipped.left], sends.batches[3:]) == ([1], [[2]])
    skipped.send_again(sends, is_last=True)
    assert (skipped.left, sends.batches[4:], waits) == ([], [[1]], [1.0, 5.0, 25.0, 1.0, 1.0])


def test_who_is_skipped_again_and_again_holds_one_state_of_a_run_however_often_they_recover() -> None:
    waits: list[float] = []
    skipped, sends = SkippedPersons(waits.append), Sends(skips=0)
    for number in (1, 2, 3):
        skipped.note([change(number)], sent(change(number)))
        skipped.send_again(sends)
    assert (sends.batches, waits) == ([[1]], [1.0])
    skipped.send_again(sends, is_last=True)
    assert (sends.batches[1:], skipped.left) == ([[2, 3]], [])


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("skips", [1, 2])
def test_no_state_leaves_before_the_persons_that_it_covers(
    runs: Runs, posthog: PostHog, tmp_path: Path, end: signal.Signals, skips: int
) -> None:
    """A signal ends the target without a word, and what the last STATE covers isn't read again."""
    posthog.verdicts = {"$set": ["warning"] * skips}
    settings = {"mappings": {"people": [PERSON]}, "receipts": str(tmp_path / "receipts.sqlite")}
    process = runs.process(tmp_path, **settings)
    assert process.stdin
    assert process.stdout
    process.stdin.write(lines(SCHEMA, person(1, "Jane")))
    process.stdin.flush()
    states: list[str] = []
    written = process.stdout
    reader = threading.Thread(target=lambda: states.append(written.readline()), daemon=True)
    reader.start()
    while reader.is_alive() and len(posthog.fired()) < 2:  # a STATE leaves after some seconds of progress
        process.stdin.write(lines({"type": "STATE", "value": {"n": 1}}))
        process.stdin.flush()
        reader.join(0.2)
    if skips == 1:
        reader.join(LONGEST_WAIT_SECONDS)
        assert states == ['{"n": 1}\n']
    process.send_signal(end)
    reader.join(LONGEST_WAIT_SECONDS)
    process.communicate(timeout=LONGEST_WAIT_SECONDS)
    if skips == 2:
        assert states == [""], "it waits for the third attempt"
        runs.process_of(tmp_path, SCHEMA, person(1, "Jane"), **settings)
    assert [one["properties"] for one in posthog.persons()] == [{"name": "Jane"}]


def test_without_a_skipped_person_nobody_waits() -> None:
    skipped = SkippedPersons(pytest.fail)
    skipped.note([change(1)], sent())
    skipped.send_again(pytest.fail)


def test_what_is_kept_of_them_has_an_end() -> None:
    skipped = SkippedPersons(lambda _: None)
    many = [change(number, f"jane{number}") for number in range(MOST_KEPT + 3)]
    skipped.note(many, sent(*many))
    assert (len(skipped.left), skipped.forgotten) == (MOST_KEPT, 3)


def test_where_no_more_can_be_kept_an_older_change_is_not_sent_after_a_newer_one() -> None:
    skipped, sends = SkippedPersons(lambda _: None), Sends(skips=0)
    many = [change(number, f"jane{number}") for number in range(MOST_KEPT)]
    skipped.note(many, sent(*many))
    newer, of_another = change(MOST_KEPT, "jane0"), change(MOST_KEPT + 1, "eve")
    skipped.note([newer, of_another], sent(of_another))
    assert [item.sifted.source for item in skipped.left] == [*range(1, MOST_KEPT), MOST_KEPT + 1]
    assert skipped.forgotten == 1
    skipped.send_again(sends)
    assert 0 not in {number for batch in sends.batches for number in batch}


def test_a_run_brings_skipped_persons_up_to_date_and_counts_them(
    runs: Runs, posthog: PostHog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    posthog.verdicts = {"$set": ["warning", "ok", "ok:person_processing_disabled"]}
    summary = tmp_path / "summary.json"
    runs.here(
        SCHEMA,
        *(person(1, "old"), person(2, "Eve"), person(1, "new", day=2)),
        mappings={"people": [PERSON]},
        summary_path=str(summary),
    )
    names = {one["distinct_ids"][0]: one["properties"] for one in posthog.persons()}
    assert names == {"jane1@example.com": {"name": "new"}, "jane2@example.com": {"name": "Eve"}}
    written = json.loads(summary.read_text())
    assert (written["events"]["$set"]["person_skipped"], written["persons_behind"]) == (2, [])
    assert "kept by PostHog without looking at the person: 2 events" in caplog.text


def test_a_run_that_an_error_ends_names_them_too(runs: Runs, posthog: PostHog, tmp_path: Path) -> None:
    posthog.verdicts = {"$set": ["warning"]}
    summary = tmp_path / "summary.json"
    state = {"type": "STATE", "value": {"n": 1}}
    timeless = {**person(2, "Eve"), "record": {"id": 2, "email": "eve@example.com", "at": "some day"}}
    config = {**runs.settings, "mappings": {"people": [PERSON]}, "summary_path": str(summary), "protocol": "v1"}
    posthog.controls.reply_next(Reply(path="/i/v1"), Reply(status=404, path="/i/v1"))
    target = TargetPostHog(config=config, seconds_between_states=0)
    with pytest.raises(RunError):
        target.listen(io.StringIO(lines(SCHEMA, person(1, "Jane"), state, timeless)))
    (behind,) = json.loads(summary.read_text())["persons_behind"]
    assert behind.startswith("people id=sha256:")


def test_a_run_that_cannot_bring_them_up_to_date_names_their_records(
    runs: Runs, posthog: PostHog, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    posthog.verdicts = {"$set": ["warning"]}
    posthog.controls.reply_next(Reply(path="/i/v1"), *[Reply(status=404, path="/i/v1")] * 2)
    summary = tmp_path / "summary.json"
    state = {"type": "STATE", "value": {"n": 1}}
    settings = {"mappings": {"people": [PERSON]}, "summary_path": str(summary), "protocol": "v1"}
    runs.here(SCHEMA, person(1, "Jane"), state, **settings)
    (behind,) = json.loads(summary.read_text())["persons_behind"]
    assert behind.startswith("people id=sha256:"), "another tap's key could be personal"
    assert f"not brought up to date, sent again in vain: {behind}" in caplog.text
    assert capsys.readouterr().out == '{"n": 1}\n', "PostHog has kept the event itself"
    assert "jane1@" not in caplog.text
