"""The reference: what autodoc needs to be told of this package.

Docstrings are written in Markdown's manner and in sections (`Args:`, `Raises:`); signatures are shown as the source has
them, with the names of types and not what the names stand for.
"""

from __future__ import annotations

import builtins
import collections.abc
import datetime
import decimal
import enum
import importlib
import inspect
import ipaddress
import os
import pathlib
import re
import sys
import types
import typing
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final

from docstrings import mark_code, name_each_error
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config as SphinxConfig
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature
from verb_types import VERB_CLASSES, VERBS, VerbSignature, option_types, type_aliases, verb_signatures

import atomhttp
from atomhttp._model.options import OPTIONS, Option

# Where a name in a docstring or an annotation may be documented, the likeliest first.
_HOMES: Final = (
    "atomhttp",
    "atomhttp.types",
    "atomhttp.auth",
    "atomhttp.adapters",
    "atomhttp.testing",
    "atomhttp.form_data",
    VERBS,
    "atomhttp._adapters.asgi",
    "atomhttp._adapters.base",
    "atomhttp._deferred",
    "atomhttp._model.cookie",
    "atomhttp._model.cookie_files",
    "atomhttp._model.proxies",
    "atomhttp._pipeline.interceptors",
)
_FIXTURE: Final = "atomhttp_pytest.atomhttp_mock"
_ONE_SHOTS: Final = frozenset(f"atomhttp.{verb}" for verb in verb_signatures("SyncAtomHTTP"))
# What the parts of the options are called in annotations: they are documented as one.
_SAME_AS: Final = dict.fromkeys(
    ("ParamsOptions", "DataOptions", "RequestOptions", "DownloadOptions", "UploadOptions"), "CallOptions"
)
_SCOPES: Final = {"both": "SharedOptions", "call": "CallOptions", "client": "ClientOptions"}

# Attributes are listed with what they are. (Where one is a property, it is described in full as well.)
_SECTIONS: Final = Config(napoleon_use_rtype=False, napoleon_custom_sections=[("Attributes", "params_style")])
# Where a name of the standard library may be from that stands without its module.
_STANDARD: Final = (builtins, typing, collections.abc, datetime, decimal, enum, ipaddress, os, pathlib, types, uuid)
# Names in signatures that are nobody's to make or to look into: they stay without a link.
_PRIVATE: Final = frozenset(
    ("ContentReader", "Defaults", "DeferringVerbs", "ParamsSerializer", "ProxyTable", "Reply", "_Matcher")
)
# Classes whose instances are given and not made: their constructors are not shown.
_GIVEN: Final = frozenset(
    (
        *("atomhttp.InterceptorManager", "atomhttp.Request", "atomhttp.ResponseStream", "atomhttp.SyncResponseStream"),
        *("atomhttp.form_data.FormPart", "atomhttp.testing.MockRequest", "atomhttp.testing.MockRoute"),
        *("atomhttp._deferred.Deferred", "atomhttp.HttpStatusCode"),
    )
)


# Docstrings


def convert_docstring(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """From the manner of our docstrings to reStructuredText."""
    if what == "exception" and hasattr(obj, "codes"):
        lines += [f"Codes: {', '.join(f'`{code}`' for code in obj.codes)}.", ""]
    text = mark_code("\n".join(lines), atomhttp.__all__)
    # As a method's, whatever it is: of a property's docstring napoleon takes all before a colon for a type.
    plain = [*name_each_error(text.split("\n"))]
    lines[:] = GoogleDocstring(plain, _SECTIONS, app, "method", name, obj).lines()


# Signatures


def write_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: object, signature: str | None, returns: str | None
) -> tuple[str, str] | None:
    """The signature as the source has it; None to leave it to autodoc."""
    if verb := _verb_signature(name):
        return f"({verb.parameters})", verb.returns
    if name in _GIVEN or getattr(obj, "_is_protocol", False):
        return "", ""
    if name == _FIXTURE:
        return "()", "MockAdapter"
    function = obj.__init__ if inspect.isclass(obj) else obj
    if signature is None or not inspect.isfunction(inspect.unwrap(function)):
        return None
    source = inspect.signature(function)
    parameters = list(source.parameters.values())
    if inspect.isclass(obj) or (parameters and parameters[0].name in ("self", "cls")):
        parameters = parameters[1:]
    plain = source.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
    has_result = not inspect.isclass(obj) and source.return_annotation is not inspect.Signature.empty
    result = source.return_annotation if has_result else ""
    return stringify_signature(plain, unqualified_typehints=True), str(result)


def _verb_signature(name: str) -> VerbSignature | None:
    if name in _ONE_SHOTS:
        return verb_signatures("SyncAtomHTTP")[name.rpartition(".")[2]]
    package, _, rest = name.partition(".")
    client, _, verb = rest.partition(".")
    return verb_signatures(client).get(verb) if package == "atomhttp" and client in VERB_CLASSES else None


def mend_ellipsis(app: Sphinx, domain: str, objtype: str, content: nodes.Element) -> None:
    """`Callable[..., T]`, of which Sphinx makes `Callable[[...], T]` where it shows overloads."""
    assert content.parent is not None
    marks = [*content.parent.findall(addnodes.desc_sig_punctuation)]
    for dots in [mark for mark in marks if mark.astext() == "..."]:
        around = dots.parent.children
        at = around.index(dots)
        if [each.astext() for each in around[max(at - 2, 0) : at + 2]] == ["[", "[", "...", "]"]:
            dots.parent.remove(around[at + 1])
            dots.parent.remove(around[at - 1])


# What has no docstring


class TypeAliases(SphinxDirective):
    """`.. type-aliases:: MODULE`: each alias with what it stands for."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module = self.arguments[0]
        lines: list[str] = []
        for alias in type_aliases(module):
            lines += [f".. py:type:: {alias.name}", f"   :module: {module}", f"   :canonical: {alias.value}", ""]
            lines += [f"   {mark_code(alias.comment, atomhttp.__all__)}", ""]
        return self.parse_text_to_nodes("\n".join(lines))


class OptionTypes(SphinxDirective):
    """`.. option-types:: call|client|both`: the options of a scope, each with its type."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        scope = self.arguments[0]
        known = option_types()
        lines = [f".. py:class:: {_SCOPES[scope]}", f"   :module: {VERBS}", ""]
        for option in OPTIONS:
            if option.scope == scope:
                lines += [f"   {line}" for line in self._describe(option, known[option.name])]
        return self.parse_text_to_nodes("\n".join(lines))

    def _describe(self, option: Option, type: str) -> Iterator[str]:
        yield f".. py:attribute:: {option.name}"
        yield f"   :type: {type}"
        yield ""
        spelled = f"``{option.alias}``: " if option.alias != option.name else ""
        unit = f" ({option.unit})" if option.unit else ""
        yield f"   {spelled}{mark_code(option.doc, atomhttp.__all__)}{unit}"
        yield ""


class StatusCodes(SphinxDirective):
    """`.. status-codes::`: every code with its names, axios's and Python's."""

    def run(self) -> list[nodes.Node]:
        names: dict[int, list[str]] = {}
        for name, code in atomhttp.HttpStatusCode.__members__.items():
            names.setdefault(code.value, []).append(f"``{name}``")
        lines = [".. list-table::", "", *(f"   * - {code}\n     - {', '.join(each)}" for code, each in names.items())]
        return self.parse_text_to_nodes("\n".join(lines))


def skip_member(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: object) -> bool | None:
    """A named tuple's fields stand in its signature and in its docstring; nobody wrote docstrings of theirs."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


# Names


def resolve_name(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, contnode: nodes.TextElement
) -> nodes.Node | None:
    """A name as the source has it, which is rarely where it is documented. Python's own stay without a link."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    name = target.rpartition(".")[2]
    domain = env.domains.python_domain
    for home in _HOMES:
        full = f"{home}.{_SAME_AS.get(name, name)}"
        if full in domain.objects:
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", full, node, contnode)
    return contnode if name in _PRIVATE or _is_pythons_own(target) else None


def _is_pythons_own(target: str) -> bool:
    module, _, name = target.rpartition(".")
    # A type variable is called by a letter, and lives in some module of ours.
    if re.fullmatch(r"_?[A-Z](_co)?", name) or (not module and any(hasattr(each, name) for each in _STANDARD)):
        return True
    return module.partition(".")[0] in sys.stdlib_module_names and hasattr(importlib.import_module(module), name)


def _name_aliases(app: Sphinx, config: SphinxConfig) -> None:
    """Aliases in overloads, which autodoc evaluates, are shown by their names too."""
    config.autodoc_type_aliases = {alias.name: alias.name for home in _HOMES for alias in type_aliases(home)}


def setup(app: Sphinx) -> dict[str, bool]:
    connect: Callable[..., Any] = app.connect
    connect("autodoc-process-docstring", convert_docstring)
    connect("autodoc-process-signature", write_signature)
    connect("config-inited", _name_aliases)
    connect("object-description-transform", mend_ellipsis)
    connect("missing-reference", resolve_name)
    connect("autodoc-skip-member", skip_member)
    app.add_directive("status-codes", StatusCodes)
    app.add_directive("type-aliases", TypeAliases)
    app.add_directive("option-types", OptionTypes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
