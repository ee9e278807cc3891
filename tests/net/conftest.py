"""What the tests against the network share."""

from __future__ import annotations

