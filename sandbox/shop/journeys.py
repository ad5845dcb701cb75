"""How a web customer came to the shop, in: a random source; out: customer journeys and note attributes.

Knows no orders. Some attributes are rubbish, as badly wired shops write it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sandbox.shop.moments import instant
from sandbox.shop.parts import gid

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from random import Random

RESUMED_AFTER_DAYS = 8  # one cart of so many
RUBBISH = ("undefined", "null", "[object Object]", "x" * 300, "")
_SOURCES = (
    ("Google", "https://www.google.example/", "SEO", None),
    ("direct", None, None, None),
    ("Newsletter", None, "NEWSLETTER", ("spring", "header", "email", "newsletter", None)),
    ("Facebook", "https://facebook.example/", "AD", ("retro-été", "carousel", "cpc", "facebook", "cds")),
)


def web_attributes(random: Random, buyer: int, at: datetime) -> list[dict[str, str]]:
    """Return an order's note attributes: now and then the ids of the web visit, now and then rubbish in their place.

    As posthog-js makes them, the session's id is a UUIDv7 and has the moment at which it began; some carts are resumed
    in another session, days later, and still have the id of the one that filled them.
    """
    kind = random.choices(("none", "visit", "rubbish"), (85, 12, 3))[0]
    if kind == "visit":
        visit = random.getrandbits(48)
        began = f"{int((at - _before(visit)).timestamp() * 1000):012x}"
        return [
            {"key": "_posthog_distinct_id", "value": f"0199c0de-{buyer % 65536:04x}-7000-8000-{visit:012x}"},
            {"key": "_posthog_session_id", "value": f"{began[:8]}-{began[8:]}-7111-9000-{visit:012x}"},
        ]
    if kind == "rubbish":
        return [
            {"key": "_posthog_distinct_id", "value": random.choice(RUBBISH)},
            {"key": "gift_message", "value": "Joyeux Noël ☃"},
        ]
    return []


def _before(visit: int) -> timedelta:
    """Return how long before the order a visit's session began."""
    return timedelta(days=9) if visit % RESUMED_AFTER_DAYS == 0 else timedelta(minutes=10)


def journey(random: Random, at: datetime) -> dict[str, Any] | None:
    """Return a CustomerJourneySummary: known at once for most, not ready for some, absent for a few."""
    kind = random.choices(("known", "not ready", "absent"), (90, 7, 3))[0]
    if kind == "absent":
        return None
    if kind == "not ready":
        return {"ready": False, "customerOrderIndex": None, "daysToConversion": None, "momentsCount": None}
    return known(random, at)


def known(random: Random, at: datetime) -> dict[str, Any]:
    """Return a CustomerJourneySummary that is ready."""
    days = random.choice((0, 0, 1, 3, 14))
    first, last = _visit(random, at - timedelta(days=days, minutes=30)), _visit(random, at - timedelta(minutes=10))
    return {
        "ready": True,
        "customerOrderIndex": 1,
        "daysToConversion": days,
        "firstVisit": first,
        "lastVisit": last if days else first,
        "momentsCount": {"count": 2 if days else 1, "precision": "EXACT"},
    }


def count(orders: Iterable[dict[str, Any]]) -> None:
    """Say in the journeys of a customer's orders, oldest first, which of them each one is; test orders don't count.

    Source: https://shopify.dev/docs/api/admin-graphql/latest/objects/CustomerJourneySummary; that the first is 1 is
    what public apps rely on.
    """
    real = (one for one in orders if not one["test"])
    for index, order in enumerate(real, 1):
        if (order.get("customerJourneySummary") or {}).get("ready"):
            order["customerJourneySummary"]["customerOrderIndex"] = index


def _visit(random: Random, at: datetime) -> dict[str, Any]:
    source, referrer, tactic, utm = random.choice(_SOURCES)
    names = ("campaign", "content", "medium", "source", "term")
    return {
        "id": gid("CustomerVisit", random.getrandbits(40)),
        "occurredAt": instant(at),
        "landingPage": "https://sandbox.myshopify.com/" + (f"?utm_campaign={utm[0]}" if utm else ""),
        "landingPageHtml": None,
        "referralCode": None,
        "referralInfoHtml": source,
        "referrerUrl": referrer,
        "source": source,
        "sourceDescription": f"Referral from {source}" if referrer else None,
        "sourceType": tactic,
        "utmParameters": dict(zip(names, utm, strict=True)) if utm else None,
    }
