"""The repository's own Meltano project, in a folder of its own, between a served shop and a served PostHog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pipeline.meltano_project import Project, place_project, quiet_environment

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.posthog import PostHog
    from sandbox.shop import Shop


@pytest.fixture
def project(tmp_path: Path, shop: Shop, posthog: PostHog) -> Project:
    place_project(tmp_path)
    return Project(
        tmp_path,
        quiet_environment() | {"TAP_SHOPIFY_ORDERS_ADMIN_URL": f"{shop.url}/admin", "TARGET_POSTHOG_HOST": posthog.url},
    )
