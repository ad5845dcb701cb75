"""What is sold and paid, in: facts of a purchase; out: values that say them, with names.

Knows neither Shopify's shapes (`parts`) nor what becomes of an order (`orders`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.shop.money import ZERO, Currencies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

Node = dict[str, Any]


@dataclass(frozen=True)
class Product:
    """What a line item says about the thing sold; `number` makes the ids of product and variant."""

    number: int
    title: str
    vendor: str
    variant: str = "CD"
    grams: int = 100
    gift_card: bool = False

    @property
    def sku(self) -> str:
        """The stock keeping unit."""
        return f"{'GIFT' if self.gift_card else 'CD'}-{self.number:05d}"


@dataclass(frozen=True)
class Line:
    """So many of a product at a final unit price, after so much discount per unit.

    `rest` is what is taken off beyond that because a discount on the whole order isn't divisible: less than a cent for
    each unit, so that its cents fall on the first ones.
    """

    product: Product
    quantity: int
    unit: Decimal
    off: Decimal = ZERO
    properties: tuple[tuple[str, str], ...] = ()
    duty: Decimal = ZERO
    rest: Decimal = ZERO
    duty_tax_rate: Decimal = ZERO


@dataclass(frozen=True)
class Discount:
    """Why the lines are cheaper: `type_name` is one of the object types of DiscountApplication."""

    type_name: str
    label: str
    percentage: float | None = None
    target_type: str = "LINE_ITEM"


@dataclass(frozen=True)
class Placed:
    """What is known when an order is placed; `extra` holds further plain fields of Order.

    Prices contain the tax if `taxes_included`. `shipping` is what is asked for it after `shipping_off`.
    """

    at: str
    number: int
    lines: Sequence[Line]
    currencies: Currencies
    shipping: Decimal = ZERO
    shipping_off: Decimal = ZERO
    shipping_tax_rate: Decimal = ZERO
    tax_rate: Decimal = ZERO
    taxes_included: bool = False
    tip: Decimal = ZERO
    fees: Mapping[str, Decimal] = field(default_factory=dict)
    fee_tax_rate: Decimal = ZERO
    discount: Discount | None = None
    customer: Node | None = None
    address: Node | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reversal:
    """What a refund or a cancellation takes back: so many of a line item (by its place), of the shipping.

    `duties` takes them all back. `paid` is the money given for that, by default what it is worth; without goods it is
    goodwill. `owed` is money given beside it that the order no longer costs, as after an edit. `everything` is all that
    is left of goods, shipping, duties, tips and payments, but for money that is `kept`: the ledger comes to that
    afterwards. `status` is that of the transaction which pays. `processed_at` is a date of the refund's own.
    """

    quantities: Mapping[int, int] = field(default_factory=dict)
    shipping: Decimal = ZERO
    duties: bool = False
    paid: Decimal | None = None
    owed: Decimal = ZERO
    everything: bool = False
    kept: Decimal = ZERO
    restock_type: str = "RETURN"
    note: str | None = None
    status: str = "SUCCESS"
    processed_at: str | None = None


@dataclass(frozen=True)
class Opened:
    """What a return that is opened is to bring back: so many of a line item (by its place)."""

    quantities: Mapping[int, int]


@dataclass(frozen=True)
class Withdrawn:
    """What isn't to come back by a return any longer, as the return was cancelled or the lines were removed from it."""

    quantities: Mapping[int, int]


@dataclass(frozen=True)
class Processed:
    """What is done when a return is processed: goods come back, others go out in exchange, fees are asked.

    `money` is given back for that, if any. `kept` of what the goods are worth is kept, and the ledger says so. `fees`
    are named by their type, RestockingFee or ReturnShippingFee.
    """

    quantities: Mapping[int, int]
    money: Decimal | None = None
    kept: Decimal = ZERO
    exchanged: Sequence[Line] = ()
    fees: Mapping[str, Decimal] = field(default_factory=dict)
    fee_tax_rate: Decimal = ZERO


@dataclass(frozen=True)
class Edit:
    """What an edit changes: new lines, how many there are to be of a line (by its place), its list price, its discount.

    Prices and discounts are per unit. `shipping` is a further shipping line. `tax_rate` is another one for all that is
    taxed, as after a change of address.
    """

    added: Sequence[Line] = ()
    quantities: Mapping[int, int] = field(default_factory=dict)
    prices: Mapping[int, Decimal] = field(default_factory=dict)
    discounts: Mapping[int, Decimal] = field(default_factory=dict)
    shipping: Decimal | None = None
    tax_rate: Decimal | None = None


@dataclass(frozen=True)
class Unnamed:
    """An amount of a kind that has no name yet."""

    amount: Decimal


@dataclass(frozen=True)
class Payment:
    """Money that moves, or tries to; without an amount it is the whole order."""

    kind: str = "SALE"
    gateway: str = "shopify_payments"
    amount: Decimal | None = None
    status: str = "SUCCESS"
    error_code: str | None = None
    unprocessed: bool = False  # whether a pending one has no `processedAt` yet, which may be null
    parent: Node | None = None
    tendered: Decimal | None = None  # cash that was handed over; what is beyond the amount is change
