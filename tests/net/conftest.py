"""What the tests against the network share."""

from __future__ import annotations

# Its plugin would import it when the run is over, and let trio register a random generator that the leak guard's
# gc.freeze has by then hidden from it: a warning, which is an error.
import hypothesis  # noqa: F401
