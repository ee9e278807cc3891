"""All rows."""

from __future__ import annotations

from hostile.row import Row
from hostile.rows import (
    chunks,
    codings,
    content_codings,
    endings,
    fields,
    interim,
    legal,
    lengths,
    status_lines,
    trailers,
)

ROWS: list[Row] = [
    *status_lines.ROWS,
    *fields.ROWS,
    *lengths.ROWS,
    *codings.ROWS,
    *interim.ROWS,
    *chunks.ROWS,
    *trailers.ROWS,
    *content_codings.ROWS,
    *endings.ROWS,
    *legal.ROWS,
]
