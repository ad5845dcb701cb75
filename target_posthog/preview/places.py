"""Where in an event its facts stand, in: an event; out: the properties of each place.

Pure, and knows no property of a mapping, only PostHog's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from target_posthog.mapping.language.functions import JSON
    from target_posthog.mapping.stream_rules import Event

# In an event's properties: https://posthog.com/docs/product-analytics/person-properties and .../group-analytics.
SETS = {"set": "$set", "set_once": "$set_once", "group_set": "$group_set"}


def places_of(event: Event) -> dict[str, dict[str, JSON]]:
    """Return the mapping's own properties by place: `properties`, `set`, `set_once`, `group_set`, `unset`."""
    properties = event["properties"]
    unset: list[str] = properties.get("$unset", [])
    return {
        "properties": {name: value for name, value in properties.items() if not name.startswith("$")},
        **{place: properties.get(key, {}) for place, key in SETS.items()},
        "unset": dict.fromkeys(unset),
    }


def is_identified(event: Event) -> bool:
    """Say whether PostHog makes or uses a person for the event; otherwise it is an anonymous one in its bill."""
    return event["properties"].get("$process_person_profile") is not False
