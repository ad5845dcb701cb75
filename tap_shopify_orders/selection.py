"""Selection of a stream: takes its entry of a catalog, and makes the entry say what the stream's records have.

The SDK makes the SCHEMA of the entry, the stream what it asks for: neither has what the other lacks. This module knows
Singer's catalogs, but no stream.
"""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Stream
from singer_sdk.singerlib import Schema
from singer_sdk.singerlib.catalog import Metadata, StreamMetadata
from typing_extensions import override

from tap_shopify_orders.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from singer_sdk.singerlib import Catalog, CatalogEntry

    JsonSchema = dict[str, Any]
    Breadcrumb = tuple[str, ...]

KINDS = ("type", "format")
OWN_WORDS = (*KINDS, "properties", "items", "required")  # of a schema, in which no catalog changes the records

OTHER_TYPES = "The catalog has other types than the records of %s, which stay as they are: %s."


def selected(catalog: Catalog) -> list[str]:
    """Return the names of the streams that a catalog selects."""
    for entry in catalog.streams:
        _settle_root(entry)
    return [entry.tap_stream_id for entry in catalog.streams if entry.metadata.resolve_selection()[()]]


class SelectedStream(Stream):
    """A stream whose records have what its SCHEMA has; `always` are the properties that no catalog takes away."""

    always: ClassVar[tuple[str, ...]]

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take what a catalog selects; keys and bookmark stay the stream's own, whatever it names."""
        if entry := catalog.get_stream(self.name):
            self._settle(entry)
        super().apply_catalog(catalog)

    @property
    @override
    def _singer_catalog_entry(self) -> CatalogEntry:
        """What discovery says of the stream."""
        entry = super()._singer_catalog_entry
        self._settle(entry)
        return entry

    def _settle(self, entry: CatalogEntry) -> None:
        """Bring an entry in line with the stream, and log where it knows too little, or something else."""
        entry.key_properties, entry.replication_key = self.primary_keys, self.replication_key
        _settle_root(entry)
        own, said = deepcopy(self.schema), entry.schema.to_dict()
        if "properties" in said:
            said["properties"] = {**{name: {} for name in self.always}, **said["properties"]}
        unknown: list[Breadcrumb] = []
        other: list[Breadcrumb] = []
        strange = {*entry.metadata} - {()}
        for place, owner, words in _properties(own, said):
            name, breadcrumb = place[-1], tuple(step for step in place if step != "items")  # as the SDK looks for it
            strange -= {place, breadcrumb}
            if place in entry.metadata:
                entry.metadata.setdefault(breadcrumb, entry.metadata[place])
            if words is None:
                del owner[name]
                unknown += [] if breadcrumb in entry.metadata else [breadcrumb]
                entry.metadata[breadcrumb] = Metadata(selected=False)
            else:
                other += [breadcrumb] if _is_of_other_type(words, owner[name]) else []
                owner[name] = {**{word: words[word] for word in words if word not in OWN_WORDS}, **owner[name]}
        for name in self.always:
            entry.metadata["properties", name] = Metadata(inclusion=Metadata.InclusionType.AUTOMATIC)
        entry.schema = Schema.from_dict(own)
        self._log(logging.INFO, "The catalog doesn't know of fields of %s, which aren't read: %s.", unknown)
        self._log(logging.WARNING, OTHER_TYPES, other)
        self._log(logging.WARNING, "The catalog has metadata of what isn't there in %s: %s.", sorted(strange))

    def _log(self, level: int, sentence: str, fields: Sequence[Breadcrumb]) -> None:
        if fields:
            names = ([step for step in one if step != "items"][1::2] or one for one in fields)
            self.logger.log(level, sentence, self.name, printable(", ".join(map(".".join, names))))


def _properties(
    own: JsonSchema, said: JsonSchema, place: Breadcrumb = ()
) -> Iterator[tuple[Breadcrumb, JsonSchema, JsonSchema | None]]:
    """Yield the place of each property of a schema, what it stands in, and what another schema says of it.

    That is None if the other one lacks it, and nothing where the other one says nothing of properties.
    """
    if "items" in own:
        own, said, place = own["items"], said.get("items", {}), (*place, "items")
    owner = own.get("properties", {})
    for name, one in [*owner.items()]:
        words = said["properties"].get(name) if "properties" in said else {}
        yield (*place, "properties", name), owner, words
        yield from _properties(one, words or {}, (*place, "properties", name))


def _is_of_other_type(words: JsonSchema, own: JsonSchema) -> bool:
    """Say whether words of a schema contradict a property's own; several types may stand in any order."""

    def kinds(value: str | list[str] | None) -> set[str | None]:
        return {*value} if isinstance(value, list) else {value}

    return any(word in words and kinds(words[word]) != kinds(own.get(word)) for word in KINDS)


def _settle_root(entry: CatalogEntry) -> None:
    """Have an entry say whether its stream is selected: where nothing at all is said it is, else it must be said."""
    entry.metadata.setdefault((), StreamMetadata(selected=not entry.metadata))
