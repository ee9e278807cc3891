"""A folder for targets that read files: this process's own, and gone with it."""

from __future__ import annotations

import atexit
import os
import tempfile
from functools import cache


def scratch_path(name: str) -> str:
    """Where a file called `name` may stand."""
    return os.path.join(_folder(os.getpid()), name)


@cache
def _folder(process: int) -> str:
    # By process: a forked one must not write into its parent's.
    folder = tempfile.TemporaryDirectory(prefix=f"atomhttp-fuzz-{process}-")
    atexit.register(folder.cleanup)
    return folder.name
