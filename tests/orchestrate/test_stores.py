"""`meltano run` over several stores into one PostHog."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sandbox.shop import Shop
from sandbox.shop.catalog import PRODUCTS
from sandbox.shop.cdnow import cdnow_store
from sandbox.shop.goods import Line, Placed
from sandbox.shop.money import Currencies
from sandbox.shop.people import person
from sandbox.shop.store import Store
from tests.pipeline.meltano_project import ROOT, Project, place_project, quiet_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.posthog import PostHog

EU, US, JP = "acme-eu.myshopify.com", "acme-us.myshopify.com", "acme-jp.myshopify.com"
TOKENS = {EU: "SHOPIFY_EU_TOKEN", US: "SHOPIFY_US_TOKEN", JP: "SHOPIFY_JP_TOKEN"}


@pytest.fixture
def shops() -> Iterator[dict[str, Shop]]:
    """Two stores whose orders have the same names and people, and one where a customer of these has bought too."""
    same = {
        shop: cdnow_store(date(2026, 10, 31), customers=8, ids_after=after) for shop, after in ((EU, 0), (US, 1_000))
    }
    known = next(one for one in same[EU].customers if one["defaultEmailAddress"])
    stores = {**same, JP: visited_by(known["defaultEmailAddress"]["emailAddress"])}
    with ExitStack() as open_shops:
        for domain, store in stores.items():
            store.shop.update(id=f"gid://shopify/Shop/{1 + [*TOKENS].index(domain)}", myshopifyDomain=domain)
        yield {
            domain: open_shops.enter_context(Shop(store, access_token=token_of(domain)).serve())
            for domain, store in stores.items()
        }


def visited_by(email: str) -> Store:
    store = Store()
    store.ids = count(8_000_000_000_001)
    at = "2026-10-30T12:00:00Z"
    customer = store.add_customer(at, replace(person(Random(1), 1), email=email))
    line = Line(PRODUCTS[0], 2, Decimal("5.25"))
    store.add_order(Placed(at, 1001, [line], Currencies("USD", "USD"), customer=customer, extra={"email": email}))
    return store


def token_of(domain: str) -> str:
    return f"shpat_{domain[:7]}"


def entries(shops: dict[str, Shop]) -> list[dict[str, str]]:
    return [
        {"store": domain, "access_token_env": TOKENS[domain], "admin_url": f"{shop.url}/admin"}
        for domain, shop in shops.items()
    ]


@pytest.fixture
def many(tmp_path: Path, shops: dict[str, Shop], posthog: PostHog) -> Project:
    """A project whose meltano.yml lists the stores, and whose .env has their tokens."""
    place_project(tmp_path)
    content = yaml.safe_load((ROOT / "meltano.yml").read_text())
    content["environments"][0]["config"]["plugins"]["extractors"][0]["config"] = {"stores": entries(shops)}
    (tmp_path / "meltano.yml").write_text(yaml.safe_dump(content))
    (tmp_path / ".env").write_text("".join(f"{TOKENS[domain]}={token_of(domain)}\n" for domain in shops))
    return Project(
        tmp_path, quiet_environment() | {"TARGET_POSTHOG_HOST": posthog.url, "TARGET_POSTHOG_GROUPS": "true"}
    )


def bookmarks(project: Project, environment: str = "sandbox") -> dict[str, str]:
    found = project.run("state", "get", f"{environment}:tap-shopify-orders-to-target-posthog").stdout
    state = json.loads(found or "{}").get("singer_state", {})
    orders = state.get("bookmarks", {}).get("orders", {}).get("partitions", [])
    return {[*TOKENS][one["context"]["shop_id"] - 1]: one["replication_key_value"] for one in orders}


def completed(posthog: PostHog, domain: str) -> list[dict[str, Any]]:
    return [
        one
        for one in posthog.events()
        if one["event"] == "Order Completed" and one["properties"]["affiliation"] == domain
    ]


def test_three_stores_arrive_in_one_posthog(many: Project, shops: dict[str, Shop], posthog: PostHog) -> None:
    many.succeed("run", "sync")

    assert bookmarks(many).keys() == shops.keys()
    eu, us, jp = (completed(posthog, domain) for domain in shops)
    assert len(eu) == len(us) > len(jp) == 1
    assert not {one["uuid"] for one in eu} & {one["uuid"] for one in us}, "the same names are other orders"
    assert {one["properties"]["order_name"] for one in eu} == {one["properties"]["order_name"] for one in us}

    assert {one["properties"]["$groups"]["shop"] for one in (*eu, *us, *jp)} == {"1", "2", "3"}
    assert {one["properties"]["name"]: one["key"] for one in posthog.groups()} == dict(zip(shops, "123", strict=True))

    (buyer,) = [one for one in posthog.persons() if jp[0]["distinct_id"] in one["distinct_ids"]]
    (visitor,) = shops[JP].store.customers
    assert f"shopify:customer:{visitor['legacyResourceId']}" in buyer["distinct_ids"]
    assert jp[0]["distinct_id"] in {one["distinct_id"] for one in eu}, "one person across stores, by e-mail"

    received = posthog.totals()["received"]
    many.succeed("run", "sync")
    assert posthog.totals()["received"] == received


def test_a_store_that_fails_fails_alone_and_is_made_good(
    many: Project, shops: dict[str, Shop], posthog: PostHog
) -> None:
    shops[US].close(402)
    failed = many.run("run", "sync")
    assert failed.returncode != 0
    assert "acme-us.myshopify.com: 127.0.0.1" in failed.stdout + failed.stderr
    assert "is frozen until its bill is paid" in failed.stdout + failed.stderr
    assert "1 of 3 stores couldn't be read: acme-us.myshopify.com." in failed.stdout + failed.stderr
    assert "Traceback" not in failed.stdout + failed.stderr
    assert bookmarks(many).keys() == {EU, JP}
    assert completed(posthog, EU)
    assert completed(posthog, JP)
    sent = posthog.totals()["received"]

    shops[US].close(200)
    many.succeed("run", "sync")
    assert bookmarks(many).keys() == shops.keys()
    assert len(completed(posthog, US)) == len(completed(posthog, EU))
    assert posthog.totals()["received"] < 2 * sent, "the others weren't read again"
    assert posthog.totals()["doubles"] == 0


def test_the_list_also_comes_from_the_environment_in_place_of_prods_one_store(
    many: Project, shops: dict[str, Shop], posthog: PostHog
) -> None:
    shutil.copy(ROOT / "meltano.yml", many.folder)  # whose sandbox has one store, and prod none yet
    destination = {"POSTHOG_API_KEY": "phc_sandbox", "POSTHOG_HOST": posthog.url}
    stores = json.dumps(entries(shops))
    many.succeed("--environment=prod", "run", "sync", TAP_SHOPIFY_ORDERS_STORES=stores, **destination)
    assert bookmarks(many, "prod").keys() == shops.keys()
