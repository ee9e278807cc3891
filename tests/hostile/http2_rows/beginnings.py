"""What comes in the place of a server's preface, which is a SETTINGS frame (RFC 9113 section 3.4)."""

from __future__ import annotations

from hostile.http2_rows.row import OK, Answer, ConnectionRefused, CutShort, Row
from support.http2_peer import (
    HEADERS,
    MAX_FRAME_SIZE,
    PREFACE,
    Code,
    data,
    frame,
    goaway,
    headers,
    ping,
    response,
    rst,
    settings,
    window_update,
)

BROKEN = ConnectionRefused(goaway=(Code.PROTOCOL_ERROR, Code.FRAME_SIZE_ERROR))
CALM = ConnectionRefused(goaway=(Code.ENHANCE_YOUR_CALM,))
HTTP_1 = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

REFUSED = {
    "an HTTP/1.1 response": HTTP_1,
    "an HTTP/1.1 refusal": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "an upgrade": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + settings(),
    "a client's preface": PREFACE + settings(),
    "an alert of TLS": b"\x15\x03\x01\x00\x02\x02\x28" + b"\0" * 2,
    "SSH": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "zeros": bytes(64),
    "ones": b"\xff" * 64,
    "text": b"Hello, this is no server of HTTP/2 at all.\r\n",
    "PING": ping() + settings(),
    "WINDOW_UPDATE": window_update(0, 1) + settings(),
    "an acknowledgement of SETTINGS": settings(ack=True) + settings(),
    "HEADERS": response(1) + settings(),
    "DATA": data(1, b"x") + settings(),
    "GOAWAY": goaway(0, Code.PROTOCOL_ERROR),
    "RST_STREAM": rst(1) + settings(),
    "an unknown kind": frame(0xBB) + settings(),
    "SETTINGS with a bad value": settings({MAX_FRAME_SIZE: 1}) + settings(ack=True) + response(1),
    "half of a head": frame(HEADERS, 0, 1, b"\x88") + settings(),
}

# Each setting 6 bytes, of which 2,730 fit a frame
FULL = settings([(0x1000 + number, number) for number in range(2_730)])

ROWS = [
    *(Row(f"{name} in the place of SETTINGS", said, BROKEN, "3.4", "GET", True) for name, said in REFUSED.items()),
    Row("nothing in the place of SETTINGS", b"", CutShort(), "3.4", "GET", True),
    Row(
        "half of SETTINGS", settings({MAX_FRAME_SIZE: 20_000})[:12], CutShort(between_frames=False), "3.4", "GET", True
    ),
    Row("SETTINGS and nothing else", settings(), CutShort(), "3.4", "GET", True),
    Row(
        "a response before the acknowledgement",
        settings() + response(1) + settings(ack=True),
        Answer(),
        "6.5.3",
        "GET",
        True,
    ),
    Row("as many settings as fit", FULL + settings(ack=True) + response(1), CALM, "10.5", "GET", True),
    Row(
        "SETTINGS twice",
        settings() + settings() + settings(ack=True) + headers(1, OK, end=True),
        Answer(),
        "6.5",
        "GET",
        True,
    ),
]
