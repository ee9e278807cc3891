"""What has to be said to mypyc about a class that it compiles. In pure Python it means nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**attributes):
        """`allow_interpreted_subclasses=True`: classes that are not compiled may inherit from this one."""
        return lambda cls: cls
