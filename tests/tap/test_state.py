"""What is given as a state and shouldn't, one file of `states/` per case: a sentence and no message, or it is taken."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tap_shopify_orders.command import json_object
from tap_shopify_orders.errors import RunError

from .conftest import Run, read, settings, tap_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STATES = Path(__file__).parent / "states"
STORE = cdnow_store(date(2026, 10, 31), customers=6)
SINCE_JUNE = 22  # of the store's 35 orders, as many have changed since June 1, less the lookback
NO_OBJECT = "isn't a JSON object: "
NO_STATE = "The state isn't as this tap writes it: "
NO_BOOKMARK = "The state's bookmark of orders isn't as this tap writes it: "
NO_TIME = f"{NO_BOOKMARK}Expected a time such as 2026-01-01T12:00:00Z, not before 2006 - at `$.replication_key_value`"
IN_SHOP, IN_OPERATION = "$.partitions[0]", "$.partitions[0].bulk[0]"

REFUSED = {
    "a_bookmark_of_another_key": f"{NO_BOOKMARK}Expected `str` matching regex '^updated_at$'",
    "a_bookmark_that_is_a_list": f"{NO_BOOKMARK}Expected `object`, got `array`",
    "a_bookmark_that_is_a_text": "The state's bookmark of customers isn't as this tap writes it: Expected `object`",
    "a_bookmark_that_is_null": f"{NO_BOOKMARK}Expected `object`, got `null`",
    "a_context_that_is_a_text": f"{NO_BOOKMARK}Expected `object`, got `str` - at `{IN_SHOP}.context`",
    "a_context_without_a_shop": f"{NO_BOOKMARK}Object missing required field `shop_id`",
    "a_fingerprint_that_is_a_number": f"{NO_BOOKMARK}Expected `str`, got `int` - at `{IN_SHOP}.known[...]`",
    "a_first_start_date_that_is_none": f"{NO_BOOKMARK}Expected a time such as 2026-01-01T12:00:00Z, not before 2006",
    "a_key_that_is_a_number": f"{NO_BOOKMARK}Expected `str`, got `int` - at `$.replication_key`",
    "a_list": f"{NO_OBJECT}Expected `object`, got `array`",
    "a_log_line_before_it": NO_OBJECT,
    "a_message_instead_of_its_value": f"{NO_STATE}Object missing required field `bookmarks`",
    "a_number": f"{NO_OBJECT}Expected `object`, got `int`",
    "a_partition_that_is_a_text": f"{NO_BOOKMARK}Expected `object`, got `str` - at `{IN_SHOP}`",
    "a_partition_without_a_context": f"{NO_BOOKMARK}Object missing required field `context`",
    "a_shop_that_is_a_text": f"{NO_BOOKMARK}Expected `int`, got `str` - at `{IN_SHOP}.context.shop_id`",
    "a_shop_twice": "The state's bookmark of orders names a shop twice",
    "a_text": f"{NO_OBJECT}Expected `object`, got `str`",
    "a_time_before_there_were_shops": NO_TIME,
    "a_time_beyond_the_calendar": NO_TIME,
    "a_time_in_the_far_future": "The state's bookmark of orders is 2999-01-01T00:00:00Z, but in the shop it is 20",
    "a_time_in_the_far_future_of_a_shop": "bookmark of orders is 2999-01-01T00:00:00Z, but in the shop it is 20",
    "a_time_that_is_a_list": NO_TIME,
    "a_time_that_is_a_number": NO_TIME,
    "a_time_that_is_empty": NO_TIME,
    "a_time_that_is_none": NO_TIME,
    "a_time_that_is_not_in_the_calendar": NO_TIME,
    "a_time_that_is_null": "The state's bookmark of customers isn't as this tap writes it: Expected a time such as",
    "an_empty_file": NO_OBJECT,
    "an_operation_of_another_kind": f"{NO_BOOKMARK}Expected `str` matching regex '^(gid://shopify/BulkOperation/",
    "an_operation_that_is_a_number": f"{NO_BOOKMARK}Expected `str`, got `int` - at `{IN_OPERATION}.operation`",
    "an_operation_that_is_a_text": f"{NO_BOOKMARK}Expected `object`, got `str` - at `{IN_OPERATION}`",
    "an_operation_with_a_query_that_is_null": f"{NO_BOOKMARK}Expected `str`, got `null` - at `{IN_OPERATION}.asks`",
    "an_operation_with_an_end_that_is_no_time": f"not before 2006 - at `{IN_OPERATION}.until`",
    "an_operation_with_an_end_that_is_null": f"not before 2006 - at `{IN_OPERATION}.until`",
    "an_operation_without_an_end": f"{NO_BOOKMARK}Object missing required field `until` - at `{IN_OPERATION}`",
    "another_shop_s_time_that_is_none": "not before 2006 - at `$.partitions[1].replication_key_value`",
    "another_tap_s_bookmarks": "The state is another tap's: it has no bookmark of customers or orders",
    "as_meltano_prints_it": f"{NO_STATE}Object missing required field `bookmarks`",
    "bookmarks_that_are_a_list": f"{NO_STATE}Expected `object`, got `array` - at `$.bookmarks`",
    "bookmarks_that_are_a_text": f"{NO_STATE}Expected `object`, got `str` - at `$.bookmarks`",
    "bookmarks_that_are_null": f"{NO_STATE}Expected `object`, got `null` - at `$.bookmarks`",
    "bytes_that_are_no_text": f"{NO_OBJECT}it isn't text",
    "fingerprints_that_are_a_list": f"{NO_BOOKMARK}Expected `object`, got `array` - at `{IN_SHOP}.known`",
    "fingerprints_that_are_null": f"{NO_BOOKMARK}Expected `object`, got `null` - at `{IN_SHOP}.known`",
    "half_a_state": NO_OBJECT,
    "nested_too_deeply": f"{NO_OBJECT}it isn't text, or it is nested too deeply",
    "not_a_number": NO_OBJECT,
    "null": f"{NO_OBJECT}Expected `object`, got `null`",
    "operations_that_are_an_object": f"{NO_BOOKMARK}Expected `array`, got `object` - at `{IN_SHOP}.bulk`",
    "operations_that_are_null": f"{NO_BOOKMARK}Expected `array`, got `null` - at `{IN_SHOP}.bulk`",
    "partitions_that_are_an_object": f"{NO_BOOKMARK}Expected `array`, got `object` - at `$.partitions`",
    "partitions_that_are_null": f"{NO_BOOKMARK}Expected `array`, got `null` - at `$.partitions`",
    "progress_that_is_a_text": f"{NO_BOOKMARK}Expected `object`, got `str` - at `$.progress_markers`",
    "settings_instead_of_a_state": f"{NO_STATE}Object missing required field `bookmarks`",
    "true": f"{NO_OBJECT}Expected `object`, got `bool`",
    "two_states": f"{NO_OBJECT}JSON is malformed: trailing characters",
}
# How many orders are read; that is all where the state has no bookmark of theirs.
TAKEN = {
    "a_day_instead_of_a_time": SINCE_JUNE,
    "a_time_with_an_offset": SINCE_JUNE,
    "an_operation_that_the_shop_does_not_know": SINCE_JUNE,
    "an_operation_yet_to_be_submitted": SINCE_JUNE,
    "by_shop": SINCE_JUNE,
    "empty_bookmarks": len(STORE.orders),
    "keys_that_nobody_knows": SINCE_JUNE,
    "no_bookmarks": len(STORE.orders),
    "nothing": len(STORE.orders),
    "of_another_shop": len(STORE.orders),
    "of_no_shop_as_before_there_were_several": SINCE_JUNE,
    "progress_as_the_sdk_notes_it": SINCE_JUNE,
    "streams_of_another_tap_beside_ours": SINCE_JUNE,
}


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(STORE).serve() as served:
        yield served


def path_of(name: str) -> Path:
    return STATES / f"{name}.json"


def given(name: str) -> dict[str, Any]:
    return json_object("--state", f"{name}.json", path_of(name).read_bytes)


def test_each_case_is_here() -> None:
    assert {path.stem for path in STATES.iterdir()} == REFUSED.keys() | TAKEN.keys()
    assert not REFUSED.keys() & TAKEN.keys()


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_gets_a_sentence_with_the_remedy_and_no_message(shop: Shop, name: str) -> None:
    with pytest.raises(RunError) as raised:
        tap_for(shop, given(name)).read()
    sentence = str(raised.value)
    assert REFUSED[name] in sentence
    assert "begin" in sentence, "the remedy"
    assert "what is read again counts once" in sentence
    assert len(sentence) < 350
    assert "jane" not in sentence
    assert len(shop.controls.requests) == ("far_future" in name), "only the shop knows what time it is"


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_only_odd_is_taken(shop: Shop, name: str) -> None:
    run = read(shop, given(name))
    assert len(run.orders) == TAKEN[name]
    assert run.state["bookmarks"].keys() >= {"customers", "orders"}


@pytest.mark.parametrize("name", ["half_a_state", "a_time_that_is_none", "a_time_in_the_far_future"])
def test_the_command_says_so_once_and_writes_nothing(shop: Shop, tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(settings(shop)))
    done = subprocess.run(
        [sys.executable, "-m", "tap_shopify_orders", "--config", tmp_path / "config.json", "--state", path_of(name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert REFUSED[name] in done.stderr.splitlines()[-1]
    assert done.stderr.count("ERROR") == 1
    assert "Traceback" not in done.stderr


def test_bookmarks_of_other_streams_stay_as_they_are(command: Callable[..., Run], shop: Shop) -> None:
    state = given("streams_of_another_tap_beside_ours")
    after = command(settings(shop), state=state).state["bookmarks"]
    assert {stream: after[stream] for stream in ("issues", "users")} == {
        stream: state["bookmarks"][stream] for stream in ("issues", "users")
    }


def test_a_state_of_other_shops_alone_is_said(command: Callable[..., Run], shop: Shop) -> None:
    run = command(settings(shop), state=given("of_another_shop"))
    assert "The state has no bookmark of sandbox.myshopify.com, of which all is read." in run.log
    assert len(run.orders) == len(STORE.orders)
    assert "no bookmark" not in command(settings(shop), state=given("by_shop")).log
