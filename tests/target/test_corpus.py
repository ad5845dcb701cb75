"""What taps shouldn't write and some do, one file of `messages/` per case: a sentence and no STATE, or it is taken."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import InvalidInputLine, SingerSDKError

from target_posthog.errors import RuleError, RunError
from target_posthog.singer.target import TargetPostHog

from .conftest import MESSAGES

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.posthog import PostHog

    from .conftest import Runs

SENTENCES = (RunError, RuleError, SingerSDKError, InvalidInputLine)  # what the command makes sentences of
NO_MESSAGE = " of the input is no Singer message; does the tap print something else?"
NO_SCHEMA = "The schema of stream `tickets` is no valid JSON schema of any draft"
LARGEST_LINE_BYTES = 10_000_000

REFUSED = {
    "a_key_that_is_null": "record without a key: rule `tickets` of stream `tickets`: `key` is empty",
    "a_line_that_breaks_off": f"Line 3{NO_MESSAGE}",
    "a_line_that_is_no_message": f"Line 2{NO_MESSAGE}",
    "a_list_instead_of_a_message": f"Line 2{NO_MESSAGE}",
    "a_message_of_an_unknown_type": "Line 2 of the input is a message of a type that Singer doesn't have",
    "a_message_without_a_type": "A Singer message lacks `type`",
    "a_nul_byte": f"Line 2{NO_MESSAGE}",
    "a_program_that_prints_between": f"Line 2{NO_MESSAGE}",
    "a_property_that_is_an_object_elsewhere": "`id` isn't as the stream's schema says (`type`; `validate_",
    "a_record_before_its_schema": "was encountered before a corresponding schema",
    "a_record_message_without_a_record": "A RECORD message lacks `record`",
    "a_record_of_no_stream": "A RECORD message lacks `stream`",
    "a_record_that_breaks_its_schema": "d4735e3a265e: `total` isn't as the stream's schema says (`type`; ",
    "a_record_that_is_a_list": "Line 2 of the input is a RECORD message whose `stream` isn't a text or whose `record`",
    "a_record_that_is_a_text": "Line 2 of the input is a RECORD message whose `stream` isn't a text or whose `record`",
    "a_record_that_is_null": "Line 2 of the input is a RECORD message whose `stream` isn't a text or whose `record`",
    "a_record_without_its_key": "record without a key: `id`, of the stream's key, is missing",
    "a_schema_message_without_a_schema": "Line 1 of the input is no right SCHEMA message: Object missing",
    "a_schema_that_allows_no_others": "`the record` isn't as the stream's schema says (`additionalProperties`; ",
    "a_schema_that_is_a_list": "Expected `bool | object`, got `array` - at `$.schema`",
    "a_schema_that_is_none": NO_SCHEMA,
    "a_schema_that_is_null": "Expected `bool | object`, got `null` - at `$.schema`",
    "a_schema_whose_properties_are_null": "it has no time that is surely its own",
    "a_schema_without_properties": "it has no time that is surely its own",
    "a_schema_whose_property_is_a_text": "Expected `bool | object`, got `str`",
    "a_state_without_a_value": "A STATE message lacks `value`",
    "a_stream_that_is_a_list": "Expected `str`, got `array` - at `$.stream`",
    "a_stream_that_is_a_number": "Expected `str`, got `int` - at `$.stream`",
    "a_stream_that_is_null": "Expected `str`, got `null` - at `$.stream`",
    "a_stream_without_a_name": "Expected `str` of length >= 1 - at `$.stream`",
    "a_time_that_is_none": "record id=sha256:6b86b273ff34: rule `tickets` of stream `tickets`: needs a time such as",
    "a_type_that_is_a_list": "Line 2 of the input is a message of a type that Singer doesn't have",
    "a_type_that_is_a_number": "Line 2 of the input is a message of a type that Singer doesn't have",
    "batch_files": "Stream `tickets` comes as BATCH files",
    "bytes_that_are_no_text": f"Line 2{NO_MESSAGE}",
    "deep_nesting": f"Line 2{NO_MESSAGE}",
    "keys_that_are_a_text": "Expected `array | null`, got `str` - at `$.key_properties`",
    "keys_that_are_numbers": "Expected `str`, got `int` - at `$.key_properties[0]`",
    "keys_that_the_schema_lacks": "there is no field `number`",
    "latin_1": f"Line 2{NO_MESSAGE}",
    "two_messages_on_a_line": f"Line 2{NO_MESSAGE}",
    "utf_16": f"Line 1{NO_MESSAGE}",
}
# How many events arrive; the STATE follows, where there is one.
TAKEN = {
    "a_byte_order_mark": 1,
    "a_huge_key": 1,
    "a_nested_state_that_repeats": 1,
    "a_nul_character": 1,
    "a_schema_of_an_unknown_draft": 1,
    "a_schema_that_refers_to_a_file": 1,
    "a_schema_that_refers_to_another_host": 1,
    "a_schema_that_refers_to_nothing": 1,
    "an_empty_line": 1,
    "huge_numbers": 1,
    "infinity": 1,
    "not_a_number": 1,
    "a_schema_that_refers_into_itself": 1,
    "a_state_that_is_a_text": 1,
    "a_state_that_is_null": 1,
    "activate_version": 1,
    "carriage_returns": 1,
    "deleted_records": 2,
    "dots_and_dollars_in_names": 1,
    "duplicate_keys": 1,
    "keys_of_messages_that_singer_does_not_have": 1,
    "keys_that_are_left_out": 1,
    "keys_that_are_null": 1,
    "keys_that_change": 2,
    "lone_surrogates": 3,
    "meltano_config_test": 0,
    "metadata_of_the_tap": 1,
    "nested_and_null": 3,
    "no_line_end": 1,
    "nothing_at_all": 0,
    "records_without_keys": 2,
    "schema_changes_mid_stream": 2,
    "several_streams_and_states": 3,
}
WITHOUT_STATE = {"a_state_that_is_null", "nothing_at_all"}


def listen(posthog: PostHog, name: str) -> None:
    """Let a file in as the command does: as bytes."""
    target = TargetPostHog(config={"api_key": posthog.api_key, "host": posthog.url, "max_retry_seconds": 5})
    with (MESSAGES / f"{name}.jsonl").open("rb") as file:
        target.listen(file)  # type: ignore[arg-type]  # what it reads from standard input is bytes too


def test_each_case_is_here() -> None:
    assert {path.stem for path in MESSAGES.iterdir()} == REFUSED.keys() | TAKEN.keys()
    assert not REFUSED.keys() & TAKEN.keys()


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_ends_the_run_with_a_sentence_that_quotes_nothing_and_no_state(
    posthog: PostHog, name: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(SENTENCES) as raised:
        listen(posthog, name)
    sentence = " ".join(str(raised.value).split())
    assert REFUSED[name] in sentence
    assert len(sentence) < 400
    assert "jane" not in (sentence + caplog.text).lower()
    assert capsys.readouterr().out == "", "the next run begins where this one did, so nothing is lost"


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_only_odd_is_taken(posthog: PostHog, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    listen(posthog, name)
    assert len(posthog.events()) == TAKEN[name]
    assert bool(capsys.readouterr().out) is (name not in WITHOUT_STATE)


@pytest.mark.parametrize("name", ["bytes_that_are_no_text", "a_type_that_is_a_list", "a_record_that_is_null"])
def test_the_command_says_so_once_without_a_traceback(runs: Runs, tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(runs.settings))
    with (MESSAGES / f"{name}.jsonl").open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "target_posthog", "--config", str(tmp_path / "config.json")],
            stdin=file,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert REFUSED[name] in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_schema_cannot_make_the_target_ask_another_host(posthog: PostHog) -> None:
    elsewhere: dict[str, Any] = {"id": {"$ref": f"{posthog.url}/elsewhere.json"}}
    schema = {"type": "SCHEMA", "stream": "x", "key_properties": [], "schema": {"properties": elsewhere}}
    target = TargetPostHog(config={"api_key": posthog.api_key, "host": posthog.url})
    target.listen([json.dumps(schema)])  # type: ignore[arg-type]  # any lines will do
    assert "/elsewhere.json" not in [one.path for one in posthog.controls.requests]


def test_a_record_of_ten_megabytes_is_taken_or_named(runs: Runs, posthog: PostHog) -> None:
    schema = {
        "type": "SCHEMA",
        "stream": "sales",
        "key_properties": ["id"],
        "schema": {"properties": {"id": {}, "at": {}, "note": {}}},
    }
    record = {"id": 1, "at": "2026-11-01T00:00:00Z", "note": "x" * LARGEST_LINE_BYTES}
    message = {"type": "RECORD", "stream": "sales", "record": record}
    rule = {"event": "Sale", "distinct_id": "concat(id)", "timestamp": "at", "key": ["id"]}
    runs.here(schema, message, mappings={"sales": [rule]})
    assert len(posthog.events()) == 1, "an event of the parts that it needs"
    with pytest.raises(RunError, match="record id=sha256:6b86b273ff34: its event `Sale` is larger than PostHog takes"):
        runs.here(schema, message, mappings={"sales": [{**rule, "properties": {"note": "note"}}]})
