"""Kafka between capture and the project, in: events that were accepted; out: the same, in an order that a test chooses.

PostHog keeps order within a topic's partition only, and a partition's key is `token:distinct_id` (rust/capture
v1/analytics/types.rs, `partition_key`). Batches of a historical migration travel on a topic of their own
(v1/analytics/process.rs, `apply_historical_rerouting` [01cfdef4]), so even one distinct id has no order across both.
Knows neither persons nor storage.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandbox.posthog.capture import Event

MAIN_TOPIC = "events_plugin_ingestion"
HISTORICAL_TOPIC = "events_plugin_ingestion_historical"


class Partition(NamedTuple):
    """What has an order: one distinct id on one topic. Ids may share a partition, but nobody can rely on it."""

    topic: str
    distinct_id: str

    @classmethod
    def of(cls, event: Event) -> Partition:
        """Return the partition that the event travels in."""
        return cls(HISTORICAL_TOPIC if event.historical else MAIN_TOPIC, event.distinct_id)


class Log:
    """The events held since `hold`, in the order of arrival; they stay, as Kafka's do, however often they are read."""

    def __init__(self) -> None:
        self.is_held = False
        self._events: list[Event] = []

    def hold(self) -> None:
        """Keep what comes from now on, and forget what was kept before."""
        self.is_held, self._events = True, []

    def add(self, events: Iterable[Event]) -> None:
        """Keep these too."""
        self._events.extend(events)

    def partitions(self) -> list[Partition]:
        """Return the partition of each held event: what a test permutes to try all orders."""
        return [Partition.of(one) for one in self._events]

    def in_order(self, order: Sequence[Partition]) -> list[Event]:
        """Return copies of the held events, the next one of a partition for each mention of it.

        Raises ValueError for an order that isn't a permutation of `partitions`.
        """
        if sorted(order) != sorted(self.partitions()):
            raise ValueError("an order names the partition of each held event, as often as it holds events")
        queues: dict[Partition, deque[Event]] = defaultdict(deque)
        for one in self._events:
            queues[Partition.of(one)].append(one)
        ordered = (queues[partition].popleft() for partition in order)
        return [msgspec.structs.replace(one, properties=dict(one.properties)) for one in ordered]
