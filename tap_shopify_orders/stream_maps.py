"""Stream maps: takes the setting, yields a sentence for each mistake in it that would end a run, or hide nothing.

The SDK's own schema has none for them: `"null"` stands there for a type.
"""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING

from singer_sdk.mapper import (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
    NULL_STRING,
)

from tap_shopify_orders.errors import printable
from tap_shopify_orders.settings import unknown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tap_shopify_orders.settings import Config

STREAM_MAPS = "stream_maps"
NULLS = (None, NULL_STRING)


def mistakes_in_maps(stream_maps: object, streams: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each mistake in `stream_maps`; none quotes a value.

    A map of a stream that there isn't is one, too: what it should hide would go out as it is.
    """
    if not isinstance(stream_maps, dict):
        yield f"The setting `{STREAM_MAPS}` needs a value of type `object`."
        return
    for name, stream_map in stream_maps.items():
        source = name
        if name == MAPPER_ELSE_OPTION:
            if stream_map not in NULLS:
                yield f"The setting `{STREAM_MAPS}`: `{name}` needs null."
            continue
        if isinstance(stream_map, dict):
            source = stream_map.get(MAPPER_SOURCE_OPTION, name)
            yield from _mistakes_in_map(name, stream_map)
        elif stream_map not in NULLS:
            yield f"The setting `{STREAM_MAPS}`: `{printable(name)}` needs an object or null."
        if isinstance(source, str) and not any(fnmatch(stream, source) for stream in streams):
            yield from unknown(f"The setting `{STREAM_MAPS}` has no stream", [source], streams)


def _mistakes_in_map(name: str, stream_map: Config) -> Iterator[str]:
    for field, value in stream_map.items():
        is_text = isinstance(value, str) and value != ""  # on an empty one the SDK fails as on a number
        if field in {MAPPER_ALIAS_OPTION, MAPPER_SOURCE_OPTION}:
            is_right, needed = is_text, "a text"
        elif field == MAPPER_ELSE_OPTION:
            is_right, needed = value in NULLS, "null"
        elif field == MAPPER_KEY_PROPERTIES_OPTION:
            is_list = isinstance(value, list) and all(isinstance(key, str) for key in value)
            is_right, needed = value is None or is_list, "a list of texts or null"
        else:
            is_right, needed = value is None or is_text, "a text or null"
        if not is_right:
            why = ": a stream map names top-level fields only" if isinstance(value, dict) else ""
            yield f"The setting `{STREAM_MAPS}`: `{printable(name)}.{printable(field)}` needs {needed}{why}."
