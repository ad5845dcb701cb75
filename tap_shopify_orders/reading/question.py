"""Question of a stream: takes the wanted fields, returns the query that asks for them and the reader of its answers.

It knows the names of the files in `queries/`, but neither HTTP nor Singer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_shopify_orders.records import schema
from tap_shopify_orders.records.fields import paths
from tap_shopify_orders.records.records import Reader
from tap_shopify_orders.shopify import query

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_shopify_orders.records.fields import Field


@dataclass(frozen=True)
class Question:
    """How the fields that are selected and granted are asked for, and what makes records of the answer."""

    query: query.PageQuery
    reader: Reader

    @classmethod
    def of(cls, name: str, fields: tuple[Field, ...], shop: Mapping[str, object]) -> Question:
        """Return the question of a stream's fields; it always asks for `id` and `updated_at`."""
        wanted = frozenset({("id",), (schema.BOOKMARK,), *paths(fields)})
        return cls(query.page_query(name, wanted), Reader(fields, {**shop, schema.DELETED_AT: None}))
