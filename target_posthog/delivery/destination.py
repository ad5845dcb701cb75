"""The road of a run's records, in: records with what became of them; out: nothing yet.

Knows neither of its two ends: sync.py leads to PostHog, preview/preview.py into a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.mapping.stream_rules import Event
    from target_posthog.sinks import PostHogSink


class Outcome(NamedTuple):
    """What became of a record: events, or none because a `leave_out` rule or a refusal says so, or it is ignored.

    `rules` are the names of the rules of the events.
    """

    events: Sequence[Event] = ()
    rules: Sequence[str] = ()
    left_out: str | None = None
    refused: str | None = None
    ignored: bool = False


class Road(Protocol):
    """What a run does with its records; each method raises `Refused` or `Busy` to end it."""

    @property
    def is_full(self) -> bool:
        """Say whether it is time to dispatch."""

    def begin(self) -> None:
        """Find out what would end the run anyway, before the tap has worked for long; more than once is harmless."""

    def take(self, sink: PostHogSink, record: dict[str, Any], outcome: Outcome) -> None:
        """Take a record, in the order of reading."""

    def keep_line(self, line: bytes | str, reason: str) -> bool:
        """Keep a line of the input that is no message; False if that should end the run."""

    def dispatch(self) -> None:
        """Let what waits leave, after what left before has arrived."""

    def flush(self) -> bool:
        """Return when all that was taken has arrived; True if a STATE may say so."""

    def end(self) -> None:
        """Say what the run did, when all is read and has arrived."""

    def abandon(self) -> None:
        """Say what the run did before an error ended it; raises nothing."""

    def drop(self) -> None:
        """Leave nothing unfinished behind, at once: a signal ends the process."""
