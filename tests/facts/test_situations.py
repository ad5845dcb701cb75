"""What happens in a shop, through tap and target into two projects of PostHog: one synced after each change, one once.

Both have the same facts by uuid, name, time and money, and their days come to the shop's own sales report.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.sales_report import sales_by_day
from sandbox.shop.store import Store
from target_posthog.singer.target import TargetPostHog
from tests.facts.situations import FIGURES, LEDGER, MONEY, SHOPS, STEPS, Situation
from tests.sandbox.placed import PLACED
from tests.tap.conftest import of_october, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    Event = dict[str, Any]

# The columns of the sandbox's report that have other names in Shopify's.
COLUMNS = {"shipping": "shipping_charges", "gift_cards": "gift_cards_issued"}
ROWS = [*LEDGER, *SHOPS]


class Project:
    """A project of PostHog, and the pair that syncs one shop into it, with receipts of its own."""

    def __init__(self, shop: Shop, posthog: PostHog, receipts: Path, **settings: Any) -> None:
        self.shop, self.posthog = shop, posthog
        self._settings = {"api_key": "phc_sandbox", "host": posthog.url, "receipts": str(receipts), **settings}
        self._state: dict[str, Any] = {}

    def sync(self, *, full_refresh: bool = False, **tap: Any) -> None:
        """Run the pair once, from where it was or from the beginning."""
        run = read(self.shop, {} if full_refresh else self._state, **tap)
        self._state = of_october(run.state)
        told = "".join(json.dumps(one) + "\n" for one in run.messages)
        TargetPostHog(config=self._settings).listen(io.StringIO(told))

    def facts(self) -> list[Event]:
        """Return the events that aren't about persons."""
        return [one for one in self.posthog.events() if not one["event"].startswith("$")]


@contextmanager
def two_projects(store: Store, folder: Path, **settings: Any) -> Iterator[tuple[Project, Project]]:
    """Serve a store and two projects; `settings` are the target's."""
    with ExitStack() as stack:
        shop = stack.enter_context(Shop(store).serve())
        projects = [
            Project(shop, stack.enter_context(PostHog().serve()), folder / f"receipts_{name}.db", **settings)
            for name in ("step_by_step", "once")
        ]
        yield projects[0], projects[1]


def told(event: Event) -> tuple[str, str, str, str]:
    """Return what a fact is: uuid, name, time and money."""
    return event["uuid"], event["event"], event["timestamp"], str(money(event))


def money(event: Event) -> dict[str, Decimal]:
    found = {name: Decimal(repr(event["properties"].get(name, 0))) for name in MONEY}
    return {name: amount.normalize() for name, amount in found.items() if amount}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[Event], list[Event]]]:
    """Play all rows, those of a practice in one store, and return the facts of each in both projects."""
    found: dict[str, tuple[list[Event], list[Event]]] = {}
    by_practice: dict[Any, list[Situation]] = defaultdict(list)
    for row in ROWS:
        by_practice[row.practice].append(row)
    for number, (practice, rows) in enumerate(by_practice.items()):
        folder = tmp_path_factory.mktemp(f"practice_{number}")
        found |= _played(Store(practice=practice), rows, folder)
    return found


def _played(store: Store, rows: Sequence[Situation], folder: Path) -> dict[str, tuple[list[Event], list[Event]]]:
    names = {
        row.name: store.add_order(replace(row.placed, number=1000 + place), paid=row.paid)["name"]
        for place, row in enumerate(rows)
    }
    with two_projects(store, folder) as (step_by_step, once):
        step_by_step.sync()
        for place, at in enumerate(STEPS):
            acting = [row for row in rows if len(row.steps) > place]
            for row in acting:
                row.steps[place](store, names[row.name], at)
            if acting:
                step_by_step.sync()
        once.sync()
        sides = [project.facts() for project in (step_by_step, once)]
    for facts in sides:
        assert days(facts) == reported(store)
    of_order = [
        {name: [one for one in facts if one["properties"]["order_name"] == name] for name in names.values()}
        for facts in sides
    ]
    return {row: (of_order[0][name], of_order[1][name]) for row, name in names.items()}


def days(facts: Sequence[Event]) -> dict[tuple[date, str], Decimal]:
    """Return the sum of each figure of each of the shop's days."""
    sums: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    for one in facts:
        at = datetime.fromisoformat(one["timestamp"].replace("Z", "+00:00")).astimezone(ZoneInfo("America/New_York"))
        for name, amount in money(one).items():
            if name in FIGURES and "other_kinds" not in one["properties"]:
                sums[at.date(), name] += amount
    return {key: amount for key, amount in sums.items() if amount}


def reported(store: Store) -> dict[tuple[date, str], Decimal]:
    """Return the same of the shop's report, which has no figure for a kind of sale that has no name yet."""
    figures = {
        (day, name): getattr(one, COLUMNS.get(name, name))
        for day, one in sales_by_day(store.orders, "USD", "America/New_York", store.practice).items()
        for name in FIGURES
        if name != "other_sales"
    }
    return {key: amount for key, amount in figures.items() if amount}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_situation_has_these_facts_and_amounts(row: Situation, played: dict[str, Any]) -> None:
    at = [PLACED, *STEPS]
    expected = sorted(f"{at[one.step].partition('.')[0]} {str(one).partition(' ')[2]}" for one in row.facts)
    for facts in played[row.name]:
        found = [
            " ".join(
                [
                    one["timestamp"].removesuffix("Z").partition(".")[0],
                    one["event"],
                    *(f"{name} {amount:f}" for name, amount in money(one).items()),
                ]
            )
            for one in facts
        ]
        assert sorted(found) == expected


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_situation_has_the_same_facts_however_often_it_is_synced(row: Situation, played: dict[str, Any]) -> None:
    step_by_step, once = played[row.name]
    assert sorted(map(told, step_by_step)) == sorted(map(told, once))
    assert {one["copies"] for one in (*step_by_step, *once)} <= {0}
