"""The shop's own sales report, in: what merchants and buyers did to orders; out: its figures by day.

It reads the notes of what was wanted (`_deeds`) and does its own sums from prices and counts: it knows neither the
ledger nor an order's totals, so that it can judge them. Sources: https://help.shopify.com/manual/reports-and-analytics
(sales report) and https://shopify.dev/docs/api/shopifyql/latest/schemas/sales_revenue/sales.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, fields, replace
from decimal import ROUND_HALF_UP, Decimal
from functools import singledispatchmethod
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sandbox.shop.goods import Edit, Opened, Placed, Processed, Reversal, Unnamed, Withdrawn
from sandbox.shop.moments import moment
from sandbox.shop.money import ZERO, smallest
from sandbox.shop.practice import USUAL, Practice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
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

    @property
    def balance(self) -> Decimal:
        """All of it, as the buyer has to pay it: with tips and gift cards."""
        return self.total_sales - self.more + self.tips + self.gift_cards_issued

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
    """One order as an accountant books it: each deed in turn comes to figures, and all of them to a balance."""

    currency: str = ""
    taxes_included: bool = False
    stocks: list[_Stock] = field(default_factory=list)
    carriages: list[_Carriage] = field(default_factory=list)
    rate: Decimal = ZERO
    shipping_rate: Decimal = ZERO
    duties: list[tuple[Decimal, Decimal]] = field(default_factory=list)  # each with the rate of its tax
    to_return: dict[int, int] = field(default_factory=dict)  # what is booked as returned and isn't processed yet
    balance: Decimal = ZERO
    practice: Practice = USUAL

    def book(self, deed: object) -> Figures:
        """Return what a deed comes to; raises TypeError for an unknown one."""
        figures = self._booked(deed)
        self.balance += figures.balance
        return figures

    @singledispatchmethod
    def _booked(self, deed: Any) -> Figures:  # noqa: ANN401  # one method for each kind of deed
        raise TypeError(type(deed).__name__)

    @_booked.register
    def _(self, deed: Placed) -> Figures:
        self.currency, self.taxes_included = deed.currencies.shop, deed.taxes_included
        self.rate, self.shipping_rate = deed.tax_rate, deed.shipping_tax_rate
        figures = Figures(orders=1)
        for fee in deed.fees.values():
            self._add_taxed(figures, "additional_fees", fee, deed.fee_tax_rate)
        for line in deed.lines:
            figures.add(self._bought(line))
        if deed.tip:
            self.stocks.append(_Stock("tips", deed.tip, ZERO, ZERO))
            figures.add(self._moved(self.stocks[-1], 1))
        if deed.address or deed.shipping:
            figures.add(self._shipped(deed.shipping, deed.shipping_off, deed.shipping_tax_rate))
        return figures

    @_booked.register
    def _(self, deed: Reversal) -> Figures:
        if deed.everything:
            figures = self._taken_back(self._all_units(), sum((one.left for one in self.carriages), ZERO), duties=True)
            self._adjust(figures, self.balance + figures.balance - deed.kept)
            return figures
        if self.practice.shipping_is_adjusted and deed.shipping and not deed.quantities and deed.paid is None:
            before = [replace(carriage) for carriage in self.carriages]
            gone, figures = self._taken_back({}, deed.shipping, duties=False), Figures()
            self.carriages = before
            self._adjust(figures, -gone.balance, -gone.taxes)
            return figures
        figures = self._taken_back(deed.quantities, deed.shipping, duties=deed.duties)
        if deed.paid is not None:
            self._adjust(figures, deed.paid + figures.balance)
        return figures

    @_booked.register
    def _(self, deed: Opened) -> Figures:
        """Book what is to come back at once, or nothing yet: by the shop's practice."""
        if self.practice.return_writes != "opened":
            return Figures()
        self.to_return = dict(deed.quantities)
        return self._taken_back(deed.quantities, ZERO, duties=False)

    @_booked.register
    def _(self, deed: Withdrawn) -> Figures:
        if self.practice.return_writes != "opened":
            return Figures()
        self._processed_units(deed.quantities)
        if not self.practice.cancelled_return_reverses:
            return Figures()
        figures = Figures()
        for place, count in deed.quantities.items():
            figures.add(self._moved(self.stocks[place], count))
        return figures

    @_booked.register
    def _(self, deed: Processed) -> Figures:
        figures = Figures()
        if self.practice.return_writes == "opened":
            worth = self._processed_units(deed.quantities)
        else:
            figures = self._taken_back(deed.quantities, ZERO, duties=False)
            worth = -figures.balance
        for fee in deed.fees.values():
            worth -= self._add_taxed(figures, "return_fees", fee, deed.fee_tax_rate)
        for line in deed.exchanged:
            figures.add(self._bought(line))
        kept = deed.kept
        if self.practice.process_adjusts and deed.money is not None and not (kept or deed.exchanged):
            kept = worth - deed.money
        self._adjust(figures, -kept)
        return figures

    @_booked.register
    def _(self, deed: Unnamed) -> Figures:
        """Book what no column of the report has: it is to be paid all the same."""
        self.balance += deed.amount
        return Figures()

    @_booked.register
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
        if deed.tax_rate is not None:
            figures.add(self._retaxed(deed.tax_rate))
        if deed.shipping is not None:
            figures.add(self._shipped(deed.shipping, ZERO, self.shipping_rate))
        return figures

    def _all_units(self) -> dict[int, int]:
        return {place: stock.count for place, stock in enumerate(self.stocks) if stock.count}

    def _taken_back(self, quantities: Mapping[int, int], shipping: Decimal, *, duties: bool) -> Figures:
        figures = Figures()
        for place, count in quantities.items():
            figures.add(self._moved(self.stocks[place], -count))
        for carriage in self.carriages:
            amount = min(shipping, carriage.left)
            shipping -= amount
            net, tax = self._net(carriage.left, carriage.rate), self._tax(carriage.left, carriage.rate)
            carriage.left -= amount
            figures.shipping_charges += self._net(carriage.left, carriage.rate) - net
            figures.taxes += self._tax(carriage.left, carriage.rate) - tax
        if duties:
            for amount, rate in self.duties:
                self._add_taxed(figures, "duties", -amount, rate)
            self.duties = []
        return figures

    def _adjust(self, figures: Figures, given: Decimal, tax: Decimal = ZERO) -> None:
        """Book money given beyond what came back, or kept of it where it is negative; so much of it is tax."""
        figures.taxes -= tax
        if self.practice.adjustments_in_returns:
            figures.returns -= given - tax
        else:
            self.balance -= given - tax

    def _processed_units(self, quantities: Mapping[int, int]) -> Decimal:
        """Return the worth of units that are booked as returned, and let them be done with."""
        worth = ZERO
        for place, count in quantities.items():
            stock, left = self.stocks[place], self.to_return[place]
            before, after = (self._price(stock, stock.count + waiting) for waiting in (left, left - count))
            worth += self._net(before, stock.rate) + self._tax(before, stock.rate)
            worth -= self._net(after, stock.rate) + self._tax(after, stock.rate)
            self.to_return[place] -= count
        return worth

    def _add_taxed(self, figures: Figures, column: str, amount: Decimal, rate: Decimal) -> Decimal:
        """Add an amount to a column and its tax to the taxes; returns both together."""
        net, tax = self._net(amount, rate), self._tax(amount, rate)
        setattr(figures, column, getattr(figures, column) + net)
        figures.taxes += tax
        return net + tax

    def _bought(self, line: Line) -> Figures:
        """Book a new line with all its units and their duty."""
        kind = "gift_cards_issued" if line.product.gift_card else "goods"
        rate = ZERO if line.product.gift_card else self.rate
        self.stocks.append(_Stock(kind, line.unit + line.off, line.off, rate, line.rest))
        figures = self._moved(self.stocks[-1], line.quantity)
        if line.duty:
            self.duties.append((line.duty, line.duty_tax_rate))
            self._add_taxed(figures, "duties", line.duty, line.duty_tax_rate)
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
            return self._of_no_goods(stock, net, tax)
        if count < 0:
            return Figures(returns=net, taxes=tax)
        off = self._net(self._off(stock, stock.count), stock.rate) - self._net(self._off(stock, before), stock.rate)
        return Figures(gross_sales=net + off, discounts=-off, taxes=tax)

    def _of_no_goods(self, stock: _Stock, net: Decimal, tax: Decimal) -> Figures:
        more = net if stock.kind == "tips" and self.practice.tips_in_total else ZERO
        return Figures(taxes=tax, more=more, **{stock.kind: net})  # type: ignore[arg-type]  # none of these is `orders`

    def _off(self, stock: _Stock, count: int) -> Decimal:
        """Return the discount on so many units: of what can't be divided the first ones have a cent each."""
        return stock.off * count + min(stock.rest, count * smallest(self.currency))

    def _price(self, stock: _Stock, count: int) -> Decimal:
        return stock.price * count - self._off(stock, count)

    def _repriced(self, stock: _Stock, price: Decimal, off: Decimal) -> Figures:
        """Book another price for the units that are there; it is no reversal, but a correction of what was sold."""
        before = self._standing(stock)
        stock.price, stock.off, stock.rest = price, off, ZERO
        return self._corrected(stock, before)

    def _retaxed(self, rate: Decimal) -> Figures:
        """Book another tax on the goods that are there and on what is still asked for shipping."""
        figures = Figures()
        self.rate, self.shipping_rate = rate, rate if self.shipping_rate else ZERO
        for stock in self.stocks:
            if stock.rate:
                before = self._standing(stock)
                stock.rate = rate
                figures.add(self._corrected(stock, before))
        for carriage in self.carriages:
            if carriage.rate:
                figures.shipping_charges -= self._net(carriage.left, carriage.rate)
                figures.taxes -= self._tax(carriage.left, carriage.rate)
                carriage.rate = rate
                figures.shipping_charges += self._net(carriage.left, carriage.rate)
                figures.taxes += self._tax(carriage.left, carriage.rate)
        return figures

    def _standing(self, stock: _Stock) -> tuple[Decimal, Decimal, Decimal]:
        """Return net, discount and tax of the units that are there."""
        price, off = self._price(stock, stock.count), self._off(stock, stock.count)
        return self._net(price, stock.rate), self._net(off, stock.rate), self._tax(price, stock.rate)

    def _corrected(self, stock: _Stock, before: tuple[Decimal, ...]) -> Figures:
        net, off, tax = (now - was for was, now in zip(before, self._standing(stock), strict=True))
        if stock.kind != "goods":
            return self._of_no_goods(stock, net, tax)
        return Figures(gross_sales=net + off, discounts=-off, taxes=tax)

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
    """Yield what each deed of an order comes to, and when it counts: an order counts when it was processed.

    A refund counts when its agreement happened, or when it was processed (`Practice.reports_processed`).
    """
    account = Account(practice=practice)
    for at, deed in order["_deeds"]:
        is_dated = practice.reports_processed and isinstance(deed, Reversal) and deed.processed_at
        yield deed.processed_at if is_dated else at, account.book(deed)


def _day(at: str, zone: str) -> date:
    return moment(at).astimezone(ZoneInfo(zone)).date()
