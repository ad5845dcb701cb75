"""The door of the shop: tokens, versions, headers, refused queries, closed shops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.controls import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.shop import Shop


def test_a_wrong_token_is_refused_in_shopifys_words(shop: Shop, post: Callable[..., Any]) -> None:
    response = post(shop, "{shop{name}}", token="shpat_wrong")
    assert response.status_code == 401
    assert response.json() == {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}


def test_an_answer_names_the_served_version_and_the_request(shop: Shop, post: Callable[..., Any]) -> None:
    response = post(shop, "{shop{name myshopifyDomain currencyCode ianaTimezone plan{publicDisplayName}}}")
    assert response.json()["data"]["shop"] == {
        "name": "Sandbox Records",
        "myshopifyDomain": "sandbox.myshopify.com",
        "currencyCode": "USD",
        "ianaTimezone": "America/New_York",
        "plan": {"publicDisplayName": "Shopify"},
    }
    assert response.headers["X-Shopify-API-Version"] == "2026-10"
    assert len(response.headers["X-Request-Id"]) == 36


@pytest.mark.parametrize(
    ("asked", "served"),
    [("2026-10", "2026-10"), ("2026-01", "2026-01"), ("2025-10", "2026-01"), ("2019-04", "2026-01")],
)
def test_a_retired_version_falls_forward_to_the_oldest_supported_one(
    shop: Shop, post: Callable[..., Any], asked: str, served: str
) -> None:
    assert post(shop, "{shop{name}}", version=asked).headers["X-Shopify-API-Version"] == served


def test_a_shop_of_the_future_has_retired_todays_version(
    shop_with: Callable[..., Shop], post: Callable[..., Any]
) -> None:
    later = shop_with(versions=("2027-01", "2027-04", "2027-07", "2027-10"))
    assert post(later, "{shop{name}}").headers["X-Shopify-API-Version"] == "2027-01"


def test_a_version_that_is_none_is_not_found(shop: Shop, post: Callable[..., Any]) -> None:
    assert post(shop, "{shop{name}}", version="latest").status_code == 404


def test_versions_say_whether_they_are_supported(shop: Shop, ask: Callable[..., Any]) -> None:
    versions = ask(shop, "{publicApiVersions{handle supported}}")["data"]["publicApiVersions"]
    supported = {one["handle"] for one in versions if one["supported"]}
    assert supported == {"2026-01", "2026-04", "2026-07", "2026-10"}
    assert {"handle": "2025-10", "supported": False} in versions


def test_deprecated_fields_are_named_in_a_header(shop: Shop, post: Callable[..., Any]) -> None:
    response = post(shop, "{orders(first: 1){nodes{totalPrice customer{email}}}}")
    assert response.headers["X-Shopify-API-Deprecated-Reason"] == "Customer.email, Order.totalPrice"
    assert "X-Shopify-API-Deprecated-Reason" not in post(shop, "{shop{name}}").headers


def test_an_unknown_field_is_refused_with_200_and_shopifys_code(shop: Shop, post: Callable[..., Any]) -> None:
    response = post(shop, "{orders(first: 1){nodes{colour}}}")
    assert response.status_code == 200
    assert response.json() == {
        "errors": [
            {
                "message": "Field 'colour' doesn't exist on type 'Order'",
                "locations": [{"line": 1, "column": 25}],
                "extensions": {"code": "undefinedField", "typeName": "Order", "fieldName": "colour"},
            }
        ]
    }


def test_each_version_has_its_own_schema(shop: Shop, ask: Callable[..., Any]) -> None:
    query = "{customers(first: 1){nodes{defaultPhoneNumber{smsMarketingConsent{state}}}}}"
    assert "data" in ask(shop, query)
    assert "smsMarketingConsent" in ask(shop, query, version="2026-07")["errors"][0]["message"]


def test_a_syntax_error_and_a_wrong_variable_are_refused(shop: Shop, ask: Callable[..., Any]) -> None:
    assert "Syntax Error" in ask(shop, "{orders(")["errors"][0]["message"]
    query = "query Q($first: Int!) {orders(first: $first){nodes{id}}}"
    assert "$first" in ask(shop, query, first="many")["errors"][0]["message"]
    assert "data" in ask(shop, query, first=1)


def test_the_schema_can_be_asked_for(shop: Shop, ask: Callable[..., Any]) -> None:
    body = ask(shop, '{__schema{queryType{name}} __type(name: "Count"){fields{name}}}')
    assert body["data"] == {
        "__schema": {"queryType": {"name": "QueryRoot"}},
        "__type": {"fields": [{"name": "count"}, {"name": "precision"}]},
    }


def test_a_body_without_a_query_is_a_bad_request(shop: Shop) -> None:
    url = f"{shop.url}/admin/api/2026-10/graphql.json"
    response = requests.post(url, json={}, headers={"X-Shopify-Access-Token": "shpat_sandbox"}, timeout=30)
    assert (response.status_code, response.json()) == (
        400,
        {"errors": {"query": "Required parameter missing or invalid"}},
    )


@pytest.mark.parametrize(("status", "errors"), [(402, "Unavailable Shop"), (404, "Not Found"), (423, "Locked")])
def test_a_closed_shop_says_why_until_it_opens_again(
    shop: Shop, post: Callable[..., Any], status: int, errors: str
) -> None:
    shop.close(status)
    response = post(shop, "{shop{name}}")
    assert (response.status_code, response.json()) == (status, {"errors": errors})
    shop.close(200)
    assert post(shop, "{shop{name}}").status_code == 200


def test_a_broken_field_leaves_the_rest_of_the_data(shop: Shop, post: Callable[..., Any]) -> None:
    shop.break_field("Order.customer", times=1)
    response = post(shop, '{orders(first: 2, query: "test:true"){nodes{name customer{id}}}}')
    body = response.json()
    assert [one["name"] is not None for one in body["data"]["orders"]["nodes"]] == [True, True]
    (error,) = body["errors"]
    assert error["path"] == ["orders", "nodes", 0, "customer"]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert response.headers["X-Request-Id"] in error["message"]
    assert "errors" not in post(shop, "{orders(first: 1){nodes{customer{id}}}}").json()


def test_a_queued_reply_goes_first_and_requests_are_kept(shop: Shop, post: Callable[..., Any]) -> None:
    shop.controls.reply_next(Reply(status=200, body="<html>", headers={"Content-Type": "text/html"}))
    assert post(shop, "{shop{name}}").text == "<html>"
    assert "data" in post(shop, "{shop{name}}").json()
    assert [one.path for one in shop.controls.requests] == ["/admin/api/2026-10/graphql.json"] * 2


def test_times_leave_to_the_second_though_they_are_kept_with_a_fraction(shop: Shop, ask: Callable[..., Any]) -> None:
    order = shop.store.orders[0]
    assert len(order["createdAt"]) == len("2026-10-31T00:00:00.000000Z")
    answered = ask(shop, "query Q($id: ID!) {order(id: $id){createdAt}}", id=order["id"])["data"]["order"]["createdAt"]
    assert answered == order["createdAt"][:19] + "Z"


@pytest.mark.parametrize("path", ["/admin/api/2026-10/graphql.json", "/admin/oauth/access_token", "/_control/change"])
def test_a_web_site_with_a_name_of_its_own_is_refused(shop: Shop, path: str) -> None:
    token = {"X-Shopify-Access-Token": shop.settings.access_token}
    query = {"query": "{shop{name}}"}
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80"):
        answer = requests.post(f"{shop.url}{path}", headers={"Host": host, **token}, json=query, timeout=30)
        assert answer.status_code == 400


@pytest.mark.parametrize("number", ["NaN", "-NaN", "sNaN", "Infinity", "1e999999999", "9" * 5_000])
def test_a_search_for_a_number_that_is_none_finds_nothing(shop: Shop, post: Callable[..., Any], number: str) -> None:
    answer = post(shop, f'{{orders(first: 1, query: "order_number:>={number}"){{nodes{{id}}}}}}')
    assert answer.status_code == 200


@pytest.mark.parametrize("size", ["2147483648", "-1", "1e3", "9" * 5_000])
def test_a_page_of_a_size_that_is_none_is_refused(shop: Shop, post: Callable[..., Any], size: str) -> None:
    answer = post(shop, f"{{orders(first: {size}){{nodes{{id}}}}}}")
    assert (answer.status_code, bool(answer.json()["errors"])) == (200, True)
