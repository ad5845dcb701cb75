"""The nodes of a shop, in: customers, orders and events; out: them by id, by customer and sorted.

Nodes are plain dicts shaped as Shopify's types. Knows nothing of how they come about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Node = dict[str, Any]
T = TypeVar("T")


class Nodes:
    """All nodes of one shop; what is derived from them is kept until `forget`."""

    def __init__(self) -> None:
        self.by_type: dict[str, dict[int, Node]] = {"Customer": {}, "Order": {}, "BasicEvent": {}}
        self._sorted: dict[tuple[str, str], list[Node]] = {}
        self._by_gid: dict[str, Node] = {}
        self._by_customer: dict[str, list[Node]] = {}
        self._derived: dict[str, Any] = {}

    @property
    def customers(self) -> list[Node]:
        """All customers, oldest id first."""
        return list(self.by_type["Customer"].values())

    @property
    def orders(self) -> list[Node]:
        """All orders, oldest id first."""
        return list(self.by_type["Order"].values())

    def customer(self, customer_id: int) -> Node:
        """Return a customer by its number; raises KeyError."""
        return self.by_type["Customer"][customer_id]

    def order(self, order_id: int | str) -> Node:
        """Return an order by its number or its name, such as `#1001`; raises KeyError."""
        if isinstance(order_id, int):
            return self.by_type["Order"][order_id]
        found = [one for one in self.orders if one["name"] == order_id]
        if not found:
            raise KeyError(order_id)
        return found[0]

    def node(self, global_id: str) -> Node | None:
        """Return any node by its global id, also one inside an order."""
        if not self._by_gid:
            for nodes in self.by_type.values():
                for node in nodes.values():
                    self._by_gid.update(_parts(node))
        return self._by_gid.get(global_id)

    def sorted(self, type_name: str, key_name: str, key: Callable[[Node], Any]) -> list[Node]:
        """Return all nodes of a type in order of a key, then of their numbers."""
        if (type_name, key_name) not in self._sorted:
            nodes = self.by_type[type_name].values()
            self._sorted[type_name, key_name] = sorted(nodes, key=lambda node: (key(node), number_of(node)))
        return self._sorted[type_name, key_name]

    def count(self, type_name: str, matches: Callable[[Node], bool] | None) -> int:
        """Return how many nodes of a type match; all if there is nothing to match."""
        return sum(1 for _ in filter(matches, self.by_type[type_name].values()))

    def orders_of(self, customer: Node) -> list[Node]:
        """Return a customer's orders, oldest first."""
        if not self._by_customer:
            for one in sorted(self.orders, key=lambda one: (one["processedAt"], number_of(one))):
                self._by_customer.setdefault(one["customer"] and one["customer"]["id"], []).append(one)
        return self._by_customer.get(customer["id"], [])

    def derived(self, name: str, derive: Callable[[], T]) -> T:
        """Return what somebody derives from all nodes; the same until they change."""
        if name not in self._derived:
            self._derived[name] = derive()
        return cast("T", self._derived[name])

    def forget(self) -> None:
        """Forget what was derived from the nodes, because they changed."""
        self._sorted.clear()
        self._by_gid.clear()
        self._by_customer.clear()
        self._derived.clear()


def number_of(node: Node) -> int:
    """Return the number at the end of a node's global id."""
    return int(node["id"].rsplit("/", 1)[1])


def _parts(node: Node) -> Iterator[tuple[str, Node]]:
    """Yield a node and the nodes inside it with their global ids; references to other nodes aren't followed."""
    yield node["id"], node
    for key, value in node.items():
        if key in _REFERENCES or key.startswith("_"):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict) and "id" in part:
                yield from _parts(part)


_REFERENCES = {
    *("customer", "lastOrder", "lineItem", "order", "originalDuty", "parentTransaction", "purchasingEntity"),
    *("return", "shippingLine"),
}
