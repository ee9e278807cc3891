"""The reactors that have not been closed. Not compiled: what is compiled takes no weak references."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atomhttp._net.reactor import Reactor


class Life:
    """Lives and dies with its reactor, to which it refers."""

    __slots__ = ("__weakref__", "reactor")

    def __init__(self, reactor: Reactor) -> None:
        self.reactor = reactor
        _lives.add(self)

    def end(self) -> None:
        """The reactor is closed."""
        _lives.discard(self)


_lives: weakref.WeakSet[Life] = weakref.WeakSet()


def live_reactors() -> list[Reactor]:
    """The reactors that have not been closed."""
    return [life.reactor for life in list(_lives)]
