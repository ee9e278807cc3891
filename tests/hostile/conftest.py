"""The closing line of a run of this directory."""

from __future__ import annotations

import os

import pytest

from hostile.row import every_case
from hostile.table import ROWS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    odd = sum(row.is_odd_but_legal for row in ROWS)
    ways = sum(1 for row in ROWS for _ in every_case(row))
    played = "all of them" if os.environ.get("HOSTILE") == "full" else "a part of them"
    terminalreporter.write_line(f"hostile: {len(ROWS)} rows, {odd} of them odd but legal; {ways} ways, {played} played")
