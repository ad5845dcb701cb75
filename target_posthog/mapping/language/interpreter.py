"""Interpreter of expressions: JMESPath's own, with the target's functions.

Pure: takes a parsed expression and a record, returns its value. It is the reference for `translation.py`, and evaluates
what that leaves to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.visitor import Options, TreeInterpreter
from typing_extensions import override

from target_posthog.mapping.language.functions import FUNCTIONS, JSON

if TYPE_CHECKING:
    from collections.abc import Iterable


class Parsed(NamedTuple):
    """An expression: its text, and its syntax tree as the library reads it."""

    text: str
    tree: JSON


class Calls(Functions):
    """The functions that the library's interpreter can call: its own and the target's."""

    @override
    def call_function(self, function_name: str, resolved_args: Iterable[JSON]) -> JSON:
        """Return a function's value; raises ValueError, or JMESPath's errors, for arguments that it can't take."""
        if function_name not in FUNCTIONS:
            return super().call_function(function_name, resolved_args)
        try:
            return FUNCTIONS[function_name](*resolved_args)
        except ValueError as error:
            raise ValueError(f"{function_name}() {error}") from None


library = TreeInterpreter(Options(custom_functions=Calls()))


def interpreted(expression: Parsed, record: JSON) -> JSON:
    """Return an expression's value for a record, null where a fact is missing.

    Raises ValueError, naming the expression and no value, when a function gets a kind of value that it can't take.
    """
    try:
        return library.visit(expression.tree, record)
    except (JMESPathError, TypeError):  # the library compares a text with a number without a look
        raise ValueError(f"`{expression.text}` got a kind of value that a function in it can't take") from None
    except ValueError as error:
        raise ValueError(f"`{expression.text}`: {error}") from None


def is_true(value: JSON) -> bool:
    """Say whether JMESPath takes a value for true: 0 is true; false, null and an empty text, list or object are not."""
    return bool(value) or (value is not False and isinstance(value, (int, float)))
