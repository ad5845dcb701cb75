"""What merchants do to an order, and what the ledger then says: the situations of the facts about Shopify's ledger.

Prices are without tax, which is 10 % on top; the first order is 2 x 50 with a code of 10 % and shipping of 10. Each
situation is held against three things: the sales it should write, the identities between ledger and order, and the
report that is booked on its own.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.shop.catalog import GIFT_CARD
from sandbox.shop.goods import Discount, Line, Placed
from sandbox.shop.ledger_nodes import agreements
from sandbox.shop.practice import Practice
from sandbox.shop.sales_report import sales_by_day
from sandbox.shop.store import Store
from tests.sandbox.ledgers import amount, sound
from tests.sandbox.placed import CD, CODE, FIRST, INCLUSIVE, ONE, PLACED, TAXED, THIRDS, order_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Node = dict[str, Any]
    Change = Callable[[Store, str], object]

EARLIER, LATER = "2026-11-01T12:00:00.000000Z", "2026-11-03T12:00:00.000000Z"


FIRST_SALES = "ORDER PRODUCT 2 99/9 -10, ORDER SHIPPING 1 11/1"

# What was ordered; what the first agreement says: action, type, quantity, total/tax, less discount.
PLACEMENTS = [
    ("a code of 10 %", FIRST, FIRST_SALES),
    (
        "a code for free shipping",
        order_of(
            Line(CD, 1, Decimal(50)),
            shipping=Decimal(0),
            shipping_off=Decimal(10),
            discount=Discount("DiscountCodeApplication", "FREE", 100.0, "SHIPPING_LINE"),
            extra={"email": "a@example.com"},
            address={"countryCodeV2": "US"},
        ),
        "ORDER PRODUCT 1 55/5, ORDER SHIPPING 1 0/0 -10",
    ),
    (
        "10 off three units",
        THIRDS,
        "ORDER PRODUCT 3 55/5 -10",
    ),
    ("prices with tax", INCLUSIVE, "ORDER PRODUCT 2 231/11 -10, ORDER SHIPPING 1 22/1.05"),
    (
        "a gift card of 50 for 40",
        order_of(Line(GIFT_CARD, 1, Decimal(40), Decimal(10)), shipping=Decimal(0), discount=CODE),
        "ORDER GIFT_CARD 1 40/0 -10",
    ),
    (
        "a tip",
        order_of(Line(CD, 1, Decimal(50)), shipping=Decimal(0), tip=Decimal(5)),
        "ORDER PRODUCT 1 55/5, ORDER TIP 1 5/0",
    ),
    (
        "duties and an import fee",
        order_of(Line(CD, 1, Decimal(50), duty=Decimal(12)), shipping=Decimal(0), fees={"Import": Decimal(3)}),
        "ORDER PRODUCT 1 55/5, ORDER DUTY 1 12/0, ORDER ADDITIONAL_FEE 1 3/0",
    ),
    (
        "duties and an import fee that are taxed",
        TAXED,
        "ORDER PRODUCT 1 55/5, ORDER DUTY 1 13.2/1.2, ORDER ADDITIONAL_FEE 1 3.3/0.3",
    ),
]

NOTHING = ""


def _returned(store: Store, name: str, quantities: dict[int, int], of: int | None = None, **more: Any) -> None:
    store.open_return(name, LATER, of or sum(quantities.values()))
    store.process_return(name, LATER, quantities, **more)


def _sent(store: Store, name: str) -> None:
    store.fulfill_order(name, LATER)
    store.deliver(name, LATER)


def _captured(store: Store, name: str) -> None:
    store.pay_order(name, LATER, kind="AUTHORIZATION")
    for part in ("60", "50"):
        store.pay_order(name, LATER, part, kind="CAPTURE")


def _pending(store: Store, name: str) -> None:
    store.pay_order(name, LATER, status="PENDING")
    store.complete_payment(name, LATER)


def _by_gift_card(store: Store, name: str) -> None:
    store.pay_order(name, LATER, "40", gateway="gift_card")
    store.pay_order(name, LATER)


def _partly(store: Store, name: str) -> None:
    store.pay_order(name, LATER, "60")
    store.cancel_order(name, LATER, refund=True)


# What was ordered and what happened then; the agreements that this writes.
SITUATIONS: list[tuple[str, Placed, Change, str]] = [
    (
        "an edit adds one",
        FIRST,
        lambda store, name: store.edit_order(name, LATER, added=[{"price": "50"}]),
        "OrderEditAgreement: ORDER PRODUCT 1 55/5",
    ),
    (
        "an edit adds to a line",
        FIRST,
        lambda store, name: store.edit_order(name, LATER, quantities={0: 3}),
        "OrderEditAgreement: ORDER PRODUCT 1 49.5/4.5 -5",
    ),
    (
        "an edit lowers a quantity",
        FIRST,
        lambda store, name: store.edit_order(name, LATER, quantities={0: 1}),
        "OrderEditAgreement: RETURN PRODUCT -1 -49.5/-4.5 5",
    ),
    (
        "an edit removes a line",
        FIRST,
        lambda store, name: store.edit_order(name, LATER, quantities={0: 0}),
        "OrderEditAgreement: RETURN PRODUCT -2 -99/-9 10",
    ),
    (
        "an edit lowers a price",
        ONE,
        lambda store, name: store.edit_order(name, LATER, prices={0: "45"}),
        "OrderEditAgreement: UPDATE PRODUCT 0 -5.5/-0.5",
    ),
    (
        "an edit gives a discount",
        ONE,
        lambda store, name: store.edit_order(name, LATER, discounts={0: "5"}),
        "OrderEditAgreement: UPDATE PRODUCT 0 -5.5/-0.5 -5",
    ),
    (
        "an edit adds shipping",
        FIRST,
        lambda store, name: store.edit_order(name, LATER, shipping="8"),
        "OrderEditAgreement: ORDER SHIPPING 1 8.8/0.8",
    ),
    (
        "one unit is refunded",
        FIRST,
        lambda store, name: store.refund_order(name, LATER, quantities={0: 1}),
        "RefundAgreement: RETURN PRODUCT -1 -49.5/-4.5 5",
    ),
    (
        "all is refunded",
        FIRST,
        lambda store, name: store.refund_order(name, LATER),
        "RefundAgreement: RETURN PRODUCT -2 -99/-9 10, RETURN SHIPPING -1 -11/-1",
    ),
    (
        "shipping is refunded",
        FIRST,
        lambda store, name: store.refund_order(name, LATER, shipping="10"),
        "RefundAgreement: RETURN SHIPPING -1 -11/-1",
    ),
    (
        "some of the shipping is refunded",
        FIRST,
        lambda store, name: store.refund_order(name, LATER, shipping="4"),
        "RefundAgreement: RETURN SHIPPING -1 -4.4/-0.4",
    ),
    (
        "goodwill",
        FIRST,
        lambda store, name: store.refund_order(name, LATER, amount="15"),
        "RefundAgreement: RETURN ADJUSTMENT - -15/0",
    ),
    (
        "one unit back, 10 kept",
        FIRST,
        lambda store, name: store.refund_order(name, LATER, quantities={0: 1}, amount="39.50"),
        "RefundAgreement: RETURN PRODUCT -1 -49.5/-4.5 5, RETURN ADJUSTMENT - 10/0",
    ),
    (
        "one unit back, the refund set to zero",
        FIRST,
        lambda store, name: store.refund_order(name, LATER, quantities={0: 1}, amount="0"),
        "RefundAgreement: RETURN PRODUCT -1 -49.5/-4.5 5, RETURN ADJUSTMENT - 49.5/0",
    ),
    (
        "a refund that is pending first",
        FIRST,
        lambda store, name: store.refund_order(name, LATER, amount="15", status="PENDING"),
        "RefundAgreement: RETURN ADJUSTMENT - -15/0, RETURN ADJUSTMENT - 15/0, RETURN ADJUSTMENT - -15/0",
    ),
    (
        "a return is processed for less",
        FIRST,
        lambda store, name: _returned(store, name, {0: 1}, money="39.50"),
        "ReturnAgreement: RETURN PRODUCT -1 -49.5/-4.5 5; RefundAgreement: ",
    ),
    (
        "a return is processed in parts",
        FIRST,
        lambda store, name: (_returned(store, name, {0: 1}, of=2), store.process_return(name, LATER, {0: 1})),
        "ReturnAgreement: RETURN PRODUCT -1 -49.5/-4.5 5; ReturnAgreement: RETURN PRODUCT -1 -49.5/-4.5 5",
    ),
    (
        "a return with a restocking fee",
        FIRST,
        lambda store, name: _returned(store, name, {0: 1}, money="44.50", fees={"RestockingFee": "5"}),
        "ReturnAgreement: RETURN PRODUCT -1 -49.5/-4.5 5, RETURN FEE 1 5/0; RefundAgreement: ",
    ),
    (
        "a return with a restocking fee that is taxed",
        FIRST,
        lambda store, name: _returned(
            store, name, {0: 1}, money="44.00", fees={"RestockingFee": "5"}, fee_tax_rate="0.10"
        ),
        "ReturnAgreement: RETURN PRODUCT -1 -49.5/-4.5 5, RETURN FEE 1 5.5/0.5; RefundAgreement: ",
    ),
    (
        "a return with a fee that contains its tax, prices with tax",
        INCLUSIVE,
        lambda store, name: _returned(store, name, {0: 1}, fees={"ReturnShippingFee": "5.25"}, fee_tax_rate="0.05"),
        "ReturnAgreement: RETURN PRODUCT -1 -115.5/-5.5 5, RETURN FEE 1 5.25/0.25",
    ),
    (
        "taxed duties go back with everything",
        TAXED,
        lambda store, name: store.refund_order(name, LATER),
        "RefundAgreement: RETURN PRODUCT -1 -55/-5, RETURN DUTY -1 -13.2/-1.2, RETURN ADJUSTMENT - -3.3/0",
    ),
    (
        "duties alone go back",
        TAXED,
        lambda store, name: store.refund_order(name, LATER, duties=True),
        "RefundAgreement: RETURN DUTY -1 -13.2/-1.2",
    ),
    (
        "another address, whose tax is half",
        FIRST,
        lambda store, name: store.edit_order(name, LATER, tax_rate="0.05"),
        "OrderEditAgreement: UPDATE PRODUCT 0 -4.5/-4.5, UPDATE SHIPPING 0 -0.5/-0.5",
    ),
    (
        "another address, whose tax is double, prices with tax",
        INCLUSIVE,
        lambda store, name: (store.edit_order(name, LATER, tax_rate="0.10"), store.refund_order(name, LATER)),
        (
            "OrderEditAgreement: UPDATE PRODUCT 0 0/10 0.45, UPDATE SHIPPING 0 0/0.95; "
            "RefundAgreement: RETURN PRODUCT -2 -231/-21 9.55, RETURN SHIPPING -1 -22/-2"
        ),
    ),
    (
        "a return is cancelled",
        FIRST,
        lambda store, name: (store.open_return(name, LATER, 1), store.cancel_return(name, LATER)),
        NOTHING,
    ),
    (
        "a unit is removed from a return, the other one is processed",
        FIRST,
        lambda store, name: (
            store.open_return(name, LATER, 2),
            store.remove_from_return(name, LATER, {0: 1}),
            store.process_return(name, LATER, {0: 1}),
        ),
        "ReturnAgreement: RETURN PRODUCT -1 -49.5/-4.5 5",
    ),
    (
        "50 is exchanged for 60",
        FIRST,
        lambda store, name: store.exchange(name, LATER, {0: 1}, [{"price": "60"}]),
        "ReturnAgreement: RETURN PRODUCT -1 -49.5/-4.5 5, ORDER PRODUCT 1 66/6",
    ),
    (
        "50 is exchanged for 60 at an old till",
        FIRST,
        lambda store, name: store.exchange(name, LATER, {0: 1}, [{"price": "60"}], old=True),
        "ReturnAgreement: RETURN PRODUCT -1 -49.5/-4.5 5; OrderEditAgreement: ORDER PRODUCT 1 66/6",
    ),
    (
        "an exchange with credit kept, prices with tax",
        INCLUSIVE,
        lambda store, name: store.exchange(name, LATER, {0: 1}, [], kept="3"),
        "ReturnAgreement: RETURN PRODUCT -1 -115.5/-5.5 5, RETURN ADJUSTMENT - 3/0",
    ),
    (
        "paid and cancelled with the money back",
        FIRST,
        lambda store, name: store.cancel_order(name, LATER, refund=True),
        "RefundAgreement: RETURN PRODUCT -2 -99/-9 10, RETURN SHIPPING -1 -11/-1",
    ),
    (
        "goodwill, then cancelled with the money back",
        FIRST,
        lambda store, name: (
            store.refund_order(name, LATER, amount="15"),
            store.cancel_order(name, LATER, refund=True, restock=False),
        ),
        (
            "RefundAgreement: RETURN ADJUSTMENT - -15/0; "
            "RefundAgreement: RETURN PRODUCT -2 -99/-9 10, RETURN SHIPPING -1 -11/-1, RETURN ADJUSTMENT - 15/0"
        ),
    ),
    (
        "paid and cancelled, the money kept",
        FIRST,
        lambda store, name: store.cancel_order(name, LATER),
        "RefundAgreement: RETURN PRODUCT -2 -99/-9 10, RETURN SHIPPING -1 -11/-1, RETURN ADJUSTMENT - 110/0",
    ),
    (
        "all units are refunded, then the order is cancelled with the money back",
        FIRST,
        lambda store, name: (
            store.refund_order(name, LATER, quantities={0: 2}),
            store.cancel_order(name, LATER, refund=True),
        ),
        "RefundAgreement: RETURN PRODUCT -2 -99/-9 10; RefundAgreement: RETURN SHIPPING -1 -11/-1",
    ),
    (
        "all goods and shipping go back for nothing, then the order is cancelled with the money back",
        FIRST,
        lambda store, name: (
            store.refund_order(name, LATER, quantities={0: 2}, shipping="10", amount="0"),
            store.cancel_order(name, LATER, refund=True),
        ),
        (
            "RefundAgreement: RETURN PRODUCT -2 -99/-9 10, RETURN SHIPPING -1 -11/-1, RETURN ADJUSTMENT - 110/0; "
            "RefundAgreement: RETURN ADJUSTMENT - -110/0"
        ),
    ),
    (
        "cancelled with the money kept, which is refunded later",
        FIRST,
        lambda store, name: (store.cancel_order(name, LATER), store.refund_order(name, LATER)),
        (
            "RefundAgreement: RETURN PRODUCT -2 -99/-9 10, RETURN SHIPPING -1 -11/-1, RETURN ADJUSTMENT - 110/0; "
            "RefundAgreement: RETURN ADJUSTMENT - -110/0"
        ),
    ),
    (
        "an edit makes it cheaper and what is paid too much goes back",
        FIRST,
        lambda store, name: (
            store.edit_order(name, LATER, quantities={0: 1}),
            store.refund_order(name, LATER, owed="49.5"),
        ),
        "OrderEditAgreement: RETURN PRODUCT -1 -49.5/-4.5 5; RefundAgreement: ",
    ),
    (
        "duties go back with everything",
        PLACEMENTS[-2][1],
        lambda store, name: store.refund_order(name, LATER),
        "RefundAgreement: RETURN PRODUCT -1 -55/-5, RETURN DUTY -1 -12/0, RETURN ADJUSTMENT - -3/0",
    ),
    ("a parcel, and it arrives", FIRST, _sent, NOTHING),
    ("the e-mail is corrected", FIRST, lambda store, name: store.change_email(name, LATER, "b@example.com"), NOTHING),
    (
        "three units go back one by one, whose discount can't be divided",
        THIRDS,
        lambda store, name: [store.refund_order(name, LATER, quantities={0: 1}) for _ in range(3)],
        (
            "RefundAgreement: RETURN PRODUCT -1 -18.34/-1.67 3.33; "
            "RefundAgreement: RETURN PRODUCT -1 -18.33/-1.66 3.33; "
            "RefundAgreement: RETURN PRODUCT -1 -18.33/-1.67 3.34"
        ),
    ),
    (
        "something that has no name yet",
        FIRST,
        lambda store, name: store.unknown_sale(name, LATER, "7"),
        "OrderEditAgreement: UNKNOWN UNKNOWN 1 7/0",
    ),
    ("a return is opened", FIRST, lambda store, name: store.open_return(name, LATER, 1), NOTHING),
]

UNIT_BACK = "RETURN PRODUCT -1 -49.5/-4.5 5"
OPENED, REFUNDED = Practice(return_writes="opened"), Practice(return_writes="refunded")
CANCELLED_UNPAID = "RefundAgreement: RETURN PRODUCT -2 -99/-9 10, RETURN SHIPPING -1 -11/-1"
UNPAID: list[tuple[str, Change, str]] = [
    ("cancelled", lambda store, name: store.cancel_order(name, LATER), CANCELLED_UNPAID),
    ("partly paid and cancelled", _partly, CANCELLED_UNPAID),
    (
        "all goods are removed, then cancelled",
        lambda store, name: (store.edit_order(name, LATER, quantities={0: 0}), store.cancel_order(name, LATER)),
        "OrderEditAgreement: RETURN PRODUCT -2 -99/-9 10; RefundAgreement: RETURN SHIPPING -1 -11/-1",
    ),
    ("captured in parts", _captured, NOTHING),
    ("a payment is pending and succeeds", _pending, NOTHING),
    ("paid by a gift card and a card", _by_gift_card, NOTHING),
]

# Where nobody knows what Shopify does: the other way.
OTHERWISE: list[tuple[Practice, Placed, Change, str]] = [
    (
        Practice(update_quantity=None),
        ONE,
        lambda store, name: store.edit_order(name, LATER, prices={0: "45"}),
        "OrderEditAgreement: UPDATE PRODUCT - -5.5/-0.5",
    ),
    (
        Practice(shipping_is_adjusted=True),
        FIRST,
        lambda store, name: store.refund_order(name, LATER, shipping="10"),
        "RefundAgreement: RETURN ADJUSTMENT - -11/-1",
    ),
    (
        Practice(process_adjusts=True, refund_of_a_return=False),
        FIRST,
        lambda store, name: _returned(store, name, {0: 1}, money="39.50"),
        "ReturnAgreement: RETURN PRODUCT -1 -49.5/-4.5 5, RETURN ADJUSTMENT - 10/0",
    ),
    (
        Practice(fee_action="ORDER"),
        FIRST,
        lambda store, name: _returned(store, name, {0: 1}, fees={"ReturnShippingFee": "5"}),
        "ReturnAgreement: RETURN PRODUCT -1 -49.5/-4.5 5, ORDER FEE 1 5/0",
    ),
    (
        Practice(refunded_at="processedAt"),
        FIRST,
        lambda store, name: store.refund_order(name, LATER, quantities={0: 1}, processed_at=EARLIER),
        f"RefundAgreement: {UNIT_BACK}",
    ),
    (
        OPENED,
        FIRST,
        lambda store, name: store.open_return(name, LATER, 1),
        f"ReturnAgreement: {UNIT_BACK}",
    ),
    (
        OPENED,
        FIRST,
        lambda store, name: _returned(store, name, {0: 1}, money="39.50"),
        f"ReturnAgreement: {UNIT_BACK}; RefundAgreement: ",
    ),
    (
        replace(OPENED, process_adjusts=True),
        THIRDS,
        lambda store, name: (
            _returned(store, name, {0: 1}, of=2, money="10", fees={"RestockingFee": "5"}, fee_tax_rate="0.10"),
            store.process_return(name, LATER, {0: 1}, money="10"),
        ),
        (
            "ReturnAgreement: RETURN PRODUCT -2 -36.67/-3.33 6.66; "
            "ReturnAgreement: RETURN FEE 1 5.5/0.5, RETURN ADJUSTMENT - 2.84/0; RefundAgreement: ; "
            "ReturnAgreement: RETURN ADJUSTMENT - 8.33/0; RefundAgreement: "
        ),
    ),
    (
        OPENED,
        FIRST,
        lambda store, name: store.exchange(name, LATER, {0: 1}, [{"price": "60"}]),
        f"ReturnAgreement: {UNIT_BACK}; ReturnAgreement: ORDER PRODUCT 1 66/6",
    ),
    (
        OPENED,
        FIRST,
        lambda store, name: (store.open_return(name, LATER, 2), store.cancel_return(name, LATER)),
        "ReturnAgreement: RETURN PRODUCT -2 -99/-9 10; ReturnAgreement: ORDER PRODUCT 2 99/9 -10",
    ),
    (
        OPENED,
        FIRST,
        lambda store, name: (
            store.open_return(name, LATER, 2),
            store.process_return(name, LATER, {0: 1}),
            store.remove_from_return(name, LATER, {0: 1}),
        ),
        "ReturnAgreement: RETURN PRODUCT -2 -99/-9 10; ReturnAgreement: ORDER PRODUCT 1 49.5/4.5 -5",
    ),
    (
        replace(OPENED, cancelled_return_reverses=False),
        FIRST,
        lambda store, name: (store.open_return(name, LATER, 2), store.cancel_return(name, LATER)),
        "ReturnAgreement: RETURN PRODUCT -2 -99/-9 10",
    ),
    (
        REFUNDED,
        FIRST,
        lambda store, name: _returned(store, name, {0: 1}, money="39.50"),
        f"RefundAgreement: {UNIT_BACK}, RETURN ADJUSTMENT - 10/0",
    ),
    (
        REFUNDED,
        FIRST,
        lambda store, name: (_returned(store, name, {0: 1}), store.refund_order(name, LATER, quantities={0: 1})),
        f"RefundAgreement: {UNIT_BACK}",
    ),
    (
        Practice(unrefunded_cancel_reverses=False),
        FIRST,
        lambda store, name: store.cancel_order(name, LATER),
        NOTHING,
    ),
]


def said(sale: Node) -> str:
    total, tax = (f"{amount(sale[key]).normalize():f}" for key in ("totalAmount", "totalTaxAmount"))
    off = amount(sale["totalDiscountAmountBeforeTaxes"])
    count = "-" if sale["quantity"] is None else sale["quantity"]
    return f"{sale['actionType']} {sale['lineType']} {count} {total}/{tax}{f' {-off.normalize():f}' if off else ''}"


def written(order: Node) -> list[str]:
    return [", ".join(said(sale) for sale in one["sales"]) for one in agreements(order)]


@pytest.mark.parametrize(("placed", "first"), [pytest.param(*one[1:], id=one[0]) for one in PLACEMENTS])
def test_an_order_is_placed(placed: Placed, first: str) -> None:
    store = Store()
    assert written(store.add_order(placed)) == [first]
    sound(store)


@pytest.mark.parametrize(("placed", "change", "then"), [pytest.param(*one[1:], id=one[0]) for one in SITUATIONS])
def test_something_happens_to_a_paid_order(placed: Placed, change: Change, then: str) -> None:
    _happens(Store(), placed, change, then, paid=True)


@pytest.mark.parametrize(("change", "then"), [pytest.param(*one[1:], id=one[0]) for one in UNPAID])
def test_something_happens_to_an_unpaid_order(change: Change, then: str) -> None:
    _happens(Store(), FIRST, change, then, paid=False)


@pytest.mark.parametrize(("practice", "placed", "change", "then"), OTHERWISE)
def test_where_nobody_knows_the_shop_can_do_either(
    practice: Practice, placed: Placed, change: Change, then: str
) -> None:
    _happens(Store(practice=practice), placed, change, then, paid=True)


def _happens(store: Store, placed: Placed, change: Change, then: str, *, paid: bool) -> None:
    order = store.add_order(placed, paid=paid)
    first = agreements(order)[0]
    change(store, order["name"])
    told = [f"{one['__typename']}: {', '.join(said(sale) for sale in one['sales'])}" for one in agreements(order)[1:]]
    assert "; ".join(told) == then
    assert agreements(order)[0] == first, "what was written never changes"
    sound(store)


EVERY_PLACEMENT = [pytest.param(placed, id=name) for name, placed, _ in PLACEMENTS]


@pytest.mark.parametrize("before", ["nothing", "goodwill", "a unit refunded", "an edit", "a return"])
@pytest.mark.parametrize("paid", [True, False], ids=["paid", "unpaid"])
@pytest.mark.parametrize("placed", EVERY_PLACEMENT)
def test_a_cancelled_order_comes_to_nothing_in_the_report(placed: Placed, before: str, *, paid: bool) -> None:
    """ "Sale on its day, return on the day of cancellation, zero in total" (the sales report's help)."""
    store = Store()
    name = store.add_order(placed, paid=paid)["name"]
    changes: dict[str, Callable[[], object]] = {
        "goodwill": lambda: paid and store.refund_order(name, LATER, amount="3"),
        "a unit refunded": lambda: paid and store.refund_order(name, LATER, quantities={0: 1}, amount="1.23"),
        "an edit": lambda: store.edit_order(name, LATER, prices={0: "33.33"}, added=[{"price": "7.77"}]),
        "a return": lambda: _returned(store, name, {0: 1}, kept="2", fees={"RestockingFee": "5"}),
    }
    changes.get(before, lambda: None)()
    order = store.cancel_order(name, LATER, refund=True)
    days = sales_by_day(store.orders, "USD", "America/New_York").values()
    assert sum(one.balance for one in days) == 0
    assert (order["netPaymentSet"], order["totalOutstandingSet"]) == (order["_currencies"].bag(Decimal(0)),) * 2
    sound(store)


@pytest.mark.parametrize("refunded_at", ["createdAt", "processedAt"])
def test_a_refund_that_is_dated_back_counts_when_its_agreement_happened(refunded_at: str) -> None:
    store = Store(practice=Practice(refunded_at=refunded_at))
    order = store.add_order(FIRST)
    store.refund_order(order["name"], LATER, quantities={0: 1}, processed_at=EARLIER)
    (refund,) = order["refunds"]
    assert (refund["createdAt"], refund["processedAt"], order["updatedAt"]) == (LATER, EARLIER, LATER)
    happened = agreements(order)[1]["happenedAt"]
    assert happened == refund[refunded_at]
    days = sales_by_day(store.orders, "USD", "America/New_York", store.practice)
    assert [str(day) for day, one in days.items() if one.returns] == [happened[:10]]
    sound(store)


def test_days_are_the_shops_also_across_the_change_of_clocks() -> None:
    store = Store()
    name = store.add_order(FIRST)["name"]
    # In New York the first of November 2026 lasts from 04:00 to 05:00 UTC of the next day.
    for at in ("2026-11-01T03:59:59Z", "2026-11-01T04:00:00Z", "2026-11-02T04:59:59Z", "2026-11-02T05:00:00Z"):
        store.refund_order(name, at, amount="1")
    sound(store)
    days = sales_by_day(store.orders, "USD", "America/New_York")
    assert {str(day): one.returns for day, one in days.items() if one.returns} == {
        "2026-10-31": -1,
        "2026-11-01": -2,
        "2026-11-02": -1,
    }


def test_an_imported_order_counts_on_the_day_on_which_it_was_processed() -> None:
    imported = order_of(Line(CD, 1, Decimal(50)), extra={"processedAt": "2025-10-30T12:00:00.000000Z"})
    for placed_at in ("createdAt", "processedAt"):
        store = Store(practice=Practice(placed_at=placed_at))
        order = store.add_order(replace(imported, at="2025-10-30T12:00:00.000000Z", extra={"createdAt": PLACED}))
        assert agreements(order)[0]["happenedAt"] == order[placed_at]
        assert [str(day) for day in sales_by_day(store.orders, "USD", "America/New_York")] == ["2025-10-30"]


def test_many_changes_in_a_row_stay_sound_to_the_cent() -> None:
    thirds = order_of(
        Line(CD, 3, Decimal("3.33"), Decimal("0.67")),
        tax_rate=Decimal("0.0825"),
        shipping=Decimal("4.95"),
        shipping_tax_rate=Decimal("0.0825"),
        discount=CODE,
    )
    for taxes_included in (False, True):
        store = Store()
        name = store.add_order(replace(thirds, taxes_included=taxes_included))["name"]
        store.refund_order(name, LATER, quantities={0: 1}, shipping="1.65")
        store.edit_order(
            name, LATER, quantities={0: 4}, discounts={0: "0.11"}, added=[{"price": "7.77", "quantity": 2}]
        )
        store.exchange(name, LATER, {1: 1}, [{"price": "8.88"}], kept="0.01")
        store.refund_order(name, LATER, quantities={0: 1}, shipping="1.65", amount="3.21")
        store.edit_order(name, LATER, prices={0: "3.21"}, shipping="2.49")
        sound(store)
        store.refund_order(name, LATER)
        sound(store)
        assert amount(store.order(name)["totalOutstandingSet"]) + amount(store.order(name)["netPaymentSet"]) == 0


def test_a_fee_that_is_deleted_leaves_its_sale() -> None:
    store = Store()
    order = store.add_order(FIRST)
    _returned(store, order["name"], {0: 1}, fees={"ReturnShippingFee": "5"})
    store.delete_return_fee(order["name"], LATER)
    fee = agreements(order)[1]["sales"][1]
    assert (fee["lineType"], fee["fee"]) == ("FEE", None)
    sound(store)


def test_an_orders_ledger_goes_with_it() -> None:
    store = Store()
    store.delete_order(store.add_order(FIRST)["name"], LATER)
    assert sales_by_day(store.orders, "USD", "America/New_York") == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda store, name: store.refund_order(name, LATER, quantities={0: 3}),
        lambda store, name: store.refund_order(name, LATER, shipping="11"),
        lambda store, name: store.edit_order(name, LATER, quantities={0: 2}),
        lambda store, name: store.process_return(name, LATER, {0: 1}),
        lambda store, name: store.complete_payment(name, LATER),
        lambda store, name: store.refund_order(name, LATER, amount="110.01"),
        lambda store, name: (
            store.refund_order(name, LATER, amount="60", status="PENDING"),
            store.refund_order(name, LATER, amount="60"),
        ),
        lambda store, name: _returned(store, name, {0: 1}, money="110.01"),
        lambda store, name: (store.cancel_order(name, LATER), store.cancel_order(name, LATER)),
        lambda store, name: (store.cancel_order(name, LATER), store.edit_order(name, LATER, shipping="8")),
        lambda store, name: (store.cancel_order(name, LATER), store.open_return(name, LATER)),
        lambda store, name: (store.open_return(name, LATER), store.cancel_order(name, LATER)),
        lambda store, name: store.open_return(name, LATER, 3),
        lambda store, name: (store.open_return(name, LATER, 1), store.open_return(name, LATER, 2)),
        lambda store, name: (store.open_return(name, LATER, 1), store.process_return(name, LATER, {0: 2})),
        lambda store, name: (store.open_return(name, LATER, 1), store.process_return(name, LATER, {})),
        lambda store, name: (store.open_return(name, LATER, 1), store.remove_from_return(name, LATER, {0: 2})),
        lambda store, name: (
            store.open_return(name, LATER, 2),
            store.process_return(name, LATER, {0: 1}),
            store.cancel_return(name, LATER),
        ),
        lambda store, name: store.cancel_return(name, LATER),
        lambda store, name: (store.fulfill_order(name, LATER), store.fulfill_order(name, LATER)),
        lambda store, name: (_sent(store, name), store.cancel_fulfillment(name, LATER), store.deliver(name, LATER)),
        lambda store, name: (_sent(store, name), [store.cancel_fulfillment(name, LATER) for _ in range(2)]),
        lambda store, name: (
            store.pay_order(name, LATER, "10", kind="AUTHORIZATION"),
            store.pay_order(name, LATER, "1", kind="CAPTURE"),
        ),
        lambda store, name: (store.fulfill_order(name, LATER), store.edit_order(name, LATER, tax_rate="0.05")),
    ],
)
def test_what_is_not_there_can_not_go_back(change: Change) -> None:
    store = Store()
    order = store.add_order(FIRST)
    with pytest.raises(ValueError, match=r"\w"):
        change(store, order["name"])
