"""Notice of ids that several customers share, such as the shop's own address on orders that an app enters.

Takes events as they pass, with the names of their records; returns a sentence once per run, which holds no id. It keeps
hashes of the ids that are linked, of so many at most.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from target_posthog.mapping.event import LINK_KEYS
from target_posthog.mapping.language.functions import UUID

if TYPE_CHECKING:
    from target_posthog.mapping.event import Event

SEVERAL = 3  # two ids may be those of a customer who was merged, or changed the address
MOST_IDS = 50_000  # some ten megabytes
NUMBERED = re.compile(r".*:\d+")  # an id of somebody's own, such as `shopify:customer:7`


class SharedIds:
    """Sees the links of a run: an id that is linked to several others' own ids makes one person of all of them."""

    def __init__(self) -> None:
        self._partners: dict[int, dict[int, str]] = {}  # by id: those that it joins, each with a record's name
        self._is_said = False

    def see(self, event: Event, record: str) -> str | None:
        """Look at an event; return what to say, the first time that an id is found to be shared."""
        properties, hub = event["properties"], event["distinct_id"]
        other = next((properties[key] for key in LINK_KEYS if key in properties), None)
        # What describes a customer links their own ids; and several may use one browser.
        if self._is_said or not isinstance(other, str) or "$set" in properties or UUID.fullmatch(other):
            return None
        shared, own = (hub, other) if NUMBERED.fullmatch(other) else (other, hub)
        partners = self._partners.get(hash(shared))
        if partners is None:
            if len(self._partners) >= MOST_IDS:
                return None
            partners = self._partners[hash(shared)] = {}
        partners.setdefault(hash(own), record)
        if len(partners) < SEVERAL:
            return None
        self._is_said = True
        self._partners.clear()
        return (
            f"The records {', '.join(partners.values())} are of different customers and have one e-mail address or "
            "other id, so that PostHog makes one person of these customers. If it is the shop's own, name it in the "
            "setting `nobody`: such orders are then of their customers"
        )
