"""Settings that a user may get wrong, or an attacker choose: a sentence that names them and quotes no value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import ConfigValidationError

from tap_shopify_orders.settings import SETTINGS
from tap_shopify_orders.store_run import StoreRun
from tap_shopify_orders.tap import TapShopifyOrders
from tests.tap.conftest import settings

if TYPE_CHECKING:
    from sandbox.shop import Shop

SECRET = "shpat_0123456789abcdef"  # nobody's
URL = "https://my-store.myshopify.com/admin"


def errors_of(**config: Any) -> list[str]:
    """Return the sentences for the settings' mistakes."""
    errors: list[str] = []
    try:
        TapShopifyOrders(config=config, setup_mapper=False)
    except ConfigValidationError as error:
        errors = list(error.errors)
    assert all(one.isprintable() for one in errors)
    return errors


def one_store(**more: Any) -> dict[str, Any]:
    return {"store": "my-store", "access_token": SECRET, **more}


@pytest.mark.parametrize(
    "token", ["shpat_€", "shpat_\0x", "shpat_x\ny", "shpat_ x", "shpat_\ud800", "ключ", "\x7f", "shpat_é"]
)
@pytest.mark.parametrize("name", ["access_token", "client_id", "client_secret"])
def test_a_credential_that_is_none_is_named_without_being_quoted(name: str, token: str) -> None:
    config = {"store": "my-store", "client_id": "x", "client_secret": "y", name: token}
    (sentence,) = errors_of(**config)
    assert f"`{name}`" in sentence
    assert token not in sentence


def test_blanks_around_a_credential_are_not_the_credential(shop: Shop) -> None:
    for more in (
        {"access_token": " shpat_sandbox\n"},
        {"access_token": None, "client_id": " sandbox-client\n", "client_secret": "shpss_sandbox\r\n"},
    ):
        run = StoreRun(config=settings(shop, **more), setup_mapper=False)
        assert run.store.granted.name == "Sandbox Records"


ADDRESSES = [
    "http://[bad",
    "https://[bad/admin",
    "http://evil.example\\@localhost/admin",
    "https://jane:pw_123@shop.example/admin",
    "http://jane:pw_123@127.0.0.1/admin",
    "https://shop.example:99999/admin",
    "https://shop.example:pw_123/admin",
    "https://shop.example /admin",
    "https://shop.example/admin?x=pw_123",
    "https://shop.example/admin#pw_123",
    "https:///admin",
    "https://" + "a" * 300 + ".example/admin",
    "https://shop.example/\nX-Injected: 1",
    "http://127.0.0.1.evil.example/admin",
    "http://localhost@evil.example/admin",
    "http://evil.example#@localhost/admin",
    "http://evil.example?@localhost/admin",
    "http://localhost:80@evil.example/admin",
    "http://0x7f.1/admin",
    "http://127.1/admin",
]


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda one: one[:40])
def test_an_address_that_is_none_or_holds_a_password_is_named_without_being_quoted(address: str) -> None:
    for errors in (
        errors_of(**one_store(admin_url=address)),
        errors_of(stores=[{"store": "my-store", "access_token_env": "SHOPIFY_X", "admin_url": address}]),
    ):
        assert any("`admin_url`" in one for one in errors)
        assert not [one for one in errors if "pw_123" in one or "jane" in one or "evil" in one]


@pytest.mark.parametrize(
    "address", [URL, "http://127.0.0.1:1/admin", "http://[::1]:1/admin", "http://localhost/admin/"]
)
def test_a_right_address_is_taken(address: str) -> None:
    assert errors_of(**one_store(admin_url=address)) == []


WRONG: dict[str, Any] = {
    "access_token": [SECRET],
    "client_secret": {"secret": SECRET},
    "client_id": 5_551_234_567,
    "store": [SECRET],
    "start_date": SECRET,
    "end_date": {"date": SECRET},
    "lookback_seconds": SECRET,
    "method": SECRET,
    "accept": [SECRET],
    "stores": SECRET,
    "stores_at_once": SECRET,
    "admin_url": {"url": SECRET},
    "stream_maps": SECRET,
    "stream_map_config": SECRET,
    "flattening_enabled": SECRET,
    "flattening_max_depth": SECRET,
    "flattening_max_key_length": SECRET,
    "flattening_separator": [SECRET],
    "faker_config": SECRET,
    "look_again_days": SECRET,
    "attribution_hours": SECRET,
    "money": SECRET,
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_named_and_not_quoted(name: str) -> None:
    errors = errors_of(**{"store": "my-store", "access_token": "shpat_1", name: WRONG[name]})
    assert errors
    assert all(f"`{name}`" in one for one in errors)
    assert SECRET not in " ".join(errors)
    assert "5551234567" not in " ".join(errors)


def test_each_setting_that_the_tap_has_is_among_them() -> None:
    assert SETTINGS["properties"].keys() <= WRONG.keys() | {"credentials_prefix"}


def test_a_wrong_part_of_a_setting_is_named_and_not_quoted() -> None:
    entry = {"store": "acme", "access_token_env": [SECRET], "accept": [SECRET], "start_date": 1}
    errors = errors_of(stores=[entry])
    assert errors
    assert SECRET not in " ".join(errors)
    assert "`stores`" in errors[0]
