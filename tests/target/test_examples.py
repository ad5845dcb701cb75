"""The worked examples of docs/mapping.md, with records as other taps send them."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tap_shopify_orders.records.schema import CUSTOMERS, KEYS, ORDERS, stream_schema
from target_posthog.mapping.catalogue import catalogue
from target_posthog.mapping.document import load, shipped_names
from target_posthog.mapping.meanings import Meanings
from target_posthog.preview.personal import personal_names_of
from target_posthog.singer.target import TargetPostHog
from tests.target.test_shipped import CUSTOMER, ORDER, SCHEMAS

if TYPE_CHECKING:
    from conftest import Runs
    from sandbox.posthog import PostHog

EXAMPLES = Path(__file__).parent / "examples"


TIME = {"type": ["null", "string"], "format": "date-time"}
TEXT = {"type": ["null", "string"]}
NUMBER = {"type": ["null", "integer"]}


def of(**fields: Any) -> dict[str, Any]:
    return {"type": ["null", "object"], "properties": fields}


# The fields that the examples read, of the kinds that tap-stripe 3.3, tap-zendesk 2.8 and meltanolabs-tap-github 1.30
# declare (`--discover`); those of the taps for PostgreSQL are as they write them of a table (tests/outside/singer runs
# both); those for HubSpot and Klaviyo are written by hand, after the services' documentation.
DECLARED: dict[str, dict[str, dict[str, Any]]] = {
    "stripe": {
        "invoices": {
            **dict.fromkeys(("id", "status", "customer", "customer_email", "currency", "subscription"), TEXT),
            "billing_reason": TEXT,
            "amount_paid": NUMBER,
            "created": TIME,
            "updated": TIME,
            "lines": {"type": "array"},
            "status_transitions": of(finalized_at=TIME, paid_at=TIME, voided_at=TIME),
        },
        "customers": {"id": TEXT, "email": TEXT, "name": TEXT, "created": TIME, "updated": TIME},
    },
    "zendesk": {
        "tickets": {
            "id": NUMBER,
            "requester_id": NUMBER,
            "subject": TEXT,
            "status": TEXT,
            "created_at": TIME,
            "updated_at": TIME,
            "via": of(channel=TEXT),
        },
        "ticket_metrics": {
            "id": NUMBER,
            "ticket_id": NUMBER,
            "created_at": TIME,
            "solved_at": TIME,
            "updated_at": TIME,
        },
        "users": {"id": NUMBER, "email": TEXT, "name": TEXT, "created_at": TIME, "updated_at": TIME},
    },
    "postgres": {
        "public-accounts": {
            "id": {"type": ["integer"], "minimum": -(2**63), "maximum": 2**63 - 1},
            "name": {"type": ["null", "string"], "maxLength": 40},
            "plan": TEXT,
            "seats": NUMBER,
            "monthly_fee": {
                "type": ["null", "number"],
                "exclusiveMaximum": True,
                "maximum": 100000000,
                "multipleOf": 0.01,
                "exclusiveMinimum": True,
                "minimum": -100000000,
            },
            "owner_id": NUMBER,
            "created_at": TIME,
            "updated_at": TIME,
            "_sdc_deleted_at": TIME,
        },
        "public-logins": {
            "id": NUMBER,
            "user_id": NUMBER,
            "account_id": NUMBER,
            "at": TIME,
            "details": {"type": ["null", "object", "array"]},
        },
    },
    "github": {
        "issues": {
            "id": NUMBER,
            "number": NUMBER,
            "org": TEXT,
            "repo": TEXT,
            "title": TEXT,
            "created_at": TIME,
            "pull_request": of(url=TEXT),
            "user": of(login=TEXT, id=NUMBER),
        },
        "pull_requests": {
            "id": NUMBER,
            "number": NUMBER,
            "org": TEXT,
            "repo": TEXT,
            "merged_at": TIME,
            "user": of(login=TEXT, id=NUMBER),
        },
        "stargazers": {
            "user_id": NUMBER,
            "repo_id": NUMBER,
            "org": TEXT,
            "repo": TEXT,
            "starred_at": TIME,
            "user": of(login=TEXT, id=NUMBER),
        },
    },
    "hubspot": {
        "contacts": {"id": TEXT, "createdAt": TIME, "updatedAt": TIME, "properties": {"type": "object"}},
        "deals": {"id": TEXT, "createdAt": TIME, "updatedAt": TIME, "properties": {"type": "object"}},
    },
    "klaviyo": {
        "opened_email": {
            "id": TEXT,
            "datetime": TIME,
            "event_properties": {"type": "object"},
            "relationships": {"type": "object"},
        },
        "profiles": {"id": TEXT, "attributes": {"type": "object", "properties": {}}},
    },
}
KEYS_OF = {"stargazers": ["user_id", "repo_id"]}


def run(runs: Runs, posthog: PostHog, example: str, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Run an example twice on records of its tap's streams, and let PostHog merge what the second run sent again."""
    told: list[dict[str, Any]] = []
    for stream, records in rows.items():
        schema = {"type": "object", "properties": DECLARED[example][stream]}
        keys = KEYS_OF.get(stream, ["id"])
        told.append({"type": "SCHEMA", "stream": stream, "key_properties": keys, "schema": schema})
        told += [{"type": "RECORD", "stream": stream, "record": one} for one in records]
    for _ in range(2):
        runs.here(*told, mapping=str(EXAMPLES / f"{example}.yaml"))
    posthog.merge()


def test_each_example_is_run() -> None:
    assert {path.stem for path in EXAMPLES.iterdir()} == DECLARED.keys()


def test_a_billing_taps_invoices_become_revenue_to_the_cent(runs: Runs, posthog: PostHog) -> None:
    paid = {
        "id": "in_1",
        "status": "paid",
        "customer": "cus_1",
        "customer_email": "Jane@Example.com",
        "status_transitions": {"paid_at": "2026-11-01T12:00:00.000000Z"},
        "amount_paid": 1999,
        "currency": "usd",
        "billing_reason": "subscription_cycle",
    }
    yen = {**paid, "id": "in_2", "customer_email": None, "currency": "jpy"}
    draft = {**paid, "id": "in_3", "status": "draft", "status_transitions": None}
    times = {"created": "2026-09-21T00:00:00.000000Z", "updated": "2026-10-01T00:00:00.000000Z"}
    jane = {"id": "cus_1", "email": "jane@example.com", "name": "Jane", **times}
    run(runs, posthog, "stripe", {"customers": [jane], "invoices": [paid, yen, draft]})
    invoices = [one for one in posthog.events() if one["event"] == "Invoice Paid"]
    assert sorted((one["properties"]["revenue"], one["properties"]["currency"]) for one in invoices) == [
        (19.99, "USD"),
        (1999, "JPY"),
    ]
    assert {one["timestamp"] for one in invoices} == {"2026-11-01T12:00:00Z"}
    assert {"jane@example.com", "cus_1"} in [set(one["distinct_ids"]) for one in posthog.persons()]


def test_a_support_taps_tickets_are_counted_once_however_they_change(runs: Runs, posthog: PostHog) -> None:
    ticket = {
        "id": 5,
        "requester_id": 9,
        "created_at": "2026-11-01T10:00:00Z",
        "updated_at": "2026-11-01T13:30:00Z",
        "status": "solved",
        "subject": "Where is it?",
        "via": {"channel": "email"},
    }
    metrics = {"id": 1, "ticket_id": 5, "created_at": "2026-11-01T10:00:00Z", "solved_at": "2026-11-01T13:30:00Z"}
    user = {"id": 9, "email": "Jane@example.com", "name": "Jane", "created_at": "2026-01-01T00:00:00Z"}
    user["updated_at"] = "2026-11-01T09:00:00Z"
    closed = {**ticket, "updated_at": "2026-11-08T00:00:00Z", "status": "closed"}
    run(runs, posthog, "zendesk", {"tickets": [ticket, closed], "ticket_metrics": [metrics], "users": [user]})
    events = {one["event"]: one for one in posthog.events()}
    assert posthog.totals()["events"] == {"Ticket Opened": 1, "Ticket Solved": 1, "$identify": 1}
    assert events["Ticket Solved"]["properties"]["hours_to_solve"] == 3.5
    (person,) = posthog.persons()
    assert set(person["distinct_ids"]) == {"jane@example.com", "zendesk:9"}


def test_a_databases_tables_become_groups_events_and_deletions(runs: Runs, posthog: PostHog) -> None:
    account = {
        "id": 3,
        "name": "Acme",
        "plan": "paid",
        "seats": 5,
        "monthly_fee": 49.50,
        "owner_id": 11,
        "created_at": "2026-11-01T00:00:00+00:00",
        "updated_at": "2026-11-20T00:00:00+00:00",
        "_sdc_deleted_at": None,
    }
    login = {"id": 1, "user_id": 11, "account_id": 3, "at": "2026-11-02T00:00:00+00:00", "details": {"device": "phone"}}
    gone = {"id": 4, "_sdc_deleted_at": "2026-11-03T00:00:00Z"}
    run(runs, posthog, "postgres", {"public-accounts": [account, gone], "public-logins": [login]})
    assert posthog.totals()["events"] == {
        "$groupidentify": 1,
        "Account Created": 1,
        "Account Deleted": 1,
        "Logged In": 1,
    }
    (group,) = posthog.groups()
    assert (group["type"], group["key"], group["properties"]) == (
        "account",
        "3",
        {"name": "Acme", "plan": "paid", "seats": 5, "monthly_fee": 49.5},
    )


def test_a_code_hosts_people_open_merge_and_star(runs: Runs, posthog: PostHog) -> None:
    place = {"org": "acme", "repo": "shop", "user": {"login": "jane", "id": 1}}
    issue = {"id": 1, "number": 7, "title": "It breaks", "created_at": "2026-11-01T00:00:00Z", **place}
    pull = {**issue, "id": 2, "pull_request": {"url": "https://example.com/8"}}
    merged = {"id": 3, "number": 8, "merged_at": "2026-11-02T00:00:00Z", **place}
    star = {"user_id": 1, "repo_id": 9, "starred_at": "2026-11-03T00:00:00Z", **place}
    open_ = {**merged, "id": 4, "merged_at": None}
    run(runs, posthog, "github", {"issues": [issue, pull], "pull_requests": [merged, open_], "stargazers": [star]})
    found = {one["event"]: one for one in posthog.events()}
    assert posthog.totals()["events"] == {"Issue Opened": 1, "Pull Request Merged": 1, "Repository Starred": 1}
    assert {(one["distinct_id"], one["properties"]["repository"]) for one in found.values()} == {
        ("github:jane", "acme/shop")
    }


def test_a_customer_taps_deals_are_won_at_their_time_in_milliseconds(runs: Runs, posthog: PostHog) -> None:
    times = {"createdAt": "2026-10-01T00:00:00.000Z", "updatedAt": "2026-11-05T00:00:00.000Z"}
    jane = {"id": "51", "properties": {"email": "Jane@example.com", "firstname": "Jane", "lastname": None}, **times}
    won = {"dealname": "Big", "amount": "1200.50", "deal_currency_code": "EUR", "hs_closed_won_date": "1793534400000"}
    deals = [{"id": "7", "properties": won, **times}, {"id": "8", "properties": {"dealname": "Open"}, **times}]
    run(runs, posthog, "hubspot", {"contacts": [jane], "deals": deals})
    assert posthog.totals()["events"] == {"$identify": 1, "Deal Created": 2, "Deal Won": 1}
    (found,) = [one for one in posthog.events() if one["event"] == "Deal Won"]
    assert (found["timestamp"], found["properties"]["revenue"]) == ("2026-11-01T12:00:00Z", 1200.5)
    (person,) = posthog.persons()
    assert person["properties"]["name"] == "Jane"


def test_a_mail_taps_opens_are_events_of_the_address(runs: Runs, posthog: PostHog) -> None:
    opened = {
        "id": "e1",
        "datetime": "2026-11-01T12:00:00+00:00",
        "relationships": {"profile": {"data": {"id": "P1"}}},
        "event_properties": {"Recipient Email Address": "Jane@example.com", "Subject": "Hello", "Campaign Name": "May"},
    }
    profile = {"id": "P1", "attributes": {"email": "jane@example.com", "updated": "2026-11-02T00:00:00+00:00"}}
    run(runs, posthog, "klaviyo", {"opened_email": [opened], "profiles": [profile]})
    (found,) = [one for one in posthog.events() if one["event"] == "Email Opened"]
    assert (found["distinct_id"], found["properties"]["campaign"]) == ("jane@example.com", "May")
    (person,) = posthog.persons()
    assert set(person["distinct_ids"]) == {"jane@example.com", "P1"}


def blocks(language: str) -> list[str]:
    """Return the blocks of docs/mapping.md in a language."""
    text = (Path(__file__).parents[2] / "docs/mapping.md").read_text("utf-8")
    return [found[1] for found in re.finditer(rf"```{language}\n(.*?)```", text, re.DOTALL)]


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.splitlines()[0][:40])
def test_each_block_of_the_page_is_a_mapping_that_can_be_used(block: str, tmp_path: Path) -> None:
    said = yaml.safe_load(block)
    settings: dict[str, Any] = {"mapping": "ecommerce", "identity": "email", "unmapped": "event", "groups": False}
    if "streams" in said:
        (tmp_path / "mapping.yaml").write_text(block)
        Meanings({**settings, "mapping": str(tmp_path / "mapping.yaml")})
    else:
        ((plugin,),) = said["plugins"].values()
        meanings = Meanings({**settings, "mappings": plugin["config"]["mappings"]})
        for stream, schema in (("orders", stream_schema(ORDERS)), ("customers", stream_schema(CUSTOMERS))):
            assert meanings.of(stream, schema, ["shop", "id"]) is not None


def test_an_event_per_product_has_no_money_of_the_order_and_stays_the_same_when_the_store_is_renamed() -> None:
    (changes,) = [block for block in blocks("yaml") if "name: per product" in block]
    ((plugin,),) = yaml.safe_load(changes)["plugins"].values()
    settings: dict[str, Any] = {"mapping": "ecommerce", "identity": "email", "unmapped": "event", "groups": False}
    meanings = Meanings({**settings, "mappings": plugin["config"]["mappings"]})
    meaning = meanings.of("orders", SCHEMAS["orders"], ["shop_id", "id"])
    assert meaning is not None
    lines = [{"id": number, "sku": "S", "quantity": 1, "price": "5.00"} for number in (1, 2)]
    order = {**ORDER, "line_items": lines}
    for record in (order, {**order, "agreements": []}):
        found = [
            [one for one in meaning.mapping.made({**record, "shop": shop}) if one.event["event"] == "Product Purchased"]
            for shop in ("before.myshopify.com", "after.myshopify.com")
        ]
        assert len(found[0]) == len(lines)
        assert [one.event["uuid"] for one in found[0]] == [one.event["uuid"] for one in found[1]]
        money = {*meanings.money, *meanings.document["records"]["orders"]["adds_up"]}
        assert [money & one.event["properties"].keys() for one in found[0]] == [set(), set()]
        assert [one.proviso.lacks for one in found[0]] == [(), ()]


def test_with_the_page_s_recipe_no_event_has_anything_personal() -> None:
    (recipe,) = [block for block in blocks("yaml") if "{extends: $identify, set: null}" in block]
    ((plugin,),) = yaml.safe_load(recipe)["plugins"].values()
    settings: dict[str, Any] = {"mapping": "ecommerce", "unmapped": "event", "groups": False}
    again = [*ORDER["agreements"], {**ORDER["agreements"][1], "id": 3}]
    found = {}
    for identity, mappings in (("email", {}), ("email_sha256", plugin["config"]["mappings"])):
        meanings = Meanings({**settings, "identity": identity, "mappings": mappings})
        made = [
            event
            for stream, record in (("orders", {**ORDER, "agreements": again}), ("customers", CUSTOMER))
            if (meaning := meanings.of(stream, SCHEMAS[stream], ["shop_id", "id"]))
            for event in meaning.mapping.events(record)
        ]
        assert [one["event"] for one in made].count("Order Refunded") == 2
        found[identity] = {name for event in made for name in personal_names_of(event, meanings.personal)}
    assert {("properties", "note"), ("set", "email")} < found["email"]
    assert found["email_sha256"] == set()


def test_the_tutorial_leads_to_an_event(runs: Runs, posthog: PostHog, tmp_path: Path) -> None:
    (streams,) = [one for one in blocks("json") if "SCHEMA" in one]
    draft, corrected = blocks("yaml")[:2]
    (tmp_path / "streams.singer").write_text(streams)
    done = subprocess.run(
        [sys.executable, "-m", "target_posthog", "init", "streams.singer", "--out", "mapping.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() in blocks("console")[0]
    assert (tmp_path / "mapping.yaml").read_text() == draft
    for mapping, name in ((draft, "tickets"), (corrected, "Ticket Opened")):
        (tmp_path / "mapping.yaml").write_text(mapping)
        target = TargetPostHog(config={**runs.settings, "mapping": str(tmp_path / "mapping.yaml")})
        target.listen(io.StringIO(streams))
        found = next(one for one in posthog.events() if one["event"] == name)
        assert (found["distinct_id"], found["timestamp"]) == ("jane@example.com", "2026-11-01T10:00:00Z")


def test_the_store_can_be_a_group(runs: Runs, posthog: PostHog) -> None:
    schema = {
        "type": "SCHEMA",
        "stream": "customers",
        "key_properties": list(KEYS),
        "schema": stream_schema(CUSTOMERS),
    }
    made = [
        {
            "shop": f"{shop}.myshopify.com",
            "shop_id": ord(shop),
            "id": number,
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-11-01T00:00:00Z",
        }
        for number, shop in enumerate(("a", "a", "b"))
    ]
    rows = [{"type": "RECORD", "stream": "customers", "record": {**row, "currency": "USD"}} for row in made]
    for _ in range(2):
        runs.here(schema, *rows, groups=True)
    assert [(group["type"], group["key"], group["properties"]) for group in posthog.groups()] == [
        ("shop", "97", {"name": "a.myshopify.com", "currency": "USD"}),
        ("shop", "98", {"name": "b.myshopify.com", "currency": "USD"}),
    ]
    assert {one["copies"] for one in posthog.events() if one["event"] == "$groupidentify"} == {1}
    assert all(
        one["properties"]["$groups"]["shop"] in {"97", "98"}
        for one in posthog.events()
        if one["event"] != "$groupidentify"
    )


@pytest.mark.parametrize("name", shipped_names())
def test_the_catalogue_has_each_event_with_its_properties_and_their_meaning(name: str) -> None:
    entries = catalogue(load(name))
    assert {"Order Completed", "Created Shopify Order"} & {entry["event"] for entry in entries}
    for entry in entries:
        assert entry["about"]
        assert all(one["type"] and one["about"] for one in entry["properties"])


def test_a_stream_that_knows_no_store_is_in_no_group(runs: Runs, posthog: PostHog) -> None:
    fields = {"properties": {name: {} for name in ("id", "who", "at")}}
    schema = {"type": "SCHEMA", "stream": "tickets", "key_properties": ["id"], "schema": fields}
    ticket = {"id": 1, "who": "agent:7", "at": "2026-11-01T00:00:00Z"}
    rule = {"event": "Ticket", "distinct_id": "who", "timestamp": "at", "key": ["id"]}
    record = {"type": "RECORD", "stream": "tickets", "record": ticket}
    runs.here(schema, record, mapping="ecommerce", mappings={"tickets": [rule]}, groups=True)
    assert posthog.totals()["events"] == {"Ticket": 1}
