"""The SDK's standard suite for targets, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from singer_sdk.testing import get_target_test_class

from sandbox.posthog import PostHog
from target_posthog.singer.target import TargetPostHog

if TYPE_CHECKING:
    from collections.abc import Iterator

# Streams of the suite have no time, so that their records can't be events; a run that may leave them out goes on.
CONFIG = {"api_key": "phc_sandbox"}


@pytest.fixture(scope="module", autouse=True)
def posthog_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostHog]:
    with PostHog().serve() as posthog:
        CONFIG["host"] = posthog.url
        CONFIG["dead_letter_path"] = str(tmp_path_factory.mktemp("suite") / "dead.singer")
        yield posthog


class TestTargetPostHog(get_target_test_class(TargetPostHog, config=CONFIG)):  # type: ignore[misc]  # made at run time
    """All of the suite but two, which tests of this project's own replace (test_corpus.py, test_target.py).

    A schema that names no property isn't refused here, for tap-mongodb writes such. A record without its key is a dead
    letter as any other.
    """

    test_target_invalid_schema = None
    test_target_record_missing_key_property = None
