"""The machine that was measured on, and the versions of everything that took part."""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.environments import SUFFIXES, MissingEnvironmentError, find_environment
from benchmarks.origin import find_nginx
from benchmarks.peers import CLIENTS, OVER_HTTP1, PRODUCT, YARDSTICK

# What clients are built on and their loops; it decides their speed as much as their own version does.
PARTS = ["uvloop", "httptools", "ngh2", "msgspec"]

ASK_VERSION = """
import sys, json, importlib.metadata
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""


def describe_machine() -> dict[str, Any]:
    return {
        "cpu": find_cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": find_versions(),
    }


def find_cpu() -> str:
    found = re.search(r"^(?:model name|Model|Hardware)\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def find_versions() -> dict[str, str]:
    versions = {}
    for client in CLIENTS:
        if client not in (YARDSTICK, OVER_HTTP1):
            versions[client] = find_foreign_version(client) if client in SUFFIXES else find_version(client)
    versions |= {part: find_version(part) for part in PARTS}
    versions["nginx"] = ask_program([find_nginx(), "-v"], r"nginx/(\S+)")
    versions["h2load"] = ask_program(["h2load", "--version"], r"nghttp2/(\S+)")
    versions["wrk"] = ask_program(["wrk", "-v"], r"wrk \D*([\d.]+)")
    versions["curl"] = ask_program(["curl", "--version"], r"curl (\S+)")
    return versions


def find_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        if package != PRODUCT:
            return "not installed"
        from atomhttp import __version__  # run from the source tree

        return __version__


def find_foreign_version(client: str) -> str:
    """The version of a client that has an environment of its own."""
    package = client.partition(" ")[0]
    try:
        python = find_environment(client).python
    except MissingEnvironmentError:
        return "not installed"
    told = subprocess.run([python, "-I", "-c", ASK_VERSION, package], check=True, capture_output=True, text=True).stdout
    return str(json.loads(told)[package])


def ask_program(command: list[str], pattern: str) -> str:
    try:
        told = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return "not installed"
    # Some tell it on stderr, and some with an exit status of 1.
    found = re.search(pattern, told.stdout + told.stderr)
    return found[1] if found else "unknown"
