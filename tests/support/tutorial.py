"""The server of the tutorial, the very one that its readers start, on a port of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path

FILE = Path(__file__).parents[2] / "docs" / "tutorial_server.py"


@contextlib.contextmanager
def serve_tutorial() -> Iterator[str]:
    """Its URL, for as long as the block lasts. Its clients have to be closed before it ends."""
    spec = importlib.util.spec_from_file_location("tutorial_server", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.Server(0) as server:
        # Its threads are waited for at the end, and so do not outlive the test.
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()
