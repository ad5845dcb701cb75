"""An attribute that is found out when it is first asked for, in: a method; out: its result, from then on.

Knows nothing of what is found out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class once(Generic[T]):  # noqa: N801  # used as a decorator
    """Like `functools.cached_property`, which before Python 3.12 has one lock for the objects of a class.

    There, one store that is slow to answer would hold up all others: https://github.com/python/cpython/issues/87634.
    """

    def __init__(self, find: Callable[[Any], T]) -> None:
        """Take the method."""
        self._find = find
        self.__doc__ = find.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> once[T]: ...
    @overload
    def __get__(self, owner: object, kind: type) -> T: ...
    def __get__(self, owner: object | None, kind: type) -> once[T] | T:
        """Return what was found, and keep it in the object, where it is looked for first."""
        if owner is None:
            return self
        found = owner.__dict__[self._find.__name__] = self._find(owner)
        return found
