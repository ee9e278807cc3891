"""Nothing in the suite talks to the outside: a connect or lookup that would leave this machine is an error.

An audit hook, because it sees every socket of the process, whoever made it. Raising is not enough: a client turns many
exceptions into a failed request, which some tests expect. So each attempt is also remembered, and fails the test.
"""

from __future__ import annotations

import ipaddress
import sys

# RFC 6761 reserves both; `.test` names are for lookups that a test answers or wants to fail.
ALLOWED_SUFFIXES = (".localhost", ".test")

attempts: list[str] = []
"""Every refused attempt since the list was cleared last."""


class OutsideNetworkError(RuntimeError):
    """The code under test tried to reach something that is not this machine."""


def install() -> None:
    """Once a process: audit hooks cannot be taken away."""
    sys.addaudithook(_hook)


def _hook(event: str, args: tuple[object, ...]) -> None:
    # Called for every audit event there is, so the common case must be one comparison.
    if not event.startswith("socket."):
        return
    if event in ("socket.connect", "socket.sendto"):
        address = args[1]
        if not isinstance(address, tuple):
            return  # a unix socket's path
        host = address[0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0]
    else:
        return
    if not is_local(host):
        attempts.append(f"{event} {host!r}")
        raise OutsideNetworkError(f"the outside network is blocked in tests: {event} {host!r}")


def is_local(host: object) -> bool:
    """Whether `host` is this machine, or a name that no public resolver knows."""
    if isinstance(host, bytes):
        host = host.decode("latin-1")
    if not isinstance(host, str) or host == "":
        return True  # the wildcard address
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(ALLOWED_SUFFIXES):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified
