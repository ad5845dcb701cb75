"""Trial of the search for customers: takes a client, returns whether the search goes by seconds or by whole days alone.

It knows neither Singer nor records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tap_shopify_orders.decoding import decoded
from tap_shopify_orders.moments import DAY, SECOND
from tap_shopify_orders.reading.windows import Window, changed_at
from tap_shopify_orders.shopify import query

if TYPE_CHECKING:
    from datetime import datetime

    from tap_shopify_orders.shopify.client import Client


class _Moment(msgspec.Struct):
    updated_at: str


class _Moments(msgspec.Struct):
    nodes: list[_Moment]

    @property
    def first(self) -> datetime | None:
        """The first moment; None if there is none."""
        return changed_at(self.nodes[0].updated_at) if self.nodes else None


class _Oldest(msgspec.Struct):
    oldest: _Moments


class _Found(msgspec.Struct):
    second: _Moments
    later: _Moments


_oldest = msgspec.json.Decoder(_Oldest)
_found = msgspec.json.Decoder(_Found)


def finds_seconds(client: Client) -> bool:
    """Return whether the search for customers goes by seconds; raises RunError (Denied among them) or Busy.

    The description of its `updated_at` says "matching a whole day", and nobody has seen what that does to a window:
    https://shopify.dev/docs/api/admin-graphql/2026-10/queries/customers
    """
    document = query.read("customer_search")
    oldest = decoded(client.ask(document, {"oldest": True, "second": "", "later": ""}).data, _oldest).oldest.first
    if oldest is None:
        return True  # there are no customers
    second = Window(oldest, oldest + SECOND)
    later = Window(second.until, client.at + 2 * DAY)
    searches = {"second": second.search, "later": later.search}
    found = decoded(client.ask(document, {"oldest": False, **searches}).data, _found)
    return found.second.first == oldest and found.later.first != oldest
