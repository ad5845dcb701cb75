"""Account of a record: what a record says of money, in the words in which the parts of the books speak of it.

Pure data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.books.figures import Figures
    from target_posthog.mapping.language.compiler import Record


class Shop(NamedTuple):
    """A shop as its records name it: what never changes, and its domain, for people."""

    id: str = ""
    name: str = ""


class Entry(NamedTuple):
    """Money of the moment `at`, which an event of a rule should say too."""

    rule: str
    at: str
    figures: Figures


class Reading(NamedTuple):
    """Another way to read a record: its name, and what it adds to the figures of the day of `at`."""

    name: str
    at: str
    figures: Figures


class Account(NamedTuple):
    """What a record comes to; `is_whole` if all figures are known, not total sales alone."""

    shop: Shop
    currency: str
    entries: Sequence[Entry]
    readings: Sequence[Reading] = ()
    is_whole: bool = True


def shop_of(record: Record) -> Shop:
    """Return the shop of a record."""
    return Shop(str(record.get("shop_id") or record.get("shop") or ""), str(record.get("shop") or ""))
