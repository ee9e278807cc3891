"""DigestAuth: proves that one knows the password without sending it (RFC 7616; RFC 2617 and 2069 are its past).

The server's challenge holds a nonce. The answer is a hash of it, the credentials, the method and the URL. A challenge
that has been answered well is remembered as a session: later requests are signed at once, each with a count of its own
(`nc`), until the server finds the nonce stale. A session belongs to one origin, and is never used for another.

`rspauth`, by which a server proves that it knows the password too, is not checked: who stands in between and changes a
response can leave it out as well. That is what https is for.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import OrderedDict
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, Final

from atomhttp._redact import show_value
from atomhttp.auth.challenge import Challenge, parse_challenges, parse_parameters, quote
from atomhttp.auth.credentials import Credentials, bad_value, check_text, check_username

# The strongest first, with hashlib's names. SHA-512 is in no RFC, but servers (httpbin) and clients have it.
ALGORITHMS: Final = {"sha-512-256": "sha512_256", "sha-512": "sha512", "sha-256": "sha256", "md5": "md5"}
# How many origins one object remembers; what was used longest ago goes first.
MAX_SESSIONS: Final = 100

_numbers = itertools.count()
# For moments only, so one for all: a fork has one to renew.
_lock = threading.Lock()


class DigestAuth(Credentials):
    """Digest authentication (RFC 7616): MD5, SHA-256, SHA-512-256, also as `-sess`; `auth`, `auth-int`, and neither.

    The first request to an origin costs a second one, with its content again: content that can be read once cannot be
    sent to a challenge. Give one object to a client, and later requests go out signed. Where a server offers several
    algorithms the strongest is taken, and `auth` before `auth-int`, for which the content is read once more and hashed.

    A challenge that cannot be answered (another scheme, an unknown algorithm), and a second refusal, leave the 401 as
    the call's response. Copies and pickles hold the credentials alone. May be shared by clients, threads and loops.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: a colon in the user name, or control characters.
    """

    __slots__ = ("_sessions", "password", "username")

    username: str
    password: str
    _sessions: OrderedDict[Any, Session]

    def __init__(self, username: str, password: str) -> None:
        self._set(username=check_username(username), password=check_text("password", password))
        self._set(_sessions=OrderedDict())

    def _values(self) -> tuple[str, ...]:
        return (self.username, self.password)

    def __repr__(self) -> str:
        return f"DigestAuth({show_value(self.username)}, [redacted])"

    # The exchange

    def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """See `AuthFlow`. At most three requests: unsigned or by an old session, by a new one, by one more."""
        # The same name may be another server behind each unix socket.
        place = (*request.target.origin, request.outline.route.socket_path)
        session = self._recall(place)
        if session is not None:
            yield from _sign(request, session)
        response = yield request
        is_new = was_stale = False
        while response.status == 401:
            self._forget(place, session)
            challenge = choose_challenge(response.headers.get_all("www-authenticate"))
            if challenge is None or (is_new and (was_stale or not _is_stale(challenge))):
                return
            is_new, was_stale = True, is_new
            session = Session.begin(challenge, self.username, self.password)
            yield from _sign(request, session)
            response = yield request
        if session is not None:
            self._remember(place, session, response.headers.get_all("authentication-info"))

    # Memory

    def _recall(self, place: object) -> Session | None:
        with _lock:
            session = self._sessions.get(place)
            if session is not None:
                self._sessions.move_to_end(place)
            return session

    def _remember(self, place: object, session: Session, info: list[str]) -> None:
        nonce = parse_parameters(", ".join(info)).get("nextnonce")
        with _lock:
            known = self._sessions.get(place)
            if nonce and _is_sendable(nonce) and nonce not in (session.nonce, known and known.nonce):
                self._sessions[place] = session.renew(nonce)
            elif known is None or known.began < session.began:
                self._sessions[place] = session
            while len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)

    def _forget(self, place: object, session: Session | None) -> None:
        with _lock:
            if session is not None and self._sessions.get(place) is session:
                del self._sessions[place]


def _sign(request: Any, session: Session) -> Generator[Any, Any, None]:
    content = (yield ContentHash(request, session.hash_name)) if session.qop == "auth-int" else None
    request.headers["Authorization"] = session.answer(request.method, request.target.path, content)


class ContentHash:
    """The step that hashes the content of `request`, without holding all of it."""

    def __init__(self, request: Any, hash_name: str) -> None:
        self._request = request
        self._hash_name = hash_name

    async def run(self, driver: Any, due: float | None) -> str:
        """The hash, in hexadecimal.

        Raises:
            AtomHTTPOptionError: the content can be read once, and then it could not be sent.
        """
        body = self._request.body
        if isinstance(body, bytes):
            return hash_hex(self._hash_name, body)
        if not body.replayable:
            raise bad_value(
                "auth: the server wants the content signed (qop=auth-int), and this is a stream that can be read once: "
                "give bytes, a file, or an iterable that can be read again"
            )
        found = _new_hash(self._hash_name)
        body.bind(driver, due)
        reader = body.open()
        try:
            while piece := await reader.read():
                found.update(piece)
        finally:
            reader.close()
        return str(found.hexdigest())


# Challenges


def choose_challenge(fields: list[str]) -> Challenge | None:
    """The strongest Digest challenge among WWW-Authenticate `fields` that can be answered, the first of equals."""
    usable = [each for field in fields for each in parse_challenges(field) if _is_usable(each)]
    order = list(ALGORITHMS)
    return min(usable, key=lambda each: order.index(_algorithm(each)), default=None)


def _is_usable(challenge: Challenge) -> bool:
    said = challenge.parameters
    return (
        challenge.scheme == "digest"
        and "realm" in said
        and bool(said.get("nonce"))
        and all(_is_sendable(said.get(name, "")) for name in ("realm", "nonce", "opaque"))
        and _algorithm(challenge) in ALGORITHMS
        and (not said.get("qop") or _choose_qop(challenge) is not None)
        and _is_known(ALGORITHMS[_algorithm(challenge)])
    )


def _is_sendable(value: str) -> bool:
    """Whether it can be sent back."""
    return all(" " <= char != "\x7f" for char in value)


def _algorithm(challenge: Challenge) -> str:
    """Its hash, without `-sess`."""
    return challenge.parameters.get("algorithm", "MD5").lower().removesuffix("-sess")


def _choose_qop(challenge: Challenge) -> str | None:
    offered = [each.strip(" \t").lower() for each in challenge.parameters.get("qop", "").split(",")]
    return next((each for each in ("auth", "auth-int") if each in offered), None)


def _is_stale(challenge: Challenge) -> bool:
    return _is_true(challenge, "stale")


def _is_true(challenge: Challenge, name: str) -> bool:
    return challenge.parameters.get(name, "").lower() == "true"


# Sessions


@dataclass(slots=True, repr=False)
class Session:
    """A challenge that is being answered: what of the answers stays the same, and how many there have been.

    Attributes:
        began: a number that is larger for a later one.
        user: the parameter that names the user.
        secret: the hash of user name, realm and password, for `-sess` with the first nonces in it.
        cnonce: ours, which `-sess` keeps; None to make one for each answer.
        count: the answers so far.
    """

    began: int
    user: str
    secret: str
    realm: str
    nonce: str
    opaque: str | None
    algorithm: str | None
    hash_name: str
    qop: str | None
    has_userhash: bool
    cnonce: str | None
    count: int = 0

    @classmethod
    def begin(cls, challenge: Challenge, username: str, password: str) -> Session:
        """The answer to `challenge`, which is usable."""
        said = challenge.parameters
        realm, nonce, algorithm = said["realm"], said["nonce"], said.get("algorithm")
        hash_name = ALGORITHMS[_algorithm(challenge)]
        is_utf8 = said.get("charset", "").lower() == "utf-8"
        if is_utf8:
            username, password = _normalize(username), _normalize(password)
        secret = hash_hex(hash_name, f"{username}:{realm}:{password}")
        cnonce = None
        if algorithm is not None and algorithm.lower().endswith("-sess"):
            cnonce = build_cnonce()
            secret = hash_hex(hash_name, f"{secret}:{nonce}:{cnonce}")
        has_userhash = _is_true(challenge, "userhash")
        return cls(
            began=next(_numbers),
            user=_name_user(hash_hex(hash_name, f"{username}:{realm}") if has_userhash else username, is_utf8),
            secret=secret,
            realm=realm,
            nonce=nonce,
            opaque=said.get("opaque"),
            algorithm=algorithm,
            hash_name=hash_name,
            qop=_choose_qop(challenge),
            has_userhash=has_userhash,
            cnonce=cnonce,
        )

    def renew(self, nonce: str) -> Session:
        """The session by the server's next nonce. The secret of `-sess` stays (RFC 7616 section 3.4.2)."""
        return replace(self, nonce=nonce, count=0, began=next(_numbers))

    def answer(self, method: str, uri: str, content: str | None) -> str:
        """The Authorization of the next request; `content` is the hash of its content, for `auth-int`."""
        with _lock:
            self.count += 1
            count = f"{self.count:08x}"
        cnonce = self.cnonce or build_cnonce()
        request = hash_hex(self.hash_name, f"{method}:{uri}" if content is None else f"{method}:{uri}:{content}")
        if self.qop is None:
            # RFC 2069.
            response = hash_hex(self.hash_name, f"{self.secret}:{self.nonce}:{request}")
        else:
            middle = f"{self.nonce}:{count}:{cnonce}:{self.qop}"
            response = hash_hex(self.hash_name, f"{self.secret}:{middle}:{request}")
        parameters = [self.user, f"realm={quote(self.realm)}", f"uri={quote(uri)}", f"nonce={quote(self.nonce)}"]
        if self.algorithm is not None:
            parameters.append(f"algorithm={self.algorithm}")
        if self.qop is not None:
            parameters += [f"nc={count}", f"qop={self.qop}"]
        if self.qop is not None or self.cnonce is not None:
            parameters.append(f"cnonce={quote(cnonce)}")
        parameters.append(f"response={quote(response)}")
        if self.opaque is not None:
            parameters.append(f"opaque={quote(self.opaque)}")
        if self.has_userhash:
            parameters.append("userhash=true")
        return f"Digest {', '.join(parameters)}"


def _name_user(username: str, is_utf8: bool) -> str:
    if username.isascii() or not is_utf8:
        # A server that says nothing of a charset has never heard of the other form.
        return f"username={quote(username)}"
    from urllib.parse import quote as percent_encode

    # RFC 8187 section 3.2.
    return f"username*=UTF-8''{percent_encode(username, safe='!#$&+-.^_`|~')}"


def build_cnonce() -> str:
    """A nonce of ours: 128 bits."""
    from secrets import token_hex  # it and hashlib: 6 ms of every start

    return token_hex(16)


def hash_hex(hash_name: str, value: str | bytes) -> str:
    """The hash of `value` (text in UTF-8), in hexadecimal."""
    found = _new_hash(hash_name)
    found.update(value.encode() if isinstance(value, str) else value)
    return str(found.hexdigest())


def _new_hash(hash_name: str) -> Any:
    import hashlib

    # The protocol has no other use for MD5 than this one, which FIPS systems would refuse.
    return hashlib.new(hash_name, usedforsecurity=False)


def _is_known(hash_name: str) -> bool:
    try:
        _new_hash(hash_name)
    except ValueError:
        # This OpenSSL has been built without.
        return False
    return True


def _normalize(text: str) -> str:
    from unicodedata import normalize

    return normalize("NFC", text)


def _forget_after_fork() -> None:
    global _lock  # another thread of the parent may have held it
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
