"""Redirects on the wire: changes of origin × carriers of secrets × statuses × hops (hazards: A1-A9, A12-A13).

`contract/test_redirect_leaks.py` asks an adapter what it was given. Here are real sockets: every name is this machine,
one port speaks both schemes, and every byte that arrives is kept. Each cell of the matrix is one chain of one status,
of one client with one secret, and says at which of its hops the secret may be seen. It must be seen there, so that no
cell can pass because nothing was sent.
"""

from __future__ import annotations

import copy
import os
import random
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from atomhttp import AtomHTTPRedirectError, BasicAuth, DigestAuth
from contract.flavours import Api
from support.certificates import Certificates
from support.scripted_proxy import ScriptedProxy
from support.server import LocalServer

STATUSES: Final = (301, 302, 303, 307, 308)
CANARY: Final = "c4n4ry"
# As Basic has it.
ENCODED: Final = b64encode(f"user:{CANARY}".encode())
NAMES: Final = (
    "home.test",
    "away.test",
    "third.test",
    "www.home.test",
    "api.home.test",
    "home.test.away.test",
    "xn--hme-sna.test",
    "xn--hme-sed.test",
    "nothome.test",
)


# The machine that is everybody


@dataclass(frozen=True)
class Seen:
    """One request, byte by byte, and how it came."""

    raw: bytes
    connection: tuple[int, int]
    has_certificate: bool
    over_unix: bool

    @property
    def tells(self) -> bool:
        return CANARY.encode() in self.raw or ENCODED in self.raw or self.has_certificate


@dataclass
class Script:
    """What is answered at which path, by all servers of a test, and what they have seen there."""

    answers: dict[str, bytes] = field(default_factory=dict)
    challenged: set[str] = field(default_factory=set)
    """Paths that want Digest first."""
    seen: dict[str, list[Seen]] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.Lock)

    def lead(self, path: str, status: int, location: str) -> None:
        self.answers[path] = b"HTTP/1.1 %d Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (
            status,
            location.encode(),
        )

    def answer(self, path: str, seen: Seen) -> bytes:
        with self.lock:
            self.seen.setdefault(path, []).append(seen)
        if path in self.challenged and b"\r\nAuthorization: Digest" not in seen.raw:
            return (
                b'HTTP/1.1 401 Who\r\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256\r\n'
                b"Content-Length: 0\r\n\r\n"
            )
        return self.answers.get(path, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


class Machine(LocalServer):
    """Any host, http and https at one port: who connects says which it is."""

    def __init__(self, script: Script, tls: ssl.SSLContext, **place: Any) -> None:
        super().__init__(**place)
        self._script = script
        self._context = tls

    def serve(self, connection: socket.socket, number: int) -> None:
        has_certificate = False
        if connection.recv(1, socket.MSG_PEEK) == b"\x16":
            connection = tls = self.start_tls(connection, number, self._context)
            has_certificate = bool(tls.getpeercert())
        received = b""
        while True:
            while b"\r\n\r\n" not in received:
                piece = connection.recv(65_536)
                if not piece:
                    return
                received += piece
            end = received.index(b"\r\n\r\n") + 4
            found = received[:end].lower().partition(b"\r\ncontent-length:")[2]
            end += int(found.partition(b"\r\n")[0] or 0)
            while len(received) < end:
                received += connection.recv(65_536)
            raw, received = received[:end], received[end:]
            path = raw.split(b" ", 2)[1].decode().partition("?")[0]
            seen = Seen(raw, (id(self), number), has_certificate, self.socket_path is not None)
            connection.sendall(self._script.answer(path, seen))
            if b"\r\nConnection: close\r\n" in raw:
                return  # a proxy's


# Changes of origin


@dataclass(frozen=True)
class Change:
    """From where to where. `{s}` is the scheme and `{d}` its port, `{p}` the port of all names and both schemes, `{q}`
    another one, `{v6}` that of `::1`."""

    home: str
    away: str
    third: str = "{s}://third.test:{p}"
    route: str = "direct"
    """direct; "home": home is behind a proxy; "both": everything is; "unix": home is at a unix socket."""
    host: str = ""
    """Whose cookies `away` gets, where it is not what stands there."""
    is_home: bool = False
    """Whether it is no change at all."""

    def places(self, scheme: str, ports: Mapping[str, int]) -> tuple[str, str, str]:
        values = {"s": scheme, "d": 443 if scheme == "https" else 80, **ports}
        return self.home.format(**values), self.away.format(**values), self.third.format(**values)


HOME: Final = "{s}://home.test:{p}"
CHANGES: Final = {
    "another host": Change(HOME, "{s}://away.test:{p}"),
    "another port": Change(HOME, "{s}://home.test:{q}"),
    "http to https": Change("http://home.test:{p}", "https://home.test:{p}", "https://third.test:{p}"),
    "https to http": Change("https://home.test:{p}", "http://home.test:{p}", "http://third.test:{p}"),
    "sub-domain": Change(HOME, "{s}://www.home.test:{p}"),
    "parent domain": Change("{s}://api.home.test:{p}", "{s}://home.test:{p}"),
    "sibling": Change("{s}://api.home.test:{p}", "{s}://www.home.test:{p}"),
    "a dot at the end": Change(HOME, "{s}://home.test.:{p}"),
    "longer": Change(HOME, "{s}://home.test.away.test:{p}"),
    "userinfo like home": Change(HOME, "{s}://home.test@away.test:{p}", host="away.test"),
    "userinfo like home, with a port": Change(HOME, "{s}://home.test:{p}@away.test:{p}", host="away.test"),
    "no scheme": Change(HOME, "//away.test:{p}"),
    "address": Change(HOME, "{s}://127.0.0.1:{p}"),
    "address in short": Change(HOME, "{s}://127.1:{p}", host="127.0.0.1"),
    "address in one number": Change(HOME, "{s}://0x7f000001:{p}", host="127.0.0.1"),
    "IPv6": Change(HOME, "{s}://[::1]:{v6}"),
    "IDN": Change(HOME, "{s}://h\u00f6me.test:{p}", host="xn--hme-sna.test"),
    "IDN that looks alike": Change(HOME, "{s}://h\u043eme.test:{p}", host="xn--hme-sed.test"),
    "from a unix socket": Change(HOME, "{s}://away.test:{p}", route="unix"),
    "from a unix socket to the host it named": Change(HOME, "{s}://home.test:{q}", route="unix"),
    "from a proxy to no proxy": Change(HOME, "{s}://away.test:{p}", route="home"),
    "through one proxy": Change(HOME, "{s}://away.test:{p}", route="both"),
}
# The control group: at home everything goes along, so that what stays behind elsewhere does so for a reason.
AT_HOME: Final = {
    "a path": "",
    "in full": HOME,
    "in capitals": "{s}://HOME.Test:{p}",
    "without a scheme": "//home.test:{p}",
    "full-width letters": "{s}://\uff48\uff4f\uff4d\uff45.test:{p}",
    "percent-encoded": "{s}://h%6fme.test:{p}",
    "zeros before the port": "{s}://home.test:000{p}",
    "empty userinfo": "{s}://@home.test:{p}",
    "up and down": "/..//..",
    "the port written out": "{s}://home.test:{d}",
}
CONTROLS: Final = {
    name: Change(HOME, place, place, host="home.test", is_home=True)
    if name != "the port written out"
    # Through a proxy, which finds the machine at whatever port.
    else Change("{s}://home.test", place, place, route="both", host="home.test", is_home=True)
    for name, place in AT_HOME.items()
}


# Carriers of secrets


@dataclass(frozen=True)
class Hop:
    """One request of a chain: the `number`-th, at which of (home, away, third)."""

    number: int
    at: int
    status: int
    host: str
    home: str
    """The host of the first."""


@dataclass(frozen=True)
class Carrier:
    """How a secret is given, and at which hops but the first it may be seen: away from home, and at home."""

    options: Mapping[str, Any] = field(default_factory=dict)
    client: Mapping[str, Any] = field(default_factory=dict)
    userinfo: str = ""
    prepare: Callable[[Any, str], None] = lambda client, home: None
    method: str = "GET"
    also: Callable[[Hop], bool] = lambda hop: False
    at_home: Callable[[Hop], bool] = lambda hop: True
    needle: bytes = b""
    """What to look for, where it is not the secret itself."""
    scheme: str = "http"


def is_same_host(hop: Hop) -> bool:
    return hop.host == hop.home


def is_in_home_test(hop: Hop) -> bool:
    return hop.host == "home.test" or hop.host.endswith(".home.test")


def keeps_content(hop: Hop) -> bool:
    return hop.status in (307, 308)


CARRIERS: Final = {
    "Authorization": Carrier({"headers": {"Authorization": f"Bearer {CANARY}"}}),
    "Cookie": Carrier({"headers": {"cookie": f"session={CANARY}"}}),
    # The jar decides by itself: by host, not by origin, and again at every hop (RFC 6265bis).
    "a host's cookie": Carrier(
        prepare=lambda client, home: client.cookies.set("session", CANARY, url=home, secure=False), also=is_same_host
    ),
    "a domain's cookie": Carrier(
        prepare=lambda client, _home: client.cookies.set("session", CANARY, domain="home.test"), also=is_in_home_test
    ),
    "auth": Carrier({"auth": BasicAuth("user", CANARY)}),
    "userinfo": Carrier(userinfo=f"user:{CANARY}@"),
    "X-API-Key": Carrier({"headers": {"X-API-Key": CANARY}}),
    "Digest": Carrier({"auth": DigestAuth(CANARY, "password")}),
    "client certificate": Carrier(scheme="https"),
    # Content goes where a 307 or 308 leads, as in browsers and with curl; never where a GET does.
    "content": Carrier({"data": CANARY}, method="POST", also=keeps_content, at_home=keeps_content),
    "Referer": Carrier({"headers": {"Referer": f"http://home.test/?{CANARY}"}}),
    # They are of the first URL, and no part of the next one.
    "params": Carrier({"params": {"token": CANARY}}, at_home=lambda hop: False),
    "XSRF token": Carrier(
        client={"withXSRFToken": True, "baseURL": "home"},
        prepare=lambda client, home: client.cookies.set("XSRF-TOKEN", CANARY, url=home, secure=False),
        needle=b"X-XSRF-TOKEN: " + CANARY.encode(),
    ),
    "the client's own": Carrier(client={"headers": {"X-Session": CANARY}, "baseURL": "home"}),
    "cookies of the call": Carrier({"cookies": {"session": CANARY}}),
    "Host": Carrier({"headers": {"Host": f"{CANARY}.test"}}),
}
# The hops of a status: "there" is how both of these begin, and the third.
CHAINS: Final = {"there and back": (0, 1, 0), "there and on": (0, 1, 2)}
PATTERNS: Final = 1 + len(CHAINS)

# With all statuses; of the rest of the matrix each field has one. HOSTILE=full: everything, also synchronously.
MAIN_CHANGES: Final = (
    *("another host", "another port", "http to https", "https to http", "sub-domain", "parent domain", "sibling"),
    *("a dot at the end", "userinfo like home", "no scheme", "address", "from a unix socket"),
)
MAIN_CARRIERS: Final = (
    *("Authorization", "Cookie", "a host's cookie", "auth", "userinfo", "X-API-Key", "Digest"),
    *("client certificate", "content"),
)
FIELDS: Final = [(change, carrier) for change in CHANGES for carrier in CARRIERS]
MAIN: Final = [(change, carrier) for change in MAIN_CHANGES for carrier in MAIN_CARRIERS]
CHANCE: Final = random.Random(2)
IS_FULL: Final = os.environ.get("HOSTILE") == "full"
SOME_STATUSES: Final = pytest.mark.parametrize("status", STATUSES if IS_FULL else (302, 307))
SYNCHRONOUS: Final = FIELDS if IS_FULL else CHANCE.sample(FIELDS, len(FIELDS) // 10)


def test_there_are_enough_cells() -> None:
    assert set(MAIN) < set(FIELDS)
    assert len(MAIN) * len(STATUSES) * PATTERNS >= 5 * 12 * 9 * 3


# What all tests meet


@pytest.fixture(scope="module")
def tls(certificates: Certificates) -> ssl.SSLContext:
    """With all names; asks for a certificate, and does not insist."""
    server = certificates.server_context(certificates.issue(*NAMES, "127.0.0.1", "::1"), ask_client=True)
    server.verify_mode = ssl.CERT_OPTIONAL
    return server


class World:
    """Machines, and a proxy. Each test has a part of the script: all paths that begin with `prefix`."""

    def __init__(self, stack: ExitStack, tls: ssl.SSLContext, ca: Path, directory: Path) -> None:
        self.script = Script()
        machine, other, six = (
            stack.enter_context(Machine(self.script, tls, host=host)) for host in ("127.0.0.1", "127.0.0.1", "::1")
        )
        self.ports = {"p": machine.port, "q": other.port, "v6": six.port}
        self.unix = stack.enter_context(Machine(self.script, tls, unix=directory / "s"))
        self.proxy = stack.enter_context(ScriptedProxy(destinations=dict.fromkeys(NAMES, machine.port)))
        self._ca = ca
        self._tests = 0

    def new_prefix(self) -> str:
        self._tests += 1
        return f"/{self._tests}"

    def client(self, api: Api, **options: Any) -> Any:
        """A client that finds all names here."""
        hosts = dict.fromkeys(NAMES, "127.0.0.1")
        return api.client(
            **{"hosts": hosts, "verify": self._ca, "proxy": False, "allowInsecureRedirect": True, **options}
        )

    def at(self, path: str) -> list[Seen]:
        """What has arrived there."""
        return self.script.seen.get(path, [])

    def below(self, prefix: str) -> list[str]:
        """Where something has arrived, in order."""
        return [path for path in self.script.seen if path.startswith(f"{prefix}/")]


@pytest.fixture(scope="module")
def world(certificates: Certificates, tls: ssl.SSLContext, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(stack, tls, certificates.ca, tmp_path_factory.mktemp("world"))


def run(flavour: str, body: Callable[[Api], Coroutine[Any, Any, None]]) -> None:
    """`body` with the asynchronous client, or by hand with the synchronous one."""
    api = Api(flavour)
    api.run(body(api))


# The matrix


class Field:
    """All chains of one change and one carrier."""

    def __init__(self, world: World, change: Change, carrier: str, certificate: Path) -> None:
        self.change, self.carrier = change, CARRIERS[carrier]
        self.is_digest = carrier == "Digest"
        self.places = change.places(self.carrier.scheme, world.ports)
        home, away, third = (place.partition("//")[2].rpartition(":")[0] for place in self.places)
        self.hosts = [home, change.host or away, third]
        self.prefix = world.new_prefix()
        self.wrong: list[str] = []
        self._world = world
        self.options = copy.deepcopy(dict(self.carrier.options))
        if self.carrier.scheme == "https":
            self.options["cert"] = certificate
        if self.change.route == "unix":
            self.options["socketPath"] = world.unix.socket_path

    def client(self, api: Api) -> Any:
        home = self.places[0]
        ways = {"both": self._world.proxy.url, "home": {home: self._world.proxy.url}}
        options = {**self.carrier.client, "proxy": ways.get(self.change.route, False)}
        if "baseURL" in options:
            options["baseURL"] = home
        client = self._world.client(api, **options)
        self.carrier.prepare(client, home)
        return client

    def lay(self, status: int, name: str) -> list[str]:
        """The paths of a chain's hops, each of which leads to the next."""
        chain = CHAINS[name]
        hops = [f"{self.prefix}/{status}/{len(name)}/{number}" for number in range(len(chain))]
        for here, there, at in zip(hops, hops[1:], chain[1:], strict=False):
            self._world.script.lead(here, status, self.places[at] + there)
        if self.is_digest:
            # At home, and wherever it ends: there nobody is to answer.
            self._world.script.challenged.update((hops[0], hops[-1]))
        return hops

    async def follow(self, client: Any, status: int, name: str) -> None:
        hops = self.lay(status, name)
        start = self.places[0].replace("//", f"//{self.carrier.userinfo}")
        # A fragment and meta are for nobody else, ever.
        url = f"{start}{hops[0]}#unseen"
        response = await client.request(self.carrier.method, url, meta={"unseen": "unseen"}, **self.options)
        assert [each.status for each in response.history] == [status] * (len(hops) - 1)
        before: set[tuple[int, int]] = set()
        for number, (path, at) in enumerate(zip(hops, CHAINS[name], strict=True)):
            seen = self._world.at(path)
            for problem in self._judge(seen, Hop(number, at, status, self.hosts[at], self.hosts[0]), before):
                self.wrong.append(f"{status}, {name}, hop {number}: {problem}: {seen}")
            before = {each.connection for each in seen}

    def _judge(self, seen: list[Seen], hop: Hop, before: set[tuple[int, int]]) -> Iterator[str]:
        needle = self.carrier.needle
        told = any(needle in each.raw if needle else each.tells for each in seen)
        if hop.number:
            expected = (self.carrier.at_home if self.change.is_home else self.carrier.also)(hop)
        else:
            expected = self.carrier.scheme == "http" or self.places[0].startswith("https:")
        if told != expected:
            yield "the secret was told" if told else "the secret was not told"
        # To a challenge at home there is an answer, and when that is known it is sent at once.
        if len(seen) not in ((1, 2) if self.is_digest and not hop.number else (1,)):
            yield f"{len(seen)} requests"
        if self.change.route == "direct" and not self.change.is_home and before & {each.connection for each in seen}:
            yield "on the connection of another origin"
        for each in seen:
            if hop.number and not self.change.is_home and (b"\r\nreferer:" in each.raw.lower() or each.over_unix):
                yield "a Referer, or a unix socket"
            if b"unseen" in each.raw:
                yield "a fragment, or meta"


async def check(
    api: Api,
    world: World,
    certificates: Certificates,
    change: str,
    carrier: str,
    statuses: Sequence[int] = STATUSES,
    chains: Sequence[str] = tuple(CHAINS),
) -> None:
    fields = Field(world, CHANGES[change], carrier, certificates.client)
    client = fields.client(api)
    for status in statuses:
        for name in chains:
            await fields.follow(client, status, name)
    assert fields.wrong == [], carrier
    assert len(world.below(fields.prefix)) == len(statuses) * sum(len(CHAINS[name]) for name in chains)
    await client.close()


@pytest.mark.parametrize(("change", "carrier"), MAIN, ids=[", ".join(each) for each in MAIN])
def test_nothing_leaks_and_nothing_comes_back(
    change: str, carrier: str, world: World, certificates: Certificates
) -> None:
    run("asyncio", lambda api: check(api, world, certificates, change, carrier))
    if (change, carrier) in SYNCHRONOUS:
        run("sync", lambda api: check(api, world, certificates, change, carrier))


@pytest.mark.parametrize("change", CHANGES)
def test_nor_in_the_rest_of_the_matrix(change: str, world: World, certificates: Certificates) -> None:
    async def body(api: Api) -> None:
        for carrier in CARRIERS:
            if (change, carrier) in MAIN:
                continue
            if IS_FULL:
                await check(api, world, certificates, change, carrier)
            elif not api.is_sync or (change, carrier) in SYNCHRONOUS:
                chosen = [CHANCE.choice(STATUSES)], [CHANCE.choice([*CHAINS])]
                await check(api, world, certificates, change, carrier, *chosen)

    run("asyncio", body)
    run("sync", body)


@SOME_STATUSES
def test_what_is_for_the_proxy_is_for_the_proxy(status: int, world: World) -> None:
    """Proxy-Authorization as a field: to the proxy that home is behind, and to nobody behind or beside it [A5]."""

    async def body(api: Api) -> None:
        for change, told in [
            ("from a proxy to no proxy", [True, False, False]),
            # The same proxy, and the same account there: it would not let us through without.
            ("through one proxy", [True, True, True]),
            # It has nowhere to go.
            ("another host", [False, False, False]),
        ]:
            fields = Field(world, CHANGES[change], "Authorization", Path())
            client = fields.client(api)
            for name in CHAINS:
                hops = fields.lay(status, name)
                known = len(world.proxy.requests)
                await client.get(fields.places[0] + hops[0], headers={"Proxy-Authorization": CANARY})
                heads = world.proxy.requests[known:]
                assert not any(each.tells for hop in hops for each in world.at(hop))
                shown = [
                    any(head.target.endswith(hop) and CANARY.encode() in head.raw for head in heads) for hop in hops
                ]
                assert shown == told[: len(hops)]
            await client.close()

    run("asyncio", body)
    run("sync", body)


@SOME_STATUSES
def test_a_proxys_account_stays_between_us_and_the_proxy(status: int, world: World) -> None:
    """Credentials in the proxy's URL, in a tunnel and without one."""

    async def body(api: Api) -> None:
        url = world.proxy.url.replace("//", f"//user:{CANARY}@")
        for scheme in ("http", "https"):
            prefix = world.new_prefix()
            p = world.ports["p"]
            client = world.client(api, proxy={f"{scheme}://home.test": url})
            world.script.lead(f"{prefix}/0", status, f"{scheme}://away.test:{p}{prefix}/1")
            world.script.lead(f"{prefix}/1", status, f"{scheme}://home.test:{p}{prefix}/2")
            known = len(world.proxy.requests)
            await client.get(f"{scheme}://home.test:{p}{prefix}/0")
            assert world.below(prefix) == [f"{prefix}/{hop}" for hop in range(3)]
            assert not any(each.tells for path in world.below(prefix) for each in world.at(path))
            heads = world.proxy.requests[known:]
            assert {head.get("host") for head in heads} == {f"home.test:{p}"}
            assert all(ENCODED in head.raw for head in heads)
            await client.close()

    run("asyncio", body)
    run("sync", body)


@pytest.mark.parametrize("spelling", CONTROLS)
def test_at_home_everything_goes_along(spelling: str, world: World, certificates: Certificates) -> None:
    async def body(api: Api) -> None:
        # All of them at least once: here, and as the first hop of every cell.
        several = CARRIERS if IS_FULL or spelling == "in full" else CHANCE.sample([*CARRIERS], 7)
        for carrier in several:
            fields = Field(world, CONTROLS[spelling], carrier, certificates.client)
            client = fields.client(api)
            status = CHANCE.choice(STATUSES[3:] if carrier == "content" else STATUSES)
            await fields.follow(client, status, "there and on")
            assert fields.wrong == [], carrier
            await client.close()

    run("asyncio", body)


# Where no redirect leads


UNFOLLOWABLE: Final = {
    "no URL": [
        "http://",
        "http:///",
        "//",
        "http://:80/",
        "http://home.test:99999/",
        "http://home.test:x/",
        "http://[::1/",
    ],
    "an odd host": [
        "http://a b/",
        "http://away%00.test/",
        "http://a|b/",
        "http://away.test%2fx/",
        "http://1.2.3.256/",
    ],
    "backslashes": [
        "http:\\\\away.test\\x",
        "\\\\away.test\\x",
        "/\\away.test/",
        "\\/away.test/",
        "http://home.test\\@away.test/",
    ],
    "half a scheme": ["http:away.test", "http:/away.test/", "https:///away.test/", "HTTP:away.test", "http:"],
    "a tab": ["http://away.test/\tx", "ht\ttp://away.test/", "/\t/away.test/"],
    "slashes": ["///away.test/", "////away.test/", "https:////away.test/"],
    "a file": ["file:///etc/passwd", "FILE:///etc/passwd", "file://away.test/x", "file:/etc/passwd"],
    "data": ["data:text/plain,x", "data:,", "DATA:text/html;base64,eA=="],
    "another protocol": [
        "ftp://away.test/",
        "gopher://away.test/",
        "ws://away.test/",
        "dict://away.test:11211/",
        "h2://x/",
    ],
    "a program": [
        "javascript:alert(1)",
        "JavaScript://away.test/%0aalert(1)",
        "about:blank",
        "blob:http://away.test/x",
    ],
    "a socket": ["unix:/run/docker.sock", "http+unix://%2Frun%2Fdocker.sock/", "HTTP+UNIX://%2Frun%2Fdocker.sock/"],
    "a mailbox": ["mailto:a@away.test", "tel:1", "urn:x", "x:y"],
    "a zone": ["http://[fe80::1%25lo]/", "http://[fe80::1%lo]/"],
}


@pytest.mark.parametrize("kind", UNFOLLOWABLE)
def test_no_redirect_leads_there(kind: str, world: World) -> None:
    """What cannot be read is an error and never "same origin"; only http and https are followed [A1, A12]."""

    async def body(api: Api) -> None:
        for location in UNFOLLOWABLE[kind]:
            for scheme in ("http", "https") if IS_FULL else (CHANCE.choice(("http", "https")),):
                prefix, status = world.new_prefix(), CHANCE.choice(STATUSES)
                client = world.client(api)
                world.script.lead(f"{prefix}/0", status, location)
                with pytest.raises(AtomHTTPRedirectError) as caught:
                    await client.get(f"{scheme}://user:{CANARY}@home.test:{world.ports['p']}{prefix}/0")
                assert (caught.value.code, caught.value.status) == ("ERR_BAD_REDIRECT", status), location
                assert CANARY not in str(caught.value)
                assert world.below(prefix) == [f"{prefix}/0"]
                await client.close()

    run("asyncio", body)


LEFT_ALONE: Final = ("", " ")


@pytest.mark.parametrize("location", LEFT_ALONE)
def test_a_redirect_to_nowhere_is_a_response(location: str, world: World) -> None:
    async def body(api: Api) -> None:
        prefix = world.new_prefix()
        world.script.lead(f"{prefix}/0", 302, location)
        client = world.client(api)
        response = await client.get(f"http://home.test:{world.ports['p']}{prefix}/0")
        assert (response.status, response.history, world.below(prefix)) == (302, (), [f"{prefix}/0"])
        await client.close()

    run("asyncio", body)


DOWN: Final = {
    "the same host": CHANGES["https to http"],
    "another host": Change("https://home.test:{p}", "http://away.test:{p}"),
}
REFUSED: Final = (
    *("Authorization", "Cookie", "auth", "userinfo", "X-API-Key", "Digest", "content", "the client's own"),
    "cookies of the call",
)


@SOME_STATUSES
@pytest.mark.parametrize("change", DOWN)
def test_without_leave_nothing_of_https_goes_to_http(change: str, status: int, world: World) -> None:
    """With credentials or content it is refused, and nobody is even connected to [A7]."""

    async def body(api: Api) -> None:
        for name in REFUSED:
            fields = Field(world, DOWN[change], name, Path())
            client = fields.client(api)
            client.defaults.allow_insecure_redirect = False
            first, second, _ = fields.lay(status, "there and on")
            url = fields.places[0].replace("//", f"//{fields.carrier.userinfo}") + first
            if name == "content" and not keeps_content(Hop(1, 1, status, "", "")):
                # It stays behind, and then there is nothing to be told.
                await client.request(fields.carrier.method, url, **fields.options)
                assert not world.at(second)[0].tells
            else:
                with pytest.raises(AtomHTTPRedirectError, match="from https to http"):
                    await client.request(fields.carrier.method, url, **fields.options)
                assert world.below(fields.prefix) == [first]
            await client.close()

    run("asyncio", body)


def test_the_jar_takes_secure_cookies_nowhere_but_to_https(world: World) -> None:
    async def body(api: Api) -> None:
        prefix, p = world.new_prefix(), world.ports["p"]
        for number, place in enumerate(("http://home.test", "https://away.test", "https://home.test"), 1):
            world.script.lead(f"{prefix}/{number - 1}", 302, f"{place}:{p}{prefix}/{number}")
        client = world.client(api)
        client.cookies.set("session", CANARY, url=f"https://home.test:{p}/")
        await client.get(f"https://home.test:{p}{prefix}/0")
        assert [world.at(path)[0].tells for path in world.below(prefix)] == [True, False, False, True]
        await client.close()

    run("asyncio", body)
    run("sync", body)


def test_a_unix_socket_named_by_a_url_is_left_for_good(world: World) -> None:
    """`http+unix:` and back by `http://localhost/`: the socket is not chosen by a server [A12]."""

    async def body(api: Api) -> None:
        prefix = world.new_prefix()
        socket_url = f"http+unix://{quote(str(world.unix.socket_path), safe='')}"
        world.script.lead(f"{prefix}/0", 302, f"{prefix}/1")
        world.script.lead(f"{prefix}/1", 307, f"http://localhost:{world.ports['p']}{prefix}/2")
        world.script.lead(f"{prefix}/2", 302, f"{socket_url}{prefix}/3")
        client = world.client(api)
        with pytest.raises(AtomHTTPRedirectError, match="unix socket"):
            await client.get(f"{socket_url}{prefix}/0", headers={"X-API-Key": CANARY})
        seen = [world.at(path)[0] for path in world.below(prefix)]
        assert [each.over_unix for each in seen] == [True, True, False]
        assert [each.tells for each in seen] == [True, True, False]
        await client.close()

    run("asyncio", body)
    run("sync", body)
