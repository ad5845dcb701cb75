"""The tap serves other targets, the target other taps; stream maps and mappers work in between."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import yaml

from docs.generate import definition
from tests.pipeline.meltano_project import Project, quiet_environment

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.posthog import PostHog
    from sandbox.shop import Shop


@pytest.fixture
def elsewhere(tmp_path: Path) -> Project:
    """Somebody else's Meltano project: an empty folder."""
    return Project(tmp_path, quiet_environment())


def write_project(project: Project, **plugins: list[dict]) -> None:
    content = {"default_environment": "dev", "environments": [{"name": "dev"}], "plugins": plugins}
    (project.folder / "meltano.yml").write_text(yaml.safe_dump(content, sort_keys=False))


def here(name: str) -> dict[str, object]:
    """A plugin that is run from this environment: its definition, of which nothing is installed."""
    return {key: value for key, value in definition(name).items() if key not in {"pip_url", "variant"}}


def test_our_tap_fills_a_foreign_target(elsewhere: Project, shop: Shop) -> None:
    """target-jsonl of PyPI is ten years of Singer away from the SDK: plain singer-python."""
    output = elsewhere.folder / "output"
    output.mkdir()
    own = here("tap-shopify-orders")
    own["config"] = {"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": f"{shop.url}/admin"}
    foreign = {
        "name": "target-jsonl",
        "namespace": "target_jsonl",
        "pip_url": "target-jsonl==0.1.4 setuptools<81",
        "settings": [{"name": "destination_path"}],
        "config": {"destination_path": str(output)},
    }
    write_project(elsewhere, extractors=[own], loaders=[foreign])
    elsewhere.succeed("install", "loader", "target-jsonl")
    elsewhere.succeed("run", "tap-shopify-orders", "target-jsonl")
    lines = {file.name.split("-")[0].split(".")[0]: file.read_text().splitlines() for file in output.iterdir()}
    assert len(lines["orders"]) == len(shop.store.orders)
    assert len(lines["customers"]) == len(shop.store.customers)


def test_a_foreign_tap_fills_our_target_through_maps_and_inline_mappings(elsewhere: Project, posthog: PostHog) -> None:
    people = elsewhere.folder / "tickets.jsonl"
    tickets = [
        {"number": number, "requester": f"Person{number % 3}@Example.com", "opened": f"2026-11-0{number + 1}T10:00:00Z"}
        for number in range(6)
    ]
    people.write_text("".join(json.dumps(ticket) + "\n" for ticket in tickets))
    foreign = {
        "name": "tap-jsonl",
        "namespace": "tap_jsonl",
        "pip_url": "tap-jsonl==0.3.1",
        "capabilities": ["catalog", "discover", "state", "stream-maps"],
        "settings": [
            {"name": "path"},
            {"name": "stream_name"},
            {"name": "primary_keys", "kind": "array"},
            {"name": "stream_maps", "kind": "object"},
        ],
        "config": {
            "path": str(people),
            "stream_name": "tickets",
            "primary_keys": ["number"],
            "stream_maps": {"tickets": {"requester": "requester.lower()", "channel": "'web'"}},
        },
    }
    own = here("target-posthog")
    own["config"] = {
        "api_key": "phc_sandbox",
        "host": posthog.url,
        "mappings": {
            "tickets": [
                {
                    "event": "Ticket Opened",
                    "distinct_id": ["requester"],
                    "timestamp": "opened",
                    "key": ["number"],
                    "properties": {"ticket": "number", "channel": "channel"},
                    "set": {"email": "requester"},
                }
            ]
        },
    }
    write_project(elsewhere, extractors=[foreign], loaders=[own])
    elsewhere.succeed("install", "extractor", "tap-jsonl")
    elsewhere.succeed("run", "tap-jsonl", "target-posthog")
    events = posthog.events()
    assert Counter(event["event"] for event in events) == {"Ticket Opened": 6}
    assert {event["properties"]["channel"] for event in events} == {"web"}
    assert {person["properties"]["email"] for person in posthog.persons()} == {
        "person0@example.com",
        "person1@example.com",
        "person2@example.com",
    }


def test_a_mapper_stands_between_our_two(project: Project, shop: Shop, posthog: PostHog) -> None:
    path = project.folder / "meltano.yml"
    content = yaml.safe_load(path.read_text())
    content["plugins"]["mappers"] = [
        {
            "name": "meltano-map-transformer",
            "namespace": "meltano_map_transformer",
            "pip_url": "meltano-map-transform==0.12.3",
            "executable": "meltano-map-transform",
            "settings": [{"name": "stream_maps", "kind": "object"}],
            "mappings": [
                {
                    "name": "only-paid",
                    "config": {"stream_maps": {"orders": {"__filter__": "record['financial_status'] == 'paid'"}}},
                }
            ],
        }
    ]
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    project.succeed("install", "mapper", "meltano-map-transformer")
    project.succeed("run", "tap-shopify-orders", "only-paid", "target-posthog")
    arrived = {one["properties"]["order_name"] for one in posthog.events() if one["event"] == "Order Completed"}
    paid = {one["name"] for one in shop.store.orders if one["displayFinancialStatus"] == "PAID" and not one["test"]}
    assert arrived == paid
    assert len(paid) < len(shop.store.orders)
