"""Held run: a run that may send only what a kept plan announces.

Takes the plan's file, then events; raises `RunError` for the first event that the plan doesn't announce.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from target_posthog.errors import RunError
from target_posthog.mapping.event import PLACES, places_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from target_posthog.mapping.event import Event

PLAN_FORMAT = 1  # of the plans that `preview/plan.py` writes
AGAIN = "preview again, look at it, and keep the new plan"


class HeldRun:
    """What a plan announced: events by name, their properties, and how many there are up to the time of the preview.

    Later events can't have been counted then; they are held to the names and properties alone.
    """

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._made_at: str = plan["made_at"]
        self._most = {name: event["count"] + event["repeated"] for name, event in plan["events"].items()}
        self._known = {
            name: {(place, property_name) for place in PLACES for property_name in event[place]}
            for name, event in plan["events"].items()
        }
        self._seen: Counter[str] = Counter()

    @classmethod
    def read(cls, path: str, *, fingerprint: str) -> HeldRun:
        """Return the run that is held to a plan's file; raises `RunError`, also if the plan was made by other rules."""
        try:
            plan = json.loads(Path(path).read_text("utf-8"))
            held_run = cls(plan)
            readable = plan["format"] == PLAN_FORMAT and isinstance(plan["rules"], str)
        except OSError as error:
            raise RunError(f"`plan_path`: the file {path} can't be read ({error.strerror})") from None
        except (ValueError, LookupError, TypeError, AttributeError):
            readable = False
        if not readable:
            raise RunError(f"`plan_path`: the file {path} is no plan; `target-posthog plan --out` writes one")
        if plan["rules"] != fingerprint:
            raise RunError(
                "`plan_path`: the plan was made with another `mapping`, `mappings`, `identity` or `groups`, so this "
                f"run would send other events; {AGAIN}"
            )
        return held_run

    def check(self, events: Iterable[Event]) -> None:
        """Raise `RunError` if one of the next events isn't as the plan says."""
        for event in events:
            name = event["event"]
            if name not in self._known:
                self._stop(f"an event `{name}`")
            for place, properties in places_of(event).items():
                for property_name in properties:
                    if (place, property_name) not in self._known[name]:
                        self._stop(f"the property `{property_name}` (in `{place}`) of the event `{name}`")
            if event["timestamp"] <= self._made_at:
                self._seen[name] += 1
                if self._seen[name] > self._most[name]:
                    self._stop(f"more than {self._most[name]:,} events `{name}` from before it was made")

    def _stop(self, what: str) -> None:
        raise RunError(
            f"`plan_path`: the plan of {self._made_at} doesn't announce {what}, so the run has stopped before it "
            f"sends that; {AGAIN}"
        )
