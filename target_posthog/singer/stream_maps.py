"""Stream maps as users write them, before the SDK takes them.

Pure: takes the setting `stream_maps`; returns a sentence for each mistake, then the maps by their streams' whole names.
"""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from singer_sdk.mapper import (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
    NULL_STRING,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NULLS = (None, NULL_STRING)
TEXT, TEXT_OR_NULL, TEXTS_OR_NULL, NULL = "a text", "a text or null", "a list of texts or null", "null"
OPTIONS = {
    MAPPER_ALIAS_OPTION: TEXT,
    MAPPER_SOURCE_OPTION: TEXT,
    MAPPER_ELSE_OPTION: NULL,
    MAPPER_KEY_PROPERTIES_OPTION: TEXTS_OR_NULL,
}
TOP_LEVEL_ONLY = "a stream map names top-level fields only"


class StreamMaps:
    """The maps of a run, `by_stream`; of settings without mistakes.

    Meltano takes a name apart at its dots: the map of `a.b` comes as an object `a` with a `b`. So does the mistake of a
    user who names a field within a field, which no stream map can do: which of the two it is shows as streams come.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.by_stream: dict[str, Any] = dict(_with_whole_names(given))
        self._beginnings = [*_beginnings(given)]

    def mistake(self, stream: str) -> str | None:
        """Say why it isn't sure what the maps mean for a stream that has come; None if it is."""
        for beginning in self._beginnings:
            whole = (name for name in self.by_stream if name.startswith(f"{beginning}."))
            if fnmatch(stream, beginning) and not any(fnmatch(stream, name) for name in whole):
                return (
                    f"The setting `stream_maps` has an object in the map of stream `{stream}`; {TOP_LEVEL_ONLY}, so "
                    f"give the whole field {TEXT_OR_NULL} (for a dot in a stream's name write ?)"
                )
        if MAPPER_ELSE_OPTION in self.by_stream or any(fnmatch(stream, name) for name in self.by_stream):
            return None
        for name, stream_map in self.by_stream.items():
            rest = stream.removeprefix(f"{name}.")
            if rest != stream and isinstance(stream_map, dict) and stream_map.get(rest, "") in NULLS:
                return (
                    f"The setting `stream_maps` has null for `{rest}` in the map of `{name}`, and a stream `{stream}` "
                    f"has come, which the null may be meant for, as Meltano takes names apart at their dots; give the "
                    f"stream a map of its own, `{name}?{rest}`: null to leave it out, an object without entries to "
                    "keep it as it is"
                )
        return None


def wrong_maps(given: object, within: str = "") -> Iterator[str]:
    """Yield a sentence for each mistake in the setting `stream_maps`; none quotes a value."""
    if not isinstance(given, dict):
        yield "The setting `stream_maps` needs a value of type object"
        return
    for name, stream_map in given.items():
        place = f"{within}{name}"
        if name == MAPPER_ELSE_OPTION:
            if stream_map not in NULLS:
                yield f"The setting `stream_maps`: `{place}` needs {NULL}"
        elif name.startswith("__"):
            yield f"The setting `stream_maps` has no option `{place}`"
        elif _is_taken_apart(stream_map):
            yield from wrong_maps(stream_map, f"{place}.")
        elif isinstance(stream_map, dict):
            yield from _wrong_fields(stream_map, place)
        elif stream_map not in NULLS:
            yield f"The setting `stream_maps`: `{place}` needs an object or null"


def _wrong_fields(stream_map: Mapping[str, Any], place: str) -> Iterator[str]:
    for field, value in stream_map.items():
        needed = OPTIONS.get(field, TEXT_OR_NULL)
        if not _is(needed, value):
            why = f"; {TOP_LEVEL_ONLY}" if isinstance(value, dict) else ""
            yield f"The setting `stream_maps`: `{place}.{field}` needs {needed}{why}"


def _is(needed: str, value: object) -> bool:
    """Say whether a value is what a stream map needs; the SDK fails on an empty text as on a number."""
    is_text = isinstance(value, str) and value != ""
    if needed == TEXTS_OR_NULL:
        return value is None or (isinstance(value, list) and all(isinstance(key, str) for key in value))
    return {TEXT: is_text, TEXT_OR_NULL: is_text or value is None, NULL: value in NULLS}[needed]


def _is_taken_apart(stream_map: object) -> bool:
    """Say whether an object may have streams in it by the rest of their names, each with its map, or null."""
    return (
        isinstance(stream_map, dict)
        and any(isinstance(inner, dict) for inner in stream_map.values())
        and all(isinstance(inner, dict) or inner in NULLS for inner in stream_map.values())
        and not any(name.startswith("__") for name in stream_map)
    )


def _with_whole_names(maps: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    for name, stream_map in maps.items():
        if _is_taken_apart(stream_map):
            yield from _with_whole_names(stream_map, f"{within}{name}.")
        else:
            yield f"{within}{name}", stream_map


def _beginnings(maps: Mapping[str, Any], within: str = "") -> Iterator[str]:
    for name, stream_map in maps.items():
        if _is_taken_apart(stream_map):
            yield f"{within}{name}"
            yield from _beginnings(stream_map, f"{within}{name}.")
