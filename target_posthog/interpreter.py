"""A syntax tree of JMESPath becomes a function, in: the tree; out: a function from a record to a value.

Pure, and knows no rule. The library's interpreter walks the tree for each record; here the kinds of which a mapping
consists are put together once, which is four times as fast, and the library is asked for all others. Both give the same
values: tests/target/test_expressions.py compares them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.visitor import Options, TreeInterpreter

from target_posthog.functions import FUNCTIONS, JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Value = Callable[[JSON], JSON]


class Calls(Functions):
    """The functions that the library's interpreter can call: its own and the target's."""

    def call_function(self, function_name: str, resolved_args: Iterable[JSON]) -> JSON:
        """Return a function's value; raises ValueError, or JMESPath's errors, for arguments that it can't take."""
        if function_name not in FUNCTIONS:
            return super().call_function(function_name, resolved_args)
        try:
            return FUNCTIONS[function_name](*resolved_args)
        except ValueError as error:
            raise ValueError(f"{function_name}() {error}") from None


library = TreeInterpreter(Options(custom_functions=Calls()))


def function_of(tree: JSON, text: str) -> Value:
    """Return the function that gives an expression's value for a record, null where a fact is missing.

    It raises ValueError, naming `text` and no value, when a function gets a kind of value that it can't take.
    """
    return _Builder(text).of(tree)


def is_true(value: JSON) -> bool:
    """Say whether JMESPath takes a value for true: 0 is true; false, null and an empty text, list or object are not."""
    return bool(value) or (value is not False and isinstance(value, (int, float)))


class _Builder:
    """Builds the function of each kind of node that has a method of its name; the library evaluates the others."""

    def __init__(self, text: str) -> None:
        self._text = text

    def of(self, tree: JSON) -> Value:
        build: Callable[[JSON, list[JSON]], Value] = getattr(self, tree["type"], self._by_library)
        return build(tree, tree["children"])

    def _all(self, children: list[JSON]) -> list[Value]:
        return [self.of(child) for child in children]

    def _by_library(self, tree: JSON, _: list[JSON]) -> Value:
        def visit(value: JSON) -> JSON:
            try:
                return library.visit(tree, value)
            except (JMESPathError, TypeError):  # the library compares a text with a number without a look
                raise ValueError(f"`{self._text}` got a kind of value that a function in it can't take") from None
            except ValueError as error:
                raise ValueError(f"`{self._text}`: {error}") from None

        return visit

    def field(self, tree: JSON, _: list[JSON]) -> Value:
        name = tree["value"]

        def get(value: JSON) -> JSON:
            try:
                return value.get(name)
            except AttributeError:
                return None

        return get

    def literal(self, tree: JSON, _: list[JSON]) -> Value:
        constant = tree["value"]
        return lambda _: constant

    def current(self, _: JSON, __: list[JSON]) -> Value:
        return lambda value: value

    identity = current

    def subexpression(self, _: JSON, children: list[JSON]) -> Value:
        first, *rest = self._all(children)
        if len(rest) == 1:
            (second,) = rest
            return lambda value: second(first(value))

        def walk(value: JSON) -> JSON:
            for one in (first, *rest):
                value = one(value)
            return value

        return walk

    index_expression = pipe = subexpression

    def function_expression(self, tree: JSON, children: list[JSON]) -> Value:
        name = tree["value"]
        if name not in FUNCTIONS:
            return self._by_library(tree, children)
        function, (first, *rest) = FUNCTIONS[name], self._all(children)

        def call(value: JSON) -> JSON:
            argument, others = first(value), [one(value) for one in rest]
            try:
                return function(argument, *others)
            except ValueError as error:
                raise ValueError(f"`{self._text}`: {name}() {error}") from None

        def call_with_one(value: JSON) -> JSON:
            argument = first(value)
            try:
                return function(argument)
            except ValueError as error:
                raise ValueError(f"`{self._text}`: {name}() {error}") from None

        return call if rest else call_with_one

    def or_expression(self, _: JSON, children: list[JSON]) -> Value:
        left, right = self._all(children)

        def either(value: JSON) -> JSON:
            found = left(value)
            return found if is_true(found) else right(value)

        return either

    def and_expression(self, _: JSON, children: list[JSON]) -> Value:
        left, right = self._all(children)

        def both(value: JSON) -> JSON:
            found = left(value)
            return right(value) if is_true(found) else found

        return both

    def not_expression(self, _: JSON, children: list[JSON]) -> Value:
        (child,) = self._all(children)
        return lambda value: not is_true(child(value))

    def comparator(self, tree: JSON, children: list[JSON]) -> Value:
        if tree["value"] not in {"eq", "ne"}:
            return self._by_library(tree, children)
        left, right = self._all(children)
        compare = TreeInterpreter.COMPARATOR_FUNC[tree["value"]]
        return lambda value: compare(left(value), right(value))

    def multi_select_dict(self, _: JSON, children: list[JSON]) -> Value:
        parts = [(child["value"], self.of(child["children"][0])) for child in children]
        return lambda value: None if value is None else {name: part(value) for name, part in parts}

    def flatten(self, _: JSON, children: list[JSON]) -> Value:
        (base,) = self._all(children)

        def flat(value: JSON) -> JSON:
            found = base(value)
            if not isinstance(found, list):
                return None
            return [inner for one in found for inner in (one if isinstance(one, list) else (one,))]

        return flat

    def projection(self, _: JSON, children: list[JSON]) -> Value:
        base, rest, *condition = self._all(children)

        def each(value: JSON) -> JSON:
            found = base(value)
            if not isinstance(found, list):
                return None
            if condition:
                found = [one for one in found if is_true(condition[0](one))]
            return [part for one in found if (part := rest(one)) is not None]

        return each

    filter_projection = projection
