"""`python -m fuzz TARGET… [-- LIBFUZZER OPTIONS]`: see README.md, or `python -m fuzz --help`."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A finding is also what takes too long (seconds) or too much memory (MiB).
WORDS = Path(__file__).with_name("words.dict")
DEFAULTS = (f"-dict={WORDS}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=1024", "-print_final_stats=1")


# Where coverage is looked at: what takes apart what peers, files and callers give.
READERS = (
    *("atomhttp._wire.", "atomhttp._body.", "atomhttp.auth.", "atomhttp._net.socks", "atomhttp._net.tunnel"),
    *("atomhttp._pipeline.redirects", "atomhttp._pipeline.retry", "atomhttp._model.config", "atomhttp._model.cookie"),
    *("atomhttp._model.headers", "atomhttp._model.no_proxy", "atomhttp._model.options", "atomhttp._model.params"),
    *("atomhttp._model.prox", "atomhttp._model.url", "atomhttp._model.timeout", "atomhttp._model.checks"),
)


def main() -> int:
    arguments, options = _split(sys.argv[1:])
    parser = argparse.ArgumentParser(
        prog="python -m fuzz",
        usage="python -m fuzz [options] [TARGET ...] [-- LIBFUZZER OPTIONS]",
        description="Fuzzes atomhttp; needs atheris, but to replay.",
        epilog="For a minute: python -m fuzz url -- -max_total_time=60",
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="by default all, one after the other")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--list", action="store_true", help="the targets there are")
    instead.add_argument("--replay", nargs="+", type=Path, metavar="FILE", help="run these inputs, without atheris")
    parser.add_argument("--findings", type=Path, default=Path(), metavar="FOLDER", help="where findings are written")
    parser.add_argument("--corpus", type=Path, help="keep what is found in folders in here; used again in the next run")
    given = parser.parse_args(arguments)
    _check(parser, given)
    if not (given.list or given.replay):
        _instrument()
    from fuzz.targets import TARGETS

    unknown = [name for name in given.targets if name not in TARGETS]
    if unknown:
        parser.error(f"no target {unknown[0]!r}; there are {', '.join(TARGETS)}")
    if given.list:
        sys.stdout.write("".join(f"{name}\n" for name in TARGETS))
        return 0
    names = given.targets or list(TARGETS)
    if given.replay:
        _replay(names, given.replay)
        return 0
    failed = [name for name in names if not _fuzz(name, options, given.corpus, given.findings)]
    if failed:
        sys.stderr.write(f"\nFindings in: {', '.join(failed)}\n")
    return len(failed)


def _check(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    for path in given.replay or ():
        if not path.is_file():
            parser.error(f"--replay: no file {str(path)!r}")
    for name in ("findings", "corpus"):
        try:
            if (folder := getattr(given, name)) is not None:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"--{name}: {error}")
    if not (given.list or given.replay or importlib.util.find_spec("atheris")):
        parser.error("atheris is not installed; it has wheels for Linux, CPython 3.11 to 3.13")


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Ours, and libFuzzer's behind `--`."""
    if "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def _instrument() -> None:
    """What is imported in here tells libFuzzer where it has been. C does not: httptools, can_ada, msgspec."""
    import atheris

    with atheris.instrument_imports(include=["atomhttp", "h11"], exclude=_find_others()):
        importlib.import_module("fuzz.targets")  # which imports everything that is fuzzed


def _find_others() -> list[str]:
    """The modules that read nothing of anybody's: each costs 50 ms to instrument."""
    package = Path(str(importlib.util.find_spec("atomhttp").origin)).parent
    names = [".".join(path.relative_to(package.parent).with_suffix("").parts) for path in package.rglob("*.py")]
    return [name.removesuffix(".__init__") for name in names if not name.startswith(READERS)]


def _replay(names: list[str], paths: list[Path]) -> None:
    """What is wrong is raised."""
    from fuzz.targets import TARGETS

    for path in paths:
        data = path.read_bytes()
        for name in names:
            sys.stderr.write(f"{name}: {path}: {data[:80]!r}\n")
            TARGETS[name].run(data)


def _fuzz(name: str, options: list[str], corpus: Path | None, findings: Path) -> bool:
    """Runs a target in a child, since libFuzzer ends its process; whether nothing was found."""
    sys.stderr.write(f"\n=== {name}\n")
    sys.stderr.flush()
    with _folder(corpus, name) as folder:
        child = os.fork()
        if not child:
            _run(name, [f"-artifact_prefix={findings}/{name}-", *DEFAULTS, *options], folder)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@contextmanager
def _folder(corpus: Path | None, name: str) -> Iterator[Path]:
    """Where a target's inputs are, the seeds among them, and what it writes besides (a child cannot clean up)."""
    from fuzz.targets import TARGETS

    with tempfile.TemporaryDirectory(prefix="atomhttp-fuzz-") as own:
        tempfile.tempdir = own
        folder = Path(own, "corpus") if corpus is None else corpus / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(TARGETS[name].seeds):
            (folder / f"seed-{number}").write_bytes(seed)
        try:
            yield folder
        finally:
            tempfile.tempdir = None


def _run(name: str, options: list[str], folder: Path) -> None:
    """libFuzzer; does not return."""
    import atheris

    from fuzz.targets import TARGETS

    atheris.Setup([sys.argv[0], str(folder), *options], TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
