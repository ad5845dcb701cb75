"""Entries of the books: what a record added, took back and left, by its mapping's `books`.

Pure: takes a record, returns its account. It knows neither events as they are sent nor any shop: which fields are money
stands in the mapping.

"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timezone
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from target_posthog.errors import RuleError
from target_posthog.mapping.language.expressions import Expression, ExpressionError, did_you_mean
from target_posthog.mapping.language.functions import JSON, as_datetime, as_decimal
from target_posthog.mapping.language.interpreter import is_true

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import tzinfo

    from target_posthog.mapping.language.compiler import Record

ACCOUNT_KEYS = ("about", "currency", "edited", "entries", "left", "properties")
ENTRY_KEYS = ("about", "adds", "at", "event", "for_each", "takes", "when")
PROPERTY_KEYS = ("amount", "currency", "name")


class Entry(NamedTuple):
    """Money that a record added, or took back (below zero), on a day; `event` should say the same."""

    kind: str
    event: str
    day: str
    amount: Decimal


@dataclass(frozen=True)
class Account:
    """The entries of one record, and what its source says is left of it; `edited` if it says that it was changed."""

    currency: str
    entries: list[Entry]
    left: Decimal | None
    edited: bool

    @property
    def difference(self) -> Decimal:
        """What the source has beyond the entries: an edit of the order, or an error; zero if that isn't known."""
        return Decimal() if self.left is None else self.left - sum((entry.amount for entry in self.entries), Decimal())


class Books:
    """The books of one stream, compiled. Raises `RuleError`."""

    def __init__(self, stream: str, spec: Mapping[str, JSON], zone: tzinfo = timezone.utc) -> None:
        self._place = f"`books` of stream `{stream}`"
        _check(self._place, spec, ACCOUNT_KEYS)
        names = spec.get("properties", {})
        _check(self._place, names, PROPERTY_KEYS)
        self.amount, self.currency, self.name = (str(names.get(key, "")) for key in PROPERTY_KEYS)
        self._currency = self._compiled(spec.get("currency", "''"))
        self._left = self._compiled(spec.get("left", "`null`"))
        self._edited = self._compiled(spec.get("edited", "`false`"))
        self._entries = [_Entries(self, kind, entry, zone) for kind, entry in spec.get("entries", {}).items()]
        self.kinds = {entries.event: entries.kind for entries in self._entries}
        self.signs = {entries.event: entries.sign for entries in self._entries}

    def account(self, record: Record) -> Account:
        """Return a record's entries; raises ValueError if a field is no amount or time."""
        left = self._left(record)
        return Account(
            currency=str(self._currency(record) or ""),
            entries=[entry for entries in self._entries for entry in entries.of(record)],
            left=None if left is None else as_decimal(left),
            edited=is_true(self._edited(record)),
        )

    def _compiled(self, text: JSON) -> Callable[[Record], JSON]:
        try:
            return Expression(text).value
        except ExpressionError as error:
            raise RuleError(f"{self._place}: {error}") from None

    def entries_of(self, kind: str, spec: Mapping[str, JSON]) -> dict[str, Callable[[Record], JSON]]:
        """Compile one kind of entry."""
        _check(f"{self._place}, `{kind}`", spec, ENTRY_KEYS)
        missing = [key for key in ("event", "at") if key not in spec]
        if missing or ("adds" in spec) == ("takes" in spec):
            raise RuleError(f"{self._place}, `{kind}` needs `event`, `at` and either `adds` or `takes`")
        texts = {key: text for key, text in spec.items() if key not in {"about", "event"}}
        return {key: self._compiled(text) for key, text in texts.items()}


class _Entries:
    """One kind of entry: placed, refunded, ..."""

    def __init__(self, books: Books, kind: str, spec: Mapping[str, JSON], zone: tzinfo) -> None:
        self.kind = kind
        self._zone = zone
        self._values = books.entries_of(kind, spec)
        self.event = str(spec["event"])
        self.sign = 1 if "adds" in spec else -1
        self._amount = self._values["adds" if "adds" in spec else "takes"]

    def of(self, record: Record) -> Iterator[Entry]:
        for scope in self._scopes(record):
            if "when" in self._values and not is_true(self._values["when"](scope)):
                continue
            amount = self._amount(scope)
            exact = Decimal() if amount is None else as_decimal(amount)
            day = day_of(self._values["at"](scope), self._zone)
            yield Entry(self.kind, self.event, day, self.sign * exact + 0)

    def _scopes(self, record: Record) -> Iterator[Record]:
        if "for_each" not in self._values:
            return iter((record,))
        return ({**record, "item": item} for item in self._values["for_each"](record) or ())


def day_of(moment: JSON, zone: tzinfo) -> str:
    """Return the day of a moment in a time zone, as `2026-11-01`; raises ValueError for what is no time."""
    return as_datetime(moment).astimezone(zone).date().isoformat()


def _check(place: str, spec: JSON, known: tuple[str, ...]) -> None:
    if not isinstance(spec, dict):
        raise RuleError(f"{place} needs an object")
    for key in spec:
        if key not in known:
            raise RuleError(f"{place} has no key `{key}`{did_you_mean(str(key), known)}")
