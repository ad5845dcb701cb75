"""An expression's value is the one that JMESPath's own interpreter gives, for any expression and any record."""

from __future__ import annotations

import json
from inspect import signature
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target_posthog.mapping.language.expressions import Expression, ExpressionError
from target_posthog.mapping.language.functions import FUNCTIONS, normal_time
from target_posthog.mapping.language.interpreter import interpreted
from tests.properties.values import SCALARS, TEXTS, VALUES

NAMES = ("a", "b", "id", "email", "item")
RECORDS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5)
LITERALS = SCALARS.map(lambda value: "`" + json.dumps(value).replace("`", "\\`") + "`")
LEAVES = st.one_of(st.sampled_from([*NAMES, "@", "a.b", "a[]", "a[*].b", "a[0]", "a[-1]", "'x'"]), LITERALS)


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def call(name: str, one: str, other: str) -> str:
        return f"{name}({one}, {other})"

    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["||", "&&", "==", "!=", "<", ">=", "|"]), inner),
        st.builds("!{}".format, inner),
        st.builds("a[?{}]".format, inner),
        st.builds("a[?{}].b | [0]".format, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{x: {}, y: {}}}".format, inner, inner),
        st.builds("{}({})".format, st.sampled_from([*FUNCTIONS, "length", "to_string", "sum", "keys"]), inner),
        st.builds(call, st.sampled_from(["concat", "minus", "plus", "contains", "days_between"]), inner, inner),
    )


def value_of(evaluate: Any, *given: Any) -> Any:
    try:
        return json.dumps(evaluate(*given), sort_keys=True)
    except ValueError:
        return ValueError


@given(st.recursive(LEAVES, grown, max_leaves=5), RECORDS)
def test_a_translated_expression_means_what_jmespath_says(text: str, record: dict[str, Any]) -> None:
    try:
        expression = Expression(text)
    except ExpressionError:
        return
    assert value_of(expression.value, record) == value_of(interpreted, expression.parsed, record)


@given(st.text(max_size=30))
def test_any_text_is_an_expression_or_a_sentence(text: str) -> None:
    try:
        Expression(text)
    except ExpressionError as error:
        assert str(error)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(first=VALUES, second=VALUES)
@example(first="-1e9999999999", second="USD")
@example(first=1e300, second=None)
@example(first="0001-01-01T00:00:00+14:00", second="9999-12-31T23:59:59-12:00")
def test_a_function_gives_a_value_or_a_sentence(name: str, first: Any, second: Any) -> None:
    evaluate = FUNCTIONS[name]
    given_ = (first, second, first)[: len(signature(evaluate).parameters)] if name != "concat" else (first, second)
    try:
        json.dumps(evaluate(*given_), allow_nan=False)
    except ValueError as error:
        assert str(error)


@given(TEXTS | VALUES)
@example("0001-01-01T00:00:00+14:00")
@example("9999-12-31T23:59:59-12:00")
def test_a_time_is_written_in_utc_or_gets_a_sentence(value: Any) -> None:
    try:
        assert normal_time(value).endswith("Z")
    except ValueError as error:
        assert str(error)
