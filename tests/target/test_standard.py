"""The SDK's standard suite for targets, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from singer_sdk.testing import get_target_test_class

from sandbox.posthog import PostHog
from target_posthog.singer.target import TargetPostHog

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = {"api_key": "phc_sandbox"}


@pytest.fixture(scope="module", autouse=True)
def posthog_of_all() -> Iterator[PostHog]:
    with PostHog().serve() as posthog:
        CONFIG["host"] = posthog.url
        yield posthog


TestTargetPostHog = get_target_test_class(TargetPostHog, config=CONFIG)
