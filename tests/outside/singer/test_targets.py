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
DELETED = "_sdc_deleted_at"
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
    return told_by_the_tap(store, tmp_path_factory.mktemp("ours"))


def told_by_the_tap(store: Any, folder: Path, **settings: str) -> Path:  # the same
    """Run our tap over the store and return the file of what it wrote."""
    config, out = folder / "config.json", folder / "streams.singer"
    with Shop(store).serve() as shop:
        own = {"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": f"{shop.url}/admin", **settings}
        config.write_text(json.dumps(own))
        command = [sys.executable, "-m", "tap_shopify_orders", "--config", str(config)]
        with out.open("wb") as file:
            done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, timeout=LIMIT_SECONDS)
    assert done.returncode == 0, done.stderr.decode()[-1000:]
    return out


@pytest.fixture(scope="module")
def deleted(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two orders as our tap writes them, cut to a few fields; then the tombstone of one."""
    time = {"type": ["null", "string"], "format": "date-time"}
    fields = {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}, "updated_at": time, DELETED: time}
    schema = {"type": "object", "properties": fields}
    first: dict[str, Any] = {"type": "SCHEMA", "stream": "orders", "key_properties": ["id"], "schema": schema}
    at = "2026-11-02T00:00:00Z"
    rows = [[{"id": one, "name": f"#{one}", "updated_at": at, DELETED: None} for one in (1, 2)]]
    rows.append([{"id": 1, "updated_at": at, DELETED: at}])
    folder, made = tmp_path_factory.mktemp("deleted"), []
    for number, records in enumerate(rows):
        told = [first, *({"type": "RECORD", "stream": "orders", "record": one} for one in records)]
        made.append(folder / f"{number}.singer")
        made[-1].write_text("".join(json.dumps(one) + "\n" for one in told))
    return made


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


@pytest.mark.parametrize("package", POSTGRES)
def test_a_tombstone_empties_the_row_in_postgres(
    package: str, server: Server, deleted: list[Path], tmp_path: Path
) -> None:
    where = {"host": "127.0.0.1", "port": server.port, "user": USER, "password": "unasked", **POSTGRES[package]}
    schema = f"gone_{package.partition('-')[0]}"
    for one in deleted:
        load(package, one, tmp_path, **{**where, "default_target_schema": schema, "add_metadata_columns": True})
    assert ask(server, f"select id, name, {DELETED} is null from {schema}.orders order by 1") == [
        ["1", "", "f"],
        ["2", "#2", "t"],
    ]


@pytest.fixture(scope="module")
def numbers(store: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:  # the same
    """What our tap writes of the store with `money: number`."""
    return told_by_the_tap(store, tmp_path_factory.mktemp("numbers"), money="number")


NUMBERS = {"meltanolabs-target-postgres": "numeric", "pipelinewise-target-postgres": "double precision"}


@pytest.mark.parametrize("package", POSTGRES)
def test_postgres_has_numbers_where_money_is_to_be_one(
    package: str, server: Server, numbers: Path, written: Path, tmp_path: Path
) -> None:
    schema = f"numbers_{package.partition('-')[0]}"
    where = {"host": "127.0.0.1", "port": server.port, "user": USER, "password": "unasked", **POSTGRES[package]}
    load(package, numbers, tmp_path, **{**where, "default_target_schema": schema})
    ((kind, total),) = ask(server, f"select pg_typeof(min(total_price)), sum(total_price)::text from {schema}.orders")
    assert kind == NUMBERS[package]
    assert round(Decimal(total), 2) == round(revenue(written), 2)


def test_duckdb_has_numbers_where_money_is_to_be_one(numbers: Path, written: Path, tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    load("target-duckdb", numbers, tmp_path, path=str(path), default_target_schema="main")
    query = "select typeof(min(total_price)), sum(total_price) from orders"
    code = f"import duckdb; print(*duckdb.connect({str(path)!r}).execute({query!r}).fetchone())"
    done = subprocess.run(
        [executable("target-duckdb").parent / "python", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    kind, total = done.stdout.split()
    assert (kind, round(Decimal(total), 2)) == ("DOUBLE", round(revenue(written), 2))


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
