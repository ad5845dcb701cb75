"""A shop, a PostHog, and the three steps between them: preview, run, reconcile, over HTTP and with what users type."""

from __future__ import annotations

import io
import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.access import MORE_SCOPES, SCOPES
from sandbox.shop.cdnow import cdnow_store
from sandbox.shop.practice import USUAL, Practice
from target_posthog.commands.group import commands
from target_posthog.singer.target import TargetPostHog
from tests.tap.conftest import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

ALL = frozenset({*SCOPES, *MORE_SCOPES})
LAST_DAY = date(2026, 10, 31)
SINCE = "2025-01-01"  # before the first order
IDS_OF_A_SHOP = 1_000_000  # as in Shopify, where no id is in two shops


@dataclass
class Said:
    """What `reconcile` said: its exit code, its lines, and the file of `--out`."""

    code: int
    text: str
    books: dict[str, Any] = field(default_factory=dict)

    @property
    def reasons(self) -> set[str]:
        return {one["reason"] for one in self.books["differences"]}

    def named(self, reason: str) -> list[tuple[str, str, dict[str, str]]]:
        """Return day, record and figures of the differences of a reason."""
        return [
            (one["day"], one["record"], one["figures"])
            for one in self.books["differences"]
            if one["reason"].startswith(reason)
        ]

    def column(self, side: str, currency: str = "USD", shop: str = "") -> dict[str, dict[str, str]]:
        (book,) = [one for one in self.books["books"] if one["currency"] == currency and shop in one["shop"]]
        return {one["day"]: one[side] for one in book["days"] if one.get(side)}


@dataclass
class Desk:
    """Where the books of some shops are kept."""

    folder: Path
    posthog: PostHog
    shops: list[Shop]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def _all_settings(self) -> dict[str, Any]:
        known = {"api_key": "phc_sandbox", "host": self.posthog.url, "receipts": str(self.folder / "receipts.sqlite")}
        return {**known, "max_retry_seconds": 20, **self.settings}

    def messages(self, state: dict[str, Any] | None = None, **settings: Any) -> list[dict[str, Any]]:
        """What the tap reads in each shop."""
        settings = {"start_date": SINCE, **settings}
        found: list[dict[str, Any]] = []
        for shop in self.shops:
            domain = shop.store.shop["myshopifyDomain"]
            found += read(shop, state, **{"store": domain, **settings}).messages
        return found

    def bring(self, messages: list[dict[str, Any]], **settings: Any) -> None:
        TargetPostHog(config={**self._all_settings, **settings}).listen(
            io.StringIO("".join(json.dumps(one) + "\n" for one in messages))
        )

    def preview(self, messages: list[dict[str, Any]] | None = None, **settings: Any) -> None:
        self.bring(messages or self.messages(), preview_path=str(self.folder / "preview.sqlite"), **settings)

    def run(self, messages: list[dict[str, Any]] | None = None, **settings: Any) -> None:
        self.bring(messages or self.messages(), **settings)

    def reconcile(self, *options: str, asks: bool = True) -> Said:
        out = self.folder / "books.json"
        out.unlink(missing_ok=True)
        settings = self._all_settings
        known = ["--preview-path", str(self.folder / "preview.sqlite"), "--out", str(out)]
        known += ["--receipts", settings["receipts"], "--api-key", "phc_sandbox"] if settings["receipts"] else []
        key = ["--host", self.posthog.url, "--personal-api-key", "phx_sandbox", "--project-id", "1"]
        done = CliRunner().invoke(commands, ["reconcile", *known, *(key if asks else []), *options])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.output
        return Said(done.exit_code, done.output, json.loads(out.read_text()) if out.exists() else {})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Make a desk of one shop, whose practice is as it is wanted, or of several, each with fields of its own."""
    with ExitStack() as opened:

        def make(
            practice: Practice = USUAL,
            *,
            customers: int = 5,
            scopes: frozenset[str] = ALL,
            fields: Sequence[dict[str, str]] = ({},),
        ) -> Desk:
            shops = []
            for number, own in enumerate(fields):
                store = cdnow_store(LAST_DAY, customers=customers, ids_after=number * IDS_OF_A_SHOP)
                store.practice = practice
                store.shop.update(own)
                shops.append(opened.enter_context(Shop(store, scopes=scopes).serve()))
            return Desk(tmp_path, opened.enter_context(PostHog().serve()), shops)

        yield make
