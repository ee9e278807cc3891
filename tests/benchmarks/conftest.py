"""A copy of the tests without the benchmarks, such as the source distribution, has nothing to test here."""

from pathlib import Path

if not (Path(__file__).resolve().parents[2] / "benchmarks" / "table.py").exists():
    collect_ignore_glob = ["test_*.py"]
