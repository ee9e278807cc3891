"""The types that appear in public signatures. May import nothing of ours."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from atomhttp._model.timeout import Timeout

HeaderValue: TypeAlias = "str | int | float | bytes | Literal[False] | Sequence[str | int | float | bytes] | None"
HeadersInput: TypeAlias = "Mapping[str, HeaderValue] | Iterable[tuple[str, HeaderValue]]"
ParamsInput: TypeAlias = "Mapping[str, Any] | Iterable[tuple[str, Any]] | str"
TimeoutInput: TypeAlias = "float | timedelta | Timeout | Mapping[str, float | None] | None"
VerifyInput: TypeAlias = "bool | str | PathLike[str] | ssl.SSLContext"
CertInput: TypeAlias = "str | PathLike[str] | tuple[str | PathLike[str], ...]"
ResponseType: TypeAlias = Literal["json", "text", "blob", "arraybuffer", "stream"]
StatusValidator: TypeAlias = "Callable[[int], bool] | Literal[True]"
BodyIterator: TypeAlias = "Iterable[bytes] | AsyncIterable[bytes]"
