"""PostHog's grammar and ClickHouse, one process each for all tests here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.outside.hogql.engines import ClickHouse, Grammar

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def grammar() -> Iterator[Grammar]:
    process = Grammar()
    yield process
    process.close()


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouse]:
    process = ClickHouse()
    yield process
    process.close()
