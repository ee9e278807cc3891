"""Takes an input apart: a few bytes that choose, and what is left, which is chosen about."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")


class Reader:
    """Reads `data` from its front. Beyond its end there are zeros, so every input means something.

    Written out rather than atheris's FuzzedDataProvider, which reads numbers from the back and is not there without
    atheris: an input must mean the same in every run, and a person must be able to write one.
    """

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def byte(self) -> int:
        position = self._position
        self._position += 1
        return self._data[position] if position < len(self._data) else 0

    def flag(self) -> bool:
        return bool(self.byte() & 1)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.byte() % len(choices)]

    def take(self, size: int) -> bytes:
        taken = self._data[self._position : self._position + size]
        self._position += size
        return taken

    def cuts(self) -> list[int]:
        """Up to 7 places to cut something at, in no order."""
        return [self.byte() << 8 | self.byte() for _ in range(self.byte() % 8)]

    def rest(self) -> bytes:
        return self.take(len(self._data))

    @property
    def exhausted(self) -> bool:
        return self._position >= len(self._data)


def split(data: bytes, count: int, separator: bytes = b"\n") -> list[bytes]:
    """`data` as so many lines; what is missing is empty, and the last one holds the rest."""
    parts = data.split(separator, count - 1)
    return parts + [b""] * (count - len(parts))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces, none of them empty."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start != end]


def text_of(data: bytes) -> str:
    """Any text, lone surrogates included: what a caller may pass, and no peer can send."""
    return data.decode("utf-8", "surrogateescape")


def received_text(data: bytes) -> str:
    """A field's value as `Headers` gives it."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
