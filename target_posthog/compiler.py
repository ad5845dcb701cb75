"""What a rule says becomes functions of a record, in: expressions as data, a stream's schema; out: functions.

Pure, and knows neither what the keys of a rule mean nor any event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.expressions import Expression, ExpressionError, Schema, items_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from target_posthog.functions import JSON

    Record = Mapping[str, JSON]
    Value = Callable[[Record], JSON]

DELETED_AT = "_sdc_deleted_at"  # https://sdk.meltano.com/en/latest/implementation/record_metadata.html


class Shipped(str):
    """An expression of a mapping that comes with the target, which does without fields that a stream lacks."""

    __slots__ = ()


class RuleError(ValueError):
    """A rule that can't be used; the text is one sentence that names the rule and what is wrong with it."""


class Compiler:
    """Compiles what a rule says into functions of a record, and checks it against the stream's schema."""

    def __init__(self, place: str, schema: Schema) -> None:
        self._place = place
        self._schema = schema
        self.left_out: list[str] = []

    def go_into(self, items: Expression) -> None:
        """Let `item` be an element of that list from now on."""
        if self._schema:
            item = items_of(items.shape(self._schema))
            self._schema = {**self._schema, "properties": {**self._schema.get("properties", {}), "item": item}}

    def expression(self, key: str, text: JSON) -> Expression:
        """Compile an expression; raises `RuleError`."""
        shipped = isinstance(text, Shipped)
        try:
            expression = Expression(text)
            expression.shape(self._schema, lenient=shipped)
        except ExpressionError as error:
            hint = "; select it in the tap, or change the rule" if shipped else ""
            raise RuleError(f"{self._place}, `{key}`: {error}{hint}") from None
        return expression

    def value(self, key: str, said: JSON) -> Value:
        """Compile an expression, an object of them, or a plain value such as `true`; null entries are left out."""
        if isinstance(said, str):
            return self.expression(key, said).value
        if not isinstance(said, dict):
            return lambda _: said
        values = [(name, one) for name, text in said.items() if (one := self.droppable(f"{key}.{name}", text))]
        return lambda record: {name: found for name, one in values if (found := one(record)) is not None}

    def droppable(self, key: str, said: JSON, name: str = "") -> Value | None:
        """Compile a value without which a shipped rule still makes sense; None if the stream lacks its field.

        What is then left out is called `name`, by default as the property is called.
        """
        try:
            return None if said is None else self.value(key, said)
        except RuleError:
            if not isinstance(said, Shipped):
                raise
            self.left_out.append(name or key.partition(".")[2] or key)
            return None

    def entries(self, key: str, said: JSON) -> Value:
        """Compile an object of expressions, or an expression whose value is one."""
        value = self.value(key, said)
        if isinstance(said, dict):
            return value

        def entries(record: Record) -> dict[str, JSON]:
            found = value(record)
            if not isinstance(found, dict):
                raise ValueError(f"`{key}` needs an object")  # noqa: TRY004  # every wrong value of a record is one here
            return {name: one for name, one in found.items() if one is not None and name != DELETED_AT}

        return entries

    def candidates(self, key: str, said: JSON, identity: str) -> list[Value]:
        """Compile the expressions for an id; an object has some for each `identity`."""
        if isinstance(said, dict):
            said = said.get(identity, ())
        listed = [said] if isinstance(said, str) else said
        return [one for text in listed if (one := self.droppable(key, text))]
