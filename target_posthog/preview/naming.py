"""How people name a record, in: what a mapping's `records` says of a stream, then records; out: a label, words.

Pure, and knows no stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_posthog.mapping.language.compiler import Compiler, RuleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.mapping.language.compiler import Record, Value
    from target_posthog.mapping.language.functions import JSON

KEYS = {"label", "find"}


class Naming:
    """The names of a stream's records: `label` is an expression for what they are called, `find` a list of other words.

    Raises `RuleError` for what is no such expression.
    """

    def __init__(self, stream: str, said: Mapping[str, JSON]) -> None:
        place = f"`records` of the mapping, stream `{stream}`"
        if not said.keys() <= KEYS or not isinstance(said.get("find", []), list):
            raise RuleError(f"{place}: `label` is an expression, `find` a list of them")
        compiler = Compiler(place, {})
        self._label = compiler.droppable("label", said.get("label"))
        self._words = [compiler.value("find", one) for one in said.get("find", [])]

    def label(self, record: Record) -> str | None:
        """Return what people call a record, None if the mapping doesn't say or the record lacks it."""
        return _text(self._label, record) if self._label else None

    def words(self, record: Record) -> list[str]:
        """Return the other words by which people find it."""
        return [word for one in self._words if (word := _text(one, record))]


def _text(value: Value, record: Record) -> str | None:
    try:
        found = value(record)
    except ValueError:
        return None
    return str(found) if isinstance(found, (str, int)) and not isinstance(found, bool) and found != "" else None
