"""`NetrcAuth` (contract: Auth; hazards: A10)."""

from __future__ import annotations

import base64
import copy
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atomhttp import AdapterResponse, AtomHTTPOptionError, Request
from atomhttp.auth import NetrcAuth
from contract.flavours import Api
from support.origin import Answer, Origin

CANARY = "c4n4ry"
BAD = "ERR_BAD_OPTION_VALUE"


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


class Recorder:
    """An adapter that remembers what it was given; any host may be named."""

    def __init__(self, *answers: AdapterResponse) -> None:
        self.answers = iter(answers)
        self.sent: list[str | None] = []

    async def send(self, request: Request) -> AdapterResponse:
        self.sent.append(request.headers.get("authorization"))
        return next(self.answers, None) or AdapterResponse(200, {}, b"{}")

    async def close(self) -> None:
        """Nothing is open."""


Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a netrc file; its path."""
    path = tmp_path / "a netrc"

    def write_file(content: str) -> Path:
        path.write_text(content, encoding="utf-8")
        # A file system's clock may be coarser than two writes are apart.
        changed = path.stat().st_mtime_ns + next(steps)
        os.utime(path, ns=(changed, changed))
        return path

    steps = iter(range(0, 10**12, 10**9))
    return write_file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without a netrc file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


async def ask(api: Api, auth: Any, *urls: str) -> list[str | None]:
    """The Authorization of a request to each of `urls`."""
    recorder = Recorder()
    client = api.client(adapter=recorder, auth=auth)
    for url in urls:
        await client.get(url)
    return recorder.sent


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://api.test/", basic("user", CANARY)),
        ("https://api.test:8443/x?y", basic("user", CANARY)),
        ("http://API.Test/", basic("user", CANARY)),
        ("http://upper.test/", basic("u", "p")),
        ("http://[::1]/", basic("six", "6")),
        ("http://127.0.0.1/", basic("four", "4")),
        ("http://spaced.test/", basic("a b", 'p"\u00e4\\')),
        ("http://account.test/", basic("acc", "p")),
        ("http://login.test/", basic("only", "")),
        # Not what is written there, however near.
        ("http://test/", None),
        ("http://xapi.test/", None),
        ("http://api.test.evil.test/", None),
        ("http://other.test/", None),
        # The word that begins the entry for everybody is a name as well.
        ("http://default/", None),
    ],
)
async def test_the_entry_of_the_host(api: Api, write: Write, url: str, sent: str | None) -> None:
    path = write(
        f"# mine\nmachine api.test login user password {CANARY}\nmachine UPPER.test\n  login u\n\tpassword p\n"
        "machine ::1 login six password 6\nmachine 127.0.0.1 login four password 4\n"
        'machine spaced.test login "a b" password "p\\"\u00e4\\\\"\nmachine account.test account acc password p\n'
        "machine login.test login only\nmacdef init\n\tcd /\n\ndefault login everybody password everything\n"
    )
    assert await ask(api, NetrcAuth(path), url) == [sent]


@pytest.mark.parametrize(
    "url", ["http://api.test:x@evil.test/", "http://evil.test/api.test", "http://evil.test/#@api.test"]
)
async def test_the_host_is_that_of_the_parsed_url(api: Api, write: Write, url: str) -> None:
    """And what the URL itself says goes where the URL leads."""
    path = write(f"machine api.test login user password {CANARY}\n")
    expected = basic("api.test", "x") if "@evil" in url else None
    assert await ask(api, None, url) == [expected]
    recorder = Recorder()
    await api.client(adapter=recorder).get(url, auth=NetrcAuth(path))
    assert recorder.sent == [None]


async def test_a_redirect_elsewhere_gets_nothing(api: Api, write: Write) -> None:
    path = write(f"machine a.test login a password {CANARY}\nmachine b.test login b password {CANARY}\n")
    recorder = Recorder(AdapterResponse(302, {"Location": "https://b.test/"}), AdapterResponse(302, {"Location": "/x"}))
    await api.client(adapter=recorder).get("https://a.test/", auth=NetrcAuth(path))
    assert recorder.sent == [basic("a", CANARY), None, None]


async def test_a_redirect_at_home(api: Api, write: Write) -> None:
    path = write("machine a.test login a password p\n")
    recorder = Recorder(AdapterResponse(302, {"Location": "/x"}))
    await api.client(adapter=recorder).get("https://a.test/", auth=NetrcAuth(path))
    assert recorder.sent == [basic("a", "p")] * 2


async def test_no_host_is_behind_a_socket(api: Api, write: Write) -> None:
    auth = NetrcAuth(write("machine localhost login a password p\n"))
    recorder = Recorder()
    client = api.client(adapter=recorder, auth=auth)
    await client.get("http://localhost/", socketPath="/run/socket")
    await client.get("http+unix://%2Frun%2Fsocket/")
    await client.get("http://localhost/")
    assert recorder.sent == [None, None, basic("a", "p")]


async def test_nobody_looks_there_unasked(
    api: Api, origin: Origin, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".netrc").write_text(f"machine 127.0.0.1 login user password {CANARY}\n")
    (home / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    origin.routes["/"] = lambda _: Answer(status=401, headers=[("WWW-Authenticate", "Basic realm=x")])
    await api.client().get(f"{origin.url}/")
    assert [request.get("authorization") for request in origin.requests] == [None]
    await api.client(auth=NetrcAuth()).get(f"{origin.url}/")
    assert origin.requests[-1].get("authorization") == basic("user", CANARY)


# The file


async def test_it_is_read_again_when_it_has_changed(api: Api, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    import netrc

    reads: list[Any] = []
    real = netrc.netrc
    monkeypatch.setattr(netrc, "netrc", lambda path: reads.append(path) or real(path))
    auth = NetrcAuth(write("machine a.test login a password one\n"))
    assert await ask(api, auth, *["http://a.test/"] * 3) == [basic("a", "one")] * 3
    assert len(reads) == 1
    write("machine a.test login a password two\n")
    assert await ask(api, auth, *["http://a.test/"] * 3) == [basic("a", "two")] * 3
    assert len(reads) == 2


async def test_the_environment_names_the_file(
    api: Api, write: Write, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = NetrcAuth()
    (home / ".netrc").write_text("machine a.test login home password p\n")
    (home / ".netrc").chmod(0o600)
    assert await ask(api, auth, "http://a.test/") == [basic("home", "p")]
    monkeypatch.setenv("NETRC", str(write("machine a.test login named password p\n")))
    assert await ask(api, auth, "http://a.test/") == [basic("named", "p")]
    monkeypatch.setenv("NETRC", "")
    assert await ask(api, auth, "http://a.test/") == [basic("home", "p")]


@pytest.mark.parametrize(("name", "path"), [("X", ""), ("NETRC", "{}/missing"), ("HOME", "/dev/null"), ("HOME", "/x")])
async def test_there_may_be_no_file(
    api: Api, home: Path, monkeypatch: pytest.MonkeyPatch, name: str, path: str
) -> None:
    monkeypatch.setenv(name, path.format(home))
    assert await ask(api, NetrcAuth(), "http://a.test/") == [None]


async def test_a_tilde_is_the_home_directory(api: Api, home: Path) -> None:
    (home / "mine").write_text("machine a.test login a password p\n")
    assert await ask(api, NetrcAuth("~/mine"), "http://a.test/") == [basic("a", "p")]
    assert repr(NetrcAuth(Path("~/mine"))) == f"NetrcAuth({str(home / 'mine')!r})"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
async def test_a_file_in_the_home_directory_is_for_nobody_else(api: Api, home: Path, mode: int) -> None:
    (home / ".netrc").write_text(f"machine a.test login a password {CANARY}\n")
    (home / ".netrc").chmod(mode)
    with pytest.raises(AtomHTTPOptionError, match=r"NetrcAuth: '.*/\.netrc': .*too permissive") as caught:
        await ask(api, NetrcAuth(), "http://a.test/")
    assert caught.value.code == BAD
    # One that was named by hand is its owner's business.
    assert await ask(api, NetrcAuth(home / ".netrc"), "http://a.test/") == [basic("a", CANARY)]


async def test_a_file_that_was_named_must_be_there(api: Api, write: Write, tmp_path: Path) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"NetrcAuth: '.*/missing': No such file") as caught:
        NetrcAuth(tmp_path / "missing")
    assert caught.value.code == BAD
    with pytest.raises(AtomHTTPOptionError, match=r"NetrcAuth: '.*': Is a directory"):
        NetrcAuth(tmp_path)
    path = write("machine a.test login a password p\n")
    auth = NetrcAuth(path)
    path.unlink()
    with pytest.raises(AtomHTTPOptionError, match=r"NetrcAuth: '.*/a netrc': No such file"):
        await ask(api, auth, "http://a.test/")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"machine a.test login a password my {CANARY}\n", r"'.*/a netrc', line 2: not the form of a netrc file"),
        (f"machine a.test\n  login a\n  password\n{CANARY}\n{CANARY}\n", "line 6: not the form"),
        ("machine", "line 1: not the form"),
        (f"hello {CANARY}\n", "line 1: not the form"),
        (f'machine a.test login "a\nb" password {CANARY}\n', "machine 'a.test': username: control characters"),
        (f"machine a.test login a:b password {CANARY}\n", "machine 'a.test': username: must not contain ':'"),
        (f'machine a.test login a password "{CANARY}\x01"\n', "machine 'a.test': password: control characters"),
    ],
)
async def test_a_file_of_another_form(api: Api, write: Write, content: str, message: str) -> None:
    path = write("machine a.test login a password p\n")
    auth = NetrcAuth(path)
    write(content)
    for use in (lambda: ask(api, auth, "http://a.test/"), lambda: NetrcAuth(path)):
        with pytest.raises(AtomHTTPOptionError, match=message) as caught:
            await use()
        error = caught.value
        assert error.code == BAD
        # What Python's parser stumbled over may be a password: neither its words nor its error go along.
        assert CANARY not in f"{error!r} {error.__cause__!r}"
        assert error.__suppress_context__
    write("machine a.test login a password p\n")
    assert await ask(api, auth, "http://a.test/") == [basic("a", "p")]


def test_a_file_in_an_unknown_encoding(tmp_path: Path) -> None:
    (tmp_path / "netrc").write_bytes(b"machine a.test login a password \xff\xfe\n")
    with pytest.raises(AtomHTTPOptionError, match="neither UTF-8 nor the encoding of the locale"):
        NetrcAuth(tmp_path / "netrc")


# The object


@pytest.mark.parametrize("path", [5, b"bytes", ["a"], "a\x00b"])
def test_the_path_is_checked(path: Any) -> None:
    with pytest.raises(AtomHTTPOptionError, match=r"^path: ") as caught:
        NetrcAuth(path)
    assert caught.value.code == BAD


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda auth: pickle.loads(pickle.dumps(auth))])
async def test_copies(api: Api, write: Write, twin: Any) -> None:
    auth = NetrcAuth(write(f"machine a.test login a password {CANARY}\n"))
    made = twin(auth)
    assert (made, hash(made), repr(made)) == (auth, hash(auth), repr(auth))
    assert made != NetrcAuth()
    assert await ask(api, made, "http://a.test/") == [basic("a", CANARY)]
    assert CANARY not in repr(made)
    assert CANARY.encode() not in pickle.dumps(made)


async def test_the_password_is_not_shown(api: Api, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = api.client(adapter=Recorder(), auth=NetrcAuth(write(f"machine a.test login a password {CANARY}\n")))
    response = await client.get("http://a.test/")
    assert response.request.headers["Authorization"] == basic("a", CANARY)
    assert basic("a", CANARY) not in f"{response!r} {response.config!r} {response.request.headers!r} {caplog.text}"
