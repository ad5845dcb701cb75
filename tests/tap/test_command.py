"""The command: what a user's mistake is answered with, what each option does, and how a run that is ended ends."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.controls import Reply
from sandbox.shop import Shop
from tests.waiting import LONGEST_WAIT_SECONDS, wait_until

from .conftest import Run, queries, read, settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STATE = {"bookmarks": {"orders": {"replication_key": "updated_at", "replication_key_value": "2026-06-01T00:00:00Z"}}}
WITHIN = {"email": None, "address": {"city": None}}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"access_token": "shpat_wrong"}, "check the setting `access_token`"),
        ({"admin_url": "http://127.0.0.1:9/admin"}, "`admin_url`"),
        ({"admin_url": "http://shop.example/admin"}, "The setting `admin_url` has to begin with https://"),
        ({"store": "my store"}, "The setting `store` isn't a Shopify store: write it as my-store,"),
        ({"store": None}, "The setting `store` is missing"),
        ({"access_token": None}, "The credentials are missing: set `access_token`, or `client_id` and `client_secret`"),
        ({"start_date": "yesterday"}, "The setting `start_date` isn't a time: write it as 2026-01-01"),
        ({"start_date": "2999-01-01"}, "The setting `start_date` is in the future, so nothing would be read"),
        ({"start_date": "2026-02-01", "end_date": "2026-01-01"}, "`start_date` isn't before `end_date`"),
        ({"acces_token": "x"}, "There is no setting `acces_token`: did you mean `access_token`?"),
        ({"colour": "x"}, "There is no setting `colour`: there are `store`"),
        ({"lookback_seconds": 10**12}, "`maximum` `315360000`"),
        ({"stream_maps": {"customer": {"email": "md5(email)"}}}, "no stream `customer`: did you mean `customers`?"),
        ({"stream_maps": {"buyers": {"__source__": "customer"}}}, "no stream `customer`: did you mean `customers`?"),
        ({"stream_maps": ["x"]}, "The setting `stream_maps` needs a value of type `object`."),
        ({"stream_maps": {"customers": 5}}, "`stream_maps`: `customers` needs an object or null."),
        ({"stream_maps": {"customers": {"note": ["x"]}}}, "`stream_maps`: `customers.note` needs a text or null."),
        ({"stream_maps": {"customers": {"note": ""}}}, "`stream_maps`: `customers.note` needs a text or null."),
        ({"stream_maps": {"customers": {"__else__": "x"}}}, "`stream_maps`: `customers.__else__` needs null."),
        ({"stream_maps": {"customers": {"__alias__": None}}}, "`stream_maps`: `customers.__alias__` needs a text."),
        ({"stream_maps": {"x": {"__source__": 5}}}, "`stream_maps`: `x.__source__` needs a text."),
        (
            {"stream_maps": {"orders": {"__key_properties__": "id"}}},
            "`orders.__key_properties__` needs a list of texts or",
        ),
        ({"stream_maps": {"__else__": "x"}}, "`stream_maps`: `__else__` needs null."),
        (
            {"stream_maps": {"customers": WITHIN}},
            "`customers.address` needs a text or null: a stream map names top-level",
        ),
        ({"accept": ["everything"]}, "`partial_history`, `denied_fields`, `api_version`, `no_ledger`"),
    ],
    ids=lambda one: str(one)[:40],
)
def test_a_mistake_gets_a_sentence_with_the_setting_and_the_remedy(
    shop: Shop, command: Callable[..., Run], wrong: dict[str, Any], sentence: str
) -> None:
    config = {name: value for name, value in {**settings(shop), **wrong}.items() if value is not None}
    run = command(config, state=STATE)
    assert run.code == 1
    assert sentence in run.log
    assert "Traceback" not in run.log
    assert len([line for line in run.log.splitlines() if "ERROR" in line and "Config validation" not in line]) == 1
    assert run.messages == []
    assert "shpat_" not in run.log


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("1 +", "Failed to parse expression 1 +."),
        ("int(email)", "A stream map of customers can't take the record with the id 7"),
    ],
)
def test_a_stream_map_that_fails_gets_a_sentence_that_quotes_no_record(
    shop: Shop, command: Callable[..., Run], expression: str, sentence: str
) -> None:
    run = command(settings(shop, stream_maps={"customers": {"email": expression}}))
    assert run.code == 1
    assert sentence in run.log
    assert "Traceback" not in run.log
    assert "@example" not in run.log
    assert dict(run.records) == {}


@pytest.mark.parametrize("name", ["customers", "cust*", "__else__"])
def test_a_stream_map_of_a_stream_that_there_is_is_none_of_the_mistakes(
    shop: Shop, command: Callable[..., Run], name: str
) -> None:
    stream_map = None if name == "__else__" else {"email": "'hidden'"}
    run = command(settings(shop, stream_maps={name: stream_map}))
    assert run.code == 0, run.log
    assert "@" not in "".join(str(one["email"]) for one in run.records["customers"])


def test_a_setting_that_is_null_has_its_default(shop: Shop, command: Callable[..., Run]) -> None:
    nothing = dict.fromkeys(("lookback_seconds", "look_again_days", "attribution_hours", "method", "accept", "money"))
    run = command({**settings(shop), **nothing}, state=STATE)
    assert run.code == 0, run.log
    assert run.orders


def test_an_unknown_store_gets_a_sentence(shop: Shop, command: Callable[..., Run]) -> None:
    shop.controls.reply_next(Reply(status=404, body='{"errors": "Not Found"}'))
    run = command(settings(shop), state=STATE)
    assert (run.code, run.messages) == (1, [])
    assert "has no Admin API here: check the settings `store` and `admin_url`" in run.log


def test_settings_come_from_the_environment(shop: Shop, command: Callable[..., Run]) -> None:
    env = {f"TAP_SHOPIFY_ORDERS_{name.upper()}": value for name, value in settings(shop).items()}
    run = command(None, "--config=ENV", env={**env, "TAP_SHOPIFY_ORDERS_ACCEPT": '["denied_fields"]'})
    assert run.code == 0
    assert len(run.orders) == len(shop.store.orders)


def test_an_empty_variable_is_none_and_a_wrong_one_gets_a_sentence(shop: Shop, command: Callable[..., Run]) -> None:
    env = {f"TAP_SHOPIFY_ORDERS_{name.upper()}": value for name, value in settings(shop).items()}
    empty = {"TAP_SHOPIFY_ORDERS_STORES": "", "TAP_SHOPIFY_ORDERS_LOOKBACK_SECONDS": ""}
    assert command(None, "--config=ENV", env={**env, **empty}).code == 0
    for name, kind, value in (("LOOKBACK_SECONDS", "integer", "1h"), ("STORES", "array", "acme")):
        run = command(None, "--config=ENV", env={**env, f"TAP_SHOPIFY_ORDERS_{name}": value})
        assert (run.code, run.messages) == (1, [])
        assert f"TAP_SHOPIFY_ORDERS_{name} in the environment needs a value of type `{kind}`" in run.log
        assert "Traceback" not in run.log


def test_the_opening_block_says_what_is_granted(shop: Shop, command: Callable[..., Run]) -> None:
    log = command(settings(shop)).log
    for words in ("Sandbox Records (sandbox.myshopify.com)", "America/New_York", "USD", "2026-10, served 2026-10"):
        assert words in log
    assert f"customers  {len(shop.store.customers)}" in log
    assert f"orders  {len(shop.store.orders)}" in log
    assert "read_all_orders read_customers read_orders" in log


def test_a_run_ends_with_what_it_read_and_what_that_took(shop: Shop, command: Callable[..., Run]) -> None:
    log = command(settings(shop)).log
    last = log.splitlines()[-1]
    assert f"Read {len(shop.store.customers)} customers, {len(shop.store.orders)} orders, with " in last
    assert f"with {len(queries(shop))} queries of " in last


def test_lines_for_the_sdks_developers_are_left_to_debug(shop: Shop, command: Callable[..., Run]) -> None:
    quiet = command(settings(shop)).log
    assert [line for line in quiet.splitlines() if "METRIC" in line or "Skipping parse" in line] == []
    assert "METRIC" in command(settings(shop), env={"TAP_SHOPIFY_ORDERS_LOGLEVEL": "DEBUG"}).log


def test_discovery_needs_no_settings(command: Callable[..., Run]) -> None:
    assert command(None, "--discover").code == 0


def test_discovery_with_a_stream_map_that_is_none_gets_a_sentence(command: Callable[..., Run]) -> None:
    run = command({"stream_maps": {"customers": WITHIN}}, "--discover")
    assert (run.code, run.messages) == (1, [])
    assert "`customers.address` needs a text or null: a stream map names top-level fields only." in run.log
    assert "Traceback" not in run.log


def test_about_names_the_version_and_marks_secrets(command: Callable[..., Run]) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "tap_shopify_orders", "--about", "--format=json"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    about = json.loads(made.stdout)
    properties = about["settings"]["properties"]
    assert about["version"] != "[could not be detected]"
    assert "batch" not in about["capabilities"]
    assert {name for name, one in properties.items() if one.get("secret")} == {"access_token", "client_secret"}
    assert [name for name, one in properties.items() if not one.get("description")] == []
    assert command(None, "--version").code == 0


def test_the_test_option_looks_and_reads_nothing(shop: Shop, command: Callable[..., Run]) -> None:
    run = command(settings(shop), "--test")
    assert (run.code, run.messages) == (0, [])
    assert "What the store grants" in run.log
    refused = command(settings(shop, access_token="shpat_wrong"), "--test")
    assert refused.code == 1
    assert "Traceback" not in refused.log


def test_the_test_option_names_a_missing_setting(command: Callable[..., Run]) -> None:
    run = command({"access_token": "shpat_x"}, "--test")
    assert run.code == 1
    assert "The setting `store` is missing" in run.log
    assert "Traceback" not in run.log


def test_what_ends_a_run_stands_alone_when_meltano_has_python_warn_of_open_files(
    command: Callable[..., Run], tmp_path: Path
) -> None:
    (tmp_path / "catalog.json").write_text('{"streams": []}')
    run = command({}, "--test", "--catalog", str(tmp_path / "catalog.json"), state={}, env={"PYTHONWARNINGS": "once"})
    assert run.code == 1
    assert [line for line in run.log.splitlines() if "| ERROR" not in line] == []


def test_the_test_option_takes_no_other_word(shop: Shop, command: Callable[..., Run]) -> None:
    run = command({"stores": [settings(shop)]}, "--test=records")
    assert run.code == 1
    assert "`--test` looks at what each store grants" in run.log
    assert "Traceback" not in run.log


def test_the_schema_test_option_writes_schemas_only(shop: Shop, command: Callable[..., Run]) -> None:
    run = command(settings(shop), "--test=schema")
    assert [one["type"] for one in run.messages] == ["SCHEMA", "SCHEMA", "SCHEMA"]


def wait_until_full(pipe: int) -> None:
    """Leave its writer in the middle of a line, where an interrupted write would cut it; `pipe` is its end, copied."""
    wait_until(lambda: not select.select([], [pipe], [], 0)[1])
    os.close(pipe)


def started(shop: Shop, folder: Path) -> tuple[subprocess.Popen[bytes], int, int]:
    """The tap as a process, and both ends of the pipe that it writes to."""
    (folder / "config.json").write_text(json.dumps(settings(shop)))
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "tap_shopify_orders", "--config", str(folder / "config.json")]
    return subprocess.Popen(command, stdout=writing, stderr=subprocess.DEVNULL), reading, writing


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_ended_process_leaves_whole_lines_and_a_state_to_go_on_from(
    shop: Shop, tmp_path: Path, number: signal.Signals
) -> None:
    process, reading, writing = started(shop, tmp_path)
    lines = []
    with os.fdopen(reading, "rb") as output:
        for line in output:
            lines.append(json.loads(line))
            if len(lines) == 60:
                wait_until_full(writing)
                process.send_signal(number)
                time.sleep(0.2)
    assert process.wait(LONGEST_WAIT_SECONDS) == 128 + number
    first = Run(lines)
    assert lines[-1]["type"] == "STATE"
    rest = read(shop, first.state)
    assert {*first.orders, *rest.orders} == {one["name"] for one in shop.store.orders}
    assert not set(first.orders) & set(rest.orders)


def test_a_run_with_nothing_new_ends_with_a_state_as_any_other(shop: Shop, command: Callable[..., Run]) -> None:
    first = command(settings(shop))
    again = command(settings(shop), state=first.state)
    assert again.code == 0
    assert [one for one in again.messages if one["type"] == "RECORD"] == []
    assert again.messages[-1]["type"] == "STATE", "else a reader can't tell that it wasn't cut short"


def test_the_second_signal_ends_a_run_that_the_target_holds_up(shop: Shop, tmp_path: Path) -> None:
    process, reading, writing = started(shop, tmp_path)
    with os.fdopen(reading, "rb") as output:
        output.readline()
        wait_until_full(writing)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None, "it finishes its line, if it can"
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONGEST_WAIT_SECONDS) == 128 + signal.SIGTERM


def test_a_target_that_goes_away_gets_a_sentence(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(settings(shop)))
    process = subprocess.Popen(
        [sys.executable, "-m", "tap_shopify_orders", "--config", str(tmp_path / "config.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    log = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(LONGEST_WAIT_SECONDS) == 1
    assert "The target stopped reading;" in log
    assert "Traceback" not in log


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_to_wait_for_points_is_part_of_every_day(shop: Shop, command: Callable[..., Run], level: str) -> None:
    with Shop(shop.store, maximum_available=1_000, restore_rate=5_000).serve() as small:
        run = command(settings(small), env={"TAP_SHOPIFY_ORDERS_LOGLEVEL": level})
        assert run.code == 0
        assert set(run.orders) == {one["name"] for one in small.store.orders}
    assert ("Shopify throttles. Asking again in" in run.log) == (level == "DEBUG")
    assert "WARNING" not in run.log
