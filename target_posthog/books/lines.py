"""Text of the books, for people.

Pure: takes a balance; yields lines. A month or a day shows each figure with its three columns side by side; amounts are
whole to the decimals that they have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.books.balance import DAY, MONTH
from target_posthog.books.differences import POSTHOG
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
MOST_PERIODS = 12  # of a book; the rest stands in the file
MOST_SHOWN = 50  # differences; the rest stands in the file


def balance_lines(balance: Balance, period: str = "month") -> Iterator[str]:
    """Yield each shop's figures as a whole and by month or day, then what differs, and the verdict."""
    for shop, currency in balance.books():
        zone = balance.time_zones[shop]
        yield f"{balance.shops[shop].name or 'All'}: {currency or 'without currency'}, days of {zone}"
        sides = [
            side for side in balance.sides if any(place[:2] == (shop, currency) for place in balance.columns[side])
        ]
        yield " " * LABEL + "".join(f"{side:>{AMOUNT}}" for side in sides)
        whole = balance.by_period(shop, currency, 0)
        periods = balance.by_period(shop, currency, PERIODS[period])
        yield from _period_lines("Altogether", whole[""], sides)
        for name, figures in list(periods.items())[-MOST_PERIODS:] if len(periods) > 1 else ():
            shown = [side for side in sides if side != POSTHOG or f"{name}-01"[:DAY] >= balance.kept_from]
            yield from _period_lines(name, figures, shown)
        if len(periods) > MOST_PERIODS:
            yield f"... the last {MOST_PERIODS} of {len(periods):,} {period}s are shown; `--out FILE` keeps all"
        yield ""
    yield from balance.notes
    if POSTHOG not in balance.columns:
        yield "PostHog wasn't asked: that needs the settings `personal_api_key` and `project_id`"
    if balance.copies:
        named = ", ".join(f"{name} {number:,}" for name, number in sorted(balance.copies.items()))
        number = sum(balance.copies.values())
        yield f"{number:,} copies not merged yet ({named}): until PostHog merges them, its insights count them too"
    yield from _difference_lines(balance)


def _period_lines(name: str, figures: Mapping[str, Figures], sides: list[str]) -> Iterator[str]:
    """Yield a period's figures: those that it has, and the usual ones where there are any of Shopify's."""
    known = [*SALES, *dict.fromkeys(one for side in sides for one in figures.get(side, {}) if one not in SALES)]
    amounts = {one: [figures.get(side, {}).get(one, ZERO) for side in sides] for one in known}
    usual = USUAL if any(any(amounts[one]) for one in SALES) else ()
    shown = {one: row for one, row in amounts.items() if any(row) or one in usual}
    if not shown:
        return
    yield name
    for one, row in shown.items():
        decimals = max(map(_decimals, row))
        # Shopify's report says nothing of what stands beside its sales.
        differs = len({*(row if one in SALES else row[-2:])}) > 1
        amounts_shown = "".join(f"{amount:>{AMOUNT},.{decimals}f}" for amount in row)
        yield f"  {words(one):<{LABEL - 2}}{amounts_shown}{'  differs' if differs else ''}"


def _difference_lines(balance: Balance) -> Iterator[str]:
    found, unexplained = balance.differences, balance.unexplained
    if found:
        yield f"\n{len(found):,} differences, {len(unexplained):,} of them unexplained:"
        explained = [one for one in found if one.is_explained]
        for one in [*unexplained, *explained][:MOST_SHOWN]:
            yield f"  {difference_line(one)}"
        if len(found) > MOST_SHOWN:
            yield f"  ... the first {MOST_SHOWN} are shown; `--out FILE` keeps all"
    if unexplained:
        yield "\n✗ The books don't balance"
    else:
        yield "\n✓ Each difference is explained" if found else "\n✓ The books balance"


def difference_line(one: Difference) -> str:
    """Return a difference as a line: when, what, by how much the second side exceeds the first, and why."""
    amounts = ", ".join(f"{words(name)} {signed(one.figures[name])}" for name in one.figures)
    what = ", ".join(filter(None, (one.record, one.event)))
    left, right = one.between
    return (
        f"{'' if one.is_explained else '✗ '}{one.place.day}{f' {what}' if what else ''}: {amounts} "
        f"{one.place.currency} in {right} beyond {left}: {one.reason}"
    )


def signed(amount: Decimal) -> str:
    """Return an amount with its sign."""
    return f"{amount:+,.{_decimals(amount)}f}"


def _decimals(amount: Decimal) -> int:
    """Return how many decimals show an amount whole, two at least where it has some."""
    exponent = amount.normalize().as_tuple().exponent
    return max(-exponent, 2) if isinstance(exponent, int) and exponent < 0 else 0
