"""Compiler of a rule's values: each becomes a function of a record.

Pure: takes expressions as data and a stream's schema, returns functions. It knows neither what the keys of a rule mean
nor any event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.errors import RuleError
from target_posthog.mapping.language.expressions import Expression, ExpressionError, Schema, items_of
from target_posthog.mapping.language.translation import function_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_posthog.mapping.language.functions import JSON

    Record = Mapping[str, JSON]
    Value = Callable[[Record], JSON]

DELETED_AT = "_sdc_deleted_at"  # https://sdk.meltano.com/en/latest/implementation/record_metadata.html


class Shipped(str):
    """An expression of a mapping that comes with the target, which does without fields that a stream lacks."""

    __slots__ = ()


class Compiler:
    """Compiles what a rule says into functions of a record, and checks it against the stream's schema.

    `missing` names what a shipped rule does without because the stream has no field for it, each with the reason.
    """

    def __init__(self, place: str, schema: Schema, remedy: str = "") -> None:
        self._place = place
        self._remedy = remedy
        self._schema = schema
        self.missing: dict[str, str] = {}

    def go_into(self, items: Expression) -> None:
        """Let `item` be an element of that list from now on."""
        if self._schema:
            item = items_of(items.shape(self._schema, lenient=True, missing={}))  # checked before
            self._schema = {**self._schema, "properties": {**self._schema.get("properties", {}), "item": item}}

    def add_text(self, name: str) -> None:
        """Let a name be a text from now on, beside the fields of the stream."""
        if self._schema:
            properties = {**self._schema.get("properties", {}), name: {"type": "string"}}
            self._schema = {**self._schema, "properties": properties}

    def expression(self, key: str, text: JSON) -> Expression:
        """Compile an expression; raises `RuleError`."""
        shipped = isinstance(text, Shipped)
        try:
            expression = Expression(text)
            missing: dict[str, str] | None = {} if shipped else None
            expression.shape(self._schema, lenient=shipped, missing=missing)
            self.missing |= {f"{_property(key)}.{name}": reason for name, reason in (missing or {}).items()}
        except ExpressionError as error:
            hint = f"; select it in the tap, or change the rule{self._remedy}" if shipped else self._remedy
            raise RuleError(f"{self._place}, `{key}`: {error}{hint}") from None
        return expression

    def value(self, key: str, spec: JSON) -> Value:
        """Compile an expression, an object or list of them, or a plain value such as `true`; null entries don't count.

        Raises `RuleError`.
        """
        return function_of(self._parsed(key, spec))

    def optional(self, key: str, spec: JSON, name: str = "") -> Value | None:
        """Compile a value without which a shipped rule still makes sense; None if the stream lacks its field.

        What is then missing has the name `name`, by default that of the property.
        """
        parsed = self._parsed_or_missing(key, spec, name)
        return None if parsed is None else function_of(parsed)

    def _parsed(self, key: str, spec: JSON) -> JSON:
        """Return a value with its expressions parsed and checked, as `function_of` takes it."""
        if isinstance(spec, str):
            return self.expression(key, spec).parsed
        if isinstance(spec, list):
            return [self._parsed(key, item) for item in spec]
        if not isinstance(spec, dict):
            return spec
        entries = ((name, self._parsed_or_missing(f"{key}.{name}", entry)) for name, entry in spec.items())
        return {name: parsed for name, parsed in entries if parsed is not None}

    def _parsed_or_missing(self, key: str, spec: JSON, name: str = "") -> JSON:
        try:
            return self._parsed(key, spec)
        except RuleError as error:
            if not isinstance(spec, Shipped):
                raise
            self.missing[name or _property(key)] = str(error).removesuffix(self._remedy)
            return None

    def entries(self, key: str, spec: JSON, *, may_be_null: bool = False) -> Value:
        """Compile an object of expressions, or an expression whose value is an object, or null if it may be."""
        value = self.value(key, spec)
        if isinstance(spec, dict):
            return value

        def entries(record: Record) -> dict[str, JSON]:
            found = value(record)
            if found is None and may_be_null:
                return {}
            if not isinstance(found, dict):
                raise ValueError(f"`{key}` needs an object")  # noqa: TRY004  # every wrong value of a record is one here
            return {name: entry for name, entry in found.items() if entry is not None and name != DELETED_AT}

        return entries

    def candidates(self, key: str, spec: JSON, identity: str) -> list[Value]:
        """Compile the expressions for an id; an object has some for each `identity`."""
        return [value for text in self.listed(spec, identity) if (value := self.optional(key, text))]

    @staticmethod
    def listed(spec: JSON, identity: str) -> list[JSON]:
        """Return one or several expressions as a list; an object has some for each `identity`."""
        if isinstance(spec, dict):
            spec = spec.get(identity)
        return spec if isinstance(spec, list) else [] if spec is None else [spec]


def _property(key: str) -> str:
    """Return the name of a property by its place in a rule, such as `properties.total`; other places are their own."""
    return key.partition(".")[2] or key
