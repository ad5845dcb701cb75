"""Judge of an order: takes its record, returns where ledger and lists disagree with it, and what the order waits for.

The identities are those that Shopify's ledger of sales promises, and that an order has what it refers to. An identity
whose fields weren't selected isn't checked. Pure.
"""

from __future__ import annotations

import re
from decimal import Decimal
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from tap_shopify_orders.decoding import decoded

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from tap_shopify_orders.records.fields import Needs
    from tap_shopify_orders.records.records import Node

FIRST = "original total"  # the identity that a ledger which was cut short fails
LISTS = "lists"  # the identity that a list which was cut fails
# A list that an operation has cut has many nodes: fewer are all there are. The one cut that is known left a hundred:
# https://github.com/airbytehq/airbyte/issues/78512.
LEAST_CUT, KNOWN_CUT = 10, 100
PENDING = ("pending", "awaiting_response")  # statuses of a transaction that is yet to succeed or fail
OPEN_RETURNS = ("return_requested", "in_progress", "inspection_complete")
# Where a parcel is on its way: https://shopify.dev/docs/api/admin-graphql/2026-10/enums/FulfillmentDisplayStatus
UNDER_WAY = (
    "attempted_delivery",
    "carrier_picked_up",
    "confirmed",
    "delayed",
    "in_transit",
    "label_printed",
    "label_purchased",
    "out_for_delivery",
    "ready_for_pickup",
)
# Before the carrier's first scan: with a tracking number it may still be on its way. Without one nobody will ever tell.
UNSCANNED = (None, "fulfilled", "submitted")
# The fields, by their paths in the record, that tell what an order waits for.
WAITS = frozenset(
    {
        ("id",),
        ("created_at",),
        ("updated_at",),
        ("financial_status",),
        ("fulfillment_status",),
        ("return_status",),
        ("current_total_price",),
        ("current_subtotal_line_items_quantity",),
        ("transactions", "id"),
        ("transactions", "status"),
        ("fulfillments", "id"),
        ("fulfillments", "status"),
        ("fulfillments", "shipment_status"),
        ("fulfillments", "tracking_number"),
        ("fulfillments", "delivered_at"),
        ("fulfillments", "updated_at"),
        ("customer_journey", "ready"),
    }
)
# A return may be processed in parts, for goods of the same price, while its order has an open return before and after.
WAITS_FOR_A_RETURN = WAITS | {("agreements", "id"), ("returns", "id"), ("returns", "status")}
# By what may be wanted of an order, what that is judged by: whether the ledger is cut short or a list was cut, whether
# the attribution is still to come, and what the order waits for. It is asked for, wanted or not.
NEEDS: Needs = {
    ("agreements",): {("agreements", "id"), ("return_status",)},
    ("agreements", "sales"): {
        ("agreements", "kind"),
        ("agreements", "sales", "line_type"),
        ("agreements", "sales", "total_amount"),
        ("original_total_price",),
        ("current_total_price",),
        ("refund_discrepancy",),
    },
    ("customer_journey",): {("customer_journey", "ready"), ("created_at",)},
    ("fulfillments",): {path for path in WAITS if path[0] == "fulfillments"},
    ("line_items",): {
        ("line_items", "id"),
        ("line_items", "current_quantity"),
        ("current_subtotal_line_items_quantity",),
    },
    ("refunds",): {("return_status",)},
    ("returns",): {("returns", "id"), ("returns", "status"), ("agreements", "return_id"), ("return_status",)},
    ("transactions",): {("transactions", "id"), ("transactions", "status")},
}
ZERO = Decimal(0)


class _Sale(msgspec.Struct):
    id: int | UnsetType = UNSET
    line_type: str | UnsetType = UNSET
    quantity: int | UnsetType | None = UNSET
    total_amount: Decimal | UnsetType | None = UNSET
    line_item_id: int | UnsetType | None = UNSET


class _Agreement(msgspec.Struct):
    id: int | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    happened_at: str = ""
    return_id: int | None = None
    sales: list[_Sale] | UnsetType = UNSET


class _LineItem(msgspec.Struct):
    id: int | UnsetType = UNSET
    name: str | None = None
    current_quantity: int | UnsetType = UNSET


class _Return(msgspec.Struct):
    id: int | UnsetType = UNSET
    status: str | None = None


class _Transaction(msgspec.Struct):
    id: int | UnsetType = UNSET
    status: str = ""


class _Fulfillment(msgspec.Struct):
    id: int | UnsetType = UNSET
    status: str = ""
    shipment_status: str | None = None
    tracking_number: str | None = None
    delivered_at: str | None = None
    updated_at: str | None = None


class _Journey(msgspec.Struct):
    ready: bool = True


Amount = Decimal | UnsetType | None


class Order(msgspec.Struct):
    """What is looked at of an order's record."""

    updated_at: str
    id: int = 0
    name: str = ""
    created_at: str = ""
    agreements: list[_Agreement] | UnsetType = UNSET
    line_items: list[_LineItem] | UnsetType = UNSET
    returns: list[_Return] | UnsetType = UNSET
    current_subtotal_line_items_quantity: int | UnsetType | None = UNSET
    original_total_price: Amount = UNSET
    current_total_price: Amount = UNSET
    refund_discrepancy: Amount = UNSET
    net_payment: Amount = UNSET
    total_outstanding: Amount = UNSET
    cash_rounding_payment: Amount = UNSET
    cash_rounding_refund: Amount = UNSET
    transactions: list[_Transaction] = []
    fulfillments: list[_Fulfillment] = []
    financial_status: str | None = None
    fulfillment_status: str | None = None
    return_status: str | None = None
    customer_journey: _Journey | None = None

    @property
    def waits_for(self) -> tuple[str, ...]:
        """What may still change without the order's `updated_at` moving; empty if the order is final so far."""
        reasons = {
            "ledger": self.agreements == [],
            "attribution": self.lacks_attribution,
            "payment": any(transaction.status in PENDING for transaction in self.transactions),
            "return": self.has_open_return,
            "delivery": any(map(_is_under_way, self.fulfillments)),
            "scan": any(map(_is_unscanned, self.fulfillments)),
        }
        return tuple(reason for reason, holds in reasons.items() if holds)

    @property
    def lacks_attribution(self) -> bool:
        """Whether Shopify hasn't worked out yet where the buyer came from."""
        return self.customer_journey is not None and not self.customer_journey.ready

    @property
    def sizes(self) -> list[int]:
        """How many nodes its lists have that are connections."""
        agreements = self.agreements or ()
        return [
            len(self.line_items or ()),
            len(self.returns or ()),
            len(agreements),
            *(len(agreement.sales or ()) for agreement in agreements),
        ]

    @property
    def has_open_return(self) -> bool:
        """Whether goods are on their way back, or expected to be."""
        return self.return_status in OPEN_RETURNS

    @property
    def digest(self) -> str:
        """A fingerprint of what the order may wait for: it differs once something of that has changed.

        It takes the fields of WAITS, and of an order with an open return those of WAITS_FOR_A_RETURN.
        """
        facts = (
            self.updated_at,
            self.agreements == [],
            self.financial_status,
            self.fulfillment_status,
            self.return_status,
            str(self.current_total_price),
            str(self.current_subtotal_line_items_quantity),
            self._of_returns if self.has_open_return else None,
            self.customer_journey and self.customer_journey.ready,
            sorted((str(transaction.id), transaction.status) for transaction in self.transactions),
            sorted(
                (str(parcel.id), parcel.status, parcel.shipment_status, parcel.delivered_at, parcel.updated_at)
                for parcel in self.fulfillments
            ),
        )
        return blake2b(msgspec.json.encode(facts), digest_size=6).hexdigest()

    @property
    def _of_returns(self) -> tuple[list[str], list[tuple[str, str | None]]]:
        agreements, returns = self.agreements or (), self.returns or ()
        return sorted(str(one.id) for one in agreements), sorted((str(one.id), one.status) for one in returns)


class Disagreement(NamedTuple):
    """An identity that doesn't hold: its name, how in a sentence, and by how much if it is one of amounts."""

    identity: str
    sentence: str
    gap: str = ""


_DISCOUNTS = ("before", "after")
_SELECTED = _Sale(line_type="", quantity=0, total_amount=ZERO, line_item_id=0)  # where there are no sales at all
_NOTHING = re.compile(rb'"?-?0*\.?0*"?')  # as JSON writes it, a text or a number
_order = msgspec.json.Decoder(Order)


def order_of(json: msgspec.Raw) -> Order:
    """Return what is looked at of a record."""
    return decoded(json, _order)


def disagreements(order: Order) -> list[Disagreement]:
    """Return where an order's ledger disagrees with the order, each by how much, and where its lists lack something."""
    agreements = order.agreements
    found = _looked_through(agreements, order.updated_at) if agreements else None
    if found is None:
        return [*_lists(order, _Found())]
    return [*_amounts(order, found), *_quantities(order, found), *_forms(order, found), *_lists(order, found)]


def may_be_cut(order: Order, found: Sequence[Disagreement], cuts: Collection[int]) -> bool:
    """Say whether a bulk operation may have left out nodes of an order's lists, by what disagrees and by their lengths.

    `cuts` are lengths that lists were cut to. Nothing else tells: the operation ends as COMPLETED, with as many objects
    as it says. Lists that nothing in the order counts aren't looked at: shipping lines and discount applications.
    """
    sizes = order.sizes
    return bool(found and max(sizes) >= LEAST_CUT) or not {*sizes}.isdisjoint(cuts)


def cuts_of(order: Order, whole: Order) -> list[int]:
    """Return the lengths that lists of an order had been cut to, by the order as it was read once more."""
    if order.updated_at != whole.updated_at:
        return []
    sizes = zip(order.sizes, whole.sizes, strict=False)
    return [size for size, all_of_it in sizes if LEAST_CUT <= size < all_of_it]


class _Found(msgspec.Struct):
    """What one way through an order's sales finds; amounts in the shop's currency, as the other is allocated apart."""

    first: Decimal = ZERO
    adjusted: Decimal = ZERO
    everything: Decimal = ZERO
    is_priced: bool = True  # the amounts were selected; and so on
    is_typed: bool = True  # what was sold
    are_counted: bool = True  # what was sold, of which line and how many
    placed: int = 0
    late: int = 0  # agreements after the order's last change
    ids: list[int | UnsetType] = []
    moved: dict[int, int] = {}  # by line item: units of goods
    named: set[int] = set()  # line items that have a sale of any kind, such as a gift card or a tip


def _looked_through(agreements: list[_Agreement], updated_at: str) -> _Found | None:
    """Return what the sales come to; None where they or their kind weren't selected."""
    found = _Found()
    ids, moved, named, sale = found.ids, found.moved, found.named, _SELECTED
    for agreement in agreements:
        if agreement.sales is UNSET or agreement.kind is UNSET:
            return None
        together = ZERO
        for sale in agreement.sales:
            ids.append(sale.id)
            amount, line = sale.total_amount or ZERO, sale.line_item_id or 0
            together += amount
            if sale.line_type == "adjustment":
                found.adjusted += amount
            elif sale.line_type == "product":
                moved[line] = moved.get(line, 0) + (sale.quantity or 0)
            if line:
                named.add(line)
        found.everything += together
        found.late += agreement.happened_at > updated_at
        if agreement.kind == "OrderAgreement":
            found.placed += 1
            found.first += together
    found.is_typed = sale.line_type is not UNSET  # what is selected is there in all sales
    found.is_priced = sale.total_amount is not UNSET
    found.are_counted = found.is_typed and UNSET not in (sale.quantity, sale.line_item_id)
    return found


def _amounts(order: Order, found: _Found) -> Iterator[Disagreement]:
    """Check the sums."""
    if not found.is_priced:
        return
    rounding = _sum(order.cash_rounding_payment, order.cash_rounding_refund)
    paid = _sum(order.net_payment, order.total_outstanding)
    unadjusted = found.everything - found.adjusted
    checks = (
        (FIRST, "the sales that placed it", found.first, order.original_total_price),
        ("current total", "its sales without adjustments", unadjusted, order.current_total_price),
        ("refund discrepancy", "its adjustments", found.adjusted, order.refund_discrepancy),
        ("payments", "all its sales", found.everything, paid),
    )
    for identity, what, amount, expected in checks:
        needs_types = identity in ("current total", "refund discrepancy")
        if not isinstance(expected, Decimal) or amount == expected or (needs_types and not found.is_typed):
            continue
        gap = amount - expected
        if not (identity == "payments" and isinstance(rounding, Decimal) and abs(gap) == abs(rounding)):
            sentence = f"Order {order.name}: {what} come to {amount:f}, its {identity} is {expected:f} ({gap:+f})."
            yield Disagreement(identity, sentence, f"{gap:+f}")


def _quantities(order: Order, found: _Found) -> Iterator[Disagreement]:
    """Check the units of each line: of goods against their sales; whatever it is, a line with units has a sale.

    A gift card or a tip has sales of its own kind, whose units aren't promised to be the line's. What goes out in
    exchange may stand in the order before its return is processed, and with that before it has a sale.
    """
    if not found.are_counted:
        return
    for line in order.line_items or ():
        if line.id is UNSET or line.current_quantity is UNSET:
            continue
        units = found.moved.get(line.id, 0)
        is_uncounted = line.id not in found.moved and (line.id in found.named or order.has_open_return)
        if is_uncounted or units == line.current_quantity:
            continue
        yield Disagreement(
            "quantities",
            f"Order {order.name}: the sales of line item {line.id} come to {units} units, the order"
            f" has {line.current_quantity} ({units - line.current_quantity:+d}).",
        )


def _forms(order: Order, found: _Found) -> Iterator[Disagreement]:
    if found.placed != 1:
        yield Disagreement("agreements", f"Order {order.name}: {found.placed} agreements placed it, not 1.")
    ids = [number for number in found.ids if number is not UNSET]
    if twice := len(ids) - len({*ids}):
        yield Disagreement("sales", f"Order {order.name}: {twice} sales are listed twice.")
    if found.late:
        yield Disagreement("moments", f"Order {order.name}: {found.late} agreements are later than its last change.")


def _lists(order: Order, found: _Found) -> Iterator[Disagreement]:
    """Check that the order has what its ledger refers to, and as many units of its lines as it says.

    Units that it doesn't count, such as tips, can only make the lines have more.
    """
    lines = order.line_items
    if lines:
        lacking = found.named - {line.id for line in lines if line.id is not UNSET}
        if lacking and lines[0].id is not UNSET:
            yield Disagreement(LISTS, f"Order {order.name}: its sales are of {len(lacking)} line items that it lacks.")
        quantities = [line.current_quantity for line in lines if line.current_quantity is not UNSET]
        expected = order.current_subtotal_line_items_quantity
        gap = sum(quantities) - (expected if isinstance(expected, int) else 0)
        if gap < 0 and len(lines) == len(quantities) >= LEAST_CUT:
            yield Disagreement(
                LISTS,
                f"Order {order.name}: its line items have {sum(quantities)} units, it says {expected} ({gap:+d}).",
            )
    if order.returns is not UNSET and order.agreements:
        referred = {agreement.return_id for agreement in order.agreements if agreement.return_id is not None}
        lacking = referred - {one.id for one in order.returns if one.id is not UNSET}
        if lacking and not any(one.id is UNSET for one in order.returns):
            yield Disagreement(LISTS, f"Order {order.name}: its ledger has {len(lacking)} returns that it lacks.")


def _sum(*amounts: Amount) -> Amount:
    """Return the sum of amounts; UNSET if one of them wasn't selected."""
    known = [amount for amount in amounts if isinstance(amount, Decimal)]
    return sum(known, ZERO) if len(known) == len(amounts) else UNSET


def _is_under_way(fulfillment: _Fulfillment) -> bool:
    return _may_arrive(fulfillment) and fulfillment.shipment_status in UNDER_WAY


def _is_unscanned(fulfillment: _Fulfillment) -> bool:
    is_tracked = bool(fulfillment.tracking_number)
    return _may_arrive(fulfillment) and is_tracked and fulfillment.shipment_status in UNSCANNED


def _may_arrive(fulfillment: _Fulfillment) -> bool:
    return not fulfillment.delivered_at and fulfillment.status == "success"


def has_no_discount(node: Node) -> bool:
    """Say whether it is sure that an order never had a discount: it has no code, and none of its sales has a discount.

    The node is on its way to a record, with all its sales. Where a field isn't there nothing is sure.
    """
    try:
        sales = [sale for agreement in node["agreements"].nodes for sale in agreement["sales"].nodes]
        amounts = (
            sale[f"total_discount_amount_{which}_taxes_set"].shop_money.amount for sale in sales for which in _DISCOUNTS
        )
        return bool(sales) and not node["discount_codes"] and all(map(_is_nothing, amounts))
    except AttributeError:
        return False


def _is_nothing(amount: msgspec.Raw | str) -> bool:
    """Say whether an amount is zero: as JSON, or as the text that is still to become a number."""
    return _NOTHING.fullmatch(amount.encode() if isinstance(amount, str) else amount) is not None
