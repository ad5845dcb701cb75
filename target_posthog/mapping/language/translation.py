"""Translation of expressions into Python source, once per stream.

Pure: takes one expression, or a list or object of them; returns a function from a record to a value. The library's
interpreter walks a syntax tree for each record. Here the kinds of nodes that mappings use are written as Python source,
the others are left to the library. So is a record on which the function fails, because the library's error says which
expression it was. Both give the same values: tests/target/test_translation.py.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any

from jmespath.visitor import TreeInterpreter

from target_posthog.mapping.language.functions import FUNCTIONS, JSON
from target_posthog.mapping.language.interpreter import Parsed, interpreted, is_true, library

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    Value = Callable[[Any], JSON]

RECORD = "record"  # the name under which the source knows the record
FUNCTION = """
def value(record):
    try:
        return {source}
    except (AttributeError, TypeError, ValueError):
        return again(record)
"""


def function_of(spec: JSON) -> Value:
    """Return the function that gives for a record the value of a `Parsed`, or a list or an object of such values.

    An object has no entries for values that are null; anything else stands for itself. The function raises ValueError,
    naming the expression and no value, when a function gets a kind of value that it can't take.
    """

    def again(record: JSON) -> JSON:
        return evaluated(spec, record)

    translator = _Translator()
    try:
        source = FUNCTION.format(source=translator.source(spec))
        names = {**translator.names, "again": again}
        exec(_code("".join([*translator.definitions, source])), names)  # noqa: S102  # each text from outside is quoted
    except (SyntaxError, RecursionError, MemoryError):  # nested more deeply than Python reads
        return again
    value: Value = names["value"]
    return value


@lru_cache(maxsize=4096)  # a rule is compiled to be checked, and again for each stream
def _code(source: str) -> CodeType:
    return compile(source, "<expression>", "exec")


def evaluated(spec: JSON, record: JSON) -> JSON:
    """Return by the library's interpreter what `function_of` would; raises ValueError as that does."""
    if isinstance(spec, Parsed):
        return interpreted(spec, record)
    if isinstance(spec, dict):
        values = ((name, evaluated(entry, record)) for name, entry in spec.items())
        return {name: value for name, value in values if value is not None}
    return [evaluated(item, record) for item in spec] if isinstance(spec, list) else spec


def flat(value: JSON) -> JSON:
    """Return a list with the elements of its lists in their places; null for anything else."""
    if not isinstance(value, list):
        return None
    return [inner for item in value for inner in (item if isinstance(item, list) else (item,))]


def element(value: JSON, index: int) -> JSON:
    """Return an element of a list, from its end if the index is negative; null if there is none."""
    return value[index] if isinstance(value, list) and -len(value) <= index < len(value) else None


class _Translator:
    """Writes the source of each kind of node that has a method of its name; the library evaluates the others.

    Each method takes a node, its children and the name of the variable of what the node is asked of.
    """

    def __init__(self) -> None:
        self.definitions: list[str] = []
        self.names: dict[str, JSON] = {
            **FUNCTIONS,
            "element": element,
            "equal": TreeInterpreter.COMPARATOR_FUNC["eq"],
            "flat": flat,
            "is_true": is_true,
        }
        self._numbers = count()

    def source(self, spec: JSON) -> str:
        """Return the source of what `function_of` takes."""
        if isinstance(spec, Parsed):
            return self._of(spec.tree, RECORD)
        if isinstance(spec, list):
            return f"[{', '.join(map(self.source, spec))}]"
        return self._object(spec) if isinstance(spec, dict) else self._constant(spec)

    def _object(self, spec: dict[str, JSON]) -> str:
        """Define a function for an object, so that a null costs a look and no place; return its call."""
        name = self._new("object")
        entries = "".join(
            f"    if (value := {self.source(entry)}) is not None:\n        made[{key!r}] = value\n"
            for key, entry in spec.items()
        )
        self.definitions.append(f"\ndef {name}({RECORD}):\n    made = {{}}\n{entries}    return made\n")
        return f"{name}({RECORD})"

    def _new(self, prefix: str = "value") -> str:
        return f"{prefix}{next(self._numbers)}"

    def _constant(self, value: JSON) -> str:
        if value is None or isinstance(value, (str, bool, int)):
            return repr(value)
        name = self._new("constant")
        self.names[name] = value
        return name

    def _of(self, tree: JSON, scope: str) -> str:
        write: Callable[[JSON, list[JSON], str], str] = getattr(self, tree["type"], self._by_library)
        return write(tree, tree["children"], scope)

    def _by_library(self, tree: JSON, _: list[JSON], scope: str) -> str:
        return f"{self._constant(lambda value: library.visit(tree, value))}({scope})"

    def _true(self, tree: JSON, scope: str) -> tuple[str, str]:
        """Return the source of whether a value is true, and the name of the variable that has the value then."""
        name = self._new()
        return f"(({name} := {self._of(tree, scope)}) or is_true({name}))", name

    def _condition(self, tree: JSON, scope: str) -> str:
        """Return the source of whether a value is true, where nothing asks for the value itself."""
        children = tree["children"]
        if tree["type"] in ("and_expression", "or_expression"):
            left, right = (self._condition(child, scope) for child in children)
            return f"({left} {tree['type'].partition('_')[0]} {right})"
        if tree["type"] == "not_expression":
            return f"(not {self._condition(children[0], scope)})"
        is_compared = tree["type"] == "comparator" and tree["value"] in {"eq", "ne"}
        return self._of(tree, scope) if is_compared else self._true(tree, scope)[0]

    def field(self, tree: JSON, _: list[JSON], scope: str) -> str:
        found = f"{scope}.get({tree['value']!r})"
        return found if scope == RECORD else f"({found} if isinstance({scope}, dict) else None)"

    def literal(self, tree: JSON, _: list[JSON], __: str) -> str:
        return self._constant(tree["value"])

    def current(self, _: JSON, __: list[JSON], scope: str) -> str:
        return scope

    identity = current

    def subexpression(self, _: JSON, children: list[JSON], scope: str) -> str:
        source = self._of(children[0], scope)
        for child in children[1:]:
            name = self._new()
            if child["type"] == "field":
                source = f"({name}.get({child['value']!r}) if isinstance({name} := {source}, dict) else None)"
            elif child["type"] == "index":
                source = f"element({source}, {child['value']})"
            else:
                source = f"({name} := {source}, {self._of(child, name)})[1]"
        return source

    index_expression = pipe = subexpression

    def function_expression(self, tree: JSON, children: list[JSON], scope: str) -> str:
        if tree["value"] not in FUNCTIONS:
            return self._by_library(tree, children, scope)
        return f"{tree['value']}({', '.join(self._of(child, scope) for child in children)})"

    def or_expression(self, _: JSON, children: list[JSON], scope: str) -> str:
        true, left = self._true(children[0], scope)
        return f"({left} if {true} else {self._of(children[1], scope)})"

    def and_expression(self, _: JSON, children: list[JSON], scope: str) -> str:
        true, left = self._true(children[0], scope)
        return f"({self._of(children[1], scope)} if {true} else {left})"

    def not_expression(self, _: JSON, children: list[JSON], scope: str) -> str:
        return f"(not {self._condition(children[0], scope)})"

    def comparator(self, tree: JSON, children: list[JSON], scope: str) -> str:
        if tree["value"] not in {"eq", "ne"}:
            return self._by_library(tree, children, scope)
        left, right = (self._of(child, scope) for child in children)
        if any(child["type"] == "literal" and isinstance(child["value"], str) for child in children):
            return f"({left} {'==' if tree['value'] == 'eq' else '!='} {right})"
        return f"({'not ' * (tree['value'] == 'ne')}equal({left}, {right}))"

    def multi_select_dict(self, _: JSON, children: list[JSON], scope: str) -> str:
        parts = (f"{child['value']!r}: {self._of(child['children'][0], scope)}" for child in children)
        return f"(None if {scope} is None else {{{', '.join(parts)}}})"

    def flatten(self, _: JSON, children: list[JSON], scope: str) -> str:
        return f"flat({self._of(children[0], scope)})"

    def projection(self, _: JSON, children: list[JSON], scope: str) -> str:
        """Write a projection, or one with a filter: its base, what is asked of each element, and the condition."""
        base, rest, *conditions = children
        items, item, found = self._new(), self._new(), self._new()
        condition = "".join(f" if {self._condition(node, item)}" for node in conditions)
        return (
            f"([{found} for {item} in {items}{condition} if ({found} := {self._of(rest, item)}) is not None]"
            f" if isinstance({items} := {self._of(base, scope)}, list) else None)"
        )

    filter_projection = projection
