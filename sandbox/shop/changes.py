"""Changes to a store from another process, in: `POST /_control/change`; out: the changed node's id.

The body is `{"change": "refund_order", "order_id": "#1001", "at": "2026-11-23T12:00:00Z"}`: a method of Store and its
arguments (`order_changes`, `money_changes`, `customer_changes`); `at` is now by default. Amounts are texts, line items
are named by their place: `{"change": "edit_order", "order_id": "#1001", "quantities": {"0": 2}, "shipping": "8"}`.
Knows the store's methods, not what they do.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from sandbox.shop.moments import instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from sandbox.shop.store import Store

CHANGES = (
    "cancel_fulfillment",
    "cancel_order",
    "cancel_return",
    "change_customer",
    "change_email",
    "change_order",
    "charge_back",
    "complete_payment",
    "cut_ledger",
    "delete_customer",
    "delete_order",
    "delete_return_fee",
    "deliver",
    "edit_order",
    "erase_customer",
    "exchange",
    "expire_authorization",
    "fulfill_order",
    "hide_ledger",
    "merge_customers",
    "open_return",
    "pay_order",
    "process_return",
    "ready_journey",
    "refund_order",
    "remove_from_return",
    "rename_shop",
    "set_customer",
    "unknown_sale",
)


def blueprint(store: Store, clock: Callable[[], datetime], journal: Path | None = None) -> Blueprint:
    """Serve the changes; one that makes no sense is answered with 400 and the reason. A journal keeps them."""
    served = Blueprint("changes", __name__, url_prefix="/_control")

    @served.post("/change")
    def change() -> tuple[Response, int]:
        wanted = {"at": instant(clock()), **request.get_json()}
        try:
            node = apply(store, wanted)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            return jsonify(error=f"{type(error).__name__}: {error}"), 400
        if journal:
            with journal.open("a") as lines:
                lines.write(json.dumps(wanted) + "\n")
        return jsonify(id=node["id"], name=node.get("name"), updatedAt=node.get("updatedAt")), 200

    return served


def replay(store: Store, journal: Path) -> None:
    """Make the changes of a journal once more, if there is one."""
    if journal.exists():
        for line in journal.read_text().splitlines():
            apply(store, json.loads(line))


def apply(store: Store, wanted: dict[str, Any]) -> dict[str, Any]:
    """Make a change and return the node; ArithmeticError, LookupError, TypeError or ValueError say that it can't be."""
    arguments = dict(wanted)
    name = arguments.pop("change", "")
    if name not in CHANGES:
        raise ValueError(f"change is one of {', '.join(CHANGES)}")
    node: dict[str, Any] = getattr(store, name)(**arguments)
    return node
