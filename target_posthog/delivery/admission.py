"""Admission of events: those that PostHog wouldn't keep as they are don't leave.

Takes an event, returns it ready to go if it can be sent; reports it with the reason if not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.delivery.batches import sized
from target_posthog.mapping.event import GROUP_IDENTIFY
from target_posthog.mapping.language.functions import canonical

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_posthog.delivery.batches import Outgoing
    from target_posthog.receipts.sifter import Sifted


class Admission:
    """Lets a run's events pass; `undeliverable` is called for each that can't, with the reason."""

    def __init__(self, undeliverable: Callable[[Sifted, str], None]) -> None:
        self._undeliverable = undeliverable
        self._described_groups: dict[str, int] = {}  # the last description of each, by its event's uuid

    def admitted(self, sifted: Sifted) -> Outgoing | None:
        """Return an event that PostHog keeps as it is; None for others, and for a group that is described as before."""
        event = sifted.event
        if event["event"] == GROUP_IDENTIFY:
            description = hash(canonical(event["properties"]))
            if self._described_groups.get(event["uuid"]) == description:
                return None
            self._described_groups[event["uuid"]] = description
        outgoing = sized(sifted)
        if outgoing is None:
            self._undeliverable(sifted, f"its event `{event['event']}` is larger than PostHog takes")
        return outgoing
