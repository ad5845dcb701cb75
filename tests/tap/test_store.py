"""Getting in: credentials, the store's name, and what is missing said by name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
import stamina

from sandbox.controls import Reply
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tap_shopify_orders import settings
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.shopify import auth, store
from tap_shopify_orders.shopify.answers import Busy, Denied
from tap_shopify_orders.shopify.auth import ClientCredentials
from tap_shopify_orders.shopify.client import API_VERSION, Client

from .conftest import Message, catalog_of, queries, read, run_of, tap_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Served = Callable[..., AbstractContextManager[Shop]]

DEV_DASHBOARD = {"access_token": None, "client_id": "sandbox-client", "client_secret": "shpss_sandbox"}
ALL = ("read_all_orders", "read_customers", "read_orders", "read_products")


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


@pytest.fixture
def served() -> Served:
    return lambda **of_app: Shop(cdnow_store(date(2026, 10, 31), customers=10), **of_app).serve()


@pytest.mark.parametrize(
    "typed",
    [
        "my-shop",
        "My-Shop",
        " my-shop ",
        "my-shop.myshopify.com",
        "MY-SHOP.myshopify.com/",
        "https://my-shop.myshopify.com",
        "https://my-shop.myshopify.com/admin/orders?x=1",
        "http://my-shop.myshopify.com/",
        "admin.shopify.com/store/my-shop",
        "https://admin.shopify.com/store/My-Shop/",
        "https://admin.shopify.com/store/my-shop/products/1",
    ],
)
def test_store_takes_what_people_paste(typed: str) -> None:
    assert settings.handle_of(typed) == "my-shop"
    assert settings.admin_url_of(typed, None) == "https://my-shop.myshopify.com/admin"


@pytest.mark.parametrize(
    "typed",
    ["", "my shop", "my-shop.com", "https://my-shop.example/", "my-shop.myshopify.com.evil.com", "a@b.myshopify.com",
     "https://admin.shopify.com/my-shop", "admin.shopify.com", "my-shop.myshopify.com:8080", "-shop", "päper"],
)  # fmt: skip
def test_anything_else_is_refused_with_the_accepted_forms(typed: str) -> None:
    with pytest.raises(
        RunError, match=r"my-store, my-store.myshopify.com, .* or https://admin.shopify.com/store/my-store"
    ):
        settings.admin_url_of(typed, None)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://proxy.example/admin/", True),
        ("http://127.0.0.1:1/admin", True),
        ("http://localhost/admin", True),
        ("http://proxy.example/admin", False),
        ("ftp://127.0.0.1", False),
        ("proxy.example", False),
    ],
)
def test_a_token_travels_encrypted_unless_it_stays_on_this_machine(url: str, *, allowed: bool) -> None:
    if allowed:
        assert settings.admin_url_of("my-shop", url) == url.rstrip("/")
    else:
        with pytest.raises(RunError, match="`admin_url`"):
            settings.admin_url_of("my-shop", url)


def test_a_dev_dashboard_app_gets_in_with_one_token_for_the_run(shop: Shop) -> None:
    run = read(shop, **DEV_DASHBOARD)
    assert len(run.orders) == len(shop.store.orders)
    assert len([one for one in shop.controls.requests if one.path.endswith("/access_token")]) == 1


def test_a_token_that_ends_in_the_middle_of_a_run_is_renewed_once(shop: Shop) -> None:
    tap = tap_for(shop, **DEV_DASHBOARD)
    _ = tap.store.granted
    shop.tokens.revoke()
    tap.sync()
    assert len(run_of(tap).orders) == len(shop.store.orders)
    assert len([one for one in shop.controls.requests if one.path.endswith("/access_token")]) == 2


def test_a_token_that_ends_under_several_questions_at_once_ends_none_of_them(shop: Shop) -> None:
    client = Client(f"{shop.url}/admin", ClientCredentials(f"{shop.url}/admin", "sandbox-client", "shpss_sandbox"))
    for _ in range(5):
        client.ask("{ shop { name } }")
        shop.tokens.revoke()
        with ThreadPoolExecutor(8) as threads:
            answers = [threads.submit(client.ask, "{ shop { name } }") for _ in range(8)]
        assert [one.exception() for one in answers] == [None] * 8


def test_a_token_is_renewed_before_it_ends(served: Served) -> None:
    with served(token_seconds=auth.RENEWED_BEFORE_EXPIRY_SECONDS) as shop:
        credentials = ClientCredentials(f"{shop.url}/admin", "sandbox-client", "shpss_sandbox")
        assert credentials.token() != credentials.token()
    with served(token_seconds=auth.RENEWED_BEFORE_EXPIRY_SECONDS + 60) as shop:
        credentials = ClientCredentials(f"{shop.url}/admin", "sandbox-client", "shpss_sandbox")
        assert credentials.token() == credentials.token()


def test_a_401_that_a_new_token_does_not_mend_ends_the_run(shop: Shop) -> None:
    shop.controls.reply_next(*[Reply(status=401, path="graphql")] * 2)
    client = Client(f"{shop.url}/admin", ClientCredentials(f"{shop.url}/admin", "sandbox-client", "shpss_sandbox"))
    with pytest.raises(RunError, match="`client_id`"):
        client.ask("{ shop { name } }")


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("app_not_installed", "install it there, from the Dev Dashboard"),
        ("shop_not_permitted", "use an app of the store's own organization"),
        ("application_cannot_be_found", "copy it from the app's settings"),
        ("something_else", "check the settings `client_id`, `client_secret` and `store`"),
    ],
)
def test_the_pages_of_the_grant_become_a_sentence(shop: Shop, reason: str, remedy: str) -> None:
    shop.tokens.refuse(reason)
    with pytest.raises(Busy, match=remedy) as raised:
        read(shop, **DEV_DASHBOARD)
    assert "<" not in str(raised.value)


def test_a_new_app_that_is_refused_for_a_moment_gets_in(shop: Shop) -> None:
    shop.tokens.refuse("app_not_installed", times=2)
    assert read(shop, **DEV_DASHBOARD).orders


@pytest.mark.parametrize(
    ("reply", "error", "sentence"),
    [
        (Reply(status=401), RunError, "`client_secret`"),
        (Reply(status=200, body="<html>"), Busy, "isn't what it should be"),
        (Reply(status=503), Busy, "503"),
        (Reply(cut=True), Busy, "can't be reached"),
    ],
    ids=str,
)
def test_other_answers_to_the_grant(shop: Shop, reply: Reply, error: type[Exception], sentence: str) -> None:
    shop.controls.reply_next(reply)
    with pytest.raises(error, match=sentence):
        ClientCredentials(f"{shop.url}/admin", "sandbox-client", "shpss_sandbox").token()


@pytest.mark.parametrize("missing", ["read_orders", "read_customers"])
def test_a_missing_scope_is_named_before_the_first_record(served: Served, missing: str) -> None:
    with served(scopes=tuple(one for one in ALL if one != missing)) as shop:
        tap = tap_for(shop)
        with pytest.raises(RunError, match=f"lacks the scope {missing}: add it"):
            tap.check(probe=False)
        other = "customers" if missing == "read_orders" else "orders"
        catalog = catalog_of(shop, streams=(other,))
        assert read(shop, catalog=catalog, accept=["denied_fields"]).records[other]


def test_a_scope_that_writes_grants_reading_wherever_one_is_looked_for(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    writes = ("customers", "orders", "products", "returns", "payment_terms", "inventory", "reports")
    with served(scopes=("read_all_orders", *(f"write_{one}" for one in writes))) as shop:
        tap = tap_for(shop)
        tap.read()
        assert "left out" not in caplog.text
        run = run_of(tap)
        assert run.records["customers"]
        assert run.records["sales_by_day"]
        assert {"returns", "payment_terms", "retail_location"} <= run.records["orders"][0].keys()


def test_the_first_run_says_what_it_does_not_ask_for_as_the_app_lacks_a_scope(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    state = read(shop).state
    for begins, streams in ((None, ("orders",)), (None, ("customers",)), (state, ("orders",))):
        caplog.clear()
        tap_for(shop, begins, catalog_of(shop, streams=streams)).check(probe=False)
        said = (
            "    left out  retail_location (read_locations), payment_terms (read_payment_terms), returns (read_returns)"
        )
        assert (said in caplog.text) == (begins is None and streams == ("orders",))


LATELY = {"bookmarks": {"orders": {"replication_key": "updated_at", "replication_key_value": "2026-10-30T00:00:00Z"}}}


@pytest.mark.parametrize(
    ("state", "more"),
    [(None, {}), (None, {"start_date": "2026-10-01"}), (LATELY, {})],
    ids=["all", "lately", "goes on"],
)
def test_history_cut_to_60_days_is_refused_wherever_a_run_begins_unless_accepted(
    served: Served, state: Message | None, more: Message
) -> None:
    with served(scopes=ALL[1:]) as shop:
        with pytest.raises(RunError, match=r"last 60 days only.*refunds.*read_all_orders, or.*`partial_history`"):
            read(shop, state, **more)
        assert read(shop, state, accept=["partial_history"], **more).state
        assert read(shop, state, catalog_of(shop, streams=("customers",)), accept=["denied_fields"], **more).state


def test_with_60_days_of_history_only_a_refund_of_an_older_order_never_comes(served: Served) -> None:
    with served(scopes=ALL[1:]) as shop:
        accepted = {"accept": ["partial_history"]}
        first = read(shop, **accepted)
        assert 0 < len(first.orders) < len(shop.store.orders)
        old = next(one["name"] for one in shop.store.orders if one["name"] not in first.orders)
        shop.store.refund_order(old, "2026-11-02T12:00:00Z")
        assert old not in read(shop, first.state, **accepted).orders
        assert "and no change of an older one" in tap_for(shop, **accepted).store.granted.block({})


def test_protected_fields_that_are_denied_are_named_and_refused_unless_accepted(
    served: Served,
) -> None:
    with served(approved=frozenset({"customer", "name"})) as shop:
        with pytest.raises(RunError) as raised:
            read(shop)
        sentence = str(raised.value)
        assert "denies" in sentence
        assert "email" in sentence
        assert "not approved" in sentence
        assert "protected customer data" in sentence
        assert "`denied_fields` to `accept`" in sentence
        run = read(shop, accept=["denied_fields"])
        assert len(run.orders) == len(shop.store.orders)
        order = next(one for one in run.records["orders"] if one["customer"])
        assert "email" not in order
        assert "email" not in order["customer"]
        assert order["customer"]["first_name"]
        assert "zip" not in order["billing_address"]
        assert order["billing_address"]["city"]
        assert "email" not in run.records["customers"][0]


def test_a_scope_that_only_some_fields_need_is_named_with_its_remedy(
    served: Served,
) -> None:
    with served(scopes=("read_all_orders", "read_customers", "read_orders")) as shop:
        with pytest.raises(RunError, match=r"line_items.product.*`read_products` access scope.*Add the scope"):
            read(shop)
        line = read(shop, accept=["denied_fields"]).records["orders"][0]["line_items"][0]
        assert line["title"]
        assert "product_id" not in line


def test_a_probe_finds_denied_fields_before_the_first_record(
    served: Served,
) -> None:
    with served(approved=frozenset({"customer"})) as shop:
        tap = tap_for(shop)
        with pytest.raises(RunError, match="denies"):
            tap.check(probe=True)
        assert tap.message_writer.messages == []


def test_a_run_with_a_bookmark_needs_no_probe(shop: Shop) -> None:
    state = read(shop).state
    shop.controls.reset()
    tap_for(shop, state).check(probe=False)
    assert len(queries(shop)) == 2  # what is granted, and how many records are to come


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("Access denied for customer field. Required access: `read_customers` access scope.", "Add the scope"),
        ("This app is not approved to use the email field.", "Request access to protected customer data"),
    ],
)
def test_the_two_causes_of_denial_have_opposite_remedies(message: str, remedy: str) -> None:
    sentence = store.denial("orders", Denied([(("page", "nodes", "customer", "email"), message)]))
    assert remedy in sentence
    assert "customer.email" in sentence


def test_a_retired_version_is_noticed_and_refused_unless_accepted(
    served: Served,
) -> None:
    later: dict[str, Any] = {"versions": ("2027-01",)}
    with served(**later) as shop, pytest.raises(RunError, match=f"served API version .* instead of {API_VERSION}"):
        read(shop)


@pytest.mark.parametrize(("status", "word"), [(402, "frozen"), (404, "`store`"), (423, "locked")])
def test_a_closed_store_gets_a_sentence(shop: Shop, status: int, word: str) -> None:
    shop.close(status)
    with pytest.raises(RunError, match=word):
        read(shop)


def test_a_field_that_breaks_inside_shopify_is_asked_again(shop: Shop) -> None:
    tap = tap_for(shop)
    _ = tap.store.granted
    shop.break_field("Order.customer", times=2)
    tap.sync()
    orders = run_of(tap).orders
    assert {name for name, one in orders.items() if one["customer"]} == {
        one["name"] for one in shop.store.orders if one["customer"]
    }
