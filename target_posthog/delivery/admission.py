"""Admission of events: those that PostHog wouldn't keep as they are don't leave.

Takes a record's events, yields those that can be sent, with their size; reports the others with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from target_posthog.delivery.batches import Outgoing, sized
from target_posthog.mapping.event import GROUP_IDENTIFY
from target_posthog.mapping.language.functions import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from target_posthog.mapping.event import Event


class Admission:
    """Lets a run's events pass; `undeliverable` is called for each that can't, with its source and the reason."""

    def __init__(self, undeliverable: Callable[[Event, Any, str], None]) -> None:
        self._undeliverable = undeliverable
        self._described_groups: dict[str, int] = {}  # the last description of each, by its event's uuid

    def admitted(self, events: Iterable[Event], source: Any) -> Iterator[Outgoing]:  # noqa: ANN401  # it only passes
        """Yield the events that PostHog keeps as they are; a group that is described as before is passed over."""
        for event in events:
            if event["event"] == GROUP_IDENTIFY:
                description = hash(canonical(event["properties"]))
                if self._described_groups.get(event["uuid"]) == description:
                    continue
                self._described_groups[event["uuid"]] = description
            outgoing = sized(event, source)
            if outgoing is None:
                self._undeliverable(event, source, f"its event `{event['event']}` is larger than PostHog takes")
                continue
            yield outgoing
