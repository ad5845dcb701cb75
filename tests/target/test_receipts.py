"""Receipts: what PostHog has acknowledged doesn't cross the wire a second time, whatever has changed."""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import stat
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
import pytest
from typing_extensions import override

from sandbox.controls import Reply
from tap_shopify_orders.records.schema import CUSTOMERS, ORDERS, stream_schema
from target_posthog.delivery.destination import identity_of
from target_posthog.delivery.summary import Summary
from target_posthog.errors import RunError
from target_posthog.mapping.event import Entity
from target_posthog.receipts.opening import open_store, receipts_lines
from target_posthog.receipts.reserve import Reserve
from target_posthog.receipts.sifter import Candidate, NothingKnown, Sifter, seconds_of
from target_posthog.receipts.sqlite import SqliteStore
from target_posthog.receipts.store import Fact, Said
from tests.own_process import in_own_process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conftest import Runs
    from sandbox.posthog import PostHog
    from target_posthog.delivery.destination import Origin
    from target_posthog.mapping.event import Event
    from target_posthog.mapping.language.functions import JSON
    from target_posthog.receipts.store import Store

SCHEMAS = [
    {"type": "SCHEMA", "stream": name, "key_properties": ["shop", "id"], "schema": stream_schema(kind)}
    for name, kind in (("customers", CUSTOMERS), ("orders", ORDERS))
]


def customer(number: int, email: str | None, day: int = 1, **more: JSON) -> dict[str, Any]:
    record = {
        "shop": "my-store.myshopify.com",
        "shop_id": 60_000_000_001,
        "id": number,
        "email": email,
        "created_at": "2026-09-01T10:00:00Z",
        "updated_at": f"2026-10-{day:02}T10:00:00Z",
        **more,
    }
    return {"type": "RECORD", "stream": "customers", "record": record}


SET: Event = {
    "event": "$set",
    "distinct_id": "jane",
    "uuid": str(UUID(int=1, version=5)),
    "timestamp": "2026-10-02T10:00:00Z",
    "properties": {},
}


class Descriptions(NothingKnown):
    """What was said of persons so far, of whoever it was."""

    def __init__(self) -> None:
        self.said: dict[bytes, Said] = {}

    def persons(self, keys: Sequence[bytes]) -> dict[bytes, Said]:
        return {key: self.said[key] for key in keys if key in self.said}


def order(number: int, email: str | None, **more: JSON) -> dict[str, Any]:
    record = {
        "shop": "my-store.myshopify.com",
        "shop_id": 60_000_000_001,
        "id": number,
        "name": f"#{number}",
        "email": email,
        "created_at": "2026-10-02T10:00:00Z",
        "processed_at": "2026-10-02T10:00:00Z",
        "updated_at": "2026-10-02T10:00:00Z",
        "currency": "USD",
        "subtotal_price": "50.00",
        "transactions": [
            {"id": number * 10, "kind": "sale", "status": "success", "processed_at": "2026-10-02T10:00:05Z"}
        ],
        **more,
    }
    return {"type": "RECORD", "stream": "orders", "record": record}


class Receipted:
    """Runs that share one store of receipts."""

    def __init__(self, runs: Runs, posthog: PostHog, receipts: str) -> None:
        self.runs, self.posthog, self.receipts = runs, posthog, receipts
        self.seen = 0

    def run(self, *records: dict[str, Any], **settings: JSON) -> list[tuple[str, str]]:
        """Run, and return what crossed the wire: each event's name and distinct id."""
        target = self.runs.here(
            *SCHEMAS, *records, **{"receipts": self.receipts, "validate_records": False, **settings}
        )
        self.summary = target.destination.summary.as_json(target.destination._client)  # noqa: SLF001  # its counts
        fired = self.posthog.fired()[self.seen :]
        self.seen += len(fired)
        return [(event["event"], event["distinct_id"]) for event in fired]


@pytest.fixture(params=["file", "database"])
def receipted(request: pytest.FixtureRequest, runs: Runs, posthog: PostHog, tmp_path: Path) -> Receipted:
    if request.param == "file":
        return Receipted(runs, posthog, str(tmp_path / "kept" / "receipts.sqlite"))
    return Receipted(runs, posthog, request.getfixturevalue("database_of_receipts"))


def test_a_second_run_of_the_same_records_sends_nothing(receipted: Receipted) -> None:
    records = (customer(7, "jane@example.com"), order(1, "jane@example.com", customer={"id": 7}))
    assert len(receipted.run(*records)) == 4
    assert receipted.run(*records) == []
    assert receipted.summary["events"]["Order Completed"]["already_there"] == 1


def test_without_the_setting_a_run_says_what_posthog_will_show(
    runs: Runs, posthog: PostHog, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        runs.here(*SCHEMAS, order(1, "jane@example.com"), validate_records=False)
    assert caplog.text.count("`receipts` isn't set, so nothing remembers what PostHog has") == 2
    assert len(posthog.fired()) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"email": "right@example.com"},
        {"email": None},
        {"customer": None},
        {"customer": {"id": 8, "email": "jane@example.com"}},
        {"shop": "renamed.myshopify.com"},
        {"current_total_price": "20.00", "financial_status": "refunded"},
    ],
    ids=str,
)
def test_a_fact_is_not_sent_again_whatever_changes_in_its_record(receipted: Receipted, change: dict[str, JSON]) -> None:
    known = {"customer": {"id": 7, "email": "jane@example.com"}}
    assert receipted.run(order(1, "jane@example.com", **known)) == [
        ("Order Completed", "jane@example.com"),
        ("Order Paid", "jane@example.com"),
    ]
    changed = order(1, "jane@example.com", **known)
    changed["record"].update(change)
    assert [name for name, _ in receipted.run(changed) if name != "$identify"] == []
    assert receipted.summary["events"]["Order Completed"]["already_there"] == 1


@pytest.mark.parametrize("identity", ["customer_id", "email_sha256"])
def test_another_identity_sends_no_fact_again(receipted: Receipted, identity: str) -> None:
    record = order(1, "jane@example.com", customer={"id": 7, "email": "jane@example.com"})
    receipted.run(record)
    assert {name for name, _ in receipted.run(record, identity=identity)} <= {"$identify"}
    assert receipted.run(record, identity=identity) == []


def test_a_receipt_is_found_by_its_events_uuid_alone(receipted: Receipted) -> None:
    receipted.run(order(1, "jane@example.com"), order(2, "john@example.com"))
    store = open_store({"receipts": receipted.receipts, "api_key": "phc_sandbox"}, is_read_only=True)
    assert store
    placed, paid = (UUID(one["uuid"]).bytes for one in receipted.posthog.events()[:2])
    for wanted in ({paid}, {placed, paid}, set[bytes]()):
        assert store.with_receipt({*wanted, bytes(16)}) == wanted
    assert store.with_receipt(()) == set()


def test_what_is_sent_again_without_amounts_has_none_to_take_back(receipted: Receipted) -> None:
    store = open_store({"receipts": receipted.receipts, "api_key": "phc_sandbox"})
    assert store
    money = '[{"total_sales":"10.00"},{"currency":"USD"}]'
    first, other = (
        Fact(bytes([number] * 16), "Order Completed", "Order Completed", "order 1", "jane", 1, 1, 1, "no_ledger", money)
        for number in (1, 2)
    )
    with store.claim([first, other], []):
        pass
    with store.claim([msgspec.structs.replace(first, provisional=None, money=None, is_again=True)], []):
        pass
    assert store.running_money(["order 1"]) == {"order 1": [(other.uuid, money)]}


def test_a_fact_is_found_also_when_its_records_were_about_nothing_that_has_a_key(receipted: Receipted) -> None:
    store = open_store({"receipts": receipted.receipts, "api_key": "phc_sandbox"})
    assert store
    keyless = Fact(b"1" * 16, "Sale", "Sale", None, "jane@example.com", 1, 2, 3)
    with store.claim([keyless], []):
        pass
    assert list(store.look_up({keyless.uuid: "gid://shopify/Order/1", b"2" * 16: None}).facts) == [keyless.uuid]
    store.close()


def test_of_several_descriptions_of_a_person_at_once_the_last_one_holds(receipted: Receipted) -> None:
    told = [customer(7, "jane@example.com", day, first_name=name) for day, name in ((1, "Jane"), (2, "Janet"))]
    assert [name for name, _ in receipted.run(*told)].count("$identify") == 2
    assert receipted.run(told[1]) == []


def test_an_event_that_is_renamed_stays_the_fact_that_it_was(receipted: Receipted) -> None:
    receipted.run(order(1, "jane@example.com"))
    renamed = {"orders": [{"extends": "Order Completed", "event": "Purchase"}]}
    assert receipted.run(order(1, "jane@example.com"), mappings=renamed) == []
    assert receipted.summary["events"]["Purchase"]["changed"] == 1
    assert receipted.run(order(2, "jane@example.com"), mappings=renamed)[0] == ("Purchase", "jane@example.com")


def test_later_facts_of_an_order_stay_with_the_id_of_the_first_and_the_new_buyer_is_linked_to_it(
    receipted: Receipted, posthog: PostHog
) -> None:
    receipted.run(order(1, "jnae@example.com"))
    corrected = order(1, "jane@example.com", cancelled_at="2026-10-03T10:00:00Z")
    assert sorted(receipted.run(corrected)) == [
        ("$identify", "jane@example.com"),
        ("Order Cancelled", "jnae@example.com"),
    ]
    (link,) = (event for event in posthog.events() if event["event"] == "$identify")
    assert link["properties"]["$anon_distinct_id"] == "jnae@example.com"
    assert receipted.run(corrected) == []
    assert len(posthog.persons()) == 1


def test_a_guest_who_becomes_known_is_linked_to_the_order(receipted: Receipted, posthog: PostHog) -> None:
    assert receipted.run(order(1, None))[0] == ("Order Completed", "shopify:order:1")
    sent = receipted.run(order(1, "jane@example.com", cancelled_at="2026-10-03T10:00:00Z"))
    assert sorted(sent) == [("$identify", "jane@example.com"), ("Order Cancelled", "shopify:order:1")]
    assert len(posthog.persons()) == 1


def test_a_person_is_described_when_the_description_changes_and_only_then(receipted: Receipted) -> None:
    assert [name for name, _ in receipted.run(customer(7, "jane@example.com", first_name="Jane"))] == [
        "Customer Created",
        "$identify",
    ]
    assert receipted.run(customer(7, "jane@example.com", 2, first_name="Jane")) == []
    assert receipted.run(customer(7, "jane@example.com", 3, first_name="Janet")) == [("$identify", "jane@example.com")]
    assert receipted.run(customer(7, "jane@example.com", 4, first_name="Jane")) == [("$identify", "jane@example.com")]


@pytest.mark.parametrize("identity", ["email", "customer_id", "email_sha256"])
@pytest.mark.parametrize(
    "emails",
    [
        pytest.param(("jane@example.com", "jnae@example.com", "jane@example.com"), id="changed and changed back"),
        pytest.param((None, "jane@example.com", None), id="given and removed"),
    ],
)
def test_a_person_is_as_the_last_version_also_where_that_is_an_earlier_one_under_its_id(
    receipted: Receipted, posthog: PostHog, emails: tuple[str | None, ...], identity: str
) -> None:
    for day, email in enumerate(emails, 1):
        receipted.run(customer(7, email, day, state="enabled"), identity=identity)
        (person,) = posthog.persons()
        assert person["properties"].get("email") == email
    assert receipted.run(customer(7, emails[-1], 4, state="enabled"), identity=identity) == []


TEAM = {
    "type": "SCHEMA",
    "stream": "teams",
    "key_properties": ["id"],
    "schema": {"type": "object", "properties": {"id": {}, "at": {}, "members": {"type": "array", "items": {}}}},
}
MEMBER: dict[str, JSON] = {
    "event": "$identify",
    "for_each": "members",
    "distinct_id": ["item.email"],
    "anon_distinct_id": ["item.id"],
    "timestamp": "at",
    "key": ["id", "at", "item.id"],
    "set": {"email": "item.email"},
}


def test_of_several_persons_in_a_record_each_is_as_its_last_version(receipted: Receipted, posthog: PostHog) -> None:
    eve, jane, jnae = ("m2", "eve@example.com"), ("m1", "jane@example.com"), ("m1", "jnae@example.com")
    for day, members in enumerate(([jane, eve], [eve, jane], [jnae, eve], [jane, eve], [eve, jane]), 1):
        listed = [{"id": id_, "email": email} for id_, email in members]
        team = {"id": 1, "at": f"2026-10-{day:02}T10:00:00Z", "members": listed}
        receipted.run(TEAM, {"type": "RECORD", "stream": "teams", "record": team}, mappings={"teams": [MEMBER]})
        assert {one["properties"]["email"] for one in posthog.persons()} == {email for _, email in members}
    told = [event["distinct_id"] for event in posthog.fired()]
    assert told == [email for _, email in (jane, eve, jnae, jane)]


MEMBERS = {
    "type": "SCHEMA",
    "stream": "members",
    "key_properties": ["team", "email"],
    "schema": {"type": "object", "properties": {name: {} for name in ("team", "email", "at", "role")}},
}


def member(email: str, day: int, role: str) -> dict[str, Any]:
    record = {"team": 1, "email": email, "at": f"2026-10-{day:02}T10:00:00Z", "role": role}
    return {"type": "RECORD", "stream": "members", "record": record}


def mapping_of_members(tmp_path: Path, role: str = "role") -> str:
    """Return the file of a mapping by which all members of a team are about the team."""
    file = tmp_path / "members.yaml"
    rule = f"{{event: $set, distinct_id: [email], timestamp: at, key: [team, email, at], set: {{role: {role}}}}}"
    file.write_text(f"""records: {{members: {{id: "concat('team ', team)"}}}}\nstreams: {{members: [{rule}]}}\n""")
    return str(file)


def test_of_records_that_share_an_id_each_has_its_person_as_its_last_version(
    receipted: Receipted, posthog: PostHog, tmp_path: Path
) -> None:
    mapping = mapping_of_members(tmp_path)
    both = [member(email, 1, "a") for email in ("jane@example.com", "eve@example.com")]
    assert len(receipted.run(MEMBERS, *both, mapping=mapping)) == 2
    assert receipted.run(MEMBERS, *both, mapping=mapping) == []
    for day, role in enumerate("ba", 2):
        assert len(receipted.run(MEMBERS, member("jane@example.com", day, role), mapping=mapping)) == 1
    assert [one["properties"]["role"] for one in posthog.persons()] == ["a", "a"]


def test_a_record_has_the_same_identity_in_each_run() -> None:
    origin = cast("Origin", SimpleNamespace(stream_name="members", key_properties=["team", "email"]))
    one = {"team": 1.0, "email": "jane@example.com", "role": "a"}
    assert identity_of(origin, one) == identity_of(origin, {**one, "team": 1, "role": "b"}) == 7_075_700_980_343_551_764


def test_a_dead_letter_is_not_passed_over_for_a_newer_record_that_shares_its_id(
    receipted: Receipted, posthog: PostHog, tmp_path: Path
) -> None:
    letters = tmp_path / "letters.jsonl"
    settings = {"dead_letter_path": str(letters)}
    both = (member("jane@example.com", 1, "boss"), member("eve@example.com", 2, "1"))
    receipted.run(MEMBERS, *both, mapping=mapping_of_members(tmp_path, "number(role)"), **settings)
    replayed = [json.loads(line) for line in letters.read_text().splitlines()]
    assert receipted.run(*replayed, mapping=mapping_of_members(tmp_path), **settings) == [("$set", "jane@example.com")]
    assert len(posthog.persons()) == 2


def test_a_description_of_which_a_later_one_was_refused_is_not_taken_for_the_last(
    receipted: Receipted, posthog: PostHog, tmp_path: Path
) -> None:
    letters = {"dead_letter_path": str(tmp_path / "letters.jsonl")}
    names = ("Jane", "Janet", "Jean", "Jane")
    first, *two, last = (customer(7, "jane@example.com", day, first_name=name) for day, name in enumerate(names, 1))
    receipted.run(first)
    posthog.verdicts = {"$identify": ["ok", "drop:event_too_big"]}
    assert receipted.run(*two, **letters) == [("$identify", "jane@example.com")]
    receipted.run(last)
    assert [one["properties"]["first_name"] for one in posthog.persons()] == ["Jane"]
    assert receipted.run(last) == []


def test_a_batch_that_ends_a_description_as_it_was_is_let_through(receipted: Receipted) -> None:
    store = open_store({"receipts": receipted.receipts, "api_key": "phc_sandbox"})
    assert store
    jane, janet = Said(b"1" * 16, 1), Said(b"1" * 16, 2)
    for said in ([jane], [janet, jane]):
        with store.claim([], said) as claim:
            assert claim.persons == {jane.key}
    assert store.persons([jane.key]) == {jane.key: jane}
    store.close()


PERSON: dict[str, JSON] = {
    "event": "$set",
    "distinct_id": ["email"],
    "timestamp": "updated_at",
    "key": ["id", "updated_at"],
    "set": {"first_name": "first_name"},
}


@pytest.mark.parametrize(
    ("letter_of", "other_of", "rules", "sent", "name"),
    [
        pytest.param(1, 9, [], [("$identify", "jnae@example.com")], "Jane", id="an older one links"),
        pytest.param(9, 1, [], [("$identify", "jnae@example.com")], "Jnae", id="a newer one links and describes"),
        pytest.param(1, 9, [PERSON], [], "Jane", id="an older one that links nothing isn't sent"),
        pytest.param(9, 1, [PERSON], [("$set", "jnae@example.com")], "Jnae", id="a newer one describes"),
    ],
)
def test_a_dead_letter_that_is_sent_again_leaves_what_a_newer_version_said_of_the_person(  # noqa: PLR0913, PLR0917  # a table
    receipted: Receipted,
    posthog: PostHog,
    tmp_path: Path,
    letter_of: int,
    other_of: int,
    rules: list[JSON],
    sent: list[tuple[str, str]],
    name: str,
) -> None:
    letters = tmp_path / "letters.jsonl"
    settings: dict[str, JSON] = {"dead_letter_path": str(letters), "mappings": {"customers": rules} if rules else {}}
    misfit = customer(7, "jnae@example.com", letter_of, first_name="Jnae", orders_count="two")
    receipted.run(misfit, validate_records=True, **settings)
    receipted.run(customer(7, "jane@example.com", other_of, first_name="Jane"), **settings)
    replayed = [json.loads(line) for line in letters.read_text().splitlines()]
    assert receipted.run(*replayed, **settings) == sent
    assert name in [one["properties"].get("first_name") for one in posthog.persons()]
    assert len(posthog.persons()) == (2 if sent and rules else 1)
    assert receipted.run(*replayed, **settings) == []
    if not sent:
        assert receipted.summary["events"]["$set"]["already_there"] == 1


def test_a_group_is_described_when_it_changes(receipted: Receipted) -> None:
    first = receipted.run(order(1, "jane@example.com"), groups=True)
    assert [name for name, _ in first].count("$groupidentify") == 1
    assert "$groupidentify" not in {name for name, _ in receipted.run(order(2, "jane@example.com"), groups=True)}
    euro = receipted.run(order(3, "jane@example.com", currency="EUR"), groups=True)
    assert "$groupidentify" in {name for name, _ in euro}


def test_an_order_that_is_read_twice_keeps_the_visitors_of_both_versions(
    receipted: Receipted, posthog: PostHog
) -> None:
    visitors = [f"01928f3a-0000-7000-8000-00000000000{number}" for number in (1, 2, 1)]
    notes = [[{"name": "_posthog_distinct_id", "value": visitor}] for visitor in visitors]
    versions = [order(1, "jane@example.com", customer={"id": 7}, note_attributes=note) for note in notes]
    links = [each for each in receipted.run(*versions) if each[0] == "$identify"]
    assert len(links) == 3, "the customer's and one for each visitor"
    (person,) = posthog.persons()
    assert set(visitors) < set(person["distinct_ids"])
    assert receipted.run(*versions) == []


def kept_bytes(number: int) -> int:
    """Return what Python keeps in memory after so many events that are taken for sent, as they are old."""
    store = NothingKnown()
    store.floor = seconds_of("2026-11-01T00:00:00Z")
    sifter = Sifter(store, Summary())

    def old(number: int) -> Candidate:
        event: Event = {**SET, "event": "Sale", "uuid": str(UUID(int=number, version=5)), "distinct_id": f"p{number}"}
        return Candidate(event, "Sale", Entity(f"gid://shopify/Order/{number}", keeps_person=True))

    sifter.sift([old(0)])
    tracemalloc.start()
    for one in range(1, number + 1):
        assert sifter.sift([old(one)]) == []
    return tracemalloc.get_traced_memory()[0]


def test_what_is_taken_for_sent_as_it_is_old_leaves_nothing_in_memory() -> None:
    assert in_own_process(kept_bytes, 1_000) < 50 * 1_000


def test_a_description_that_is_under_way_is_not_taken_for_the_one_before_it() -> None:
    events = [
        {**event, "properties": {"$set": {"name": name}}}
        for event, name in zip([SET] * 4, ("Jane", "Janet", "Jane", "Janet"), strict=True)
    ]
    store = Descriptions()
    sifter = Sifter(store, Summary())
    first, second, third = (sifter.sift([Candidate(event, "who", None)])[0] for event in events[:3])
    for acknowledged in (first, second):  # the third is still under way
        store.said |= {person.key: person for person in acknowledged.persons}
        sifter.acknowledge([acknowledged])
    (fourth,) = sifter.sift([Candidate(events[3], "who", None)])
    assert (third.event, fourth.event) == (events[2], events[3])


def test_a_group_that_is_described_as_before_in_the_end_is_so_in_posthog(
    receipted: Receipted, posthog: PostHog
) -> None:
    orders = [order(number, "jane@example.com", currency=each) for number, each in enumerate(("USD", "EUR", "USD"), 1)]
    receipted.run(*orders, groups=True)
    assert [group["properties"]["currency"] for group in posthog.groups()] == ["USD"]


def test_a_new_rule_is_named_and_a_full_refresh_sends_its_events_alone(
    receipted: Receipted, caplog: pytest.LogCaptureFixture
) -> None:
    receipted.run(order(1, "jane@example.com"))
    every = {"extends": "*"}
    sku = {"event": "Order Tagged", "distinct_id": "email", "timestamp": "created_at", "key": ["id"]}
    assert receipted.run(order(1, "jane@example.com"), mappings={"orders": [every, sku]}) == [
        ("Order Tagged", "jane@example.com")
    ]
    assert "Rules of stream `orders` are new: `Order Tagged`. Records read before lack their events" in caplog.text
    caplog.clear()
    receipted.run(order(1, "jane@example.com"), mappings={"orders": [every, sku]})
    assert "are new" not in caplog.text
    relaxed = {"orders": [every, sku, {"extends": "Order Paid", "for_each": "transactions"}]}
    receipted.run(order(1, "jane@example.com"), mappings=relaxed)
    assert "Rules of stream `orders` apply to other records than before: `Order Paid`" in caplog.text


def test_an_event_that_posthog_refuses_has_no_receipt_and_is_tried_once_per_run(
    receipted: Receipted, posthog: PostHog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    posthog.verdicts = {"Order Completed": ["drop:event_too_big", "drop:event_too_big", "ok"]}
    letters = {"dead_letter_path": str(tmp_path / "letters.jsonl")}
    record = order(1, "jane@example.com")
    for _ in range(2):
        caplog.clear()
        receipted.run(record, record, record, **letters)
        assert caplog.text.count("PostHog refuses its event `Order Completed`") == 1
        assert receipted.summary["events"]["Order Completed"] | {"money": {}} == {
            **dict.fromkeys(("accepted", "already_there", "changed", "not_resent", "person_skipped"), 0),
            "repeated": 2,
            "refused": 1,
            "money": {},
        }
    assert ("Order Completed", "jane@example.com") in receipted.run(record, **letters)


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        ("retry", r"has taken all but 1 of 40 events in 0 seconds \(it wants 1 of the events again\)"),
        ("later", "says `later` of 1 events, a word that this version doesn't know"),
        ("drop:billing_limit_exceeded", "billing limit"),
    ],
)
def test_what_posthog_had_acknowledged_when_an_error_ended_its_batch_is_not_sent_again(
    receipted: Receipted, posthog: PostHog, verdict: str, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    records = [order(number, "jane@example.com", transactions=[]) for number in range(40)]
    for said, expected in (([*["ok"] * 7, verdict], sentence), ([verdict], None)):
        posthog.verdicts = {"Order Completed": said}
        with pytest.raises(RunError, match=expected):
            receipted.run(*records, senders=1, max_retry_seconds=0)
        assert len(posthog.fired()) == 39, "the second run sends the one that was left, and hears the same of it"
    assert "39 events accepted by PostHog" in caplog.text
    receipted.run(*records, senders=1)
    assert len(posthog.fired()) == len({event["uuid"] for event in posthog.fired()}) == 40


def test_what_posthog_has_taken_of_a_batch_in_halves_is_not_sent_again(receipted: Receipted, posthog: PostHog) -> None:
    records = [order(number, "jane@example.com", transactions=[]) for number in range(40)]
    for status in (400, None, 402):
        posthog.controls.reply_next(Reply(status=status, path="/i/", body='{"error": "invalid_batch"}'))
    with pytest.raises(RunError, match="billing limit"):
        receipted.run(*records, senders=1)
    assert len(posthog.fired()) == 20
    receipted.run(*records, senders=1)
    assert len(posthog.fired()) == len({event["uuid"] for event in posthog.fired()}) == 40


@pytest.mark.parametrize("verdict", ["drop:event_restriction_drop", "retry"])
def test_an_id_that_posthog_never_got_pins_no_order(
    receipted: Receipted, posthog: PostHog, tmp_path: Path, verdict: str
) -> None:
    settings = {"senders": 1, "max_retry_seconds": 0, "dead_letter_path": str(tmp_path / "letters.jsonl")}
    posthog.verdicts = {"Order Completed": [verdict] * 2}
    with contextlib.suppress(RunError):
        receipted.run(*(order(number, "bob@example.com", transactions=[]) for number in (1, 2)), **settings)
    assert posthog.fired() == []
    posthog.verdicts = {}
    deleted = {"shop": "my-store.myshopify.com", "shop_id": 60_000_000_001, "id": 2}
    gone = {"type": "RECORD", "stream": "orders", "record": {**deleted, "_sdc_deleted_at": "2026-10-20T08:00:00Z"}}
    assert receipted.run(order(1, "jane@example.com", transactions=[]), gone) == [
        ("Order Completed", "jane@example.com")
    ]
    assert [one["distinct_ids"] for one in posthog.persons()] == [["jane@example.com"]]


def test_an_outage_pins_no_order_to_an_id_that_posthog_never_got(receipted: Receipted, posthog: PostHog) -> None:
    receipted.run(order(1, "bob@example.com"))
    posthog.controls.reply_next(*[Reply(status=503, path="/i/v1")] * 40)
    with pytest.raises(RunError):
        receipted.run(order(2, "bob@example.com"), max_retry_seconds=0, protocol="v1")
    posthog.controls.reset()
    janes = order(2, "jane@example.com", customer={"id": 7, "email": "jane@example.com"})
    sent = receipted.run(customer(7, "jane@example.com"), janes)
    assert ("Order Completed", "jane@example.com") in sent
    assert sorted(sorted(one["distinct_ids"]) for one in posthog.persons()) == [
        ["bob@example.com"],
        ["jane@example.com", "shopify:customer:7"],
    ]


def test_an_order_stays_with_the_first_id_that_posthog_got_of_it(receipted: Receipted, posthog: PostHog) -> None:
    settings = {"senders": 1, "max_retry_seconds": 0}
    posthog.verdicts = {"Order Completed": ["retry"]}
    with pytest.raises(RunError):
        receipted.run(order(1, "bob@example.com"), **settings)
    assert [event["event"] for event in posthog.fired()] == ["Order Paid"]
    posthog.verdicts = {}
    assert ("Order Completed", "bob@example.com") in receipted.run(order(1, "jane@example.com"), **settings)


def test_max_events_counts_what_would_be_sent(receipted: Receipted) -> None:
    records = [order(number, "jane@example.com", transactions=[]) for number in range(1, 4)]
    receipted.run(*records[:2])
    assert receipted.run(*records, max_events=1) == [("Order Completed", "jane@example.com")]
    with pytest.raises(RunError, match="`max_events`"):
        receipted.run(*(order(number, "jane@example.com") for number in range(4, 9)), max_events=1)


def test_receipts_are_kept_by_project_and_their_file_is_its_owners_alone(receipted: Receipted) -> None:
    receipted.run(order(1, "jane@example.com"))
    if "://" in receipted.receipts:
        pytest.skip("no file")
    file = Path(receipted.receipts)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert all(b"phc_sandbox" not in one.read_bytes() for one in file.parent.iterdir())


class Inexhaustible(Reserve):
    """Never given back, so that claims go on after a full disk."""

    @override
    def give_back(self) -> None:
        pass


def test_a_disk_that_is_full_is_named_and_what_was_not_kept_is_forgotten(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "receipts.sqlite"), "key", reserve=lambda files: Inexhaustible(files, 1))
    ((pages,),) = store.rows("PRAGMA page_count")
    store.rows(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(RunError, match="database or disk is full"), store.claim(facts("Order Paid", 1_000), []):
        pass
    store.rows(f"PRAGMA max_page_count = {pages + 100}")
    for event in ("Order Refunded", "Order Paid"):
        with store.claim(facts(event, 2), []):
            pass
    assert [(event, number) for event, number, _, _ in store.counts()] == [("Order Paid", 2), ("Order Refunded", 2)]


def facts(event: str, number: int) -> list[Fact]:
    uuids = (uuid5(NAMESPACE_URL, f"{event} {at}").bytes for at in range(number))
    return [Fact(uuid, event, event, None, "jane@example.com", 1, 1, 1) for uuid in uuids]


def test_what_was_accepted_is_counted_also_where_its_receipts_cannot_be_written(
    runs: Runs, posthog: PostHog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    receipts = tmp_path / "receipts.sqlite"
    SqliteStore(str(receipts), "of another project").close()
    with contextlib.closing(sqlite3.connect(receipts)) as database:  # as SQLite says it of a full disk
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON posthog_receipts_fact BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    with pytest.raises(RunError, match=r"receipts\.sqlite can't be used \(disk is full\)"):
        runs.here(*SCHEMAS, order(1, "jane@example.com"), validate_records=False, receipts=str(receipts))
    accepted = len(posthog.events())
    assert accepted
    assert f"{accepted} events accepted by PostHog, of 1 records" in caplog.text


@pytest.mark.parametrize("project", ["phc_sandbox", "phc_new"])
def test_receipts_of_another_version_are_left_as_they_are(receipted: Receipted, project: str) -> None:
    """Whichever project has them: all are in the same tables."""
    receipted.run()
    settings = {"receipts": receipted.receipts, "senders": 1}
    store = open_store({**settings, "api_key": "phc_sandbox"})
    assert store
    store.rows("UPDATE posthog_receipts_project SET version = 2")
    remedy = r"version 2, this program .*(move the file away|name another database), then .* `target-posthog receipts"
    for _ in range(2):
        with pytest.raises(RunError, match=remedy):
            open_store({**settings, "api_key": project})
    assert store.rows("SELECT version FROM posthog_receipts_project") == [(2,)]
    store.close()


def warnings(place: str, project: str, *orders: int) -> list[str]:
    """Return what a run says before it begins, once a project has the receipts of some orders."""
    store = open_store({"receipts": place, "api_key": project, "senders": 1})
    assert store
    keys = [f"gid://shopify/Order/{number}" for number in orders]
    store.add([Fact(uuid5(NAMESPACE_URL, key).bytes, "Sale", "Sale", key, "jane", 1, 2, 3) for key in keys])
    said = list(receipts_lines(store, {}))
    store.close()
    return said


def test_a_project_that_lacks_what_another_got_is_a_warning_until_it_has_it(
    tmp_path: Path, database_of_receipts: str
) -> None:
    for place in (str(tmp_path / "receipts.sqlite"), database_of_receipts):
        assert warnings(place, "phc_one", *range(10)) == []
        assert warnings(place, "phc_another_shop", *range(100, 103)) == []
        assert warnings(place, "phc_new")[0].startswith("There are no receipts for this project yet.")
        for orders in [[1, 50], [51], []]:
            assert warnings(place, "phc_new", *orders)[0].startswith("These receipts know another project that got")
        assert warnings(place, "phc_new", *range(9)) == [], "a full refresh; one was deleted in the shop"
        assert warnings(place, "phc_one") == []


def open_project(place: str, project: str, facts: dict[str, int]) -> Store:
    """Return the store of a project that has some facts of each of some records, in this order."""
    store = open_store({"receipts": place, "api_key": project, "senders": 1})
    assert store
    ids = [(key, uuid5(NAMESPACE_URL, f"{key} {number}")) for key in facts for number in range(facts[key])]
    with store.claim([Fact(uuid.bytes, "Sale", "Sale", key, "jane", 1, 2, 3) for key, uuid in ids], []):
        pass
    return store


def test_a_project_that_has_fewer_events_of_the_same_records_lacks_none(
    tmp_path: Path, database_of_receipts: str
) -> None:
    for place in (str(tmp_path / "receipts.sqlite"), database_of_receipts):
        orders = [f"gid://shopify/Order/{number}" for number in range(10)]
        one = open_project(place, "phc_one", dict.fromkeys(orders, 3))
        another = open_project(place, "phc_another", dict.fromkeys(orders, 1))
        assert not one.is_behind_another
        assert not another.is_behind_another


def test_a_project_whose_receipts_were_rebuilt_is_seen_to_have_the_same_records(
    tmp_path: Path, database_of_receipts: str
) -> None:
    """A rebuilt receipt of a customer doesn't say whose it is."""
    for place in (str(tmp_path / "receipts.sqlite"), database_of_receipts):
        customers = [f"shopify:customer:{number}" for number in range(300)]
        orders = [f"gid://shopify/Order/{number}" for number in range(900)]
        open_project(place, "phc_rebuilt", dict.fromkeys([*(f"distinct id: {id_}" for id_ in customers), *orders], 1))
        some = [f"gid://shopify/Customer/{number}" for number in range(120)]
        assert open_project(place, "phc_new", dict.fromkeys([*some, *orders[:120]], 1)).is_behind_another
        assert not open_project(place, "phc_other_shop", {"distinct id: shopify:customer:1": 1}).is_behind_another


@pytest.mark.parametrize("rest", ["p@ss:w0rd@127.0.0.1:1/db", "x@host:54x/db", "x@host:/db"])
def test_a_database_s_url_that_cannot_be_read_is_named_without_it(runs: Runs, rest: str) -> None:
    with pytest.raises(RunError, match="`receipts`: the database's URL can't be read") as error:
        runs.here(*SCHEMAS, receipts=f"postgresql://user:{rest}")
    assert not [part for part in ("w0rd", "54x", "host") if part in str(error.value)]


def test_a_place_where_no_file_can_be_is_named(runs: Runs) -> None:
    with pytest.raises(RunError, match=r"`receipts`: the file /proc/receipts\.sqlite can't be used"):
        runs.here(receipts="/proc/receipts.sqlite")
    with pytest.raises(RunError, match="`receipts`: a database `mysql` isn't known here"):
        runs.here(receipts="mysql://localhost/x")
