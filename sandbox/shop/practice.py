"""What Shopify does where nobody has seen it do so, in: nothing; out: one choice for each open question.

A test runs both ways; the first way is what is likelier.
"""

from __future__ import annotations

from dataclasses import dataclass

# Changes that may or may not move `Order.updatedAt`; edits, refunds, cancellations, payments and parcels always do. A
# return does "probably": those who rely on the ledger to move it name edits, refunds and cancellations alone.
UNSURE_MOVES = frozenset(
    {
        "customer",
        "delivery",
        "email",
        "erasure",
        "journey",
        "merge",
        "payment succeeded",
        "return opened",
        "return processed",
    }
)


@dataclass(frozen=True)
class Practice:
    """The choices of one store; `moves` holds those of UNSURE_MOVES that move `updatedAt`."""

    placed_at: str = "createdAt"  # or "processedAt": which of them an order's first agreement happened at
    refunded_at: str = "createdAt"  # or "processedAt": which of them a refund's agreement happened at
    update_quantity: int | None = 0  # or None: the quantity of a sale that changes a price
    shipping_is_adjusted: bool = False  # whether a refund of shipping alone is an ADJUSTMENT, as older REST kinds were
    fee_action: str = "RETURN"  # or "ORDER": the action of a return's fee
    # When a return's sales are written: once it is "processed" (from 2025-07 on), when it is "opened" (from 2024-02 on)
    # or by the refund that pays it (before).
    return_writes: str = "processed"
    cancelled_return_reverses: bool = True  # whether cancelling a return that is written sells its goods once more
    process_adjusts: bool = False  # whether processing a return for less money writes an ADJUSTMENT, as before 2026-02
    unrefunded_cancel_reverses: bool = True  # whether cancelling without a refund takes back the lines and keeps all
    discount_after_taxes: bool = False  # whether a discount is also said after taxes
    newest_first: bool = False  # whether agreements come newest first; their order isn't documented
    pending_is_processed: bool = True  # whether a pending transaction has a `processedAt`, or null
    success_is_processed: bool = True  # whether success moves a transaction's `processedAt`, or leaves it
    cash_is_tendered: bool = True  # whether a sale for cash has all that was handed over, or what was kept
    adjustments_in_returns: bool = True  # whether the sales report counts adjustments of refunds in returns
    reports_processed: bool = False  # whether it has a refund on the day of its `processedAt`, or of its agreement
    tips_in_total: bool = False  # whether it counts tips in total sales
    reports_other_tests: bool = False  # whether it has test orders of another gateway than Shopify Payments
    refund_of_a_return: bool = True  # whether a refund that reverses nothing, as a return did, has an agreement
    moves: frozenset[str] = frozenset(
        {"customer", "email", "merge", "payment succeeded", "return opened", "return processed"}
    )


USUAL = Practice()
