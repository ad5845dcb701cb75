"""The sandbox for all tests: a small store of fixed days, and an empty PostHog; and in which order they run."""

from __future__ import annotations

import gc
from datetime import date
from typing import TYPE_CHECKING

import pytest

from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store

if TYPE_CHECKING:
    from collections.abc import Iterator

LAST_DAY = date(2026, 10, 31)

# The folders whose tests take longest: begun last, one of them would run on alone while the other workers have no more.
LONGEST_FIRST = ("orchestrate", "secrets", "benchmarks", "pipeline", "page", "faults", "tap")

# A full collection goes through all that is loaded, whole GraphQL schemas among it. At Python's own threshold, 10, that
# takes a fourth of the time of tests that read a shop in this process; at 50 half of that, for 60 MB more.
gc.set_threshold(700, 10, 50)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {folder: rank for rank, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.parent.name, len(ranks)))


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(cdnow_store(LAST_DAY, customers=40)).serve() as served:
        yield served


@pytest.fixture
def posthog() -> Iterator[PostHog]:
    with PostHog().serve() as served:
        yield served


@pytest.fixture(scope="module")
def posthog_server() -> Iterator[PostHog]:
    """A PostHog that serves all tests of a module, each of which empties it first."""
    with PostHog().serve() as served:
        yield served
