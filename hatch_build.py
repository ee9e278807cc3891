"""The compiled build: mypyc by hatch-mypyc, with one line of its runtime mended.

mypyc (2.4.1) passes an exception on from a compiled coroutine to one that is not by `throw(type, value, traceback)`.
Python has deprecated that since 3.12: each cancellation would warn, and fail where warnings are errors. Here it is
`throw(value)`.
"""

import os
import shlex
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hatch_mypyc.plugin import MypycBuildHook
from mypyc.build import include_dir

_RUNTIME_FILE = "misc_ops.c"
_DEPRECATED = "PyObject_CallFunctionObjArgs(_m, type, value, traceback, NULL)"
_MENDED = "PyObject_CallFunctionObjArgs(_m, value, NULL)"


def get_build_hook() -> type[MypycBuildHook]:
    return CompileHook


class CompileHook(MypycBuildHook):
    PLUGIN_NAME = "custom"  # what hatchling calls the hook of a project's own

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if sys.platform == "win32":
            raise RuntimeError("the compiled build is for GCC and Clang, whose CFLAGS this sets; the pure one is whole")
        with _mended_runtime():
            super().initialize(version, build_data)


@contextmanager
def _mended_runtime() -> Iterator[None]:
    source = Path(include_dir(), _RUNTIME_FILE).read_text()
    if source.count(_DEPRECATED) != 1:
        raise RuntimeError(f"{_RUNTIME_FILE} of this mypyc is another than the one that is mended here: see {__file__}")
    given = os.environ.get("CFLAGS")
    # Some versions of setuptools add these to Python's own flags, others take them instead: so those come first.
    flags = sysconfig.get_config_var("CFLAGS") if given is None else given
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, _RUNTIME_FILE).write_text(source.replace(_DEPRECATED, _MENDED))
        # The directory stands before mypyc's own, which setuptools gives later in the command. And functions that are
        # nobody else's business are called directly (2 % of a request).
        os.environ["CFLAGS"] = f"{flags or ''} -I{shlex.quote(directory)} -fvisibility=hidden"
        try:
            yield
        finally:
            if given is None:
                del os.environ["CFLAGS"]
            else:
                os.environ["CFLAGS"] = given
