"""The benchmark runs, and measures what it says it does."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
import requests
import zstandard

from benchmarks import ledger
from benchmarks.__main__ import PARTS
from benchmarks.feed import lines_of
from benchmarks.fields import FORTY_FIELDS, few_fields, schema_of
from benchmarks.recording import write_messages
from benchmarks.report import placed
from benchmarks.served import Servers
from benchmarks.taker import Taker

ROOT = Path(__file__).parent.parent.parent
SMALL, LARGE = "--orders=30", "--orders=90"


def rows_of(table: str) -> list[dict[str, str]]:
    """Return the cells of a table, row by row."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


@pytest.fixture(scope="module")
def tables() -> list[list[dict[str, str]]]:
    """Run the command on a small store and one of three times that size; give the rows of each table."""
    command = [sys.executable, "-m", "benchmarks", "--times", "1", SMALL, LARGE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return [rows_of(part) for part in done.stdout.split("\n\n") if part.startswith("|")]


def test_one_command_measures_what_it_is_compared_with_and_stores_of_each_size(tables) -> None:
    pair = ["tap and target", "tap and target, nothing changed"]
    pair += ["with receipts", "with receipts, full refresh", "with receipts, nothing changed"]
    both = [*pair, "meltano run", "meltano run, nothing changed", "meltano run, 40 fields"]
    tap = ["by pages", "by pages, 40 fields", "by bulk, 40 fields", "by bulk", "bare limit by bulk"]
    target = ["target", "bare limit", "default client in a loop"]
    assert [[row["run"] for row in table] for table in tables] == [
        [*target, "default SDK target"],
        ["target, far", "default client, far"],
        ["tap", "bare tap", "default SDK tap"],
        ["tap, start", "target, start", "meltano, start"],
        *(tap * 2, target * 2, both * 2),
        ["tap and target", "eight stores, one run", "eight stores, a run for each"],
    ]
    assert all(float(row["CPU s"]) > 0 for table in tables for row in table if "CPU s" in row)


def test_a_profile_of_the_tap_shows_the_work_for_its_store() -> None:
    command = [sys.executable, "-m", "benchmarks", SMALL, "--profile", "bulk"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "query.py" in done.stdout


def test_no_event_is_lost(tables) -> None:
    rows = [row for table in tables for row in table if "lost" in row and "default client" not in row["run"]]
    assert {row["lost"] for row in rows} == {"0"}
    again = [row for row in rows if row["run"].endswith(("nothing changed", "full refresh"))]
    assert {row["events"] for row in again} == {"0"}
    assert all(row["events"] != "0" for row in rows if row not in again)


def test_each_way_to_read_is_priced_and_fewer_fields_cost_less(tables) -> None:
    (tap, *_), pages, (large, *_) = tables[2], tables[4][:5], tables[4][5:]
    points = [float(row["points/1,000 orders"].replace(",", "")) for row in pages]
    assert points[0] > points[1]
    assert points[3] > points[2]
    assert tap["requests"] == tables[2][1]["requests"]
    assert pages[3]["MiB moved"] == pages[4]["MiB moved"], "the bare limit fetches the same"
    assert int(large["orders"]) > 2 * int(pages[0]["orders"])


def test_the_process_that_starts_the_rows_keeps_no_questions(tmp_path) -> None:
    file = tmp_path / "with a blank.json"
    with closing(Servers(30)) as servers:
        body = '{"query": "{ shop { name } }"}'
        headers = {"X-Shopify-Access-Token": "shpat_sandbox", "Content-Type": "application/json"}
        path = "/admin/api/2026-10/graphql.json"
        requests.post(servers.shop + path, data=body, headers=headers, timeout=60).raise_for_status()
        assert servers.ask("questions", file) == {"path": path}, "what it holds would count as theirs"
    assert json.loads(file.read_text()) == [[path, body]]


def test_each_part_of_the_document_can_be_written_alone() -> None:
    document = (ROOT / "benchmarks" / "README.md").read_text()
    for name in (*PARTS, "ledger"):
        written = placed(placed(document, name, "| old |"), name, "| new |")
        assert (written.count("| new |"), written.count("| old |")) == (1, 0)
        assert [one for one in PARTS if f"<!-- end of {one} -->" in written] == list(PARTS)
    with pytest.raises(ValueError, match="no place for 'unheard of'"):
        placed(document, "unheard of", "")


def test_the_ledger_is_priced_beside_a_run_without_it_and_so_is_looking_again() -> None:
    orders, waiting = (rows_of(part) for part in ledger.tables({"pages": (5, 20), "bulk": (5, 40)}).split("\n\n"))
    without, all_fields = ([float(cell.replace(",", "")) for cell in [*row.values()][1:]] for row in orders)
    assert all(0 < less < more for less, more in zip(without, all_fields, strict=True))
    of_all, of_returns = ([float(cell) for cell in [*row.values()][1:]] for row in waiting)
    assert all(0 < less < more < 30 for less, more in zip(of_all, of_returns, strict=True))


def test_a_larger_input_is_the_recording_with_other_customers_and_orders(tmp_path) -> None:
    recording, template = tmp_path / "recording.jsonl", tmp_path / "template.jsonl"
    record = (
        '{"type":"RECORD","stream":"orders","record":{"id":5000000000001,"email":"jane@example.com","total":"5.00"}}'
    )
    recording.write_text(f'{{"type":"SCHEMA"}}\n{record}\n{{"type":"STATE"}}\n')
    assert write_messages(recording, template) == {"orders": 1}
    found = [json.loads(line) for line in b"".join(lines_of(template, 3)).splitlines()]
    assert [one["type"] for one in found] == ["SCHEMA", *["RECORD", "STATE"] * 3]
    records = [one["record"] for one in found if one["type"] == "RECORD"]
    assert [(one["id"], one["email"], one["total"]) for one in records] == [
        (5_000_000_000_001, "jane@example.com", "5.00"),
        (1_5_000_000_000_001, "1jane@example.com", "5.00"),
        (2_5_000_000_000_001, "2jane@example.com", "5.00"),
    ]


def test_a_catalog_of_few_fields_selects_them_and_nothing_else_of_an_order() -> None:
    discover = [sys.executable, "-m", "tap_shopify_orders", "--discover"]
    config = {"TAP_SHOPIFY_ORDERS_STORE": "a", "TAP_SHOPIFY_ORDERS_ACCESS_TOKEN": "b"}
    command = [*discover, "--config=ENV"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, env={**os.environ, **config})
    (orders,) = (one for one in few_fields(json.loads(done.stdout))["streams"] if one["tap_stream_id"] == "orders")
    selected = {".".join(one["breadcrumb"][1::2]) for one in orders["metadata"] if one["metadata"]["selected"]}
    assert selected == {"", *FORTY_FIELDS, *(one.split(".")[0] for one in FORTY_FIELDS)}
    assert len(FORTY_FIELDS) == 40


def test_the_schema_of_nodes_knows_each_value_and_all_that_is_inside() -> None:
    nodes = [
        {"id": "a", "made_at": "2026-11-01T00:00:00Z", "lines": [{"n": 1}]},
        {"id": None, "lines": [{"n": 2, "x": True}]},
    ]
    inner = {"n": {"type": ["integer", "null"]}, "x": {"type": ["boolean", "null"]}}
    assert schema_of(nodes)["properties"] == {
        "id": {"type": ["string", "null"]},
        "made_at": {"type": ["string", "null"], "format": "date-time"},
        "lines": {"type": ["array", "null"], "items": {"type": ["object", "null"], "properties": inner}},
    }


def test_the_taker_counts_each_event_once_by_whatever_way_it_comes() -> None:
    taker = Taker()
    body = b'{"batch": [{"uuid": "a", "event": "x"}, {"uuid": "b"}]}'
    for path, encoding, sent in (
        ("/batch/", None, body),
        ("/batch/", "gzip", gzip.compress(body)),
        ("/i/v1/analytics/events", "zstd", zstandard.compress(body)),
    ):
        environ = {"PATH_INFO": path, "wsgi.input": BytesIO(sent), "CONTENT_LENGTH": str(len(sent))}
        answer = taker({**environ, **({"HTTP_CONTENT_ENCODING": encoding} if encoding else {})}, lambda *_: print)
        assert json.loads(b"".join(answer))
    assert (taker.uuids, taker.arrived) == ({"a", "b"}, 6)
