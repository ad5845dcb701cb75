"""Decoder of what Shopify promises to send: takes JSON and a msgspec decoder, returns objects.

It stands below the rooms `shopify` and `records`, which don't know each other and both decode.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from tap_shopify_orders.errors import RunError

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # what JSON of any kind can raise
T = TypeVar("T")


class PageInfo(msgspec.Struct, rename="camel", gc=False):
    """Whether a connection goes on, and where."""

    has_next_page: bool
    end_cursor: str | None = None


def decoded(raw: msgspec.Raw | bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return the object that JSON holds; raises RunError for JSON that isn't of the promised form."""
    try:
        return decoder.decode(raw)
    except UNREADABLE as error:
        why = str(error) if isinstance(error, msgspec.ValidationError) else "it isn't text"
        raise RunError(f"Shopify's answer isn't of the form that this API version promises: {why}.") from None
