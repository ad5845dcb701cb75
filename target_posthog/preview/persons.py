"""Which ids are one person, in: ids and links between them; out: groups of ids.

Pure, and knows no event. A link always holds here, while PostHog refuses to merge two persons who were both identified
before: it can end with more persons than this, never with fewer.
"""

from __future__ import annotations


class Persons:
    """Groups of linked ids (a disjoint-set forest); some 200 bytes of memory for each id."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}
        self._links = 0

    def of(self, one: str) -> str:
        """Return the id that stands for the person of an id; an unknown id becomes a person of its own."""
        parents = self._parents
        parent = parents.setdefault(one, one)
        while parent != one:
            parents[one] = grandparent = parents[parent]  # halves the path for the next time
            one, parent = parent, grandparent
        return one

    def link(self, one: str, other: str) -> None:
        """Make the persons of two ids one."""
        person, second = self.of(one), self.of(other)
        if person != second:
            self._parents[second] = person
            self._links += 1

    @property
    def ids(self) -> int:
        """Count the ids."""
        return len(self._parents)

    @property
    def count(self) -> int:
        """Count the persons."""
        return len(self._parents) - self._links
