"""Stream maps that are none: a sentence before anything is sent, as what they are to hide would go out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import ConfigValidationError

from target_posthog.errors import RunError
from target_posthog.singer.target import TargetPostHog

if TYPE_CHECKING:
    from conftest import Runs
    from sandbox.posthog import PostHog
    from target_posthog.mapping.language.functions import JSON

SECRET = "jane@example.com"  # stands for what a setting may hold
TOP_LEVEL = "; a stream map names top-level fields only"
FIELDS: dict[str, JSON] = {name: {} for name in ("id", "email", "phone", "customer")}
AT: JSON = {"type": "string", "format": "date-time"}


def stream(name: str) -> list[dict[str, Any]]:
    schema = {"properties": {**FIELDS, "id": {"type": "integer"}, "at": AT}}
    record = {"id": 1, "at": "2026-11-01T00:00:00Z", "email": SECRET, "phone": "555", "customer": {"email": SECRET}}
    return [
        {"type": "SCHEMA", "stream": name, "key_properties": ["id"], "schema": schema},
        {"type": "RECORD", "stream": name, "record": record},
    ]


@pytest.mark.parametrize(
    ("maps", "told"),
    [
        ([SECRET], " needs a value of type object"),
        (SECRET, " needs a value of type object"),
        (5, " needs a value of type object"),
        ({"t": SECRET}, ": `t` needs an object or null"),
        ({"t": [SECRET]}, ": `t` needs an object or null"),
        ({"t": {"n": [SECRET]}}, ": `t.n` needs a text or null"),
        ({"t": {"n": 5}}, ": `t.n` needs a text or null"),
        ({"t": {"n": ""}}, ": `t.n` needs a text or null"),
        ({"t": {"__alias__": 5}}, ": `t.__alias__` needs a text"),
        ({"t": {"__alias__": None}}, ": `t.__alias__` needs a text"),
        ({"t": {"__filter__": 5}}, ": `t.__filter__` needs a text or null"),
        ({"t": {"__source__": 5}}, ": `t.__source__` needs a text"),
        ({"t": {"__source__": None}}, ": `t.__source__` needs a text"),
        ({"t": {"__else__": SECRET}}, ": `t.__else__` needs null"),
        ({"t": {"__else__": [SECRET]}}, ": `t.__else__` needs null"),
        ({"t": {"__key_properties__": SECRET}}, ": `t.__key_properties__` needs a list of texts or null"),
        ({"t": {"__key_properties__": [5]}}, ": `t.__key_properties__` needs a list of texts or null"),
        ({"__else__": SECRET}, ": `__else__` needs null"),
        ({"__else__": {"t": {}}}, ": `__else__` needs null"),
        ({"__alias__": SECRET}, " has no option `__alias__`"),
        (
            {"t": {"email": "md5(email)", "customer": {"email": None}}},
            f": `t.customer` needs a text or null{TOP_LEVEL}",
        ),
        ({"t": {"__else__": None, "customer": {"email": None}}}, f": `t.customer` needs a text or null{TOP_LEVEL}"),
        ({"public": {"t": {"n": [SECRET]}}}, ": `public.t.n` needs a text or null"),
        ({"public": {"t": {"n": {"x": 5}}}}, ": `public.t.n.x` needs a text or null"),
    ],
)
def test_what_no_stream_map_can_be_is_named_at_the_start_without_its_value(maps: JSON, told: str) -> None:
    with pytest.raises(ConfigValidationError) as wrong:
        TargetPostHog(config={"api_key": "phc_sandbox", "stream_maps": maps})
    assert wrong.value.errors == [f"The setting `stream_maps`{told}"]


@pytest.mark.parametrize("name", ["stream_map_config", "faker_config"])
def test_the_settings_beside_them_need_an_object(name: str) -> None:
    with pytest.raises(ConfigValidationError) as wrong:
        TargetPostHog(config={"api_key": "phc_sandbox", name: SECRET})
    assert wrong.value.errors == [f"The setting `{name}` needs a value of type object"]


@pytest.mark.parametrize(
    "maps",
    [
        {"t": {"email": None, "phone": None, "customer": {"email": None}}},
        {"t": {"email": "__NULL__", "customer": {"email": "__NULL__"}}},
        {"t": {"customer": {"email": None}}},
        {"t*": {"customer": {"email": None}}},
        {"*": {"customer": {}}},
    ],
)
def test_a_field_within_a_field_ends_the_run_before_the_streams_first_record(
    runs: Runs, posthog: PostHog, maps: JSON
) -> None:
    with pytest.raises(RunError) as wrong:
        runs.here(*stream("t"), stream_maps=maps)
    assert str(wrong.value) == (
        "The setting `stream_maps` has an object in the map of stream `t`; a stream map names top-level fields only, "
        "so give the whole field a text or null (for a dot in a stream's name write ?)"
    )
    assert posthog.events() == []


@pytest.mark.parametrize(
    "maps",
    [
        {"public.t": {"email": None, "phone": None, "customer": None}, "public.u": None},
        {"public": {"t": {"email": None, "phone": None, "customer": None}, "u": None}},
        {"public": {"t": {"email": "__NULL__", "phone": "__NULL__", "customer": "__NULL__"}, "u": "__NULL__"}},
        {"*?t": {"__else__": None, "id": "id", "at": "at"}, "public": {"u": {"__filter__": "False"}}},
        {"pub*": {"?": {"__else__": None, "id": "id", "at": "at", "__filter__": "__stream_name__ == 'public.t'"}}},
    ],
)
def test_a_name_that_meltano_has_taken_apart_is_its_streams(runs: Runs, posthog: PostHog, maps: JSON) -> None:
    runs.here(*stream("public.t"), *stream("public.u"), stream_maps=maps)
    (event,) = posthog.events()
    assert event["event"] == "public.t"
    assert not {"email", "phone", "customer"} & {*event["properties"]}


@pytest.mark.parametrize("nothing", [None, "__NULL__"])
def test_a_stream_that_meltanos_form_of_its_name_does_not_leave_out_ends_the_run(
    runs: Runs, posthog: PostHog, nothing: JSON
) -> None:
    with pytest.raises(RunError) as wrong:
        runs.here(*stream("public.t"), stream_maps={"public": {"t": nothing}})
    assert str(wrong.value) == (
        "The setting `stream_maps` has null for `t` in the map of `public`, and a stream `public.t` has come, which "
        "the null may be meant for, as Meltano takes names apart at their dots; give the stream a map of its own, "
        "`public?t`: null to leave it out, an object without entries to keep it as it is"
    )
    assert posthog.events() == []
    runs.here(*stream("public.t"), *stream("visits"), stream_maps={"public?t": nothing})
    assert {event["event"] for event in posthog.events()} == {"visits"}


@pytest.mark.parametrize("own", ["public?t", "public.t"])
def test_a_stream_with_a_map_of_its_own_may_be_called_as_a_field_that_is_left_out(
    runs: Runs, posthog: PostHog, own: str
) -> None:
    runs.here(*stream("public"), *stream("public.t"), stream_maps={"public": {"t": None, "email": None}, own: {}})
    properties = {event["event"]: event["properties"] for event in posthog.events()}
    assert "email" not in properties["public"]
    assert properties["public.t"]["email"] == SECRET
