"""Frames that break the connection: their size, stream, order or value (RFC 9113 sections 4 to 6)."""

from __future__ import annotations

import struct

from hostile.http2_rows.row import OK, Answer, ConnectionRefused, LastAnswer, Row
from support.http2_peer import (
    ACK,
    ALTSVC,
    DATA,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    PADDED,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Code,
    block,
    continuation,
    data,
    frame,
    goaway,
    headers,
    ping,
    priority,
    push_promise,
    response,
    rst,
    settings,
    window_update,
)

BROKEN = ConnectionRefused()
SIZE = ConnectionRefused(goaway=(Code.FRAME_SIZE_ERROR,))
FLOW = ConnectionRefused(goaway=(Code.FLOW_CONTROL_ERROR,))
CLOSED = ConnectionRefused(goaway=(Code.STREAM_CLOSED, Code.PROTOCOL_ERROR))
COMPRESSION = ConnectionRefused(goaway=(Code.COMPRESSION_ERROR,))
PUSHED = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/pushed"), (b":authority", b"a"))
# One byte more than this client lets into a frame
BEYOND = 65_537


def raw_block(raw: bytes) -> bytes:
    return headers(1, raw=block(OK) + raw, end=True)


SIZES = {
    "SETTINGS of 5 bytes": frame(SETTINGS, 0, 0, bytes(5)),
    "SETTINGS of 7 bytes": frame(SETTINGS, 0, 0, struct.pack(">HI", 99, 0) + b"x"),
    "an acknowledgement of SETTINGS with settings": frame(SETTINGS, ACK, 0, struct.pack(">HI", 99, 0)),
    "PING of 7 bytes": frame(PING, 0, 0, bytes(7)),
    "PING of 9 bytes": frame(PING, 0, 0, bytes(9)),
    "PING of nothing": frame(PING, 0, 0),
    "RST_STREAM of 3 bytes": frame(RST_STREAM, 0, 1, bytes(3)),
    "RST_STREAM of 5 bytes": frame(RST_STREAM, 0, 1, bytes(5)),
    "WINDOW_UPDATE of 3 bytes": frame(WINDOW_UPDATE, 0, 0, bytes(3)),
    "WINDOW_UPDATE of 5 bytes": frame(WINDOW_UPDATE, 0, 1, bytes(5)),
    "GOAWAY of 7 bytes": frame(GOAWAY, 0, 0, bytes(7)),
    "GOAWAY of nothing": frame(GOAWAY, 0, 0),
    "PRIORITY of 4 bytes": frame(PRIORITY, 0, 1, bytes(4)),
    "PRIORITY of 6 bytes": frame(PRIORITY, 0, 1, bytes(6)),
    "HEADERS without the room for their priority": frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, bytes(4)),
    "PUSH_PROMISE of 3 bytes": frame(PUSH_PROMISE, END_HEADERS, 1, bytes(3)),
    "DATA larger than any frame": headers(1, OK) + frame(DATA, 0, 1, length=0xFFFFFF),
    "HEADERS larger than any frame": frame(HEADERS, 0, 1, length=0xFFFFFF),
    "ALTSVC that says nothing": frame(ALTSVC, 0, 0),
    "SETTINGS larger than any frame": frame(SETTINGS, 0, 0, length=0xFFFFFC),
    "ALTSVC larger than any frame": frame(ALTSVC, 0, 0, length=0xFFFFFF),
    "an unknown kind larger than any frame": frame(0xBB, 0, 0, length=0xFFFFFF),
    "DATA larger than SETTINGS_MAX_FRAME_SIZE": headers(1, OK) + data(1, bytes(BEYOND), end=True),
    "HEADERS larger than SETTINGS_MAX_FRAME_SIZE": headers(1, OK, (b"x", b"v" * BEYOND), end=True),
    "an unknown kind larger than SETTINGS_MAX_FRAME_SIZE": frame(0xBB, 0, 0, bytes(BEYOND)),
}

PLACES = {
    "DATA on stream 0": frame(DATA, END_STREAM, 0, b"ok"),
    "HEADERS on stream 0": headers(0, OK, end=True),
    "RST_STREAM on stream 0": rst(0),
    "CONTINUATION on stream 0": continuation(0, block(OK), end_headers=True),
    "PUSH_PROMISE on stream 0": push_promise(0, 2, *PUSHED),
    "SETTINGS on stream 1": frame(SETTINGS, 0, 1),
    "PING on stream 1": frame(PING, 0, 1, bytes(8)),
    "GOAWAY on stream 1": frame(GOAWAY, 0, 1, bytes(8)),
    "DATA on an idle stream": data(99, b"x"),
    "DATA on an even stream": data(2, b"x"),
    "HEADERS on an idle stream": headers(99, OK, end=True),
    "HEADERS on an even stream": headers(2, OK, end=True),
    "a request on an even stream": headers(2, *PUSHED, end=True),
    "RST_STREAM on an idle stream": rst(99),
    "RST_STREAM on an even stream": rst(2),
    "WINDOW_UPDATE on an idle stream": window_update(99, 1),
    "WINDOW_UPDATE on an even stream": window_update(2, 1),
    "CONTINUATION without HEADERS": continuation(1, block(OK), end_headers=True),
    "CONTINUATION behind all of HEADERS": headers(1, OK) + continuation(1, block((b"x", b"y")), end_headers=True),
    "CONTINUATION of another stream": headers(1, OK, flags=0) + continuation(3, b"", end_headers=True),
    "DATA inside of a header block": headers(1, OK, flags=0) + data(1, b"x"),
    "PING inside of a header block": headers(1, OK, flags=0) + ping(),
    "SETTINGS inside of a header block": headers(1, OK, flags=0) + settings(),
    "an unknown kind inside of a header block": headers(1, OK, flags=0) + frame(0xBB, 0, 1),
    "another stream's HEADERS inside of a header block": headers(1, OK, flags=0) + headers(3, OK, end=True),
    "DATA in front of its head": data(1, b"x"),
    "PRIORITY_UPDATE, which is a client's": frame(PRIORITY_UPDATE, 0, 0, struct.pack(">I", 1) + b"u=1"),
    "PUSH_PROMISE": push_promise(1, 2, *PUSHED),
    "PUSH_PROMISE of an odd stream": push_promise(1, 5, *PUSHED),
    "PUSH_PROMISE and its response": push_promise(1, 2, *PUSHED) + response(2, 200, (), b"pushed"),
    "PUSH_PROMISE without its end": frame(PUSH_PROMISE, 0, 1, struct.pack(">I", 2) + block(*PUSHED)),
    "padding longer than DATA": headers(1, OK) + frame(DATA, PADDED | END_STREAM, 1, b"\x06hello"),
    "padding as long as DATA": headers(1, OK) + frame(DATA, PADDED | END_STREAM, 1, b"\x01"),
    "padding without its length": headers(1, OK) + frame(DATA, PADDED | END_STREAM, 1),
    "padding longer than HEADERS": frame(HEADERS, PADDED | END_HEADERS, 1, b"\xff" + block(OK)),
    "padding longer than HEADERS with priority": frame(
        HEADERS, PADDED | WITH_PRIORITY | END_HEADERS, 1, b"\x0f" + bytes(5) + block(OK)
    ),
}

VALUES = {
    "SETTINGS_ENABLE_PUSH of 2": (settings({ENABLE_PUSH: 2}), BROKEN),
    "SETTINGS_ENABLE_PUSH of a server": (settings({ENABLE_PUSH: 1}), BROKEN),
    "SETTINGS_INITIAL_WINDOW_SIZE of 2 to the 31": (settings({INITIAL_WINDOW_SIZE: 1 << 31}), FLOW),
    "SETTINGS_INITIAL_WINDOW_SIZE of all ones": (settings({INITIAL_WINDOW_SIZE: 0xFFFFFFFF}), FLOW),
    "SETTINGS_MAX_FRAME_SIZE of 0": (settings({MAX_FRAME_SIZE: 0}), BROKEN),
    "SETTINGS_MAX_FRAME_SIZE of 16,383": (settings({MAX_FRAME_SIZE: 16_383}), BROKEN),
    "SETTINGS_MAX_FRAME_SIZE of 2 to the 24": (settings({MAX_FRAME_SIZE: 1 << 24}), BROKEN),
    "a bad setting behind a good one": (settings([(MAX_FRAME_SIZE, 16_384), (MAX_FRAME_SIZE, 1)]), BROKEN),
    "SETTINGS acknowledged that were not sent": (settings(ack=True), BROKEN),
    "WINDOW_UPDATE of 0": (window_update(0, 0), BROKEN),
    "WINDOW_UPDATE of 0 with the reserved bit": (window_update(0, 1 << 31), BROKEN),
    "WINDOW_UPDATE of 0 on a stream": (window_update(1, 0), BROKEN),
    "WINDOW_UPDATE beyond 2 to the 31": (window_update(0, 0x7FFFFFFF), FLOW),
    "WINDOW_UPDATEs beyond 2 to the 31": (window_update(0, 0x40000000) * 2, FLOW),
    "WINDOW_UPDATE beyond 2 to the 31 on a stream": (window_update(1, 0x7FFFFFFF), FLOW),
    "SETTINGS that make a window larger than 2 to the 31": (
        window_update(1, 0x7FFF0000) + settings({INITIAL_WINDOW_SIZE: 0x7FFFFFFF}),
        FLOW,
    ),
    "GOAWAY whose last stream rises": (goaway(1) + goaway(3), BROKEN),
}

# Of HPACK (RFC 7541)
BLOCKS = {
    "index 0": b"\x80",
    "an index beyond the table": b"\xbe",
    "an index far beyond the table": b"\xff\xff\x7f",
    "an index of more than 32 bits": b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "an index without its end": b"\xff\xff",
    "a name beyond the table": b"\x7e\x01v",
    "a name longer than the block": b"\x00\x05x",
    "a value longer than the block": b"\x00\x01x\x05v",
    "a value of more than 32 bits": b"\x00\x01x\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "a literal without its value": b"\x00\x01x",
    "Huffman codes with EOS": b"\x00\x01x\x84\xff\xff\xff\xff",
    "Huffman codes with padding of zeros": b"\x00\x01x\x81\x00",
    "Huffman codes with too much padding": b"\x00\x01x\x82\x1f\xff",
    "a table larger than we allow": b"\x3f\xe1\xff\xff\x7f",
    "a change of the table behind a field": b"\x20",
}

ENDED = response(1, 200, (), b"ok")

# Behind a complete response: the stream is closed, or half of it
AFTER = {
    "DATA": data(1, b"x"),
    "DATA with the end": data(1, b"x", end=True),
    "HEADERS": headers(1, OK, end=True),
    "RST_STREAM": rst(1),
    "RST_STREAM without an error": rst(1, Code.NO_ERROR),
    "WINDOW_UPDATE": window_update(1, 100),
    "PRIORITY": priority(1),
}
HARMLESS = ("RST_STREAM", "RST_STREAM without an error", "WINDOW_UPDATE", "PRIORITY")

ROWS = [
    *(Row(name, said, SIZE, "4.2, 6") for name, said in SIZES.items()),
    *(Row(name, said, BROKEN, "5.1, 6") for name, said in PLACES.items()),
    *(Row(name, said, outcome, "6.5.2, 6.9, 6.8") for name, (said, outcome) in VALUES.items()),
    *(Row(f"HPACK: {name}", raw_block(raw), COMPRESSION, "RFC 7541") for name, raw in BLOCKS.items()),
    *(
        Row(f"{name} behind the end", ENDED + said, (Answer if name in HARMLESS else LastAnswer)(200, b"ok"), "5.1")
        for name, said in AFTER.items()
    ),
]
