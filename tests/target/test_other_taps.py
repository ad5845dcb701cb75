"""Messages as other taps write them: a file of messages with its settings in `other_taps/`, and what is right."""

from __future__ import annotations

import json
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import InvalidInputLine, InvalidJSONSchema

from target_posthog.errors import RunError
from target_posthog.singer.record_check import RecordCheck
from target_posthog.singer.target import TargetPostHog

if TYPE_CHECKING:
    from sandbox.posthog import PostHog
    from target_posthog.mapping.language.functions import JSON

    from .conftest import Runs

CASES = Path(__file__).parent / "other_taps"
AT = "2026-10-05T08:00:00Z"

# What the one event of each case has to be, by the names of its parts.
RIGHT: dict[str, dict[str, JSON]] = {
    "a_blank_line": {"distinct_id": "agent:7", "timestamp": AT},
    "a_number_beyond_2_to_53": {"number": "9007199254740995", "nested": {"ids": ["9007199254740995"]}},
    "a_property_whose_schema_is_true": {"event": "tickets", "timestamp": AT},
    "a_rule_that_is_no_list": {"distinct_id": "agent:7", "timestamp": AT},
    "a_stream_that_meltano_takes_apart": {"event": "Ticket Opened", "distinct_id": "agent:7"},
    "an_unmapped_streams_time": {"event": "members", "timestamp": "2026-09-05T00:00:00Z"},
    "another_taps_orders": {"event": "Ticket Opened", "distinct_id": "agent:7"},
    "draft_4_schema": {"fee": 1.1},
    "milliseconds": {"timestamp": "2026-01-01T00:00:00.123000Z"},
    "open_object": {"distinct_id": "u_9"},
    "schema_that_names_no_field": {"distinct_id": "a7"},
    "schema_without_properties": {"distinct_id": "a7"},
    "settings_that_are_null": {"event": "tickets", "timestamp": AT},
    "stream_maps_on_the_target": {"distinct_id": "agent:7", "origin": "support"},
}
OF_GROUPS = "group_keys_of_two_forms"


def listen(runs: Runs, name: str, **settings: JSON) -> None:
    """Let a case in as the command does: as bytes."""
    said = json.loads((CASES / f"{name}.config.json").read_text())
    target = TargetPostHog(config={**runs.settings, **said, **settings})
    with (CASES / f"{name}.singer").open("rb") as file:
        target.listen(file)  # type: ignore[arg-type]  # what it reads from standard input is bytes too


def part(event: dict[str, Any], name: str) -> JSON:
    return event[name] if name in event and name != "properties" else event["properties"].get(name)


def test_each_case_is_here() -> None:
    names = {path.name.partition(".")[0] for path in CASES.iterdir()}
    assert names == {*RIGHT, OF_GROUPS}


@pytest.mark.parametrize("name", RIGHT)
def test_what_another_tap_writes_is_one_right_event_and_its_state(
    runs: Runs, posthog: PostHog, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    listen(runs, name)
    (event,) = posthog.events()
    assert {one: part(event, one) for one in RIGHT[name]} == RIGHT[name]
    assert json.loads(capsys.readouterr().out) == {"page": 7}


def test_a_groups_key_is_one_whether_it_comes_as_a_whole_number_or_as_a_float(runs: Runs, posthog: PostHog) -> None:
    listen(runs, OF_GROUPS)
    assert [(group["type"], group["key"]) for group in posthog.groups()] == [("account", "8")]
    (visit,) = [one for one in posthog.events() if one["event"] == "Ticket Opened"]
    assert visit["properties"]["$groups"] == {"account": "8"}


SCHEMA = {
    "type": "SCHEMA",
    "stream": "tickets",
    "key_properties": ["id"],
    "schema": {"properties": {"id": {}, "at": {"format": "date-time"}, "who": {}}},
}
RULE = {"event": "Ticket", "distinct_id": ["who", "concat('t:', id)"], "timestamp": "at", "key": ["id"]}


def record(**fields: JSON) -> dict[str, JSON]:
    return {"type": "RECORD", "stream": "tickets", "record": {"id": 1, "at": AT, **fields}}


def only(posthog: PostHog) -> dict[str, Any]:
    (event,) = posthog.events()
    return event


@pytest.mark.parametrize(
    ("fields", "rule", "right"),
    [
        ({"id": 5.0}, {}, {"distinct_id": "t:5"}),
        ({"who": 5.0}, {}, {"distinct_id": "5"}),
        ({"who": 5.5}, {}, {"distinct_id": "t:1"}),
        ({"at": "2026-11-01 10:00:00 UTC"}, {}, {"timestamp": "2026-11-01T10:00:00Z"}),
        ({"at": "2026-11-01 10:00:00 +02:00"}, {}, {"timestamp": "2026-11-01T08:00:00Z"}),
        ({"at": "11/01/2026"}, {"timestamp": "from_format(at, '%m/%d/%Y')"}, {"timestamp": "2026-11-01T00:00:00Z"}),
        ({"at": 1793534400}, {"timestamp": "from_unix(at)"}, {"timestamp": "2026-11-01T12:00:00Z"}),
        ({"at": 1793534400000}, {"timestamp": "from_unix(at)"}, {"timestamp": "2026-11-01T12:00:00Z"}),
        ({"at": 1793534400000000}, {"timestamp": "from_unix(at)"}, {"timestamp": "2026-11-01T12:00:00Z"}),
        ({"at": "1793534400"}, {"timestamp": "from_unix(at)"}, {"timestamp": "2026-11-01T12:00:00Z"}),
    ],
)
def test_values_are_taken_as_they_come(
    runs: Runs, posthog: PostHog, fields: dict[str, JSON], rule: dict[str, JSON], right: dict[str, JSON]
) -> None:
    runs.here(SCHEMA, record(**fields), mappings={"tickets": [{**RULE, **rule}]})
    assert {name: part(only(posthog), name) for name in right} == right


@pytest.mark.parametrize(
    ("key", "right"), [(" 8 ", {"account": "8"}), ("", None), (None, None), (8.0, {"account": "8"})]
)
def test_a_groups_key_is_without_blanks_and_an_empty_one_is_none(
    runs: Runs, posthog: PostHog, key: JSON, right: JSON
) -> None:
    runs.here(SCHEMA, record(who=key), mappings={"tickets": [{**RULE, "groups": {"account": "who"}}]})
    assert only(posthog)["properties"].get("$groups") == right


def test_a_groups_key_that_is_an_object_is_an_error(runs: Runs) -> None:
    with pytest.raises(RunError, match="a group's key needs a text or a whole number"):
        runs.here(SCHEMA, record(who={"a": 1}), mappings={"tickets": [{**RULE, "groups": {"account": "who"}}]})


@pytest.mark.parametrize("schema", [{"type": "text"}, {"maxLength": "40"}])
def test_a_schema_of_no_draft_is_named_with_field_and_remedy(runs: Runs, posthog: PostHog, schema: JSON) -> None:
    wrong = {**SCHEMA, "schema": {"properties": {"id": {}, "at": {}, "who": schema}}}
    with pytest.raises(InvalidJSONSchema, match=r"stream `tickets` .* of any draft: `\w+` of `who`; `validate_records"):
        runs.here(wrong, mappings={"tickets": [RULE]})
    runs.here(wrong, record(), mappings={"tickets": [RULE]}, validate_records=False)
    assert only(posthog)["event"] == "Ticket"


@pytest.mark.parametrize(
    ("schema", "value", "is_right"),
    [
        ({"exclusiveMinimum": True, "minimum": 3}, 3, False),  # draft 4
        ({"exclusiveMinimum": 3}, 3, False),  # draft 6 and newer
        ({"items": [{"type": "integer"}, {"type": "string"}]}, [1, "a"], True),  # tuples, until 2019-09
        ({"items": [{"type": "integer"}]}, ["a"], False),
        ({"prefixItems": [{"type": "integer"}]}, ["a"], False),  # and since
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "a", False),
        ({"pattern": r"(?P<year>\d{4})\Z"}, "x", True),  # Python's, which can't be checked
        ({"$ref": "https://example.com/who.json"}, "x", True),
        ({"$ref": "#/$defs/who"}, "x", True),
        ({"required": True, "type": "string"}, "x", True),  # draft 3
        (True, {"any": 1}, True),
    ],
)
def test_each_schema_is_checked_by_its_own_draft(schema: JSON, value: JSON, is_right: bool) -> None:  # noqa: FBT001  # a case of the table
    check = RecordCheck("tickets", {"properties": {"who": schema}})
    assert (check.problem({"who": value}) is None) is is_right


@pytest.mark.parametrize("mappings", [{"tickets": []}, {}])
def test_a_stream_that_is_ignored_is_neither_checked_nor_judged(
    runs: Runs, posthog: PostHog, mappings: JSON, tmp_path: Path
) -> None:
    wrong = {**SCHEMA, "schema": {"properties": {"id": {"type": "text"}}}}
    summary = tmp_path / "summary.json"
    runs.here(
        wrong,
        {"type": "RECORD", "stream": "tickets", "record": {"no": "key"}},
        mappings=mappings,
        unmapped="ignore",
        summary_path=str(summary),
    )
    assert posthog.events() == []
    assert json.loads(summary.read_text())["ignored"] == {"tickets": 1}


def test_a_line_that_is_no_message_is_a_dead_letter_where_there_is_a_file_for_them(
    runs: Runs, posthog: PostHog, tmp_path: Path
) -> None:
    lines = [json.dumps(SCHEMA), "INFO reading page 1 of jane@example.com", json.dumps(record())]
    path, summary = tmp_path / "dead.singer", tmp_path / "summary.json"
    settings = {**runs.settings, "mappings": {"tickets": [RULE]}, "summary_path": str(summary)}
    with pytest.raises(InvalidInputLine, match=r"^Line 2 of the input is no Singer .* set `dead_letter_path` to go"):
        TargetPostHog(config=settings).listen(lines)  # type: ignore[arg-type]  # any lines will do
    TargetPostHog(config={**settings, "dead_letter_path": str(path)}).listen(lines)  # type: ignore[arg-type]  # the same
    assert only(posthog)["event"] == "Ticket"
    (kept,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (kept["type"], kept["line"]) == ("LINE", lines[1])
    assert json.loads(summary.read_text())["unreadable_lines"] == 1


def test_a_stream_of_which_nothing_becomes_an_event_is_a_warning_with_the_reasons(
    runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    rules = [{**RULE, "when": "who == 'x'"}, {**RULE, "name": "each", "for_each": "who"}]
    runs.here(SCHEMA, record(), record(id=2), mappings={"tickets": rules})
    assert (
        "Stream `tickets`: none of its 2 records became an event (rule `Ticket`: its `when` isn't true (2); "
        "rule `each`: its list is empty (2))"
    ) in caplog.text


def test_the_reasons_are_counted_over_all_schemas_that_a_stream_has(
    runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    wider = {**SCHEMA, "schema": {"properties": {**SCHEMA["schema"]["properties"], "note": {}}}}
    rules = [{**RULE, "when": "who == 'x'"}, {**RULE, "name": "each", "for_each": "who"}]
    messages = [SCHEMA, record(), record(id=2), wider, record(id=3), SCHEMA, record(id=4)]
    runs.here(*messages, mappings={"tickets": rules})
    assert (
        "Stream `tickets`: none of its 4 records became an event (rule `Ticket`: its `when` isn't true (4); "
        "rule `each`: its list is empty (4))"
    ) in caplog.text


def test_what_one_of_a_streams_schemas_lacks_stays_in_the_summary(runs: Runs, tmp_path: Path) -> None:
    fields = ("shop", "id", "test", "email", "processed_at", "created_at", "cancelled_at", "customer")
    lists = ("note_attributes", "transactions", "fulfillments", "refunds")
    narrow = {"type": "SCHEMA", "stream": "orders", "key_properties": ["id"]}
    narrow["schema"] = {"properties": {name: {} for name in (*fields, *lists)}}
    wider = {**narrow, "schema": {"properties": {**narrow["schema"]["properties"], "taxes_included": {}}}}
    order = {"shop": "s", "id": 5, "email": "jane@example.com", "processed_at": AT}
    summaries = []
    for number, messages in enumerate([(narrow, wider), (wider, narrow)]):
        summary = tmp_path / f"{number}.json"
        read = [one for schema in messages for one in (schema, {"type": "RECORD", "stream": "orders", "record": order})]
        runs.here(*read, summary_path=str(summary))
        summaries.append(json.loads(summary.read_text())["missing"]["orders"])
    assert {*summaries[0]} == {*summaries[1]}


def test_a_name_with_rules_that_no_stream_has_is_a_warning(runs: Runs, caplog: pytest.LogCaptureFixture) -> None:
    runs.here(SCHEMA, record(), mappings={"ticket": [{"leave_out": "ours", "when": "who == 'x'"}], "tickets": RULE})
    assert "No stream of this run has the name for which you have rules: `ticket`" in caplog.text
    assert "did you mean" not in caplog.text, "`tickets` has rules of its own"
    caplog.clear()
    runs.here(SCHEMA, record(), mappings={"ticket": [{"leave_out": "ours", "when": "who == 'x'"}]})
    assert "you have rules: `ticket`; did you mean `tickets`?" in caplog.text
    caplog.clear()
    runs.here(SCHEMA, record(), mappings={"tickets": RULE})
    assert "No stream of this run" not in caplog.text


def test_a_name_with_rules_of_a_file_that_no_stream_has_is_a_warning_too(
    runs: Runs, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_text(json.dumps({"extends": "ecommerce", "streams": {"Tickets": [RULE]}}))
    runs.here(SCHEMA, record(), mapping=str(file))
    assert "you have rules: `Tickets`; did you mean `tickets`?" in caplog.text, "and nothing of the shipped ones"


ORDERS = {**SCHEMA, "stream": "orders"}  # of another tap: without `shop`


@pytest.mark.parametrize("schema", [SCHEMA, ORDERS])
def test_a_filter_alone_leaves_the_rest_of_a_stream_that_no_rule_speaks_of(
    runs: Runs, posthog: PostHog, schema: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    stream = schema["stream"]
    records = [{**record(id=number, who=who), "stream": stream} for number, who in ((1, "us"), (2, "jane"))]
    runs.here(schema, *records, mappings={stream: [{"leave_out": "our own", "when": "who == 'us'"}]})
    event = only(posthog)
    assert (event["event"], event["properties"]["id"]) == (stream, 2)
    assert f"No rule says what the records of stream `{stream}` mean" in caplog.text
    assert ("The shipped rules for `orders` are left alone" in caplog.text) is (stream == "orders")


@pytest.mark.parametrize(("field", "properties"), [("source", '"@"'), ("utm_source", '{"<a name>": "<a field>"}')])
def test_the_rule_to_write_has_no_property_that_posthog_copies_onto_the_person(
    runs: Runs, field: str, properties: str, caplog: pytest.LogCaptureFixture
) -> None:
    fields = {**SCHEMA["schema"]["properties"], field: {}}
    runs.here({**SCHEMA, "schema": {"properties": fields}}, record(**{field: "a"}))
    assert f'"properties": {properties}' in caplog.text


def test_a_filter_alone_obeys_unmapped(runs: Runs, posthog: PostHog) -> None:
    filters = {"tickets": [{"leave_out": "our own", "when": "who == 'us'"}]}
    runs.here(SCHEMA, record(), mappings=filters, unmapped="ignore")
    assert posthog.events() == []
    with pytest.raises(RunError, match="no rule says what the records of stream `tickets` mean"):
        runs.here(SCHEMA, record(), mappings=filters, unmapped="fail")


@pytest.mark.parametrize("when", ["`true`", True, None])
def test_a_filter_that_leaves_out_all_is_no_stream_without_rules(
    runs: Runs, posthog: PostHog, when: JSON, caplog: pytest.LogCaptureFixture
) -> None:
    rule = {"leave_out": "all of it", **({} if when is None else {"when": when})}
    runs.here(SCHEMA, record(), mappings={"tickets": [rule]}, unmapped="fail")
    assert posthog.events() == []
    assert "No rule says" not in caplog.text
    assert "none of its 1 records became an event" not in caplog.text


@pytest.mark.parametrize(
    ("maps", "right"),
    [
        ({}, {"Ticket": 1, "Visit": 1}),
        ({"tickets": {"who": "'w'"}}, {"Ticket": 1, "Visit": 1}),
        ({"tickets": {"__filter__": "id > 1"}}, {"Visit": 1}),
        ({"tickets": None}, {"Visit": 1}),
        ({"tickets": {}, "__else__": None}, {"Ticket": 1}),
        ({"tickets": {"__alias__": "visits"}}, {"Visit": 2}),
    ],
)
def test_stream_maps_come_before_the_rules(runs: Runs, posthog: PostHog, maps: JSON, right: JSON) -> None:
    visits = {**SCHEMA, "stream": "visits"}
    visit = {**record(id=9), "stream": "visits"}
    rules = {"tickets": [RULE], "visits": [{**RULE, "event": "Visit"}]}
    runs.here(SCHEMA, record(), visits, visit, mappings=rules, stream_maps=maps)
    assert posthog.totals()["events"] == right


@pytest.mark.parametrize(
    ("maps", "named"),
    [
        ({"ticket": {"who": "md5(who)"}}, ["`ticket`; did you mean `tickets`?"]),
        ({"buyers": {"__source__": "ticket"}}, ["`ticket`; did you mean `tickets`?"]),
        ({"tick*": {}, "__else__": None}, []),
    ],
)
def test_a_stream_map_of_a_stream_that_did_not_come_is_named(
    runs: Runs, caplog: pytest.LogCaptureFixture, maps: JSON, named: list[str]
) -> None:
    runs.here(SCHEMA, record(), mappings={"tickets": [RULE]}, stream_maps=maps)
    told = [one.getMessage() for one in caplog.records if "a stream map" in one.getMessage()]
    assert told == [f"No stream of this run has the name of a stream map: {each}" for each in named]


@pytest.mark.parametrize("expression", ["int(who)", "who.strip(5)", "nobody"])
def test_a_record_that_a_stream_map_cannot_take_is_named_without_its_values(runs: Runs, expression: str) -> None:
    told = "A stream map of stream `tickets` can't take the record id=sha256:"
    maps: JSON = {"tickets": {"who": expression}}
    with pytest.raises(RunError, match=told) as error:
        runs.here(SCHEMA, record(who="+49 170 5550199"), mappings={"tickets": [RULE]}, stream_maps=maps)
    assert "5550199" not in str(error.value)


@pytest.mark.parametrize("of_the_rest", [{}, {"__else__": None}])
def test_a_dead_letter_goes_through_no_stream_map_a_second_time(
    runs: Runs, posthog: PostHog, tmp_path: Path, of_the_rest: dict[str, JSON]
) -> None:
    path = tmp_path / "dead.jsonl"
    maps: dict[str, JSON] = {"tickets": {"who": "md5(who)"}, **of_the_rest}
    settings: dict[str, Any] = {"stream_maps": maps, "dead_letter_path": str(path)}
    rule = {**RULE, "distinct_id": "who"}
    runs.here(SCHEMA, record(who="jane@example.com", at="soon"), mappings={"tickets": [rule]}, **settings)
    assert posthog.events() == []
    letters = [json.loads(line) for line in path.read_text().splitlines()]
    mended = {**rule, "timestamp": f"'{AT}'"}
    runs.here(*letters, SCHEMA, record(id=2, who="jane@example.com"), mappings={"tickets": [mended]}, **settings)
    assert {event["distinct_id"] for event in posthog.events()} == {md5(b"jane@example.com").hexdigest()}
    assert len(posthog.events()) == 2


def test_an_error_says_whose_rule_it_is_and_how_to_be_rid_of_it(runs: Runs) -> None:
    orders = {"type": "SCHEMA", "stream": "orders", "key_properties": ["shop", "id"]}
    orders["schema"] = {"properties": {name: {} for name in ("shop", "id", "processed_at", "email", "subtotal_price")}}
    wrong = {"shop": "s", "id": 1, "processed_at": "soon", "email": "jane@example.com"}
    with pytest.raises(RunError) as shipped:
        runs.here(orders, {"type": "RECORD", "stream": "orders", "record": wrong})
    assert "shipped rule `Order Completed` of stream `orders`" in str(shipped.value)
    assert '`mappings: {"orders": [{"extends": "Order Completed", "disabled": true}]}` does without' in str(
        shipped.value
    )
    with pytest.raises(RunError, match="your rule `Ticket` of stream `tickets`"):
        runs.here(SCHEMA, record(at="soon"), mappings={"tickets": [RULE]})
