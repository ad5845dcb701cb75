"""The store: takes a client, returns what the store grants, how many records it has, and sentences for what is missing.

It knows scopes and history, but neither Singer nor how records are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
from typing_extensions import override

from tap_shopify_orders.decoding import NOT_AS_PROMISED, decoded, number_in
from tap_shopify_orders.errors import RunError, printable
from tap_shopify_orders.shopify import query
from tap_shopify_orders.shopify.client import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from tap_shopify_orders.shopify.answers import Denied
    from tap_shopify_orders.shopify.bulk import BulkOperations
    from tap_shopify_orders.shopify.client import Client

SCOPES = {"customers": "read_customers", "orders": "read_orders"}
EQUALS = {"read_locations": ("read_inventory",)}  # what grants the same, by the scopes that Shopify has in its schema
T = TypeVar("T")


@dataclass(frozen=True)
class Granted:
    """What the credentials open: the store's facts, the app's scopes, and the store's clock."""

    shop_id: int
    name: str
    domain: str
    currency: str
    time_zone: str
    plan: str
    scopes: frozenset[str]
    served_version: str
    at: datetime

    @property
    def shop(self) -> dict[str, object]:
        """What each record says of the store that it is of."""
        return {"shop": self.domain, "shop_id": self.shop_id}

    def has(self, scope: str) -> bool:
        """Say whether the app may read what a scope grants; one that writes also grants reading.

        https://shopify.dev/docs/api/usage/access-scopes
        """
        scopes = (scope, *EQUALS.get(scope, ()))
        return any(not self.scopes.isdisjoint({one, one.replace("read_", "write_", 1)}) for one in scopes)

    def without_scope(self, scoped: Mapping[str, Sequence[T]]) -> list[T]:
        """Return what needs a scope that the app doesn't have; `scoped` holds it by scope."""
        return [path for scope, paths in scoped.items() if not self.has(scope) for path in paths]

    @property
    def _sees_all_orders(self) -> bool:
        return "read_all_orders" in self.scopes

    def check(self, streams: Collection[str], accept: Collection[str]) -> None:
        """Raise RunError for a scope that a stream lacks, and for orders out of reach unless that is accepted.

        Wherever a run begins: Shopify hides an order by when it was placed, and with it all that happens to it later.
        """
        missing = [SCOPES[stream] for stream in streams if not self.has(SCOPES[stream])]
        if missing:
            raise RunError(
                f"The app lacks the scope {' and '.join(missing)}: add it in the app's configuration, install the app"
                " again, and use the new token; or deselect the stream."
            )
        if "orders" in streams and not self._sees_all_orders and "partial_history" not in accept:
            raise RunError(
                "Shopify shows this app the orders of the last 60 days only: it leaves out older ones without a word,"
                " and with them whatever happens to an order later, such as refunds, returns and edits. Add the scope"
                " read_all_orders, or add `partial_history` to `accept` to go on without that."
            )

    def line(self, counts: Mapping[str, object]) -> str:
        """Return what a run says first that goes on from another."""
        found = ", ".join(f"{printable(value)} {key}" for key, value in counts.items())
        return f"{printable(self.name)} ({self.domain}), {self.currency}, {self.time_zone}; in the window: {found}"

    def block(self, counts: Mapping[str, object]) -> str:
        """Return what the first run says first."""
        rows = {
            "store": f"{self.name} ({self.domain}), plan {self.plan}",
            "time zone": self.time_zone,
            "currency": self.currency,
            "API version": f"{API_VERSION}, served {self.served_version}",
            "scopes": " ".join(sorted(self.scopes)),
            "history": "all orders"
            if self._sees_all_orders
            else "orders of the last 60 days, and no change of an older one",
            **counts,
        }
        return "\n".join(f"{key:>12}  {printable(value)}" for key, value in rows.items())


class _Named(msgspec.Struct):
    name: str = ""
    handle: str = ""


class _Shop(msgspec.Struct):
    id: str
    name: str
    domain: str
    currency: str
    time_zone: str
    plan: _Named


class _App(msgspec.Struct):
    scopes: list[_Named]


class _Answer(msgspec.Struct):
    shop: _Shop
    app: _App


class Count(msgspec.Struct):
    """How many records there are, or are at least: `precision` is EXACT or AT_LEAST."""

    count: Annotated[int, msgspec.Meta(ge=0, le=10**9)] = 0  # ten times as many as any store has
    precision: str = "EXACT"

    @override
    def __str__(self) -> str:
        """Return it as people write it, such as 1,234."""
        return f"{'' if self.precision == 'EXACT' else 'at least '}{self.count:,}"

    def up_to(self, most: int) -> int | None:
        """Return how many there are; None if there may be more, where Shopify counts no more than `most`."""
        return self.count if self.precision == "EXACT" and self.count not in (most, most + 1) else None


_answer = msgspec.json.Decoder(_Answer)
_counts = msgspec.json.Decoder(dict[str, Count])


class Store:
    """One store, as far as it was asked; `client` asks it, `bulk` has its bulk operations.

    `looked` is what it grants, once that was asked.
    """

    def __init__(self, client: Client, bulk: BulkOperations) -> None:
        """Take the ways to the store; nothing is asked yet."""
        self.client, self.bulk = client, bulk
        self.looked: Granted | None = None
        self._counted: dict[tuple[str, str], Count] = {}

    @property
    def granted(self) -> Granted:
        """What the store grants, asked for when it is first needed; raises RunError or Busy."""
        if self.looked is None:  # no `cached_property`: until Python 3.12 that has all stores wait for the one it asks
            self.looked = _look(self.client)
        return self.looked

    def count(self, stream: str, search: str) -> Count:
        """Return how many records a stream's search has."""
        return self.counts({stream: search})[stream]

    def counts(self, searches: Mapping[str, str]) -> dict[str, Count]:
        """Return how many records each stream's search has; asks once for all that aren't known yet."""
        unknown = {stream: search for stream, search in searches.items() if (stream, search) not in self._counted}
        found = _count(self.client, unknown)
        self._counted.update({(stream, unknown[stream]): found[stream] for stream in unknown})
        return {stream: self._counted[stream, search] for stream, search in searches.items()}


def _look(client: Client) -> Granted:
    """Ask what was granted."""
    answer = client.ask(query.read("store"))
    store = decoded(answer.data, _answer)
    shop = store.shop
    scopes = frozenset(scope.handle for scope in store.app.scopes)
    return Granted(
        number_in(shop.id),
        shop.name,
        shop.domain,
        shop.currency,
        shop.time_zone,
        shop.plan.name,
        scopes,
        answer.served_version,
        answer.at,
    )


def _count(client: Client, searches: Mapping[str, str]) -> dict[str, Count]:
    """Ask how many records each stream's search has."""
    if not searches:
        return {}
    variables = {
        "customers": "customers" in searches,
        "orders": "orders" in searches,
        "customersQuery": searches.get("customers", ""),
        "ordersQuery": searches.get("orders", ""),
    }
    counts = decoded(client.ask(query.read("counts"), variables).data, _counts)
    if not searches.keys() <= counts.keys():
        raise RunError(f"{NOT_AS_PROMISED}: it lacks a count.")
    return counts


def denial(stream: str, gaps: Denied) -> str:
    """Return the sentence for fields that Shopify denies: which ones, what it says, and the remedy."""
    fields = sorted(
        {printable(".".join(step for step in path if step not in ("page", "nodes"))) for path, _ in gaps.gaps}
    )
    lacks = f"Shopify denies {', '.join(fields) or 'all'} of {stream}, which would look as if there were none."
    remedy = _remedy(message for _, message in gaps.gaps)
    # Where all of a stream is denied there is nothing to go on with.
    without = "Or add `denied_fields` to `accept` to go on without them." if any(fields) else "Or deselect the stream."
    return f"{lacks} It says: {gaps} {remedy} {without}"


def denial_of_deletions(stream: str, gaps: Denied) -> str:
    """Return the sentence for events of deletions that Shopify denies: what it says, and the remedy."""
    return (
        f"Shopify denies the events that tell which {stream} were deleted, which would look as if none were. It says:"
        f" {gaps} {_remedy(message for _, message in gaps.gaps)} Or add `denied_fields` to `accept` to go on without"
        " them: the deletions of the last year come once they may be read."
    )


def _remedy(messages: Iterable[str]) -> str:
    """Tell a missing scope from protected customer data that wasn't approved: Shopify gives both the same code.

    https://shopify.dev/docs/apps/launch/protected-customer-data
    """
    if all("access scope" in message for message in messages):
        return "Add the scope in the app's configuration and install it again."
    return (
        "Request access to protected customer data in the app's API access; for a token made in the Shopify admin,"
        " these fields need the plan Grow or higher."
    )
