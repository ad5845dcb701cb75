"""What merchants do in the default store, in: an order and its number; out: the order as it was placed, and changed.

All chance comes from a source of its own for each order, so orders, buyers and dollars are the sample's: the dollars
are what an order's goods cost before anything was changed, net of tax.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from sandbox.shop import catalog, edits, journeys, orders, prices, refunds, returns, totals
from sandbox.shop.goods import Discount, Edit, Line, Payment, Placed, Processed, Reversal
from sandbox.shop.moments import instant, moment
from sandbox.shop.money import ZERO, Currencies, shop_amount
from sandbox.shop.nodes import number_of
from sandbox.shop.parts import gid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.shop.orders import Order
    from sandbox.shop.store import Store

    Node = dict[str, Any]

VAT = Decimal("0.19")

# How orders are placed beside their goods, and how many of ten thousand.
PLACINGS = {
    "plain": 9_140,
    "gift card sold": 100,
    "gift card spent": 100,
    "store credit spent": 40,
    "shipping taxed": 300,
    "free shipping by code": 100,
    "prices with tax": 60,
    "duties": 50,
    "import fee": 40,
    "company": 70,
}
# What is done to paid orders later, and how many of ten thousand.
DEEDS = {
    "nothing": 9_105,
    "edit adds": 60,
    "edit lowers": 40,
    "edit discounts": 30,
    "edit prices": 20,
    "edit ships": 20,
    "exchange": 60,
    "exchange at an old till": 20,
    "return": 80,
    "return in parts": 20,
    "return for less": 20,
    "return with a fee": 60,
    "return with a shipping fee": 60,
    "return under way": 30,
    "return cancelled": 30,
    "refund kept in part": 20,
    "refund of nothing": 30,
    "refund dated back": 20,
    "goodwill": 40,
    "refund pending": 10,
    "refund pending first": 10,
    "cancelled, money kept": 25,
    "e-mail corrected": 40,
    "customer removed": 40,
    "parcel cancelled": 30,
    "captured in parts": 20,
    "authorization voided": 20,
    "authorization expired": 20,
    "paid later": 20,
}

SPENT = {"gift card spent": "gift_card", "store credit spent": "shopify_store_credit"}  # each with its gateway
PAYING = ("captured in parts", "authorization voided", "authorization expired", "paid later")
FEES = {"return with a fee": "RestockingFee", "return with a shipping fee": "ReturnShippingFee"}
# Fees are taxed in the US since October 2026 (https://shopify.dev/changelog/new-return-shipping-fee-tax-fields). In the
# store they are for so many days before its end, whenever that is, so that its figures stay the same. That is so late
# that beside the fees of all years there are more of them: one order of so many.
FEES_TAXED, LATELY = timedelta(days=35), 5
NEVER_ATTRIBUTED = 40  # of so many orders one stays without attribution, if Shopify hadn't worked it out at once


@dataclass
class Situation:
    """What is peculiar to one order; `number` is the order's."""

    number: int
    ids: Iterator[int]
    end: datetime

    def __post_init__(self) -> None:
        random = Random(f"situation {self.number}")
        self.placing = random.choices(tuple(PLACINGS), tuple(PLACINGS.values()))[0]
        self.deed = random.choices(tuple(DEEDS), tuple(DEEDS.values()))[0]
        self.days = random.uniform(0.5, 40)
        self.product = random.choice(catalog.PRODUCTS)

    @property
    def restocks(self) -> bool:
        """Whether what is cancelled goes back to the shelf."""
        return self.number % 3 != 0

    def placed(self, placed: Placed) -> Placed:
        """Return an order with what is peculiar to it before it is placed."""
        if not placed.address or not any(line.unit for line in placed.lines):
            return placed
        change: dict[str, Callable[[], Placed]] = {
            "gift card sold": lambda: replace(placed, lines=[*placed.lines, Line(catalog.GIFT_CARD, 1, Decimal(50))]),
            "shipping taxed": lambda: replace(placed, shipping=Decimal("9.95"), shipping_tax_rate=Decimal("0.08")),
            "free shipping by code": lambda: _free_shipping(placed),
            "prices with tax": lambda: _with_tax(placed),
            "duties": lambda: replace(
                placed, lines=[replace(placed.lines[0], duty=Decimal("4.20")), *placed.lines[1:]]
            ),
            "import fee": lambda: replace(placed, fees={"Import fee": Decimal("1.50")}),
            "company": lambda: self._by_company(placed),
        }
        return change.get(self.placing, lambda: placed)()

    def pays(self) -> bool:
        """Say whether the payment is this situation's to make."""
        return self.placing in SPENT or self.deed in PAYING

    def pay(self, order: Order) -> bool:
        """Pay in more than one step, or let an authorization come to nothing; says whether the money came in."""
        at = _after(order["createdAt"], 2 / 86_400)
        later = min(_after(order["createdAt"], 2), instant(self.end))
        whole = totals.whole(order)
        part = whole if whole < 1 else (whole / 3).quantize(Decimal("0.01" if order["currencyCode"] == "USD" else "1"))
        if self.deed == "paid later":
            orders.pay(order, self.ids, at, Payment(gateway="Bank Deposit", status="PENDING"))
            orders.complete(order, later)
            return True
        if self.deed in PAYING:
            orders.pay(order, self.ids, at, Payment("AUTHORIZATION"))
            return self._captured(order, at, later, (part, whole - part))
        orders.pay(order, self.ids, at, Payment(gateway=SPENT[self.placing], amount=part))
        if whole > part:
            orders.pay(order, self.ids, at, Payment(amount=whole - part))
        return True

    def _captured(self, order: Order, at: str, later: str, parts: tuple[Decimal, Decimal]) -> bool:
        """Capture what was authorized in two parts, void it, or let it lapse."""
        parent = order["transactions"][0]
        if self.deed == "authorization voided":
            orders.pay(order, self.ids, later, Payment("VOID", parent=parent))
        elif self.deed == "authorization expired":
            order["_expired"] = True
            orders.touch(order, later)
        else:
            for when, amount in zip((at, later), parts, strict=True):
                orders.pay(order, self.ids, when, Payment("CAPTURE", amount=amount, parent=parent))
            return True
        return False

    def happen(self, order: Order) -> None:
        """Let happen to an order that is paid and has gone its way what hasn't happened after the last day."""
        at = _after(max(order["updatedAt"], order["createdAt"]), self.days)
        totals.settle(order)
        waits = order.get("customerJourneySummary") and not order["customerJourneySummary"]["ready"]
        never = self.number % NEVER_ATTRIBUTED == 0
        if waits and not never and _after(order["createdAt"], 1) < instant(self.end):
            random = Random(order["id"])
            order["customerJourneySummary"] = journeys.known(random, moment(order["processedAt"]))
        paid = order["displayFinancialStatus"] == "PAID" and not order["cancelledAt"]
        if at >= instant(self.end) or not paid or not order["lineItems"][0]["_list"] - order["lineItems"][0]["_off"]:
            return
        if self.deed == "nothing" and self.number % LATELY == 0 and self._taxes_fees(order["createdAt"]):
            self.deed = "return with a fee"
        deed = getattr(self, _METHODS.get(self.deed, ""), None)
        is_there = order["fulfillments"] or not self.deed.startswith(("return", "exchange"))
        if deed and is_there:
            deed(order, at)

    def _taxes_fees(self, at: str) -> bool:
        return at >= instant(self.end - FEES_TAXED)

    def _edit(self, order: Order, at: str) -> None:
        line = order["lineItems"][0]
        less = (line["_list"] - line["_off"]) / 10
        off = less.quantize(Decimal("0.01"))
        change = {
            "edit adds": Edit(added=[Line(self.product, 1, Decimal("11.49"))]),
            "edit lowers": Edit(quantities={0: line["_count"] - 1}),
            "edit discounts": Edit(discounts={0: line["_off"] + off}),
            "edit prices": Edit(prices={0: line["_list"] - off}),
            "edit ships": Edit(shipping=Decimal("6.50")),
        }[self.deed]
        edits.edit(order, self.ids, at, change)
        left = self._pay_what_is_left(order, at)
        if left < 0:
            refunds.refund(order, self.ids, at, Reversal(owed=-left))

    def _exchange(self, order: Order, at: str) -> None:
        new = [Line(self.product, 1, Decimal("13.99"))]
        returns.open_return(order, self.ids, order["updatedAt"], {0: 1})
        if self.deed == "exchange":
            returns.process(order, self.ids, at, Processed({0: 1}, exchanged=new))
        else:
            returns.process(order, self.ids, at, Processed({0: 1}))
            edits.edit(order, self.ids, at, Edit(added=new))
        self._pay_what_is_left(order, at)

    def _pay_what_is_left(self, order: Order, at: str) -> Decimal:
        """Pay what is outstanding; returns how much it was, negative where too much is paid."""
        totals.settle(order)
        left = shop_amount(order["totalOutstandingSet"])
        if left > 0:
            orders.pay(order, self.ids, at, Payment(amount=left))
        return left

    def _return(self, order: Order, at: str) -> None:
        units = order["lineItems"][0]["_count"]
        count = min(units, 2 if self.deed == "return in parts" else 1)
        returns.open_return(order, self.ids, order["updatedAt"], {0: count})
        worth = refunds.value(order, Reversal({0: 1}))
        fee = min(worth / 2, Decimal(1)).quantize(Decimal("0.01"))
        kept = min(worth, Decimal(2)) if self.deed == "return for less" else ZERO
        fees = {FEES[self.deed]: fee} if self.deed in FEES else {}
        rate = order["_tax_rate"] if self._taxes_fees(at) else ZERO
        charged = sum((prices.of_amount(order, each, rate).total for each in fees.values()), ZERO)
        if self.deed == "return cancelled":
            returns.withdraw(order, at)
            return
        for step in range(0 if self.deed == "return under way" else count):
            worth = refunds.value(order, Reversal({0: 1}))
            then = min(_after(at, step * 3), instant(self.end - timedelta(minutes=1)))
            done = Processed({0: 1}, worth - charged - kept, fees=fees, fee_tax_rate=rate)
            returns.process(order, self.ids, then, done)

    def _refund(self, order: Order, at: str) -> None:
        worth = refunds.value(order, Reversal({0: 1}))
        little = min(worth, Decimal(3))
        back = {
            "refund kept in part": Reversal({0: 1}, paid=worth - little),
            "refund of nothing": Reversal({0: 1}, paid=ZERO),
            "refund dated back": Reversal({0: 1}, processed_at=max(_after(at, -2), order["createdAt"])),
            "goodwill": Reversal(paid=little),
            "refund pending": Reversal(paid=little, status="PENDING"),
            "refund pending first": Reversal({0: 1}, status="PENDING"),
        }[self.deed]
        refunds.refund(order, self.ids, at, back)
        if self.deed == "refund pending first":
            orders.complete(order, min(_after(at, 1), instant(self.end - timedelta(minutes=1))))

    def _cancel(self, order: Order, at: str) -> None:
        refunds.cancel(order, self.ids, at, "OTHER")

    def _person(self, order: Order, at: str) -> None:
        if self.deed == "e-mail corrected" and order["email"]:
            order["email"] = f"corrected.{order['email']}"
        elif self.deed == "customer removed":
            order["customer"] = None
        orders.touch(order, at)

    def _parcel(self, order: Order, at: str) -> None:
        if order["fulfillments"]:
            orders.cancel_fulfillment(order, at)

    def _by_company(self, placed: Placed) -> Placed:
        """Return the order of a company that pays within thirty days."""
        company = {
            "id": gid("Company", 81_000_000 + self.number % 40),
            "name": f"Plattenladen {self.number % 40}",
            "externalId": f"B2B-{self.number % 40}",
            "note": None,
            "lifetimeDuration": "over 1 year",
            **dict.fromkeys(("createdAt", "customerSince", "updatedAt"), "2020-01-01T00:00:00.000000Z"),
        }
        location = {
            "id": gid("CompanyLocation", 82_000_000 + self.number % 40),
            "name": "Lager Nord",
            **dict.fromkeys(("externalId", "locale", "note", "phone")),
            "currency": placed.currencies.shop,
            "createdAt": company["createdAt"],
            "updatedAt": company["updatedAt"],
        }
        terms = {
            "id": gid("PaymentTerms", 83_000_000 + self.number),
            "due": False,
            "dueInDays": 30,
            "overdue": False,
            "paymentTermsName": "Net 30",
            "paymentTermsType": "NET",
            "translatedName": "Net 30",
            "paymentSchedules": [],
        }
        entity = {"__typename": "PurchasingCompany", "company": company, "contact": None, "location": location}
        return replace(placed, extra={**placed.extra, "purchasingEntity": entity, "paymentTerms": terms})


_METHODS = {
    **dict.fromkeys((name for name in DEEDS if name.startswith("edit")), "_edit"),
    **dict.fromkeys(("exchange", "exchange at an old till"), "_exchange"),
    **dict.fromkeys((name for name in DEEDS if name.startswith("return")), "_return"),
    **dict.fromkeys((name for name in DEEDS if name.startswith("refund")), "_refund"),
    "goodwill": "_refund",
    "cancelled, money kept": "_cancel",
    **dict.fromkeys(("e-mail corrected", "customer removed"), "_person"),
    "parcel cancelled": "_parcel",
}


def happen_to_people(store: Store, end: datetime) -> None:
    """Let customers be erased and merged, and orders be deleted that are in nobody's sample."""
    people = [one for one in store.customers if one["canDelete"] is False]
    for one in people[5::290]:
        store.erase_customer(number_of(one), end - timedelta(hours=5))
    for kept, gone in zip(people[7::700], people[8::700], strict=False):
        store.merge_customers(number_of(kept), number_of(gone), end - timedelta(hours=8))
    first = max(one["number"] for one in store.orders) + 1
    for place in range(3):
        at, line = instant(end - timedelta(days=9 + place)), Line(catalog.PRODUCTS[place], 1, Decimal("9.99"))
        currencies = Currencies(store.shop["currencyCode"], store.shop["currencyCode"])
        name = store.add_order(Placed(at, first + place, [line], currencies))["name"]
        store.delete_order(name, end - timedelta(days=2))


def _after(at: str, days: float) -> str:
    return instant(moment(at) + timedelta(days=days))


def _free_shipping(placed: Placed) -> Placed:
    if placed.discount:
        return placed
    code = Discount("DiscountCodeApplication", "SHIPFREE", 100.0, "SHIPPING_LINE")
    return replace(placed, shipping=ZERO, shipping_off=Decimal("4.95"), discount=code)


def _with_tax(placed: Placed) -> Placed:
    """Return an order whose prices contain the tax; its net is the same to the cent where a line is one unit."""
    if any(line.quantity > 1 or line.off for line in placed.lines):
        return placed
    lines = [replace(line, unit=(line.unit * (1 + VAT)).quantize(Decimal("0.01"))) for line in placed.lines]
    return replace(placed, lines=lines, tax_rate=VAT, shipping_tax_rate=VAT, taxes_included=True)
