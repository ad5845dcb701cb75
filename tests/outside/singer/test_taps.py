"""Real taps into this target: tap-postgres twice over, on a real PostgreSQL, and tap-shopify on the sandbox's store."""

from __future__ import annotations

import io
import json
import subprocess
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.shop.cdnow import cdnow_store
from target_posthog.singer.target import TargetPostHog
from tests.outside.singer.environments import executable
from tests.outside.singer.shopify import FIXTURE, messages_of, shape
from tests.postgres import USER, Server, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.posthog import PostHog

EXAMPLES = Path(__file__).parents[2] / "target/examples"
TABLES = """
create table accounts (
    id bigint primary key, name varchar(40) not null, plan text, seats integer, monthly_fee numeric(10,2),
    owner_id integer, due_date date, updated_at timestamptz, created_at timestamptz not null
);
create table logins (
    id serial primary key, user_id integer, account_id bigint, at timestamp, details jsonb, tags text[], load real
);
insert into accounts values
    (3, 'Acme', 'paid', 5, 49.50, 11, '2027-01-01', '2026-11-20', '2026-11-01'),
    (9007199254740993, 'Big', null, null, null, 12, null, '2026-11-20', '2026-11-02 10:00:00.123456+02');
insert into logins (user_id, account_id, at, details, tags, load) values
    (11, 3, '2026-11-02 12:00:00', '{"device": "phone"}', '{a,b}', 1.5),
    (12, 9007199254740993, '2026-11-02 12:00:01', null, null, 'NaN');
"""
TAPS = {
    "pipelinewise-tap-postgres": ({"dbname": "postgres"}, "--properties"),
    "meltanolabs-tap-postgres": ({"database": "postgres", "filter_schemas": ["public"]}, "--catalog"),
}
LIMIT_SECONDS = 120


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres_server() as made:
        where = ["-h", "127.0.0.1", "-p", str(made.port), "-U", USER, "-d", "postgres", "-v", "ON_ERROR_STOP=1"]
        subprocess.run(["psql", *where, "-c", TABLES], check=True, capture_output=True, timeout=60)
        yield made


@pytest.fixture(scope="module", params=TAPS)
def written(request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a tap writes of the tables."""
    more, option = TAPS[request.param]
    tap, folder = executable(request.param), tmp_path_factory.mktemp("tap")
    config, catalog = folder / "config.json", folder / "catalog.json"
    config.write_text(
        json.dumps({"host": "127.0.0.1", "port": server.port, "user": USER, "password": "unasked", **more})
    )
    run: dict[str, Any] = {"capture_output": True, "text": True, "check": True, "timeout": LIMIT_SECONDS}
    found = json.loads(subprocess.run([tap, "--config", config, "--discover"], **run).stdout)
    for stream in found["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = True
            if not entry["breadcrumb"]:
                entry["metadata"]["replication-method"] = "FULL_TABLE"
    catalog.write_text(json.dumps(found))
    done: str = subprocess.run([tap, "--config", config, option, catalog], **run).stdout
    return done


def send(posthog: PostHog, written: str, **settings: object) -> None:
    settings = {"api_key": "phc_sandbox", "host": posthog.url, **settings}
    TargetPostHog(config=settings).listen(io.StringIO(written))


def test_the_example_of_the_docs_runs_on_what_the_tap_writes(written: str, posthog: PostHog) -> None:
    for _ in range(2):
        send(posthog, written, mapping=str(EXAMPLES / "postgres.yaml"))
    posthog.merge()
    assert posthog.totals()["events"] == {"$groupidentify": 2, "Account Created": 2, "Logged In": 2}
    groups = {one["key"]: one["properties"] for one in posthog.groups()}
    assert groups["3"] == {"name": "Acme", "plan": "paid", "seats": 5, "monthly_fee": 49.5}
    assert set(groups) == {"3", "9007199254740993"}
    logins = {one["distinct_id"]: one for one in posthog.events() if one["event"] == "Logged In"}
    assert logins["11"]["properties"]["device"] == "phone"
    assert logins["12"]["properties"]["$groups"] == {"account": "9007199254740993"}


def test_without_any_rule_the_time_is_when_the_row_came_to_be(written: str, posthog: PostHog) -> None:
    send(posthog, written)
    found = {one["properties"]["id"]: one["timestamp"] for one in posthog.events() if one["event"] == "public-accounts"}
    assert found == {3: "2026-11-01T00:00:00Z", "9007199254740993": "2026-11-02T08:00:00.123456Z"}


@pytest.fixture(scope="module")
def shopify(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    store = cdnow_store(date(2026, 10, 31), customers=40)
    return messages_of(store, tmp_path_factory.mktemp("shopify"), "2026-07-01T00:00:00Z")


def test_tap_shopify_runs_through_with_exact_money_and_no_word_of_warning(
    shopify: list[dict[str, Any]], posthog: PostHog, caplog: pytest.LogCaptureFixture
) -> None:
    send(posthog, "".join(json.dumps(one) + "\n" for one in shopify), mapping="shopify-singer-io")
    said = [one.message for one in caplog.records if one.levelname == "WARNING"]
    assert [one for one in said if not one.startswith("`receipts` isn't set")] == []
    rows = [one["record"] for one in shopify if one["type"] == "RECORD"]
    orders = [one for one in rows if "lineItems" in one and not one["test"]]
    found = {one["properties"]["order_name"]: one for one in posthog.events() if one["event"] == "Order Completed"}
    assert {name: one["properties"]["revenue"] for name, one in found.items()} == {
        one["name"]: one["subtotalPriceSet"]["shopMoney"]["amount"] for one in orders
    }
    assert all(one["properties"]["products"] for one in found.values())


def test_what_the_tests_have_of_tap_shopify_is_as_it_declares_today(shopify: list[dict[str, Any]]) -> None:
    kept = [json.loads(line) for line in FIXTURE.read_text("utf-8").splitlines()]
    declared = {one["stream"]: shape(one["schema"]) for one in shopify if one["type"] == "SCHEMA"}
    assert {one["stream"]: one["schema"] for one in kept if one["type"] == "SCHEMA"} == declared
