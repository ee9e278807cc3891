"""A server in a process of its own, a child for each connection, and each child is killed in the middle of its answer.

``GET /sized/17/KILL`` is answered by 17 bytes of the framing "sized" and the death of the process; with STOP it stands
still instead. Run as a program it prints its port and serves until its standard input ends.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import zlib

CONTENT = b"0123456789abcdef"
_GZIP = zlib.compressobj(wbits=31)
_PACKED = _GZIP.compress(CONTENT) + _GZIP.flush()

FRAMINGS = {
    "sized": b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + CONTENT,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"7\r\n0123456\r\n9;a=b\r\n789abcdef\r\n0\r\nX: y\r\n\r\n",
    "until-eof": b"HTTP/1.1 200 OK\r\n\r\n" + CONTENT,
    "http-1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 16\r\n\r\n" + CONTENT,
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(_PACKED) + _PACKED,
}


def serve(connection: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(65_536)
    framing, size, sign = head.split()[1].decode().strip("/").split("/")
    connection.sendall(FRAMINGS[framing][: int(size)])
    os.kill(os.getpid(), getattr(signal, f"SIG{sign}"))


def main() -> None:
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the dead
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while sys.stdin not in (ready := select.select([listener, sys.stdin], [], [])[0]):
            connection, _ = ready[0].accept()
            if not os.fork():
                listener.close()
                serve(connection)
            connection.close()
    os.killpg(0, signal.SIGKILL)  # this process, and those that stand still


if __name__ == "__main__":
    main()
