"""A store that is many times as large as it is, in: a store and how many copies; out: its nodes, counted and in order.

Memory doesn't grow with the copies. Knows no GraphQL and no HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.copies import digits
from sandbox.shop.filters import SORT_KEYS
from sandbox.shop.nodes import number_of
from sandbox.shop.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    Node = dict[str, Any]

KINDS = ("Customer", "Order")


def changed(node: Node) -> str:
    """Return when a node changed last."""
    return str(node["updatedAt"])


class Copy(NamedTuple):
    """One of the copies of a node; number 0 is the node itself."""

    node: Node
    number: int

    @property
    def key(self) -> tuple[str, int]:
        """By what a shop sorts it: its last change, then its id."""
        return changed(self.node), int(digits(self.number) + b"%d" % number_of(self.node))


class Copies(Sequence[Copy]):
    """The copies of nodes, in the order that a shop with all of them has."""

    def __init__(self, nodes: Sequence[Node], copies: int) -> None:
        self._nodes, self._copies = nodes, copies
        self._groups: list[tuple[int, int]] = []  # by place of a node: where those of its very moment begin, how many
        for _, same in groupby(nodes, key=changed):
            group = (len(self._groups), len(list(same)))
            self._groups += [group] * group[1]

    def __len__(self) -> int:
        return len(self._nodes) * self._copies

    def __getitem__(self, place: Any) -> Any:  # noqa: ANN401  # a place alone, though a Sequence takes slices too
        begins, size = self._groups[place // self._copies]
        number, within = divmod(place - begins * self._copies, size)
        return Copy(self._nodes[begins + within], number)


class CopiedStore(Store):
    """A store of which each customer and order exists `copies` times; what it holds are the originals."""

    def __init__(self, one: Store) -> None:
        super().__init__()
        self.by_type = one.by_type
        self.copies = 1

    def copied(self, kind: str, matches: Callable[[Node], bool] | None) -> Copies:
        """Return the copies of the nodes that match, oldest change first."""
        originals = self.sorted(kind, "UPDATED_AT", SORT_KEYS[kind]["UPDATED_AT"])
        return Copies(list(filter(matches, originals)), self.copies)

    def count(self, type_name: str, matches: Callable[[Node], bool] | None) -> int:
        """Return how many nodes and copies match."""
        return super().count(type_name, matches) * (self.copies if type_name in KINDS else 1)
