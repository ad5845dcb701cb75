"""This project's tap into real targets: what each makes of its records, on a real PostgreSQL where it needs one."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tests.outside.singer.environments import executable
from tests.postgres import USER, Server, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT_SECONDS = 180
LONGEST_NAME = 63  # of a column in PostgreSQL


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres_server() as made:
        yield made


@pytest.fixture(scope="module")
def store() -> Any:  # the sandbox's
    return cdnow_store(date(2026, 10, 31), customers=12)


@pytest.fixture(scope="module")
def written(store: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:  # the same
    """What our tap writes of a small store."""
    folder = tmp_path_factory.mktemp("ours")
    config, out = folder / "config.json", folder / "streams.singer"
    with Shop(store).serve() as shop:
        config.write_text(
            json.dumps({"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": f"{shop.url}/admin"})
        )
        command = [sys.executable, "-m", "tap_shopify_orders", "--config", str(config)]
        with out.open("wb") as file:
            done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, timeout=LIMIT_SECONDS)
    assert done.returncode == 0, done.stderr.decode()[-1000:]
    return out


def load(package: str, written: Path, folder: Path, **settings: object) -> None:
    config = folder / "config.json"
    config.write_text(json.dumps(settings))
    with written.open("rb") as file:
        done = subprocess.run(
            [executable(package), "--config", config],
            stdin=file,
            capture_output=True,
            timeout=LIMIT_SECONDS,
            cwd=folder,
        )
    assert done.returncode == 0, done.stderr.decode()[-2000:]


def ask(server: Server, query: str) -> list[list[str]]:
    where = ["-h", "127.0.0.1", "-p", str(server.port), "-U", USER, "-d", "postgres", "-v", "ON_ERROR_STOP=1"]
    done = subprocess.run(
        ["psql", *where, "-At", "-F", "\t", "-c", query], check=True, capture_output=True, text=True, timeout=60
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


def revenue(written: Path) -> Decimal:
    """Return the exact sum of what all orders cost."""
    rows = [json.loads(line) for line in written.read_text("utf-8").splitlines()]
    return sum(
        (
            Decimal(one["record"]["total_price"])
            for one in rows
            if one["type"] == "RECORD" and one["stream"] == "orders"
        ),
        Decimal(),
    )


def orders(written: Path) -> int:
    return written.read_text("utf-8").count('"type":"RECORD","stream":"orders"')


POSTGRES = {
    "meltanolabs-target-postgres": {"database": "postgres", "default_target_schema": "meltanolabs"},
    "pipelinewise-target-postgres": {"dbname": "postgres", "default_target_schema": "pipelinewise"},
}


@pytest.mark.parametrize("package", POSTGRES)
def test_postgres_has_each_order_once_with_its_money(
    package: str, server: Server, written: Path, tmp_path: Path
) -> None:
    settings = POSTGRES[package]
    schema = settings["default_target_schema"]
    for _ in range(2):
        load(package, written, tmp_path, host="127.0.0.1", port=server.port, user=USER, password="unasked", **settings)
    ((count, total),) = ask(server, f"select count(*), sum(total_price::numeric) from {schema}.orders")
    assert (int(count), Decimal(total)) == (orders(written), revenue(written))
    names = ask(
        server, f"select column_name from information_schema.columns where table_schema = '{schema}' order by 1"
    )
    assert all(len(name) <= LONGEST_NAME for (name,) in names)


def test_duckdb_has_each_order_once_with_its_money(written: Path, tmp_path: Path) -> None:
    for _ in range(2):
        load("target-duckdb", written, tmp_path, path=str(tmp_path / "shop.duckdb"), default_target_schema="main")
    python = executable("target-duckdb").parent / "python"
    query = "select count(*), sum(total_price::decimal(18,4)) from orders"
    code = f"import duckdb; print(*duckdb.connect({str(tmp_path / 'shop.duckdb')!r}).execute({query!r}).fetchone())"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    count, total = done.stdout.split()
    assert (int(count), Decimal(total)) == (orders(written), revenue(written))


def test_csv_has_each_order_and_its_amounts_as_the_tap_wrote_them(written: Path, tmp_path: Path) -> None:
    load("meltanolabs-target-csv", written, tmp_path, output_path=str(tmp_path))
    (file,) = tmp_path.glob("*orders*.csv")
    csv.field_size_limit(10_000_000)
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == orders(written)
    assert sum(Decimal(row["total_price"]) for row in rows) == revenue(written)


def test_jsonl_has_each_record_as_the_tap_wrote_it(written: Path, tmp_path: Path) -> None:
    load("target-jsonl", written, tmp_path, destination_path=str(tmp_path), do_timestamp_file=False)
    kept = [json.loads(line) for line in (tmp_path / "orders.jsonl").read_text("utf-8").splitlines()]
    told = [json.loads(line) for line in written.read_text("utf-8").splitlines()]
    assert kept == [one["record"] for one in told if one["type"] == "RECORD" and one["stream"] == "orders"]
