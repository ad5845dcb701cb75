"""The shop's own sales report, in: what merchants and buyers did to orders; out: its figures by day.

It reads the notes of what was wanted (`_deeds`) and does its own sums from prices and counts: it knows neither the
ledger nor an order's totals, so that it can judge them. Sources: https://help.shopify.com/manual/reports-and-analytics
(sales report) and https://shopify.dev/docs/api/shopifyql/latest/schemas/sales_revenue/sales.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, fields
from decimal import ROUND_HALF_UP, Decimal
from functools import singledispatchmethod
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sandbox.shop.goods import Edit, Placed, Processed, Reversal
from sandbox.shop.moments import moment
from sandbox.shop.money import ZERO, smallest
from sandbox.shop.practice import USUAL, Practice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from sandbox.shop.goods import Line

OWN_GATEWAY = "shopify_payments"


@dataclass
class Figures:
    """What the report says of a day; discounts and returns are negative, as the report shows them."""

    orders: int = 0
    gross_sales: Decimal = ZERO
    discounts: Decimal = ZERO
    returns: Decimal = ZERO
    shipping_charges: Decimal = ZERO
    taxes: Decimal = ZERO
    duties: Decimal = ZERO
    additional_fees: Decimal = ZERO
    return_fees: Decimal = ZERO
    tips: Decimal = ZERO
    gift_cards_issued: Decimal = ZERO
    more: Decimal = ZERO  # what else is in total sales, by the shop's practice

    @property
    def net_sales(self) -> Decimal:
        """Gross sales less discounts and returns."""
        return self.gross_sales + self.discounts + self.returns

    @property
    def total_sales(self) -> Decimal:
        """Net sales, shipping, taxes, duties and fees; no gift cards, and tips by the shop's practice alone."""
        beside = self.shipping_charges + self.taxes + self.duties + self.additional_fees + self.return_fees
        return self.net_sales + beside + self.more

    def add(self, other: Figures) -> None:
        """Add another's figures to these."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


@dataclass
class _Stock:
    """Units of one line that the buyer has: their list price, what is taken off it, their tax rate."""

    kind: str
    price: Decimal
    off: Decimal
    rate: Decimal
    rest: Decimal = ZERO
    count: int = 0


@dataclass
class _Carriage:
    """What is asked for shipping by one line, and at which tax rate."""

    asked: Decimal
    off: Decimal
    rate: Decimal
    left: Decimal


@dataclass
class Account:
    """One order as an accountant books it: each deed in turn comes to figures."""

    currency: str = ""
    taxes_included: bool = False
    stocks: list[_Stock] = field(default_factory=list)
    carriages: list[_Carriage] = field(default_factory=list)
    rate: Decimal = ZERO
    shipping_rate: Decimal = ZERO
    duties: Decimal = ZERO
    practice: Practice = USUAL

    @singledispatchmethod
    def book(self, deed: Any) -> Figures:  # noqa: ANN401  # one method for each kind of deed
        """Return what a deed comes to; raises TypeError for an unknown one."""
        raise TypeError(type(deed).__name__)

    @book.register
    def _(self, deed: Placed) -> Figures:
        self.currency, self.taxes_included = deed.currencies.shop, deed.taxes_included
        self.rate, self.shipping_rate = deed.tax_rate, deed.shipping_tax_rate
        figures = Figures(orders=1, additional_fees=sum(deed.fees.values(), ZERO))
        for line in deed.lines:
            figures.add(self._bought(line))
        if deed.tip:
            self.stocks.append(_Stock("tips", deed.tip, ZERO, ZERO))
            figures.add(self._moved(self.stocks[-1], 1))
        if deed.address or deed.shipping:
            figures.add(self._shipped(deed.shipping, deed.shipping_off, deed.shipping_tax_rate))
        return figures

    @book.register
    def _(self, deed: Reversal) -> Figures:
        return self._reversed(deed)

    @book.register
    def _(self, deed: Processed) -> Figures:
        figures = self._reversed(deed.back)
        figures.return_fees += sum(deed.fees.values(), ZERO)
        for line in deed.exchanged:
            figures.add(self._bought(line))
        return figures

    @book.register
    def _(self, deed: Edit) -> Figures:
        figures = Figures()
        for place, count in deed.quantities.items():
            figures.add(self._moved(self.stocks[place], count - self.stocks[place].count))
        for place in {**deed.prices, **deed.discounts}:
            stock = self.stocks[place]
            figures.add(
                self._repriced(stock, deed.prices.get(place, stock.price), deed.discounts.get(place, stock.off))
            )
        for line in deed.added:
            figures.add(self._bought(line))
        if deed.shipping is not None:
            figures.add(self._shipped(deed.shipping, ZERO, self.shipping_rate))
        return figures

    def _reversed(self, deed: Reversal) -> Figures:
        figures = Figures(taxes=-deed.adjustment_tax)
        if self.practice.adjustments_in_returns:
            figures.returns = deed.adjustment_tax - deed.adjustment
        for place, count in deed.quantities.items():
            figures.add(self._moved(self.stocks[place], -count))
        left = deed.shipping
        for carriage in self.carriages:
            amount = min(left, carriage.left)
            left -= amount
            net = self._net(carriage.left, carriage.rate)
            tax = self._tax(carriage.left, carriage.rate)
            carriage.left -= amount
            figures.shipping_charges += self._net(carriage.left, carriage.rate) - net
            figures.taxes += self._tax(carriage.left, carriage.rate) - tax
        if deed.duties:
            figures.duties, self.duties = -self.duties, ZERO
        return figures

    def _bought(self, line: Line) -> Figures:
        """Book a new line with all its units and their duty."""
        kind = "gift_cards_issued" if line.product.gift_card else "goods"
        rate = ZERO if line.product.gift_card else self.rate
        self.stocks.append(_Stock(kind, line.unit + line.off, line.off, rate, line.rest))
        self.duties += line.duty
        figures = self._moved(self.stocks[-1], line.quantity)
        figures.duties += line.duty
        return figures

    def _shipped(self, price: Decimal, off: Decimal, rate: Decimal) -> Figures:
        self.carriages.append(_Carriage(price, off, rate, price))
        return Figures(shipping_charges=self._net(price, rate), taxes=self._tax(price, rate))

    def _moved(self, stock: _Stock, count: int) -> Figures:
        """Book units that come or go."""
        before, stock.count = stock.count, stock.count + count
        sold, now = self._price(stock, before), self._price(stock, stock.count)
        tax = self._tax(now, stock.rate) - self._tax(sold, stock.rate)
        net = self._net(now, stock.rate) - self._net(sold, stock.rate)
        if stock.kind != "goods":
            more = net if stock.kind == "tips" and self.practice.tips_in_total else ZERO
            return Figures(taxes=tax, more=more, **{stock.kind: net})  # type: ignore[arg-type]  # none of these is `orders`
        if count < 0:
            return Figures(returns=net, taxes=tax)
        off = self._net(self._off(stock, stock.count), stock.rate) - self._net(self._off(stock, before), stock.rate)
        return Figures(gross_sales=net + off, discounts=-off, taxes=tax)

    def _off(self, stock: _Stock, count: int) -> Decimal:
        """Return the discount on so many units: of what can't be divided the first ones have a cent each."""
        return stock.off * count + min(stock.rest, count * smallest(self.currency))

    def _price(self, stock: _Stock, count: int) -> Decimal:
        return stock.price * count - self._off(stock, count)

    def _repriced(self, stock: _Stock, price: Decimal, off: Decimal) -> Figures:
        """Book another price for the units that are there; it is no reversal, but a correction of what was sold."""
        before, after = self._price(stock, stock.count), (price - off) * stock.count
        less = self._net(off * stock.count, stock.rate) - self._net(self._off(stock, stock.count), stock.rate)
        stock.price, stock.off, stock.rest = price, off, ZERO
        net = self._net(after, stock.rate) - self._net(before, stock.rate)
        tax = self._tax(after, stock.rate) - self._tax(before, stock.rate)
        return Figures(gross_sales=net + less, discounts=-less, taxes=tax)

    def _tax(self, amount: Decimal, rate: Decimal) -> Decimal:
        """Return the tax on an amount, or the tax in it."""
        tax = amount - amount / (1 + rate) if self.taxes_included else amount * rate
        return tax.quantize(smallest(self.currency), ROUND_HALF_UP)

    def _net(self, amount: Decimal, rate: Decimal) -> Decimal:
        return amount - self._tax(amount, rate) if self.taxes_included else amount


def sales_by_day(
    orders: Iterable[dict[str, Any]], currency: str, zone: str, practice: Practice = USUAL
) -> dict[date, Figures]:
    """Return the figures of the days of a time zone on which anything happened.

    "Test orders that were placed while Shopify Payments was in test mode" aren't in it; those of other gateways may be
    (`Practice.reports_other_tests`). Orders of a currency that the shop had before aren't either: the sandbox keeps no
    rates.
    """
    days: dict[date, Figures] = defaultdict(Figures)
    for order in orders:
        is_left_out = order["test"] and (
            not practice.reports_other_tests or OWN_GATEWAY in order["paymentGatewayNames"]
        )
        if is_left_out or order["currencyCode"] != currency:
            continue
        for at, figures in booked(order, practice):
            days[_day(at, zone)].add(figures)
    return dict(days)


def booked(order: dict[str, Any], practice: Practice = USUAL) -> Iterator[tuple[str, Figures]]:
    """Yield what each deed of an order comes to, and when it counts: an order counts when it was processed."""
    account = Account(practice=practice)
    for at, deed in order["_deeds"]:
        yield at, account.book(deed)


def _day(at: str, zone: str) -> date:
    return moment(at).astimezone(ZoneInfo(zone)).date()
