"""Previews: all that would be sent, in a file."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import logging
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import tracemalloc
import zlib
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from singer_sdk.exceptions import InvalidInputLine

from tap_shopify_orders.records.schema import ORDERS, stream_schema
from target_posthog.delivery.destination import Outcome
from target_posthog.errors import RuleError, RunError
from target_posthog.mapping.meanings import Meanings
from target_posthog.preview.file import PreviewFile, is_preview
from target_posthog.preview.to_file import PreviewDestination
from target_posthog.preview.writer import PreviewWriter
from target_posthog.receipts.sqlite import SqliteStore
from target_posthog.receipts.temporary import TemporaryMapping
from target_posthog.settings import SETTINGS, defaults
from target_posthog.singer.target import MISTAKES, TargetPostHog
from tests.own_process import in_own_process
from tests.target.conftest import MESSAGES, lines
from tests.target.previews import RULES, SALE, SCHEMA, Previews, sale
from tests.waiting import LONGEST_WAIT_SECONDS, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runs
    from sandbox.posthog import PostHog

STATE = {"type": "STATE", "value": {"n": 1}}


@pytest.fixture
def previews(runs: Runs, tmp_path: Path) -> Previews:
    return Previews(runs, tmp_path)


def names_in(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_a_preview_sends_nothing_asks_nothing_and_leaves_no_state(
    previews: Previews, posthog: PostHog, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    plan = previews.make(sale(1, total="0.10"), STATE, sale(2, total="0.20"), STATE)
    assert posthog.controls.requests == []
    assert capsys.readouterr().out == ""
    assert plan["events"]["Sale"]["money"] == {"USD": "0.3"}
    assert "A run would send 2 events, of 2 sales; nothing has been sent" in caplog.text


def test_each_preview_is_whole_and_replaces_the_one_before(previews: Previews) -> None:
    previews.make(sale(1), sale(2))
    assert previews.make(sale(3))["records"] == {"sales": 1}
    assert names_in(previews.path.parent) == [".gitignore", previews.path.name]


def test_the_file_and_its_folder_are_the_owners_alone_and_no_repository_takes_them(previews: Previews) -> None:
    before = os.umask(0o022)
    try:
        previews.make(sale(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE(previews.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(previews.path.parent.stat().st_mode) == 0o700
    assert (previews.path.parent / ".gitignore").read_text() == "*\n"


def test_the_file_holds_what_the_contract_of_its_readers_says(previews: Previews) -> None:
    previews.make(sale(1, total="5.10"), sale(2, total="0"))
    assert dict(previews.rows("SELECT key, value FROM meta")).keys() >= {"format", "made_at", "mapping", "identity"}
    assert previews.rows("SELECT id, stream, name, key_name, key, left_out, undeliverable FROM record") == [
        (1, "sales", "id=sha256:6b86b273ff34", "id=sha256:6b86b273ff34", "[1]", None, None),
        (2, "sales", "id=sha256:d4735e3a265e", "id=sha256:d4735e3a265e", "[2]", "gifts", None),
    ]
    assert previews.rows(
        "SELECT record, rule, event, distinct_id, day, historical, identified, amount, currency FROM event"
    ) == [(1, "Sale", "Sale", "jane1@example.com", "2026-11-01", 1, 1, "5.1", "USD")]
    ((body, explanation, personal),) = previews.rows("SELECT body, explanation, personal FROM record WHERE id = 1")
    assert json.loads(zlib.decompress(body)) == sale(1, total="5.10")["record"]
    assert [one["rule"] for one in json.loads(zlib.decompress(explanation))] == ["gifts", "Sale"]
    assert json.loads(zlib.decompress(personal))["jane1@example.com"].startswith("email-")
    ((body,),) = previews.rows("SELECT body FROM event")
    assert json.loads(zlib.decompress(body))["properties"]["revenue"] == 5.1


def test_an_event_that_posthog_would_take_for_an_earlier_one_counts_once_and_the_last_stays(previews: Previews) -> None:
    plan = previews.make(sale(1, total="5"), sale(2, total="1"), sale(1, total="7"))
    assert (plan["events"]["Sale"]["count"], plan["events"]["Sale"]["repeated"]) == (2, 1)
    assert plan["money"] == {"USD": {"Sale": "8"}}


def test_with_receipts_a_record_that_is_read_twice_is_one_event_to_send(previews: Previews, tmp_path: Path) -> None:
    plan = previews.make(sale(1, total="5"), sale(1, total="5"), receipts=str(tmp_path / "receipts.sqlite"))
    event = plan["events"]["Sale"]
    assert (event["count"], event["repeated"], event.get("there", 0)) == (1, 1, 0)
    assert plan["money"] == {"USD": {"Sale": "5"}}


def order(number: int) -> dict[str, Any]:
    """Return an order of one buyer, with a ledger."""
    at = "2026-10-05T10:00:00Z"
    sold = {"line_type": "product", "action_type": "order", "total_amount": "10.00", "total_tax_amount": "0.00"}
    sold |= {"total_discount_amount_before_taxes": "0.00"}
    ledger = [{"id": number, "kind": "OrderAgreement", "happened_at": at, "sales": [sold]}]
    record = {"shop": "my-store.myshopify.com", "shop_id": 548380009, "id": number, "name": f"#{number}", "test": False}
    record |= {"email": "jane@example.com", "currency": "USD", "agreements": ledger}
    record |= dict.fromkeys(("created_at", "processed_at", "updated_at"), at)
    return {"type": "RECORD", "stream": "orders", "record": record}


def peak_bytes(orders: int, settings: dict[str, Any]) -> int:
    """Return the most memory that Python had while so many orders were previewed."""
    target = TargetPostHog(config=settings)
    schema = {
        "type": "SCHEMA",
        "stream": "orders",
        "key_properties": ["shop_id", "id"],
        "schema": stream_schema(ORDERS),
    }
    file = io.StringIO(lines(schema, *(order(number) for number in range(orders)), STATE))
    gc.collect()
    tracemalloc.start()
    target.listen(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def peaks_bytes(few: int, many: int, settings: dict[str, Any]) -> tuple[int, int]:
    """Return the most memory for a few orders, and for many."""
    gc.set_threshold(500, 5, 5)  # else what waits to be collected is more than what is kept
    peak_bytes(few, settings)  # what is loaded and compiled once
    return peak_bytes(few, settings), peak_bytes(many, settings)


def test_a_preview_of_many_orders_takes_hardly_more_memory_than_one_of_few(runs: Runs, tmp_path: Path) -> None:
    few, many = 50, 400
    paths = {name: str(tmp_path / f"{name}.sqlite") for name in ("preview_path", "receipts")}
    of_few, of_many = in_own_process(peaks_bytes, few, many, {**runs.settings, **paths})
    assert of_many - of_few < 150 * (many - few)


LETS_GO = """
import threading
from target_posthog.receipts.temporary import TemporaryMapping
kept = [TemporaryMapping(bool)]
thread = threading.Thread(target=kept.clear)
thread.start()
thread.join()
"""


def test_what_a_preview_remembered_can_be_let_go_of_by_any_thread() -> None:
    done = subprocess.run([sys.executable, "-c", LETS_GO], capture_output=True, timeout=LONGEST_WAIT_SECONDS)
    assert (done.returncode, done.stderr) == (0, b"")


def test_what_a_preview_remembers_is_as_in_a_dict_and_a_full_disk_is_named() -> None:
    kept: TemporaryMapping[tuple[str, ...]] = TemporaryMapping(tuple[str, ...])
    kept[b"1"], kept["two"] = ("a", "b"), ()
    kept[b"1"] = ("c",)
    assert (kept[b"1"], kept.get("two"), kept.get("three"), sorted(map(str, kept))) == (
        ("c",),
        (),
        None,
        ["b'1'", "two"],
    )
    del kept["two"]
    with pytest.raises(KeyError):
        del kept["two"]
    assert dict(kept) == {b"1": ("c",)}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        with pytest.raises(RunError, match=r"TMPDIR, says .*; make room there"):
            kept.update({str(number): ("x" * 1_000,) for number in range(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_records_without_a_key_are_not_taken_for_one(previews: Previews) -> None:
    keyless = {**SCHEMA, "stream": "visits", "key_properties": []}
    visits = [{**sale(number), "stream": "visits"} for number in (1, 2)]
    previews.make(keyless, *visits, mappings={"visits": [SALE]})
    with closing(PreviewFile(str(previews.path))) as file:
        assert [len(versions) for versions in file.by_key("visits")] == [1, 1]


def test_what_would_end_a_run_is_in_the_plan_and_the_rest_is_still_seen(previews: Previews) -> None:
    future = (datetime.now(timezone.utc) + timedelta(hours=30)).isoformat()
    plan = previews.make(
        sale(1, email="guest"),
        sale(2, total="five"),
        sale(3, created_at=future),
        sale(4, note="x" * 1_000_000),
        sale("five"),  # type: ignore[arg-type]  # against the schema
        {"type": "RECORD", "stream": "sales", "record": {"created_at": "2026-11-01T00:00:00Z"}},
        sale(6),
    )
    reasons = {one["examples"][0]: one["reason"] for one in plan["undeliverable"]}
    assert "no candidate of `distinct_id` gives an id that PostHog accepts" in reasons["id=sha256:6b86b273ff34"]
    assert "number() needs a number" in reasons["id=sha256:d4735e3a265e"]
    assert "larger than PostHog takes" in reasons["id=sha256:4b227777d4dd"]
    assert "`id` isn't as the stream's schema says" in reasons["id=sha256:222b0bd51fce"]
    assert reasons["without a key"] == "`id`, of the stream's key, is missing"
    assert plan["events"]["Sale"]["count"] == 2, "a future time is for PostHog to judge, by its protocol"


def test_a_group_is_described_once(previews: Previews) -> None:
    rule = {
        "event": "$groupidentify",
        "groups": {"shop": "note"},
        "distinct_id": "note",
        "timestamp": "created_at",
        "key": ["note"],
    }
    plan = previews.make(sale(1, note="s"), sale(2, note="s"), mappings={"sales": [SALE, rule]})
    assert {name: one["count"] for name, one in plan["events"].items()} == {"$groupidentify": 1, "Sale": 2}


def test_records_of_a_stream_without_rules_are_seen_too(previews: Previews) -> None:
    plan = previews.make(sale(1), mappings={})
    assert plan["events"]["sales"]["anonymous"] == 1
    assert previews.make(sale(1), mappings={}, unmapped="ignore")["without_events"] == {"sales": 1}


def test_a_name_with_rules_that_no_stream_has_is_in_the_plan(previews: Previews) -> None:
    plan = previews.make(sale(1), mappings={"sale": [{"leave_out": "gifts", "when": "total == '0'"}]})
    sentence = "No stream of this run has the name for which you have rules: `sale`; did you mean `sales`?"
    assert sentence in [one["text"] for one in plan["warnings"]]
    assert f"warning: {sentence}" in previews.command("plan")


def test_a_run_that_fails_leaves_the_preview_before_it_as_it_was(
    previews: Previews, caplog: pytest.LogCaptureFixture
) -> None:
    previews.make(sale(1))
    with pytest.raises(InvalidInputLine):
        previews.make(sale(2), {"type": "RECORDS"})
    assert previews.plan()["records"] == {"sales": 1}
    assert previews.rows("SELECT name FROM record") == [("id=sha256:6b86b273ff34",)]
    assert "The preview isn't finished" in caplog.text
    assert names_in(previews.path.parent) == [".gitignore", previews.path.name]


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "The tap has sent nothing"),  # a wrong token, such as
        ([SCHEMA, sale(2), STATE, sale(3)], "The tap has broken off"),
        ([SCHEMA, sale(2), STATE, '{"type": "RECORD", "stre'], "is no Singer message"),
    ],
    ids=["nothing", "killed", "killed within a line"],
)
def test_a_tap_that_breaks_off_leaves_the_earlier_preview(
    previews: Previews, runs: Runs, tmp_path: Path, messages: list[Any], said: str
) -> None:
    previews.make(sale(1), STATE)
    process = runs.process(tmp_path, mappings={"sales": RULES}, preview_path=str(previews.path))
    lines = (one if isinstance(one, str) else json.dumps(one) + "\n" for one in messages)
    _, log = process.communicate("".join(lines), timeout=LONGEST_WAIT_SECONDS)
    assert process.returncode == 1
    assert said in log
    assert "Traceback" not in log
    assert previews.rows("SELECT name FROM record") == [("id=sha256:6b86b273ff34",)]
    assert names_in(previews.path.parent) == [".gitignore", previews.path.name]


def test_a_preview_that_is_told_to_stop_leaves_nothing_behind(runs: Runs, tmp_path: Path) -> None:
    path = tmp_path / "shown" / "preview.sqlite"
    process = runs.process(tmp_path, mappings={"sales": RULES}, preview_path=str(path))
    assert process.stdin
    process.stdin.write(json.dumps(SCHEMA) + "\n" + json.dumps(sale(1)) + "\n")
    process.stdin.flush()
    wait_until(lambda: list(tmp_path.glob("shown/*.unfinished")))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LONGEST_WAIT_SECONDS)
    assert names_in(path.parent) == [".gitignore"]


@pytest.mark.parametrize("path", sorted(MESSAGES.glob("*.jsonl")), ids=lambda one: one.stem)
def test_whatever_taps_write_is_previewed_or_gets_a_sentence(tmp_path: Path, path: Path) -> None:
    target = TargetPostHog(config={"preview_path": str(tmp_path / "preview.sqlite")})
    with path.open("rb") as file, contextlib.suppress(*MISTAKES):
        target.listen(file)  # type: ignore[arg-type]  # as lines
    assert names_in(tmp_path) in ([], ["preview.sqlite"])


@pytest.mark.parametrize("path", ["/dev/null/preview.sqlite", "/proc/preview.sqlite"])
def test_a_file_that_cannot_be_written_is_named(path: str) -> None:
    with pytest.raises(RunError, match=f"`preview_path`: the file {path} can't be written"):
        TargetPostHog(config={"preview_path": path})


def test_a_file_that_is_no_preview_is_not_replaced(previews: Previews, tmp_path: Path) -> None:
    receipts = tmp_path / "receipts.sqlite"
    SqliteStore(str(receipts), "key").close()
    text = tmp_path / "notes.txt"
    text.write_text("not to be lost")
    for path in (receipts, text):
        before = path.read_bytes()
        with pytest.raises(RunError, match=f"`preview_path`: {path} is there already, and is no preview; name another"):
            previews.runs.here(SCHEMA, sale(1), preview_path=str(path), mappings={"sales": RULES}, api_key=None)
        assert path.read_bytes() == before
    (tmp_path / "empty").touch()
    previews.runs.here(SCHEMA, sale(1), preview_path=str(tmp_path / "empty"), mappings={"sales": RULES}, api_key=None)
    assert is_preview(tmp_path / "empty")


def test_a_disk_that_fills_up_ends_the_preview_with_a_sentence_and_leaves_the_earlier_one(previews: Previews) -> None:
    previews.make(sale(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(RunError, match=r"`preview_path`: the file .* can't be written"):
            previews.make(*(sale(number, note=random.Random(number).randbytes(5_000).hex()) for number in range(2_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert previews.plan()["records"] == {"sales": 1}
    assert names_in(previews.path.parent) == [".gitignore", previews.path.name]


def test_a_pipe_without_meltano_needs_one_setting(tmp_path: Path) -> None:
    path = tmp_path / "preview.sqlite"
    done = subprocess.run(
        ["target-posthog", "--config=ENV"],
        input=json.dumps(SCHEMA) + "\n" + json.dumps(sale(1)) + "\n",
        env={**os.environ, "TARGET_POSTHOG_PREVIEW_PATH": str(path)},
        capture_output=True,
        text=True,
        timeout=LONGEST_WAIT_SECONDS,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "A run would send 1 events" in done.stderr
    printed = subprocess.run(
        ["target-posthog", "plan", "--preview-path", str(path)],
        capture_output=True,
        text=True,
        timeout=LONGEST_WAIT_SECONDS,
    )
    assert "A run would send 1 events" in printed.stdout


@pytest.mark.parametrize(
    ("name", "kind", "value"), [("MAX_RETRY_SECONDS", "integer", "many"), ("MAPPINGS", "object", "{")]
)
def test_a_variable_of_another_kind_gets_a_sentence_and_an_empty_one_is_none(
    tmp_path: Path, name: str, kind: str, value: str
) -> None:
    path = tmp_path / "preview.sqlite"

    def run(value: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["target-posthog", "--config=ENV"],
            input=json.dumps(SCHEMA) + "\n" + json.dumps(sale(1)) + "\n",
            env={**os.environ, "TARGET_POSTHOG_PREVIEW_PATH": str(path), f"TARGET_POSTHOG_{name}": value},
            capture_output=True,
            text=True,
            timeout=LONGEST_WAIT_SECONDS,
            check=False,
        )

    assert run("").returncode == 0
    wrong = run(value)
    assert wrong.returncode == 1
    assert f"TARGET_POSTHOG_{name} in the environment needs a value of type `{kind}`" in wrong.stderr
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "records: {sales: {name: 'id['}}",
            r"`records` of the mapping, stream `sales`, `name`: `id\[` is no JMESPath",
        ),
        ("records: {sales: {find: id}}", "`find` is a list of expressions"),
        ("records: {sales: id}", "`mapping`: each entry in `records` of .* needs an object"),
        ("glossary: {total: a number}", "`mapping`: each entry in `glossary` of .* needs an object"),
        ("money: [revenue]", "`mapping`: `money` of .* needs an object"),
        ("money: {revenue: [USD]}", "`mapping`: `money` names properties"),
    ],
)
def test_a_mistake_in_a_mapping_file_is_found_before_any_record(
    previews: Previews, tmp_path: Path, said: str, sentence: str
) -> None:
    mapping = tmp_path / "own.yaml"
    mapping.write_text(said)
    with pytest.raises(RuleError, match=sentence):
        previews.make(mapping=str(mapping))


def test_a_mapping_says_which_properties_hold_money(previews: Previews, tmp_path: Path) -> None:
    mapping = tmp_path / "own.yaml"
    mapping.write_text("money: {paid: currency}")
    rule = {**SALE, "properties": {"paid": "total", "currency": "'EUR'"}}
    plan = previews.make(sale(1, total="0.1"), sale(2, total="0.2"), mapping=str(mapping), mappings={"sales": [rule]})
    assert plan["money"] == {"EUR": {"Sale": "0.3"}}


def test_a_disk_that_is_full_from_the_start_is_named_with_the_setting(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(RunError, match=r"`preview_path`: the file .* can't be written"):
            PreviewWriter(str(tmp_path / "preview.sqlite"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Sales:
    """A stream without rules, as a destination knows it."""

    stream_name = "sales"
    key_properties = ("id",)
    original_schema: ClassVar[dict[str, Any]] = {}
    explainer = None
    missing = ()
    is_left_out = True

    def silences(self) -> tuple[()]:
        return ()


@pytest.mark.parametrize("seconds", [0, 3600])
def test_a_preview_says_now_and_then_how_far_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    caplog.set_level(logging.INFO)
    meanings = Meanings({**defaults(SETTINGS), "mapping": "none"})
    path = tmp_path / "preview.sqlite"
    preview = PreviewDestination({"preview_path": str(path)}, meanings, version="1", seconds_between_progress=seconds)
    for number in range(2):
        preview.take(Sales(), {"id": number}, Outcome())
    preview.end()
    told = [line for line in caplog.messages if line.endswith("so far")]
    steps = [
        "1 records looked at",
        "2 records looked at",
        "1 of 2 records are in the plan",
        "2 of 2 records are in the plan",
    ]
    assert told == ([f"{step} so far" for step in steps] if seconds == 0 else [])
