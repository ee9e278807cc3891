"""Public names whose modules are imported when somebody asks for them. May import nothing of ours."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def load_later(package: dict[str, Any], **homes: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` (PEP 562) of a package that gives some of its names at first use.

    Args:
        package: the package's `globals()`; a name that was loaded is kept there.
        homes: by name, the module that has it; of a module itself, its own name.
    """

    def load(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")
        module = import_module(home)
        found = package[name] = module if home.endswith(f".{name}") else getattr(module, name)
        return found

    def list_names() -> list[str]:
        return sorted({*package, *homes})

    return load, list_names
