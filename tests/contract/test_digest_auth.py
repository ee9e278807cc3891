"""`DigestAuth` (contract: Auth; hazards: A6, A8; RFC 7616), against a server that computes everything by itself."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import parse_http_list, parse_keqv_list

import pytest

from atomhttp import AtomHTTP, AtomHTTPOptionError, AtomHTTPStatusError, FormData, SyncAtomHTTP
from atomhttp.auth import DigestAuth
from contract.flavours import Api, collect, wait
from support.httpbin import Httpbin, missing, run_httpbin
from support.origin import Answer, Origin, Received, pattern

CANARY = "c4n4ry"


def sha512_256(data: bytes) -> Any:
    return hashlib.new("sha512_256", data)


HASHES: dict[str, Callable[[bytes], Any]] = {
    "MD5": hashlib.md5,
    "SHA-256": hashlib.sha256,
    "SHA-512": hashlib.sha512,
    "SHA-512-256": sha512_256,
}
ALGORITHMS = [f"{name}{suffix}" for name in HASHES for suffix in ("", "-sess")]


class Guard:
    """A route behind Digest, written from the RFC alone. It wants each count of a nonce once, and from 1.

    Args:
        uses: how many requests a nonce is good for; more are stale.
        challenges: what stands in its 401s before its own challenge.
        next_nonce: whether each answer names the nonce for the next request.
    """

    def __init__(
        self,
        algorithm: str | None = "MD5",
        qop: str | None = "auth",
        *,
        realm: str = "a realm",
        username: str = "user",
        password: str = CANARY,
        uses: int = 1_000_000,
        userhash: bool = False,
        charset: str | None = None,
        challenges: tuple[str, ...] = (),
        next_nonce: bool = False,
    ) -> None:
        self.algorithm, self.qop, self.realm = algorithm, qop, realm
        self.username, self.password = username, password
        self.uses, self.userhash, self.charset = uses, userhash, charset
        self.challenges, self.next_nonce = challenges, next_nonce
        self.said: list[str] = []
        """What it found in each request: "nothing", "stale", "good", or what was wrong."""
        self.counts: list[str | None] = []
        """The `nc` of each good one."""
        self._nonces: dict[str, set[int]] = {}
        self._sessions: dict[str, str] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def __call__(self, request: Received) -> Answer:
        with self._lock:
            found = self._judge(request)
            self.said.append(found)
            if found != "good":
                return Answer(b"who are you?", 401, [("WWW-Authenticate", each) for each in self._challenge(found)])
            info = [("Authentication-Info", f'nextnonce="{self._make_nonce()}"')] if self.next_nonce else []
        return Answer(b'{"welcome": true}', 200, [("Content-Type", "application/json"), *info])

    def _make_nonce(self) -> str:
        nonce = f'n"{next(self._numbers)}'
        self._nonces[nonce] = set()
        return nonce.replace('"', '\\"')

    def _challenge(self, found: str) -> list[str]:
        parts = [f'Digest realm="{self.realm}"', f'nonce="{self._make_nonce()}"', 'opaque="o, \\"p\\""']
        parts += [f"algorithm={self.algorithm}"] if self.algorithm else []
        parts += [f'qop="{self.qop}"'] if self.qop else []
        parts += ["userhash=true"] if self.userhash else []
        parts += [f"charset={self.charset}"] if self.charset else []
        parts += ["stale=true"] if found == "stale" else []
        return [*self.challenges, ", ".join(parts)]

    def _hash(self, text: str | bytes) -> str:
        name = (self.algorithm or "MD5").removesuffix("-sess")
        found: str = HASHES[name](text if isinstance(text, bytes) else text.encode()).hexdigest()
        return found

    def _judge(self, request: Received) -> str:
        header = request.get("authorization")
        if header is None:
            return "nothing"
        scheme, _, rest = header.encode("latin-1").decode().partition(" ")
        if scheme != "Digest":
            return f"the scheme {scheme}"
        said = parse_keqv_list(parse_http_list(rest))
        name = self._hash(f"{self.username}:{self.realm}") if self.userhash else self.username
        seen = self._nonces.get(said["nonce"])
        for wrong, what in [
            (said["realm"] != self.realm, "realm"),
            (said["opaque"] != 'o, "p"', "opaque"),
            (said.get("algorithm") != self.algorithm, "algorithm"),
            (said.get("username") != name, "username"),
            ((said.get("userhash") == "true") != self.userhash, "userhash"),
            (said["uri"] != request.target, "uri"),
            (seen is None, "nonce"),
            (said.get("qop") not in (self.qop.split(", ") if self.qop else [None]), "qop"),
            (("nc" in said) != ("qop" in said), "nc"),
            (len(said.get("nc", "00000000")) != 8, "nc"),
            (seen and int(said.get("nc", "0"), 16) in seen, "nc"),
            (said["response"] != self._expect(request, said), "response"),
        ]:
            if wrong:
                return f"a wrong {what}"
        assert seen is not None
        if self.qop is not None:
            if len(seen) >= self.uses:
                return "stale"
            seen.add(int(said["nc"], 16))
        self.counts.append(said.get("nc"))
        return "good"

    def _expect(self, request: Received, said: dict[str, str]) -> str:
        secret = self._hash(f"{self.username}:{self.realm}:{self.password}")
        if (self.algorithm or "").endswith("-sess"):
            # Made when the session begins, and kept for as long as its nonces are renewed.
            secret = self._sessions.setdefault(said["cnonce"], self._hash(f"{secret}:{said['nonce']}:{said['cnonce']}"))
        what = f"{request.method}:{request.target}"
        if said.get("qop") == "auth-int":
            what += f":{self._hash(request.body)}"
        middle = [said[name] for name in ("nonce", "nc", "cnonce", "qop")] if "qop" in said else [said["nonce"]]
        return self._hash(":".join([secret, *middle, self._hash(what)]))


def guard(origin: Origin, path: str = "/", *arguments: Any, **options: Any) -> Guard:
    origin.routes[path] = found = Guard(*arguments, **options)
    return found


@pytest.fixture
def auth() -> DigestAuth:
    return DigestAuth("user", CANARY)


# What is sent


@pytest.mark.parametrize("qop", [None, "auth", "auth-int", "auth-int, auth"])
@pytest.mark.parametrize("algorithm", [None, *ALGORITHMS])
async def test_every_kind(
    client: Any, origin: Origin, auth: DigestAuth, algorithm: str | None, qop: str | None
) -> None:
    if "SHA-512-256" in str(algorithm) and "sha512_256" not in hashlib.algorithms_available:
        pytest.skip("THIS OPENSSL HAS NO SHA-512/256")
    door = guard(origin, "/", algorithm, qop)
    response = await client.post(f"{origin.url}/?a=1&b=%20x", b"content", auth=auth)
    assert door.said == ["nothing", "good"]
    assert (response.status, response.data) == (200, {"welcome": True})
    assert [each.status for each in response.attempts] == [401, 200]
    # From now on at once.
    for number in range(2, 4):
        assert (await client.get(f"{origin.url}/?c={number}", auth=auth)).status == 200
    assert door.said == ["nothing", "good", "good", "good"]
    assert door.counts == ([None] * 3 if qop is None else ["00000001", "00000002", "00000003"])


@pytest.mark.parametrize("userhash", [False, True])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256-sess"])
async def test_names_and_passwords(client: Any, origin: Origin, algorithm: str, userhash: bool) -> None:
    door = guard(
        origin, "/", algorithm, username='a "user" \\ ü', password=':"pä\\ss\u20ac', realm="r", userhash=userhash
    )
    auth = DigestAuth('a "user" \\ ü', ':"pä\\ss\u20ac')
    assert (await client.get(f"{origin.url}/", auth=auth)).status == 200
    assert door.said == ["nothing", "good"]


async def test_a_name_that_is_not_ascii_where_the_server_says_utf_8(client: Any, origin: Origin) -> None:
    guard(origin, "/", "SHA-256", username="Jäsøn", charset="UTF-8")
    await client.get(f"{origin.url}/", auth=DigestAuth("Jäsøn", CANARY))
    assert "username*=UTF-8''J%C3%A4s%C3%B8n, " in str(origin.requests[1].get("authorization"))


async def test_the_password_is_never_sent_or_shown(
    client: Any, origin: Origin, auth: DigestAuth, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    guard(origin, "/", "SHA-256")
    with pytest.raises(AtomHTTPStatusError) as caught:
        await client.get(f"{origin.url}/", auth=auth, validateStatus=lambda status: False)
    error = caught.value
    shown = [f"{error!r} {error.to_dict()} {error.config!r} {error.request.headers!r}", caplog.text, repr(auth)]
    assert not any(CANARY in text or "response=" in text for text in shown)
    assert not any(CANARY in str(request.get("authorization")) for request in origin.requests)


# Which challenge


async def test_the_strongest_of_several(client: Any, origin: Origin, auth: DigestAuth) -> None:
    others = ('Basic realm="a, Digest realm"', 'Digest realm="a realm", nonce="x", algorithm=MD5, Negotiate')
    door = guard(origin, "/", "SHA-256", challenges=others)
    assert (await client.get(f"{origin.url}/", auth=auth)).status == 200
    assert door.said == ["nothing", "good"]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["Basic realm=x"],
        ["Digest"],
        ['Digest realm="r"'],
        ['Digest realm="r", nonce="open'],
        ['Digest realm="r", nonce="n", algorithm=MD6'],
        ['Digest realm="r", nonce="n", qop="magic"'],
        [',,="\\', "Digest " + "a" * 30_000, '"' * 20_000],
    ],
)
async def test_a_challenge_that_cannot_be_answered(
    client: Any, origin: Origin, auth: DigestAuth, fields: list[str]
) -> None:
    origin.routes["/"] = lambda _: Answer(b"no", 401, [("WWW-Authenticate", each) for each in fields])
    response = await client.get(f"{origin.url}/", auth=auth)
    assert (response.status, response.content, len(origin.requests)) == (401, b"no", 1)


async def test_wrong_credentials_are_tried_once(client: Any, origin: Origin) -> None:
    door = guard(origin)
    auth = DigestAuth("user", "wrong")
    for _ in range(2):
        assert (await client.get(f"{origin.url}/", auth=auth)).status == 401
    assert door.said == ["nothing", "a wrong response"] * 2


# Nonces


async def test_a_stale_nonce_is_replaced(client: Any, origin: Origin, auth: DigestAuth) -> None:
    door = guard(origin, uses=2)
    for _ in range(5):
        assert (await client.get(f"{origin.url}/", auth=auth)).status == 200
    assert door.said == ["nothing", "good", "good", "stale", "good", "good", "stale", "good"]


async def test_a_server_that_finds_everything_stale_is_asked_three_times(
    client: Any, origin: Origin, auth: DigestAuth
) -> None:
    door = guard(origin, uses=0)
    assert (await client.get(f"{origin.url}/", auth=auth)).status == 401
    assert door.said == ["nothing", "stale", "stale"]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256-sess"])
async def test_the_next_nonce(client: Any, origin: Origin, auth: DigestAuth, algorithm: str) -> None:
    door = guard(origin, "/", algorithm, uses=1, next_nonce=True)
    for _ in range(4):
        assert (await client.get(f"{origin.url}/", auth=auth)).status == 200
    assert door.said == ["nothing", "good", "good", "good", "good"]
    assert door.counts == ["00000001"] * 4


async def test_many_at_once(api: Api, origin: Origin, auth: DigestAuth) -> None:
    door = guard(origin)
    client = api.client(base_url=origin.url, auth=auth)
    await client.get("/")
    later = getattr(client, "defer", client)
    responses = await wait(client.all([later.get(f"/?n={number}") for number in range(50)]))
    assert [each.status for each in responses] == [200] * 50
    assert door.said == ["nothing", *["good"] * 51]
    assert sorted(map(str, door.counts)) == [f"{number:08x}" for number in range(1, 52)]


async def test_many_at_once_that_have_no_challenge_yet(api: Api, origin: Origin, auth: DigestAuth) -> None:
    door = guard(origin)
    client = api.client(base_url=origin.url, auth=auth)
    later = getattr(client, "defer", client)
    responses = await wait(client.all([later.get(f"/?n={number}") for number in range(20)]))
    assert [each.status for each in responses] == [200] * 20
    assert set(door.said) == {"nothing", "good"}


def test_one_object_for_many_threads(origin: Origin, auth: DigestAuth) -> None:
    door = guard(origin)
    with SyncAtomHTTP(base_url=origin.url, auth=auth) as client:
        client.get("/")
        statuses: list[int] = []

        def work() -> None:
            statuses.extend(client.get("/").status for _ in range(10))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 80
    assert door.said == ["nothing", *["good"] * 81]


# Protection spaces, hazard A6


async def test_another_origin_is_another_space(client: Any, origin: Origin, auth: DigestAuth) -> None:
    with Origin() as other:
        doors = [guard(origin), guard(other)]
        for _ in range(2):
            for each in (origin, other):
                assert (await client.get(f"{each.url}/", auth=auth)).status == 200
        assert [door.said for door in doors] == [["nothing", "good", "good"]] * 2


async def test_two_realms_of_one_origin(client: Any, origin: Origin, auth: DigestAuth) -> None:
    doors = [guard(origin, "/one", realm="one"), guard(origin, "/two", realm="two")]
    for path in ("/one", "/one", "/two", "/two", "/one"):
        assert (await client.get(f"{origin.url}{path}", auth=auth)).status == 200
    assert [door.said.count("good") for door in doors] == [3, 2]


@pytest.mark.parametrize("status", [302, 307])
async def test_a_redirect_elsewhere_gets_no_answer(client: Any, origin: Origin, auth: DigestAuth, status: int) -> None:
    door = guard(origin)
    await client.get(f"{origin.url}/", auth=auth)
    with Origin() as other:
        other.routes["/"] = lambda _: Answer(
            status=401, headers=[("WWW-Authenticate", 'Digest realm="a realm", nonce="n"')]
        )
        origin.routes["/away"] = lambda _: Answer(status=status, headers=[("Location", f"{other.url}/")])
        response = await client.get(f"{origin.url}/away", auth=auth)
        assert (response.status, len(other.requests)) == (401, 1)
        assert other.requests[0].get("authorization") is None
    assert door.said == ["nothing", "good"]


async def test_a_redirect_at_home_is_signed_for_its_own_url(client: Any, origin: Origin, auth: DigestAuth) -> None:
    door = guard(origin, "/there")
    origin.routes["/"] = lambda _: Answer(status=302, headers=[("Location", "/there?x=1")])
    assert (await client.get(f"{origin.url}/", auth=auth)).status == 200
    assert (await client.get(f"{origin.url}/", auth=auth)).status == 200
    assert door.said == ["nothing", "good", "good"]


async def test_each_attempt_has_a_count_of_its_own(client: Any, origin: Origin, auth: DigestAuth) -> None:
    door = guard(origin)
    left = iter([False, False, True])

    def flaky(request: Received) -> Answer:
        found = door(request)
        return found if found.status != 200 or next(left) else Answer(status=503)

    origin.routes["/"] = flaky
    retry = {"max_retries": 3, "backoff_factor": 0}
    assert (await client.get(f"{origin.url}/", auth=auth, retryConfig=retry)).status == 200
    assert door.said == ["nothing", "good", "good", "good"]


# Content


class Pieces:
    """A body that can be read again; it knows how often it was."""

    def __init__(self) -> None:
        self.reads = 0

    def __iter__(self) -> Iterator[bytes]:
        self.reads += 1
        yield from (pattern(1000), b"", pattern(70_000))


def build_path(folder: Path, _pieces: Pieces) -> Any:
    path = folder / "file.bin"
    path.write_bytes(pattern(300_000))
    return path


def build_form(folder: Path, pieces: Pieces) -> FormData:
    form = FormData()
    form.append("text", "ü")
    form.append("file", build_path(folder, pieces))
    return form


def build_file(folder: Path, _pieces: Pieces) -> Any:
    file = io.BytesIO(b"before" + pattern(5000))
    file.seek(6)
    return file


BODIES = [build_path, build_form, build_file, lambda _folder, pieces: pieces, lambda *_: {"a": [1, 2]}, lambda *_: None]


@pytest.mark.parametrize("qop", ["auth", "auth-int"])
@pytest.mark.parametrize("build", BODIES)
async def test_content_is_sent_again_and_signed(
    client: Any, origin: Origin, auth: DigestAuth, tmp_path: Path, build: Any, qop: str
) -> None:
    door = guard(origin, "/", "SHA-256", qop)
    body = build(tmp_path, Pieces())
    for _ in range(2):
        assert (await client.post(f"{origin.url}/", body, auth=auth)).status == 200
    assert door.said == ["nothing", "good", "good"]
    # A form has another boundary in each call.
    assert origin.requests[0].body == origin.requests[1].body
    assert len(origin.requests[2].body) == len(origin.requests[0].body)


async def test_content_is_read_for_auth_int_alone(client: Any, origin: Origin, auth: DigestAuth) -> None:
    for path, qop, reads in (("/auth", "auth", 2), ("/both", "auth-int, auth", 2), ("/int", "auth-int", 3)):
        guard(origin, path, "MD5", qop, realm=path)
        pieces = Pieces()
        assert (await client.post(f"{origin.url}{path}", pieces, auth=DigestAuth("user", CANARY))).status == 200
        assert pieces.reads == reads


async def test_content_that_can_be_read_once_goes_where_the_challenge_is_known(
    api: Api, client: Any, origin: Origin, auth: DigestAuth
) -> None:
    guard(origin)
    with pytest.raises(AtomHTTPOptionError, match="the body cannot be sent again") as caught:
        await client.post(f"{origin.url}/", api.iterator([b"one", b"two"]), auth=auth)
    assert caught.value.response.status == 401
    await client.get(f"{origin.url}/", auth=auth)
    assert (await client.post(f"{origin.url}/", api.iterator([b"one", b"two"]), auth=auth)).status == 200
    assert origin.requests[-1].body == b"onetwo"


async def test_content_that_can_be_read_once_cannot_be_signed(
    api: Api, client: Any, origin: Origin, auth: DigestAuth
) -> None:
    door = guard(origin, "/", "MD5", "auth-int")
    await client.get(f"{origin.url}/", auth=auth)
    for each in (auth, DigestAuth("user", CANARY)):
        with pytest.raises(AtomHTTPOptionError, match=r"auth-int.*can be read once") as caught:
            await client.post(f"{origin.url}/", api.iterator([b"one"]), auth=each)
        assert caught.value.code == "ERR_BAD_OPTION_VALUE"
    assert door.said == ["nothing", "good", "nothing"]
    assert (await client.get(f"{origin.url}/", auth=auth)).status == 200


@pytest.mark.parametrize("qop", ["auth", "auth-int"])
async def test_a_stream_comes_back_whole(api: Api, client: Any, origin: Origin, auth: DigestAuth, qop: str) -> None:
    door = guard(origin, "/", "MD5", qop)

    def large(request: Received) -> Answer:
        found = door(request)
        return Answer(pattern(300_000), chunked=True) if found.status == 200 else found

    origin.routes["/"] = large
    response = await client.get(f"{origin.url}/", auth=auth, response_type="stream")
    assert b"".join(await collect(response.data)) == pattern(300_000)
    assert origin.connections == (0 if api.flavour == "mock" else 1)


async def test_as_the_clients_own_it_stays_on_its_origin(api: Api, origin: Origin, auth: DigestAuth) -> None:
    guard(origin)
    client = api.client(base_url=origin.url, auth=auth)
    with Origin() as other:
        foreign = guard(other)
        assert (await client.get("/")).status == 200
        assert (await client.get(f"{other.url}/")).status == 401
        assert foreign.said == ["nothing"]


# A server of somebody else's


@pytest.fixture(scope="module")
def httpbin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Httpbin]:
    if absent := missing():
        pytest.skip(f"{' AND '.join(absent).upper()} NOT INSTALLED: no test against a real httpbin was run")
    with run_httpbin(tmp_path_factory.mktemp("httpbin")) as running:
        yield running


@pytest.mark.parametrize("qop", ["auth", "auth-int", "none"])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512"])
async def test_httpbin(loop_kind: str, httpbin: Httpbin, qop: str, algorithm: str) -> None:
    url = f"{httpbin.url}/digest-auth/{qop}/user/secret/{algorithm}"
    auth = DigestAuth("user", "secret")
    async with AtomHTTP() as client:
        response = await client.get(url, auth=auth)
        assert response.data == {"authenticated": True, "user": "user"}
        assert [each.status for each in response.attempts] == [401, 200]
        assert [each.status for each in (await client.get(url, auth=auth)).attempts] == [200]
        assert (await client.get(url, auth=DigestAuth("user", "wrong"))).status == 401


def test_httpbin_synchronously(httpbin: Httpbin) -> None:
    with SyncAtomHTTP(auth=DigestAuth("user", "secret")) as client:
        response = client.get(f"{httpbin.url}/digest-auth/auth/user/secret/SHA-256")
    assert response.data == {"authenticated": True, "user": "user"}


def test_the_guard_refuses_what_it_should() -> None:
    """The test of these tests: what is right is told from what is not."""
    door = Guard()
    challenge = dict(door(Received("GET", "/", "HTTP/1.1", [], b"", 0)).headers)["WWW-Authenticate"]
    assert challenge.startswith('Digest realm="a realm", nonce="n\\"0"')
    basic = base64.b64encode(f"user:{CANARY}".encode()).decode()
    secret = hashlib.md5(f"user:a realm:{CANARY}".encode()).hexdigest()
    what = hashlib.md5(b"GET:/").hexdigest()
    right = hashlib.md5(f'{secret}:n"0:00000001:c:auth:{what}'.encode()).hexdigest()
    fields = 'realm="a realm", nonce="n\\"0", opaque="o, \\"p\\"", algorithm=MD5, cnonce=c, qop=auth, nc=00000001'
    for header, found in [
        (f"Basic {basic}", "the scheme Basic"),
        (f'Digest username="user", uri="/", response="{right[::-1]}", {fields}', "a wrong response"),
        (f'Digest username="user", uri="/x", response="{right}", {fields}', "a wrong uri"),
        (f'Digest username="user", uri="/", response="{right}", {fields}', "good"),
        (f'Digest username="user", uri="/", response="{right}", {fields}', "a wrong nc"),
    ]:
        door(Received("GET", "/", "HTTP/1.1", [("Authorization", header)], b"", 0))
        assert door.said[-1] == found
