"""The program `atomhttp`, also by `python -m atomhttp`."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs the command line, if what it needs is installed.

    Returns:
        The exit code.
    """
    try:
        from atomhttp._cli.run import main as run

        return run()
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print("atomhttp: the command line is an extra; install it by: pip install 'atomhttp[cli]'", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # Before there was anything that could have been interrupted.
        return 130


if __name__ == "__main__":
    sys.exit(main())
