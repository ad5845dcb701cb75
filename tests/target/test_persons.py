"""Who a person is: customers and orders over two or three runs, and the persons that PostHog then has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from tap_shopify_orders.records.schema import CUSTOMERS, ORDERS, stream_schema

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runs
    from sandbox.posthog import PostHog
    from target_posthog.mapping.language.functions import JSON

SHOP = "my-store.myshopify.com"
SHOP_ID = 548380009
SCHEMAS = {"customers": stream_schema(CUSTOMERS), "orders": stream_schema(ORDERS)}
IDENTITIES = ["email", "customer_id", "email_sha256"]
VISITOR = "01928f3a-0000-7000-8000-0000000000ff"
SESSION = "01a10b78-5d40-7000-8000-000000000001"  # of ten minutes before the orders


def customer(number: int, email: str | None, day: int = 1, **more: JSON) -> dict[str, Any]:
    at = f"2026-10-{day:02}T10:00:00Z"
    record = {
        "shop": SHOP,
        "shop_id": SHOP_ID,
        "id": number,
        "email": email,
        "created_at": "2026-09-01T10:00:00Z",
        "updated_at": at,
        **more,
    }
    return {"type": "RECORD", "stream": "customers", "record": record}


def order(number: int, email: str | None, of: tuple[int, str | None] | None = None, **more: JSON) -> dict[str, Any]:
    buyer = {"id": of[0], "email": of[1]} if of else None
    record = {"shop": SHOP, "shop_id": SHOP_ID, "id": number, "email": email, "customer": buyer, "test": False}
    record |= {"currency": "USD"}
    times = dict.fromkeys(("created_at", "processed_at", "updated_at"), "2026-10-05T10:00:00Z")
    sale = {"line_type": "product", "action_type": "order", "total_amount": "10.00", "total_tax_amount": "0.00"}
    sale |= {"total_discount_amount_before_taxes": "0.00"}
    ledger = [{"id": number, "kind": "OrderAgreement", "happened_at": times["created_at"], "sales": [sale]}]
    return {"type": "RECORD", "stream": "orders", "record": {**record, **times, "agreements": ledger, **more}}


def note(**attributes: JSON) -> list[dict[str, JSON]]:
    return [{"name": name, "value": value} for name, value in attributes.items()]


class Syncs:
    """Runs one after another, each with the records that changed, customers first as the tap sends them."""

    def __init__(self, runs: Runs, identity: str = "email", **settings: JSON) -> None:
        self.runs, self.settings = runs, {"identity": identity, **settings}

    def __call__(self, *records: dict[str, Any]) -> None:
        messages = [
            message
            for stream in ("customers", "orders")
            for message in (
                {"type": "SCHEMA", "stream": stream, "key_properties": ["shop_id", "id"], "schema": SCHEMAS[stream]},
                *(record for record in records if record["stream"] == stream),
            )
        ]
        self.runs.here(*messages, **self.settings)


def ids(posthog: PostHog) -> list[set[str]]:
    return [set(person["distinct_ids"]) for person in posthog.persons()]


def buyers(posthog: PostHog) -> dict[str, str]:
    """Return the distinct id of each completed order."""
    return {
        one["properties"]["order_id"]: one["distinct_id"]
        for one in posthog.events()
        if one["event"] == "Order Completed"
    }


def orders_once_merged(posthog: PostHog) -> int:
    """Return how many completed orders PostHog counts when it has merged what was sent again."""
    posthog.merge()
    return posthog.totals()["events"]["Order Completed"]


def person_of_orders(posthog: PostHog) -> list[set[str]]:
    """Return, for each person with orders, the orders' numbers."""
    by_id = {distinct_id: at for at, person in enumerate(posthog.persons()) for distinct_id in person["distinct_ids"]}
    found: dict[int, set[str]] = {}
    for order_id, distinct_id in buyers(posthog).items():
        found.setdefault(by_id.get(distinct_id, -1), set()).add(order_id)
    return sorted(found.values(), key=sorted)


def web_shop_identifies(posthog: PostHog, email: str, visitor: str = VISITOR) -> None:
    """Send what PostHog's snippet in a web shop sends when a visitor gives their e-mail."""
    event = {
        "event": "$identify",
        "distinct_id": email,
        "properties": {"$anon_distinct_id": visitor, "$set": {"email": email}},
        "timestamp": "2026-09-15T10:00:00Z",
        "uuid": "018f3a3c-0000-7000-8000-00000000000a",
    }
    answer = requests.post(f"{posthog.url}/batch/", json={"api_key": "phc_sandbox", "batch": [event]}, timeout=30)
    assert answer.status_code == 200


@pytest.mark.parametrize("identity", IDENTITIES)
def test_an_e_mail_of_an_order_alone_joins_whoever_the_order_belongs_to(
    runs: Runs, posthog: PostHog, identity: str
) -> None:
    """Neither customer has an e-mail; an order is given from one to the other (docs/identity.md)."""
    sync = Syncs(runs, identity)
    for number in (7, 8):
        sync(customer(number, None), order(1, "jane@example.com", (number, None)))
    assert len(ids(posthog)) == 1


@pytest.mark.parametrize("identity", IDENTITIES)
@pytest.mark.parametrize("mapping", ["ecommerce", "shopify-connector"])
def test_an_order_with_an_address_of_nobody_and_no_customer_is_of_no_person(
    runs: Runs, posthog: PostHog, mapping: str, identity: str
) -> None:
    first = {"customer_order_index": 1, "ready": True}
    Syncs(runs, identity, mapping=mapping, nobody=["orders@shop.example.com"])(
        order(1, " Orders@Shop.example.com"),
        order(2, "orders@shop.example.com", note_attributes=note(_posthog_distinct_id=VISITOR)),
        order(3, "orders@shop.example.com", customer_journey=first),
        order(4, "orders@shop.example.com", (7, None)),
    )
    completed = [one for one in posthog.events() if one["event"] in ("Order Completed", "Created Shopify Order")]
    known = ["shopify:customer:7"] if mapping == "ecommerce" else []
    assert len(completed) == 4
    assert [one for one in completed if one["properties"].get("$process_person_profile") is not False] == [
        one for one in completed if one["distinct_id"] in known
    ]
    assert ids(posthog) == [{one} for one in known]


@pytest.mark.parametrize("identity", IDENTITIES)
def test_an_address_that_is_said_to_be_nobodys_once_orders_have_it_joins_no_customers(
    runs: Runs, posthog: PostHog, tmp_path: Path, identity: str
) -> None:
    """The shop's counter orders were synced before `nobody` named their address; each then gets its customer."""
    at_the_counter = "orders@shop.example.com"
    receipts = str(tmp_path / "receipts.sqlite")
    Syncs(runs, identity, receipts=receipts)(*(order(number, at_the_counter) for number in (1, 2, 3)))
    sync = Syncs(runs, identity, receipts=receipts, nobody=[" Orders@shop.example.com"])
    parcel: list[JSON] = [{"id": 1, "created_at": "2026-10-20T10:00:00Z", "name": "#1-F1"}]
    for number, email in ((7, "jane@example.com"), (8, None)):
        sync(customer(number, email), order(number - 6, at_the_counter, (number, email), fulfillments=parcel))
    (found,) = {one["distinct_id"] for one in posthog.events() if one["event"] == "Order Completed"}
    (parcels,) = {one["distinct_id"] for one in posthog.events() if one["event"] == "Order Fulfilled"}
    assert found == parcels, "an order's events stay together"
    assert sorted(map(len, ids(posthog))) == [1, 1, 2], "the counter, and each customer"
    assert {found} in ids(posthog)


@pytest.mark.parametrize("identity", IDENTITIES)
def test_customer_number_and_e_mail_are_one_person_and_all_orders_are_theirs(
    runs: Runs, posthog: PostHog, identity: str
) -> None:
    sync = Syncs(runs, identity)
    sync(customer(7, "Jane@Example.com"), order(1, "jane@example.com", (7, "jane@example.com")))
    sync(
        customer(7, "jane@example.com", 2),
        order(2, " JANE@example.com", (7, "jane@example.com")),
        order(3, None, (7, "jane@example.com")),
    )
    assert person_of_orders(posthog) == [{"1", "2", "3"}]
    (person,) = posthog.persons()
    assert len(person["distinct_ids"]) == 2
    assert "shopify:customer:7" in person["distinct_ids"]
    assert person["is_identified"]


def test_the_distinct_id_of_an_order_is_what_the_identity_says(runs: Runs, posthog: PostHog) -> None:
    expected = {
        "email": "jane@example.com",
        "customer_id": "shopify:customer:7",
        "email_sha256": "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d",
    }
    for number, (identity, distinct_id) in enumerate(expected.items(), start=1):
        Syncs(runs, identity)(order(number, "Jane@example.com", (7, "jane@example.com")))
        assert buyers(posthog)[str(number)] == distinct_id


def test_a_guest_is_known_by_e_mail_and_an_order_without_anything_makes_no_person(runs: Runs, posthog: PostHog) -> None:
    Syncs(runs)(order(1, "guest@example.com"), order(2, None))
    assert buyers(posthog) == {"1": "guest@example.com", "2": "shopify:order:2"}
    assert ids(posthog) == [{"guest@example.com"}]


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_guest_who_later_gets_an_account_stays_one_person(runs: Runs, posthog: PostHog, identity: str) -> None:
    sync = Syncs(runs, identity)
    sync(order(1, "jane@example.com"))
    sync(customer(7, "jane@example.com"), order(2, "jane@example.com", (7, "jane@example.com")))
    assert person_of_orders(posthog) == [{"1", "2"}]


@pytest.mark.parametrize("identity", IDENTITIES)
def test_an_e_mail_changed_before_the_first_sync_is_the_same_person(
    runs: Runs, posthog: PostHog, identity: str
) -> None:
    Syncs(runs, identity)(
        customer(7, "new@example.com"),
        order(1, "old@example.com", (7, "new@example.com")),
        order(2, "new@example.com", (7, "new@example.com")),
    )
    assert person_of_orders(posthog) == [{"1", "2"}]


@pytest.mark.parametrize("identity", IDENTITIES)
def test_an_e_mail_changed_between_syncs_is_the_same_person(runs: Runs, posthog: PostHog, identity: str) -> None:
    sync = Syncs(runs, identity)
    sync(customer(7, "old@example.com"), order(1, "old@example.com", (7, "old@example.com")))
    sync(customer(7, "new@example.com", 2), order(2, "new@example.com", (7, "new@example.com")))
    sync(order(1, "old@example.com", (7, "new@example.com"), closed_at="2026-10-09T10:00:00Z"))
    assert person_of_orders(posthog) == [{"1", "2"}]
    assert posthog.persons()[0]["properties"]["email"] == "new@example.com"


def test_an_e_mail_changed_after_its_orders_leaves_the_orders_where_they_are(runs: Runs, posthog: PostHog) -> None:
    sync = Syncs(runs)
    sync(customer(7, "old@example.com"), order(1, "old@example.com", (7, "old@example.com")))
    sync(customer(7, "new@example.com", 2))
    before = buyers(posthog)
    sync(order(1, "old@example.com", (7, "new@example.com")))
    assert buyers(posthog) == before == {"1": "old@example.com"}
    assert orders_once_merged(posthog) == 1
    assert ids(posthog) == [{"old@example.com", "new@example.com", "shopify:customer:7"}]


def test_an_order_with_another_e_mail_joins_before_the_customer_changes_theirs(runs: Runs, posthog: PostHog) -> None:
    sync = Syncs(runs)
    sync(customer(7, "old@example.com"), order(1, "new@example.com", (7, "old@example.com")))
    sync(customer(7, "new@example.com", 2))
    assert ids(posthog) == [{"old@example.com", "new@example.com", "shopify:customer:7"}]


def test_two_customers_with_one_e_mail_are_one_person(runs: Runs, posthog: PostHog) -> None:
    sync = Syncs(runs)
    sync(customer(7, "family@example.com"), order(1, "family@example.com", (7, "family@example.com")))
    sync(customer(8, "family@example.com", 2), order(2, "family@example.com", (8, "family@example.com")))
    assert ids(posthog) == [{"family@example.com", "shopify:customer:7", "shopify:customer:8"}]


def test_ordering_with_another_customers_e_mail_does_not_merge_the_two(runs: Runs, posthog: PostHog) -> None:
    sync = Syncs(runs)
    sync(customer(7, "jane@example.com"), customer(8, "john@example.com"))
    sync(order(1, "john@example.com", (7, "jane@example.com")))
    assert sorted(map(sorted, ids(posthog))) == [
        ["jane@example.com", "shopify:customer:7"],
        ["john@example.com", "shopify:customer:8"],
    ]


def test_merged_customers_stay_two_persons_because_posthog_refuses_and_no_order_becomes_another(
    runs: Runs, posthog: PostHog
) -> None:
    sync = Syncs(runs)
    sync(customer(7, "a@example.com"), customer(8, "b@example.com"), order(1, "b@example.com", (8, "b@example.com")))
    sync(
        customer(7, "a@example.com", 3),
        order(1, "b@example.com", (7, "a@example.com"), closed_at="2026-10-09T10:00:00Z"),
    )
    assert len(posthog.persons()) == 2
    assert orders_once_merged(posthog) == 1
    assert [one.type for one in posthog.warnings()] == ["cannot_merge_already_identified"]


def test_a_customer_without_e_mail_who_gives_one_later_joins_the_visitor_whom_the_shop_identified(
    runs: Runs, posthog: PostHog
) -> None:
    sync = Syncs(runs)
    sync(customer(7, None), order(1, None, (7, None)))
    web_shop_identifies(posthog, "jane@example.com")
    sync(customer(7, "jane@example.com", 2), order(2, "jane@example.com", (7, "jane@example.com")))
    assert ids(posthog) == [{"jane@example.com", VISITOR, "shopify:customer:7"}]


@pytest.mark.parametrize("identity", ["email", "customer_id"])
def test_a_visitor_whom_the_web_shop_identified_by_e_mail_is_the_customer(
    runs: Runs, posthog: PostHog, identity: str
) -> None:
    web_shop_identifies(posthog, "jane@example.com")
    Syncs(runs, identity)(customer(7, "Jane@example.com"), order(1, "jane@example.com", (7, "jane@example.com")))
    assert ids(posthog) == [{"jane@example.com", VISITOR, "shopify:customer:7"}]
    assert person_of_orders(posthog) == [{"1"}]


@pytest.mark.parametrize("identity", IDENTITIES)
@pytest.mark.parametrize("customer_first", [True, False])
def test_a_cart_with_a_visitors_id_and_session_joins_them(
    runs: Runs,
    posthog: PostHog,
    identity: str,
    customer_first: bool,  # noqa: FBT001  # a parameter of the table
) -> None:
    sync = Syncs(runs, identity)
    attributes = note(_posthog_distinct_id=VISITOR, _posthog_session_id=SESSION)
    synced = [
        [customer(7, "jane@example.com")],
        [order(1, "jane@example.com", (7, "jane@example.com"), note_attributes=attributes)],
    ]
    for records in synced if customer_first else synced[::-1]:
        sync(*records)
    (found,) = ids(posthog)
    assert {VISITOR, "shopify:customer:7"} < found
    sessions = {one["event"]: one["properties"].get("$session_id") for one in posthog.events()}
    assert sessions["Order Completed"] == SESSION


@pytest.mark.parametrize(
    "garbage", ["", "null", "undefined", "0", "[object Object]", "x" * 300, "jane@example.com", None]
)
def test_garbage_in_a_cart_links_nobody(runs: Runs, posthog: PostHog, garbage: str | None) -> None:
    attributes = note(_posthog_distinct_id=garbage, _posthog_session_id=garbage)
    Syncs(runs)(
        order(1, "jane@example.com", note_attributes=attributes),
        order(2, "john@example.com", note_attributes=attributes),
    )
    assert not [
        one for one in posthog.events() if one["event"] == "$identify" and one["distinct_id"] == "jane@example.com"
    ]
    assert posthog.warnings() == []
    assert all("$session_id" not in one["properties"] for one in posthog.events())
    assert len(buyers(posthog)) == 2


@pytest.mark.parametrize("refused", ["guest", "Null", "undefined", "none", " ", "false"])
def test_an_id_that_posthog_refuses_is_never_sent(runs: Runs, posthog: PostHog, refused: str) -> None:
    sync = Syncs(runs)
    sync(customer(7, refused), order(1, refused, (7, refused)), order(2, refused))
    assert buyers(posthog) == {"1": "shopify:customer:7", "2": "shopify:order:2"}
    assert posthog.warnings() == []


def test_an_id_over_200_bytes_is_hashed_and_stays_one_person(runs: Runs, posthog: PostHog) -> None:
    email = "ä" * 150 + "@example.com"
    Syncs(runs)(customer(7, email), order(1, email, (7, email)))
    (found,) = ids(posthog)
    assert buyers(posthog)["1"] in found
    assert all(len(one.encode()) <= 200 for one in found)


@pytest.mark.parametrize("identity", IDENTITIES)
def test_a_customer_who_opted_out_has_no_profile_and_their_revenue_stays_right(
    runs: Runs, posthog: PostHog, identity: str
) -> None:
    sync = Syncs(runs, identity)
    buyer = {"id": 7, "email": "jane@example.com", "data_sale_opt_out": True}
    for _ in range(2):
        sync(customer(7, "jane@example.com", data_sale_opt_out=True), order(1, "jane@example.com", customer=buyer))
    assert posthog.persons() == []
    assert buyers(posthog) == {"1": "shopify:customer:7"}
    assert orders_once_merged(posthog) == 1
    assert posthog.totals()["total_sales"] == {"USD": 10}
    assert "jane" not in str([(one["distinct_id"], one["properties"]) for one in posthog.events()])


def test_under_customer_id_opting_out_later_makes_no_other_order(runs: Runs, posthog: PostHog) -> None:
    sync = Syncs(runs, "customer_id")
    buyer = {"id": 7, "email": "jane@example.com", "data_sale_opt_out": True}
    sync(customer(7, "jane@example.com"), order(1, "jane@example.com", (7, "jane@example.com")))
    sync(customer(7, "jane@example.com", 2, data_sale_opt_out=True), order(1, "jane@example.com", customer=buyer))
    assert orders_once_merged(posthog) == 1


def test_person_properties_are_those_of_the_customers_last_change(runs: Runs, posthog: PostHog) -> None:
    sync = Syncs(runs)
    sync(customer(7, "jane@example.com", 1, name="Jane"), customer(7, "jane@example.com", 2, name="Jane Doe"))
    sync(customer(7, "jane@example.com", 3, name="Jane Roe"), order(1, "jane@example.com", (7, "jane@example.com")))
    properties = posthog.persons()[0]["properties"]
    assert (properties["name"], properties["customer_since"]) == ("Jane Roe", "2026-09-01T10:00:00Z")


def test_names_in_any_script_arrive_as_they_are(runs: Runs, posthog: PostHog) -> None:
    Syncs(runs)(customer(7, "ÄNNE@example.com", name="Änne 木村 \U0001f600"))
    (person,) = posthog.persons()
    assert person["properties"]["name"] == "Änne 木村 \U0001f600"
    assert "änne@example.com" in person["distinct_ids"]
