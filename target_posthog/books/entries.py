"""Entries of the books: how a mapping's `books` read the records of a stream.

Takes what the mapping says of a stream, then records; returns accounts. Records of Shopify's ledger are read by
`ledger.py`; for others the mapping says which fields are money.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from target_posthog.books import ledger
from target_posthog.books.accounts import Account, Entry, shop_of
from target_posthog.books.figures import BESIDE, SALES, ZERO
from target_posthog.errors import RuleError, did_you_mean
from target_posthog.mapping.language.compiler import DELETED_AT
from target_posthog.mapping.language.expressions import Expression, ExpressionError
from target_posthog.mapping.language.functions import JSON, as_decimal
from target_posthog.mapping.language.interpreter import is_true

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from target_posthog.mapping.language.compiler import Record

LEDGER_KEYS = ("about", "currency", "ledger", "properties")
REPORT_KEYS = ("about", "report")
ENTRIES_KEYS = ("about", "currency", "entries", "properties")
ENTRY_KEYS = ("about", "adds", "at", "for_each", "rule", "takes", "when")
PROPERTY_KEYS = ("amount", "currency", "name", "shop")


class Properties(NamedTuple):
    """The properties of an event with its figures, their currency, the name of its record, and its shop's."""

    figures: tuple[str, ...]
    currency: str = ""
    name: str = ""
    shop: str = ""


class Books:
    """The books of one stream, compiled; raises `RuleError`.

    `rules` are those whose events carry its money; `has_ledger` says that the records are Shopify's orders with their
    ledger, `is_report` that they are the shop's own report.
    """

    def __init__(self, stream: str, spec: Mapping[str, JSON]) -> None:
        self._place = f"`books` of stream `{stream}`"
        _check(self._place, spec, (*LEDGER_KEYS, *REPORT_KEYS, *ENTRIES_KEYS))
        forms = [form for form in ("ledger", "report", "entries") if form in spec]
        if len(forms) != 1:
            raise RuleError(f"{self._place} needs either `ledger`, `report` or `entries`")
        known = {"ledger": LEDGER_KEYS, "report": REPORT_KEYS, "entries": ENTRIES_KEYS}[forms[0]]
        _check(self._place, spec, known)
        self.has_ledger, self.is_report = forms == ["ledger"], forms == ["report"]
        names = spec.get("properties", {})
        _check(self._place, names, PROPERTY_KEYS)
        self._currency = self._compiled(spec.get("currency", "''"))
        self._rules = self._ledger_rules(spec["ledger"]) if self.has_ledger else {}
        self._entries = [_Entries(self, kind, entry) for kind, entry in spec.get("entries", {}).items()]
        amount, currency, name, shop = (str(names.get(key, "")) for key in PROPERTY_KEYS)
        self.properties = Properties((*SALES, *BESIDE) if self.has_ledger else (amount,), currency, name, shop)
        rules = [rule for of_kind in self._rules.values() for rule in of_kind]
        self.rules = dict.fromkeys([*rules, *(entry.rule for entry in self._entries)])

    def account(self, record: Record) -> Account:
        """Return what a record comes to; raises ValueError if a field is no amount or time."""
        shop, currency = shop_of(record), str(self._currency(record) or "")
        if record.get(DELETED_AT):
            return Account(shop, currency, [])  # a tombstone may have its keys alone
        if not self.has_ledger:
            return Account(shop, currency, [entry for entries in self._entries for entry in entries.of(record)])
        rules = {kind: of_kind[0] for kind, of_kind in self._rules.items()}
        entries, readings = list(ledger.entries(record, rules)), list(ledger.readings(record))
        return Account(shop, currency, entries, readings, not ledger.has_no_ledger(record) or not entries)

    def _ledger_rules(self, rules: JSON) -> dict[str, list[str]]:
        place = f"{self._place}, `ledger`"
        if not isinstance(rules, dict) or not {ledger.PLACING, ledger.OTHERS} <= rules.keys():
            raise RuleError(
                f"{place} names a rule for each kind of agreement, at least for `{ledger.PLACING}` and "
                f"`{ledger.OTHERS}`"
            )
        return {str(kind): [*map(str, rule)] if isinstance(rule, list) else [str(rule)] for kind, rule in rules.items()}

    def _compiled(self, text: JSON) -> Callable[[Record], JSON]:
        try:
            return Expression(text).value
        except ExpressionError as error:
            raise RuleError(f"{self._place}: {error}") from None

    def entries_of(self, kind: str, spec: Mapping[str, JSON]) -> dict[str, Callable[[Record], JSON]]:
        """Compile one kind of entry."""
        _check(f"{self._place}, `{kind}`", spec, ENTRY_KEYS)
        missing = [key for key in ("rule", "at") if key not in spec]
        if missing or ("adds" in spec) == ("takes" in spec):
            raise RuleError(f"{self._place}, `{kind}` needs `rule`, `at` and either `adds` or `takes`")
        texts = {key: text for key, text in spec.items() if key not in {"about", "rule"}}
        return {key: self._compiled(text) for key, text in texts.items()}

    @property
    def amount(self) -> str:
        """The figure of entries that the mapping names: the property with their amount."""
        return self.properties.figures[0]


class _Entries:
    """One kind of entry: placed, refunded, ..."""

    def __init__(self, books: Books, kind: str, spec: Mapping[str, JSON]) -> None:
        self._books = books
        self._values = books.entries_of(kind, spec)
        self.rule = str(spec["rule"])
        self._sign = 1 if "adds" in spec else -1
        self._amount = self._values["adds" if "adds" in spec else "takes"]

    def of(self, record: Record) -> Iterator[Entry]:
        for scope in self._scopes(record):
            if "when" in self._values and not is_true(self._values["when"](scope)):
                continue
            amount = self._amount(scope)
            exact = ZERO if amount is None else as_decimal(amount)
            yield Entry(self.rule, str(self._values["at"](scope)), {self._books.amount: self._sign * exact + 0})

    def _scopes(self, record: Record) -> Iterator[Record]:
        if "for_each" not in self._values:
            return iter((record,))
        return ({**record, "item": item} for item in self._values["for_each"](record) or ())


def _check(place: str, spec: Any, known: tuple[str, ...]) -> None:  # noqa: ANN401  # any JSON
    if not isinstance(spec, dict):
        raise RuleError(f"{place} needs an object")
    for key in spec:
        if key not in known:
            raise RuleError(f"{place} has no key `{key}`{did_you_mean(str(key), known)}")
