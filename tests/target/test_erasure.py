"""A request for erasure, by the steps of docs/privacy.md: nothing of the person comes to PostHog again."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from docs.generate import ROOT
from target_posthog.commands.group import commands
from target_posthog.errors import RunError
from target_posthog.receipts.sqlite import SqliteStore
from target_posthog.receipts.store import hashed_key
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

    def __init__(self, runs: Runs, posthog: PostHog, receipts: str, identity: str = "email") -> None:
        self.posthog, self.receipts = posthog, receipts
        self.sync = Syncs(runs, identity, receipts=receipts)
        self.sync(*BEFORE)
        posthog.database.wipe()
        self.sync(order(3, "bob@example.com"))
        self._seen = len(posthog.fired())

    def command(self, *arguments: str, code: int = 0) -> str:
        environment = {
            "TARGET_POSTHOG_RECEIPTS": self.receipts,
            "TARGET_POSTHOG_API_KEY": "phc_sandbox",
            "TARGET_POSTHOG_PERSONAL_API_KEY": "phx_sandbox",
            "TARGET_POSTHOG_PROJECT_ID": "1",
            "TARGET_POSTHOG_HOST": self.posthog.url,
        }
        done = CliRunner().invoke(commands, arguments, env=environment)
        assert done.exit_code == code, done.output
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


@pytest.fixture(params=["a file", "a database"])
def erased(request: pytest.FixtureRequest, runs: Runs, posthog: PostHog, tmp_path: Path) -> Shop:
    """The shop after the command of the document."""
    is_file = request.param == "a file"
    place = str(tmp_path / "receipts.sqlite") if is_file else request.getfixturevalue("database_of_receipts")
    shop = Shop(runs, posthog, place)
    assert "3 records" in shop.command(*documented_command())
    return shop


def documented_command() -> list[str]:
    """Return the arguments of the document's `receipts erase`."""
    (arguments,) = re.findall(r"target-posthog:(receipts erase .*)", (ROOT / "docs/privacy.md").read_text())
    return [*arguments.split(), "--yes"]


def test_after_the_documented_command_what_happens_to_an_old_order_is_of_nobody(erased: Shop) -> None:
    erased.sync(*REDACTED)
    assert {one["event"] for one in erased.fired} == {"Order Fulfilled"}
    assert len({one["distinct_id"] for one in erased.fired}) == len(erased.fired) == 2
    of_nobody = [one for one in erased.posthog.events() if one["distinct_id"].startswith("target-posthog:erased:")]
    assert [one["properties"]["$process_person_profile"] for one in of_nobody] == [False, False]
    assert all({"$set", "$set_once", "$anon_distinct_id"}.isdisjoint(one["properties"]) for one in of_nobody)
    assert [person["distinct_ids"] for person in erased.posthog.persons()] == [["bob@example.com"]]
    before = len(erased.fired)
    erased.sync(*BEFORE, *REDACTED)
    assert len(erased.fired) == before


def test_an_erased_order_that_is_deleted_takes_back_only_what_came_since(erased: Shop) -> None:
    """Orders completed less orders deleted stay right, as the erased one isn't among the first."""
    gone = {"_sdc_deleted_at": "2026-11-01T10:00:00Z"}
    refund = {"id": 9, "kind": "RefundAgreement", "happened_at": "2026-10-20T10:00:00Z", "refund_id": 9, "sales": []}
    sale = {"line_type": "product", "action_type": "return", "total_amount": "-4.00", "total_tax_amount": "0.00"}
    refund["sales"] = [{**sale, "total_discount_amount_before_taxes": "0.00"}]
    later = order(ORDER, None, (CUSTOMER, None))
    later["record"]["agreements"].append(refund)
    erased.sync(later)
    erased.sync(order(ORDER, None, (CUSTOMER, None), **gone), order(GUEST_S_ORDER, None, **gone))
    sent = [one for one in erased.posthog.events() if one["distinct_id"].startswith("target-posthog:erased:")]
    assert [(one["event"], one["properties"]["net_sales"]) for one in sent] == [
        ("Order Refunded", -4),
        ("Order Deleted", 4),
    ]


def test_what_the_command_cannot_cover_the_documented_rule_does(runs: Runs, posthog: PostHog, tmp_path: Path) -> None:
    """Of a customer older than what `receipts rebuild` was shown PostHog was told, and no receipt says so."""
    receipts = str(tmp_path / "receipts.sqlite")
    store = SqliteStore(receipts, hashed_key("phc_sandbox"))
    store.floor = 1_789_430_400  # 2026-09-15
    store.close()
    shop = Shop(runs, posthog, receipts)
    last = shop.command(*documented_command()).splitlines()[-1]
    assert last.startswith("A `leave_out` rule with the person's numbers is needed as well, always")
    shop.sync.settings["mappings"] = documented_rules()
    shop.sync(*REDACTED, customer(CUSTOMER, JANE, 10, name="Jane"))
    assert shop.fired == []
    shop.sync.settings["mappings"] = {}
    shop.sync(customer(CUSTOMER, JANE, 11, name="Jane Doe"))
    assert [one["event"] for one in shop.fired] == ["$identify"]


def test_what_was_erased_is_never_missing_and_never_sent_again(erased: Shop) -> None:
    assert "0 events would be sent again" in erased.command("resend", "--missing", "--yes")
    erased.command("resend", "--as-another", "--yes")
    erased.command("resend", "--persons", "--yes")
    erased.sync(*BEFORE, *REDACTED)
    assert {one["event"] for one in erased.fired} == {"Order Fulfilled"}


def test_the_erased_ids_are_nowhere_in_the_file(shop: Shop, tmp_path: Path) -> None:
    def told() -> list[str]:
        files = [path for path in tmp_path.glob("receipts.sqlite*") if JANE.encode() in path.read_bytes()]
        return [path.name for path in files]

    assert told()
    shop.command(*documented_command())
    assert told() == []


def test_a_file_that_another_process_reads_is_not_said_to_be_clean(shop: Shop) -> None:
    store = SqliteStore(shop.receipts, hashed_key("phc_sandbox"), patience_seconds=0.1)
    with contextlib.closing(sqlite3.connect(shop.receipts)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM posthog_receipts_entity").fetchone()
        with pytest.raises(RunError, match=r"another process reads the file .*; do it again when no run goes on"):
            store.erase(store.of_person([JANE]), [JANE])
    store.scrub()


@pytest.mark.parametrize("identity", ["email", "customer_id", "email_sha256"])
def test_whatever_the_identity_an_address_finds_its_orders(
    runs: Runs, posthog: PostHog, tmp_path: Path, identity: str
) -> None:
    shop = Shop(runs, posthog, str(tmp_path / "receipts.sqlite"), identity)
    shop.command("receipts", "erase", " Jane@example.com", f"shopify:customer:{CUSTOMER}", "--yes")
    shop.sync(*REDACTED)
    assert [one["distinct_id"][:22] for one in shop.fired] == ["target-posthog:erased:"] * 2


def test_receipts_that_were_rebuilt_and_exported_ones_are_erased_too(shop: Shop, tmp_path: Path) -> None:
    """Of an event that doesn't say its record the receipt's own key is made of the distinct id."""
    file = tmp_path / "receipts.jsonl"
    shop.command("receipts", "export", str(file))
    lines = [{**json.loads(line), "entity": None} for line in file.read_text().splitlines()]
    for line in lines:
        line["entity"] = f"distinct id: {line['distinct_id']}"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    shop.sync.settings["receipts"] = shop.receipts = str(tmp_path / "rebuilt.sqlite")
    shop.command("receipts", "merge", str(file))
    shop.command(*documented_command())
    shop.command("receipts", "export", str(file))
    assert JANE not in file.read_text()
    shop.sync(*REDACTED)
    assert {one["event"] for one in shop.fired} == {"Order Fulfilled"}
    assert [one["distinct_id"][:22] for one in shop.fired] == ["target-posthog:erased:"] * 2


def test_ids_that_no_receipt_has_are_said(shop: Shop) -> None:
    said = shop.command("receipts", "erase", "jan@example.com", "--yes", code=1)
    assert "No receipt has any of these ids" in said
    assert said.splitlines()[-1].startswith("A `leave_out` rule with the person's numbers is needed as well, always")
