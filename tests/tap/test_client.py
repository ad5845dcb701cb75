"""What a bad answer leads to: a wait, a smaller page, or an end with a sentence."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
import stamina

from sandbox.controls import Reply
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.shopify import answers
from tap_shopify_orders.shopify.answers import Busy, Denied
from tap_shopify_orders.shopify.auth import AccessToken
from tap_shopify_orders.shopify.client import Client, PageSize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.shop import Shop

SHOP_QUERY = "{ shop { name } }"
PAGE_QUERY = "query Page($first: Int!) { page: orders(first: $first) { nodes { id } } }"


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    """Retry at once, and no more than five times."""
    with stamina.set_testing(True, attempts=5):
        yield


@pytest.fixture
def client(shop: Shop) -> Client:
    return Client(f"{shop.url}/admin", AccessToken("shpat_sandbox"))


def errors(*codes: str, message: str = "Sorry", **more: Any) -> str:
    return json.dumps({"errors": [{"message": message, "extensions": {"code": code}} for code in codes], **more})


PASSING = [
    Reply(status=429, body="{}", headers={"Retry-After": "1.5"}),
    Reply(status=500, body="<html>"),
    Reply(status=502),
    Reply(status=503),
    Reply(status=504, body="<html>Gateway timeout"),
    Reply(status=530),
    Reply(status=540),
    Reply(status=200, body="<html>Something went wrong</html>"),
    Reply(status=200, body='{"data": {"shop"'),
    Reply(status=200, body=errors("THROTTLED")),
    Reply(status=200, body=errors("INTERNAL_SERVER_ERROR", data={"shop": None})),
    Reply(status=200, body=errors("TIMEOUT")),
    Reply(cut=True),
    Reply(truncate_bytes=20),
]


@pytest.mark.parametrize(
    "reply", PASSING, ids=lambda one: f"{one.status}-{one.body[:30]}-{one.cut}-{one.truncate_bytes}"
)
def test_what_passes_is_asked_again(shop: Shop, client: Client, reply: Reply) -> None:
    shop.controls.reply_next(reply)
    assert json.loads(bytes(client.ask(SHOP_QUERY).data)) == {"shop": {"name": "Sandbox Records"}}
    assert len(shop.controls.requests) == 2


@pytest.mark.parametrize(
    "reply", PASSING, ids=lambda one: f"{one.status}-{one.body[:30]}-{one.cut}-{one.truncate_bytes}"
)
def test_what_does_not_pass_ends_the_run(shop: Shop, client: Client, reply: Reply) -> None:
    shop.controls.reply_next(*[reply] * 5)
    with pytest.raises(Busy):
        client.ask(SHOP_QUERY)
    assert len(shop.controls.requests) == 5


def test_what_is_closed_asks_nothing_again(shop: Shop, client: Client) -> None:
    shop.controls.reply_next(*[Reply(status=503)] * 5)
    client.close()
    with pytest.raises(Busy):
        client.ask(SHOP_QUERY)
    assert len(shop.controls.requests) == 1


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(status=401), "`access_token`"),
        (Reply(status=402), "frozen"),
        (Reply(status=403), "scopes"),
        (Reply(status=404), "`store`"),
        (Reply(status=423), "locked"),
        (Reply(status=418), "418"),
        (Reply(status=301, headers={"Location": "https://other.myshopify.com/admin"}), "other.myshopify.com"),
        (Reply(status=200, body=errors("undefinedField", message="Field 'x' doesn't exist")), "Field 'x'"),
        (Reply(status=200, body=errors("", "", message="Odd", data={"shop": {"name": "x"}})), "query: Odd$"),
        (
            Reply(status=200, body='{"data": {}}', headers={"X-Shopify-API-Version": "2027-01"}),
            "`api_version` to `accept`",
        ),
        (
            Reply(
                status=200,
                body='{"data": {}, "extensions": {"search": [{"query": "a:b", "warnings": [{"field": "a"}]}]}}',
            ),
            "ignored a part of the search 'a:b'",
        ),
    ],
    ids=lambda one: str(one)[:40],
)
def test_what_cannot_be_had_ends_the_run_at_once_with_the_remedy(
    shop: Shop, client: Client, reply: Reply, sentence: str
) -> None:
    shop.controls.reply_next(reply)
    with pytest.raises(RunError, match=sentence):
        client.ask(SHOP_QUERY)
    assert len(shop.controls.requests) == 1


def test_errors_carry_shopifys_request_id(shop: Shop, client: Client) -> None:
    shop.controls.reply_next(Reply(status=200, body=errors("odd"), headers={"X-Request-Id": "4711"}))
    with pytest.raises(RunError, match=r"request 4711"):
        client.ask(SHOP_QUERY)


def test_another_version_is_taken_when_it_is_accepted(shop: Shop) -> None:
    shop.controls.reply_next(Reply(status=200, body='{"data": {"a": 1}}', headers={"X-Shopify-API-Version": "2027-01"}))
    answer = Client(f"{shop.url}/admin", AccessToken("shpat_sandbox"), accept=["api_version"]).ask(SHOP_QUERY)
    assert answer.served_version == "2027-01"


def test_denied_parts_are_named_by_their_path(shop: Shop, client: Client) -> None:
    denied = {"message": "No e-mail", "path": ["page", "nodes", 3, "email"], "extensions": {"code": "ACCESS_DENIED"}}
    flood = {"message": "Too many execution errors, max error limit reached. Results truncated"}
    body = {"data": {"page": {"nodes": []}}, "errors": [denied, denied, flood]}
    shop.controls.reply_next(Reply(status=200, body=json.dumps(body)))
    with pytest.raises(Denied) as raised:
        client.ask(SHOP_QUERY)
    assert raised.value.gaps == ((("page", "nodes", "email"), "No e-mail"),)


def test_throttling_is_waited_for_exactly() -> None:
    cost = answers.Cost(752.0, None, answers.Throttle(1000.0, 666.0, 50.0))
    busy = answers.throttled(cost)
    assert (busy.seconds, busy.share) == ((752 - 666) / 50, 1.0)


def test_a_query_larger_than_the_bucket_shrinks() -> None:
    busy = answers.throttled(answers.Cost(800.0, None, answers.Throttle(400.0, 100.0, 50.0)))
    assert (busy.seconds, busy.share) == (6.0, 0.5)


def test_a_page_that_is_throttled_although_it_was_waited_for_shrinks_to_what_the_bucket_holds(
    shop: Shop, client: Client
) -> None:
    bucket = {"maximumAvailable": 2000, "currentlyAvailable": 250, "restoreRate": 100}
    cost = {"requestedQueryCost": 1000, "actualQueryCost": None, "throttleStatus": bucket}
    throttled = Reply(status=200, body=errors("THROTTLED", extensions={"cost": cost}))
    size = PageSize(first=100)
    shop.controls.reply_next(throttled)
    client.ask(PAGE_QUERY, size=size)
    assert size.first >= 100
    size = PageSize(first=100)
    shop.controls.reset()
    shop.controls.reply_next(throttled, throttled)
    for _ in range(20):
        client.ask(PAGE_QUERY, size=size)
    asked = [json.loads(one.body)["variables"]["first"] for one in shop.controls.requests]
    assert asked[:4] == [100, 100, 9, 9]
    assert asked[-1] > 9


@pytest.mark.parametrize(
    ("header", "seconds"), [({"Retry-After": "2.0"}, 2.0), ({"Retry-After": "soon"}, None), ({}, None)]
)
def test_retry_after_is_honoured(shop: Shop, client: Client, header: dict[str, str], seconds: float | None) -> None:
    shop.controls.reply_next(*[Reply(status=429, headers=header)] * 5)
    with pytest.raises(Busy) as raised:
        client.ask(SHOP_QUERY)
    assert raised.value.seconds == seconds


def test_a_page_that_costs_too_much_is_asked_for_smaller_until_it_fits(shop: Shop, client: Client) -> None:
    size = PageSize(first=250)
    fat = (
        "query Page($first: Int!) { page: orders(first: $first) { nodes {"
        " id app { id } billingAddress { id } lineItems(first: 250) { nodes { id product { id } } } } } }"
    )
    client.ask(fat, size=size)
    asked = [json.loads(one.body)["variables"]["first"] for one in shop.controls.requests]
    assert asked[0] == 250
    assert asked == sorted(asked, reverse=True)
    assert 1 <= asked[-1] < 250


def test_a_single_record_that_costs_too_much_ends_the_run(shop: Shop, client: Client) -> None:
    body = json.dumps(
        {"errors": [{"message": "a", "extensions": {"code": "MAX_COST_EXCEEDED", "cost": 2003, "maxCost": 1000}}]}
    )
    shop.controls.reply_next(*[Reply(status=200, body=body)] * 5)
    with pytest.raises(RunError, match=r"costs more than Shopify allows.*deselect"):
        client.ask(PAGE_QUERY, size=PageSize(first=2))


def test_an_outage_is_waited_out_whatever_the_page(shop: Shop, client: Client) -> None:
    shop.controls.reply_next(*[Reply(status=503)] * 4)
    size = PageSize(first=2)
    client.ask(PAGE_QUERY, size=size)
    assert size.first == 1


def test_an_overload_halves_the_page_and_it_grows_again(shop: Shop, client: Client) -> None:
    size = PageSize(first=40)
    shop.controls.reply_next(Reply(status=504), Reply(status=200, body=errors("INTERNAL_SERVER_ERROR")))
    for _ in range(20):
        client.ask(PAGE_QUERY, size=size)
    asked = [json.loads(one.body)["variables"]["first"] for one in shop.controls.requests]
    assert asked[:4] == [40, 20, 10, 10]
    assert asked[-1] > 10


def test_a_page_grows_to_what_a_query_may_cost() -> None:
    size = PageSize(first=10)
    size.grow(37.0)
    assert size.first == 250
    size = PageSize(first=10)
    size.grow(400.0)
    assert size.first == 25
    size.grow(990.0)
    assert size.first == 25


def test_redirects_are_not_followed_and_the_token_goes_nowhere_else(shop: Shop, client: Client) -> None:
    shop.controls.reply_next(Reply(status=308, headers={"Location": f"{shop.url}/elsewhere"}))
    with pytest.raises(RunError, match="No token was sent there"):
        client.ask(SHOP_QUERY)
    assert [one.path for one in shop.controls.requests] == ["/admin/api/2026-10/graphql.json"]


def test_deprecations_are_said_once(shop: Shop, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    reply = Reply(status=200, body='{"data": {}}', headers={"X-Shopify-API-Deprecated-Reason": "Order.totalPrice"})
    shop.controls.reply_next(reply, reply)
    client.ask(SHOP_QUERY)
    client.ask(SHOP_QUERY)
    assert [one.getMessage() for one in caplog.records if "Order.totalPrice" in one.getMessage()] == [
        "Shopify says that the tap uses what is deprecated: Order.totalPrice"
    ]


def test_the_clock_is_shopifys() -> None:
    assert answers.clock({"Date": "Mon, 02 Nov 2026 12:00:00 GMT"}) == datetime(2026, 11, 2, 12, tzinfo=timezone.utc)
    assert answers.clock({"Date": "later"}) is None


def test_a_token_is_in_no_error_and_no_repr() -> None:
    assert "secret" not in repr(AccessToken("shpat_secret"))
