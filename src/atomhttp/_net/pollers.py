"""One shape for what the system offers to wait on many descriptors: epoll, kqueue, poll, select.

Masks are those of poll(2) everywhere. `fileno()` is None where the poller itself cannot be waited on.
"""

from __future__ import annotations

import errno
import select
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from atomhttp.errors import AtomHTTPNetworkError

IN: Final = 1
OUT: Final = 4
ERROR: Final = 8
HANGUP: Final = 16


class Poller(Protocol):
    """Waits on descriptors."""

    def register(self, fd: int, mask: int, /) -> None: ...
    def modify(self, fd: int, mask: int, /) -> None: ...
    def unregister(self, fd: int, /) -> None: ...

    def poll(self, timeout: float, most: int, /) -> Sequence[tuple[int, int]]:
        """(descriptor, mask) pairs; `timeout` in seconds, negative for ever; `most` at once where the system can."""
        ...

    def fileno(self) -> int | None: ...
    def close(self) -> None: ...


class PollPoller:
    """poll(2). Registering costs no system call, so the blocking driver prefers it: it has few descriptors."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self.register = self._poll.register
        self.modify = self._poll.modify
        self.unregister = self._poll.unregister

    def poll(self, timeout: float, most: int) -> Sequence[tuple[int, int]]:
        # Rounded up: a deadline must never be early. None waits for ever.
        return self._poll.poll(None if timeout < 0 else int(timeout * 1000) + (timeout > 0))

    def fileno(self) -> int | None:
        return None

    def close(self) -> None:
        self._poll = select.poll()


class KqueuePoller:
    """kqueue(2), of macOS and the BSDs."""

    def __init__(self) -> None:
        self._kqueue: Any = select.kqueue()  # type: ignore[attr-defined,unused-ignore]  # not on Linux
        self._masks: dict[int, int] = {}

    def register(self, fd: int, mask: int) -> None:
        self._masks[fd] = 0
        self.modify(fd, mask)

    def modify(self, fd: int, mask: int) -> None:
        kq: Any = select
        changed = self._masks[fd] ^ mask
        changes: list[Any] = []
        for bit, kind in ((IN, kq.KQ_FILTER_READ), (OUT, kq.KQ_FILTER_WRITE)):
            if changed & bit:
                changes.append(kq.kevent(fd, kind, kq.KQ_EV_ADD if mask & bit else kq.KQ_EV_DELETE))
        self._masks[fd] = mask
        if changes:
            self._kqueue.control(changes, 0, 0)

    def unregister(self, fd: int) -> None:
        self.modify(fd, 0)
        del self._masks[fd]

    def poll(self, timeout: float, most: int) -> Sequence[tuple[int, int]]:
        read = select.KQ_FILTER_READ  # type: ignore[attr-defined,unused-ignore]  # not on Linux
        events = self._kqueue.control(None, most, None if timeout < 0 else timeout)
        return [(event.ident, IN if event.filter == read else OUT) for event in events]

    def fileno(self) -> int | None:
        return int(self._kqueue.fileno())

    def close(self) -> None:
        self._kqueue.close()


class SelectPoller:
    """select(2): Windows, and whatever else has nothing better."""

    def __init__(self) -> None:
        self._masks: dict[int, int] = {}

    def register(self, fd: int, mask: int) -> None:
        self._masks[fd] = mask

    modify = register

    def unregister(self, fd: int) -> None:
        del self._masks[fd]

    def poll(self, timeout: float, most: int) -> Sequence[tuple[int, int]]:
        readers = [fd for fd, mask in self._masks.items() if mask & IN]
        writers = [fd for fd, mask in self._masks.items() if mask & OUT]
        # A failed connect is reported among the exceptional ones on Windows.
        ready, writable, failed = select.select(readers, writers, writers, None if timeout < 0 else timeout)
        events: dict[int, int] = {}
        for found, bit in ((ready, IN), (writable, OUT), (failed, OUT | ERROR)):
            for fd in found:
                events[fd] = events.get(fd, 0) | bit
        return list(events.items())

    def fileno(self) -> int | None:
        return None

    def close(self) -> None:
        self._masks.clear()


def build_probe(fd: int) -> Callable[[int], Sequence[tuple[int, int]]] | None:
    """A call that says, when given 0, whether `fd` has anything to read; None where the system has nothing so cheap."""
    if not hasattr(select, "poll"):
        return None
    poll = select.poll()
    poll.register(fd, IN)
    return poll.poll


def build_nested_poller() -> Poller:
    """A poller for a reactor inside an event loop: one that can itself be waited on, where there is one.

    Asked each time: gevent takes epoll away when it patches the process.

    Raises:
        AtomHTTPNetworkError: the process may open no more files (EMFILE).
    """
    try:
        if hasattr(select, "epoll"):
            return select.epoll()  # its methods are a Poller's, positionally
        if hasattr(select, "kqueue"):
            return KqueuePoller()
    except OSError as error:
        code = errno.errorcode.get(error.errno or 0, "ERR_NETWORK")
        raise AtomHTTPNetworkError(f"no poller: {error.strerror or error}", code, request_sent="no") from error
    return build_plain_poller()


def build_plain_poller() -> Poller:
    """A poller for a reactor that waits by itself."""
    return PollPoller() if hasattr(select, "poll") else SelectPoller()
