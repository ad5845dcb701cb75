"""A user's mistake ends in one sentence that names the setting and the remedy; nothing is sent and no state moves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.pipeline.meltano_project import has_traceback

if TYPE_CHECKING:
    from sandbox.posthog import PostHog
    from tests.pipeline.meltano_project import Project


def inline(stream: str, **changed: list[str]) -> dict[str, str]:
    rule = {"event": "X", "distinct_id": ["email"], "timestamp": "updated_at", "key": ["id"]} | changed
    return {"TARGET_POSTHOG_MAPPINGS": json.dumps({stream: [rule]})}


MISTAKES = {
    "a wrong token": ({"TAP_SHOPIFY_ORDERS_ACCESS_TOKEN": "shpat_wrong"}, "access_token"),
    "an unknown store": ({"TAP_SHOPIFY_ORDERS_STORE": "not a store"}, "store"),
    "a shop that doesn't answer": ({"TAP_SHOPIFY_ORDERS_ADMIN_URL": "http://127.0.0.1:9/admin"}, "admin_url"),
    "a wrong project key": ({"TARGET_POSTHOG_API_KEY": "phc_wrong"}, "api_key"),
    "a PostHog that doesn't answer": (
        {"TARGET_POSTHOG_HOST": "http://127.0.0.1:9", "TARGET_POSTHOG_MAX_RETRY_SECONDS": "1"},
        "host",
    ),
    "a mapping with a wrong expression": (inline("customers", distinct_id=["[["]), "`[[` is no JMESPath expression"),
    "a mapping of a field that isn't there": (inline("customers", distinct_id=["emial"]), "did you mean `email`?"),
}


@pytest.mark.parametrize(("settings", "named"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_sentence(project: Project, posthog: PostHog, settings: dict[str, str], named: str) -> None:
    done = project.run("run", "sync", **settings)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert named in said
    assert not has_traceback(said)
    assert posthog.events() == []
    assert "bookmarks" not in str(project.states())
