"""What the sandbox's tests share: a clock that is set by hand, a way to ask the shop, and an empty PostHog."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.posthog.limits import QUESTIONS, RequestLimit
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.posthog import PostHog
    from sandbox.shop.store import Store


class Clock:
    """Stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def posthog(posthog_server: PostHog) -> PostHog:
    posthog_server.database.wipe()
    posthog_server.question_limit = RequestLimit(*QUESTIONS)
    posthog_server.controls.reset()
    return posthog_server


@pytest.fixture
def store() -> Store:
    return cdnow_store(date(2026, 10, 31), customers=12)


@pytest.fixture
def shop_with(store: Store, clock: Clock) -> Iterator[Callable[..., Shop]]:
    """Open shops with settings, on the same store and clock; they close after the test."""
    opened = []

    def shop_with(**settings: object) -> Shop:
        serving = Shop(store, **{"clock": clock, **settings}).serve()
        opened.append(serving)
        return serving.__enter__()

    yield shop_with
    for serving in opened:
        serving.__exit__(None, None, None)


@pytest.fixture
def shop(shop_with: Callable[..., Shop]) -> Shop:
    return shop_with()


@pytest.fixture
def post() -> Iterator[Callable[..., requests.Response]]:
    """Post a query and return the response as it came."""
    with requests.Session() as session:

        def post(
            shop: Shop, document: str, /, *, token: str = "shpat_sandbox", version: str = "2026-10", **variables: object
        ) -> requests.Response:
            url = f"{shop.url}/admin/api/{version}/graphql.json"
            body = {"query": document, "variables": variables}
            return session.post(url, json=body, headers={"X-Shopify-Access-Token": token}, timeout=30)

        yield post


@pytest.fixture
def ask(post: Callable[..., requests.Response]) -> Callable[..., Any]:
    """Post a query and return its body."""

    def ask(shop: Shop, document: str, /, **more: object) -> dict[str, Any]:
        return post(shop, document, **more).json()

    return ask
