"""Content that is wanted whole and is large: received straight to where it stays."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Final

# From here on malloc keeps nothing of what is freed (glibc's M_MMAP_THRESHOLD at its largest): each body is put into
# fresh pages, and to be given those one by one takes longer than all the rest (100 MB: 110 ms of CPU, 47 by this).
LARGE: Final = 32 * 1024 * 1024
# How much has to have come before anything is believed of the rest, and how many times what has come is reserved then
# at most. What is reserved and not written costs addresses, no memory.
EARNED: Final = 4 * 1024 * 1024
TRUST: Final = 32
# What is received at once: fewer system calls, and few enough that others have their turn.
WINDOW: Final = 1024 * 1024

_HUGE_PAGE: Final = 2 * 1024 * 1024
_MADV_HUGEPAGE: Final = 14


class _Room(BytesIO):
    """Nothing is to be closed when it is freed.

    Its like would try, and where an error's traceback still holds a window of it the collector frees both in any order:
    from Python 3.13 on that is reported as an exception that was ignored.
    """

    __slots__ = ()

    def __del__(self) -> None:
        pass


class LargeContent:
    """Content of an announced length, as it comes.

    Args:
        begun: what has come of it.
        length: how much it is to be.
    """

    __slots__ = ("_content", "_length", "_room", "_size")

    def __init__(self, begun: BytesIO, length: int) -> None:
        self._length = length
        self._size = 0
        self._reserve(begun.getbuffer())

    def _reserve(self, begun: memoryview) -> None:
        # A BytesIO that alone refers to its bytes lets them be written in place, and gives them away without a copy.
        # And `bytes(size)`, unlike a bytearray, does not touch the memory that it gets.
        self._content = _Room(bytes(min(self._length, TRUST * len(begun))))
        self._room = self._content.getbuffer()
        _ask_for_huge_pages(self._room)
        self._size = len(begun)
        self._room[: self._size] = begun

    def window(self, most: int) -> memoryview:
        """Where the next bytes go, room for at least one and at most `most`. Say by `received` how many they were."""
        if self._size == len(self._room):
            self._reserve(self._room)
        return self._room[self._size : self._size + min(most, WINDOW)]

    def received(self, count: int) -> None:
        """`count` bytes have been written to the window."""
        self._size += count

    def write(self, data: memoryview | bytes) -> None:
        """Takes bytes that have been received elsewhere."""
        left = memoryview(data)
        while left:
            window = self.window(len(left))
            window[:] = left[: len(window)]
            self._size += len(window)
            left = left[len(window) :]

    def getvalue(self) -> bytes:
        """All of it, once it has come."""
        self._room.release()
        return self._content.getvalue()


def _ask_for_huge_pages(room: memoryview) -> None:
    """Has Linux back `room` by pages of 2 MiB: 48 page faults per 100 MB in the place of 24,000 (35 ms of CPU).

    Most distributions give them only to those who ask (/sys/kernel/mm/transparent_hugepage/enabled: madvise). It is
    advice: where it is not taken, nothing is lost.
    """
    if sys.platform != "linux":
        return
    try:
        import ctypes  # 5 ms, for those only whose content takes longer than that

        madvise = ctypes.pythonapi["madvise"]
    except (ImportError, AttributeError):
        # A Python, or a C library, without it.
        return
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    address = ctypes.addressof(ctypes.c_char.from_buffer(room))
    # Whole ones, all of them ours.
    begin = -(-address // _HUGE_PAGE) * _HUGE_PAGE
    end = (address + len(room)) // _HUGE_PAGE * _HUGE_PAGE
    madvise(begin, end - begin, _MADV_HUGEPAGE)
