"""The program `atomhttp`. Outside of the package, so that Ctrl+C is quiet while that is imported."""

from __future__ import annotations

import signal


def main() -> int:
    """Runs the command line.

    Returns:
        The exit code.
    """
    # Not where it was started in the background, with SIGINT ignored.
    is_listening = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_listening:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from atomhttp.__main__ import main as run

    if is_listening:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return run()
