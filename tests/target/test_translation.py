"""An expression that became Python has the value that the library's interpreter gives it, whatever the record."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_posthog.mapping.language.interpreter import Parsed, interpreted
from target_posthog.mapping.language.translation import evaluated, function_of

if TYPE_CHECKING:
    from target_posthog.mapping.language.functions import JSON

NAMES = ["a", "b", "c", "item", "x y", "q\"uo'te", "back\\slash", "new\nline", "é", "record", "value0", "is_true"]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.floats(-2, 2), st.sampled_from(["", "a", "7", "2026-11-01"])
)


def parsed(text: str) -> Parsed:
    return Parsed(text, jmespath.compile(text).parsed)


def quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def values(inner: st.SearchStrategy[JSON]) -> st.SearchStrategy[JSON]:
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=4))


def larger(smaller: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Make an expression of smaller ones, in each of the ways that the language has."""
    name = st.sampled_from(NAMES).map(quoted)
    return st.one_of(
        st.tuples(smaller, name).map(lambda one: f"{one[0]}.{one[1]}"),
        st.tuples(smaller, st.integers(-2, 2)).map(lambda one: f"({one[0]})[{one[1]}]"),
        st.tuples(smaller, smaller).map(lambda one: f"({one[0]}) | ({one[1]})"),
        st.tuples(smaller, st.sampled_from(["||", "&&", "==", "!=", "<"]), smaller).map(
            lambda one: f"({one[0]} {one[1]} {one[2]})"
        ),
        smaller.map(lambda one: f"!({one})"),
        st.tuples(smaller, name).map(lambda one: f"({one[0]})[].{one[1]}"),
        st.tuples(smaller, name).map(lambda one: f"({one[0]})[*].{one[1]}"),
        smaller.map(lambda one: f"({one})[][]"),
        smaller.map(lambda one: f"({one}).*"),
        st.tuples(smaller, smaller).map(lambda one: f"({one[0]})[?{one[1]}]"),
        st.tuples(name, smaller, smaller).map(lambda one: f"({one[1]}).{{{one[0]}: {one[2]}, n: @}}"),
        st.tuples(smaller, smaller).map(lambda one: f"[{one[0]}, {one[1]}]"),
        st.tuples(st.sampled_from(["number", "lower", "trim", "uuid", "total", "length", "type"]), smaller).map(
            lambda one: f"{one[0]}({one[1]})"
        ),
        st.tuples(st.sampled_from(["concat", "minus", "plus", "divide", "not_null"]), smaller, smaller).map(
            lambda one: f"{one[0]}({one[1]}, {one[2]})"
        ),
        st.tuples(st.sampled_from(["first_per", "rest_per"]), smaller).map(lambda one: f"{one[0]}({one[1]}, 'a')"),
        st.tuples(smaller, smaller).map(lambda one: f"find({one[0]}, 'a', {one[1]})"),
    )


EXPRESSIONS = st.recursive(
    st.one_of(
        st.sampled_from(NAMES).map(quoted),
        st.sampled_from(["@", "a[0]", "b[].c", "'a'", "'7'", "`0`", "`1`", "`false`", "`[]`", "`0.5`", "`null`"]),
    ),
    larger,
    max_leaves=6,
)
RECORDS = st.dictionaries(st.sampled_from(NAMES), st.recursive(SCALARS, values, max_leaves=12), max_size=5)


def outcome(function: Any, *arguments: JSON) -> str:
    """Return the value, or the error's sentence; as text, because 0, 0.0 and false are equal in Python."""
    try:
        return repr(function(*arguments))
    except ValueError as error:
        return str(error)


@given(EXPRESSIONS, RECORDS)
def test_a_function_gives_what_the_library_gives(text: str, record: dict[str, JSON]) -> None:
    expression = parsed(text)
    assert outcome(function_of(expression), record) == outcome(interpreted, expression, record)


@given(st.dictionaries(st.sampled_from(NAMES), EXPRESSIONS, max_size=3), st.lists(EXPRESSIONS, max_size=2), RECORDS)
def test_objects_and_lists_are_evaluated_part_by_part(
    entries: dict[str, str], listed: list[str], record: dict[str, JSON]
) -> None:
    said = {**{name: parsed(text) for name, text in entries.items()}, "list": [parsed(text) for text in listed]}
    assert outcome(function_of(said), record) == outcome(evaluated, said, record)


@given(EXPRESSIONS, st.recursive(SCALARS, values, max_leaves=6))
def test_what_is_no_record_is_no_error(text: str, value: JSON) -> None:
    expression = parsed(text)
    assert outcome(function_of(expression), value) == outcome(interpreted, expression, value)


def test_null_entries_of_an_object_are_left_out_and_plain_values_stay() -> None:
    said = {"a": parsed("a"), "b": parsed("b"), "inner": {"b": parsed("b")}, "yes": True, "half": 0.5, "no": None}
    assert function_of(said)({"a": False}) == {"a": False, "inner": {}, "yes": True, "half": 0.5}


@pytest.mark.parametrize("text", ["`NaN`", "`Infinity`", '`{"a": [1, null]}`', "`1e400`", "`-0.0`"])
def test_a_literal_keeps_its_value(text: str) -> None:
    found, expected = function_of(parsed(text))({}), jmespath.compile(text).parsed["value"]
    assert repr(found) == repr(expected)
    assert math.isnan(found) if text == "`NaN`" else found == expected


@pytest.mark.parametrize("depth", [30, 150])
def test_an_expression_may_be_nested_more_deeply_than_python_reads(depth: int) -> None:
    record = {"last": "found"}
    assert function_of(parsed(" || ".join([*["missing"] * depth, "last"])))(record) == "found"
    assert function_of(parsed("(" * depth + "last" + ")" * depth))(record) == "found"


def test_a_failure_names_its_expression_and_no_value() -> None:
    said = {"fine": parsed("a"), "wrong": [parsed("a"), parsed("number(a)")]}
    with pytest.raises(ValueError, match=r"^`number\(a\)`: number\(\) needs a number$"):
        function_of(said)({"a": "jane@example.com"})
