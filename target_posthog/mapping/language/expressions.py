"""Expressions of the mapping: JMESPath (https://jmespath.org) with the functions of `functions.py`.

Pure: takes a text, then a record, and returns its value, or what is wrong with the text. An expression can be checked
against a stream's JSON schema before there is any record.
"""

from __future__ import annotations

import inspect
import re
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.visitor import Visitor
from typing_extensions import override

from target_posthog.errors import did_you_mean
from target_posthog.mapping.language.functions import FUNCTIONS, JSON
from target_posthog.mapping.language.growth import growth
from target_posthog.mapping.language.interpreter import Parsed
from target_posthog.mapping.language.translation import function_of

if TYPE_CHECKING:
    from collections.abc import Callable

Schema = dict[str, JSON]
LONGEST = 4_000  # characters; deeper nesting than they allow is beyond Python
MOST_COPIES = 1_000  # of a value that an expression is given, in the value that it makes
MOST_BRANCHES = 100  # of a schema that are looked at; with more it may be anything
FIELD_NAME = re.compile(r"[^\"'`()\[\]{}|&@=<>]+")  # what could be one, or several with dots between them
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
DASHED = re.compile(r"[A-Za-z_]\w*(-\w+)+")
SHOWN = 60  # characters of an expression that is too long to show
ANYTHING: Schema = {}  # the schema of a value of which nothing is known
LISTS_OF_THE_SAME = frozenset(("first_per", "rest_per", "sort", "sort_by", "reverse"))  # whose elements are the list's
CHOICES = ("anyOf", "oneOf", "allOf")
UNREAD = frozenset(("$ref", "$dynamicRef", "$recursiveRef", "then", "else", "dependentSchemas", "dependencies"))


class ExpressionError(ValueError):
    """An expression that can't be read, or asks for what a stream doesn't have; the text is one sentence."""


class Expression:
    """An expression that was read, `parsed`; `value` gives its value for a record, as `function_of` says.

    Raises `ExpressionError` when the text is no JMESPath or calls an unknown function.
    """

    def __init__(self, text: str) -> None:
        self.parsed = _parsed(text)

    @cached_property
    def value(self) -> Callable[[JSON], JSON]:
        """The function that gives the expression's value for a record."""
        return function_of(self.parsed)

    def shape(self, schema: Schema, *, lenient: bool = False, missing: dict[str, str] | None = None) -> Schema:
        """Return the schema of the value; raises `ExpressionError` if it names a field that the schema lacks.

        With `lenient` it is enough if one side of each `||`, and one argument of each not_null(), has its fields. An
        entry of an object within a list may lack its field if `missing` is there to be told which, and why.
        """
        shape: Schema = _Shapes(self.parsed.text, lenient=lenient, missing=missing).visit(self.parsed.tree, schema)
        return shape


@lru_cache(maxsize=4096)  # a rule is compiled to be checked, and again for each stream
def _parsed(text: str) -> Parsed:
    if len(text) > LONGEST:
        raise ExpressionError(f"`{text[:SHOWN]}...` is longer than {LONGEST:,} characters")
    try:
        parsed = Parsed(text, jmespath.compile(text).parsed)
        copies = growth(parsed.tree)
        _Shapes(text, lenient=False).visit(parsed.tree, ANYTHING)
    except JMESPathError as error:
        problem = str(error).splitlines()[0].rstrip(":.")
        raise ExpressionError(f"`{text}` is no JMESPath expression ({problem}){_quoting(text)}") from None
    except RecursionError:
        raise ExpressionError(f"`{text[:SHOWN]}...` is nested too deeply") from None
    except ExpressionError:
        raise
    except ValueError:  # a number of thousands of digits
        raise ExpressionError(f"`{text[:SHOWN]}...` is no JMESPath expression") from None
    if copies > MOST_COPIES:
        raise ExpressionError(
            f"`{text[:SHOWN]}...` would repeat what it is given more than {MOST_COPIES:,} times: make it simpler"
        )
    return parsed


def _quoting(text: str) -> str:
    """Return how to write a field's name that JMESPath doesn't take as it is, as the end of a sentence."""
    dashed = DASHED.search(text)
    if FIELD_NAME.fullmatch(text):
        parts = [part if IDENTIFIER.fullmatch(part) else f'"{part}"' for part in text.split(".")]
        written = ".".join(parts)
    elif dashed:
        written = f'"{dashed[0]}"'
    else:
        return ""
    return (
        f"; a field's name with blanks, dashes or the like stands in double quotes, within those of YAML: '{written}'"
    )


class _Shapes(Visitor):
    """Walks an expression with a schema in the record's place and returns the schema of the value."""

    def __init__(self, text: str, *, lenient: bool, missing: dict[str, str] | None = None) -> None:
        super().__init__()
        self._missing = missing
        self._text = text
        self._lenient = lenient

    @override
    def default_visit(self, node: JSON, schema: Schema) -> Schema:  # type: ignore[override]  # the base has no result
        children: list[JSON] = node["children"]
        for child in children:
            self.visit(child, schema)
        return ANYTHING

    def visit_field(self, node: JSON, schema: Schema) -> Schema:
        properties = _properties(schema)
        if properties is None or node["value"] in properties:
            found = (properties or {}).get(node["value"])
            return found if isinstance(found, dict) else ANYTHING  # `true` allows anything, too
        raise ExpressionError(
            f"`{self._text}`: there is no field `{node['value']}`{did_you_mean(node['value'], properties)}"
        )

    def _chain(self, node: JSON, schema: Schema) -> Schema:
        for child in node["children"]:
            schema = self.visit(child, schema)
        return schema

    visit_index_expression = visit_pipe = _chain

    def visit_subexpression(self, node: JSON, schema: Schema) -> Schema:
        if node["children"][0]["type"] == "not_expression":
            raise ExpressionError(f"`{self._text}`: `!a.b` means `(!a).b`, which is nothing; write `!(a.b)`")
        return self._chain(node, schema)

    def visit_current(self, node: JSON, schema: Schema) -> Schema:  # noqa: ARG002  # a visitor's arguments
        return schema

    visit_identity = visit_slice = visit_current

    def visit_index(self, node: JSON, schema: Schema) -> Schema:  # noqa: ARG002  # the same
        return items_of(schema)

    def visit_flatten(self, node: JSON, schema: Schema) -> Schema:
        items = items_of(self.visit(node["children"][0], schema))
        return items if "items" in items else {"type": "array", "items": items}

    def visit_projection(self, node: JSON, schema: Schema) -> Schema:
        base, rest, *conditions = node["children"]
        items = items_of(self.visit(base, schema))
        for condition in conditions:
            self.visit(condition, items)
        return {"type": "array", "items": self.visit(rest, items)}

    visit_filter_projection = visit_projection

    def visit_value_projection(self, node: JSON, schema: Schema) -> Schema:
        base, rest = node["children"]
        self.visit(base, schema)
        self.visit(rest, ANYTHING)
        return {"type": "array", "items": ANYTHING}

    def visit_multi_select_dict(self, node: JSON, schema: Schema) -> Schema:
        shapes = {child["value"]: self._shape_or_error(child["children"][0], schema) for child in node["children"]}
        errors = {name: shape for name, shape in shapes.items() if isinstance(shape, ExpressionError)}
        for name, error in errors.items():
            if self._missing is None or len(errors) == len(shapes):
                raise error
            self._missing[name] = str(error)
        return {"type": "object", "properties": {name: shapes[name] for name in shapes if name not in errors}}

    def visit_or_expression(self, node: JSON, schema: Schema) -> Schema:
        return self._choice(node["children"], schema)

    def _choice(self, children: list[JSON], schema: Schema) -> Schema:
        """Return the schema of the first value among several expressions'."""
        found = [self._shape_or_error(child, schema) for child in children]
        shapes = [shape for shape in found if not isinstance(shape, ExpressionError)]
        for shape in found:
            if isinstance(shape, ExpressionError) and not (self._lenient and shapes):
                raise shape
        return {"anyOf": shapes}

    def _shape_or_error(self, node: JSON, schema: Schema) -> Schema | ExpressionError:
        try:
            shape: Schema = self.visit(node, schema)
        except ExpressionError as error:
            return error
        return shape

    def visit_function_expression(self, node: JSON, schema: Schema) -> Schema:
        name, arguments = node["value"], node["children"]
        _check_call(self._text, name, len(arguments))
        if name == "not_null":
            return self._choice(arguments, schema)
        shapes = [self.visit(argument, schema) for argument in arguments if argument["type"] != "expref"]
        for argument in arguments:
            if argument["type"] == "expref":  # `&price` in sort_by(products, &price): of each element
                self.visit(argument["children"][0], items_of(shapes[0]) if shapes else ANYTHING)
        if name == "find":
            return items_of(shapes[0])
        return shapes[0] if name in LISTS_OF_THE_SAME and shapes else ANYTHING


def _check_call(text: str, name: str, arguments: int) -> None:
    if name in FUNCTIONS:
        kinds = inspect.signature(FUNCTIONS[name]).parameters.values()
        fewest = len(kinds)
        variadic = any(kind.kind is kind.VAR_POSITIONAL for kind in kinds)
    elif name in Functions.FUNCTION_TABLE:
        wanted = Functions.FUNCTION_TABLE[name]["signature"]
        fewest, variadic = len(wanted), bool(wanted and wanted[-1].get("variadic"))
    else:
        known = (*FUNCTIONS, *Functions.FUNCTION_TABLE)
        raise ExpressionError(f"`{text}`: there is no function {name}(){did_you_mean(name, known)}")
    if arguments < fewest or (arguments > fewest and not variadic):
        raise ExpressionError(f"`{text}`: {name}() takes {fewest} argument{'s' * (fewest != 1)}, not {arguments}")


def _branches(schema: Schema) -> list[Schema]:
    """Return the schemas among which a value may choose, with what stands beside them.

    What isn't read is anything, and so is a choice among too many.
    """
    found: list[Schema] = []
    waiting: list[JSON] = [schema]
    for _ in range(MOST_BRANCHES):
        if not waiting:
            return found
        branch = waiting.pop()
        if not isinstance(branch, dict) or not UNREAD.isdisjoint(branch):
            found.append(ANYTHING)
            continue
        choices = [choice for keyword in CHOICES for choice in branch.get(keyword) or ()]
        waiting.extend(reversed(choices))
        if not choices or branch.get("properties"):
            found.append(branch)
    return [ANYTHING] if waiting else found


def _properties(schema: Schema) -> dict[str, Schema] | None:
    """Return the fields that a value can have; None if it can have any: so can an object that names none."""
    fields: dict[str, Schema] = {}
    for branch in _branches(schema):
        types, named = branch.get("type", []), branch.get("properties")
        may_be_object = not types or any(kind == "object" or isinstance(kind, dict) for kind in _listed(types))
        if may_be_object and not named and branch.get("additionalProperties") is not False:
            return None
        if branch.get("additionalProperties") or branch.get("patternProperties"):
            return None
        fields |= named or {}
    return fields


def _listed(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else [value]


def items_of(schema: Schema) -> Schema:
    """Return the schema of a list's elements; anything for a list whose places differ."""
    branches = [branch for branch in _branches(schema) if "prefixItems" not in branch]
    found = [branch["items"] for branch in branches if isinstance(branch.get("items"), dict)]
    return found[0] if len(found) == 1 and len(branches) == len(_branches(schema)) else ANYTHING
