"""Who buys, in: a buyer's number; out: a made-up person with habits, and their customer record.

All chance comes from a random source seeded with the number, so a store of a few buyers holds the same people as a big
one. Knows no orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sandbox.shop.customers import customer, email_address, phone_number
from sandbox.shop.moments import instant
from sandbox.shop.people import Person, person

# How customers differ, and how many of a hundred.
KINDS = {
    "plain": 60,
    "subscribed": 10,
    "vip": 5,
    "texted": 10,
    "unsubscribed": 5,
    "opted out": 3,
    "telephone only": 2,
    "member": 5,
}


@dataclass
class Buyer:
    """One buyer of the sample."""

    number: int
    random: Random
    person: Person

    @classmethod
    def of(cls, number: int) -> Buyer:
        """Return the buyer of that number, always the same."""
        random = Random(f"buyer {number}")
        return cls(number, random, person(random, number))

    def happens(self, percent: float) -> bool:
        """Say whether something happens that so many of a hundred meet."""
        return self.random.random() * 100 < percent

    def customer(self, customer_id: int, first_order_at: datetime) -> dict[str, Any]:
        """Return the customer, who came an hour before the first order."""
        at, made_up = instant(first_order_at - timedelta(hours=1)), self.person
        kind = self.random.choices(tuple(KINDS), tuple(KINDS.values()))[0]
        subscribed = email_address(made_up.email, "SUBSCRIBED", at)
        fields: dict[str, dict[str, Any]] = {
            "plain": {},
            "subscribed": {"defaultEmailAddress": subscribed, "tags": ["newsletter"]},
            "vip": {"defaultEmailAddress": subscribed, "tags": ["VIP", "newsletter"], "note": "Likes 東京サウンド."},
            "texted": {
                "defaultEmailAddress": subscribed,
                "defaultPhoneNumber": phone_number(made_up.phone, "SUBSCRIBED", at),
            },
            "unsubscribed": {"defaultEmailAddress": email_address(made_up.email, "UNSUBSCRIBED", at)},
            "opted out": {"dataSaleOptOut": True},
            "telephone only": {"defaultEmailAddress": None, "defaultPhoneNumber": phone_number(made_up.phone)},
            "member": {"state": "ENABLED", "taxExempt": True, "multipassIdentifier": f"member-{self.number}"},
        }
        return customer(customer_id, made_up, at, "USD", **fields[kind])
