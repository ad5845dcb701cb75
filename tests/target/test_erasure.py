"""A request for erasure, by the steps of docs/privacy.md: nothing of the person comes to PostHog again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from docs.generate import ROOT
from target_posthog.commands.group import commands
from tests.target.test_persons import Syncs, customer, order

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Runs
    from sandbox.posthog import PostHog

CUSTOMER, ORDER, GUEST_S_ORDER = 7000000000001, 5000000000001, 5000000000002  # as the document has them
JANE = "jane@example.com"
PARCEL = {"id": 5, "created_at": "2026-10-20T10:00:00Z", "name": "#1-F1"}
BEFORE = (
    customer(CUSTOMER, JANE, 1, name="Jane"),
    order(ORDER, JANE, (CUSTOMER, JANE)),
    order(GUEST_S_ORDER, JANE),
)
REDACTED = (
    customer(CUSTOMER, None, 9),
    order(ORDER, None, (CUSTOMER, None), fulfillments=[PARCEL]),
    order(GUEST_S_ORDER, None, fulfillments=[{**PARCEL, "id": 6}]),
)


def documented_rules() -> dict[str, Any]:
    """Return the `mappings` of the document."""
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/privacy.md").read_text(), re.DOTALL)
    (loader,) = yaml.safe_load(block)["plugins"]["loaders"]
    rules: dict[str, Any] = loader["config"]["mappings"]
    return rules


class Shop:
    """A shop whose customer Jane is erased in PostHog, with everything of hers."""

    def __init__(self, runs: Runs, posthog: PostHog, receipts: str) -> None:
        self.posthog, self.receipts = posthog, receipts
        self.sync = Syncs(runs, receipts=receipts)
        self.sync(*BEFORE)
        posthog.database.wipe()
        self.sync(order(3, "bob@example.com"))
        self._seen = len(posthog.fired())

    def command(self, *arguments: str) -> str:
        environment = {
            "TARGET_POSTHOG_RECEIPTS": self.receipts,
            "TARGET_POSTHOG_API_KEY": "phc_sandbox",
            "TARGET_POSTHOG_PERSONAL_API_KEY": "phx_sandbox",
            "TARGET_POSTHOG_PROJECT_ID": "1",
            "TARGET_POSTHOG_HOST": self.posthog.url,
        }
        done = CliRunner().invoke(commands, arguments, env=environment)
        assert done.exit_code == 0, done.output
        return done.output

    @property
    def fired(self) -> list[dict[str, Any]]:
        """What came since the erasure."""
        return self.posthog.fired()[self._seen :]


@pytest.fixture
def shop(runs: Runs, posthog: PostHog, tmp_path: Path) -> Shop:
    return Shop(runs, posthog, str(tmp_path / "receipts.sqlite"))


def test_by_the_documented_rule_nothing_of_an_erased_person_is_sent_again(shop: Shop) -> None:
    shop.sync.settings["mappings"] = documented_rules()
    shop.sync(*REDACTED)
    assert shop.fired == []
    shop.command("resend", "--missing", "--yes")
    shop.sync(*BEFORE, *REDACTED)
    assert shop.fired == []
