"""What Meltano does to the settings of somebody else's project: stream maps, and names of streams with dots in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.pipeline.meltano_project import Project, quiet_environment

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.posthog import PostHog

AT = "2026-11-01T00:00:00Z"
TAP = """#!/bin/sh
cat streams.singer
"""


def stream(name: str, *rows: dict[str, object]) -> list[dict[str, object]]:
    fields = {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}
    schema = {"type": "SCHEMA", "stream": name, "key_properties": ["id"], "schema": {"properties": fields}}
    return [schema, *({"type": "RECORD", "stream": name, "record": {"at": AT, **row}} for row in rows)]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Project:
    """Somebody else's Meltano project, with a tap that writes two streams."""
    told = [*stream("public.tickets", {"id": 1}, {"id": 2}), *stream("visits", {"id": 9}), *stream("noise", {"id": 3})]
    (tmp_path / "streams.singer").write_text("".join(json.dumps(one) + "\n" for one in told))
    tap = tmp_path / "tap-cat.sh"
    tap.write_text(TAP)
    tap.chmod(0o755)
    return Project(tmp_path, quiet_environment())


def test_stream_maps_and_rules_of_a_stream_with_a_dot_in_its_name(elsewhere: Project, posthog: PostHog) -> None:
    rule = {"event": "Ticket", "distinct_id": ["who"], "timestamp": "at", "key": ["id"]}
    config = {
        "api_key": "phc_sandbox",
        "host": posthog.url,
        "mapping": "none",
        "mappings": {"public.tickets": [rule], "views": {**rule, "event": "View", "distinct_id": ["concat('v:', id)"]}},
        "stream_maps": {
            "public.tickets": {"who": "'jane'", "id": "id", "at": "at", "__filter__": "id > 1"},
            "visits": {"__alias__": "views"},
            "__else__": "__NULL__",  # Meltano drops a null
        },
    }
    plugins = {
        "extractors": [{"name": "tap-cat", "namespace": "tap_cat", "executable": "./tap-cat.sh"}],
        "loaders": [{"name": "target-posthog", "namespace": "target_posthog", "config": config}],
    }
    content = {"default_environment": "dev", "environments": [{"name": "dev"}], "plugins": plugins}
    (elsewhere.folder / "meltano.yml").write_text(yaml.safe_dump(content, sort_keys=False))
    elsewhere.succeed("run", "tap-cat", "target-posthog")
    found = {(one["event"], one["distinct_id"]) for one in posthog.events()}
    assert found == {("Ticket", "jane"), ("View", "v:9")}
