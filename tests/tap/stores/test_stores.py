"""Several stores in one run: each as if it were the only one, and none in another's way."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from sandbox.controls import Reply
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tap_shopify_orders import stores
from tap_shopify_orders.bookmark import Bookmarks
from tests.tap.conftest import Run, queries, read, settings
from tests.waiting import LONGEST_WAIT_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask import Response

    Command = Callable[..., Run]

NAMES = ("acme-eu", "acme-us", "acme-jp")
ENVIRONMENT = {
    "SHOPIFY_EU_TOKEN": "shpat_eu",
    "SHOPIFY_US_TOKEN": "shpat_us",
    "SHOPIFY_JP_TOKEN": "shpat_jp",
    "SHOPIFY_APP": "id",
    "SHOPIFY_KEY": "secret",
}
TOKENS = dict(zip(NAMES, ENVIRONMENT, strict=False))
STREAMS = ("customers", "orders")


def domain(name: str) -> str:
    return f"{name}.myshopify.com"


def shop_id(name: str) -> int:
    return 101 + NAMES.index(name)


def filled(name: str, customers: int = 6) -> Shop:
    """A shop of its own name and token; the numbers of its records are those of every other."""
    store = cdnow_store(date(2026, 10, 31), customers=customers)
    store.shop.update(id=f"gid://shopify/Shop/{shop_id(name)}", name=name, myshopifyDomain=domain(name))
    return Shop(store, access_token=ENVIRONMENT[TOKENS[name]])


def entry(name: str, shop: Shop, **more: Any) -> dict[str, Any]:
    return {"store": name, "access_token_env": TOKENS[name], "admin_url": f"{shop.url}/admin", **more}


def listed(shops: dict[str, Shop], **more: Any) -> dict[str, Any]:
    return {"stores": [entry(name, shop) for name, shop in shops.items()], **more}


def records(run: Run, stream: str, name: str) -> list[dict[str, Any]]:
    return [one for one in run.records[stream] if one["shop"] == domain(name)]


def bookmark(state: dict[str, Any], stream: str, name: str) -> dict[str, Any]:
    found = [
        one
        for one in state.get("bookmarks", {}).get(stream, {}).get("partitions", [])
        if one["context"] == {"shop_id": shop_id(name)}
    ]
    assert len(found) <= 1
    return found[0] if found else {}


def assert_whole(run: Run, name: str, shop: Shop) -> None:
    assert len(records(run, "customers", name)) == len(shop.store.customers)
    assert {one["name"] for one in records(run, "orders", name)} == {one["name"] for one in shop.store.orders}


@pytest.fixture
def shops() -> Iterator[dict[str, Shop]]:
    with ExitStack() as open_shops:
        yield {name: open_shops.enter_context(filled(name).serve()) for name in NAMES}


# The settings.

GOOD = {"store": "acme-eu", "access_token_env": "SHOPIFY_EU_TOKEN"}
APP = {"client_id": "app", "client_secret": "shpss_x"}


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"store": "acme-eu", "stores": [GOOD]}, "Set either `store` or `stores`"),
        ({"access_token": "shpat_x", "stores": [GOOD]}, "name that as `access_token_env` in the store's entry"),
        ({"admin_url": "https://x.example/admin", "stores": [GOOD]}, "set it in the store's entry of `stores`"),
        ({"stores": [{"access_token_env": "SHOPIFY_EU_TOKEN"}]}, "Store 1 of `stores` lacks `store`"),
        ({"stores": [GOOD, {**GOOD, "store": "my store"}]}, "Store 2 of `stores`: The setting `store` isn't a Shopify"),
        ({"stores": [GOOD, {**GOOD, "store": "ACME-EU.myshopify.com/"}]}, "Store 2 of `stores` is the same as store 1"),
        ({"stores": [{"store": "acme-eu"}]}, "Store 1 of `stores` needs the names of environment variables"),
        (
            {"stores": [{"store": "acme-eu", "client_id_env": "SHOPIFY_APP"}]},
            "both `client_id_env` and `client_secret_env`",
        ),
        ({"stores": [{**GOOD, "client_id_env": "SHOPIFY_APP"}]}, "needs the names of environment variables"),
        (
            {"stores": [{**GOOD, "access_token_env": "SHOPIFY_NO_TOKEN"}]},
            "the environment variable SHOPIFY_NO_TOKEN, which `access_token_env` names, isn't set",
        ),
        ({"stores": [{**GOOD, "access_token_env": "shpat_0a1b"}]}, "has to be the name of an environment variable"),
        ({"stores": [{**GOOD, "access_token": "shpat_0a1b"}]}, "has `access_token`: put it into an environment"),
        ({"stores": [{**GOOD, "start_dat": "2026"}]}, "has no setting `start_dat`: did you mean `start_date`?"),
        ({"stores": [{**GOOD, "end_date": "soon"}]}, "Store 1 of `stores`: `end_date` isn't a time"),
        ({"stores": [{**GOOD, "admin_url": "http://x.example"}]}, "The setting `admin_url` has to begin with https://"),
    ],
    ids=lambda one: str(one)[:40],
)
def test_a_mistake_in_the_list_gets_one_sentence_that_repeats_no_secret(config: dict[str, Any], sentence: str) -> None:
    (said,) = stores.mistakes_in_stores(config, ENVIRONMENT)
    assert sentence in said
    assert "shpat_" not in said


@pytest.mark.parametrize(
    "config",
    [
        {"stores": [GOOD]},
        {"stores": [{"store": "acme-eu", "client_id_env": "SHOPIFY_APP", "client_secret_env": "SHOPIFY_KEY"}]},
        {"stores": [{"store": "acme-eu"}, {"store": "acme-us"}], **APP},
        {"stores": [GOOD], "store": "", "access_token": None},  # as a tool may pass what isn't set
        {"stores": []},
        {"store": "acme-eu"},
    ],
)
def test_what_is_right_gets_no_sentence(config: dict[str, Any]) -> None:
    assert list(stores.mistakes_in_stores(config, ENVIRONMENT)) == []


def test_a_store_can_take_back_what_is_accepted_of_all() -> None:
    strict = {**GOOD, "accept": []}
    made = stores.configs({"accept": ["no_ledger"], "stores": [strict, {"store": "acme-jp"}], **APP}, ENVIRONMENT)
    assert [one["accept"] for one in made.values()] == [[], ["no_ledger"]]


def test_each_store_has_the_settings_of_all_its_own_instead_and_its_own_credentials_alone() -> None:
    shared = {"start_date": "2025-01-01", "method": "pages", "stores_at_once": 2, **APP}
    own = {
        "store": "acme-us",
        "client_id_env": "SHOPIFY_APP",
        "client_secret_env": "SHOPIFY_KEY",
        "start_date": "2026-01-01",
    }
    assert stores.configs({**shared, "stores": [GOOD, own, {"store": "acme-jp"}]}, ENVIRONMENT) == {
        "acme-eu.myshopify.com": {
            "store": "acme-eu",
            "access_token": "shpat_eu",
            "start_date": "2025-01-01",
            "method": "pages",
        },
        "acme-us.myshopify.com": {
            "store": "acme-us",
            "client_id": "id",
            "client_secret": "secret",
            "start_date": "2026-01-01",
            "method": "pages",
        },
        "acme-jp.myshopify.com": {"store": "acme-jp", "start_date": "2025-01-01", "method": "pages", **APP},
    }


@pytest.mark.parametrize("wrong", [{"stores": "acme-eu"}, {"stores": ["acme-eu"]}, {"stores": [{"store": 5}]}])
def test_a_list_of_another_kind_gets_a_sentence(command: Command, wrong: dict[str, Any]) -> None:
    run = command({**wrong, **APP})
    assert (run.code, run.messages) == (1, [])
    assert "The setting `stores`" in run.log
    assert "needs a value of type" in run.log
    assert "Traceback" not in run.log


def test_every_mistake_of_the_list_is_told_before_anything_is_asked(command: Command, shops: dict[str, Shop]) -> None:
    config = listed(shops)
    config["stores"][1]["access_token_env"] = "SHOPIFY_NO_TOKEN"
    run = command(config, env=ENVIRONMENT)
    assert (run.code, run.messages) == (1, [])
    assert "Store 2 of `stores`: the environment variable SHOPIFY_NO_TOKEN" in run.log
    assert [queries(shop) for shop in shops.values()] == [[], [], []]


# The state.


def partition(name: str, **state: Any) -> dict[str, Any]:
    return {"context": {"shop_id": shop_id(name)}, **state}


def by_shop(*partitions: dict[str, Any]) -> dict[str, Any]:
    return {"bookmarks": {"orders": {"partitions": list(partitions)}}}


def test_a_store_begins_with_its_own_part_of_the_state() -> None:
    output = Bookmarks(by_shop(partition("acme-eu", replication_key_value="1"), partition("acme-us", known={"a": "b"})))
    assert output.state_of(shop_id("acme-us"), alone=True) == {"bookmarks": {"orders": {"known": {"a": "b"}}}}
    assert output.state_of(shop_id("acme-jp"), alone=True) == {}


def test_a_bookmark_of_no_shop_is_only_that_of_a_single_store() -> None:
    state = {"bookmarks": {"orders": {"replication_key_value": "1"}}}
    assert Bookmarks(state).state_of(shop_id("acme-eu"), alone=True) == state
    assert Bookmarks(state).state_of(shop_id("acme-eu"), alone=False) == {}


def test_a_store_moves_its_own_part_of_the_state_alone() -> None:
    output = Bookmarks(by_shop(partition("acme-eu", replication_key_value="1"), partition("acme-us")))
    moved = output.state_with(shop_id("acme-us"), {"bookmarks": {"orders": {"replication_key_value": "2"}}})
    assert msgspec.json.decode(msgspec.json.encode(moved)) == by_shop(
        partition("acme-eu", replication_key_value="1"), partition("acme-us", replication_key_value="2")
    )


def test_bookmarks_that_name_no_shop_are_said_and_hide_nothing(command: Command, shops: dict[str, Shop]) -> None:
    state = {
        "bookmarks": {"orders": {"replication_key": "updated_at", "replication_key_value": "2026-10-31T00:00:00Z"}}
    }
    run = command(listed(shops), state=state, env=ENVIRONMENT)
    assert "The state has bookmarks that name no shop: of several stores none begins there." in run.log
    for name, shop in shops.items():
        assert_whole(run, name, shop)


# The run.


def test_one_run_reads_all_stores_each_in_its_order(command: Command, shops: dict[str, Shop]) -> None:
    run = command({**listed(shops), "stores_at_once": 1}, env=ENVIRONMENT)
    assert run.code == 0, run.log
    assert "has no bookmark of" not in run.log, "there is no state at all"
    assert [one["stream"] for one in run.messages if one["type"] == "SCHEMA"] == ["customers", "orders"]
    for name, shop in shops.items():
        assert_whole(run, name, shop)
        mine = [one for one in run.messages if one["type"] == "RECORD" and one["record"]["shop"] == domain(name)]
        read_in_order = [(one["stream"], one["record"]["updated_at"]) for one in mine]
        assert read_in_order == sorted(read_in_order), "customers, then orders, oldest change first"
        assert f"{domain(name)}: Read {len(shop.store.customers)} customers, {len(shop.store.orders)} orders" in run.log


def test_each_store_is_asked_with_its_own_token_alone(command: Command, shops: dict[str, Shop]) -> None:
    command(listed(shops), env=ENVIRONMENT)
    for name, shop in shops.items():
        tokens = {one.headers["X-Shopify-Access-Token"] for one in shop.controls.requests}
        assert tokens == {ENVIRONMENT[TOKENS[name]]}


def test_an_app_of_all_stores_needs_no_entry_of_its_own(command: Command, shops: dict[str, Shop]) -> None:
    app = {"client_id": "sandbox-client", "client_secret": "shpss_sandbox"}
    made = stores.configs({"stores": [{"store": name} for name in shops], **app}, {})
    assert [app.items() <= one.items() for one in made.values()] == [True] * len(shops)
    entries = [{"store": name, "admin_url": f"{shop.url}/admin"} for name, shop in shops.items()]
    run = command({"stores": entries, **app})
    assert run.code == 1, "an app of all stores goes to Shopify alone"
    assert "needs credentials of its own" in run.log
    assert [shop.controls.requests for shop in shops.values()] == [[]] * len(shops)


def test_an_app_named_by_each_entry_reads_them(command: Command, shops: dict[str, Shop]) -> None:
    app = {"client_id_env": "SHOPIFY_ID", "client_secret_env": "SHOPIFY_SECRET"}
    entries = [{"store": name, "admin_url": f"{shop.url}/admin", **app} for name, shop in shops.items()]
    run = command({"stores": entries}, env={"SHOPIFY_ID": "sandbox-client", "SHOPIFY_SECRET": "shpss_sandbox"})
    assert run.code == 0, run.log
    for name, shop in shops.items():
        assert_whole(run, name, shop)


@pytest.mark.parametrize("variable", ["PATH", "AWS_SECRET_ACCESS_KEY", "TARGET_POSTHOG_API_KEY", "XSHOPIFY_TOKEN"])
def test_a_list_can_name_no_other_variable_of_the_process(
    command: Command, shops: dict[str, Shop], variable: str
) -> None:
    entries = [{"store": name, "admin_url": f"{shop.url}/admin"} for name, shop in shops.items()]
    entries[0]["access_token_env"] = variable
    run = command({"stores": entries[:1]}, env={variable: "shpat_secret"})
    assert run.code == 1
    assert "has to be the name of a variable that begins with SHOPIFY_" in run.log
    assert "shpat_secret" not in run.log
    assert [shop.controls.requests for shop in shops.values()] == [[]] * len(shops)


def test_the_prefix_of_credentials_is_the_command_lines(command: Command, shops: dict[str, Shop]) -> None:
    config = {**listed(shops), "credentials_prefix": "ACME_"}
    assert command(config, env=ENVIRONMENT).code == 1
    for name, entry in zip(NAMES, config["stores"], strict=True):
        entry["access_token_env"] = f"ACME_{TOKENS[name]}"
    assert command(config, env={f"ACME_{name}": token for name, token in ENVIRONMENT.items()}).code == 0


def test_a_state_never_goes_further_than_the_records_before_it(command: Command, shops: dict[str, Shop]) -> None:
    run = command(listed(shops), env=ENVIRONMENT)
    highest: dict[tuple[str, str], str] = {}
    for message in run.messages:
        if message["type"] == "RECORD":
            key = (message["stream"], message["record"]["shop"])
            highest[key] = max(highest.get(key, ""), message["record"]["updated_at"])
        elif message["type"] == "STATE":
            for stream, state in message["value"]["bookmarks"].items():
                for one in state["partitions"]:
                    shop = domain(NAMES[one["context"]["shop_id"] - 101])
                    reached = highest.get((stream, shop), "")
                    assert one.get("replication_key_value", "") <= reached
    assert {
        key: bookmark(run.state, key[0], key[1].split(".")[0])["replication_key_value"] for key in highest
    } == highest


def test_a_second_run_emits_nothing_and_keeps_the_state(command: Command, shops: dict[str, Shop]) -> None:
    first = command(listed(shops), env=ENVIRONMENT)
    second = command(listed(shops), state=first.state, env=ENVIRONMENT)
    assert dict(second.records) == {}
    for name in shops:
        for stream in STREAMS:
            assert bookmark(second.state, stream, name) == bookmark(first.state, stream, name)


def fail(shop: Shop, how: str) -> None:
    if how == "frozen":
        shop.close(402)
    elif how == "gone":
        shop.close(404)
    elif how == "token":
        shop.tokens.permanent = "another"
    else:
        denied = '{"errors": [{"message": "Required access: `read_customers` access scope", "extensions": {}}]}'
        shop.controls.reply_next(Reply(status=200, body=denied))


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("frozen", "acme-us.myshopify.com: 127.0.0.1"),
        ("gone", "has no Admin API here: check the settings `store` and `admin_url`"),
        ("token", "doesn't know the token: check the setting `access_token`"),
        ("scope", "Shopify refused the query: Required access: `read_customers`"),
    ],
)
def test_a_store_that_fails_is_said_stays_where_it_was_and_leaves_the_others_be(
    command: Command, shops: dict[str, Shop], how: str, sentence: str
) -> None:
    began = by_shop(partition("acme-us", replication_key="updated_at", replication_key_value="2026-06-01T00:00:00Z"))
    fail(shops["acme-us"], how)
    run = command(listed(shops), state=began, env=ENVIRONMENT)
    assert run.code == 1
    assert sentence in run.log
    errors = [line for line in run.log.splitlines() if "| ERROR " in line]
    assert [line.count("acme-us.myshopify.com") for line in errors] == [1, 1]
    assert "1 of 3 stores couldn't be read: acme-us.myshopify.com." in errors[-1]
    assert "Traceback" not in run.log
    for name in ("acme-eu", "acme-jp"):
        assert_whole(run, name, shops[name])
        assert bookmark(run.state, "orders", name)["replication_key_value"]
    assert records(run, "orders", "acme-us") == records(run, "customers", "acme-us") == []
    assert bookmark(run.state, "orders", "acme-us") == began["bookmarks"]["orders"]["partitions"][0]


def test_a_store_that_fails_midway_goes_on_there_in_the_next_run(command: Command, shops: dict[str, Shop]) -> None:
    frozen = Reply(status=402, body='{"errors": "Unavailable Shop"}')
    asked = {"what is granted", "how much", "a page of each stream, to look", "a page of customers"}
    asked |= {"the customer that changed longest ago", "whether the search goes by seconds"}
    shops["acme-us"].controls.reply_next(*[Reply()] * (len(asked) + 1), frozen)
    first = command(listed(shops), env=ENVIRONMENT)
    assert first.code == 1
    assert len(records(first, "customers", "acme-us")) == len(shops["acme-us"].store.customers)
    assert bookmark(first.state, "customers", "acme-us")["replication_key_value"]
    second = command(listed(shops), state=first.state, env=ENVIRONMENT)
    assert second.code == 0
    assert not second.records["customers"]
    assert len(second.records["orders"]) == len(records(second, "orders", "acme-us")) > 0
    seen = {one["name"] for run in (first, second) for one in records(run, "orders", "acme-us")}
    assert seen == {one["name"] for one in shops["acme-us"].store.orders}


def test_when_all_stores_fail_nothing_is_written(command: Command, shops: dict[str, Shop]) -> None:
    for shop in shops.values():
        shop.close(423)
    run = command(listed(shops), env=ENVIRONMENT)
    assert (run.code, run.messages) == (1, [])
    assert "3 of 3 stores couldn't be read" in run.log


def test_from_one_store_to_several_and_back_each_goes_on_where_it_was(command: Command, shops: dict[str, Shop]) -> None:
    eu, us = shops["acme-eu"], shops["acme-us"]
    alone = {"store": "acme-eu", "access_token": "shpat_eu", "admin_url": f"{eu.url}/admin"}
    first = command(alone)
    both = command(listed({"acme-eu": eu, "acme-us": us}), state=first.state, env=ENVIRONMENT)
    assert {one["shop"] for one in both.records["orders"]} == {domain("acme-us")}
    eu.store.change_order("#1005", "2026-11-02T12:00:00Z", note="later")
    us.store.change_order("#1005", "2026-11-02T12:00:00Z", note="later")
    back = command(alone, state=both.state)
    assert [(one["shop"], one["name"]) for one in back.records["orders"]] == [(domain("acme-eu"), "#1005")]
    assert bookmark(back.state, "orders", "acme-us") == bookmark(both.state, "orders", "acme-us")
    again = command(listed({"acme-us": us}), state=back.state, env=ENVIRONMENT)
    assert [(one["shop"], one["name"]) for one in again.records["orders"]] == [(domain("acme-us"), "#1005")]


def test_a_renamed_store_goes_on_where_it_was(command: Command, shops: dict[str, Shop]) -> None:
    shop = shops["acme-eu"]
    settings_of = {"access_token": "shpat_eu", "admin_url": f"{shop.url}/admin"}
    first = command({"store": "acme-eu", **settings_of})
    shop.store.rename_shop("acme-new.myshopify.com")
    shop.controls.reply_next(Reply(status=301, headers={"Location": "https://acme-new.myshopify.com/admin/api"}))
    moved = command({"store": "acme-eu", **settings_of}, state=first.state)
    assert (moved.code, moved.messages) == (1, [])
    assert "now lives at acme-new.myshopify.com: set `store` to that name." in moved.log
    followed = command({"store": "acme-new", **settings_of}, state=first.state)
    assert (followed.code, dict(followed.records)) == (0, {})
    assert followed.state == first.state
    shop.store.change_order("#1005", "2026-11-02T12:00:00Z", note="later")
    changed = command({"store": "acme-new", **settings_of}, state=followed.state)
    assert [(one["shop"], one["shop_id"], one["name"]) for one in changed.records["orders"]] == [
        ("acme-new.myshopify.com", shop_id("acme-eu"), "#1005")
    ]


def test_a_state_of_another_store_hides_nothing(command: Command, shops: dict[str, Shop]) -> None:
    first = command(listed({"acme-eu": shops["acme-eu"]}), env=ENVIRONMENT)
    second = command(listed({"acme-us": shops["acme-us"]}), state=first.state, env=ENVIRONMENT)
    assert_whole(second, "acme-us", shops["acme-us"])


def test_a_tap_of_one_store_takes_its_part_of_the_state_of_several(command: Command, shops: dict[str, Shop]) -> None:
    state = command(listed(shops), env=ENVIRONMENT).state
    config = {"store": "acme-us", "access_token": "shpat_us"}
    assert dict(read(shops["acme-us"], state, **config).records) == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_ended_run_of_several_stores_leaves_whole_lines_and_goes_on(
    command: Command, tmp_path: Path, number: signal.Signals
) -> None:
    with ExitStack() as open_shops:
        shops = {name: open_shops.enter_context(filled(name, customers=25).serve()) for name in NAMES}
        with started(tmp_path, listed(shops)) as process:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(60)]
            process.send_signal(number)
            lines += process.stdout.readlines()
        assert process.returncode == 128 + number
        first = Run([json.loads(line) for line in lines])
        assert first.messages[-1]["type"] == "STATE"
        second = command(listed(shops), state=first.state, env=ENVIRONMENT)
        assert second.code == 0
        for name, shop in shops.items():
            read_ones = [one for run in (first, second) for one in records(run, "orders", name)]
            ids = [one["id"] for one in read_ones if not one.get("_sdc_deleted_at")]
            assert sorted(ids) == sorted(int(one["legacyResourceId"]) for one in shop.store.orders)


def started(folder: Path, config: dict[str, Any]) -> subprocess.Popen[bytes]:
    (folder / "config.json").write_text(json.dumps(config))
    return subprocess.Popen(
        [sys.executable, "-m", "tap_shopify_orders", "--config", str(folder / "config.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )


def test_a_run_that_waits_for_all_stores_ends_at_once(shops: dict[str, Shop], tmp_path: Path) -> None:
    for shop in shops.values():
        shop.controls.reply_next(Reply(delay_seconds=60))
    process = started(tmp_path, listed(shops))
    wait_until(lambda: all(shop.controls.requests for shop in shops.values()))
    process.send_signal(signal.SIGTERM)
    out, log = process.communicate(timeout=LONGEST_WAIT_SECONDS)
    assert (process.returncode, out) == (128 + signal.SIGTERM, b"")
    assert b"Traceback" not in log


def test_a_target_that_goes_away_ends_all_stores_with_a_sentence(shops: dict[str, Shop], tmp_path: Path) -> None:
    with started(tmp_path, listed(shops)) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        log = process.stderr.read().decode()
    assert process.returncode == 1
    assert "The target stopped reading;" in log
    assert "Traceback" not in log


class Meeting:
    """Lets the first request of each shop wait for those of others, and tells how many shops were asked at once."""

    def __init__(self, shops: dict[str, Shop], at_once: int) -> None:
        self._barrier, self._lock = threading.Barrier(at_once), threading.Lock()
        self._asked: Counter[str] = Counter()
        self.most = 0
        for name, shop in shops.items():
            shop.app.before_request(partial(self._came, name, threading.Event()))
            shop.app.after_request(partial(self._went, name))

    def _came(self, name: str, before: threading.Event) -> None:
        with self._lock:
            self._asked[name] += 1
            self.most = max(self.most, len(+self._asked))
        if not before.is_set():
            before.set()
            self._barrier.wait(LONGEST_WAIT_SECONDS)

    def _went(self, name: str, response: Response) -> Response:
        with self._lock:
            self._asked[name] -= 1
        return response


@pytest.mark.parametrize("at_once", [3, 1])
def test_so_many_stores_are_read_side_by_side_as_the_setting_says(
    command: Command, shops: dict[str, Shop], at_once: int
) -> None:
    meeting = Meeting(shops, at_once)
    assert command(listed(shops, stores_at_once=at_once), env=ENVIRONMENT).code == 0
    assert meeting.most == at_once


def test_a_slow_target_holds_all_stores_back(tmp_path: Path) -> None:
    with ExitStack() as open_shops:
        shops = {name: open_shops.enter_context(filled(name, customers=60).serve()) for name in NAMES}
        process = started(tmp_path, listed(shops))
        try:
            before, now = -1, 0
            for _ in range(100):  # until nothing more is asked for
                before, now = now, sum(len(queries(shop)) for shop in shops.values())
                if before == now > 0:
                    break
                time.sleep(0.5)
            held = {name: len(queries(shop)) for name, shop in shops.items()}
            out, _ = process.communicate(timeout=LONGEST_WAIT_SECONDS)
        finally:
            process.kill()
        assert process.returncode == 0
        assert len(out) > 1_000_000
        assert all(held[name] < len(queries(shop)) for name, shop in shops.items())


def test_the_test_option_looks_at_each_store(command: Command, shops: dict[str, Shop]) -> None:
    run = command(listed(shops), "--test", env=ENVIRONMENT)
    assert (run.code, run.messages) == (0, [])
    for name in shops:
        assert f"{domain(name)}: What the store grants" in run.log
    shops["acme-jp"].close(402)
    refused = command(listed(shops), "--test", env=ENVIRONMENT)
    assert (refused.code, refused.messages) == (1, [])
    assert "1 of 3 stores couldn't be read: acme-jp.myshopify.com." in refused.log
    assert refused.log.count("What the store grants") == 2


def undated(messages: list[dict[str, Any]]) -> list[str]:
    """Return messages as texts, without the moments of their run."""
    return [re.sub(r'"(time_extracted|began)": "[^"]+"', "", json.dumps(one)) for one in messages]


def test_a_list_of_one_is_a_run_of_one(command: Command, shop: Shop) -> None:
    env = {"SHOPIFY_SANDBOX_TOKEN": "shpat_sandbox"}
    one = {"store": "sandbox", "access_token_env": "SHOPIFY_SANDBOX_TOKEN", "admin_url": f"{shop.url}/admin"}
    several, single = command({"stores": [one]}, env=env), command(settings(shop))
    assert undated(several.messages) == undated(single.messages)
    shop.close(402)
    failed = command({"stores": [one]}, env=env)
    assert failed.code == 1
    assert "stores couldn't be read" not in failed.log
