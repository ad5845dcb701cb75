"""Files that hold something else than their option says: a sentence with the option, the file and the remedy."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tap_shopify_orders.command import checked_catalog, json_object
from tap_shopify_orders.errors import RunError

from .conftest import Message, catalog_of, read, settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.shop import Shop

WRONG = {
    "nothing": (b"", "truncated"),
    "half a file": (b'{"access_token": "shpat_jane', "truncated"),
    "a list": (b'[{"access_token": "shpat_jane"}]', "Expected `object`, got `array`"),
    "a text": (b'"shpat_jane"', "Expected `object`, got `str`"),
    "null": (b"null", "Expected `object`, got `null`"),
    "no JSON": (b"access_token: shpat_jane", "JSON is malformed"),
    "no text": (b'{"access_token": "\xff"}', "it isn't text"),
    "no end": (b"[" * 100_000, "Expected `object`"),
    "no end of objects": (b'{"a":' * 100_000, "nested too deeply"),
}
ENTRY = {"tap_stream_id": "orders", "schema": {}, "metadata": []}


@pytest.mark.parametrize("option", ["--config", "--state", "--catalog"])
@pytest.mark.parametrize(("content", "why"), WRONG.values(), ids=WRONG)
def test_what_is_no_object_gets_a_sentence_that_repeats_nothing(option: str, content: bytes, why: str) -> None:
    with pytest.raises(RunError) as raised:
        json_object(option, "x.json", lambda: content)
    sentence = str(raised.value)
    assert sentence.startswith(f"`{option} x.json` isn't a JSON object: ")
    assert why in sentence
    assert "jane" not in sentence
    assert sentence.count(". ") == 1, "what is wrong, and the remedy"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({}, "Object missing required field `streams`"),
        ({"streams": {}}, "Expected `array`, got `object` - at `$.streams`"),
        ({"streams": ["orders"]}, "Expected `object`, got `str` - at `$.streams[0]`"),
        ({"streams": [{"stream": "orders"}]}, "Object missing required field `tap_stream_id` - at `$.streams[0]`"),
        ({"streams": [{**ENTRY, "schema": None}]}, "Expected `object`, got `null` - at `$.streams[0].schema`"),
        ({"streams": [{**ENTRY, "metadata": {}}]}, "Expected `array`, got `object` - at `$.streams[0].metadata`"),
        ({"streams": [{**ENTRY, "metadata": [{"breadcrumb": []}]}]}, "Object missing required field `metadata`"),
        ({"streams": [{**ENTRY, "metadata": [{"breadcrumb": 1, "metadata": {}}]}]}, "metadata[0].breadcrumb`"),
        (
            {"streams": [{**ENTRY, "metadata": [{"breadcrumb": [], "metadata": {"selected": "false"}}]}]},
            "Expected `bool | null`, got `str` - at `$.streams[0].metadata[0].metadata.selected`",
        ),
        (
            {"streams": [{**ENTRY, "metadata": [{"breadcrumb": [], "metadata": {"selected-by-default": 0}}]}]},
            "Expected `bool | null`, got `int` - at `$.streams[0].metadata[0].metadata.selected-by-default`",
        ),
        ({"streams": [ENTRY, ENTRY]}, "The catalog has orders twice"),
        ({"streams": [{**ENTRY, "stream": 1}]}, "Expected `str | null`, got `int` - at `$.streams[0].stream`"),
        ({"streams": [{**ENTRY, "stream": "sales"}]}, "names a stream otherwise than `tap_stream_id` does"),
        ({"streams": [{**ENTRY, "replication_method": 5}]}, "Expected `str | null`, got `int`"),
        ({"streams": [{**ENTRY, "key_properties": "id"}]}, "Expected `array | null`, got `str`"),
        ({"streams": [{**ENTRY, "schema": {"properties": {"id": "integer"}}}]}, "schema.properties[...]`"),
    ],
    ids=str,
)
def test_what_is_no_catalog_gets_a_sentence_with_the_place(found: dict[str, Any], why: str) -> None:
    with pytest.raises(RunError) as raised:
        checked_catalog(found)
    assert why in str(raised.value)
    assert "Give what `--discover` writes" in str(raised.value)


def test_the_catalog_of_discovery_is_one(shop: Shop) -> None:
    found = catalog_of(shop)
    assert checked_catalog(found) is found


def ended(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tap_shopify_orders", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("option", "content", "sentence"),
    [
        ("--config", '{"access_token": "shpat_jane', "isn't a JSON object: Input data was truncated."),
        (
            "--catalog",
            '{"streams": ["orders"]}',
            "The catalog doesn't have a catalog's form: Expected `object`, got `str`",
        ),
    ],
)
def test_the_command_says_so_once(shop: Shop, tmp_path: Path, option: str, content: str, sentence: str) -> None:
    (tmp_path / "right.json").write_text(json.dumps(settings(shop)))
    (tmp_path / "wrong.json").write_text(content)
    right = [] if option == "--config" else ["--config", tmp_path / "right.json"]
    done = ended(*right, option, tmp_path / "wrong.json")
    assert (done.returncode, done.stdout, shop.controls.requests) == (1, "", [])
    assert sentence in done.stderr.splitlines()[-1]
    assert done.stderr.count("ERROR") == 1
    assert "Traceback" not in done.stderr
    assert "jane" not in done.stderr


def test_a_file_that_is_not_there_gets_a_sentence(tmp_path: Path) -> None:
    done = ended("--config", tmp_path / "nowhere.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nowhere.json` can't be read: No such file or directory." in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def deselected(found: Message) -> Message:
    for stream in found["streams"]:
        stream["metadata"] = [{"breadcrumb": [], "metadata": {"selected": False}}]
    return found


def of_another_tap(found: Message) -> Message:
    stream = {**found["streams"][1], "tap_stream_id": "issues", "stream": "issues"}
    return {"streams": [stream]}


def without_a_word_of_the_stream(found: Message) -> Message:
    for stream in found["streams"]:
        stream["metadata"] = [one for one in stream["metadata"] if one["breadcrumb"]]
    return found


def of_no_stream(_: Message) -> Message:
    return {"streams": []}


@pytest.mark.parametrize("of", [of_no_stream, deselected, of_another_tap, without_a_word_of_the_stream])
def test_a_catalog_that_selects_nothing_gets_a_sentence(shop: Shop, tmp_path: Path, of: Callable[..., Message]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(settings(shop)))
    (tmp_path / "catalog.json").write_text(json.dumps(of(catalog_of(shop))))
    done = ended("--config", tmp_path / "config.json", "--catalog", tmp_path / "catalog.json")
    assert (done.returncode, done.stdout, shop.controls.requests) == (1, "", [])
    assert "The catalog selects none of customers, orders, sales_by_day. Give what `--discover`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_selected_stream_that_there_is_not_is_named(shop: Shop, tmp_path: Path) -> None:
    found = catalog_of(shop, streams=("customers",))
    of_others = of_another_tap(catalog_of(shop, streams=("orders",)))["streams"]
    deselected_ones = deselected({"streams": [{**of_others[0], "tap_stream_id": "boards", "stream": None}]})["streams"]
    (tmp_path / "config.json").write_text(json.dumps(settings(shop)))
    (tmp_path / "catalog.json").write_text(json.dumps({"streams": [*found["streams"], *of_others, *deselected_ones]}))
    done = ended("--config", tmp_path / "config.json", "--catalog", tmp_path / "catalog.json")
    assert done.returncode == 0, done.stderr
    (warning,) = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert "The catalog selects issues, which this tap hasn't: it has customers, orders, sales_by_day." in warning
    assert "boards" not in done.stderr


@pytest.mark.parametrize("name", ["shop_id", "id", "updated_at"])
@pytest.mark.parametrize("method", ["pages", "bulk"])
def test_a_catalog_cannot_take_a_record_its_key_or_its_bookmark(shop: Shop, name: str, method: str) -> None:
    found = catalog_of(shop)
    for stream in found["streams"]:
        stream["metadata"] = [one for one in stream["metadata"] if one["breadcrumb"][1:] != [name]]
        stream["metadata"].append({"breadcrumb": ["properties", name], "metadata": {"selected": False}})
    records = read(shop, catalog=checked_catalog(found), method=method).records
    assert [one for one in (*records["customers"], *records["orders"]) if not one[name]] == []
    assert len(records["orders"]) == len(shop.store.orders)


def test_a_catalog_cannot_make_windows_of_another_key(shop: Shop) -> None:
    found = catalog_of(shop)
    for stream in found["streams"]:
        stream["replication_key"] = "created_at"
    state = read(shop, catalog=checked_catalog(found)).state
    assert {one["replication_key"] for one in state["bookmarks"].values()} == {"updated_at"}


def test_a_stream_that_a_catalog_wants_whole_each_time_is(shop: Shop) -> None:
    found = catalog_of(shop)
    for stream in found["streams"]:
        stream["replication_method"] = "FULL_TABLE"
    first = read(shop, catalog=checked_catalog(found))
    again = read(shop, first.state, catalog=checked_catalog(found))
    assert again.records["orders"] == first.records["orders"]
    assert read(shop, read(shop).state, catalog=checked_catalog(found)).records["orders"] == first.records["orders"]


@pytest.mark.parametrize("name", ["replication_method", "forced-replication-method"])
def test_a_catalog_that_wants_another_replication_method_gets_a_sentence(shop: Shop, name: str) -> None:
    found = catalog_of(shop)
    orders = next(stream for stream in found["streams"] if stream["tap_stream_id"] == "orders")
    for place in (orders, *(one["metadata"] for one in orders["metadata"] if not one["breadcrumb"])):
        place.pop("replication_method", None)
        place[name] = "LOG_BASED"
    with pytest.raises(RunError, match="wants orders by another replication method than INCREMENTAL or FULL_TABLE"):
        checked_catalog(found)


def test_a_catalog_without_keys_leaves_the_streams_theirs(shop: Shop) -> None:
    found = catalog_of(shop, streams=("customers", "orders"))
    for stream in found["streams"]:
        del stream["key_properties"]
        for one in stream["metadata"]:
            one["metadata"].pop("table-key-properties", None)
    schemas = [one for one in read(shop, catalog=checked_catalog(found)).messages if one["type"] == "SCHEMA"]
    assert [one["key_properties"] for one in schemas] == [["shop_id", "id"]] * 2
