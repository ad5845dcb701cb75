"""Names of records: what people call a record, and the other words by which they find it.

Pure: takes what a mapping's `records` has for a stream, then records; returns texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.errors import RuleError
from target_posthog.mapping.language.compiler import Compiler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.mapping.language.compiler import Record, Value
    from target_posthog.mapping.language.functions import JSON


class Naming:
    """The names of a stream's records: `name` is an expression for their name, `find` a list of them for other words.

    Raises `RuleError` for what is no such expression.
    """

    def __init__(self, stream: str, spec: Mapping[str, JSON]) -> None:
        place = f"`records` of the mapping, stream `{stream}`"
        if not isinstance(spec.get("find", []), list):
            raise RuleError(f"{place}: `find` is a list of expressions")
        compiler = Compiler(place, {})
        self._name = compiler.optional("name", spec.get("name"))
        self._words = [compiler.value("find", text) for text in spec.get("find", [])]

    def name(self, record: Record) -> str | None:
        """Return a record's name; None if the mapping doesn't say it or the record has none."""
        return _text(self._name, record) if self._name else None

    def words(self, record: Record) -> list[str]:
        """Return the other words by which people find it."""
        return [word for value in self._words if (word := _text(value, record))]


def _text(value: Value, record: Record) -> str | None:
    try:
        found = value(record)
    except ValueError:
        return None
    return str(found) if isinstance(found, (str, int)) and not isinstance(found, bool) and found != "" else None
