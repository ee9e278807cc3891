"""What the injection tests share: the alphabet, what a strict server reads, and where the bytes are caught.

An oracle in these tests is written from the grammar of an RFC or of the WHATWG, never from our code. It says for a text
what must come of it: exactly one request, field for field, or an error of ours and not one byte.
"""

from __future__ import annotations

import base64
import contextlib
import os
import random
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import h11
import idna

from atomhttp import AtomHTTPError, AtomHTTPOptionError, AtomHTTPURLError, RequestConfig, SyncAtomHTTP
from atomhttp._adapters.network_head import build_head
from atomhttp.adapters import AdapterResponse
from support.server import LocalServer

BAD_VALUE: Final = "ERR_BAD_OPTION_VALUE"
BAD_URL: Final = "ERR_INVALID_URL"
# Never in a message, wherever it was put next to what is refused.
# No two letters of it are hexadecimal digits in a row: behind a % they would be an escape.
CANARY: Final = "s3cr3tz"

# The alphabet

# Beyond 0x17F: line ends that are none in HTTP (NEL is below; LS, PS), characters whose low byte is LF or CR in two
# planes (U+010A and U+010D are below), both kinds of surrogate, fullwidth forms of what delimits, blanks and marks that
# are not seen, RTL, what changes to ASCII with its case (KELVIN SIGN), and the last plane.
BEYOND: Final = (
    *(0x2028, 0x2029, 0x560A, 0x560D, 0x1F60A, 0x1F60D, 0xD800, 0xDBFF, 0xDC0A, 0xDFFF),
    *(0xFF0D, 0xFF0A, 0xFF1A, 0xFF0F, 0xFF20, 0xFF03, 0x3000, 0x200B, 0xFEFF, 0x202E, 0x05D0, 0x212A, 0x10FFFD),
)
CODES: Final = (*range(0x180), *BEYOND)
PLACES: Final = ("start", "middle", "end")

IS_FULL: Final = os.environ.get("HOSTILE") == "full"
SEED: Final = os.environ.get("HOSTILE_SEED", "1")


def put(place: str, text: str, char: str) -> str:
    """`text` with `char` in that place."""
    at = {"start": 0, "middle": len(text) // 2, "end": len(text)}[place]
    return text[:at] + char + text[at:]


def every_text(text: str, chance: random.Random) -> Iterator[str]:
    """Every code point in `text`: the controls in every place, the others in one (HOSTILE=full: in every one)."""
    for code in CODES:
        for place in PLACES if IS_FULL or code < 0x20 or code == 0x7F else (chance.choice(PLACES),):
            yield put(place, text, chr(code))


def some_texts(text: str, chance: random.Random) -> Iterator[str]:
    """Every code point of ASCII that is no letter or digit, in one place of `text`, and a tenth of the others.

    HOSTILE=full: every code point in every place.
    """
    for code in CODES:
        if IS_FULL:
            yield from (put(place, text, chr(code)) for place in PLACES)
        elif (code < 0x80 and not chr(code).isalnum()) or chance.random() < 0.1:
            yield put(chance.choice(PLACES), text, chr(code))


def a_tenth(texts: Iterable[str], chance: random.Random) -> list[str]:
    """A tenth of `texts`; with HOSTILE=full all of them."""
    return [text for text in texts if chance.random() < 0.1 or IS_FULL]


def chance_for(*name: object) -> random.Random:
    """Random choices that are the same in every run."""
    return random.Random(f"{SEED} {name}")


# What is expected


@dataclass(frozen=True)
class Sent:
    """One request, as a server reads it. Fields in no particular order, names as they were written."""

    method: bytes = b"GET"
    target: bytes = b"/a"
    fields: tuple[tuple[bytes, bytes], ...] = ()
    host: bytes = b"h.test:8080"
    body: bytes = b""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", tuple(sorted(self.fields)))


@dataclass(frozen=True)
class Refused:
    """An error of ours, and nothing on the wire. `names` is in its message: the option, or what is wrong."""

    names: str
    kind: type[AtomHTTPError] = AtomHTTPOptionError
    code: str = BAD_VALUE


NO_URL: Final = Refused("", AtomHTTPURLError, BAD_URL)

Outcome = Sent | Refused


# The grammars (RFC 9110 section 5.6.2, 5.5; RFC 6265bis section 4.1.1; RFC 3629 section 3)

TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
COOKIE_OCTETS: Final = frozenset(
    chr(code) for code in (0x21, *range(0x23, 0x2C), *range(0x2D, 0x3B), *range(0x3C, 0x5C), *range(0x5D, 0x7F))
)


def is_token(text: str) -> bool:
    return bool(text) and TOKEN.issuperset(text)


def is_unicode(text: str) -> bool:
    """Whether it has a UTF-8 form."""
    return not any(0xD800 <= ord(char) <= 0xDFFF for char in text)


def has_control(text: str, *, but_tab: bool = False) -> bool:
    return any((char < " " and not (but_tab and char == "\t")) or char == "\x7f" for char in text)


def field_value(text: str) -> bytes | None:
    """A field value as it is sent, without the white space around it (RFC 9110 section 5.5); None: it is none."""
    if has_control(text.strip(" \t"), but_tab=True) or not is_unicode(text):
        return None
    return text.strip(" \t").encode()


def is_cookie_value(text: str) -> bool:
    inner = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    return COOKIE_OCTETS.issuperset(inner)


def basic(username: str, password: str) -> tuple[bytes, bytes]:
    """RFC 7617 section 2."""
    return (b"Authorization", b"Basic " + base64.b64encode(f"{username}:{password}".encode()))


# URLs (WHATWG URL, sections 1.3 and 3.5)

# Without the ^, which the URL Standard has added since: Ada, as it is here, sends it as it stands.
_PATH_SET: Final = frozenset(b' "#<>?`{}')
_QUERY_SET: Final = frozenset(b" \"#<>'")
_NOT_IN_DOMAINS: Final = frozenset(" #/:<>?@[\\]^|%") | {chr(code) for code in (*range(0x20), 0x7F)}


def percent_encode(text: str, escaped: frozenset[int]) -> bytes:
    return b"".join(
        b"%%%02X" % byte if byte < 0x21 or byte > 0x7E or byte in escaped else bytes([byte]) for byte in text.encode()
    )


def domain_to_ascii(domain: str) -> bytes | None:
    """UTS 46, not transitional, without STD3 rules; None: it is none."""
    try:
        mapped = idna.uts46_remap(domain, std3_rules=False, transitional=False)
    except idna.IDNAError:
        return None
    labels = [label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in mapped.split(".")]
    ascii_domain = ".".join(labels)
    if not ascii_domain or _NOT_IN_DOMAINS.intersection(ascii_domain):
        return None
    return ascii_domain.encode()


_URL: Final = re.compile(r"(https?)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL | re.IGNORECASE | re.ASCII)


def request_for(url: str) -> Outcome:
    """What a request for `url` is, of the URLs that occur here (no dot segments, no IPv6).

    Refused are, over and above what the WHATWG refuses, the controls, outer blanks and backslashes that it mends
    (contract: URLs).
    """
    if has_control(url) or "\\" in url or url != url.strip(" ") or not is_unicode(url):
        return NO_URL
    found = _URL.fullmatch(url)
    if found is None:
        return NO_URL
    scheme, authority, path, query, _ = found.groups()
    userinfo, _, host_and_port = authority.rpartition("@")
    parts = re.fullmatch(r"([^:]*)(?::([0-9]*))?", host_and_port, re.ASCII)
    if parts is None or int(parts[2] or 0) > 65535:
        return NO_URL
    # A number is an address, as inet_aton() reads it.
    host = b"0.0.0.%d" % int(parts[1]) if re.fullmatch("[0-9]{1,2}", parts[1]) else domain_to_ascii(parts[1])
    if host is None:
        return NO_URL
    port = int(parts[2]) if parts[2] else None
    if port not in (None, 443 if scheme.lower() == "https" else 80):
        host += b":%d" % port  # type: ignore[str-bytes-safe]  # it is an int here
    target = percent_encode(path or "/", _PATH_SET)
    if query is not None and query != "?":
        target += b"?" + percent_encode(query[1:], _QUERY_SET)
    username, _, password = userinfo.partition(":")
    return Sent(target=target, host=host, fields=(basic(username, password),) if userinfo else ())


def query_component(text: str) -> bytes:
    """A name or value of `params`: encodeURIComponent, then axios's exceptions; then the URL's own (the apostrophe)."""
    plain = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*():$,")
    return b"".join(
        b"+" if byte == 0x20 else bytes([byte]) if byte in plain else b"%%%02X" % byte for byte in text.encode()
    )


def form_component(text: str) -> bytes:
    """The application/x-www-form-urlencoded serializer's percent-encoding (WHATWG URL, section 5.2)."""
    plain = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.*")
    return b"".join(
        b"+" if byte == 0x20 else bytes([byte]) if byte in plain else b"%%%02X" % byte for byte in text.encode()
    )


# What a server reads

_TCHAR: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_LINE: Final = re.compile(rb"(" + _TCHAR + rb"+) ([\x21-\x7e]+) HTTP/1\.1\r\n")
_VCHAR: Final = rb"[\x21-\x7e\x80-\xff]"
_FIELD: Final = re.compile(
    rb"(" + _TCHAR + rb"+): ((?:" + _VCHAR + rb"(?:[\t \x21-\x7e\x80-\xff]*" + _VCHAR + rb")?)?)\r\n"
)
_CHUNK: Final = re.compile(rb"([0-9a-f]+)\r\n")


def read_request(raw: bytes) -> Sent:
    """The one request that `raw` is, to the last byte; AssertionError when it is anything else."""
    line = _LINE.match(raw)
    assert line is not None, f"no request line: {raw[:200]!r}"
    place = line.end()
    fields = []
    while raw[place : place + 2] != b"\r\n":
        found = _FIELD.match(raw, place)
        assert found is not None, f"no field line: {raw[place : place + 200]!r}"
        fields.append((found[1], found[2]))
        place = found.end()
    body, rest = _read_content(fields, raw[place + 2 :])
    assert not rest, f"behind the request: {rest[:200]!r}"
    hosts = [value for name, value in fields if name.lower() == b"host"]
    assert len(hosts) == 1, f"Host: {hosts}"
    others = [pair for pair in fields if pair[0].lower() not in (b"host", b"content-length", b"transfer-encoding")]
    return Sent(line[1], line[2], tuple(others), hosts[0], body)


def _read_content(fields: list[tuple[bytes, bytes]], content: bytes) -> tuple[bytes, bytes]:
    framing = [
        (name.lower(), value) for name, value in fields if name.lower() in (b"content-length", b"transfer-encoding")
    ]
    assert len(framing) <= 1, f"framed twice: {framing}"
    if not framing:
        return b"", content
    name, value = framing[0]
    if name == b"content-length":
        assert re.fullmatch(rb"[0-9]+", value), value
        assert len(content) >= int(value), f"{len(content)} of {int(value)} bytes"
        return content[: int(value)], content[int(value) :]
    assert value == b"chunked", value
    body = b""
    while True:
        found = _CHUNK.match(content)
        assert found is not None, content[:80]
        size = int(found[1], 16)
        chunk, content = content[found.end() : found.end() + size], content[found.end() + size :]
        assert content[:2] == b"\r\n"
        body, content = body + chunk, content[2:]
        if not size:
            return body, content


def read_by_h11(raw: bytes) -> None:
    """h11 agrees that it is one request, and nothing more."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(raw)
    request = server.next_event()
    assert isinstance(request, h11.Request), request
    body = b""
    while isinstance(event := server.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage), event
    assert server.trailing_data[0] == b""
    read = read_request(raw)
    names = (b"host", b"content-length", b"transfer-encoding")
    fields = tuple(sorted(pair for pair in request.headers.raw_items() if pair[0].lower() not in names))
    assert (request.method, request.target, fields, body) == (read.method, read.target, read.fields, read.body)


# Where the bytes are caught


@dataclass
class Tap:
    """An adapter that keeps what the network's writer makes of each request, and answers at once."""

    raw: list[bytes] = field(default_factory=list)
    answers: list[AdapterResponse] = field(default_factory=list)
    """What is answered next; after that, 200."""

    async def send(self, request: Any) -> AdapterResponse:
        head = build_head(request)
        body = request.body
        if request.has_body and not isinstance(body, bytes):
            pieces = [piece async for piece in body]
            if body.length is None:
                pieces = [*(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"]
            body = b"".join(pieces)
        self.raw.append(head + (body if request.has_body else b""))
        return self.answers.pop(0) if self.answers else AdapterResponse(200, {}, b"")

    async def close(self) -> None:
        """It holds nothing."""


# What a client says by itself, left out: what is expected is then all that there is.
BARE: Final = {"User-Agent": None, "Accept": None, "Accept-Encoding": None}


class Bench:
    """A tap with a client on it; counts complaints instead of stopping at the first one."""

    def __init__(self, *name: object, **options: Any) -> None:
        self.tap = Tap()
        self.chance = chance_for(*name)
        self.complaints: list[str] = []
        self.cells = 0
        self.options = {"adapter": self.tap, "timeout": None, "trust_env": False, "headers": BARE, **options}
        self.client = SyncAtomHTTP(**self.options)
        # A client whose interceptor is what `intercept` says at the time.
        self.intercept: Callable[[RequestConfig], Any] = lambda config: None
        self.intercepted = SyncAtomHTTP(**self.options)
        self.intercepted.interceptors.use(self._intercept)

    def _intercept(self, config: RequestConfig) -> Any:
        return self.intercept(config)

    def try_cell(
        self, what: str, expected: Outcome, send: Callable[..., object], /, *arguments: Any, **options: Any
    ) -> None:
        """Lets `send(*arguments, **options)` send, and notes what is not as expected."""
        self.cells += 1
        self.tap.raw.clear()
        error = None
        try:
            send(*arguments, **options)
        except AtomHTTPError as caught:
            error = caught
        complaint = judge(expected, self.tap.raw, error, by_h11=IS_FULL or self.chance.random() < 0.1)
        if complaint:
            self.complaints.append(f"{what!a}: {complaint}")

    def done(self, at_least: int = 1) -> None:
        """The end of the test: everything that was not as expected, in one message."""
        assert self.cells >= at_least, f"only {self.cells} cells"
        report(self.complaints, self.cells)


def judge(expected: Outcome, raw: list[bytes], error: AtomHTTPError | None, *, by_h11: bool) -> str | None:
    """What is not as expected, or None."""
    if isinstance(expected, Refused):
        if error is None or raw:
            return f"expected to be refused, sent {raw} ({error!r})"
        if (type(error), error.code) != (expected.kind, expected.code) or expected.names not in str(error):
            return f"expected {expected}, got {error!r}"
        return f"the message shows the secret: {error}" if CANARY in str(error) else None
    if error is not None:
        return f"expected {expected}, got {error!r}"
    if len(raw) != 1:
        return f"expected one request, got {raw}"
    try:
        read = read_request(raw[0])
        if by_h11:
            read_by_h11(raw[0])
    except (AssertionError, h11.RemoteProtocolError) as unread:
        return f"not one request: {unread}: {raw[0]!r}"
    return None if read == expected else f"expected {expected}, got {read}"


def report(complaints: list[str], cells: int) -> None:
    if complaints:
        shown = "\n".join(complaint[:600] for complaint in complaints[:12])
        raise AssertionError(f"{len(complaints)} of {cells} cells:\n{shown}")


# The wire


class Recorder(LocalServer):
    """A server that keeps every byte of every request, and takes none but what h11 takes.

    `answers` are whole responses, sent one a request; after that, 200 without content. Each connection is read by one
    h11 server: a byte behind a request would be the next request, or its error.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.raw: list[bytes] = []
        self.answers: list[bytes] = []

    def serve(self, connection: socket.socket, number: int) -> None:
        h11_server = h11.Connection(h11.SERVER)
        raw = b""
        while True:
            event = h11_server.next_event()
            if event is h11.NEED_DATA:
                received = connection.recv(65536)
                raw += received
                h11_server.receive_data(received)
            elif isinstance(event, h11.EndOfMessage):
                surplus = h11_server.trailing_data[0]
                self.raw.append(raw)
                if surplus:
                    raise ValueError(f"behind the request: {surplus!r}")
                raw = b""
                if not self._answer(connection, h11_server):
                    return
            elif isinstance(event, h11.ConnectionClosed):
                return

    def _answer(self, connection: socket.socket, h11_server: h11.Connection) -> bool:
        """Whether the connection can be used again."""
        if h11_server.their_state is h11.MIGHT_SWITCH_PROTOCOL:
            # CONNECT, which is refused: the tunnel is not what is looked at.
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return False
        own = self.answers.pop(0) if self.answers else None
        data = h11_server.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
        h11_server.send(h11.EndOfMessage())
        connection.sendall(own if own is not None else data)  # type: ignore[arg-type]  # h11's own is bytes here
        if own is not None and b"Connection: close" in own:
            return False
        if h11_server.our_state is not h11.DONE:
            return False
        h11_server.start_next_cycle()
        return True

    def take(self) -> list[bytes]:
        """The requests since last time. All that came before the client's answer are among them."""
        taken, self.raw = self.raw, []
        return taken


def answer(status: int, *fields: tuple[bytes, bytes]) -> bytes:
    """A response without content, byte for byte."""
    lines = b"".join(b"%b: %b\r\n" % pair for pair in fields)
    return b"HTTP/1.1 %d X\r\n%bContent-Length: 0\r\n\r\n" % (status, lines)


@contextlib.contextmanager
def on_the_wire(**options: Any) -> Iterator[tuple[Recorder, SyncAtomHTTP, dict[str, Any]]]:
    """A recorder, a client of it for which every name leads there, and that client's options."""
    with Recorder() as recorder:
        given = {
            "timeout": 10,
            "trust_env": False,
            "headers": BARE,
            "resolver": lambda host, port: ["127.0.0.1"],
            **options,
        }
        with SyncAtomHTTP(**given) as client:
            yield recorder, client, given
