"""What an engine reports. A piece of content is reported as a plain `bytes` object, the cheapest event there is."""

from __future__ import annotations

from typing import ClassVar, Final, TypeAlias

from atomhttp._compiled import mypyc_attr


@mypyc_attr(free_list_len=1)
class ResponseHead:
    """The head of a response as received: status line and fields (RFC 9112 section 2.1).

    `block` holds the raw field lines; they are split only when somebody asks (`fields`), since most callers never do.
    `framing` holds those few that may say how the message is framed, or concern its connection or the cookie jar.
    """

    # Defaults on the class and no __slots__: most heads set four of these (0.3 µs).
    status = 0
    # The content, when the whole message came in one piece: then no other event follows for it.
    content: bytes | None = None
    content_length: int | None = None
    transfer_encoding: bytes | None = None
    content_encoding: bytes = b""
    keep_alive = True
    keep_alive_timeout: float | None = None
    sets_cookies = False

    # The parser asks for these callbacks too, and one that is not there costs it an exception.
    on_message_begin: ClassVar[None] = None
    on_status: ClassVar[None] = None
    on_headers_complete: ClassVar[None] = None
    on_body: ClassVar[None] = None
    on_chunk_header: ClassVar[None] = None
    on_chunk_complete: ClassVar[None] = None
    on_message_complete: ClassVar[None] = None

    def __init__(self, block: bytes) -> None:
        self.block = block
        self.framing: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser has found a field. Nearly all are left out by the length of their names."""
        if len(name) in (10, 14, 16, 17):  # Connection, Keep-Alive, Set-Cookie; {Content,Transfer}-{Length,Encoding}
            self.framing.append((name, value))

    @property
    def http_version(self) -> str:
        """ "1.1" or "1.0"."""
        return self.block[5:8].decode("ascii")

    @property
    def interim(self) -> bool:
        """Whether a final response follows (1xx)."""
        return self.status < 200

    @property
    def reason(self) -> bytes:
        """The reason phrase, often empty, never to be acted on."""
        line = self.block[: self.block.find(b"\r\n")]
        return line[13:].strip(b" \t")

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The fields in the order received, optional white space removed."""
        return split_fields(self.block)

    def find(self, name: bytes) -> str:
        """The values of one field, joined by ", " ("" when there is none), without taking the others apart."""
        block = self.block
        lower = block.lower()
        needle = b"\r\n" + name + b":"
        found = lower.find(needle)
        if found < 0:
            return ""
        values: list[bytes] = []
        while found >= 0:
            start = found + len(needle)
            end = block.find(b"\r\n", start)
            values.append(block[start:end].strip(b" \t"))
            found = lower.find(needle, end)
        return b", ".join(values).decode("latin-1")

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status} HTTP/{self.http_version}, {len(self.block)} bytes>"


def split_fields(block: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of a head that a strict parser has accepted: every line is `name:value`."""
    fields: list[tuple[bytes, bytes]] = []
    for line in block.split(b"\r\n")[1:-2]:
        name, _, value = line.partition(b":")
        fields.append((name, value.strip(b" \t")))
    return fields


class EndOfMessage:
    """The response is complete. `trailers` are kept apart from the fields of the head (RFC 9110 section 6.5.1)."""

    __slots__ = ("trailers",)

    def __init__(self, trailers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self.trailers = trailers

    def __repr__(self) -> str:
        return f"<EndOfMessage trailers={len(self.trailers)}>"


# Nearly every message ends without trailers, and they all end alike.
END_OF_MESSAGE: Final = EndOfMessage()

Event: TypeAlias = "ResponseHead | bytes | EndOfMessage"
