"""What happens in a shop, as data: how an order is placed, what is done to it step by step, and the facts that follow.

Amounts are those of the situations of Shopify's ledger: prices without tax, which is 10 % on top; the first order is
2 x 50 with a code of 10 %, and shipping of 10. The facts of each situation are the same however often it is synced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.shop.catalog import GIFT_CARD
from sandbox.shop.goods import Discount, Line, Placed
from sandbox.shop.practice import USUAL, Practice
from tests.sandbox.placed import CD, CODE, FIRST, INCLUSIVE, ONE, PLACED, TAXED, THIRDS, order_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.shop.store import Store

    Step = Callable[[Store, str, str], object]

STEPS = [f"2026-11-0{day}T12:00:00.000000Z" for day in range(3, 8)]  # when the first, second, ... step happens
FIGURES = (
    *("gross_sales", "discounts", "returns", "net_sales", "shipping", "taxes", "duties", "additional_fees"),
    *("return_fees", "total_sales", "tips", "gift_cards", "other_sales"),
)
MONEY = (*FIGURES, "cash", "gift_card_payment", "store_credit_payment")


@dataclass(frozen=True)
class Fact:
    """An event that is expected: the step that makes it (0 is the order itself), its name, its money; others are 0."""

    step: int
    event: str
    money: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        amounts = (
            f"{name} {Decimal(self.money[name]).normalize():f}" for name in MONEY if Decimal(self.money.get(name, 0))
        )
        return " ".join([str(self.step), self.event, *amounts])


@dataclass(frozen=True)
class Situation:
    """One row: its name, the order, what happens to it, and its facts beside that it was placed and paid."""

    name: str
    placed: Placed
    steps: Sequence[Step]
    facts: Sequence[Fact]
    practice: Practice = USUAL
    paid: bool = True


def fact(step: int, event: str, **money: float | str) -> Fact:
    return Fact(step, event, {name: str(amount) for name, amount in money.items()})


def simple(price: str, *more: Line, **fields: Any) -> Placed:
    """Return an order of one item, without shipping and tax."""
    zero = Decimal(0)
    plain = {"shipping": zero, "shipping_tax_rate": zero, "tax_rate": zero}
    return order_of(Line(CD, 1, Decimal(price)), *more, **{**plain, **fields})


FIRST_FACTS = (
    fact(0, "Order Completed", gross_sales=100, discounts=-10, net_sales=90, shipping=10, taxes=10, total_sales=110),
    fact(0, "Order Paid", cash=110),
)
COMPLETED = FIRST_FACTS[:1]
ONE_FACTS = (
    fact(0, "Order Completed", gross_sales=50, net_sales=50, taxes=5, total_sales=55),
    fact(0, "Order Paid", cash=55),
)
FREE = order_of(
    Line(CD, 1, Decimal(50)),
    shipping=Decimal(0),
    shipping_off=Decimal(10),
    discount=Discount("DiscountCodeApplication", "FREE", 100.0, "SHIPPING_LINE"),
    address={"countryCodeV2": "US"},
)
INCLUSIVE_FACTS = (
    fact(
        0,
        "Order Completed",
        gross_sales=230,
        discounts=-10,
        net_sales=220,
        shipping="20.95",
        taxes="12.05",
        total_sales=253,
    ),
    fact(0, "Order Paid", cash=253),
)
CARD = order_of(Line(GIFT_CARD, 1, Decimal(40), Decimal(10)), shipping=Decimal(0), discount=CODE)
TIPPED = order_of(Line(CD, 1, Decimal(50)), shipping=Decimal(0), tip=Decimal(5))
IMPORTED = order_of(Line(CD, 1, Decimal(50), duty=Decimal(12)), shipping=Decimal(0), fees={"Import": Decimal(3)})
UNIT_BACK = {"returns": -45, "net_sales": -45, "taxes": "-4.5", "total_sales": "-49.5"}
ALL_BACK = {"returns": -90, "net_sales": -90, "shipping": -10, "taxes": -10, "total_sales": -110}


def adjusted(amount: float, **sold: float | str) -> dict[str, Any]:
    """Return figures with an adjustment added to what came back."""
    return {
        name: str(Decimal(str(sold.get(name, 0))) + (Decimal(str(amount)) if name in ADJUSTED else 0))
        for name in {*sold, *ADJUSTED}
    }


ADJUSTED = ("returns", "net_sales", "total_sales")


def returned(quantity: int = 1, of: int | None = None, **more: Any) -> Step:
    def step(store: Store, name: str, at: str) -> None:
        if of != 0:
            store.open_return(name, at, of or quantity)
        store.process_return(name, at, {0: quantity}, **more)

    return step


def authorized(store: Store, name: str, at: str) -> None:
    store.pay_order(name, at, kind="AUTHORIZATION")


def voided(store: Store, name: str, at: str) -> None:
    store.pay_order(name, at, "0", kind="VOID")


def captured(store: Store, name: str, at: str) -> None:
    authorized(store, name, at)
    for part in ("60", "50"):
        store.pay_order(name, at, part, kind="CAPTURE")


def by_gift_card(store: Store, name: str, at: str) -> None:
    store.pay_order(name, at, "40", gateway="gift_card")
    store.pay_order(name, at)


def with_a_note_of_20(store: Store, name: str, at: str) -> None:
    store.pay_order(name, at, gateway="cash", tendered=Decimal(20))


def by_store_credit(store: Store, name: str, at: str) -> None:
    store.pay_order(name, at, "25", gateway="shopify_store_credit")
    store.pay_order(name, at)


HALVES: list[dict[str, Any]] = [{"store_credit_payment": 25}, {"cash": 25}]

# The rows of `facts/sales.md` 1.4, in its order, each with its other readings.
LEDGER = [
    Situation("2 x 50, code 10 %, shipping 10", FIRST, [], FIRST_FACTS),
    Situation(
        "free-shipping code",
        FREE,
        [],
        ONE_FACTS,
    ),
    Situation("tax-inclusive", INCLUSIVE, [], INCLUSIVE_FACTS),
    Situation(
        "edit adds 1 x 50",
        FIRST,
        [lambda store, name, at: store.edit_order(name, at, added=[{"price": "50"}])],
        [*FIRST_FACTS, fact(1, "Order Updated", gross_sales=50, net_sales=50, taxes=5, total_sales=55)],
    ),
    Situation(
        "edit lowers quantity",
        FIRST,
        [lambda store, name, at: store.edit_order(name, at, quantities={0: 1})],
        [*FIRST_FACTS, fact(1, "Order Updated", **UNIT_BACK)],
    ),
    Situation(
        "edit removes a line",
        FIRST,
        [lambda store, name, at: store.edit_order(name, at, quantities={0: 0})],
        [*FIRST_FACTS, fact(1, "Order Updated", returns=-90, net_sales=-90, taxes=-9, total_sales=-99)],
    ),
    *(
        Situation(
            f"edit changes price by -5{reading}",
            ONE,
            [lambda store, name, at: store.edit_order(name, at, prices={0: "45"})],
            [*ONE_FACTS, fact(1, "Order Updated", gross_sales=-5, net_sales=-5, taxes="-0.5", total_sales="-5.5")],
            practice,
        )
        for reading, practice in (("", USUAL), (", without a quantity", Practice(update_quantity=None)))
    ),
    Situation(
        "edit gives a discount of 5",
        ONE,
        [lambda store, name, at: store.edit_order(name, at, discounts={0: "5"})],
        [*ONE_FACTS, fact(1, "Order Updated", discounts=-5, net_sales=-5, taxes="-0.5", total_sales="-5.5")],
    ),
    Situation(
        "edit adds shipping 8",
        FIRST,
        [lambda store, name, at: store.edit_order(name, at, shipping="8")],
        [*FIRST_FACTS, fact(1, "Order Updated", shipping=8, taxes="0.8", total_sales="8.8")],
    ),
    *(
        Situation(
            f"partial refund, 1 unit{reading}",
            FIRST,
            [lambda store, name, at: store.refund_order(name, at, quantities={0: 1})],
            [*FIRST_FACTS, fact(1, "Order Refunded", **UNIT_BACK), fact(1, "Payment Refunded", cash="-49.5")],
            practice,
        )
        for reading, practice in (
            ("", USUAL),
            (", discounts also said after taxes", Practice(discount_after_taxes=True)),
            (", newest agreement first", Practice(newest_first=True)),
        )
    ),
    Situation(
        "shipping only",
        FIRST,
        [lambda store, name, at: store.refund_order(name, at, shipping="10")],
        [
            *FIRST_FACTS,
            fact(1, "Order Refunded", shipping=-10, taxes=-1, total_sales=-11),
            fact(1, "Payment Refunded", cash=-11),
        ],
    ),
    Situation(
        "shipping only, as an adjustment",
        FIRST,
        [lambda store, name, at: store.refund_order(name, at, shipping="10")],
        [
            *FIRST_FACTS,
            fact(1, "Order Refunded", returns=-10, net_sales=-10, taxes=-1, total_sales=-11),
            fact(1, "Payment Refunded", cash=-11),
        ],
        Practice(shipping_is_adjusted=True),
    ),
    Situation(
        "goodwill 15, no goods",
        FIRST,
        [lambda store, name, at: store.refund_order(name, at, amount="15")],
        [*FIRST_FACTS, fact(1, "Order Refunded", **adjusted(-15)), fact(1, "Payment Refunded", cash=-15)],
    ),
    Situation(
        "goodwill 15 that is pending first",
        FIRST,
        [
            lambda store, name, at: store.refund_order(name, at, amount="15", status="PENDING"),
            lambda store, name, at: store.complete_payment(name, at),
        ],
        [*FIRST_FACTS, fact(1, "Order Refunded", **adjusted(-15)), fact(2, "Payment Refunded", cash=-15)],
    ),
    Situation(
        "1 unit back, 10 kept",
        FIRST,
        [lambda store, name, at: store.refund_order(name, at, quantities={0: 1}, amount="39.50")],
        [
            *FIRST_FACTS,
            fact(1, "Order Refunded", **adjusted(10, **UNIT_BACK)),
            fact(1, "Payment Refunded", cash="-39.5"),
        ],
    ),
    Situation(
        "the same by returnProcess after 2026-02",
        FIRST,
        [returned(money="39.50")],
        [
            *FIRST_FACTS,
            fact(1, "Order Returned", **UNIT_BACK),
            fact(1, "Order Refunded"),
            fact(1, "Payment Refunded", cash="-39.5"),
        ],
    ),
    Situation(
        "the same, adjusted, and the refund has no agreement",
        FIRST,
        [returned(money="39.50")],
        [
            *FIRST_FACTS,
            fact(1, "Order Returned", **adjusted(10, **UNIT_BACK)),
            fact(1, "Payment Refunded", cash="-39.5"),
        ],
        Practice(process_adjusts=True, refund_of_a_return=False),
    ),
    Situation(
        "a return that is processed in parts",
        FIRST,
        [returned(of=2), returned(of=0)],
        [*FIRST_FACTS, fact(1, "Order Returned", **UNIT_BACK), fact(2, "Order Returned", **UNIT_BACK)],
    ),
    *(
        Situation(
            f"return with restocking fee 5{reading}",
            FIRST,
            [returned(money="44.50", fees={"RestockingFee": "5"})],
            [
                *FIRST_FACTS,
                fact(1, "Order Returned", returns=-45, net_sales=-45, taxes="-4.5", return_fees=5, total_sales="-44.5"),
                fact(1, "Order Refunded"),
                fact(1, "Payment Refunded", cash="-44.5"),
            ],
            practice,
        )
        for reading, practice in (("", USUAL), (", as an order", Practice(fee_action="ORDER")))
    ),
    *(
        Situation(
            f"a refund that is dated back{reading}",
            FIRST,
            [lambda store, name, at: store.refund_order(name, at, quantities={0: 1}, processed_at=PLACED)],
            [
                *FIRST_FACTS,
                fact(happened, "Order Refunded", **UNIT_BACK),
                fact(1, "Payment Refunded", cash="-49.5"),
            ],
            Practice(refunded_at=refunded_at),
        )
        for reading, refunded_at, happened in (
            ("", "createdAt", 1),
            (", its agreement as well", "processedAt", 0),
        )
    ),
    *(
        Situation(
            f"return with restocking fee 5 and 0.50 tax{reading}",
            FIRST,
            [returned(money="44.00", fees={"RestockingFee": "5"}, fee_tax_rate="0.10")],
            [
                *FIRST_FACTS,
                fact(1, "Order Returned", returns=-45, net_sales=-45, taxes=-4, return_fees=5, total_sales=-44),
                fact(1, "Order Refunded"),
                fact(1, "Payment Refunded", cash=-44),
            ],
            practice,
        )
        for reading, practice in (("", USUAL), (", as an order", Practice(fee_action="ORDER")))
    ),
    Situation(
        "duties 12 and import fee 3, both taxed",
        TAXED,
        [lambda store, name, at: store.refund_order(name, at, duties=True)],
        [
            fact(
                0,
                "Order Completed",
                gross_sales=50,
                net_sales=50,
                taxes="6.5",
                duties=12,
                additional_fees=3,
                total_sales="71.5",
            ),
            fact(0, "Order Paid", cash="71.5"),
            fact(1, "Order Refunded", duties=-12, taxes="-1.2", total_sales="-13.2"),
            fact(1, "Payment Refunded", cash="-13.2"),
        ],
    ),
    Situation(
        "another address, whose tax is half",
        FIRST,
        [lambda store, name, at: store.edit_order(name, at, tax_rate="0.05")],
        [*FIRST_FACTS, fact(1, "Order Updated", taxes=-5, total_sales=-5)],
    ),
    Situation(
        "a return that is written when it is opened",
        FIRST,
        [
            lambda store, name, at: store.open_return(name, at, 1),
            lambda store, name, at: store.process_return(name, at, {0: 1}, money="39.50"),
        ],
        [
            *FIRST_FACTS,
            fact(1, "Order Returned", **UNIT_BACK),
            fact(2, "Order Refunded"),
            fact(2, "Payment Refunded", cash="-39.5"),
        ],
        Practice(return_writes="opened"),
    ),
    *(
        Situation(
            f"a return that is written when it is opened, and cancelled{reading}",
            FIRST,
            [
                lambda store, name, at: store.open_return(name, at, 1),
                lambda store, name, at: store.cancel_return(name, at),
            ],
            [*FIRST_FACTS, fact(1, "Order Returned", **UNIT_BACK), *again],
            Practice(return_writes="opened", cancelled_return_reverses=bool(again)),
        )
        for reading, again in (
            (
                ", which sells it once more",
                [
                    fact(
                        2,
                        "Order Returned",
                        gross_sales=50,
                        discounts=-5,
                        net_sales=45,
                        taxes="4.5",
                        total_sales="49.5",
                    )
                ],
            ),
            (", which writes nothing", []),
        )
    ),
    Situation(
        "a return that is written by its refund",
        FIRST,
        [
            lambda store, name, at: store.open_return(name, at, 1),
            lambda store, name, at: store.process_return(name, at, {0: 1}, money="39.50"),
        ],
        [
            *FIRST_FACTS,
            fact(2, "Order Refunded", **adjusted(10, **UNIT_BACK)),
            fact(2, "Payment Refunded", cash="-39.5"),
        ],
        Practice(return_writes="refunded"),
    ),
    Situation(
        "all units refunded, then cancelled with the money back",
        FIRST,
        [
            lambda store, name, at: store.refund_order(name, at, quantities={0: 2}),
            lambda store, name, at: store.cancel_order(name, at, refund=True),
        ],
        [
            *FIRST_FACTS,
            fact(1, "Order Refunded", returns=-90, net_sales=-90, taxes=-9, total_sales=-99),
            fact(1, "Payment Refunded", cash=-99),
            fact(2, "Order Refunded", shipping=-10, taxes=-1, total_sales=-11),
            fact(2, "Payment Refunded", cash=-11),
            fact(2, "Order Cancelled"),
        ],
    ),
    Situation(
        "exchange 50 -> 60",
        FIRST,
        [lambda store, name, at: store.exchange(name, at, {0: 1}, [{"price": "60"}])],
        [
            *FIRST_FACTS,
            fact(1, "Order Returned", gross_sales=60, returns=-45, net_sales=15, taxes="1.5", total_sales="16.5"),
        ],
    ),
    Situation(
        "exchange with kept credit",
        INCLUSIVE,
        [lambda store, name, at: store.exchange(name, at, {0: 1}, [], kept="3")],
        [*INCLUSIVE_FACTS, fact(1, "Order Returned", returns=-107, net_sales=-107, taxes="-5.5", total_sales="-112.5")],
    ),
    Situation(
        "old POS exchange",
        FIRST,
        [lambda store, name, at: store.exchange(name, at, {0: 1}, [{"price": "60"}], old=True)],
        [
            *FIRST_FACTS,
            fact(1, "Order Returned", **UNIT_BACK),
            fact(1, "Order Updated", gross_sales=60, net_sales=60, taxes=6, total_sales=66),
        ],
    ),
    Situation(
        "unpaid order cancelled",
        FIRST,
        [lambda store, name, at: store.cancel_order(name, at)],
        [*COMPLETED, fact(1, "Order Cancelled"), fact(1, "Order Refunded", **ALL_BACK)],
        paid=False,
    ),
    Situation(
        "paid order cancelled, restocked",
        FIRST,
        [lambda store, name, at: store.cancel_order(name, at, refund=True)],
        [
            *FIRST_FACTS,
            fact(1, "Order Cancelled"),
            fact(1, "Order Refunded", **ALL_BACK),
            fact(1, "Payment Refunded", cash=-110),
        ],
    ),
    Situation(
        "cancelled, not refunded",
        FIRST,
        [lambda store, name, at: store.cancel_order(name, at)],
        [*FIRST_FACTS, fact(1, "Order Cancelled"), fact(1, "Order Refunded", **adjusted(110, **ALL_BACK))],
    ),
    Situation(
        "cancelled, not refunded, nothing reversed",
        FIRST,
        [lambda store, name, at: store.cancel_order(name, at)],
        [*FIRST_FACTS, fact(1, "Order Cancelled")],
        Practice(unrefunded_cancel_reverses=False),
    ),
    Situation(
        "gift card sold 50, 10 off",
        CARD,
        [],
        [fact(0, "Order Completed", gift_cards=40), fact(0, "Order Paid", cash=40)],
    ),
    Situation(
        "paid partly by gift card",
        FIRST,
        [by_gift_card],
        [*COMPLETED, fact(1, "Order Paid", gift_card_payment=40), fact(1, "Order Paid", cash=70)],
        paid=False,
    ),
    Situation(
        "tip 5",
        TIPPED,
        [],
        [
            fact(0, "Order Completed", gross_sales=50, net_sales=50, taxes=5, tips=5, total_sales=55),
            fact(0, "Order Paid", cash=60),
        ],
    ),
    Situation(
        "duties 12; import fee 3; all goes back",
        IMPORTED,
        [lambda store, name, at: store.refund_order(name, at)],
        [
            fact(
                0,
                "Order Completed",
                gross_sales=50,
                net_sales=50,
                taxes=5,
                duties=12,
                additional_fees=3,
                total_sales=70,
            ),
            fact(0, "Order Paid", cash=70),
            fact(
                1, "Order Refunded", **adjusted(-3, returns=-50, net_sales=-50, taxes=-5, duties=-12, total_sales=-67)
            ),
            fact(1, "Payment Refunded", cash=-70),
        ],
    ),
    Situation(
        "captures",
        FIRST,
        [captured],
        [*COMPLETED, fact(1, "Order Paid", cash=60), fact(1, "Order Paid", cash=50)],
        paid=False,
    ),
    Situation("void", FIRST, [authorized, voided], COMPLETED, paid=False),
    Situation(
        "expired authorisation",
        FIRST,
        [authorized, lambda store, name, at: store.expire_authorization(name, at)],
        COMPLETED,
        paid=False,
    ),
    Situation("chargeback", FIRST, [lambda store, name, at: store.charge_back(name, at)], FIRST_FACTS),
    *(
        Situation(
            f"mark as paid{reading}",
            FIRST,
            [
                lambda store, name, at: store.pay_order(name, at, status="PENDING"),
                lambda store, name, at: store.complete_payment(name, at),
            ],
            [*COMPLETED, fact(paid_at, "Order Paid", cash=110)],
            practice,
            paid=False,
        )
        for reading, practice, paid_at in (
            ("", USUAL, 2),
            (", success isn't dated", Practice(success_is_processed=False), 1),
        )
    ),
    Situation("test order", order_of(Line(CD, 1, Decimal(50)), extra={"test": True}), [], []),
    Situation(
        "three units go back one by one, whose discount can't be divided",
        THIRDS,
        [lambda store, name, at: store.refund_order(name, at, quantities={0: 1})] * 3,
        [
            fact(0, "Order Completed", gross_sales=60, discounts=-10, net_sales=50, taxes=5, total_sales=55),
            fact(0, "Order Paid", cash=55),
            *(
                each
                for step, net, tax in ((1, "16.67", "1.67"), (2, "16.67", "1.66"), (3, "16.66", "1.67"))
                for total in (str(Decimal(net) + Decimal(tax)),)
                for each in (
                    fact(
                        step,
                        "Order Refunded",
                        returns=f"-{net}",
                        net_sales=f"-{net}",
                        taxes=f"-{tax}",
                        total_sales=f"-{total}",
                    ),
                    fact(step, "Payment Refunded", cash=f"-{total}"),
                )
            ),
        ],
    ),
    Situation(
        "a kind of sale that has no name yet",
        FIRST,
        [lambda store, name, at: store.unknown_sale(name, at, "7")],
        [*FIRST_FACTS, fact(1, "Order Updated", other_sales=7, total_sales=7)],
    ),
    *(
        Situation(
            f"imported with its own date, agreed when {placed_at} says",
            order_of(Line(CD, 1, Decimal(50)), shipping=Decimal(0), extra={"createdAt": STEPS[0]}),
            [],
            ONE_FACTS,
            Practice(placed_at=placed_at),
        )
        for placed_at in ("createdAt", "processedAt")
    ),
]


def sold(amount: float, **more: float | str) -> dict[str, float | str]:
    return {"gross_sales": amount, "net_sales": amount, "total_sales": amount, **more}


def back(amount: float) -> dict[str, float]:
    return {"returns": -amount, "net_sales": -amount, "total_sales": -amount}


# The rows of `cases/shops.md` that are about one order's money; those about persons and stores are tests of their own.
SHOPS = [
    Situation(
        "an item of 30 is added to an order of 50 by an edit",
        simple("50"),
        [lambda store, name, at: store.edit_order(name, at, added=[{"price": "30"}])],
        [
            fact(0, "Order Completed", **sold(50)),
            fact(0, "Order Paid", cash=50),
            fact(1, "Order Updated", **sold(30)),
        ],
    ),
    Situation(
        "100 is exchanged for 250",
        simple("100"),
        [lambda store, name, at: store.exchange(name, at, {0: 1}, [{"price": "250"}])],
        [
            fact(0, "Order Completed", **sold(100)),
            fact(0, "Order Paid", cash=100),
            fact(1, "Order Returned", gross_sales=250, returns=-100, net_sales=150, total_sales=150),
        ],
    ),
    Situation(
        "an item of 56.79 comes back, the merchant refunds nothing",
        simple("56.79"),
        [lambda store, name, at: store.refund_order(name, at, quantities={0: 1}, amount="0")],
        [
            fact(0, "Order Completed", **sold(56.79)),
            fact(0, "Order Paid", cash="56.79"),
            fact(1, "Order Refunded"),
        ],
    ),
    Situation(
        "10 of goodwill without items",
        simple("50"),
        [lambda store, name, at: store.refund_order(name, at, amount="10")],
        [
            fact(0, "Order Completed", **sold(50)),
            fact(0, "Order Paid", cash=50),
            fact(1, "Order Refunded", **back(10)),
            fact(1, "Payment Refunded", cash=-10),
        ],
    ),
    Situation(
        "an unpaid order is cancelled, Shopify takes the items back",
        simple("50"),
        [lambda store, name, at: store.cancel_order(name, at)],
        [
            fact(0, "Order Completed", **sold(50)),
            fact(1, "Order Cancelled"),
            fact(1, "Order Refunded", **back(50)),
        ],
        paid=False,
    ),
    Situation(
        "a code of 20 % on the whole order of 50",
        order_of(
            Line(CD, 1, Decimal(40), Decimal(10)),
            shipping=Decimal(0),
            tax_rate=Decimal(0),
            discount=Discount("DiscountCodeApplication", "TWENTY", 20.0),
        ),
        [],
        [
            fact(0, "Order Completed", gross_sales=50, discounts=-10, net_sales=40, total_sales=40),
            fact(0, "Order Paid", cash=40),
        ],
    ),
    Situation(
        "a gift card of 50 is sold",
        order_of(Line(GIFT_CARD, 1, Decimal(50)), shipping=Decimal(0)),
        [],
        [fact(0, "Order Completed", gift_cards=50), fact(0, "Order Paid", cash=50)],
    ),
    Situation(
        "a gift card of 50 is spent",
        simple("50"),
        [lambda store, name, at: store.pay_order(name, at, "50", gateway="gift_card")],
        [fact(0, "Order Completed", **sold(50)), fact(1, "Order Paid", gift_card_payment=50)],
        paid=False,
    ),
    Situation(
        "15 are paid with a note of 20, of which the sale has all",
        simple("15"),
        [with_a_note_of_20],
        [fact(0, "Order Completed", **sold(15)), fact(1, "Order Paid", cash=20), fact(1, "Change Given", cash=-5)],
        paid=False,
    ),
    Situation(
        "15 are paid with a note of 20, of which the sale has what was kept",
        simple("15"),
        [with_a_note_of_20],
        [fact(0, "Order Completed", **sold(15)), fact(1, "Order Paid", cash=15)],
        Practice(cash_is_tendered=False),
        paid=False,
    ),
    Situation(
        "half is paid with store credit",
        simple("50"),
        [by_store_credit],
        [fact(0, "Order Completed", **sold(50)), *(fact(1, "Order Paid", **one) for one in HALVES)],
        paid=False,
    ),
    Situation(
        "a tip of 5",
        simple("50", tip=Decimal(5)),
        [],
        [fact(0, "Order Completed", **sold(50, tips=5)), fact(0, "Order Paid", cash=55)],
    ),
    Situation(
        "a parcel is cancelled after a sync",
        simple("50"),
        [
            lambda store, name, at: store.fulfill_order(name, at),
            lambda store, name, at: store.cancel_fulfillment(name, at),
        ],
        [fact(0, "Order Completed", **sold(50)), fact(0, "Order Paid", cash=50), fact(1, "Order Fulfilled")],
    ),
    Situation(
        "a parcel arrives",
        simple("50"),
        [
            lambda store, name, at: store.fulfill_order(name, at),
            lambda store, name, at: store.deliver(name, at),
        ],
        [
            fact(0, "Order Completed", **sold(50)),
            fact(0, "Order Paid", cash=50),
            fact(1, "Order Fulfilled"),
            fact(2, "Order Delivered"),
        ],
        Practice(moves=USUAL.moves | {"delivery"}),
    ),
    Situation(
        "prices include tax",
        order_of(
            Line(CD, 1, Decimal(119)),
            shipping=Decimal(0),
            tax_rate=Decimal("0.19"),
            taxes_included=True,
        ),
        [],
        [
            fact(0, "Order Completed", gross_sales=100, net_sales=100, taxes=19, total_sales=119),
            fact(0, "Order Paid", cash=119),
        ],
    ),
]
