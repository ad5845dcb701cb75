"""Text of the books, for people.

Pure: takes a balance; yields lines. A month or a day shows each figure with its three columns side by side; amounts are
whole to the decimals that they have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.books.balance import DAY, MONTH
from target_posthog.books.differences import POSTHOG, REPORT
from target_posthog.books.figures import SALES, ZERO, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from target_posthog.books.balance import Balance
    from target_posthog.books.differences import Difference
    from target_posthog.books.figures import Figures

LABEL, AMOUNT = 24, 20  # widths of the columns
USUAL = ("gross_sales", "discounts", "returns", "net_sales", "shipping", "taxes", "total_sales")
PERIODS = {"month": MONTH, "day": DAY}
MOST_PERIODS = 36  # of a book; the rest stands in the file
MOST_SHOWN = 50  # differences; the rest stands in the file


def balance_lines(balance: Balance, period: str | None = None) -> Iterator[str]:
    """Yield the figures of each shop, then what differs, and the verdict.

    With a period (month, day) each one has all its figures, else each month has its net sales and what differs in it.
    """
    for shop, currency in balance.books():
        yield from _Book(balance, shop, currency).lines(period)
        yield ""
    yield from balance.notes
    if POSTHOG not in balance.columns:
        yield "PostHog wasn't asked: that needs the settings `personal_api_key` and `project_id`"
    if balance.copies:
        named = ", ".join(f"{name} {number:,}" for name, number in sorted(balance.copies.items()))
        number = sum(balance.copies.values())
        yield f"{number:,} copies not merged yet ({named}): until PostHog merges them, its insights count them too"
    yield from _difference_lines(balance)


class _Book:
    """The text of a shop's books in one currency; all amounts have as many decimals as one of them needs."""

    def __init__(self, balance: Balance, shop: str, currency: str) -> None:
        self._balance, self._shop, self._currency = balance, shop, currency
        self._sides = [
            side
            for side in balance.sides
            if side != REPORT or any(place[:2] == (shop, currency) for place in balance.columns[side])
        ]
        self._months = balance.by_period(shop, currency, MONTH)
        amounts = (
            amount for sides in self._months.values() for figures in sides.values() for amount in figures.values()
        )
        self._decimals = max(map(_decimals, amounts), default=0)

    def lines(self, period: str | None) -> Iterator[str]:
        """Yield the head, all figures of the whole, and the periods."""
        name, zone = self._balance.shops[self._shop].name, self._balance.time_zones[self._shop]
        yield f"{name or 'All shops'}, {self._currency or 'without currency'}, days of {zone}"
        yield " " * LABEL + "".join(f"{side:>{AMOUNT}}" for side in self._sides)
        (whole,) = self._balance.by_period(self._shop, self._currency, 0).values()
        yield from self._figure_lines(whole, self._sides)
        periods = self._balance.by_period(self._shop, self._currency, PERIODS[period]) if period else self._months
        if len(periods) == 1 and not period:
            return
        if not period:
            yield f"{words(self._main)} by month"
        for name, figures in list(periods.items())[-MOST_PERIODS:]:
            kept = f"{name}-01"[:DAY] >= self._balance.kept_from
            sides = [side for side in self._sides if kept or side != POSTHOG]
            if period:
                yield name
            yield from self._figure_lines(figures, sides) if period else self._short_lines(name, figures, sides)
        if len(periods) > MOST_PERIODS:
            shown = f"the last {MOST_PERIODS} of {len(periods):,} {period or 'month'}s are shown"
            yield f"... {shown}; `--out FILE` keeps all"

    @property
    def _main(self) -> str:
        """The figure that stands for a month: net sales, else the first that there is."""
        known = dict.fromkeys(name for sides in self._months.values() for figures in sides.values() for name in figures)
        return "net_sales" if "net_sales" in known else next(iter(known), "")

    def _figure_lines(self, figures: Mapping[str, Figures], sides: list[str]) -> Iterator[str]:
        """Yield the figures that there are, and the usual ones where there are any of Shopify's."""
        rows = _rows(figures, sides)
        usual = USUAL if any(any(rows[name]) for name in SALES) else ()
        for name, row in rows.items():
            if any(row) or name in usual:
                yield self._line(f"  {words(name)}", name, row)

    def _short_lines(self, period: str, figures: Mapping[str, Figures], sides: list[str]) -> Iterator[str]:
        rows = _rows(figures, sides)
        if not any(any(row) for row in rows.values()):
            return
        yield self._line(f"  {period}", self._main, rows.get(self._main, [ZERO]))
        for name, row in rows.items():
            if name != self._main and _differs(name, row):
                yield self._line(f"    {words(name)}", name, row)

    def _line(self, label: str, name: str, row: list[Decimal]) -> str:
        amounts = "".join(
            f"{'-':>{AMOUNT}}" if side == REPORT and name not in SALES else f"{amount:>{AMOUNT},.{self._decimals}f}"
            for side, amount in zip(self._sides, row, strict=False)
        )
        return f"{label:<{LABEL}}{amounts}{'  differs' if _differs(name, row) else ''}"


def _rows(figures: Mapping[str, Figures], sides: list[str]) -> dict[str, list[Decimal]]:
    known = [*SALES, *dict.fromkeys(name for side in sides for name in figures.get(side, {}) if name not in SALES)]
    return {name: [figures.get(side, {}).get(name, ZERO) for side in sides] for name in known}


def _differs(name: str, row: list[Decimal]) -> bool:
    """Say whether the sides differ; Shopify's report says nothing of what stands beside its sales."""
    return len({*(row if name in SALES else row[-2:])}) > 1


def _difference_lines(balance: Balance) -> Iterator[str]:
    found, unexplained = balance.differences, balance.unexplained
    if found:
        yield f"\n{len(found):,} differences, {len(unexplained):,} of them unexplained:"
        explained = [difference for difference in found if difference.is_explained]
        for difference in [*unexplained, *explained][:MOST_SHOWN]:
            yield f"  {difference_line(difference)}"
        if len(found) > MOST_SHOWN:
            yield f"  ... the first {MOST_SHOWN} are shown; `--out FILE` keeps all"
    yield f"\n{_verdict(balance)}"


def _verdict(balance: Balance) -> str:
    if balance.unexplained:
        return "✗ The books don't balance"
    if not balance.differences:
        return "✓ The books balance"
    if number := len(balance.to_mend):
        return f"✗ Each difference is explained, and {number:,} of them are for you to mend"
    return "✓ Each difference is explained"


def difference_line(difference: Difference) -> str:
    """Return a difference as a line: when, what, by how much the second side exceeds the first, and why."""
    amounts = ", ".join(f"{words(name)} {signed(difference.figures[name])}" for name in difference.figures)
    more = f"{amounts} {difference.place.currency}" if amounts else "an event"
    what = ", ".join(filter(None, (difference.record, difference.event)))
    left, right = difference.between
    return (
        f"{'' if difference.is_explained else '✗ '}{difference.place.day}{f' {what}' if what else ''}: {more} "
        f"in {right} beyond {left}: {difference.reason}"
    )


def signed(amount: Decimal) -> str:
    """Return an amount with its sign."""
    return f"{amount:+,.{_decimals(amount)}f}"


def _decimals(amount: Decimal) -> int:
    """Return how many decimals show an amount whole, two at least where it has some."""
    exponent = amount.normalize().as_tuple().exponent
    return max(-exponent, 2) if isinstance(exponent, int) and exponent < 0 else 0
