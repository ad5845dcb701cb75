"""Changes to a store from another process, in: `POST /_control/change`; out: the changed node's id.

The body is `{"change": "refund_order", "order_id": "#1001", "at": "2026-11-23T12:00:00Z"}`: a method of Store and its
arguments; `at` is now by default. Knows the store's methods, not what they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, jsonify, request

from sandbox.shop.store import instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sandbox.shop.store import Store

CHANGES = (
    "cancel_order",
    "change_customer",
    "change_order",
    "delete_customer",
    "delete_order",
    "fulfill_order",
    "merge_customers",
    "pay_order",
    "refund_order",
)


def blueprint(store: Store, clock: Callable[[], datetime]) -> Blueprint:
    """Serve the changes; one that makes no sense is answered with 400 and the reason."""
    served = Blueprint("changes", __name__, url_prefix="/_control")

    @served.post("/change")
    def change() -> tuple[Response, int]:
        wanted = request.get_json()
        name = wanted.pop("change", "")
        if name not in CHANGES:
            return jsonify(error=f"change is one of {', '.join(CHANGES)}"), 400
        try:
            node = getattr(store, name)(**{"at": instant(clock()), **wanted})
        except (KeyError, TypeError, ValueError) as error:
            return jsonify(error=f"{type(error).__name__}: {error}"), 400
        return jsonify(id=node["id"], name=node.get("name"), updatedAt=node.get("updatedAt")), 200

    return served
