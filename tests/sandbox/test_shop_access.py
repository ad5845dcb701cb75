"""What an app may see: scopes, protected customer data, the 60-day window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Clock
    from sandbox.shop import Shop


SCOPES = ("read_all_orders", "read_customers", "read_orders", "read_products")


def test_the_installation_lists_the_granted_scopes(shop: Shop, ask: Callable[..., Any]) -> None:
    installation = ask(shop, "{currentAppInstallation{accessScopes{handle}}}")["data"]["currentAppInstallation"]
    assert [one["handle"] for one in installation["accessScopes"]] == sorted(SCOPES)


def test_without_read_customers_the_customer_of_an_order_is_null_with_an_error_at_its_path(
    shop_with: Callable[..., Shop], ask: Callable[..., Any]
) -> None:
    shop = shop_with(scopes=("read_all_orders", "read_orders"))
    body = ask(shop, "{orders(first: 2){nodes{name customer{id}}}}")
    assert [one["customer"] for one in body["data"]["orders"]["nodes"]] == [None, None]
    assert body["errors"] == [
        {
            "message": "Access denied for customer field. Required access: `read_customers` access scope.",
            "locations": [{"line": 1, "column": 30}],
            "path": ["orders", "nodes", place, "customer"],
            "extensions": {"code": "ACCESS_DENIED", "documentation": "https://shopify.dev/api/usage/access-scopes"},
        }
        for place in (0, 1)
    ]


@pytest.mark.parametrize(
    ("scopes", "query", "data"),
    [
        (("read_orders",), "{customers(first: 1){nodes{id}}}", {"customers": None}),
        (("read_customers",), "{orders(first: 1){nodes{id}}}", {"orders": None}),
        (("read_orders",), "{customersCount{count}}", {"customersCount": None}),
    ],
)
def test_a_root_field_without_its_scope_is_null_alone(
    shop_with: Callable[..., Shop], ask: Callable[..., Any], scopes: tuple[str, ...], query: str, data: dict[str, None]
) -> None:
    body = ask(shop_with(scopes=scopes), query)
    assert body["data"] == data
    assert [one["extensions"]["code"] for one in body["errors"]] == ["ACCESS_DENIED"]


def test_products_and_locations_need_scopes_of_their_own(
    shop_with: Callable[..., Shop], ask: Callable[..., Any]
) -> None:
    shop = shop_with(scopes=("read_all_orders", "read_customers", "read_orders"))
    body = ask(
        shop,
        """{orders(first: 1) {nodes {
          lineItems(first: 1) {nodes {sku title product {id} variant {id}}}
          transactions {location {id}}
        }}}""",
    )
    (line,) = body["data"]["orders"]["nodes"][0]["lineItems"]["nodes"]
    assert (line["product"], line["variant"]) == (None, None)
    assert line["sku"]
    assert {one["path"][-1] for one in body["errors"]} == {"product", "variant", "location"}


def test_a_scope_that_writes_also_grants_reading(shop_with: Callable[..., Shop], ask: Callable[..., Any]) -> None:
    shop = shop_with(scopes=("read_all_orders", "write_inventory", "write_orders"))
    body = ask(shop, "{orders(first: 1) {nodes {name retailLocation {id} customer {id}}}}")
    assert body["data"]["orders"]["nodes"][0]["name"]
    assert {one["path"][-1] for one in body["errors"]} == {"customer"}


def test_a_node_of_a_type_without_its_scope_is_refused(shop_with: Callable[..., Shop], ask: Callable[..., Any]) -> None:
    shop = shop_with(scopes=("read_orders",))
    body = ask(shop, "query Q($id: ID!){node(id: $id){id}}", id=shop.store.customers[0]["id"])
    assert body["data"] == {"node": None}
    assert body["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"


def test_an_app_that_is_not_approved_for_a_field_gets_nulls_in_other_words(
    shop_with: Callable[..., Shop], ask: Callable[..., Any]
) -> None:
    shop = shop_with(approved=frozenset({"customer", "name"}))
    body = ask(shop, "{orders(first: 1){nodes{email shippingAddress{zip city firstName}}}}")
    node = body["data"]["orders"]["nodes"][0]
    assert node["email"] is None
    assert [one["message"].split(". ")[0] for one in body["errors"][:1]] == [
        "This app is not approved to use the email field"
    ]
    assert {one["extensions"]["code"] for one in body["errors"]} == {"ACCESS_DENIED"}


def test_city_and_country_are_not_protected(shop_with: Callable[..., Shop], ask: Callable[..., Any]) -> None:
    shop = shop_with(approved=frozenset({"customer"}))
    body = ask(shop, "{customers(first: 1){nodes{defaultAddress{city country zip}}}}")
    address = body["data"]["customers"]["nodes"][0]["defaultAddress"]
    assert address["zip"] is None
    assert address["city"]
    assert address["country"]


def test_an_app_that_is_not_approved_for_customers_gets_none(
    shop_with: Callable[..., Shop], ask: Callable[..., Any]
) -> None:
    body = ask(shop_with(approved=frozenset()), "{customers(first: 1){nodes{id}}}")
    assert body["data"] == {"customers": None}
    assert body["errors"][0]["message"].startswith("This app is not approved to access the Customer object.")


def test_a_refused_field_that_cannot_be_null_takes_its_object_with_it(
    shop_with: Callable[..., Shop], ask: Callable[..., Any]
) -> None:
    body = ask(shop_with(approved=frozenset({"customer"})), "{orders(first: 250){nodes{customer{displayName}}}}")
    assert {one["customer"] for one in body["data"]["orders"]["nodes"]} == {None}


def test_a_flood_of_errors_is_truncated_but_the_data_is_whole(
    shop_with: Callable[..., Shop], ask: Callable[..., Any]
) -> None:
    shop = shop_with(approved=frozenset({"customer"}))
    body = ask(shop, "{orders(first: 250){nodes{id email a: email b: email c: email d: email}}}")
    assert len(body["data"]["orders"]["nodes"]) == len(shop.store.orders)
    assert len(body["errors"]) == 101
    assert body["errors"][-1] == {"message": "Too many execution errors, max error limit reached. Results truncated"}


def test_on_a_basic_plan_an_app_made_in_the_admin_gets_no_names_but_one_of_the_dev_dashboard_does(
    shop: Shop, ask: Callable[..., Any]
) -> None:
    shop.store.shop["plan"] = {"publicDisplayName": "Basic", "shopifyPlus": False, "partnerDevelopment": False}
    query = "{customers(first: 1){nodes{firstName}}}"
    assert ask(shop, query)["data"]["customers"]["nodes"] == [{"firstName": None}]
    form = {"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "shpss_sandbox"}
    token = requests.post(f"{shop.url}/admin/oauth/access_token", data=form, timeout=30).json()["access_token"]
    assert ask(shop, query, token=token)["data"]["customers"]["nodes"][0]["firstName"]


def test_without_read_all_orders_older_orders_are_silently_gone(
    shop_with: Callable[..., Shop], ask: Callable[..., Any], clock: Clock
) -> None:
    shop = shop_with(scopes=("read_customers", "read_orders", "read_products"))
    oldest = f"{clock.now.replace(day=2, month=9):%Y-%m-%d}"  # 60 days before
    expected = {one["id"] for one in shop.store.orders if one["createdAt"] >= f"{oldest}T12"}
    body = ask(shop, "{orders(first: 250){nodes{id}} ordersCount{count}}")
    assert {one["id"] for one in body["data"]["orders"]["nodes"]} == expected
    assert 0 < len(expected) < len(shop.store.orders)
    assert body["data"]["ordersCount"]["count"] == len(expected)
    assert "errors" not in body
    old = next(one for one in shop.store.orders if one["id"] not in expected)
    assert ask(shop, "query Q($id: ID!){order(id: $id){id} node(id: $id){id}}", id=old["id"])["data"] == {
        "order": None,
        "node": None,
    }
