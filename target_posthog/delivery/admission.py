"""What PostHog wouldn't keep is known before it is sent, in: a record's events; out: those that can go, ready to go.

Knows neither HTTP nor rules.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from target_posthog.delivery.batches import Outgoing, sized
from target_posthog.mapping.language.functions import as_timestamp, canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from target_posthog.mapping.stream_rules import Event

FUTURE_AFTER_HOURS = 23  # PostHog rust/common/types/src/timestamp.rs puts later ones to the time of their arrival
GROUP = "$groupidentify"


class Admission:
    """Lets a run's events pass, one by one; `refuse` is called with each that can't, its origin and the reason."""

    def __init__(self, refuse: Callable[[Event, Any, str], None]) -> None:
        self._refuse = refuse
        self._groups_said: set[int] = set()
        self._surely_no_future = _latest_time()

    def admitted(self, events: Iterable[Event], origin: Any) -> Iterator[Outgoing]:  # noqa: ANN401  # it only passes
        """Yield the events that PostHog keeps as they are; a group that is described as before is passed over."""
        for event in events:
            if event["event"] == GROUP and not self._is_news(event):
                continue
            if event["timestamp"] > self._surely_no_future and event["timestamp"] > _latest_time():
                reason = (
                    f"its event `{event['event']}` is more than {FUTURE_AFTER_HOURS} hours in the future, a time that "
                    "PostHog doesn't keep"
                )
                self._refuse(event, origin, reason)
                continue
            outgoing = sized(event, origin)
            if outgoing is None:
                self._refuse(event, origin, f"its event `{event['event']}` is larger than PostHog takes")
                continue
            yield outgoing

    def _is_news(self, event: Event) -> bool:
        """Say whether a group was not described like this before in this run; every record describes it again."""
        said = hash((event["uuid"], canonical(event["properties"])))
        if said in self._groups_said:
            return False
        self._groups_said.add(said)
        return True


def _latest_time() -> str:
    return as_timestamp(datetime.now(timezone.utc) + timedelta(hours=FUTURE_AFTER_HOURS))
