"""Expressions: their values, and what is found wrong with them before there is any record."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest

from target_posthog.mapping.document import load, shipped_names
from target_posthog.mapping.language.expressions import Expression, ExpressionError
from target_posthog.mapping.language.functions import FUNCTIONS, JSON
from target_posthog.mapping.language.interpreter import library

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": ["integer"]},
        "email": {"type": ["null", "string"]},
        "tags": {"type": ["null", "array"], "items": {"type": "string"}},
        "customer": {"type": ["null", "object"], "properties": {"id": {"type": "integer"}, "opted_out": {}}},
        "lines": {
            "type": ["null", "array"],
            "items": {"type": "object", "properties": {"price": {"type": "string"}, "sku": {"type": "string"}}},
        },
        "either": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"a": {"type": "string"}}}]},
        "extra": {"type": "object"},
        "open": {"type": "object", "properties": {"a": {}}, "additionalProperties": True},
    },
}
RECORD = {
    "id": 0,
    "email": " A@b.c",
    "tags": ["x", "y"],
    "customer": {"id": 7, "opted_out": False},
    "lines": [{"price": "0.10", "sku": "a"}, {"price": "0.20", "sku": None}, {"sku": "c"}],
    "either": None,
    "extra": {},
    "nested": [[1], [2, 3], 4],
}
EXPRESSIONS = [
    "id",
    "email || id",
    "missing || id",
    "id && email",
    "!id",
    "!missing",
    "!(customer.opted_out) && email",
    "!extra",
    "extra || `false`",
    "id == `0`",
    "id != `false`",
    "id >= `0`",
    "customer.id.x",
    "lines[].sku",
    "lines[0].price",
    "lines[-1].price",
    "lines[9]",
    "lines[*].{sku: sku, p: price}",
    "lines[?sku == 'a' || price == '0.20'].price | [0]",
    "lines[?price].sku",
    "customer[].id",
    "nested[]",
    "nested[][]",
    "missing[].sku",
    "missing.{a: b}",
    "[id, email]",
    "customer.*",
    "lines[1:]",
    "'text'",
    '`{"a": 1}`',
    "@.id",
    "length(tags)",
    "join(', ', tags)",
    "sort_by(lines[?price], &price)[0].sku",
    "lines[].not_null(price, sku)",
    "contains(tags, 'x')",
    '"id"',
]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_has_the_value_that_jmespath_gives_it(text: str) -> None:
    assert Expression(text).value(RECORD) == jmespath.search(text, RECORD)


def expressions_in(said: JSON) -> list[str]:
    if isinstance(said, str):
        return [said]
    parts = said.values() if isinstance(said, dict) else said if isinstance(said, list) else []
    return [text for part in parts for text in expressions_in(part)]


@pytest.mark.parametrize("name", shipped_names())
@pytest.mark.parametrize("record", [RECORD, {}, {"note_attributes": [{"name": "_posthog_session_id", "value": "x"}]}])
def test_shipped_expressions_have_the_value_that_the_library_gives_them(name: str, record: dict[str, Any]) -> None:
    rules = [rule for rules in load(name)["streams"].values() for rule in rules]
    kept = ("when", "for_each", "distinct_id", "timestamp", "key", "properties", "set", "person_profile", "session_id")
    texts = [text for rule in rules for key in kept for text in expressions_in(rule.get(key))]
    assert texts
    for text in texts:
        assert Expression(text).value(record) == library.visit(jmespath.compile(text).parsed, record), text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("emial", "`emial`: there is no field `emial`; did you mean `email`?"),
        ("customer.idd", "there is no field `idd`; did you mean `id`?"),
        ("lines[].prise", "there is no field `prise`; did you mean `price`?"),
        ("lines.price", "there is no field `price`"),
        ("lines[?skuu == 'a']", "there is no field `skuu`; did you mean `sku`?"),
        ("lines[].{p: prize}", "there is no field `prize`; did you mean `price`?"),
        ("sort_by(lines, &prize)", "there is no field `prize`; did you mean `price`?"),
        ("total(lines[].prize)", "there is no field `prize`; did you mean `price`?"),
        ("email.domain", "there is no field `domain`"),
        ("either.b", "there is no field `b`"),
        ("(email || customer).x", "there is no field `x`"),
        ("(lines[0] | price) || oops", "there is no field `oops`"),
        ("!customer.opted_out", "`!a.b` means `(!a).b`, which is nothing; write `!(a.b)`"),
        ("nmber(id)", "there is no function nmber(); did you mean `number`?"),
        ("lower(email, id)", "lower() takes 1 argument, not 2"),
        ("minus(id)", "minus() takes 2 arguments, not 1"),
        ("length()", "length() takes 1 argument, not 0"),
        ("lines[", "`lines[` is no JMESPath expression"),
    ],
)
def test_a_wrong_expression_is_found_before_any_record(text: str, problem: str) -> None:
    with pytest.raises(ExpressionError) as wrong:
        Expression(text).shape(SCHEMA)
    assert problem in str(wrong.value)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "open.b",
            "extra.anything.at_all",
            "either.a",
            "lines[].{p: price}[].p",
            "keys(@)",
            "concat(email, id, tags[0])",
        ),
        *("sort_by(lines, &price)[0].sku", "customer.opted_out.anything", "lines[*].sku | [0]", "map(&sku, lines)"),
    ],
)
def test_an_expression_that_may_have_a_value_passes(text: str) -> None:
    Expression(text).shape(SCHEMA)


def test_an_expression_of_thousands_of_parts_is_refused() -> None:
    with pytest.raises(
        ExpressionError, match=r"`id \|\| .*\.\.\.` is (nested too deeply|longer than 4,000 characters)"
    ):
        Expression(" || ".join(["id"] * 2_000))


def test_a_wrong_kind_of_value_is_reported_without_the_value() -> None:
    for text in ("number(email)", "length(id)", "join(email, tags)", "email < id"):
        with pytest.raises(ValueError, match="`") as wrong:
            Expression(text).value({"email": "jane@example.com", "id": 5, "tags": [1]})
        assert "jane" not in str(wrong.value)


def test_each_function_has_a_sentence_for_the_documents() -> None:
    assert all((function.__doc__ or "").startswith("Return ") for function in FUNCTIONS.values())
