"""The public singer-io/tap-shopify with this target: whole runs of its version 3.13 (GraphQL) and 1 (REST).

`version_3_13.jsonl` is what that tap wrote of the sandbox's store (tests/outside/singer/shopify.py makes it anew, and
`make test-outside` runs the tap itself). Version 1 can't be run any more, for its API is gone; its records hold the
sample order, customer and refund of Shopify's webhook documentation, as that version named them. No code of that tap
was read for either.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from sandbox.posthog import PostHog
from target_posthog.commands.group import commands
from target_posthog.mapping.document import active, load
from target_posthog.mapping.meanings import StreamMapping
from target_posthog.singer.target import TargetPostHog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .conftest import Runs

FOLDER = Path(__file__).parent / "singer_io"
NEW, OLD = "version_3_13", "version_1"
SHOP = "sandbox.myshopify.com"
Message = dict[str, Any]


def messages(version: str) -> list[Message]:
    return [json.loads(line) for line in (FOLDER / f"{version}.jsonl").read_text("utf-8").splitlines()]


def records(stream: str, version: str = NEW) -> list[Message]:
    return [one["record"] for one in messages(version) if one["type"] == "RECORD" and one["stream"] == stream]


def without(field: str, stream: str) -> list[Message]:
    """Return the messages as they are when a field is deselected in the tap."""
    told = messages(NEW)
    for one in told:
        if one.get("stream") == stream:
            (one["record"] if one["type"] == "RECORD" else one["schema"]["properties"]).pop(field, None)
    return told


def run(runs: Runs, version: str = NEW, told: Iterable[Message] | None = None, **settings: Any) -> None:
    target = TargetPostHog(config={**runs.settings, "mapping": "shopify-singer-io", **settings})
    target.listen([json.dumps(one) for one in (told or messages(version))])  # type: ignore[arg-type]  # any lines


def called(posthog: PostHog, name: str) -> list[Message]:
    return [one for one in posthog.events() if one["event"] == name]


def number(gid: str) -> int:
    return int(gid.rpartition("/")[2])


def test_each_fact_is_an_event_and_tests_are_none(runs: Runs, posthog: PostHog) -> None:
    run(runs)
    orders = [one for one in records("orders") if not one["test"]]
    assert len(orders) < len(records("orders"))
    kinds = Counter(one["kind"] for one in records("transactions") if one["status"] == "SUCCESS" and not one["test"])
    found = Counter(one["event"] for one in posthog.events())
    assert found["Order Completed"] == len(orders)
    assert found["Order Fulfilled"] == sum(len(one["fulfillments"]) for one in orders)
    assert found["Order Paid"] == kinds["SALE"] + kinds["CAPTURE"]
    assert found["Payment Refunded"] == kinds["REFUND"] > 0
    assert found["Customer Created"] == len(records("customers"))
    assert "Order Refunded" not in found, "that tap's refunds know neither their money nor whether they are tests"


def test_what_was_paid_back_is_exact(runs: Runs, posthog: PostHog) -> None:
    run(runs)
    refunds = [one for one in records("transactions") if one["kind"] == "REFUND" and not one["test"]]
    right = sum(Decimal(one["amountSet"]["shopMoney"]["amount"]) for one in refunds)
    found = called(posthog, "Payment Refunded")
    assert sum(Decimal(str(one["properties"]["cash"])) for one in found) == -right
    assert {one["properties"]["currency"] for one in found} == {"USD"}
    assert {one["distinct_id"].rpartition(":")[0] for one in found} == {"shopify:order"}


def test_version_1_has_payments_in_the_currency_in_which_they_were_made_and_the_documents_say_so(
    runs: Runs, posthog: PostHog
) -> None:
    payment = {"id": 3, "order_id": 5, "amount": "10.00", "currency": "EUR", "kind": "sale", "status": "success"}
    payment |= {"created_at": "2022-01-01T00:00:00Z", "_sdc_shop_myshopify_domain": "jsmith.myshopify.com"}
    schema = {"type": "object", "properties": {name: {} for name in (*payment, "processed_at", "gateway")}}
    about = {"stream": "transactions", "key_properties": ["id"]}
    run(runs, OLD, [{"type": "SCHEMA", "schema": schema, **about}, {"type": "RECORD", "record": payment, **about}])
    (paid,) = called(posthog, "Order Paid")
    assert (paid["properties"]["cash"], paid["properties"]["currency"]) == (10, "EUR")
    glossary = load("shopify-singer-io")["glossary"]
    assert all("the payment's own" in glossary[name]["about"] for name in ("cash", "currency"))


def test_an_order_has_its_money_its_products_and_who_placed_it(runs: Runs, posthog: PostHog) -> None:
    run(runs)
    found = {one["properties"]["order_name"]: one for one in called(posthog, "Order Completed")}
    for order in (one for one in records("orders") if not one["test"]):
        said = found[order["name"]]["properties"]
        tax = order["totalTaxSet"]["shopMoney"]["amount"] if order["taxesIncluded"] else 0
        assert said["net_sales"] == said["revenue"] == round(order["subtotalPriceSet"]["shopMoney"]["amount"] - tax, 2)
        assert said["order_number"] == int(order["number"])
        assert [(one["sku"], one["quantity"]) for one in said["products"]] == [
            (line["sku"], line["quantity"]) for line in order["lineItems"]
        ]
        assert said.get("coupons", []) == order["discountCodes"]
        assert found[order["name"]]["timestamp"] == order["processedAt"]
        assert found[order["name"]]["distinct_id"] == order["email"].lower()


def test_a_field_that_line_items_lack_costs_that_entry_alone(
    runs: Runs, posthog: PostHog, caplog: pytest.LogCaptureFixture
) -> None:
    told = messages(NEW)
    for one in told:
        if one.get("stream") == "orders" and one["type"] == "SCHEMA":
            del one["schema"]["properties"]["lineItems"]["items"]["properties"]["vendor"]
    run(runs, told=told)
    products = called(posthog, "Order Completed")[0]["properties"]["products"]
    assert products[0]["sku"]
    assert products[0]["quantity"]
    assert "Stream `orders` has no fields for products.brand; the events do without" in caplog.text


def test_who_opted_out_of_data_sale_is_not_identified(runs: Runs, posthog: PostHog) -> None:
    run(runs)
    out = {number(one["id"]) for one in records("customers") if one["dataSaleOptOut"]}
    known = {one["properties"].get("$set", {}).get("customer_id") for one in called(posthog, "$identify")}
    assert out
    assert not known & {str(one) for one in out}
    created = {one["distinct_id"]: one for one in called(posthog, "Customer Created")}
    for one in out:
        assert created[f"shopify:customer:{one}"]["properties"]["$process_person_profile"] is False


@pytest.mark.parametrize(("version", "attributes"), [(NEW, "customAttributes"), (OLD, "note_attributes")])
def test_an_order_with_an_address_of_nobody_and_no_customer_is_of_no_person(
    runs: Runs, posthog: PostHog, version: str, attributes: str
) -> None:
    told = [one for one in messages(version) if one.get("stream") == "orders"]
    visitor = "01928f3a-0000-7000-8000-0000000000ff"
    for one in told:
        if one["type"] == "RECORD":
            name = "key" if version == NEW else "name"
            one["record"] |= {"email": "orders@shop.example.com", "customer": None}
            one["record"][attributes] = [{name: "_posthog_distinct_id", "value": visitor}]
    run(runs, version, told, nobody=["orders@shop.example.com"])
    completed = called(posthog, "Order Completed")
    assert completed
    assert all(one["properties"]["$process_person_profile"] is False for one in completed)
    assert posthog.persons() == []


@pytest.mark.parametrize(("version", "field"), [(NEW, "createdAt"), (OLD, "created_at")])
def test_each_person_is_there_since_the_customer_is(runs: Runs, posthog: PostHog, version: str, field: str) -> None:
    run(runs, version)
    ids = {str(one["id"]).rpartition("/")[2]: one[field] for one in records("customers", version)}
    found = {
        id_.rpartition(":")[2]: person["created_at"]
        for person in posthog.persons()
        for id_ in person["distinct_ids"]
        if id_.startswith("shopify:customer:")
    }
    assert found
    assert {id_: moment(at) for id_, at in found.items()} == {id_: moment(ids[id_]) for id_ in found}


def moment(time: str) -> datetime:
    return datetime.fromisoformat(time.replace("Z", "+00:00"))


def test_where_nobody_can_know_who_opted_out_nobody_is_identified(
    runs: Runs, posthog: PostHog, caplog: pytest.LogCaptureFixture
) -> None:
    run(runs, told=without("dataSaleOptOut", "customers"))
    assert not [one for one in called(posthog, "$identify") if "$set" in one["properties"]]
    assert "Stream `customers` has no fields for $identify" in caplog.text


def test_without_the_field_test_it_is_said_that_tests_count(runs: Runs, caplog: pytest.LogCaptureFixture) -> None:
    run(runs, told=without("test", "orders"))
    assert "has no fields by which to leave out test orders, so they count; select those fields" in caplog.text


def test_the_web_visitor_and_another_e_mail_are_linked(runs: Runs, posthog: PostHog) -> None:
    run(runs)
    links = {
        (one["distinct_id"], one["properties"]["$anon_distinct_id"])
        for one in called(posthog, "$identify")
        if "$set" not in one["properties"]
    }
    for order in (one for one in records("orders") if not one["test"]):
        visitor = {one["key"]: one["value"] for one in order["customAttributes"]}.get("_posthog_distinct_id")
        if visitor:
            hub = (order["customer"] or order)["email"].lower()
            assert (hub, visitor) in links
    assert links


def test_the_whole_tap_can_run_and_nothing_more_is_said(runs: Runs, caplog: pytest.LogCaptureFixture) -> None:
    run(runs)
    said = [one.message for one in caplog.records if one.levelname == "WARNING"]
    assert [one for one in said if not one.startswith("`receipts` isn't set")] == []


def ours(stream: str, record: Message) -> list[Message]:
    """Return the events that the default mapping makes of a record of our own tap."""
    rules = active(load("ecommerce")["streams"][stream])
    return list(StreamMapping(stream, rules, identity="email").events({"shop": SHOP, **record}))  # type: ignore[arg-type]  # a message is an object


def as_ours(order: Message) -> Message:
    """Return an order as our tap names it, as far as keys, times and ids go."""
    return {
        "id": number(order["id"]),
        "email": order["email"],
        "processed_at": order["processedAt"],
        "created_at": order["createdAt"],
        "cancelled_at": order["cancelledAt"],
        "customer": order["customer"] and {"id": number(order["customer"]["id"]), "email": order["customer"]["email"]},
        "note_attributes": [{"name": one["key"], "value": one["value"]} for one in order["customAttributes"]],
        "fulfillments": [
            {"id": number(one["id"]), "status": one["status"].lower(), "created_at": one["createdAt"]}
            | {"delivered_at": one["deliveredAt"]}
            for one in order["fulfillments"]
        ],
        "transactions": [
            {"id": number(one["id"]), "kind": one["kind"].lower(), "status": one["status"].lower(), "amount": "1"}
            | {"processed_at": one["processedAt"]}
            for one in records("transactions")
            if one["order"]["id"] == order["id"]
        ],
    }


def test_a_change_from_that_tap_to_ours_doubles_no_fact_that_both_know(runs: Runs, posthog: PostHog) -> None:
    run(runs)
    right = [event for one in records("orders") if not one["test"] for event in ours("orders", as_ours(one))]
    for one in records("customers"):
        right += ours(
            "customers",
            {
                "id": number(one["id"]),
                "email": one["email"],
                "created_at": one["createdAt"],
                "updated_at": one["updatedAt"],
                "data_sale_opt_out": one["dataSaleOptOut"],
            },
        )
    ids = {one["uuid"]: (one["event"], one["timestamp"]) for one in right}
    found = {one["uuid"]: (one["event"], one["timestamp"]) for one in posthog.events()}
    assert found == ids
    payments = {"Order Paid", "Payment Refunded"}
    persons = {one["uuid"]: one["distinct_id"] for one in right if one["event"] not in payments}
    assert persons.items() <= {one["uuid"]: one["distinct_id"] for one in posthog.events()}.items()


@pytest.mark.parametrize("version", [NEW, OLD])
@pytest.mark.parametrize("identity", ["customer_id", "email_sha256"])
def test_a_second_run_leaves_the_same_events(runs: Runs, posthog: PostHog, version: str, identity: str) -> None:
    for _ in range(2):
        run(runs, version, identity=identity)
    assert {one["copies"] for one in posthog.events()} == {1}


def test_version_1_has_the_same_events_as_far_as_it_goes(runs: Runs, posthog: PostHog) -> None:
    run(runs, OLD)
    found = {(one["event"], one["properties"].get("order_name", "")): one for one in posthog.events()}
    assert set(found) == {
        *(("$identify", ""), ("Customer Created", "")),
        *(("Order Completed", "#10000"), ("Order Completed", "#10001"), ("Order Cancelled", "#10001")),
    }, "#9999 is a test order"
    said = found["Order Completed", "#10000"]["properties"]
    money = ("net_sales", "revenue", "total_sales", "taxes", "shipping", "discounts", "tips")
    assert [said[name] for name in money] == [404.95, 404.95, 404.95, 0, 10, -20, 0]
    assert (said["coupon"], said["source_name"]) == ("SUMMER10", "web")
    assert said["$session_id"] == "017e12e6-7440-7000-8000-000000000001"
    assert [(one["sku"], one["price"], one["quantity"]) for one in said["products"]][:2] == [
        ("SKU2006-001", 89.99, 1),
        ("LENS-PROTECT-2YR", 19.99, 1),
    ]
    (person,) = posthog.persons()
    known = ("name", "total_spent", "orders_count", "city", "country_code", "verified_email", "tax_exempt")
    assert [person["properties"][name] for name in known] == ["Bob Biller", 809.9, 2, "Ottawa", "CA", True, False]


def number_of(one: Message) -> str:
    return str(one["properties"]["order_id"])


def test_with_receipts_what_was_paid_is_of_whom_the_order_is(runs: Runs, posthog: PostHog, tmp_path: Path) -> None:
    run(runs, receipts=str(tmp_path / "receipts.sqlite"))
    placed = {number_of(one): one["distinct_id"] for one in called(posthog, "Order Completed")}
    moved = [*called(posthog, "Order Paid"), *called(posthog, "Payment Refunded")]
    assert moved
    assert {number_of(one): one["distinct_id"] for one in moved if number_of(one) in placed} == {
        number_of(one): placed[number_of(one)] for one in moved if number_of(one) in placed
    }
    assert "@" in "".join(one["distinct_id"] for one in moved)


def test_a_payment_that_comes_before_its_order_takes_the_order_from_nobody(
    runs: Runs, posthog: PostHog, tmp_path: Path
) -> None:
    order = {"customers": 0, "transactions": 1}
    told = [one for one in messages(NEW) if one["type"] != "STATE"]
    told.sort(key=lambda one: order.get(one.get("stream", ""), 2))
    run(runs, told=told, receipts=str(tmp_path / "receipts.sqlite"))
    persons = [{*one["distinct_ids"]} for one in posthog.persons()]
    placed = {int(number_of(one)): one["distinct_id"] for one in called(posthog, "Order Completed")}
    orders = [one for one in records("orders") if not one["test"] and one["email"]]
    assert orders
    for one in orders:
        ids = {placed[number(one["id"])], one["email"].lower()}
        assert any(ids <= person for person in persons), "its id of before is the buyer's now"


def test_what_became_of_an_order_or_a_customer_is_explained(runs: Runs, tmp_path: Path) -> None:
    path = tmp_path / "preview.sqlite"
    run(runs, preview_path=str(path))
    order = next(one for one in records("orders") if one["fulfillments"] and not one["test"])
    said = command("explain", order["name"], "--preview-path", str(path))
    for name in ("Order Completed", "Order Fulfilled"):
        assert f"  {name}  (rule `{name}`)" in said
    code, choice = ended("explain", str(number(order["id"])), "--preview-path", str(path))
    assert (code, f"choose one: {order['name']}, payment " in choice) == (1, True)
    customer = next(one for one in records("customers") if one["email"])
    assert "  Customer Created  (rule `Customer Created`)" in command(
        "explain", f"customer {number(customer['id'])}", "--preview-path", str(path)
    )


@pytest.mark.parametrize("version", [NEW, OLD])
def test_shop_plan_and_posthog_agree_and_what_is_gone_is_named(
    runs: Runs, posthog: PostHog, tmp_path: Path, version: str
) -> None:
    path = tmp_path / "preview.sqlite"
    run(runs, version, preview_path=str(path))
    run(runs, version)
    asked = ("--personal-api-key", "phx_sandbox", "--project-id", "1", "--host", posthog.url)
    reconcile = ("reconcile", "--preview-path", str(path))
    assert command(*reconcile, *asked)
    with PostHog().serve() as empty:
        code, said = ended(*reconcile, *asked[:-1], empty.url)
    assert code != 0
    assert "PostHog" in said


def ended(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(commands, arguments, env={"TARGET_POSTHOG_PERSONAL_API_KEY": "phx_sandbox"})
    return done.exit_code, done.output


def command(*arguments: str) -> str:
    code, said = ended(*arguments)
    assert code == 0, said
    return said
