"""What becomes of an order, in: a buyer and a purchase; out: an order with its payments, parcels, refunds and end.

Whatever would happen after the store's last day hasn't happened. Knows no files and no GraphQL.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.shop import catalog, orders, prices, totals
from sandbox.shop.goods import Discount, Payment, Placed, Reversal
from sandbox.shop.journeys import journey, web_attributes
from sandbox.shop.moments import instant, moment
from sandbox.shop.money import ZERO, Currencies
from sandbox.shop.parts import gid
from sandbox.shop.refunds import cancel, refund

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandbox.shop.buyers import Buyer
    from sandbox.shop.orders import Order
    from sandbox.shop.situations import Situation

TAX_RATE = Decimal("0.08")
SHIPPING = (ZERO, Decimal("4.95"), Decimal("9.95"))
USD = Currencies("USD", "USD")
PRESENTMENTS = {  # what a customer sees by country, at a made-up rate
    "DE": Currencies("USD", "EUR", Decimal("0.92")),
    "IE": Currencies("USD", "EUR", Decimal("0.92")),
    "JP": Currencies("USD", "JPY", Decimal("151.37")),
}
CHANNELS: dict[str, dict[str, Any]] = {
    "web": {},
    "pos": {
        "sourceName": "pos",
        "app": {"id": gid("App", 129785), "name": "Point of Sale"},
        "attribution": {"handle": "pos", "displayName": "Point of Sale", "icon": None},
        "retailLocation": {"id": gid("Location", 655441492), "legacyResourceId": "655441492", "name": "Main Street"},
    },
    "draft": {
        "sourceName": "shopify_draft_order",
        "app": {"id": gid("App", 1354745), "name": "Draft Orders"},
        "attribution": None,
    },
}
REASONS = ("CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER", "STAFF")

# How orders are reduced, how many of a hundred, and by how many percent.
DISCOUNTS = {
    None: (86, 0),
    Discount("DiscountCodeApplication", "SUMMER10", 10.0): (8, 10),
    Discount("DiscountCodeApplication", "FIVEOFF"): (2, 20),
    Discount("AutomaticDiscountApplication", "Long tail 15%", 15.0): (4, 15),
}
# How orders are paid, and how many of a hundred.
PAYMENTS = {"at once": 92, "captured later": 2, "authorized": 1, "pending": 2, "second try": 2, "deposit": 1}
# What hasn't come in yet, or only in part.
PARTLY = {
    "pending": Payment(gateway="Bank Deposit", status="PENDING"),
    "deposit": Payment(gateway="cash", amount=Decimal("1.00")),
}


@dataclass
class Life:
    """The life of one order, from the purchase to whatever happened before `end`."""

    buyer: Buyer
    customer: dict[str, Any]
    ids: Iterator[int]
    at: datetime
    end: datetime
    situation: Situation

    def order(self, number: int, quantity: int, dollars: Decimal) -> Order:
        """Return the order with everything that happened to it."""
        order = self._lived(number, quantity, dollars)
        self.situation.happen(order)
        return order

    def _lived(self, number: int, quantity: int, dollars: Decimal) -> Order:
        order = orders.place(self._placed(number, quantity, dollars), self.ids)
        paid = self._pay(order)
        if self.buyer.happens(1.5):
            self._cancel(order, paid=paid)
            return order
        if order["sourceName"] == "pos":
            orders.fulfill(order, self.ids, instant(self.at))
        elif self.buyer.happens(92):
            self._send(order)
        if paid and self.buyer.happens(6):
            self._refund(order)
        done = moment(order["updatedAt"]) + timedelta(minutes=5)
        if paid and order["fulfillments"] and self.buyer.happens(80) and done < self.end:
            orders.close(order, instant(done))
        return order

    def _placed(self, number: int, quantity: int, dollars: Decimal) -> Placed:
        random = self.buyer.random
        channel = random.choices(tuple(CHANNELS), (90, 6, 4))[0]
        guest = self.buyer.happens(4)
        discount, percent = self._discount(channel, dollars)
        address = None if channel == "pos" else self.buyer.person.address
        country = address["countryCodeV2"] if address else "US"
        placed = Placed(
            at=instant(self.at),
            number=number,
            lines=catalog.lines(random, quantity, dollars, percent),
            currencies=PRESENTMENTS.get(country, USD),
            shipping=random.choice(SHIPPING) if address and dollars else ZERO,
            tax_rate=TAX_RATE if country == "US" else ZERO,
            tip=Decimal("2.00") if self.buyer.happens(1) else ZERO,
            discount=discount,
            customer=None if guest else self.customer,
            address=address,
            extra=self._extra(channel, guest=guest),
        )
        return self.situation.placed(placed)

    def _discount(self, channel: str, dollars: Decimal) -> tuple[Discount | None, int]:
        if not dollars:
            return Discount("DiscountCodeApplication", "FREEBIE", 100.0), 100
        if channel == "draft":
            return Discount("ManualDiscountApplication", "Friendly price"), 10
        chosen = self.buyer.random.choices(tuple(DISCOUNTS), [share for share, _ in DISCOUNTS.values()])[0]
        return chosen, DISCOUNTS[chosen][1]

    def _extra(self, channel: str, *, guest: bool) -> dict[str, Any]:
        random, person = self.buyer.random, self.buyer.person
        email = self.customer["defaultEmailAddress"]
        extra: dict[str, Any] = {
            **CHANNELS[channel],
            "email": person.email if guest else email and email["emailAddress"],
            "phone": person.phone if not email else None,
            "customerLocale": person.locale,
            "customerAcceptsMarketing": bool(email and email["marketingState"] == "SUBSCRIBED"),
        }
        if channel == "pos":
            if guest:
                extra["email"] = None
            uploaded = self.at + timedelta(minutes=20)  # the till was offline: processed before it was created
            extra["createdAt"] = extra["updatedAt"] = instant(uploaded if uploaded < self.end else self.at)
        if channel == "web":
            extra["clientIp"] = f"203.0.113.{self.buyer.number % 254 + 1}"
            extra["cartToken"] = extra["checkoutToken"] = f"{random.getrandbits(64):016x}"
            extra["customAttributes"] = web_attributes(random, self.buyer.number, self.at)
            extra["customerJourneySummary"] = journey(random, self.at)
        if self.buyer.happens(5):
            extra["tags"], extra["note"] = ["gift", "wrapped"], "Für Oma 🎁, bitte einpacken"
        if self.buyer.happens(2):
            extra["poNumber"] = f"PO-{random.randint(1, 9999)}"
        return extra

    def _pay(self, order: Order) -> bool:
        """Pay, or don't; says whether all the money came in."""
        random, at = self.buyer.random, instant(self.at + timedelta(seconds=2))
        later = self.at + timedelta(days=random.uniform(0.5, 3))
        if not totals.whole(order):
            return True
        how = random.choices(tuple(PAYMENTS), tuple(PAYMENTS.values()))[0]
        if how in ("authorized", "captured later"):
            return self._authorize(order, at, later if how == "captured later" else self.end)
        if how in PARTLY:
            orders.pay(order, self.ids, at, PARTLY[how])
            return False
        if how == "second try":
            orders.pay(order, self.ids, at, Payment(status="FAILURE", error_code="CARD_DECLINED"))
        gateway = random.choices(("shopify_payments", "paypal", "gift_card", "cash"), (75, 22, 2, 1))[0]
        if self.situation.pays():
            return self.situation.pay(order)
        orders.pay(order, self.ids, at, Payment(gateway=gateway))
        return True

    def _authorize(self, order: Order, at: str, later: datetime) -> bool:
        """Authorize the payment, and capture it unless that is after the last day."""
        orders.pay(order, self.ids, at, Payment("AUTHORIZATION"))
        if later >= self.end:
            return False
        orders.pay(order, self.ids, instant(later), Payment("CAPTURE", parent=order["transactions"][0]))
        return True

    def _cancel(self, order: Order, *, paid: bool) -> None:
        at = self.at + timedelta(hours=self.buyer.random.uniform(1, 80))
        if at >= self.end:
            return
        reason = self.buyer.random.choice(REASONS)
        then, restock = max(instant(at), order["updatedAt"]), self.situation.restocks
        cancel(order, self.ids, then, reason, refunded=paid, restock=restock)

    def _send(self, order: Order) -> None:
        """Send the lines in one parcel or in two, as far as there was time; a few wait for their second half."""
        lines = [line for line in order["lineItems"] if line["_type"] != "TIP"]
        parcels = [lines[:1], lines[1:]] if len(lines) > 1 and self.buyer.happens(15) else [lines]
        if len(parcels) > 1 and self.buyer.happens(20):
            parcels.pop()
        at = self.at
        for parcel in parcels:
            at += timedelta(days=self.buyer.random.uniform(0.3, 3))
            arrived = at + timedelta(days=self.buyer.random.uniform(1, 6))
            delivered_at = instant(arrived) if arrived < self.end else None
            if at < self.end:
                orders.fulfill(order, self.ids, instant(at), lines=parcel, delivered_at=delivered_at)

    def _refund(self, order: Order) -> None:
        """Give back all, some, the shipping, an amount, or twice; weeks later, so often in another month."""
        kind = self.buyer.random.choice(("all", "some", "shipping", "amount", "twice"))
        for step in range(2 if kind == "twice" else 1):
            at = self.at + timedelta(days=self.buyer.random.uniform(3, 45) + 40 * step)
            back = self._reversal(order, kind, step)
            if at < self.end and (back.quantities or back.shipping or back.paid):
                refund(order, self.ids, instant(at), replace(back, note="Scratched" if step == 0 else None))

    def _reversal(self, order: Order, kind: str, step: int) -> Reversal:
        lines, shipping = order["lineItems"], totals.shipping(order)
        if kind == "all":
            return Reversal(_all_goods(order), shipping)
        if kind == "shipping":
            return Reversal(shipping=shipping)
        if kind == "amount" or step:
            one, every = (prices.of_units(order, lines[0], count) for count in (1, lines[0]["quantity"]))
            left = totals.whole(order) - (one.total - one.tax + every.tax if step else ZERO)
            return Reversal(paid=min(Decimal("1.50"), left))
        return Reversal({0: 1}, restock_type=self.buyer.random.choice(("RETURN", "NO_RESTOCK")))


def _all_goods(order: Order) -> dict[int, int]:
    """Return all units of an order; a tip isn't given back."""
    return {place: line["quantity"] for place, line in enumerate(order["lineItems"]) if line["_type"] != "TIP"}


def tag_at_once(placed: Sequence[Order], end: datetime) -> None:
    """Let the owner tag seven orders in one second of the last day, two of them at the very same instant."""
    second = end - timedelta(hours=3)
    for place, order in enumerate(placed[4:11]):
        order["tags"] = [*order["tags"], "reviewed"]
        orders.touch(order, instant(second + timedelta(milliseconds=120 * min(place, 5))))
