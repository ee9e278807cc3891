"""The fuzz targets stand beside `tests/`, where other runs than the suite's find them too."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.append(ROOT)
