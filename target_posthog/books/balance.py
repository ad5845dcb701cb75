"""Balance of the books: Shopify's own report, its ledger as it was read, what is planned and what PostHog has.

Pure: holds figures by shop, currency and day of the shop's time zone, and differences; returns them by day or month.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from target_posthog.books.differences import ABSENT, DEAD_LETTER, LEDGER, PLANNED, POSTHOG, REPORT, SIDES
from target_posthog.books.figures import add

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from target_posthog.books.accounts import Shop
    from target_posthog.books.differences import Difference, Place
    from target_posthog.books.figures import Figures
    from target_posthog.mapping.language.functions import JSON

Column = dict["Place", "Figures"]
MONTH, DAY = len("2026-11"), len("2026-11-01")


@dataclass
class Balance:
    """The books side by side; a column that nobody could fill isn't there."""

    columns: dict[str, Column] = field(default_factory=dict)
    shops: dict[str, Shop] = field(default_factory=dict)
    time_zones: dict[str, str] = field(default_factory=dict)  # by shop
    differences: list[Difference] = field(default_factory=list)
    kept_from: str = ""  # the first day of which PostHog still gives all events, "" for all days
    copies: dict[str, int] = field(default_factory=dict)  # of the events in PostHog that aren't merged yet, by name
    notes: list[str] = field(default_factory=list)  # what else bears on the comparison

    def put(self, side: str, place: Place, figures: Mapping[str, Decimal]) -> None:
        """Add figures to a column."""
        add(self.columns.setdefault(side, {}).setdefault(place, {}), figures)

    @property
    def unexplained(self) -> list[Difference]:
        """The differences that nobody has explained."""
        return [difference for difference in self.differences if not difference.is_explained]

    @property
    def to_mend(self) -> list[Difference]:
        """The differences whose reason is that events are still to be sent: by `resend`, or of dead letters."""
        return [
            difference
            for difference in self.differences
            if difference.reason == ABSENT or difference.reason.startswith(DEAD_LETTER)
        ]

    @property
    def sides(self) -> list[str]:
        """The three columns: without PostHog's answer what is planned stands in its place."""
        last = POSTHOG if POSTHOG in self.columns else PLANNED
        return [side for side in (REPORT, LEDGER, last) if side in self.columns or side != REPORT]

    def books(self) -> list[tuple[str, str]]:
        """Return each shop with each of its currencies, those of its own report first."""
        reported = {place[:2] for place in self.columns.get(REPORT, {})}
        found = {
            place[:2] for column in self.columns.values() for place, figures in column.items() if any(figures.values())
        }
        return sorted(found, key=lambda book: (book[0], book not in reported, book[1]))

    def by_period(self, shop: str, currency: str, letters: int = DAY) -> dict[str, dict[str, Figures]]:
        """Return the figures of each side by day, or by the first letters of it: 7 for months, 0 for all."""
        found: dict[str, dict[str, Figures]] = {}
        for side in SIDES:
            for place, figures in self.columns.get(side, {}).items():
                if place[:2] == (shop, currency):
                    add(found.setdefault(place.day[:letters], {}).setdefault(side, {}), figures)
        return dict(sorted(found.items()))

    def as_json(self) -> dict[str, JSON]:
        """Return everything as JSON values, money as decimal texts."""
        return {
            "books": [
                {
                    "shop": self.shops[shop].name,
                    "shop_id": shop,
                    "currency": currency,
                    "time_zone": self.time_zones[shop],
                    "months": _rows("month", self.by_period(shop, currency, MONTH)),
                    "days": _rows("day", self.by_period(shop, currency)),
                }
                for shop, currency in self.books()
            ],
            "differences": [
                {
                    **difference.place._asdict(),
                    "record": difference.record,
                    "event": difference.event,
                    "between": list(difference.between),
                    "figures": _texts(difference.figures),
                    "reason": difference.reason,
                    "is_explained": difference.is_explained,
                }
                for difference in self.differences
            ],
            "kept_from": self.kept_from,
            "copies": dict(self.copies),
            "notes": list(self.notes),
        }


def _rows(name: str, periods: Mapping[str, Mapping[str, Figures]]) -> list[JSON]:
    return [
        {name: period, **{side: _texts(figures) for side, figures in sides.items()}}
        for period, sides in periods.items()
    ]


def _texts(figures: Figures) -> dict[str, JSON]:
    return {name: f"{amount:f}" for name, amount in figures.items()}
