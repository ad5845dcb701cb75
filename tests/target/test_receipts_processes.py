"""Receipts between processes: what a killed target leaves, and two targets on one database."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy

from sandbox.controls import Reply
from target_posthog.errors import RunError
from target_posthog.receipts.postgres import PostgresStore
from target_posthog.receipts.sqlite import SqliteStore
from target_posthog.receipts.store import RESEND, Fact, hashed_key
from tests.target.conftest import lines
from tests.target.test_receipts import SCHEMAS, order
from tests.waiting import LONGEST_WAIT_SECONDS, wait_until

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from conftest import Runs
    from sandbox.posthog import PostHog

RULE = {"event": "Sale", "distinct_id": "email", "timestamp": "created_at", "key": ["id"]}
SETTINGS: dict[str, Any] = {"mappings": {"sales": [RULE]}, "senders": 1}
SCHEMA = {
    "type": "SCHEMA",
    "stream": "sales",
    "key_properties": ["id"],
    "schema": {"type": "object", "properties": {"id": {}, "email": {}, "created_at": {}}},
}
SALES = 1_200  # three requests


def sales(number: int = SALES) -> list[dict[str, Any]]:
    return [
        {
            "type": "RECORD",
            "stream": "sales",
            "record": {"id": one, "email": f"jane{one}@example.com", "created_at": "2026-11-01T00:00:00Z"},
        }
        for one in range(number)
    ]


MESSAGES = (SCHEMA, *sales(), {"type": "STATE", "value": {"bookmarks": {"sales": 1}}})
ACTIONS = "/i/v1/"


def copies(posthog: PostHog) -> int:
    return sum(number - 1 for number in Counter(event["uuid"] for event in posthog.fired()).values())


def begun(process: subprocess.Popen[str], *messages: dict[str, Any]) -> None:
    assert process.stdin
    process.stdin.write(lines(*(messages or MESSAGES)))
    process.stdin.flush()
    process.stdin.close()


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(LONGEST_WAIT_SECONDS)
    for pipe in (process.stdout, process.stderr):
        assert pipe
        pipe.close()


@pytest.mark.parametrize(
    ("answered", "repeated"),
    [
        pytest.param(0, 0, id="before PostHog has the first request"),
        pytest.param(1, 500, id="PostHog has the second request, the target not its answer"),
        pytest.param(2, 200, id="PostHog has the last request, the target not its answer"),
    ],
)
def test_a_kill_lets_at_most_the_request_under_way_cross_twice_and_loses_nothing(
    runs: Runs, posthog: PostHog, tmp_path: Path, answered: int, repeated: int
) -> None:
    settings = {**SETTINGS, "receipts": str(tmp_path / "receipts.sqlite")}
    acts = answered > 0
    posthog.controls.reply_next(
        *[Reply(path=ACTIONS)] * answered,
        Reply(path=ACTIONS, delay_seconds=30, status=None if acts else 503, acts=acts),
    )
    process = runs.process(tmp_path, **settings)
    begun(process)
    arrived = min(500 * (answered + 1), SALES) if acts else 0
    wait_until(lambda: len(posthog.fired()) >= arrived and seen(posthog) > answered)
    killed(process)
    done = runs.process_of(tmp_path, *MESSAGES, **settings)
    assert done.code == 0, done.log
    assert {event["distinct_id"] for event in posthog.fired()} == {f"jane{one}@example.com" for one in range(SALES)}
    assert copies(posthog) <= repeated


def is_made(receipts: Path) -> bool:
    """Say whether a target has opened its receipts: the project is the last thing that it writes then."""
    if not receipts.exists():
        return False
    with contextlib.closing(sqlite3.connect(receipts, isolation_level=None)) as database:
        try:
            return bool(database.execute("SELECT 1 FROM posthog_receipts_project").fetchall())
        except sqlite3.OperationalError:
            return False


def opened(receipts: Path) -> SqliteStore:
    return SqliteStore(str(receipts), hashed_key("phc_sandbox"))


def seen(posthog: PostHog) -> int:
    return sum(ACTIONS in request.path for request in posthog.controls.requests)


def test_a_kill_between_acknowledgement_and_receipt_lets_one_request_cross_twice_and_loses_nothing(
    runs: Runs, posthog: PostHog, tmp_path: Path
) -> None:
    receipts = tmp_path / "receipts.sqlite"
    settings = {**SETTINGS, "receipts": str(receipts)}
    process = runs.process(tmp_path, **settings)
    wait_until(lambda: is_made(receipts))
    store = opened(receipts)
    store.rows("BEGIN IMMEDIATE")  # no other can write
    begun(process)
    wait_until(lambda: len(posthog.fired()) == 500)
    killed(process)
    store.rows("ROLLBACK")
    store.close()
    assert runs.process_of(tmp_path, *MESSAGES, **settings).code == 0
    assert (copies(posthog), len(posthog.fired())) == (500, SALES + 500)


def test_a_kill_between_receipt_and_state_lets_nothing_cross_twice(
    runs: Runs, posthog: PostHog, tmp_path: Path
) -> None:
    receipts = tmp_path / "receipts.sqlite"
    settings = {**SETTINGS, "receipts": str(receipts)}
    store = opened(receipts)
    large = {"type": "STATE", "value": {"bookmarks": {"sales": "1" * 300_000}}}  # more than a pipe holds
    process = runs.process(tmp_path, **settings)
    begun(process, *MESSAGES[:-1], large)
    wait_until(lambda: store.rows("SELECT count(*) FROM posthog_receipts_fact") == [(SALES,)])
    killed(process)
    store.close()
    assert runs.process_of(tmp_path, *MESSAGES, **settings).code == 0
    assert (copies(posthog), len(posthog.fired())) == (0, SALES)


def test_a_kill_after_state_lets_nothing_cross_twice(runs: Runs, posthog: PostHog, tmp_path: Path) -> None:
    settings = {**SETTINGS, "receipts": str(tmp_path / "receipts.sqlite")}
    process = runs.process(tmp_path, **settings)
    begun(process)
    assert process.stdout
    assert process.stdout.readline(), "the STATE"
    killed(process)
    assert runs.process_of(tmp_path, *MESSAGES, **settings).code == 0
    assert copies(posthog) == 0
    assert len(posthog.fired()) == SALES


@pytest.mark.parametrize("seed", range(3))
def test_two_targets_at_once_on_one_database_send_each_event_once(
    runs: Runs, posthog: PostHog, tmp_path: Path, database_of_receipts: str, seed: int
) -> None:
    settings = {**SETTINGS, "receipts": database_of_receipts, "senders": 4}
    posthog.controls.reply_next(*[Reply(path=ACTIONS, delay_seconds=0.2 * (seed + 1))] * 4)
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    processes = [runs.process(folder, **settings) for folder in folders]
    for process in processes:
        begun(process)
    for process in processes:
        process.stdin = None
        _, log = process.communicate(timeout=LONGEST_WAIT_SECONDS)
        assert process.returncode == 0, log
    assert copies(posthog) == 0
    assert len(posthog.fired()) == SALES


def test_an_event_under_the_id_that_another_target_chose_meanwhile_can_be_sent_again(
    runs: Runs, posthog: PostHog, tmp_path: Path, database_of_receipts: str
) -> None:
    settings: dict[str, Any] = {"receipts": database_of_receipts, "validate_records": False, "senders": 1}
    record = order(1, "jane@example.com", cancelled_at="2026-10-03T10:00:00Z")
    store = PostgresStore(database_of_receipts, hashed_key(runs.settings["api_key"]))
    of_another = Fact(b"1" * 16, "Sale", "Sale", "gid://shopify/Order/1", "jnae@example.com", 1, 2, 3)
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with store.claim([of_another], []):
        process = runs.process(tmp_path, **settings)
        begun(process, *SCHEMAS, record)
        wait_until(lambda: bool(store.rows(waiting)))
    process.stdin = None
    _, log = process.communicate(timeout=LONGEST_WAIT_SECONDS)
    assert process.returncode == 0, log
    whose = {event["event"]: event["distinct_id"] for event in posthog.fired() if event["event"] != "$identify"}
    assert whose == dict.fromkeys(("Order Completed", "Order Paid", "Order Cancelled"), "jnae@example.com")
    assert store.mark("kind.event = ?", ["Order Cancelled"], RESEND) == 1
    store.close()
    before = len(posthog.fired())
    assert runs.process_of(tmp_path, *SCHEMAS, record, **settings).code == 0
    assert sorted(event["event"] for event in posthog.fired()[before:]) == ["$identify", "Order Cancelled"]


@pytest.mark.parametrize(("is_refused", "expected"), [(True, "jane@example.com"), (False, "bob@example.com")])
def test_a_target_that_waits_for_another_takes_its_distinct_id_only_if_posthog_got_it(
    database_of_receipts: str, *, is_refused: bool, expected: str
) -> None:
    bobs, janes = (
        Fact(bytes([number] * 16), "Sale", "Sale", "gid://shopify/Order/1", distinct_id, 1, 2, 3)
        for number, distinct_id in enumerate(("bob@example.com", "jane@example.com"))
    )
    store = PostgresStore(database_of_receipts, "key")
    other = PostgresStore(database_of_receipts, "key")
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    taken: list[dict[str, str]] = []

    def take() -> None:
        with other.claim([janes], []) as claim:
            taken.append(claim.distinct_ids)

    thread = threading.Thread(target=take, daemon=True)
    with store.claim([bobs], []) as claim:
        thread.start()
        wait_until(lambda: bool(store.rows(waiting)))
        claim.refused |= {bobs.uuid} if is_refused else set()
    thread.join(LONGEST_WAIT_SECONDS)
    assert taken == [store.look_up({janes.uuid: janes.entity}).distinct_ids] == [{"gid://shopify/Order/1": expected}]
    other.close()
    store.close()


def test_a_target_that_dies_leaves_no_claim_on_a_database(
    runs: Runs, posthog: PostHog, tmp_path: Path, database_of_receipts: str
) -> None:
    settings = {**SETTINGS, "receipts": database_of_receipts}
    posthog.controls.reply_next(Reply(path=ACTIONS, delay_seconds=30, status=503))
    process = runs.process(tmp_path, **settings)
    begun(process)
    wait_until(lambda: seen(posthog) > 0)
    killed(process)
    assert runs.process_of(tmp_path, *MESSAGES, **settings).code == 0
    assert (copies(posthog), len(posthog.fired())) == (0, SALES)


def test_a_database_that_restarts_while_posthog_answers_lets_nothing_cross_twice(
    runs: Runs, posthog: PostHog, tmp_path: Path, database_of_receipts: str
) -> None:
    settings = {**SETTINGS, "receipts": database_of_receipts}
    store = PostgresStore(database_of_receipts, hashed_key("phc_sandbox"))
    posthog.verdicts = {"Sale": [*["ok"] * 7, "drop:event_too_big"]}
    posthog.controls.reply_next(Reply(path=ACTIONS), Reply(path=ACTIONS, delay_seconds=2))
    letters = {"dead_letter_path": str(tmp_path / "letters.jsonl")}
    process = runs.process(tmp_path, **settings, **letters)
    begun(process)
    wait_until(lambda: len(posthog.fired()) == 999)
    ended = store.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database() AND application_name LIKE 'target-posthog%%'"
    )
    assert ended
    process.stdin = None
    _, log = process.communicate(timeout=LONGEST_WAIT_SECONDS)
    assert process.returncode == 0, log
    assert len(posthog.fired()) == SALES - 1
    assert runs.process_of(tmp_path, *MESSAGES, **settings).code == 0
    store.close()
    assert (copies(posthog), len(posthog.fired())) == (0, SALES)


def test_events_that_another_target_has_under_way_are_waited_for_and_then_it_is_named(
    database_of_receipts: str,
) -> None:
    fact = Fact(b"1" * 16, "Sale", "Sale", None, "jane@example.com", 1, 2, 3)
    elsewhere = f"{database_of_receipts}&application_name=target-posthog%20on%20another%2C%20process%207"
    engine = sqlalchemy.create_engine(elsewhere.replace("postgresql:", "postgresql+psycopg:"))
    store = PostgresStore(database_of_receipts, "key", longest_claim_seconds=0.5)
    with store.claim([fact], []) as first:
        assert first.facts == {fact.uuid}
        first.refused.add(fact.uuid)
    columns = "project, uuid, kind, entity, sent_as, at, digest"
    insert = f"INSERT INTO posthog_receipts_fact ({columns}) VALUES (%s, %s, 1, 0, 1, 2, 3)"
    with engine.connect() as other:
        other.exec_driver_sql(insert, (store.project, fact.uuid))
        words = (
            r"`receipts`: target-posthog on another, process 7 \(from .*\) has events under way that this run has, too"
        )
        with pytest.raises(RunError, match=words), store.claim([fact], []):
            pass
        other.commit()
    with store.claim([fact], []) as second:
        assert second.facts == set()
    engine.dispose()
    store.close()
