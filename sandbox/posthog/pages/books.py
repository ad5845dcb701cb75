"""Lines become books, in: events with their money; out: exact sums per currency, and those of a preview side by side.

Pure: knows neither the database nor how a sum looks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.posthog.totals import amount_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandbox.posthog.pages.lines import Line
    from sandbox.posthog.pages.overview import View
    from sandbox.posthog.pages.periods import Period
    from sandbox.posthog.preview_file import Booked, Difference

ZERO = Decimal(0)
SIDES = {"report": "Shopify's report", "ledger": "Its ledger, as read", "planned": "PostHog would hold"}
# The figures as Shopify's report has them, in its order; the last two aren't sales, and not in it.
FIGURES = {
    "gross_sales": "Gross sales",
    "discounts": "Discounts",
    "returns": "Returns (sales reversals)",
    "net_sales": "Net sales",
    "shipping": "Shipping charges",
    "taxes": "Taxes",
    "duties": "Duties",
    "additional_fees": "Additional fees",
    "return_fees": "Return fees",
    "total_sales": "Total sales",
    "tips": "Tips",
    "gift_cards": "Gift cards sold",
}
BESIDE = ("tips", "gift_cards")
SUMS = ("net_sales", "total_sales")


@dataclass
class Book:
    """What the events of a person or an order come to in one currency, line by line and figure by figure."""

    currency: str
    lines: list[Line] = field(default_factory=list)
    sums: dict[str, Decimal] = field(default_factory=dict)

    @property
    def parts(self) -> list[tuple[str, Decimal]]:
        """The figures of which the sums are made, those that there are, each with its words."""
        return [(label, self.sums[name]) for name, label in FIGURES.items() if name not in SUMS and self.sums.get(name)]

    @property
    def whole(self) -> list[tuple[str, Decimal]]:
        """Net and total sales, each with its words."""
        return [(FIGURES[name], self.sums[name]) for name in SUMS if name in self.sums]

    @property
    def placed(self) -> Decimal:
        """What the order came to when it was placed: the event with `revenue` has it."""
        first = next((one for one in self.lines if "revenue" in one.properties), None)
        figures = figures_in(first) if first else {}
        return sum((figures.get(name, ZERO) for name in ("total_sales", *BESIDE)), ZERO)

    @property
    def paid(self) -> Decimal:
        """What the sales come to with tips and gift cards: what was to be paid."""
        return sum((self.sums.get(name, ZERO) for name in ("total_sales", *BESIDE)), ZERO)


def books_of(lines: Iterable[Line]) -> list[Book]:
    """Keep one book per currency, in the order of the currencies' names."""
    books: dict[str, Book] = {}
    for line in lines:
        figures = figures_in(line)
        if figures:
            book = books.setdefault(line.currency, Book(line.currency))
            book.lines.append(line)
            for name, amount in figures.items():
                book.sums[name] = book.sums.get(name, ZERO) + amount
    return [books[currency] for currency in sorted(books)]


def told_by_time(lines: Iterable[Line]) -> list[Line]:
    """Sort an order's lines by time; of one moment, what gives comes before what takes back."""
    return sorted(lines, key=lambda one: (one.at_microseconds, (one.net or one.moved or ZERO) < ZERO))


@dataclass(frozen=True)
class Sums:
    """What the lines of a list come to: net sales, and what was paid less what was paid back."""

    currency: str
    net: Decimal
    moved: Decimal


def sums_of(lines: Iterable[Line]) -> Sums | None:
    """Sum lines of one currency; None if they have several, or no money."""
    valued = [one for one in lines if one.net is not None or one.moved is not None]
    currency, *others = dict.fromkeys(one.currency for one in valued) or [""]
    if not valued or others:
        return None
    net, moved = sum((one.net or ZERO for one in valued), ZERO), sum((one.moved or ZERO for one in valued), ZERO)
    return Sums(currency, net, moved)


def figures_in(line: Line) -> dict[str, Decimal]:
    """Return the figures of Shopify's ledger that an event has."""
    found = {name: amount_in(line.properties.get(name)) for name in FIGURES}
    return {name: amount for name, amount in found.items() if amount is not None}


@dataclass(frozen=True)
class Beside:
    """A figure with its sides next to each other."""

    name: str
    amounts: list[Decimal | None]  # none where Shopify's report says nothing of the figure
    differs: bool

    @property
    def label(self) -> str:
        """The figure in words."""
        return FIGURES.get(self.name, self.name)

    @property
    def is_sum(self) -> bool:
        """Whether it is one of the figures that the others come to."""
        return self.name in SUMS


@dataclass(frozen=True)
class Shelf:
    """The books of one shop in one currency, for some days: whole, by period, and where its sides differ."""

    shop: str
    currency: str
    time_zone: str
    sides: list[str]
    whole: list[Beside]
    rows: list[tuple[Period, Beside, bool]]  # the main figure of each period, and whether any of its figures differs
    differences: list[Difference]

    @property
    def unexplained(self) -> int:
        """How many differences nobody has explained."""
        return sum(not one.explained for one in self.differences)


def shelves_of(
    booked: Sequence[Booked], differences: Sequence[Difference], view: View, shown: Sequence[Period]
) -> list[Shelf]:
    """Lay the sides of each shop side by side, in the view's currency and for its days."""
    found = []
    of_view = [one for one in booked if one.currency == view.currency and view.first <= one.day <= view.last]
    for shop in dict.fromkeys(one.shop for one in of_view):
        own = [one for one in of_view if one.shop == shop]
        sides = [side for side in SIDES if any(one.side == side for one in own) or side != "report"]
        rows = []
        for period in shown:
            figures = _beside([one for one in own if period.first <= one.day <= period.last], sides)
            main = next((one for one in figures if one.name == "net_sales"), next(iter(figures), None))
            if main:
                rows.append((period, main, any(one.differs for one in figures)))
        found.append(
            Shelf(
                shop,
                view.currency,
                own[0].time_zone,
                [SIDES[side] for side in sides],
                _beside(own, sides),
                rows,
                [one for one in differences if _is_of(one, shop, view)],
            )
        )
    return found


def _is_of(one: Difference, shop: str, view: View) -> bool:
    if not one.day:
        return True
    return (one.shop, one.currency) == (shop, view.currency) and str(view.first) <= one.day <= str(view.last)


def _beside(booked: Sequence[Booked], sides: Sequence[str]) -> list[Beside]:
    sums: dict[str, dict[str, Decimal]] = {}
    for one in booked:
        for name, amount in one.figures.items():
            row = sums.setdefault(name, {})
            row[one.side] = row.get(one.side, ZERO) + amount
    found = []
    for name in [*(one for one in FIGURES if one in sums), *(one for one in sums if one not in FIGURES)]:
        amounts = [sums[name].get(side, ZERO) for side in sides]
        is_beside = name in BESIDE and sides[0] == "report"
        if any(amounts):
            shown: list[Decimal | None] = [None, *amounts[1:]] if is_beside else [*amounts]
            found.append(Beside(name, shown, differs=len({*shown} - {None}) > 1))
    return found
