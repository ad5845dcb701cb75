"""A mapping to start from: whatever the streams are, it can be used as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from target_posthog.mapping.draft import Stream, draft
from target_posthog.mapping.event import COPIED_TO_PERSON
from target_posthog.mapping.meanings import Meanings

if TYPE_CHECKING:
    from pathlib import Path

    from target_posthog.mapping.language.functions import JSON

TIME = {"type": "string", "format": "date-time"}
AT = "2026-11-01T00:00:00Z"
ODD: dict[str, JSON] = {
    "i\nd\x85": {},
    "\U0001f600\n": {},
    "email": {},
    **{f"\r# {number}\n": {} for number in range(50)},
}
STREAMS = {
    "of_events": Stream("public.tickets", {"properties": {"id": {}, "opened_at": TIME, "user_id": {}}}, ["id"]),
    "of_persons": Stream("users", {"properties": {"id": {}, "email": {}, "created": TIME, "updated": TIME}}, ["id"]),
    "without_a_time": Stream("things", {"properties": {"id": {}, "due_date": TIME}}, ["id"]),
    "without_keys": Stream("log", {"properties": {"at": TIME, "what's up": {}, "A-B": {}}}, []),
    "of_an_open_schema": Stream("mongo", {}, ["_id"], [{"_id": "a", "created_at": "2026-11-01T00:00:00Z"}]),
    "of_names_that_are_no_line": Stream(
        "users\nof all", {"properties": {**ODD, "created": TIME, "due\u2028\x7fon": TIME}}, ["i\nd\x85", "\U0001f600\n"]
    ),
    "of_such_names_without_a_time": Stream("\x1b[2J", {"properties": ODD}, ["i\nd\x85"]),
    "of_properties_that_are_null": Stream("mongo", {"properties": None}, ["_id"], [{"_id": "a", "created_at": AT}]),
    "of_odd_names": Stream("on", {"properties": {"yes": {}, "Created At": TIME, "ünï": True}}, ["yes"]),
}


def written(stream: Stream) -> Any:
    return yaml.safe_load(draft([stream], "streams.singer"))["streams"][stream.name]


@pytest.mark.parametrize("name", STREAMS)
def test_it_is_a_mapping_that_fits_the_stream(name: str, tmp_path: Path) -> None:
    stream = STREAMS[name]
    path = tmp_path / "mapping.yaml"
    path.write_text(draft([stream], "streams\nof\x07.singer"), "utf-8", newline="")
    meanings = Meanings({"mapping": str(path), "identity": "email", "unmapped": "fail", "groups": False})
    schema = {"properties": stream.fields}
    assert meanings.of(stream.name, schema, stream.keys) is not None


def test_a_name_is_the_streams_own_however_it_is_written() -> None:
    stream = STREAMS["of_names_that_are_no_line"]
    assert written(stream)
    assert draft([stream], "a\u2028b").isascii() is False, "what can be read stays as it is"


def test_an_event_has_its_time_key_and_person() -> None:
    (rule,) = written(STREAMS["of_events"])
    assert (rule["timestamp"], rule["key"], rule["distinct_id"][0]) == ("opened_at", ["id"], "user_id")


def test_persons_are_identified_anew_with_each_change() -> None:
    (rule,) = written(STREAMS["of_persons"])
    assert (rule["event"], rule["timestamp"], rule["key"]) == ("$identify", "updated", ["id", "updated"])
    assert rule["distinct_id"][0] == "lower(trim(email))"


def test_a_stream_without_a_time_is_left_out_with_its_fields_named() -> None:
    assert written(STREAMS["without_a_time"]) == [{"leave_out": "has no time", "when": "`true`"}]
    assert "id, due_date" in draft([STREAMS["without_a_time"]], "streams.singer")


def test_fields_that_only_records_have_are_found() -> None:
    (rule,) = written(STREAMS["of_an_open_schema"])
    assert rule["timestamp"] == "created_at"


@pytest.mark.parametrize(("stream", "place"), [("visits", "properties"), ("users", "set")])
def test_a_name_that_posthog_copies_onto_the_person_is_another_one(stream: str, place: str) -> None:
    names = ("id", "email", "utm_source", "record_utm_source", "gclid", "$referrer")
    written_by = Stream(stream, {"properties": {**{name: {} for name in names}, "created_at": TIME}}, ["id"])
    (rule,) = written(written_by)
    assert {*rule[place]}.isdisjoint(COPIED_TO_PERSON)
    renamed = {"record_record_utm_source": "utm_source", "record_gclid": "gclid", "record_referrer": '"$referrer"'}
    assert {name: field for name, field in rule[place].items() if name in renamed} == renamed
    assert rule[place]["record_utm_source"] == "record_utm_source"
