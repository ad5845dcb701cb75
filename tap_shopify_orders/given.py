"""Files that the user gives, in: an option and its file; out: the JSON object in it, or a sentence that names both.

Knows the form of a catalog, but none of the streams, and repeats nothing that stands in a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tap_shopify_orders.shopify.answers import UNREADABLE, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

REMEDIES = {
    "--config": "Write the settings as one.",
    "--state": "Give what the target wrote last, or nothing, to begin anew: what is read again counts once.",
    "--catalog": "Give what `--discover` writes, with what you select.",
}
_object = msgspec.json.Decoder(dict[str, Any])


class _Schema(msgspec.Struct):
    type: str | list[str] | None = None
    properties: dict[str, _Schema] | None = None
    items: _Schema | None = None


class _Metadata(msgspec.Struct):
    breadcrumb: list[str]
    metadata: dict[str, Any]


class _Entry(msgspec.Struct):
    tap_stream_id: str
    stream: str | None = None
    schema: _Schema = msgspec.field(default_factory=_Schema)
    metadata: list[_Metadata] = []
    key_properties: list[str] | None = None
    replication_key: str | None = None


class _Catalog(msgspec.Struct):
    streams: list[_Entry]


def json_object(option: str, name: str, content: Callable[[], bytes | str]) -> dict[str, Any]:
    """Return what a file holds; raises Refused if it can't be read or is no JSON object."""
    try:
        return _object.decode(content())
    except OSError as error:
        raise Refused(f"`{option} {name}` can't be read: {error.strerror}.") from None
    except UNREADABLE as error:
        why = str(error) if isinstance(error, msgspec.DecodeError) else "it is no text, or nested too deeply"
        raise Refused(f"`{option} {name}` isn't a JSON object: {why}. {REMEDIES[option]}") from None


def catalog(found: dict[str, Any]) -> dict[str, Any]:
    """Return a catalog as it is; raises Refused for one that isn't of a catalog's form."""
    try:
        streams = msgspec.convert(found, _Catalog).streams
    except msgspec.ValidationError as error:
        raise Refused(f"The catalog isn't of its form: {error}. {REMEDIES['--catalog']}") from None
    if any(one.stream not in (None, one.tap_stream_id) for one in streams):
        raise Refused(f"The catalog names a stream otherwise than `tap_stream_id` does. {REMEDIES['--catalog']}")
    return found
