"""The sandbox for all tests: a small store of fixed days, and an empty PostHog."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store

if TYPE_CHECKING:
    from collections.abc import Iterator

LAST_DAY = date(2026, 10, 31)


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
