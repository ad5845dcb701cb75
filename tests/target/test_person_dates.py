"""Since when a person is there: PostHog's `created_at` is the time of the event that makes the person.

A merge keeps the older one; nothing else moves it (PostHog person-property-service.ts, person-merge-service.ts
[039125e1]). So `Customer Created` comes first of a customer.
"""

from __future__ import annotations

import io
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from target_posthog.delivery.batches import Outgoing, sending_order
from target_posthog.mapping.document import active, load
from target_posthog.mapping.meanings import StreamMapping
from target_posthog.receipts.sifter import Sifted
from target_posthog.singer.target import TargetPostHog
from tests.conftest import LAST_DAY
from tests.tap.conftest import Run, read
from tests.target.previews import Previews
from tests.target.test_persons import IDENTITIES, SCHEMAS, VISITOR, Syncs, customer, order, web_shop_identifies

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from conftest import Runs
    from sandbox.posthog.partitions import Partition

CREATED = "2026-09-01T10:00:00Z"
JANE, NUMBER = "jane@example.com", "shopify:customer:7"
MADE, IDENTIFY = ("Customer Created", NUMBER), ("$identify", JANE)


def sent(*messages: dict[str, Any], identity: str = "email") -> list[list[tuple[str, str]]]:
    """Return name and distinct id of what the shipped rules make of records, request by request, persons first."""
    rules = load("ecommerce")["streams"]
    mappings = {
        stream: StreamMapping(stream, active(rules[stream]), identity=identity, schema=SCHEMAS[stream])
        for stream in SCHEMAS
    }
    events = [event for one in messages for event in mappings[one["stream"]].events(one["record"])]
    outgoing = [Outgoing(one, 100, Sifted(one, "rule", None)) for one in events]
    planned = sending_order(outgoing, historical_before="2026-11-21T00:00:00Z")
    batches = [*planned.persons, *itertools.chain(*planned.lanes)]
    return [[(one["event"], one["distinct_id"]) for one in batch.events] for batch in batches]


PAID = [("Order Completed", JANE)]
EIGHT = ("Customer Created", "shopify:customer:8")


@pytest.mark.parametrize(
    ("records", "requests"),
    [
        ([customer(7, JANE)], [[MADE], [IDENTIFY]]),
        # Two customers take as many requests as one does.
        ([customer(7, JANE), customer(8, JANE)], [[MADE, EIGHT], [IDENTIFY, IDENTIFY]]),
        # Read twice, in one run that remembers nothing.
        ([customer(7, JANE), customer(7, JANE, 2)], [[MADE], [IDENTIFY, IDENTIFY]]),
        ([customer(7, JANE), order(1, JANE, (7, JANE))], [[MADE], [IDENTIFY], PAID]),
        # PostHog keeps the order within one distinct id by itself.
        ([customer(7, None, updated_at=CREATED)], [[MADE, ("$identify", NUMBER)]]),
        # Of a person who isn't made, only the fact is told, and last.
        (
            [customer(7, JANE, data_sale_opt_out=True), customer(8, "eve@example.com")],
            [[EIGHT], [("$identify", "eve@example.com")], [MADE]],
        ),
    ],
)
def test_what_makes_a_person_is_acknowledged_before_anything_else_is_said_of_them(
    records: list[dict[str, Any]], requests: list[list[tuple[str, str]]]
) -> None:
    assert sent(*records) == requests


def test_under_another_identity_it_is_first_too() -> None:
    assert sent(customer(7, JANE), identity="customer_id") == [[MADE], [IDENTIFY]]
    assert [len(one) for one in sent(customer(7, JANE), identity="email_sha256")] == [1, 1]


@pytest.fixture(scope="module")
def back_fill() -> Run:
    """What the tap tells of a part of the default store."""
    with Shop(cdnow_store(LAST_DAY, customers=250)).serve() as shop:
        return read(shop)


@pytest.mark.parametrize("with_receipts", [True, False])
def test_after_a_back_fill_each_person_is_there_since_the_customer_is(
    back_fill: Run, tmp_path: Path, *, with_receipts: bool
) -> None:
    told = "".join(json.dumps(one) + "\n" for one in back_fill.messages)
    with PostHog().serve() as posthog:
        settings = {"api_key": "phc_sandbox", "host": posthog.url}
        settings |= {"receipts": str(tmp_path / "receipts.sqlite")} if with_receipts else {}
        for _ in range(2):
            TargetPostHog(config=settings).listen(io.StringIO(told))
        persons = {id_: person for person in posthog.persons() for id_ in person["distinct_ids"]}
    customers = {
        f"shopify:customer:{one['id']}": one["created_at"]
        for one in back_fill.records["customers"]
        if not one.get("_sdc_deleted_at") and not one["data_sale_opt_out"]
    }
    assert len(customers) > 200
    # Two customers with one e-mail are one person, there since the first of them.
    assert {id_: persons[id_]["created_at"] for id_ in customers} == {
        id_: min(customers[other] for other in persons[id_]["distinct_ids"] if other in customers) for id_ in customers
    }


def since(posthog: PostHog) -> list[str]:
    return [one["created_at"] for one in posthog.persons()]


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_person_stays_there_since_the_customer_is_whatever_changes(
    runs: Runs, posthog: PostHog, identity: str
) -> None:
    sync = Syncs(runs, identity)
    sync(customer(7, JANE), order(1, JANE, (7, JANE)))
    sync(customer(7, "new@example.com", 4, name="Jane"))
    assert since(posthog) == [CREATED]


@pytest.mark.parametrize(
    ("created", "expected"), [(CREATED, CREATED), ("2026-09-20T10:00:00Z", "2026-09-15T10:00:00Z")]
)
def test_of_a_customer_whom_the_web_shop_knew_the_older_date_holds(
    runs: Runs, posthog: PostHog, created: str, expected: str
) -> None:
    web_shop_identifies(posthog, JANE)  # on 2026-09-15
    Syncs(runs)(customer(7, JANE, created_at=created))
    (person,) = posthog.persons()
    assert set(person["distinct_ids"]) == {JANE, NUMBER, VISITOR}
    assert person["created_at"] == expected


def test_a_guest_who_opens_an_account_is_there_since_the_first_order(runs: Runs, posthog: PostHog) -> None:
    sync = Syncs(runs)
    sync(order(1, JANE))
    sync(customer(7, JANE, 9, created_at="2026-10-09T10:00:00Z"))
    assert since(posthog) == ["2026-10-05T10:00:00Z"]


def test_the_old_connectors_event_makes_the_person_by_itself(runs: Runs, posthog: PostHog) -> None:
    runs.here(
        *({"type": "SCHEMA", "stream": name, "key_properties": ["id"], "schema": SCHEMAS[name]} for name in SCHEMAS),
        *(customer(7, JANE), order(1, JANE, (7, JANE))),
        mapping="shopify-connector",
    )
    assert since(posthog) == [CREATED]


def test_without_the_event_the_person_still_has_what_was_first(runs: Runs, posthog: PostHog) -> None:
    left_out = {"customers": [{"extends": "Customer Created", "disabled": True}]}
    runs.here(
        {"type": "SCHEMA", "stream": "customers", "key_properties": ["id"], "schema": SCHEMAS["customers"]},
        customer(7, JANE),
        mappings=left_out,
    )
    (person,) = posthog.persons()
    said = {name: person["properties"][name] for name in ("customer_since", "first_shop")}
    assert said == {"customer_since": CREATED, "first_shop": "my-store.myshopify.com"}
    assert person["created_at"] == "2026-10-01T10:00:00Z", (
        "there since the customer's last change, as docs/identity.md says"
    )


def test_with_receipts_only_what_is_new_of_the_person_comes_later(runs: Runs, posthog: PostHog, tmp_path: Path) -> None:
    for day, name in ((1, "Jane"), (2, "Janet")):
        runs.here(
            {"type": "SCHEMA", "stream": "customers", "key_properties": ["id"], "schema": SCHEMAS["customers"]},
            customer(7, JANE, day, name=name),
            receipts=str(tmp_path / "receipts.sqlite"),
        )
    assert [one["event"] for one in posthog.fired()] == ["Customer Created", "$identify", "$identify"]
    (person,) = posthog.persons()
    assert (person["created_at"], person["properties"]["name"]) == (CREATED, "Janet")


def test_a_preview_counts_the_event_as_it_will_leave_and_explains_it_first(runs: Runs, tmp_path: Path) -> None:
    previews = Previews(runs, tmp_path)
    schema = {"type": "SCHEMA", "stream": "customers", "key_properties": ["id"], "schema": SCHEMAS["customers"]}
    out = customer(8, "eve@example.com", data_sale_opt_out=True)
    plan = previews.make(schema, customer(7, JANE), out, mappings={})
    created = plan["events"]["Customer Created"]
    # With a person it is no part of the historical migration, which PostHog bills otherwise.
    assert [created[name] for name in ("count", "live", "historical", "identified")] == [2, 1, 1, 1]
    assert created["set_once"] == {"customer_since": 1, "first_shop": 1}
    assert plan["persons"]["persons"] == 1
    said = previews.command("explain", JANE)
    assert 0 < said.index("Customer Created  (rule") < said.index("$identify  (rule")


def test_only_a_partition_that_falls_behind_what_was_acknowledged_later_moves_the_date(
    runs: Runs, posthog: PostHog
) -> None:
    """What docs/identity.md says PostHog can still reorder."""
    posthog.hold()
    Syncs(runs)(customer(7, JANE), order(1, JANE, (7, JANE)))
    held = posthog.held()
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for applied in set(itertools.permutations(held)):
        posthog.database.wipe()
        posthog.apply(applied)
        found[is_as_acknowledged(applied)] |= {*since(posthog)}
    assert found == {True: {CREATED}, False: {"2026-10-01T10:00:00Z", "2026-10-05T10:00:00Z"}}


def is_as_acknowledged(applied: Sequence[Partition]) -> bool:
    """Whether what makes the person was applied before the `$identify`; the order's facts come at any time."""
    main = [one.distinct_id for one in applied if one.topic == "events_plugin_ingestion"]
    return main.index(NUMBER) < main.index(JANE)
