"""Opening of the receipts by the settings, and what a run says of them before it begins.

Takes settings, returns a store; takes a store and the rules' fingerprints, yields warnings.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from target_posthog.receipts.sqlite import SqliteStore
from target_posthog.receipts.store import hashed_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_posthog.receipts.store import Store

LONGEST_REQUEST_SECONDS = 300.0  # beside the time in which it is tried again
REST = "a full refresh (the same `meltano run` with `--full-refresh`) brings it, and nothing that PostHog has"
FULL_REFRESH = "a full refresh (the same `meltano run` with `--full-refresh`) sends those, and nothing that PostHog has"


def is_database(receipts: str) -> bool:
    """Say whether the setting `receipts` is a database's URL; otherwise it is a path."""
    return "://" in receipts


def open_store(settings: Mapping[str, Any], *, is_read_only: bool = False) -> Store | None:
    """Return the store that the settings name, for the project of their API key; None without the setting `receipts`.

    With `is_read_only` also None where there is no file yet, and for a missing key. Raises `RunError`.
    """
    receipts, api_key = settings.get("receipts"), settings.get("api_key")
    if not receipts or (is_read_only and not api_key):
        return None
    key = hashed_key(api_key or "")
    if is_database(receipts):
        from target_posthog.receipts.postgres import PostgresStore  # noqa: PLC0415  # a fifth of a run's start

        return PostgresStore(
            receipts,
            key,
            senders=settings.get("senders") or 1,
            longest_claim_seconds=LONGEST_REQUEST_SECONDS + (settings.get("max_retry_seconds") or 0),
            is_read_only=is_read_only,
        )
    if is_read_only and not Path(receipts).is_file():
        return None
    return SqliteStore(receipts, key, is_read_only=is_read_only)


def receipts_lines(store: Store | None, conditions: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield what a user has to know: no receipts, none or few for this project, and rules that have changed."""
    if store is None:
        yield (
            "`receipts` isn't set, so nothing remembers what PostHog has: a changed order or a full refresh sends its "
            "events again, PostHog counts copies until it merges them, and destinations and workflows run for each"
        )
        return
    if store.is_empty:
        yield (
            "There are no receipts for this project yet. If earlier runs have sent events to it, run "
            "`target-posthog receipts rebuild` first: it learns from PostHog what is there (docs/receipts.md has the "
            "command for Meltano). If they sent to another project, this one gets only what changes from now on, until "
            "a full refresh (the same `meltano run` with `--full-refresh`) brings it the rest"
        )
        return
    if not store.floor and store.is_behind_another:
        yield (
            "These receipts know another project that got the same records, and more than twice as many as this one. "
            f"If `api_key` was changed, bookmarks went on from where they were, and this project lacks the rest: {REST}"
        )
    last = store.conditions
    for stream, rules in conditions.items():
        if stream not in last:
            continue
        new = [name for name in rules if name not in last[stream]]
        changed = [name for name in rules if name in last[stream] and rules[name] != last[stream][name]]
        if new:
            names = ", ".join(f"`{name}`" for name in new)
            yield f"Rules of stream `{stream}` are new: {names}. Records read before lack their events; {FULL_REFRESH}"
        if changed:
            names = ", ".join(f"`{name}`" for name in changed)
            yield (
                f"Rules of stream `{stream}` apply to other records than before: {names}. Records read before can lack "
                f"their events; {FULL_REFRESH}"
            )
