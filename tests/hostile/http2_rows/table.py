"""All rows of HTTP/2."""

from __future__ import annotations

from hostile.http2_rows import beginnings, content, frames, heads, legal, overflows
from hostile.http2_rows.row import Row

ROWS: list[Row] = [
    *beginnings.ROWS,
    *heads.ROWS,
    *content.ROWS,
    *frames.ROWS,
    *overflows.ROWS,
    *legal.ROWS,
]
