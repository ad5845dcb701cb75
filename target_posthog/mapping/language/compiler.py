"""What a rule says becomes functions of a record, in: expressions as data, a stream's schema; out: functions.

Pure, and knows neither what the keys of a rule mean nor any event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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


class RuleError(ValueError):
    """A rule that can't be used; the text is one sentence that names the rule and what is wrong with it."""


class Compiler:
    """Compiles what a rule says into functions of a record, and checks it against the stream's schema.

    `left_out` names what a shipped rule does without because the stream lacks its field, each with the reason.
    """

    def __init__(self, place: str, schema: Schema, remedy: str = "") -> None:
        self._place = place
        self._remedy = remedy
        self._schema = schema
        self.left_out: dict[str, str] = {}

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
            hint = f"; select it in the tap, or change the rule{self._remedy}" if shipped else self._remedy
            raise RuleError(f"{self._place}, `{key}`: {error}{hint}") from None
        return expression

    def value(self, key: str, said: JSON) -> Value:
        """Compile an expression, an object or list of them, or a plain value such as `true`; null entries are left out.

        Raises `RuleError`.
        """
        return function_of(self._parsed(key, said))

    def droppable(self, key: str, said: JSON, name: str = "") -> Value | None:
        """Compile a value without which a shipped rule still makes sense; None if the stream lacks its field.

        What is then left out is called `name`, by default as the property is called.
        """
        parsed = self._parsed_or_dropped(key, said, name)
        return None if parsed is None else function_of(parsed)

    def _parsed(self, key: str, said: JSON) -> JSON:
        """Return what is said with its expressions parsed and checked, as `function_of` takes it."""
        if isinstance(said, str):
            return self.expression(key, said).parsed
        if isinstance(said, list):
            return [self._parsed(key, one) for one in said]
        if not isinstance(said, dict):
            return said
        entries = ((name, self._parsed_or_dropped(f"{key}.{name}", one)) for name, one in said.items())
        return {name: one for name, one in entries if one is not None}

    def _parsed_or_dropped(self, key: str, said: JSON, name: str = "") -> JSON:
        try:
            return self._parsed(key, said)
        except RuleError as error:
            if not isinstance(said, Shipped):
                raise
            self.left_out[name or key.partition(".")[2] or key] = str(error).removesuffix(self._remedy)
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
        return [one for text in self.listed(said, identity) if (one := self.droppable(key, text))]

    @staticmethod
    def listed(said: JSON, identity: str) -> list[JSON]:
        """Return one or several expressions as a list; an object has some for each `identity`."""
        if isinstance(said, dict):
            said = said.get(identity)
        return said if isinstance(said, list) else [] if said is None else [said]
