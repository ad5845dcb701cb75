"""Shopify's search syntax, in: a query string and the filters of a field; out: a test for nodes, and warnings.

Knows the syntax and how times are compared, but not the shop's data: filters say where a value stands in a node.
Sources: https://shopify.dev/docs/api/usage/search-syntax, https://shopify.dev/changelog/exclusive-timestamp-filters.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Node = dict[str, Any]
    Test = Callable[[Node], bool]

EXCLUSIVE_SECONDS_SINCE = "2026-10"  # https://shopify.dev/changelog/exclusive-timestamp-filters
INVALID_FIELD = "Invalid search field for this query."

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<paren>[()])
      | (?P<word>AND|OR|NOT)(?=[\s(])
      | (?P<minus>-)?(?:(?P<field>[\w.]+):)?(?P<op>>=|<=|>|<)?
        (?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s():]+):?
    )""",
    re.VERBOSE,
)
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}:\d{2})(\.\d{1,6})?)?")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "": operator.eq,
}


@dataclass(frozen=True)
class Term:
    """One `field:value` of a query; `quoted` matters for times."""

    field: str
    comparator: str
    value: str
    quoted: bool


@dataclass(frozen=True)
class Filter:
    """How a search field is compared, by one of _TESTS, and where its value stands in a node."""

    kind: str
    value: Callable[[Node], Any]


@dataclass(frozen=True)
class Search:
    """What a query string means: a test for nodes, and the warnings of `extensions.search`."""

    query: str
    matches: Test
    warnings: list[dict[str, str]]
    terms: list[Term]

    def report(self, path: list[str]) -> dict[str, Any]:
        """Return the entry of `extensions.search`, as the page on search syntax shows it."""
        parsed = [_parsed(term) for term in self.terms]
        shown = parsed[0] if len(parsed) == 1 else {"and": parsed}
        return {"path": path, "query": self.query, "parsed": shown, "warnings": self.warnings}


def search(query: str, filters: Mapping[str, Filter], version: str) -> Search:
    """Read a query string as an API version does.

    A field that isn't in `filters` matches everything and leaves a warning, as Shopify does: "If you specify an invalid
    field, the query is ignored and all results are returned."
    """
    return _Parser(query, filters, version).search()


class _Parser:
    """Recursive descent over the tokens: OR binds loosest, then AND (also unwritten), then NOT, `-` and parentheses."""

    def __init__(self, query: str, filters: Mapping[str, Filter], version: str) -> None:
        self._query, self._filters, self._version = query, filters, version
        self._tokens = list(_TOKEN.finditer(query))
        self._at = 0
        self._warnings: list[dict[str, str]] = []
        self._terms: list[Term] = []

    def search(self) -> Search:
        matches = self._either()
        return Search(self._query, matches, self._warnings, self._terms)

    def _peek(self) -> re.Match[str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _takes(self, *texts: str) -> bool:
        token = self._peek()
        if token and (token["paren"] or token["word"]) in texts:
            self._at += 1
            return True
        return False

    def _either(self) -> Test:
        tests = [self._all()]
        while self._takes("OR"):
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else lambda node: any(test(node) for test in tests)

    def _all(self) -> Test:
        tests: list[Test] = []
        while (token := self._peek()) and token["paren"] != ")" and token["word"] != "OR":
            if not self._takes("AND"):
                tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda node: all(test(node) for test in tests)

    def _one(self) -> Test:
        if self._takes("NOT"):
            test = self._one()
            return lambda node: not test(node)
        if self._takes("("):
            test = self._either()
            self._takes(")")
            return test
        token = self._tokens[self._at]
        self._at += 1
        test = self._term(token)
        return (lambda node: not test(node)) if token["minus"] else test

    def _term(self, token: re.Match[str]) -> Test:
        raw = token["value"] or ""
        quoted = raw[:1] in ("'", '"')
        value = re.sub(r"\\(.)", r"\1", raw[1:-1]) if quoted else raw
        term = Term(token["field"] or "default", token["op"] or "", value, quoted)
        self._terms.append(term)
        found = self._filters.get(term.field)
        if found is None:
            self._warnings.append({"field": term.field, "message": INVALID_FIELD, "code": "invalid_field"})
            return lambda _node: True
        return _TESTS[found.kind](term, found.value, self._version)


def _time_test(term: Term, value: Callable[[Node], Any], version: str) -> Test:
    """Compare instants as text: the store keeps them all in one form, UTC with six digits of a fraction.

    Unquoted values count by their date only, offsets are ignored, and since 2026-10 `>` starts after the whole second
    (https://community.shopify.com/t/208519, https://github.com/airbytehq/airbyte/pull/19492, the changelog above).
    """
    found = _TIME.match(term.value)
    if found is None:
        return lambda _node: False
    date, clock, fraction = found.groups() if term.quoted else (found[1], None, None)
    instant = f"{date}T{clock or '00:00:00'}.{(fraction or '.')[1:]:0<6}Z"
    last = f"{date}T{clock or '23:59:59'}{fraction or '.999999'}Z"
    if not term.comparator:
        return lambda node: instant <= (value(node) or "") <= last
    if term.comparator == ">" and clock and not fraction and version >= EXCLUSIVE_SECONDS_SINCE:
        instant = last
    compare = _COMPARE[term.comparator]
    return lambda node: (at := value(node)) is not None and compare(at, instant)


def _number_test(term: Term, value: Callable[[Node], Any], _version: str) -> Test:
    try:
        wanted = Decimal(term.value)
    except InvalidOperation:
        return lambda _node: False
    if not wanted.is_finite():
        return lambda _node: False
    compare = _COMPARE[term.comparator]
    return lambda node: (one := value(node)) is not None and compare(Decimal(one), wanted)


def _text_test(term: Term, value: Callable[[Node], Any], _version: str) -> Test:
    """Compare texts, or any of several, whatever their case; a star at the end takes any ending."""
    wanted = term.value.casefold()

    def matches(node: Node) -> bool:
        found = value(node)
        texts = [str(one).casefold() for one in (found if isinstance(found, list) else [found]) if one is not None]
        if wanted.endswith("*"):
            return any(text.startswith(wanted[:-1]) for text in texts)
        return wanted in texts

    return matches


def _flag_test(term: Term, value: Callable[[Node], Any], _version: str) -> Test:
    wanted = term.value.casefold() == "true"
    return lambda node: bool(value(node)) == wanted


def _day_test(term: Term, value: Callable[[Node], Any], version: str) -> Test:
    """Compare the day alone, as with an unquoted value; `value` is the midnight that a node's day begins with."""
    return _time_test(replace(term, quoted=False), value, version)


def _whole_day_test(term: Term, value: Callable[[Node], Any], version: str) -> Test:
    """Do the same, but let a range have all of its last day."""
    return _day_test(replace(term, comparator="<=" if term.comparator == "<" else term.comparator), value, version)


_TESTS = {
    "time": _time_test,
    "day": _day_test,
    "whole day": _whole_day_test,
    "number": _number_test,
    "text": _text_test,
    "flag": _flag_test,
}
_RANGE = {">=": "gte", ">": "gt", "<=": "lte", "<": "lt"}


def _parsed(term: Term) -> dict[str, Any]:
    if term.comparator:
        return {"field": term.field, "range": {_RANGE[term.comparator]: term.value}}
    return {"field": term.field, "match_all": term.value}
