"""What else peers and files say: proxies, challenges, Retry-After, netrc, header fields."""

from __future__ import annotations

import re
from collections.abc import Coroutine
from math import isnan
from typing import Any, Final, TypeVar, cast

from atomhttp._model.headers import Headers
from atomhttp._model.proxies import Proxy
from atomhttp._net.socks import open_socks_tunnel
from atomhttp._net.tunnel import open_tunnel
from atomhttp._pipeline.response import Response
from atomhttp._pipeline.retry import read_retry_after
from atomhttp.auth.challenge import MAX_CHALLENGES, parse_challenges, parse_parameters, quote
from atomhttp.auth.digest import Session, choose_challenge
from atomhttp.auth.netrc import NetrcAuth
from atomhttp.errors import AtomHTTPOptionError, AtomHTTPProxyError
from fuzz.engine import OPEN, receive
from fuzz.promises import check_field, check_message
from fuzz.reader import Reader, cut, received_text, split, text_of
from fuzz.scratch import scratch_path

T = TypeVar("T")

# Proxies


class Conversation:
    """The part of `_net.conversation.Conversation` that tunnels use, with what the peer says ready at once."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.sent = b""

    async def send(self, data: bytes) -> None:
        self.sent += data

    async def receive(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


def run_tunnel(data: bytes) -> None:
    """Control byte: with credentials or without; cuts. Then what the proxy says."""
    reader = Reader(data)
    authorization = "Basic c2VzYW1l" if reader.flag() else None
    proxy = Proxy("http", "p.example", 3128, authorization=authorization)
    places = reader.cuts()
    wire = reader.rest()
    whole = receive([wire] if wire else [], "CONNECT", OPEN, 64 * 1024)
    for pieces in ([wire] if wire else [], cut(wire, places)):
        conversation = Conversation(list(pieces))
        try:
            _finish(open_tunnel(cast("Any", conversation), proxy, "h.example:443"))
        except AtomHTTPProxyError as error:
            check_message(error, "c2VzYW1l")
            assert not whole.reusable or whole.heads[-1][0] >= 300
        else:
            # Only a whole 2xx opens a tunnel, and nothing has been read of what may come behind it.
            assert whole.completed
            assert wire.removesuffix(b"".join(conversation.pieces)).endswith(b"\r\n\r\n")
            assert 200 <= whole.heads[-1][0] <= 299
        assert conversation.sent.startswith(b"CONNECT h.example:443 HTTP/1.1\r\nHost: h.example:443\r\n")


def run_socks(data: bytes) -> None:
    """Control byte: with credentials or without; cuts. Then what the proxy says."""
    reader = Reader(data)
    username, password = ("user", "sesame") if reader.flag() else (None, None)
    proxy = Proxy("socks5h", "p.example", 1080, username, password)
    places = reader.cuts()
    wire = reader.rest()
    verdicts = []
    for pieces in ([wire] if wire else [], cut(wire, places), [wire[index : index + 1] for index in range(len(wire))]):
        conversation = Conversation(list(pieces))
        try:
            _finish(open_socks_tunnel(cast("Any", conversation), proxy, "h.example", 443))
        except AtomHTTPProxyError as error:
            check_message(error, "sesame")
        else:
            verdicts.append(conversation.pieces)
    if wire and verdicts:
        # Fed at once it answers before it is asked, which is refused.
        assert _opens(wire), wire


def _opens(wire: bytes) -> bool:
    """RFC 1928: whether there is a success in `wire`, from its beginning."""
    return re.match(rb"\x05(\x00|\x02\x01\x00)\x05\x00.(\x01|\x03|\x04)", wire, re.DOTALL) is not None


def _finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """What comes of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return cast("T", end.value)
    raise AssertionError("it waits")


# Fields


def run_challenge(data: bytes) -> None:
    """WWW-Authenticate, a line each."""
    fields = [received_text(line) for line in data.split(b"\n")]
    for field in fields:
        challenges = parse_challenges(field)
        assert len(challenges) <= MAX_CHALLENGES
        for challenge in challenges:
            assert challenge.scheme == challenge.scheme.lower()
            _check_quoted(challenge.parameters)
        _check_quoted(parse_parameters(field))
    chosen = choose_challenge(fields)
    if chosen is None:
        return
    session = Session.begin(chosen, "Mufasa", "Circle of Life")
    for answer in (session.answer("GET", "/dir/index.html", "0" * 32), session.renew("n").answer("GET", "/", None)):
        check_field("Authorization", answer)
        assert answer.startswith("Digest ")
        said = parse_parameters(answer[7:])
        assert said["realm"] == chosen.parameters["realm"]
        assert said["username"] == "Mufasa" or said.get("userhash") == "true"
        assert set(said) <= _ANSWERS, said
        assert "Circle of Life" not in answer


_ANSWERS: Final = frozenset(
    ["username", "realm", "uri", "nonce", "algorithm", "nc", "qop", "cnonce", "response", "opaque", "userhash"],
)


def _check_quoted(parameters: dict[str, str]) -> None:
    """What has been read, written and read again is the same."""
    written = ", ".join(f"{name}={quote(value)}" for name, value in parameters.items())
    assert parse_parameters(written) == parameters


def run_fields(data: bytes) -> None:
    """A line that is a Retry-After, one that is a Date; then names and values, of a peer's and of a caller's."""
    retry_after, date, rest = split(data, 3)
    headers = Headers.from_raw([(b"Retry-After", retry_after), (b"Date", date)])
    wait = read_retry_after(Response(headers=headers))
    assert wait >= 0
    assert not isnan(wait)
    sent = Headers()
    for line in rest.split(b"\n"):
        name, _, value = line.partition(b":")
        for given in (text_of(value), value):
            try:
                sent.append(text_of(name), given)
                sent[text_of(name)] = [given, given]
            except AtomHTTPOptionError as error:
                check_message(error)
    for name, text in sent.multi_items():
        if not any("\ud800" <= char <= "\udfff" for char in text):
            check_field(name, text)
    assert Headers(sent.multi_items()).multi_items() == sent.multi_items()
    assert sent.copy() == sent
    assert repr(sent).isprintable()


# Files


def run_netrc(data: bytes) -> None:
    """A file. What stands behind `password` is never shown."""
    path = scratch_path("netrc")
    with open(path, "wb") as file:
        file.write(data)
    try:
        auth = NetrcAuth(path)
    except AtomHTTPOptionError as error:
        check_message(error, "sesame")
        return
    assert "sesame" not in repr(auth)
    for host, credentials in auth._load().items():
        assert host == host.lower()
        check_field("Authorization", credentials.get_header()["Authorization"])


TUNNEL_SEEDS: Final = (
    b"\0\1\0\x09HTTP/1.1 200 Connection established\r\n\r\n",
    b"\1\1\0\x09HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
    b"\0\1\0\x19HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01",
    b"\0\0HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
    b"\0\0HTTP/1.1 302 F\xffund\r\nLocation: http://evil/\r\n\r\nbody",
    b"\0\0",
)
SOCKS_SEEDS: Final = (
    b"\0\2\0\2\0\x06\5\0\5\0\0\1\x7f\0\0\1\0\x50",
    b"\1\2\0\2\0\4\5\2\1\0\5\0\0\3\x03abc\0\x50",
    b"\0\2\0\2\0\x06\5\0\5\0\0\4" + bytes(18),
    b"\0\1\0\2\5\0\5\5\0\1" + bytes(6),
    b"\0\0\5\xff",
    b"\0\0HTTP/1.1 400 Bad Request\r\n\r\n",
)
CHALLENGE_SEEDS: Final = (
    b'Digest realm="a\\"b", nonce="n", qop="auth,auth-int", algorithm=SHA-256, opaque=o, charset=UTF-8\nBasic realm=x',
    b'Basic realm="x", Digest realm="y", nonce="z", algorithm=MD5-sess, stale=true, userhash=true, qop=auth',
    b"Negotiate YII=, NTLM, Bearer error=x",
    b'Digest realm="x",nonce="\xc3\xa9"',
    b'Digest realm="a\\\\b", nonce="\\n\\\\"',
    b"," * 60 + b"A," * 60,
)
FIELDS_SEEDS: Final = (
    b"120\n\nX-A: b\nx-a:c\nCookie: d",
    b"Wed, 21 Oct 2099 07:28:00 GMT\nWed, 21 Oct 2099 07:27:00 GMT\nA:\xc3\xa4\nB:\xff\nC:\tx\ny:\x7f",
    b"Wed Oct 21 07:28:00 2099\nx\n: a\na b: c",
    b"99999999999999999999\n\n",
    b"-1\n\n",
)
NETRC_SEEDS: Final = (
    b"machine h.example login a password sesame\ndefault login x password sesame\n",
    b'machine h\n  login a:b\n  account c\n  password "sesame"\n',
    b"macdef x\n  echo\n\nmachine h login \xff password sesame",
    b"machine h password sesame\n# a comment\nmachin x",
    # Found: the machine was shown as it is.
    b"machine h\0 login a:b password sesame",
)
