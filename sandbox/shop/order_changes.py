"""What can happen to what an order sells and to whom, in: a store, an order and a moment; out: the order afterwards.

Amounts are decimals as text and line items are named by their place, so that a change can come as JSON. Knows nothing
of GraphQL or HTTP.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from sandbox.shop import catalog, edits, journeys, ledger, orders, refunds, returns
from sandbox.shop.goods import Edit, Line, Processed, Reversal, Unnamed
from sandbox.shop.moments import instant, moment
from sandbox.shop.nodes import number_of
from sandbox.shop.store_data import StoreData

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    Node = dict[str, Any]
    Counts = Mapping[int, int] | Mapping[str, int]
    Amounts = Mapping[int, str] | Mapping[str, str]


class OrderChanges(StoreData):
    """Changes to what an order sells: edits, refunds, returns, exchanges, its end; and to what it says of its buyer."""

    def change_order(self, order_id: int | str, at: datetime | str, **fields: object) -> Node:
        """Replace plain fields of an order."""
        with self.lock:
            one = self.order(order_id)
            one.update(fields)
            orders.touch(one, instant(at))
            return self._settled(one)

    def change_unsearched(self, order_id: int | str, at: datetime | str, **fields: object) -> Node:
        """Replace plain fields of an order while the search still has it at the place of its change before."""
        with self.lock:
            one = self.order(order_id)
            one["_searchedAt"] = one["updatedAt"]
            return self.change_order(order_id, at, **fields)

    def change_email(self, order_id: int | str, at: datetime | str, email: str | None) -> Node:
        """Correct the e-mail of an order, which says nothing of its customer."""
        with self.lock:
            one = self.order(order_id)
            one["email"] = email
            return self._touched(one, at, "email")

    def set_customer(self, order_id: int | str, at: datetime | str, customer_id: int | None = None) -> Node:
        """Give an order to a customer, or take it from its customer."""
        with self.lock:
            one = self.order(order_id)
            before, one["customer"] = one["customer"], customer_id and self.customer(customer_id)
            self.forget()
            self._settle_customer(before, instant(at))
            return self._touched(one, at, "customer")

    def ready_journey(self, order_id: int | str, at: datetime | str) -> Node:
        """Let the attribution of a web order be ready, some minutes after it was placed."""
        with self.lock:
            one = self.order(order_id)
            one["customerJourneySummary"] = journeys.known(Random(one["id"]), moment(one["processedAt"]))
            if one["customer"]:
                journeys.count(self.orders_of(one["customer"]))
            return self._touched(one, at, "journey")

    def edit_order(self, order_id: int | str, at: datetime | str, **change: Any) -> Node:  # noqa: ANN401  # the fields of Edit
        """Edit an order: `added` lines, new `quantities`, `prices`, `discounts` by line, `shipping`, `tax_rate`."""
        with self.lock:
            one = self.order(order_id)
            edits.edit(one, self.ids, instant(at), _edit(**change), self.practice)
            return self._settled(one)

    def refund_order(
        self,
        order_id: int | str,
        at: datetime | str,
        quantities: Counts | None = None,
        amount: str | None = None,
        **more: Any,  # noqa: ANN401  # as of _reversal
    ) -> Node:
        """Refund so many of some lines, shipping, or by default everything that is left.

        An amount alone is goodwill; beside lines or shipping it is what is paid for them, be it less, more or nothing.
        `processed_at` is a date of the refund's own.
        """
        with self.lock:
            one = self.order(order_id)
            named = {"shipping", "duties", "owed"} & {*more}
            everything = quantities is None and amount is None and not named
            back = _reversal(quantities, amount, everything=everything, **more)
            refunds.refund(one, self.ids, instant(at), back, self.practice)
            return self._settled(one)

    def open_return(
        self, order_id: int | str, at: datetime | str, quantity: int = 1, quantities: Counts | None = None
    ) -> Node:
        """Open a return of so many of some lines, or of so many units from the first line on."""
        with self.lock:
            one = self.order(order_id)
            wanted = _from_the_first(one, quantity) if quantities is None else _by_place(quantities)
            returns.open_return(one, self.ids, instant(at), wanted, self.practice)
            return self._settled(one)

    def process_return(self, order_id: int | str, at: datetime | str, quantities: Counts, **more: Any) -> Node:  # noqa: ANN401  # as of _processed
        """Process units of the open return: for `money` or none, less `fees`, with lines `exchanged`, with `kept`."""
        with self.lock:
            one = self.order(order_id)
            done = _processed(quantities, **more)
            returns.process(one, self.ids, instant(at), done, self.practice)
            return self._settled(one)

    def remove_from_return(self, order_id: int | str, at: datetime | str, quantities: Counts) -> Node:
        """Remove units from the open return."""
        with self.lock:
            one = self.order(order_id)
            returns.withdraw(one, instant(at), _by_place(quantities), practice=self.practice)
            return self._settled(one)

    def cancel_return(self, order_id: int | str, at: datetime | str) -> Node:
        """Cancel the open return."""
        with self.lock:
            one = self.order(order_id)
            returns.withdraw(one, instant(at), practice=self.practice)
            return self._settled(one)

    def exchange(
        self,
        order_id: int | str,
        at: datetime | str,
        quantities: Counts,
        exchanged: Sequence[Mapping[str, Any]],
        *,
        old: bool = False,
        **more: Any,  # noqa: ANN401  # further arguments of process_return
    ) -> Node:
        """Exchange goods: by one agreement, or as the till did it before 2025-03-21 by a return and an edit."""
        with self.lock:
            self.open_return(order_id, at, quantities=quantities)
            if not old:
                return self.process_return(order_id, at, quantities, exchanged=exchanged, **more)
            self.process_return(order_id, at, quantities, **more)
            return self.edit_order(order_id, at, added=exchanged)

    def delete_return_fee(self, order_id: int | str, at: datetime | str) -> Node:
        """Delete the fee of a return; its sale stays and has no fee any longer."""
        with self.lock:
            one = self.order(order_id)
            for agreement in one["_agreements"]:
                for sale in agreement.sales:
                    if sale.line_type == "FEE":
                        sale.link["_deleted"] = True
            orders.touch(one, instant(at))
            return self._settled(one)

    def cancel_order(
        self,
        order_id: int | str,
        at: datetime | str,
        reason: str = "CUSTOMER",
        *,
        refund: bool = False,
        restock: bool = True,
    ) -> Node:
        """Cancel an order, with the money back or without; what was sold and isn't taken back yet is."""
        with self.lock:
            one = self.order(order_id)
            how: Node = {"refunded": refund, "restock": restock, "practice": self.practice}
            refunds.cancel(one, self.ids, instant(at), reason, **how)
            return self._settled(one)

    def delete_order(self, order_id: int | str, at: datetime | str) -> Node:
        """Delete an order, which leaves an event; its ledger is gone, and so is its part of the report."""
        with self.lock:
            one = self.order(order_id)
            del self.by_type["Order"][number_of(one)]
            self.forget()
            self._settle_customer(one["customer"], instant(at))
            return self._record_destroy(one, "ORDER", instant(at))

    def hide_ledger(self, order_id: int | str, at: datetime | str, *, hidden: bool = True) -> Node:
        """Let an order have no agreements, as one from before 2018-08 may, or let them appear."""
        with self.lock:
            one = self.order(order_id)
            one["_hidden"] = hidden
            orders.touch(one, instant(at))
            return one

    def unknown_sale(self, order_id: int | str, at: datetime | str, amount: str) -> Node:
        """Write a sale of a kind that this version of the API has no name for: "new types that may be added"."""
        with self.lock:
            one = self.order(order_id)
            sale = ledger.plain(one, "UNKNOWN", Decimal(amount), action="UNKNOWN")
            ledger.write(one, "OrderEditAgreement", instant(at), [sale])
            one["_deeds"].append((instant(at), Unnamed(Decimal(amount))))
            one["_unnamed"] += Decimal(amount)
            orders.touch(one, instant(at))
            return self._settled(one)

    def cut_ledger(self, order_id: int | str, times: int = 1, place: int = 0, at: datetime | str = "") -> Node:  # noqa: ARG002  # all changes have a time
        """Let so many of the next answers lack a sale of an order's agreement; nothing about the order changes."""
        with self.lock:
            one = self.order(order_id)
            one["_cuts"], one["_cut"] = times, place
            return one

    def _touched(self, one: Node, at: datetime | str, what: str) -> Node:
        """Settle an order after a change that may move `updatedAt`, or not."""
        if what in self.practice.moves:
            orders.touch(one, instant(at))
        return self._settled(one)


def _line(product: int = 0, quantity: int = 1, price: str = "10.00", off: str = "0") -> Line:
    """Return a line of the product at a place of the catalog, at a list price less so much per unit."""
    return Line(catalog.PRODUCTS[product], quantity, Decimal(price) - Decimal(off), Decimal(off))


def _by_place(values: Mapping[Any, Any] | None, kind: type = int) -> dict[int, Any]:
    return {int(place): kind(value) for place, value in (values or {}).items()}


def _from_the_first(order: Node, quantity: int) -> dict[int, int]:
    """Return so many units from the first line on; the last line gets those that aren't there."""
    found, left = {}, quantity
    places = range(len(order["lineItems"]))
    for place in places:
        count = left if place == places[-1] else min(left, returns.free(order, place))
        if count:
            found[place] = count
            left -= count
    return found


def _reversal(
    quantities: Counts | None,
    amount: str | None,
    *,
    shipping: str = "0",
    owed: str = "0",
    processed_at: str | None = None,
    **more: Any,  # noqa: ANN401  # as they are
) -> Reversal:
    return Reversal(
        _by_place(quantities),
        Decimal(shipping),
        paid=None if amount is None else Decimal(amount),
        owed=Decimal(owed),
        processed_at=processed_at and instant(processed_at),
        **more,
    )


def _processed(  # noqa: PLR0913  # as they come by JSON
    quantities: Counts,
    *,
    money: str | None = None,
    kept: str = "0",
    fees: Mapping[str, str] | None = None,
    fee_tax_rate: str = "0",
    exchanged: Sequence[Mapping[str, Any]] = (),
) -> Processed:
    return Processed(
        _by_place(quantities),
        None if money is None else Decimal(money),
        Decimal(kept),
        [_line(**one) for one in exchanged],
        {name: Decimal(amount) for name, amount in (fees or {}).items()},
        Decimal(fee_tax_rate),
    )


def _edit(  # noqa: PLR0913  # as they come by JSON
    *,
    added: Sequence[Mapping[str, Any]] = (),
    quantities: Counts | None = None,
    prices: Amounts | None = None,
    discounts: Amounts | None = None,
    shipping: str | None = None,
    tax_rate: str | None = None,
) -> Edit:
    return Edit(
        [_line(**one) for one in added],
        _by_place(quantities),
        _by_place(prices, Decimal),
        _by_place(discounts, Decimal),
        None if shipping is None else Decimal(shipping),
        None if tax_rate is None else Decimal(tax_rate),
    )
