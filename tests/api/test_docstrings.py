"""Everything that a user can reach by a public name says what it is."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import atomhttp


def is_public(name):
    return not any(part.startswith("_") for part in name.split("."))


def public_modules():
    found = pkgutil.walk_packages(atomhttp.__path__, "atomhttp.")
    names = ["atomhttp", "atomhttp_pytest", *(each.name for each in found if is_public(each.name))]
    return [importlib.import_module(name) for name in names]


def public_objects(module):
    """(name, object) of what the module offers: what it lists, else what it defines."""
    for name in getattr(module, "__all__", vars(module)):
        value = getattr(module, name)
        is_code = inspect.isclass(value) or inspect.isfunction(value)
        if is_public(name) and is_code and value.__module__.startswith("atomhttp"):
            yield name, value


def is_documented_member(value):
    is_code = inspect.isfunction(value) or inspect.isclass(value)
    return is_code or isinstance(value, (property, classmethod, staticmethod))


def missing_docstrings(where, value):
    """The dotted names of what says nothing: the object, and its public members that were written here."""
    # `__doc__` and not `getdoc`: what a class would inherit is about another class.
    missing = [] if value.__doc__ else [where]
    classes = inspect.getmro(value) if inspect.isclass(value) else ()
    for cls in classes:
        if not cls.__module__.startswith("atomhttp"):
            continue
        for name, member in vars(cls).items():
            # What is overridden may have the docstring of what it overrides.
            versions = [vars(each)[name] for each in classes if name in vars(each)]
            if is_public(name) and is_documented_member(member) and not any(each.__doc__ for each in versions):
                missing.append(f"{where}.{name}")
    return missing


@pytest.mark.parametrize("module", public_modules(), ids=lambda module: module.__name__)
def test_every_public_name_has_a_docstring(module: ModuleType):
    assert inspect.getdoc(module)
    assert [name for each in public_objects(module) for name in missing_docstrings(*each)] == []


def test_a_missing_docstring_would_be_seen():
    class Base:
        """A class."""

        def overridden(self):
            """A method."""

    class Silent(Base):
        def overridden(self): ...

        def says_nothing(self): ...

        @property
        def neither(self): ...

    Silent.__module__ = Base.__module__ = "atomhttp"
    assert missing_docstrings("Silent", Silent) == ["Silent", "Silent.says_nothing", "Silent.neither"]
