"""What has to be said to mypyc about a class that it compiles. In pure Python it means nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**attributes):
        """Two are in use.

        `allow_interpreted_subclasses=True`: classes that are not compiled may inherit from this one.
        `free_list_len=1`: the memory of the last instance is used again for the next one (200 instructions).
        """
        return lambda cls: cls
