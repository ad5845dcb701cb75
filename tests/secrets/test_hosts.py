"""A key goes to the host that it is for, and to no other that an answer names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import stamina

from sandbox.controls import Reply
from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.settings import admin_url_of
from tap_shopify_orders.shopify.answers import Gone
from tap_shopify_orders.shopify.auth import AccessToken, ClientCredentials
from tap_shopify_orders.shopify.client import Client
from target_posthog import errors as target_errors
from target_posthog.posthog import client as target
from target_posthog.posthog.query_api import QueryApi
from tests.conftest import LAST_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVENT: Any = {"event": "a", "distinct_id": "b", "uuid": "c", "timestamp": "2026-11-01T00:00:00Z", "properties": {}}


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=1):
        yield


@pytest.fixture
def elsewhere() -> Iterator[Shop]:
    with Shop(cdnow_store(LAST_DAY, customers=1)).serve() as served:
        yield served


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_shop_that_has_moved_takes_no_token_along(shop: Shop, elsewhere: Shop, status: int) -> None:
    shop.controls.reply_next(*[Reply(status=status, headers={"Location": f"{elsewhere.url}/admin"})] * 2)
    with pytest.raises(RunError, match="No token was sent there"):
        Client(f"{shop.url}/admin", AccessToken("shpat_sandbox")).ask("{ shop { name } }")
    with pytest.raises(RunError, match="No token was sent there"):
        ClientCredentials(f"{shop.url}/admin", "id", "shpss_sandbox").token()
    assert elsewhere.controls.requests == []


def test_a_link_to_a_result_gets_no_token(shop: Shop, elsewhere: Shop, tmp_path: Path) -> None:
    client = Client(f"{shop.url}/admin", AccessToken("shpat_sandbox"))
    with (tmp_path / "result").open("w+b") as file, pytest.raises(Gone):
        client.save(f"{elsewhere.url}/bulk/1.jsonl?Signature=x", file)
    (seen,) = elsewhere.controls.requests
    assert "shpat_sandbox" not in str(seen)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("protocol", ["auto", "v1", "batch"])
def test_a_posthog_that_has_moved_takes_no_event_along(status: int, protocol: str) -> None:
    with PostHog().serve() as posthog, PostHog().serve() as other:
        client = target.Client("phc_sandbox", posthog.url, protocol=protocol, max_retry_seconds=0)
        for path in ("/i/v1/analytics/events", "/batch/"):
            moved = Reply(status=status, headers={"Location": other.url + path}, path=path)
            posthog.controls.reply_next(moved)
        with pytest.raises(target_errors.RunError, match="`host`"):
            client.send([EVENT], historical=False)
        assert other.controls.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/admin",
        "http://127.0.0.1.example/admin",
        "ftp://127.0.0.1/admin",
        "//shop.example/admin",
        "x",
    ],
)
def test_a_token_is_not_sent_in_the_clear_but_on_this_machine(url: str) -> None:
    with pytest.raises(RunError, match=r"has to begin with https://|isn't an address such as https://"):
        admin_url_of("my-store", url)


def test_what_netrc_says_of_a_host_replaces_no_key(
    shop: Shop, posthog: PostHog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login jane password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    Client(f"{shop.url}/admin", AccessToken("shpat_sandbox")).ask("{ shop { name } }")
    target.Client("phc_sandbox", posthog.url).send([EVENT], historical=False)
    QueryApi("phx_sandbox", "1", posthog.url).rows("select uuid from events limit 5", "test")
    target.Client("phc_sandbox", posthog.url, protocol="batch").send([EVENT], historical=False)
    target.Client("phc_sandbox", posthog.url).check_key()
    shown = [one.headers.get("Authorization") for one in (*shop.controls.requests, *posthog.controls.requests)]
    assert shown[:4] == [None, "Bearer phc_sandbox", "Bearer phx_sandbox", None]
    assert not [one for one in shown if one and one.startswith("Basic")]
