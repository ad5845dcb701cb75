"""Messages as other taps write them: a file of messages with its settings in `other_taps/`, and what is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

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
