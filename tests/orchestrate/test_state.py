"""State in a shared place: what one machine has brought, another doesn't bring again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.orchestrate.servers import STATE_SERVERS
from tests.pipeline.meltano_project import Project, place_project, quiet_environment

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.posthog import PostHog
    from sandbox.shop import Shop


@pytest.mark.parametrize("server", STATE_SERVERS.values(), ids=STATE_SERVERS.keys())
def test_another_machine_goes_on_from_the_bookmark(tmp_path: Path, shop: Shop, posthog: PostHog, server) -> None:
    addresses = {"TAP_SHOPIFY_ORDERS_ADMIN_URL": f"{shop.url}/admin", "TARGET_POSTHOG_HOST": posthog.url}
    with server() as place:
        for name in ("one", "another"):
            (tmp_path / name).mkdir()
            place_project(tmp_path / name)
            machine = Project(tmp_path / name, quiet_environment() | addresses | place)
            machine.succeed("run", "sync")
            assert posthog.totals()["received"] == len(posthog.events()) > 100
        kept = machine.succeed("state", "get", "sandbox:tap-shopify-orders-to-target-posthog")
    assert '"bookmarks"' in kept
    assert max(order["updatedAt"] for order in shop.store.orders)[:19] in kept
