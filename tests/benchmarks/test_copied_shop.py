"""The shop of the benchmarks answers as the sandbox's would that really holds all those customers and orders."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from io import BytesIO
from pathlib import Path

import pytest

from benchmarks.copied_shop import CopiedShop
from benchmarks.copies import copy, marked
from benchmarks.servers import served, store_of
from sandbox.shop import Shop
from sandbox.shop.nodes import number_of
from sandbox.shop.store import Store

ROOT = Path(__file__).parent.parent.parent
COPIES = 3
SENT_BY_CLOCK = re.compile(rb'"throttleStatus":\{[^}]*\}')


def store_of_all(one, copies):
    """Return a store that holds every copy."""
    everything = Store()
    for number in range(copies):
        done = {}
        for kind, nodes in one.by_type.items():
            for node in nodes.values():
                other = copied(node, number, done)
                everything.by_type[kind][number_of(other)] = other
    return everything


def copied(value, number, done):
    if isinstance(value, (dict, list)) and id(value) in done:
        return done[id(value)]
    if isinstance(value, dict):
        done[id(value)] = other = {}
        other.update((key, copied(one, number, done)) for key, one in value.items())
        return other
    if isinstance(value, list):
        done[id(value)] = others = []
        others.extend(copied(one, number, done) for one in value)
        return others
    if is_dataclass(value) or type(value) is tuple:
        return rebuilt(value, number, done)
    if isinstance(value, str):
        return json.loads(copy(marked(json.dumps(value).encode()), number))
    return value


def rebuilt(value, number, done):
    """Return a tuple or a dataclass, such as a sale whose link is a node, with its parts copied."""
    if isinstance(value, tuple):
        return tuple(copied(one, number, done) for one in value)
    return replace(value, **{one.name: copied(getattr(value, one.name), number, done) for one in fields(value)})


class Recorder:
    """An app whose questions and answers are kept."""

    def __init__(self, app):
        self.app, self.heard = app, []

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        answer = b"".join(self.app({**environ, "wsgi.input": BytesIO(body)}, start_response))
        self.heard.append((environ["PATH_INFO"], body, answer))
        return [answer]


@pytest.fixture(scope="module")
def small():
    return store_of(40)


@pytest.fixture(scope="module")
def read(small, tmp_path_factory):
    """Read the shop with the tap by both methods: the records, and what was asked and answered."""
    found = {}
    for method in ("pages", "bulk"):
        shop = CopiedShop(small)
        shop.copies = COPIES
        recorder = Recorder(shop)
        with served(recorder) as url:
            found[method] = records(url, tmp_path_factory.mktemp(method), method), recorder.heard
    return found


def records(url, folder, method):
    settings = {"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": f"{url}/admin", "method": method}
    (folder / "tap.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "tap_shopify_orders", "--config", folder / "tap.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    messages = map(json.loads, done.stdout.splitlines())
    return [(one["stream"], one["record"]) for one in messages if one["type"] == "RECORD"]


@pytest.mark.parametrize("method", ["pages", "bulk"])
def test_the_tap_reads_the_same_records_as_from_a_shop_that_holds_every_copy(small, read, tmp_path, method) -> None:
    found, heard = read[method]
    with served(Shop(store_of_all(small, COPIES)).app) as url:
        assert found == records(url, tmp_path, method)
    assert len(found) == COPIES * (len(small.customers) + len(small.orders))
    assert len({(stream, record["id"]) for stream, record in found}) == len(found)
    assert any(path.startswith("/bulk/") for path, _, _ in heard) == (method == "bulk")


def test_its_pages_are_the_same_bytes_at_the_same_price(small, read) -> None:
    _, heard = read["pages"]
    client = Shop(store_of_all(small, COPIES)).app.test_client()
    headers = {"X-Shopify-Access-Token": "shpat_sandbox"}
    for path, body, answer in heard:
        other = client.post(path, data=body, headers=headers, content_type="application/json").data
        assert SENT_BY_CLOCK.sub(b"", answer) == SENT_BY_CLOCK.sub(b"", other)
    assert any(b"actualQueryCost" in answer for _, _, answer in heard)


def test_in_its_files_children_come_after_their_parents(read) -> None:
    _, heard = read["bulk"]
    files = [answer for path, _, answer in heard if path.startswith("/bulk/")]
    assert files
    for file in files:
        seen = set()
        for row in map(json.loads, file.splitlines()):
            assert row.get("__parentId") in {None, *seen}
            seen.add(row.get("id"))
