"""A run is held to a plan, in: the plan that a preview made, then events; out: nothing, or the reason to stop.

Knows neither records nor HTTP.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from target_posthog.posthog.client import Refused
from target_posthog.preview.places import places_of
from target_posthog.preview.plan import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from target_posthog.mapping.stream_rules import Event

AGAIN = "preview again, look at it, and keep the new plan"


class Hold:
    """What a plan announced: events by name, their properties, and how many there are up to the time of the preview.

    Later events can't have been counted then; they are held to the names and properties alone.
    """

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._made_at: str = plan["made_at"]
        self._most = {name: one["count"] + one["repeated"] for name, one in plan["events"].items()}
        self._known = {
            name: {
                (place, one) for place in ("properties", "set", "set_once", "unset", "group_set") for one in said[place]
            }
            for name, said in plan["events"].items()
        }
        self._seen: Counter[str] = Counter()

    @classmethod
    def read(cls, path: str, *, fingerprint: str) -> Hold:
        """Return the hold of a plan's file; raises `Refused`, also if the plan was made by other rules."""
        try:
            plan = json.loads(Path(path).read_text("utf-8"))
            hold = cls(plan)
            readable = plan["format"] == FORMAT and isinstance(plan["rules"], str)
        except OSError as error:
            raise Refused(f"`plan_path`: the file {path} can't be read ({error.strerror})") from None
        except (ValueError, LookupError, TypeError, AttributeError):
            readable = False
        if not readable:
            raise Refused(f"`plan_path`: the file {path} is no plan; `target-posthog plan --out` writes one")
        if plan["rules"] != fingerprint:
            raise Refused(
                "`plan_path`: the plan was made with another `mapping`, `mappings`, `identity` or `groups`, so this "
                f"run would send other events; {AGAIN}"
            )
        return hold

    def check(self, events: Iterable[Event]) -> None:
        """Raise `Refused` if one of the next events isn't as the plan says."""
        for event in events:
            name = event["event"]
            if name not in self._known:
                self._stop(f"an event `{name}`")
            places = places_of(event)
            for place, properties in places.items():
                for one in properties:
                    if (place, one) not in self._known[name]:
                        self._stop(f"the property `{one}` (in `{place}`) of the event `{name}`")
            if event["timestamp"] <= self._made_at:
                self._seen[name] += 1
                if self._seen[name] > self._most[name]:
                    self._stop(f"more than {self._most[name]:,} events `{name}` from before it was made")

    def _stop(self, what: str) -> None:
        raise Refused(
            f"`plan_path`: the plan of {self._made_at} doesn't announce {what}, so the run has stopped before it "
            f"sends that; {AGAIN}"
        )
