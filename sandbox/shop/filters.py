"""What can be searched and sorted, in: nothing; out: for each root field its filters and sort keys.

The names are those of the 2026-10 schema (descriptions of the `query` arguments, enums `*SortKeys`). Filters that would
need data the sandbox hasn't are left out, so they count as invalid. Knows where values stand in a node, not the
search syntax.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sandbox.shop.nodes import number_of
from sandbox.shop.search import Filter

if TYPE_CHECKING:
    from collections.abc import Callable

    Node = dict[str, Any]


def _text(key: str) -> Filter:
    return Filter("text", lambda node: node.get(key))


def _time(key: str) -> Filter:
    return Filter("time", lambda node: node[key])


def searched_at(node: Node) -> str:
    """Return the moment of a node's last change that the search knows of: it can be behind the node that it finds.

    https://github.com/nozzlegear/ShopifySharp/issues/854
    """
    return str(node.get("_searchedAt") or node["updatedAt"])


def by_day(zone: str, *, whole: bool) -> Filter:
    """Return the filter of a last change that compares days of a time zone; a range has the `whole` of its last day."""

    def day_of(node: Node) -> str:
        at = datetime.fromisoformat(searched_at(node).replace("Z", "+00:00"))
        return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d}T00:00:00.000000Z"

    return Filter("whole day" if whole else "day", day_of)


def _customer_email(node: Node) -> str | None:
    email: str | None = (node["defaultEmailAddress"] or {}).get("emailAddress")
    return email


def _customer_phone(node: Node) -> str | None:
    phone: str | None = (node["defaultPhoneNumber"] or {}).get("phoneNumber")
    return phone


def _order_status(node: Node) -> list[str]:
    if node["cancelledAt"]:
        return ["cancelled", "not_closed"] if not node["closed"] else ["cancelled"]
    return ["closed"] if node["closed"] else ["open", "not_closed"]


def _current_total(node: Node) -> str:
    return str(node["currentTotalPriceSet"]["shopMoney"]["amount"])


_ID = Filter("number", number_of)

ORDER_FILTERS = {
    "cart_token": _text("cartToken"),
    "checkout_token": _text("checkoutToken"),
    "confirmation_number": _text("confirmationNumber"),
    "created_at": _time("createdAt"),
    "current_total_price": Filter("number", _current_total),
    "customer_id": Filter("number", lambda node: node["customer"] and number_of(node["customer"])),
    "default": Filter("text", lambda node: [node["name"], node["name"].lstrip("#"), node["email"]]),
    "discount_code": _text("discountCode"),
    "email": _text("email"),
    "financial_status": _text("displayFinancialStatus"),
    "fulfillment_status": _text("displayFulfillmentStatus"),
    "gateway": Filter("text", lambda node: node["paymentGatewayNames"]),
    "id": _ID,
    "name": Filter("text", lambda node: [node["name"], node["name"].lstrip("#")]),
    "po_number": _text("poNumber"),
    "processed_at": _time("processedAt"),
    "return_status": _text("returnStatus"),
    "sku": Filter("text", lambda node: [line["sku"] for line in node["lineItems"]]),
    "source_identifier": _text("sourceIdentifier"),
    "source_name": _text("sourceName"),
    "status": Filter("text", _order_status),
    "tag": Filter("text", lambda node: node["tags"]),
    "test": Filter("flag", lambda node: node["test"]),
    "updated_at": Filter("time", searched_at),
}

CUSTOMER_FILTERS = {
    "country": Filter("text", lambda node: (node["defaultAddress"] or {}).get("country")),
    "customer_date": _time("createdAt"),
    "default": Filter(
        "text", lambda node: [node["firstName"], node["lastName"], node["displayName"], _customer_email(node)]
    ),
    "email": Filter("text", _customer_email),
    "first_name": _text("firstName"),
    "id": _ID,
    "last_name": _text("lastName"),
    "orders_count": Filter("number", lambda node: node["numberOfOrders"]),
    "phone": Filter("text", _customer_phone),
    "state": _text("state"),
    "tag": Filter("text", lambda node: node["tags"]),
    "total_spent": Filter("number", lambda node: node["amountSpent"]["amount"]),
    "updated_at": Filter("time", searched_at),
}

# Of the filters of `customers`, `customersCount` knows three, with another name for the day of creation.
CUSTOMER_COUNT_FILTERS = {
    "created_at": _time("createdAt"),
    "id": _ID,
    "updated_at": Filter("time", searched_at),
}

AGREEMENT_FILTERS = {"happened_at": _time("happenedAt"), "id": _ID}

EVENT_FILTERS = {
    "action": _text("action"),
    "comments": Filter("flag", lambda _node: True),
    "created_at": _time("createdAt"),
    "id": _ID,
    "subject_type": _text("subjectType"),
}

BULK_FILTERS = {
    "created_at": _time("createdAt"),
    "id": _ID,
    "operation_type": _text("type"),
    "status": _text("status"),
}


def _created(node: Node) -> str:
    return str(node["createdAt"])


SORT_KEYS: dict[str, dict[str, Callable[[Node], Any]]] = {
    "Order": {
        "CREATED_AT": _created,
        "ID": number_of,
        "ORDER_NUMBER": lambda node: node["number"],
        "PROCESSED_AT": lambda node: node["processedAt"],
        "TOTAL_PRICE": lambda node: float(node["totalPrice"]),
        "UPDATED_AT": searched_at,
    },
    "Customer": {
        "CREATED_AT": _created,
        "ID": number_of,
        "NAME": lambda node: node["displayName"],
        "UPDATED_AT": searched_at,
    },
    "BasicEvent": {"CREATED_AT": _created, "ID": number_of},
    "BulkOperation": {
        "COMPLETED_AT": lambda node: node["completedAt"] or "",
        "CREATED_AT": _created,
    },
}
