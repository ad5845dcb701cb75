"""Events as a sender's library delivers them, for the tests of the sandbox's PostHog."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from posthog.consumer import Consumer

if TYPE_CHECKING:
    from sandbox.posthog import PostHog


def event(number: int = 1, name: str = "seen", distinct_id: str = "ada@x.io", at: str = "", **properties: Any) -> dict:
    return {
        "event": name,
        "uuid": str(uuid.UUID(int=number)),
        "distinct_id": distinct_id,
        "timestamp": at or f"2026-11-01T10:00:{number % 60:02}Z",
        "properties": {"$ignore_sent_at": True, **properties},
    }


def order(number: int, name: str, order_id: str, **properties: Any) -> dict:
    return event(number, name, order_id=order_id, order_name=f"#{order_id}", currency="USD", **properties)


def send(posthog: PostHog, *events: dict[str, Any]) -> None:
    """Deliver the events in one batch."""
    Consumer(None, "phc_sandbox", host=posthog.url).request(list(events))
