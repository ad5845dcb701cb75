"""Whole runs: messages in, events and STATE out."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import (
    ConfigValidationError,
    InvalidInputLine,
    InvalidJSONSchema,
    RecordsWithoutSchemaException,
)

from sandbox.controls import Reply
from tap_shopify_orders.records.schema import SALES_BY_DAY
from target_posthog.delivery.queue import MOST_EVENTS_WAITING
from target_posthog.errors import RuleError, RunError
from target_posthog.singer.target import TargetPostHog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Runs
    from sandbox.posthog import PostHog
    from target_posthog.mapping.language.functions import JSON

SALE = {"event": "Sale", "distinct_id": "email", "timestamp": "created_at", "key": ["id"]}
TIME = {"type": ["null", "string"], "format": "date-time"}
SCHEMA = {
    "type": "SCHEMA",
    "stream": "sales",
    "key_properties": ["id"],
    "schema": {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "email": {}, "created_at": TIME, "total": {}},
    },
}

SECOND, SEVENTH = "sha256:d4735e3a265e", "sha256:7902699be42c"  # of the keys 2 and 7, as a log names them


def sale(number: int, **more: JSON) -> dict[str, Any]:
    record = {"id": number, "email": f"jane{number}@example.com", "created_at": "2026-11-01T00:00:00Z", **more}
    return {"type": "RECORD", "stream": "sales", "record": record}


def state(number: int) -> dict[str, Any]:
    return {"type": "STATE", "value": {"n": number}}


def test_streams_without_rules_become_events_of_their_name_and_the_last_state_follows(
    runs: Runs, posthog: PostHog, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    runs.script("several_streams_and_states")
    assert sorted((one["timestamp"], one["event"]) for one in posthog.events()) == [
        ("2026-11-01T00:00:00Z", "tickets"),
        ("2026-11-02T00:00:00Z", "users"),
        ("2026-11-03T00:00:00Z", "tickets"),
    ]
    assert posthog.persons() == []
    assert capsys.readouterr().out == '{"n": 3}\n'
    assert caplog.text.count("No rule says what the records of stream `tickets` mean") == 1


def test_state_follows_its_records_every_few_seconds(
    runs: Runs, posthog: PostHog, capsys: pytest.CaptureFixture[str]
) -> None:
    target = TargetPostHog(config={**runs.settings, "mappings": {"sales": [SALE]}}, seconds_between_states=0)
    seen: list[tuple[str, int]] = []

    def lines() -> JSON:
        yield json.dumps(SCHEMA)
        for number in range(3):
            yield json.dumps(sale(number))
            yield json.dumps(state(number))
            seen.append((capsys.readouterr().out, len(posthog.events())))

    target.listen(lines())
    assert seen == [('{"n": 0}\n', 1), ('{"n": 1}\n', 2), ('{"n": 2}\n', 3)]


def test_between_them_state_waits(runs: Runs, posthog: PostHog, capsys: pytest.CaptureFixture[str]) -> None:
    runs.here(SCHEMA, *(message for number in range(9) for message in (sale(number), state(number))))
    assert capsys.readouterr().out == '{"n": 8}\n'
    assert len([one for one in posthog.controls.requests if "events" in one.path]) < 9


def test_a_changed_schema_keeps_the_order_of_the_records(runs: Runs, posthog: PostHog) -> None:
    runs.script("schema_changes_mid_stream")
    found = {one["properties"]["id"]: one["properties"] for one in posthog.events()}
    assert (found[1]["subject"], found[2]["subject"]) == ("newer", "late")


def test_records_without_keys_are_known_by_their_content(runs: Runs, posthog: PostHog) -> None:
    runs.script("records_without_keys")
    assert len(posthog.events()) == 2
    runs.script("records_without_keys")
    posthog.merge()
    assert sorted(one["properties"]["url"] for one in posthog.events()) == ["/a", "/b"]


def test_nested_and_null_values_arrive_as_they_are(runs: Runs, posthog: PostHog) -> None:
    runs.script("nested_and_null")
    found = {one["properties"]["id"]: one["properties"] for one in posthog.events()}
    assert found[1]["deep"] == {"list": [{"x": None}, None, {"x": "é\0\U0001f600"}]}
    assert set(found) == {1, 2, 3}
    assert "deep" not in found[2]


def test_half_a_surrogate_pair_becomes_the_replacement_character_and_spoils_no_batch(
    runs: Runs, posthog: PostHog
) -> None:
    for _ in range(2):
        runs.script("lone_surrogates")
    found = {one["properties"]["id"]: one for one in posthog.events()}
    assert {number: one["properties"]["subject"] for number, one in found.items()} == {
        1: "half \ufffd a face",
        2: "\ufffd and \U0001f600 and \\ud83d",
        3: "plain",
    }
    assert posthog.merge() == 3, "the same uuids in both runs"


@pytest.mark.parametrize("line", [b'{"type": "STATE", "value": "\xff"}\n', b"[" * 100_000, b'{"type": NaNs}'])
def test_a_line_that_no_json_reader_can_read_is_named_by_its_number(runs: Runs, line: bytes) -> None:
    with pytest.raises(InvalidInputLine, match="Line 2 of the input is no Singer message"):
        TargetPostHog(config=runs.settings).listen([b'{"type": "STATE", "value": 1}\n', line])  # type: ignore[arg-type]  # as lines


NUMBERS = ["1e400", "-1e400", "1" * 5_000]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_that_no_reader_can_read_is_its_records_fault_alone(
    runs: Runs, posthog: PostHog, tmp_path: Path, caplog: pytest.LogCaptureFixture, number: str
) -> None:
    schema = json.loads(json.dumps(SCHEMA))
    schema["schema"]["properties"]["total"] = {"type": "number"}
    of_nothing = {**SCHEMA, "stream": "notes"}
    messages = [schema, sale(1, total=5), of_nothing, {**sale(1, total=0.125), "stream": "notes"}, sale(2, total=0.125)]
    lines_ = [json.dumps(message).replace("0.125", number) for message in messages]
    settings = {**runs.settings, "mappings": {"sales": [SALE], "notes": []}}
    with pytest.raises(RunError) as raised:
        TargetPostHog(config=settings).listen(lines_)  # type: ignore[arg-type]  # any lines will do
    assert str(raised.value) == (
        f"Stream `sales`, record id={SECOND}: `total` isn't as the stream's schema says (`type`; `validate_records: "
        "false` takes records as they are); correct it, or set `dead_letter_path` to go on without such records"
    )
    assert caplog.text.count("Line 4 of the input has a number that is too large for JSON's readers") == 1
    letters = tmp_path / "letters.jsonl"
    TargetPostHog(config={**settings, "dead_letter_path": str(letters)}).listen(lines_)  # type: ignore[arg-type]  # the same
    assert json.loads(letters.read_text().splitlines()[1])["record"]["total"] == number
    assert len(posthog.events()) == 1


@pytest.mark.parametrize("number", NUMBERS)
def test_unchecked_such_a_number_arrives_as_a_text(runs: Runs, posthog: PostHog, number: str) -> None:
    rule = {**SALE, "properties": {"total": "total"}}
    told = [json.dumps(message).replace("0.125", number) for message in (SCHEMA, sale(1, total=0.125))]
    TargetPostHog(config={**runs.settings, "mappings": {"sales": [rule]}}).listen(told)  # type: ignore[arg-type]  # as lines
    (event,) = posthog.events()
    assert event["properties"]["total"] == number


def test_a_slow_posthog_slows_the_tap_and_no_more_than_two_parts_are_held(runs: Runs, posthog: PostHog) -> None:
    records = MOST_EVENTS_WAITING * 3
    posthog.controls.reply_next(*[Reply(delay_seconds=0.1, path="/i/v1")] * 5)
    target = TargetPostHog(config={**runs.settings, "mappings": {"sales": [SALE]}})
    held: list[int] = []

    def lines() -> Iterator[str]:
        yield json.dumps(SCHEMA)
        for number in range(records):
            held.append(number - target.destination.summary.accepted.total())
            yield json.dumps(sale(number))

    target.listen(lines())  # type: ignore[arg-type]  # as lines
    assert MOST_EVENTS_WAITING < max(held) <= MOST_EVENTS_WAITING * 2
    assert len(posthog.events()) == records


def test_an_event_too_far_in_the_future_does_not_go_to_batch_which_would_move_it(
    runs: Runs, posthog: PostHog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def in_hours(hours: int) -> str:
        return (datetime.now(timezone.utc) + timedelta(hours=hours)).isoformat()

    messages = [SCHEMA, sale(1, created_at=in_hours(22)), sale(2, created_at=in_hours(24)), sale(3)]
    with pytest.raises(RunError) as raised:
        runs.here(*messages, mappings={"sales": [SALE]}, protocol="batch")
    assert str(raised.value).startswith(
        f"Stream `sales`, record id={SECOND}: PostHog refuses its event `Sale` (its time is more than 23 hours in the"
    )
    posthog.database.wipe()
    dead = tmp_path / "dead.jsonl"
    runs.here(*messages, mappings={"sales": [SALE]}, protocol="batch", dead_letter_path=str(dead))
    assert sorted(one["distinct_id"] for one in posthog.events()) == ["jane1@example.com", "jane3@example.com"]
    assert json.loads(dead.read_text().splitlines()[-1])["record"]["id"] == 2
    again = tmp_path / "dead-again.jsonl"
    sends = f"`mv -n {dead} {again} && meltano invoke target-posthog < {again} && rm {again}` sends them"
    assert sends in caplog.messages[-1], "the last that a run says"


def test_a_deleted_record_becomes_an_event_and_nothing_is_removed(runs: Runs, posthog: PostHog) -> None:
    runs.script("deleted_records")
    assert sorted((one["timestamp"], one["event"]) for one in posthog.events()) == [
        ("2026-11-01T00:00:00Z", "tickets"),
        ("2026-11-05T00:00:00Z", "tickets deleted"),
    ]


def test_the_taps_metadata_stays_out_of_the_events(runs: Runs, posthog: PostHog) -> None:
    runs.script("metadata_of_the_tap")
    (found,) = posthog.events()
    assert not [name for name in found["properties"] if name.startswith("_sdc")]


def test_activate_version_is_passed_over(runs: Runs, posthog: PostHog, capsys: pytest.CaptureFixture[str]) -> None:
    runs.script("activate_version")
    assert len(posthog.events()) == 1
    assert capsys.readouterr().out == '{"n": 1}\n'


@pytest.mark.parametrize(
    ("script", "error", "problem"),
    [
        ("batch_files", RunError, "Stream `tickets` comes as BATCH files"),
        ("a_line_that_is_no_message", InvalidInputLine, "Line 2 of the input is no Singer message"),
        ("a_message_of_an_unknown_type", InvalidInputLine, "Line 2 of the input is a message of a type"),
        ("a_record_before_its_schema", RecordsWithoutSchemaException, "was encountered before a corresponding schema"),
        ("a_record_without_its_key", RunError, "record without a key: `id`, of the stream's key, is missing; correct"),
        (
            "a_record_that_breaks_its_schema",
            RunError,
            f"record id={SECOND}: `total` isn't as the stream's schema says",
        ),
        ("a_schema_that_is_none", InvalidJSONSchema, "The schema of stream `tickets` is no valid JSON schema"),
    ],
)
def test_wrong_input_ends_the_run_without_state_and_without_quoting_it(  # noqa: PLR0913, PLR0917  # fixtures and a table
    runs: Runs,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    script: str,
    error: type[Exception],
    problem: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(error) as raised:
        runs.script(script)
    assert problem in " ".join(str(raised.value).split())
    assert "jane" not in str(raised.value) + caplog.text
    assert capsys.readouterr().out == ""


def test_validation_can_be_switched_off(runs: Runs, posthog: PostHog) -> None:
    runs.script("a_record_that_breaks_its_schema", validate_records=False)
    assert len(posthog.events()) == 3


def test_with_dead_letters_the_run_goes_on_and_the_record_can_be_piped_in_again(
    runs: Runs, posthog: PostHog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dead.jsonl"
    runs.script("a_record_that_breaks_its_schema", dead_letter_path=str(path))
    assert capsys.readouterr().out == '{"n": 1}\n'
    assert sorted(one["properties"]["id"] for one in posthog.events()) == [1, 3]
    schema, record = (json.loads(line) for line in path.read_text().splitlines())
    assert (schema["type"], schema["stream"], schema["key_properties"]) == ("SCHEMA", "tickets", ["id"])
    assert (
        record["reason"]
        == "`total` isn't as the stream's schema says (`type`; `validate_records: false` takes records as they are)"
    )
    assert record["record"]["id"] == 2
    assert path.stat().st_mode & 0o077 == 0
    runs.here(schema, record, validate_records=False)
    assert sorted(one["properties"]["id"] for one in posthog.events()) == [1, 2, 3]


def test_a_record_without_a_field_of_its_key_is_a_dead_letter(
    runs: Runs, posthog: PostHog, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "dead.jsonl"
    schema = {**SCHEMA, "key_properties": ["id", "total"]}
    messages = (schema, sale(1, total=5), sale(2), sale(3, total=None), state(1))
    runs.here(*messages, mappings={"sales": [SALE]}, dead_letter_path=str(path))
    assert capsys.readouterr().out == '{"n": 1}\n'
    assert sorted(one["distinct_id"] for one in posthog.events()) == ["jane1@example.com", "jane3@example.com"]
    kept, record = (json.loads(line) for line in path.read_text().splitlines())
    assert (record["reason"], record["record"]["id"]) == ("`total`, of the stream's key, is missing", 2)
    assert f"Stream `sales`, record id={SECOND}: `total`, of the stream's key, is missing; kept in" in caplog.text
    record["record"]["total"] = 7
    runs.here(kept, record, mappings={"sales": [SALE]})
    assert len(posthog.events()) == 3


def test_a_key_among_the_taps_metadata_stays_in_the_record(runs: Runs, posthog: PostHog) -> None:
    fields = {"id": {"type": "integer"}, "created_at": TIME, "_sdc_sequence": {"type": "integer"}}
    schema = {**SCHEMA, "key_properties": ["id", "_sdc_sequence"], "schema": {"properties": fields}}
    record = {"id": 1, "created_at": "2026-11-01T00:00:00Z", "_sdc_table_version": 1}
    versions = [{"type": "RECORD", "stream": "sales", "record": {**record, "_sdc_sequence": at}} for at in (5, 6)]
    for _ in range(2):
        runs.here(schema, *versions)
    posthog.merge()
    assert sorted(one["properties"]["_sdc_sequence"] for one in posthog.events()) == [5, 6]
    assert not [one for one in posthog.events() if "_sdc_table_version" in one["properties"]]


def test_an_event_that_posthog_refuses_for_good_ends_the_run_with_its_record(
    runs: Runs, posthog: PostHog, capsys: pytest.CaptureFixture[str]
) -> None:
    posthog.verdicts = {"Sale": ["ok", "drop:event_too_big"]}
    with pytest.raises(RunError) as raised:
        runs.here(SCHEMA, sale(1), sale(2), state(1), mappings={"sales": [SALE]}, senders=1)
    assert str(raised.value) == (
        f"Stream `sales`, record id={SECOND}: PostHog refuses its event `Sale` (event_too_big); correct it, or set "
        "`dead_letter_path` to go on without such records"
    )
    assert capsys.readouterr().out == ""


def test_an_event_that_posthog_refuses_for_good_becomes_a_dead_letter(
    runs: Runs, posthog: PostHog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "dead.jsonl"
    posthog.verdicts = {"Sale": ["ok", "drop:event_too_big"]}
    settings = {"mappings": {"sales": [SALE]}, "senders": 1}
    runs.here(SCHEMA, sale(1), sale(2), sale(3), state(1), dead_letter_path=str(path), **settings)
    assert capsys.readouterr().out == '{"n": 1}\n'
    runs.here(*(json.loads(line) for line in path.read_text().splitlines()), **settings)
    assert sorted(one["distinct_id"] for one in posthog.events()) == [
        f"jane{number}@example.com" for number in (1, 2, 3)
    ]


def test_a_record_with_several_events_that_are_refused_is_one_dead_letter_with_all_reasons(
    runs: Runs, posthog: PostHog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "dead.jsonl"
    posthog.verdicts = {"Sale": ["drop:event_too_big"], "Thanks": ["drop:invalid_options"]}
    large = {**SALE, "event": "Large", "properties": {"note": "note"}}
    rules = {"sales": [SALE, {**SALE, "event": "Thanks"}, large]}
    schema = {**SCHEMA, "schema": {"properties": {**SCHEMA["schema"]["properties"], "note": {}}}}
    messages = (schema, sale(1, note="x" * 1_000_000), sale(2), state(1))
    target = runs.here(*messages, dead_letter_path=str(path), mappings=rules, senders=1)
    (letter,) = (line for line in map(json.loads, path.read_text().splitlines()) if line["type"] == "RECORD")
    assert letter["record"]["id"] == 1
    assert target.destination.summary.dead_letters == {"sales": 1}  # type: ignore[attr-defined]  # it sends
    assert dict(target.destination.summary.refused) == {"Sale": 1, "Thanks": 1, "Large": 1}  # type: ignore[attr-defined]  # the same
    later = "PostHog refuses its event `Sale` (event_too_big); PostHog refuses its event `Thanks` (invalid_options)"
    assert [line for line in caplog.messages if later in line and "kept already in" in line]


def test_a_record_that_no_rule_can_read_is_named_by_its_key(runs: Runs) -> None:
    rule = {**SALE, "properties": {"total": "number(total)"}}
    with pytest.raises(RunError) as raised:
        runs.here(SCHEMA, sale(7, total="jane@example.com"), mappings={"sales": [rule]})
    assert str(raised.value).startswith(
        f"Stream `sales`, record id={SEVENTH}: your rule `Sale` of stream `sales`: `number(total)`: number() needs a"
    )


def test_a_wrong_expression_is_found_when_the_schema_arrives_and_nothing_is_sent(runs: Runs, posthog: PostHog) -> None:
    rule = {**SALE, "properties": {"total": "number(totl)"}}
    with pytest.raises(RuleError, match=r"there is no field `totl`; did you mean `total`\?"):
        runs.here(SCHEMA, sale(1), mappings={"sales": [rule]})
    assert posthog.events() == []


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"mapping": "ecomerce"}, "no mapping called `ecomerce` comes with the target; did you mean `ecommerce`?"),
        ({"mappings": {"sales": [{**SALE, "timestmp": "x"}]}}, "has no key `timestmp`; did you mean `timestamp`?"),
        ({"mappings": {"sales": [{**SALE, "when": "totl["}]}}, "`totl[` is no JMESPath expression"),
        ({"mappings": {"orders": [{"extends": "Order Compleet"}]}}, "did you mean `Order Completed`?"),
    ],
)
def test_a_wrong_mapping_is_found_before_any_message(settings: dict[str, JSON], problem: str) -> None:
    with pytest.raises(RuleError) as wrong:
        TargetPostHog(config={"api_key": "phc_sandbox", **settings})
    assert problem in str(wrong.value)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"api_key": None},
            "The setting `api_key` is missing (in .env POSTHOG_API_KEY, elsewhere TARGET_POSTHOG_API_KEY): ",
        ),
        ({"api_kye": "phc_secret"}, "There is no setting `api_kye`; did you mean `api_key`?"),
        ({"identity": "phone"}, "The setting `identity` needs one of email, customer_id, email_sha256"),
        ({"max_events": "phc_secret"}, "The setting `max_events` needs a value of type integer, 0 or more"),
        ({"senders": 0}, "The setting `senders` needs a value of type integer, 1 or more"),
        ({"load_method": "upsert"}, "There is no setting `load_method`"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(settings: dict[str, JSON], sentence: str) -> None:
    with pytest.raises(ConfigValidationError) as wrong:
        TargetPostHog(config={"api_key": "phc_sandbox", **settings})
    (found,) = wrong.value.errors
    assert found.startswith(sentence)
    assert "phc_secret" not in found


def test_settings_of_the_sdk_that_mean_nothing_here_are_not_announced() -> None:
    schema: dict[str, Any] = {"properties": {}}
    TargetPostHog.append_builtin_config(schema)
    assert set(schema["properties"]) == {"validate_records", "stream_maps", "stream_map_config", "faker_config"}


def test_unmapped_streams_can_be_ignored_or_refused(
    runs: Runs, posthog: PostHog, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.script("several_streams_and_states", unmapped="ignore")
    assert (posthog.events(), capsys.readouterr().out) == ([], '{"n": 3}\n')
    with pytest.raises(
        RuleError, match="no rule says what the records of stream `tickets` mean; add one to `mappings`"
    ):
        runs.script("several_streams_and_states", unmapped="fail")


@pytest.mark.parametrize("unmapped", ["event", "fail"])
def test_the_record_of_meltanos_own_test_never_reaches_posthog_but_the_key_is_checked(
    runs: Runs, posthog: PostHog, unmapped: str
) -> None:
    runs.script("meltano_config_test", unmapped=unmapped)
    assert [one.path for one in posthog.controls.requests] == ["/flags/"]
    with pytest.raises(RunError, match="`api_key`"):
        runs.script("meltano_config_test", unmapped=unmapped, api_key="phc_wrong")


def test_the_key_is_checked_once_and_before_the_first_event(runs: Runs, posthog: PostHog) -> None:
    with pytest.raises(RunError, match="`api_key`"):
        runs.script("several_streams_and_states", api_key="phc_wrong")
    assert [one.path for one in posthog.controls.requests] == ["/flags/"]
    runs.script("several_streams_and_states")
    assert [one.path for one in posthog.controls.requests].count("/flags/") == 2


def test_without_records_a_host_that_is_no_posthog_is_named_all_the_same(
    runs: Runs, posthog: PostHog, tmp_path: Path
) -> None:
    posthog.controls.reply_next(Reply(status=404, path="/flags"))
    done = runs.process_of(tmp_path, SCHEMA, mappings={"sales": [SALE]})
    assert done.code == 0
    (said,) = [line for line in done.log.splitlines() if "`host`" in line]
    assert "WARNING" in said
    assert f"`host`: {posthog.url} answers the question about the key with HTTP 404" in said


def test_a_second_run_sends_the_same_events(runs: Runs, posthog: PostHog) -> None:
    for _ in range(2):
        runs.script("several_streams_and_states")
        runs.script("nested_and_null")
    sent = posthog.totals()["received"]
    posthog.merge()
    assert (posthog.totals()["received"], posthog.totals()["doubles"]) == (sent, 0)
    assert 2 * len(posthog.events()) == sent


def test_the_summary_says_what_the_run_did(
    runs: Runs, tmp_path: Path, caplog: pytest.LogCaptureFixture, posthog: PostHog
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "summary.json"
    rule = {**SALE, "properties": {"revenue": "number(total)", "currency": "'USD'"}}
    rules = [rule, {"leave_out": "gifts", "when": "total == '0'"}]
    messages = [
        SCHEMA,
        sale(1, total="0.10"),
        sale(2, total="0.20"),
        sale(2, total="0.20"),
        sale(3, total="0"),
        state(1),
    ]
    posthog.verdicts = {"Sale": ["retry"]}
    runs.here(*messages, mappings={"sales": rules}, summary_path=str(path), senders=1)
    summary = json.loads(path.read_text())
    assert summary.pop("seconds") > 0
    assert summary == {
        "records": {"sales": 4},
        "left_out": [{"stream": "sales", "reason": "gifts", "records": 1}],
        "ignored": {},
        "missing": {},
        "dead_letters": {},
        "unreadable_lines": 0,
        "events": {
            "Sale": {
                **dict.fromkeys(("refused", "already_there", "changed", "not_resent", "person_skipped"), 0),
                "accepted": 2,
                "repeated": 1,
                "money": {"revenue": {"USD": "0.3"}},
            }
        },
        "persons_behind": [],
        "persons_forgotten": 0,
        "days": [["2026-11-01", "Sale", "USD", 2, "0.3"]],
        "provisional": [],
        "never_sent": {},
        "without_amounts": {},
        "erased": {},
        "persons": 2,
        "oldest": "2026-11-01T00:00:00Z",
        "newest": "2026-11-01T00:00:00Z",
        "requests": 3,
        "retries": 1,
    }
    assert "Sale: 2 accepted, 1 repeated, 0 refused, revenue 0.3 USD" in caplog.text
    assert "left out of sales: 1 records (gifts)" in caplog.text


def test_a_run_that_fails_says_what_it_did_before(
    runs: Runs, posthog: PostHog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    posthog.billing_limit_reached = True
    with pytest.raises(RunError, match="billing limit"):
        runs.here(SCHEMA, sale(1), mappings={"sales": [SALE]})
    assert "0 events accepted by PostHog, of 1 records" in caplog.text


def test_a_record_that_ends_the_run_before_anything_is_delivered_is_followed_by_the_summary(
    runs: Runs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "summary.json"
    with pytest.raises(RunError, match=f"record id={SECOND}: `total`"):
        runs.script("a_record_that_breaks_its_schema", summary_path=str(path))
    assert json.loads(path.read_text())["records"] == {"tickets": 2}
    assert caplog.text.count("0 events accepted by PostHog, of 2 records") == 1


@pytest.mark.parametrize(
    ("last", "error"),
    [
        ({"type": "RECORDS"}, InvalidInputLine),
        ({"type": "RECORD", "stream": "unknown", "record": {}}, RecordsWithoutSchemaException),
        ({**SCHEMA, "schema": {"properties": {"id": {}}}}, RuleError),
    ],
)
def test_input_that_ends_the_run_is_followed_by_the_summary_of_what_was_under_way(
    runs: Runs, posthog: PostHog, caplog: pytest.LogCaptureFixture, last: dict[str, Any], error: type[Exception]
) -> None:
    caplog.set_level(logging.INFO)
    posthog.controls.reply_next(Reply(delay_seconds=0.2, path="/i/v1"))
    many = [sale(number) for number in range(MOST_EVENTS_WAITING)]
    with pytest.raises(error):
        runs.here(SCHEMA, *many, last, mappings={"sales": [SALE]})
    assert f"{MOST_EVENTS_WAITING:,} events accepted by PostHog" in caplog.text


def test_a_record_that_ends_the_run_does_not_hide_what_was_delivered_before_it(
    runs: Runs, posthog: PostHog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    posthog.controls.reply_next(Reply(delay_seconds=0.5, path="/i/v1"))
    many = [sale(number) for number in range(MOST_EVENTS_WAITING)]
    with pytest.raises(RunError, match="record id=sha256:888df25ae357"):
        runs.here(SCHEMA, *many, sale(9999, created_at=5), mappings={"sales": [SALE]})
    assert len(posthog.events()) == MOST_EVENTS_WAITING
    assert f"{MOST_EVENTS_WAITING:,} events accepted by PostHog" in caplog.text


def test_a_summary_that_cannot_be_written_is_no_failure_of_the_delivery(
    runs: Runs, posthog: PostHog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs.here(SCHEMA, sale(1), mappings={"sales": [SALE]}, summary_path=str(tmp_path))
    assert len(posthog.events()) == 1
    assert "`summary_path`: the file" in caplog.text


def test_fields_that_a_shipped_mapping_misses_are_named_once(
    runs: Runs, caplog: pytest.LogCaptureFixture, posthog: PostHog
) -> None:
    fields = (
        "shop",
        "id",
        "test",
        "email",
        "processed_at",
        "created_at",
        "cancelled_at",
        "customer",
        "note_attributes",
    )
    lists = ("transactions", "fulfillments", "refunds")
    schema = {"type": "object", "properties": {name: {} for name in (*fields, *lists)}}
    record = {"shop": "s", "id": 5, "email": "jane@example.com", "processed_at": "2026-11-01T00:00:00Z"}
    runs.here(
        {"type": "SCHEMA", "stream": "orders", "key_properties": ["id"], "schema": schema},
        {"type": "RECORD", "stream": "orders", "record": record},
    )
    assert [one["event"] for one in posthog.events()] == ["Order Completed"]
    assert caplog.text.count("Stream `orders` has no fields for") == 1


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_no_personal_data_and_no_key_is_in_any_log(
    runs: Runs, posthog: PostHog, caplog: pytest.LogCaptureFixture, level: int, tmp_path: Path
) -> None:
    caplog.set_level(level)
    posthog.verdicts = {"Sale": ["drop:event_too_big", "retry", "ok"]}
    rule = {**SALE, "set": {"email": "email"}, "properties": {"total": "number(total)"}}
    runs.here(
        *(SCHEMA, sale(1), sale(2), sale(3, total="Jane"), state(1)),
        mappings={"sales": [rule]},
        dead_letter_path=str(tmp_path / "dead.jsonl"),
    )
    assert len(posthog.events()) == 1
    for secret in ("jane", "Jane", "phc_sandbox"):
        assert secret not in caplog.text


@pytest.mark.parametrize("mapping", ["ecommerce", "shopify-connector"])
def test_the_shop_s_own_sales_report_becomes_no_event(runs: Runs, posthog: PostHog, mapping: str) -> None:
    schema = {"type": "SCHEMA", "stream": "sales_by_day", "key_properties": ["shop_id", "day"], "schema": SALES_BY_DAY}
    day = {"shop": "a.myshopify.com", "shop_id": 1, "day": "2026-11-01", "net_sales": "90.00"}
    runs.here(schema, {"type": "RECORD", "stream": "sales_by_day", "record": day}, mapping=mapping)
    assert posthog.events() == []
