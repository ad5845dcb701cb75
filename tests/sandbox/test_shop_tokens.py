"""The client-credentials grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Clock
    from sandbox.shop import Shop


GRANT = {"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "shpss_sandbox"}


def grant(shop: Shop, **changes: str) -> requests.Response:
    return requests.post(f"{shop.url}/admin/oauth/access_token", data={**GRANT, **changes}, timeout=30)


def test_a_token_is_granted_for_a_day_with_the_apps_scopes(shop: Shop, post: Callable[..., Any], clock: Clock) -> None:
    body = grant(shop).json()
    assert (body["scope"], body["expires_in"]) == ("read_all_orders,read_customers,read_orders,read_products", 86_399)
    assert post(shop, "{shop{name}}", token=body["access_token"]).status_code == 200
    clock.tick(hours=23, minutes=59)
    assert post(shop, "{shop{name}}", token=body["access_token"]).status_code == 200
    clock.tick(minutes=1)
    assert post(shop, "{shop{name}}", token=body["access_token"]).status_code == 401


def test_the_grant_takes_json_too_and_gives_another_token_each_time(shop: Shop) -> None:
    found = [requests.post(f"{shop.url}/admin/oauth/access_token", json=GRANT, timeout=30).json() for _ in range(2)]
    assert found[0]["access_token"] != found[1]["access_token"]


def test_a_lifetime_can_be_short(shop_with: Callable[..., Shop], post: Callable[..., Any], clock: Clock) -> None:
    shop = shop_with(token_seconds=60)
    token = grant(shop).json()["access_token"]
    clock.tick(seconds=61)
    assert post(shop, "{shop{name}}", token=token).status_code == 401


def test_revoked_tokens_end_at_once_but_the_permanent_one_stays(shop: Shop, post: Callable[..., Any]) -> None:
    token = grant(shop).json()["access_token"]
    shop.tokens.revoke()
    assert post(shop, "{shop{name}}", token=token).status_code == 401
    assert post(shop, "{shop{name}}").status_code == 200


@pytest.mark.parametrize("changes", [{"client_id": "other"}, {"client_secret": "other"}])
def test_an_unknown_app_gets_a_page_in_html(shop: Shop, changes: dict[str, str]) -> None:
    response = grant(shop, **changes)
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<title>400 - Oauth error application_cannot_be_found</title>" in response.text


@pytest.mark.parametrize("reason", ["app_not_installed", "shop_not_permitted", "application_cannot_be_found"])
def test_a_shop_can_refuse_the_app(shop: Shop, reason: str) -> None:
    shop.tokens.refuse(reason)
    response = grant(shop)
    assert response.status_code == 400
    assert f"<title>400 - Oauth error {reason}</title>" in response.text


def test_a_fresh_app_is_refused_a_few_times_only(shop: Shop) -> None:
    shop.tokens.refuse("application_cannot_be_found", times=2)
    assert [grant(shop).status_code for _ in range(3)] == [400, 400, 200]


def test_scopes_can_be_asked_with_a_token(shop: Shop) -> None:
    url = f"{shop.url}/admin/oauth/access_scopes.json"
    headers = {"X-Shopify-Access-Token": "shpat_sandbox"}
    assert {"handle": "read_orders"} in requests.get(url, headers=headers, timeout=30).json()["access_scopes"]
    assert requests.get(url, timeout=30).status_code == 401
