"""`$groupidentify` events become groups, in: groups as they are and events; out: groups as PostHog would have them.

Pure: knows neither requests nor storage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from sandbox.posthog.capture import Event, Notice

if TYPE_CHECKING:
    from datetime import datetime

MOST_GROUP_TYPES = 5  # a project, MAX_GROUP_TYPES_PER_TEAM; https://posthog.com/docs/product-analytics/group-analytics
LONGEST_GROUP_KEY = 400  # PostHog nodejs/src/ingestion/common/ingestion-warning-types.ts, group_key_too_long


@dataclass
class Group:
    """One group; `properties` holds each value as the JSON text that was sent."""

    type: str
    key: str
    properties: dict[str, msgspec.Raw]
    created_at: datetime


@dataclass
class Groups:
    """All groups of the project, by type and key; `changed` says which to store."""

    known: dict[tuple[str, str], Group] = field(default_factory=dict)
    changed: dict[tuple[str, str], Group] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)

    def apply(self, event: Event) -> bool:
        """Change the groups as this event asks; False means that PostHog drops the event itself."""
        if event.event != "$groupidentify":
            return True
        kind, key = (_text(event, name) for name in ("$group_type", "$group_key"))
        if not kind or not key:
            self.notices.append(Notice("group_identify_without_type_or_key", {"eventUuid": event.uuid}))
            return False
        if len(key) > LONGEST_GROUP_KEY:
            self.notices.append(Notice("group_key_too_long", {"eventUuid": event.uuid}))
            return False
        types = {type_ for type_, _ in self.known}
        if kind not in types and len(types) >= MOST_GROUP_TYPES:
            return True  # the type is ignored, the event kept
        group = self.known.setdefault((kind, key), Group(kind, key, {}, event.timestamp))
        value = event.properties.get("$group_set")
        if value is not None and bytes(value)[:1] == b"{":
            group.properties |= msgspec.json.decode(value, type=dict[str, msgspec.Raw])
        self.changed[kind, key] = group
        return True


def _text(event: Event, name: str) -> str:
    value = event.properties.get(name)
    read = msgspec.json.decode(value) if value is not None else ""
    return read if isinstance(read, str) else str(read or "")
