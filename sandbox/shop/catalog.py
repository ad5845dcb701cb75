"""A shop's shelf, in: how many CDs for how much money; out: lines of made-up products that add up to it exactly.

Knows neither customers nor orders.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from sandbox.shop.goods import Line, Product
from sandbox.shop.money import ZERO

if TYPE_CHECKING:
    from random import Random

_MOODS = (
    "Blue",
    "Broken",
    "Distant",
    "Électrique",
    "Golden",
    "Last",
    "Midnight",
    "Quiet",
    "Second",
    "Silver",
    "Änglar",
)
_THINGS = (
    "Avenue",
    "Bridges",
    "Café",
    "Harbour",
    "Letters",
    "Mirrors",
    "Radio",
    "Season",
    "Señal",
    "Shadows",
    "Trains",
)
_LABELS = ("Blåtoner", "Cobalt", "Nordlicht", "Ojo Records", "Paper Moon", "東京サウンド")

PRODUCTS = tuple(
    Product(number, f"{mood} {thing}", _LABELS[number % len(_LABELS)])
    for number, (mood, thing) in enumerate(((mood, thing) for mood in _MOODS for thing in _THINGS), 1)
)
GIFT_CARD = Product(900, "Gift card", "Sandbox Records", grams=0, gift_card=True)
MOST_LINES = 4
WHOLE_PERCENT = 100
CENT = Decimal("0.01")


def lines(random: Random, quantity: int, dollars: Decimal, percent_off: int = 0) -> list[Line]:
    """Return lines of so many CDs for so many dollars together, after so many percent off what they cost before."""
    left, pieces = int(dollars / CENT), max(quantity, 1)
    count = min(pieces, random.randint(1, MOST_LINES))
    if count == 1 and left % pieces:
        count = 2  # one of the CDs takes the cent that can't be divided
    quantities = [pieces - count + 1] + [1] * (count - 1)
    units = []
    for place, each in enumerate(quantities):
        rest = sum(quantities[place:])
        unit = left // rest if each > 1 else left if rest == 1 else left // rest * random.randint(80, 110) // 100
        left -= unit * each
        units.append(unit)
    return [
        Line(random.choice(PRODUCTS), each, unit * CENT, _off(unit, percent_off))
        for each, unit in zip(quantities, units, strict=True)
    ]


def _off(unit: int, percent_off: int) -> Decimal:
    """Return the dollars taken off a unit of so many cents: for a present (100 percent) all of a usual price."""
    if not percent_off:
        return ZERO
    if percent_off == WHOLE_PERCENT:
        return Decimal("14.99")
    return unit * percent_off // (WHOLE_PERCENT - percent_off) * CENT
