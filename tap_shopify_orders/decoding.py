"""Decoder of what Shopify promises to send: takes JSON and a msgspec decoder, returns objects.

It stands below the rooms `shopify` and `records`, which don't know each other and both decode.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from tap_shopify_orders.errors import RunError, printable

NOT_AS_PROMISED = "Shopify's answer isn't of the form that this API version promises"
# What code can raise that takes a value for what was promised.
UNPROMISED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # what JSON of any kind can raise
MOST_DIGITS = 18  # of an id; no reader takes more than 64 bits hold, and SQLite doesn't either
GLOBAL_ID = re.compile(r"gid://shopify/([A-Za-z]{1,100})/[^/\s]")
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
        raise RunError(f"{NOT_AS_PROMISED}: {printable(why)}.") from None


def kind_in(global_id: object) -> str:
    """Return the type in a global id, such as Order; raises RunError for what is none.

    https://shopify.dev/docs/api/usage/gids
    """
    found = GLOBAL_ID.match(global_id) if isinstance(global_id, str) else None
    if not found:
        raise RunError(f"{NOT_AS_PROMISED}: `{printable(global_id)}` isn't an id.")
    return found[1]


def number_in(global_id: object) -> int:
    """Return the number at the end of a global id; raises RunError for what is none."""
    kind_in(global_id)
    number = str(global_id).rpartition("/")[2]
    if not (number.isascii() and number.isdecimal() and len(number) <= MOST_DIGITS):
        raise RunError(f"{NOT_AS_PROMISED}: `{printable(global_id)}` has no number.")
    return int(number)
