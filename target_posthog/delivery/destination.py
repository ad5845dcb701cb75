"""Destination of a run's records: the protocol between the sinks and the place where records go.

A destination takes records with what became of them. `delivery/to_posthog.py` sends their events to PostHog,
`preview/to_file.py` writes them into a preview's file. A destination knows no sink, only the protocol `Origin`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from target_posthog.mapping.language.functions import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from target_posthog.mapping.event import Entity, Made
    from target_posthog.mapping.explanation import Explainer
    from target_posthog.mapping.rule import Silence

LONGEST_SHOWN_KEY = 64  # characters; uuids and such are shorter
HASH_DIGITS = 12
IDENTITY_BYTES = 8  # what a database takes as a number


class Outcome(NamedTuple):
    """What became of a record: its events, the `leave_out` rule that leaves it out, or why it is invalid.

    A record is ignored if its stream has no rules.
    """

    events: Sequence[Made] = ()
    entity: Entity | None = None
    left_out: str | None = None
    invalid: str | None = None
    ignored: bool = False


class Origin(Protocol):
    """The stream of a record, as far as a destination knows it; the SDK's sinks have these attributes."""

    @property
    def stream_name(self) -> str:
        """The stream's name."""

    @property
    def key_properties(self) -> Sequence[str]:
        """The names of the fields that tell its records apart."""

    @property
    def original_schema(self) -> Mapping[str, Any]:
        """The JSON schema of its records, as the tap wrote it."""

    @property
    def explainer(self) -> Explainer | None:
        """What explains its records; None if they become nothing."""

    @property
    def is_of_letters(self) -> bool:
        """Whether its records are dead letters that are sent again."""

    @property
    def missing(self) -> Sequence[str]:
        """The events and properties of shipped rules for which it has no fields."""

    @property
    def is_left_out(self) -> bool:
        """Whether nobody expects an event of it: it has no rules, or one that leaves out all of it."""

    def silences(self) -> Iterable[Silence]:
        """Return why its rules made nothing of records so far."""


class Destination(Protocol):
    """Where a run's records go. Each method but `abandon` and `abort` raises `RunError` to end the run."""

    @property
    def is_full(self) -> bool:
        """Whether it is time to dispatch."""

    def begin(self) -> None:
        """Find out what would end the run anyway, before the tap has worked for long; more than once is harmless."""

    def take(self, origin: Origin, record: dict[str, Any], outcome: Outcome) -> None:
        """Take a record, in the order of reading."""

    def keep_line(self, line: bytes | str, reason: str) -> bool:
        """Keep a line of the input that is no message; False if that should end the run."""

    def dispatch(self) -> None:
        """Let what waits leave, after what left before has arrived."""

    def flush(self) -> bool:
        """Return when all that was taken has arrived; True if a STATE may be written."""

    def end(self) -> None:
        """Print the summary, when all is read and has arrived."""

    def abandon(self) -> None:
        """Print the summary of a run that an error ends; raises nothing."""

    def abort(self) -> None:
        """Leave nothing unfinished behind, at once: a signal ends the process."""


KEYLESS = "without a key"


def key_name(record: Mapping[str, Any], keys: Sequence[str], shown: Collection[str] = ()) -> str:
    """Return a record's keys as a name for logs, such as `id=5001`; of a key that isn't among `shown` a hash.

    It is the same for the same key, wherever it is printed: sha256 of the key's text.
    """
    parts = (f"{key}={_named(value, is_shown=key in shown)}" for key in keys if (value := record.get(key)) is not None)
    return ", ".join(parts) or KEYLESS


def identity_of(origin: Origin, record: Mapping[str, Any]) -> int:
    """Return a hash by which a record is told from others: of its stream and its key, or all of it without a key.

    It is the same in each run: receipts are kept by it.
    """
    keys = origin.key_properties
    text = canonical([origin.stream_name, [record.get(key) for key in keys] if keys else record])
    return int.from_bytes(hashlib.blake2b(text, digest_size=IDENTITY_BYTES).digest(), "big", signed=True)


def _named(value: object, *, is_shown: bool) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if is_shown and text.isprintable() and len(text) <= LONGEST_SHOWN_KEY:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]}"
