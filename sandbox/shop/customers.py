"""A customer of the shop, in: a made-up person and what they chose; out: a dict shaped as Shopify's type `Customer`.

Connections are plain lists. `settle` derives what depends on the customer's orders. Knows no store and no GraphQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.shop.money import ZERO, money, shop_amount
from sandbox.shop.parts import gid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.shop.people import Person

Customer = dict[str, Any]


def customer(number: int, person: Person, at: str, currency: str, **fields: object) -> Customer:
    """Return a customer without orders; `fields` replace plain fields."""
    one = {
        "id": gid("Customer", number),
        "legacyResourceId": str(number),
        "createdAt": at,
        "updatedAt": at,
        "firstName": person.first_name,
        "lastName": person.last_name,
        "displayName": person.name,
        "defaultEmailAddress": email_address(person.email),
        "defaultPhoneNumber": None,
        "defaultAddress": person.address,
        "addressesV2": [person.address],
        "state": "DISABLED",
        "verifiedEmail": True,
        "note": None,
        "tags": [],
        "locale": person.locale,
        "taxExempt": False,
        "taxExemptions": [],
        "dataSaleOptOut": False,
        "multipassIdentifier": None,
        "productSubscriberStatus": "NEVER_SUBSCRIBED",
        "statistics": {"predictedSpendTier": None, "rfmGroup": None},
        "lifetimeDuration": "over 1 year",
        "_currency": currency,
    } | fields
    return settle(one, [])


def email_address(address: str, state: str = "NOT_SUBSCRIBED", at: str | None = None) -> dict[str, Any]:
    """Return a CustomerEmailAddress; with a time, consent was given or taken back then."""
    return {
        "emailAddress": address,
        "marketingState": state,
        "marketingOptInLevel": "SINGLE_OPT_IN" if state == "SUBSCRIBED" else None,
        "marketingUpdatedAt": at,
        "openTrackingLevel": "UNKNOWN",
        "sourceLocation": None,
        "validFormat": True,
    }


def phone_number(number: str, state: str = "NEVER_SUBSCRIBED", at: str | None = None) -> dict[str, Any]:
    """Return a CustomerPhoneNumber; with a time, consent was given or taken back then."""
    consent = {
        "state": state,
        "optInLevel": "CONFIRMED_OPT_IN" if state == "SUBSCRIBED" else None,
        "updatedAt": at,
        "collectedFrom": "SHOPIFY" if state == "SUBSCRIBED" else None,
        "sourceLocation": None,
    }
    before_2026_10 = {
        "marketingState": {"NEVER_SUBSCRIBED": "NOT_SUBSCRIBED"}.get(state, state),
        "marketingOptInLevel": consent["optInLevel"],
        "marketingUpdatedAt": at,
        "marketingCollectedFrom": consent["collectedFrom"],
        "sourceLocation": None,
    }
    return {"phoneNumber": number, "smsMarketingConsent": consent, **before_2026_10}


def settle(one: Customer, orders: Sequence[dict[str, Any]]) -> Customer:
    """Derive counts and sums from the customer's orders, which come oldest first; test orders don't count.

    The amount spent is in the shop's currency and net of what was given back; a cancelled order spends nothing.
    """
    real = [order for order in orders if not order["test"]]
    spent = sum(
        (
            shop_amount(order["currentTotalPriceSet"]) + shop_amount(order["refundDiscrepancySet"])
            for order in real
            if order["currencyCode"] == one["_currency"] and not order["cancelledAt"]
        ),
        ZERO,
    )
    email, phone = one["defaultEmailAddress"], one["defaultPhoneNumber"]
    one.update(
        numberOfOrders=str(len(real)),
        amountSpent=money(spent, one["_currency"]),
        lastOrder=real[-1] if real else None,
        canDelete=not orders,
        email=email and email["emailAddress"],
        phone=phone and phone["phoneNumber"],
    )
    return one
