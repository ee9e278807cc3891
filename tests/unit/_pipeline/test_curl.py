"""`config.to_curl()`, judged by the real curl: what it sends by the printed command is what the client has sent."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import pickle
import re
import shutil
import ssl
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atomhttp import (
    AtomHTTP,
    AtomHTTPError,
    AtomHTTPOptionError,
    AtomHTTPURLError,
    BearerAuth,
    DigestAuth,
    FormData,
    MockAdapter,
    NetrcAuth,
    RefreshingAuth,
    RequestConfig,
    SyncAtomHTTP,
    Timeout,
)
from atomhttp._assembly import built_in_headers
from atomhttp._pipeline import built_in
from atomhttp._pipeline.command_line import to_bytes
from hostile.canaries import CORE, canary, find
from support.certificates import CLIENT_AUTH, Certificates, Issued
from support.origin import Answer, Origin, Received

CURL, BASH = shutil.which("curl"), shutil.which("bash")
needs_curl = pytest.mark.skipif(
    CURL is None or BASH is None, reason="NO CURL OR NO BASH: no command was run (Debian: apt-get install curl)"
)


def run_curl(command: str, given: bytes = b"", **environment: str) -> bytes:
    """What the command prints; it must succeed. Nothing of this machine's settings has a say."""
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "CURL_HOME": "/nonexistent", **environment}
    # Its diagnostics, should it fail, and not its progress.
    command = command.replace("curl ", "curl --silent --show-error ", 1)
    done = subprocess.run(
        ["bash", "-c", to_bytes(command)], input=given, capture_output=True, env=clean, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def described(request: Received) -> tuple[str, str, Counter[tuple[str, str]], bytes]:
    """What a server can tell of a request; boundaries are random."""
    body, fields = request.body, Counter((name.lower(), value) for name, value in request.headers)
    content_type = request.get("content-type") or ""
    found = re.search(r"boundary=(atomhttp-\w+|-{10,}\w+)", content_type)
    if found:
        body = body.replace(found[1].encode(), b"BOUNDARY")
        fields = Counter((name, value.replace(found[1], "BOUNDARY")) for name, value in fields.elements())
        # The boundaries differ in length.
        fields = Counter((name, "?" if name == "content-length" else value) for name, value in fields.elements())
    return request.method, request.target, fields, body


def compare(origin: Origin, options: Mapping[str, Any], given: bytes = b"", **client_options: Any) -> str:
    """Sends a call by the client and by curl, and compares what has arrived; returns the command."""
    with SyncAtomHTTP(**client_options) as client:
        config = client.request(options).config
        command = config.to_curl(show_secrets=True)
    run_curl(command, given)
    ours, curls = origin.requests[-2:]
    assert described(curls) == described(ours)
    return command


AWKWARD = 'it\'s "quoted" $(id) `id` $HOME !! \\n \\ %s {a,b} [1-3] * ~ # é € 😀'

REQUESTS: dict[str, dict[str, Any]] = {
    "nothing but a URL": {},
    "a query": {"params": {"q": AWKWARD, "list": [1, 2], "nested": {"a": 1}, "empty": ""}},
    "globs in a query": {"url": "/echo?a={x,y}&b=[1-2]#fragment"},
    "a path that is not ASCII": {"url": "/écho/a b/%2F'()"},
    "fields": {"headers": {"X-One": "1", "X-Awkward": AWKWARD, "Accept": "text/html", "User-Agent": "me/1 (it's)"}},
    "a field of several lines": {"headers": {"X-Many": ["a", "b", "a"]}},
    "a field without a value": {"headers": {"X-Empty": ""}},
    "without curl's own fields": {"headers": {"User-Agent": False, "Accept": False, "Accept-Encoding": False}},
    "another host": {"headers": {"Host": "service.test:8080"}},
    "connection: close": {"keep_alive": False},
    "connection: keep-alive": {"headers": {"Connection": "keep-alive"}},
    "a range": {"headers": {"Range": "bytes=0-4"}},
    "no decompression": {"decompress": False},
    "HEAD": {"method": "HEAD"},
    "DELETE": {"method": "DELETE"},
    "OPTIONS": {"method": "OPTIONS"},
    "a method of one's own": {"method": "PURGE"},
    "POST of nothing": {"method": "POST"},
    "PUT of nothing": {"method": "PUT", "headers": {"Content-Type": "text/x"}},
    "GET with content": {"json": {"a": 1}},
    "QUERY": {"method": "QUERY", "json": {"a": AWKWARD}},
    "JSON": {"method": "POST", "json": {"text": AWKWARD, "list": [1.5, None, True], "key": {"nested": "\n"}}},
    "JSON of one's own": {"method": "POST", "json": [1], "json_encoder": lambda value: f"{{\n\t'é': {value}\r\n}}"},
    "JSON by data": {"method": "PATCH", "data": {"a": [1, {"b": "c"}]}},
    "text": {"method": "POST", "data": AWKWARD},
    "text that curl would take for a file": {"method": "POST", "data": "@/etc/passwd"},
    "lines": {"method": "POST", "data": "a\nb\r\nc\n\n"},
    "control characters": {"method": "POST", "data": "".join(map(chr, range(1, 32))) + "\x7f\x9b\u2028\u202e"},
    "no content": {"method": "POST", "data": ""},
    "bytes": {"method": "POST", "data": bytes(range(1, 256)), "headers": {"Content-Type": "image/x"}},
    "bytes with NUL": {"method": "PUT", "data": bytes(range(256)) + b"%d\\x41'"},
    "more than curl sends without leave": {"method": "POST", "data": "x" * 3000},
    "leave to send": {"method": "POST", "data": "x" * 3000, "headers": {"Expect": "100-continue"}},
    "a length that was said": {"method": "POST", "data": "abc", "headers": {"Content-Length": "3"}},
    "urlencoded": {"method": "POST", "form": {"a": AWKWARD, "b": ["1", "2"], "@": "@"}},
    "urlencoded by data": {
        "method": "POST",
        "data": {"a": {"b": 1}},
        "headers": {"Content-Type": "application/x-www-form-urlencoded"},
    },
    "a form": {"method": "POST", "data": FormData({"a": AWKWARD, "b": ["@/etc/passwd", "<x", "a;type=x"], "c": ""})},
    "a form of lines": {"method": "POST", "data": FormData({"a": "1\n2\r3\r\n", "li\nne": "x", 'q"uote': "x"})},
    "a form with types": {
        "method": "PUT",
        "data": FormData(
            [
                ("text", ("t.txt", b"content;type=x\n")),
                ("typed", ("a b;c\"d'é.bin", b'\xff"\\\r\n', "application/x-y; charset=utf-8")),
                ("bytes", b"\x01\x02\xff"),
                ("memory", ("m.json", io.BytesIO(b"[1]"))),
            ]
        ),
    },
    "a form that curl has no options for": {
        "method": "POST",
        "data": FormData([("a=b", "1"), ("nul", b"a\0b"), ("typed", ("x", b"", "a,b/c"))]),
    },
    "a form with a boundary of one's own": {
        "method": "POST",
        "data": FormData({"a": "1"}),
        "headers": {"Content-Type": "multipart/form-data; boundary=mine"},
    },
    "a form of another kind": {
        "method": "POST",
        "data": FormData({"a": "1"}),
        "headers": {"Content-Type": "multipart/mixed"},
    },
    "a form of nested values": {
        "method": "POST",
        "data": {"a": {"b": [1, 2]}, "c": "d"},
        "headers": {"Content-Type": "multipart/form-data"},
    },
    "an empty form": {"method": "POST", "data": FormData()},
    "bytes in memory": {"method": "POST", "data": io.BytesIO(b"in memory")},
    "Basic": {"auth": ("ada", AWKWARD.replace("\\n", ""))},
    "Bearer": {"auth": BearerAuth("t0ken")},
    "cookies": {"cookies": {"a": "1", "b": "two"}},
}


@needs_curl
@pytest.mark.parametrize("name", REQUESTS)
def test_curl_sends_what_we_send(origin: Origin, name: str) -> None:
    compare(origin, {"url": "/echo", **REQUESTS[name]}, baseURL=origin.url)


@needs_curl
def test_userinfo(origin: Origin) -> None:
    command = compare(origin, {"url": f"{origin.url.replace('://', '://ada:p%40ss@')}/echo"})
    assert "@" not in command.partition("\n")[0]


@needs_curl
def test_what_the_client_adds(origin: Origin) -> None:
    origin.routes["/login"] = lambda _: Answer(headers=[("Set-Cookie", "XSRF-TOKEN=a%20b"), ("Set-Cookie", "id=7")])
    with SyncAtomHTTP(
        baseURL=origin.url, withXSRFToken=True, headers={"X-Client": "1", "post": {"X-Post": "2"}}, params={"v": 1}
    ) as client:
        client.get("/login")
        run_curl(client.post("/echo", {"a": 1}).config.to_curl(show_secrets=True))
    ours, curls = origin.requests[-2:]
    assert described(curls) == described(ours)
    assert (ours.get("cookie"), ours.get("x-client"), ours.get("x-post")) == ("XSRF-TOKEN=a%20b; id=7", "1", "2")
    assert ours.get("x-xsrf-token") is not None


@needs_curl
def test_files(origin: Origin, tmp_path: Path) -> None:
    path = tmp_path / "a b'c;d,\"e\\f@.json"
    path.write_bytes(b'{"a":\r\n1}\0' * 200_000)
    compare(origin, {"method": "PUT", "url": "/echo", "data": path}, baseURL=origin.url)
    assert len(origin.requests[-1].body) == path.stat().st_size
    form = FormData({"text": "1", "file": path, "named": ("other.png", path), "typed": ("x", path, "a/b")})
    compare(origin, {"method": "POST", "url": "/echo", "data": form}, baseURL=origin.url)
    with path.open("rb") as file:
        compare(origin, {"method": "POST", "url": "/echo", "data": FormData({"file": file})}, baseURL=origin.url)
        command = compare(origin, {"method": "POST", "url": "/echo", "data": file}, baseURL=origin.url)
    assert command.startswith("# data is an open file")


@needs_curl
def test_files_whose_names_curl_has_a_meaning_for(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-", os.fsdecode(b"\xff\n")):
        Path(name).write_bytes(b"content")
        compare(origin, {"method": "POST", "url": "/echo", "data": Path(name)}, baseURL=origin.url)
    compare(origin, {"method": "POST", "url": "/echo", "data": FormData({"f": Path("-")})}, baseURL=origin.url)


@needs_curl
def test_iterators_come_from_standard_input(origin: Origin) -> None:
    options = {"method": "POST", "url": "/echo", "data": (each for each in [b"ab", b"c\0\n"])}
    command = compare(origin, options, b"abc\0\n", baseURL=origin.url)
    assert command.startswith("# data is a generator, which cannot be shown: give it as standard input\n")
    assert origin.requests[-1].get("transfer-encoding") == "chunked"
    options = {**options, "data": iter([b"abc"]), "headers": {"Content-Length": "3"}}
    compare(origin, options, b"abc", baseURL=origin.url)
    assert origin.requests[-1].get("content-length") == "3"
    # One that can be iterated again is not iterated for this either.
    compare(
        origin,
        {**options, "data": type("Pieces", (), {"__iter__": lambda _: iter([b"abc"])})()},
        b"abc",
        baseURL=origin.url,
    )
    form = FormData({"a": "1"})
    form.append("stream", (each for each in [b"abc"]), "s.bin")
    with SyncAtomHTTP() as client:
        command = client.post(f"{origin.url}/echo", form).config.to_curl()
    run_curl(command, b"abc")
    assert origin.requests[-1].body.count(b"abc") == origin.requests[-2].body.count(b"abc") == 1


@needs_curl
def test_content_that_is_too_long_for_a_command_line(origin: Origin) -> None:
    content = "ä" * 200_000
    command = compare(origin, {"method": "POST", "url": "/echo", "data": content}, content.encode(), baseURL=origin.url)
    assert command.startswith("# the content, 400000 bytes, is too long for a command line")
    assert len(command) < 1000


@needs_curl
def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "it's a socket"
    with Origin(unix=path) as origin:
        compare(origin, {"url": "/echo?a=1", "socketPath": path})
        compare(origin, {"url": f"http+unix://{str(path).replace('/', '%2F').replace(' ', '%20')}/echo"})


@needs_curl
@pytest.mark.parametrize(("http2", "version"), [(False, "HTTP/1.1"), (True, "HTTP/1.1"), ("only", "HTTP/2")])
def test_the_version_in_clear(origin: Origin, http2: bool | str, version: str) -> None:
    command = compare(origin, {"url": f"{origin.url}/echo", "headers": {"X-One": "1"}}, http2=http2)
    assert {request.version for request in origin.requests} == {version}
    assert ("--http2-prior-knowledge" in command) == (http2 == "only")


@needs_curl
@pytest.mark.parametrize("http2", [True, "only"])
def test_the_version_over_tls(tls_origin: Origin, certificates: Certificates, http2: bool | str) -> None:
    command = compare(tls_origin, {"url": f"{tls_origin.url}/echo", "verify": certificates.ca}, http2=http2)
    assert {request.version for request in tls_origin.requests} == {"HTTP/2"}
    assert "--http2" in command.split()


@needs_curl
def test_tls(tls_origin: Origin, certificates: Certificates) -> None:
    command = compare(tls_origin, {"url": f"{tls_origin.url}/echo", "verify": certificates.ca})
    assert {request.version for request in tls_origin.requests} == {"HTTP/1.1"}
    assert "--http1.1" in command
    with pytest.warns(match="not verified"):
        compare(tls_origin, {"url": f"{tls_origin.url}/echo"}, verify=False)


@needs_curl
def test_a_client_certificate(certificates: Certificates, tmp_path: Path) -> None:
    client = Issued.make(ca=True, common_name="test")
    context = certificates.server_context(ask_client=True)
    context.load_verify_locations(cadata=client.pem.decode())
    leaf = client.issue("client.test", common_name="client", usages=[CLIENT_AUTH])
    certificate, key = tmp_path / "a:b\\c.pem", tmp_path / "the key.pem"
    certificate.write_bytes(leaf.pem)
    key.write_bytes(leaf.key_pem("pass word"))
    with Origin(tls=context) as origin:
        options = {"verify": certificates.ca, "cert": (certificate, key, "pass word")}
        compare(origin, {"url": f"{origin.url}/echo", **options})


@needs_curl
def test_names_addresses_and_where_from(origin: Origin) -> None:
    port = origin.url.rpartition(":")[2]
    options = {"hosts": {"service.test": ["127.0.0.1"]}, "local_address": "127.0.0.2"}
    command = compare(origin, {"url": f"http://service.test:{port}/echo"}, **options)
    assert f"--resolve service.test:{port}:127.0.0.1" in command
    assert "--interface 127.0.0.2" in command


@needs_curl
@pytest.mark.parametrize("kind", ["option", "variable", "field"])
def test_a_proxy_that_forwards(origin: Origin, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    # The origin plays the proxy: what it is asked for is in the target.
    proxy = origin.url.replace("://", "://user:p%40ss@")
    options: dict[str, Any] = {"url": "http://service.test/echo?a=1"}
    if kind == "option":
        options["proxy"] = proxy
    elif kind == "variable":
        monkeypatch.setenv("HTTP_PROXY", proxy)
    else:
        options |= {"proxy": origin.url, "headers": {"Proxy-Authorization": "Custom x"}}
    compare(origin, options)
    assert origin.requests[-1].target == "http://service.test/echo?a=1"
    assert origin.requests[-1].get("proxy-authorization") is not None


@needs_curl
def test_the_environment_of_the_shell_does_not_matter(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = {"http_proxy": "http://127.0.0.1:1", "NO_PROXY": "service.test"}
    with SyncAtomHTTP() as client:
        command = client.get(f"{origin.url}/echo", proxy=False).config.to_curl()
        run_curl(command, **nowhere)
        run_curl(client.get("http://service.test/echo", proxy=origin.url).config.to_curl(), **nowhere)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with SyncAtomHTTP() as client:
        run_curl(client.get(f"{origin.url}/echo").config.to_curl(), http_proxy="http://127.0.0.1:1")
    assert len(origin.requests) == 6


@needs_curl
def test_redirects_are_followed_as_far_as_we_do(origin: Origin) -> None:
    origin.routes["/a"] = lambda _: Answer(status=302, headers=[("Location", "/b")])
    origin.routes["/b"] = lambda _: Answer(b"arrived")
    with SyncAtomHTTP(baseURL=origin.url) as client:
        assert run_curl(client.get("/a").config.to_curl()) == b"arrived"
        assert run_curl(client.get("/a", maxRedirects=0).config.to_curl()) == b""


@needs_curl
def test_digest(origin: Origin) -> None:
    def ask(request: Received) -> Answer:
        if (request.get("authorization") or "").startswith("Digest "):
            return Answer(b"welcome")
        return Answer(status=401, headers=[("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')])

    origin.routes["/digest"] = ask
    with SyncAtomHTTP(baseURL=origin.url) as client:
        config = client.post("/digest", {"a": 1}, auth=DigestAuth("ada", "pa'ss")).config
    assert run_curl(config.to_curl(show_secrets=True)) == b"welcome"
    assert "pa" + "'ss" not in config.to_curl()
    assert origin.requests[-1].body == b'{"a":1}'


@needs_curl
def test_netrc(origin: Origin, tmp_path: Path) -> None:
    path = tmp_path / "net rc"
    path.write_text("machine 127.0.0.1 login ada password secret\n")
    command = compare(origin, {"url": f"{origin.url}/echo", "auth": NetrcAuth(path)})
    assert f"--netrc-file '{path}'" in command
    assert origin.requests[-1].get("authorization") is not None


# Whose config it is


@needs_curl
async def test_in_an_interceptor_and_async(origin: Origin) -> None:
    seen: list[str] = []

    def look(config: RequestConfig) -> RequestConfig:
        config.headers["X-Late"] = "1"
        seen.append(config.to_curl())
        return config

    async with AtomHTTP(baseURL=origin.url) as client:
        client.interceptors.request.use(look)
        await client.post("/echo", {"a": 1})
    run_curl(seen[0])
    assert described(origin.requests[0]) == described(origin.requests[1])


@needs_curl
def test_a_config_made_by_hand_is_that_of_a_client_without_options(origin: Origin) -> None:
    config = RequestConfig(
        url=f"{origin.url}/echo", method="POST", headers={"X-A": "1"}, data={"a": 1}, cookies={"c": "d"}
    )
    with SyncAtomHTTP() as client:
        client.request(config)
    run_curl(config.to_curl(show_secrets=True))
    run_curl(pickle.loads(pickle.dumps(config)).to_curl(show_secrets=True))
    run_curl(copy.deepcopy(config).to_curl(show_secrets=True))
    assert len({str(described(request)) for request in origin.requests}) == 1
    assert len(origin.requests) == 4


@needs_curl
def test_a_config_that_has_travelled(origin: Origin) -> None:
    with SyncAtomHTTP(baseURL=origin.url, headers={"X-Client": "1"}, auth=("ada", "secret")) as client:
        config = client.post("/echo", {"a": 1}, params={"q": 1}).config
    run_curl(pickle.loads(pickle.dumps(config)).to_curl(show_secrets=True))
    assert described(origin.requests[0]) == described(origin.requests[1])


def test_the_config_of_an_error() -> None:
    options: dict[str, Any] = {
        "cert": ("a", "b", CORE),
        "headers": {"X-Api-Key": CORE},
        "cookies": {"a": CORE},
        "params": {"token": CORE, "q": 1},
        "data": {"password": CORE},
        "auth": ("ada", CORE),
    }
    with SyncAtomHTTP() as client, pytest.raises(AtomHTTPError) as caught:
        client.post(f"http://ada:{CORE}@127.0.0.1:1/?a=[1]", **options)
    live = caught.value.config
    assert find(live.to_curl(show_secrets=True))
    assert not find(live.to_curl())
    travelled = pickle.loads(pickle.dumps(caught.value)).config.to_curl(show_secrets=True)
    assert not find(travelled)
    assert travelled.startswith("curl 'http://127.0.0.1:1/?a=[1]")


@pytest.mark.parametrize(
    "options",
    [
        {"proxy": {"http://": None, "https://": f"http://ada:{CORE}@proxy.test"}},
        {"proxy": f"http://ada:{CORE}@proxy.test"},
        {"cert": ("a", "b", CORE), "timeout": Timeout(connect=2), "retry_config": {"retries": 2}},
        {"cookies": {"a": CORE}, "max_rate": (1, 2), "verify": "ca.pem", "response_type": dict},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_redacted_config_is_shown_as_far_as_it_goes(options: dict[str, Any]) -> None:
    for config in (
        RequestConfig(url="http://h/", **options).redacted(),
        RequestConfig(options, url="/a", baseURL="http://h"),
    ):
        command = config.to_curl()
        assert command.startswith("curl http://h/")
        assert not find(command)


def test_a_call_goes_on_as_it_was(origin: Origin) -> None:
    with SyncAtomHTTP(baseURL=origin.url, params={"v": 1}) as client:
        config = client.post("/echo", {"a": 1}).config
        before = {name: value for name, value in config.__dict__.items() if name != "headers"}
        config.to_curl()
        assert {name: value for name, value in config.__dict__.items() if name != "headers"} == before
        client.request(config)
        client.post("/echo", {"a": 1})
    assert len({str(described(request)) for request in origin.requests}) == 1


def test_it_warns_of_nothing_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    # Warnings are errors.
    assert "--insecure" in RequestConfig(url="https://h/", verify=False).to_curl()
    assert caplog.records == []


# What is not read, and what cannot be said


class Untouchable:
    """Fails whoever reads it."""

    name = None

    def read(self, size: int = -1) -> bytes:
        raise AssertionError("read")

    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("iterated")

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise AssertionError("iterated")


class UntouchablePieces:
    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("iterated")


def test_nothing_is_read(tmp_path: Path) -> None:
    def generate() -> Iterator[bytes]:
        raise AssertionError("iterated")
        yield b""

    used_up = (each for each in [b""])
    list(used_up)
    with (tmp_path / "file").open("wb+") as closed:
        pass
    bodies = [
        Untouchable(),
        UntouchablePieces(),
        generate(),
        used_up,
        Path("/nowhere/at/all"),
        closed,
        io.StringIO("x"),
    ]
    for body in bodies:
        assert "--data-binary @" in RequestConfig(url="http://h/", method="POST", data=body).to_curl(), body
    form = FormData([("a", generate()), ("b", Path("/nowhere/at/all")), ("c", Untouchable())])
    command = RequestConfig(url="http://h/", method="POST", data=form).to_curl()
    assert "-F 'a=@-;filename=\"blob\";type=application/octet-stream'" in command
    assert "-F 'b=@/nowhere/at/all;filename=\"all\";type=application/octet-stream'" in command


def test_a_file_that_stood_elsewhere_is_not_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.seek(5)
        command = RequestConfig(url="http://h/", method="POST", data=FormData({"f": file})).to_curl()
    assert command.startswith("# f is a BufferedReader: give it as standard input\n")


def test_remarks() -> None:
    def add(request: Any) -> None: ...

    mock = MockAdapter()
    mock.on("GET", "/a")
    with SyncAtomHTTP(adapter=mock, resolver=lambda host, port: ["127.0.0.1"]) as client:
        config = client.get("http://h/a", auth=add, transform_request=lambda data: data).config
        lines = config.to_curl().splitlines()
    assert [line for line in lines if line.startswith("#")] == [
        "# auth add adds what it has to say when a request is sent: it is missing here",
        "# the client looks names up by a function of its own, curl in its own way",
        "# transformRequest changes the body when it is sent: it is shown without that",
        "# the call goes to MockAdapter, this to the network",
    ]
    command = RequestConfig(url="https://h/", verify=ssl.create_default_context()).to_curl()
    assert command.startswith("# verify is an SSLContext, which cannot be shown: curl trusts what it trusts\n")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "--max-time 30"),
        ({"timeout": 0.0001}, "--max-time 0.001"),
        ({"timeout": 12_345_678}, None),
        ({"timeout": 120_000}, "--max-time 120000"),
        ({"timeout": None}, None),
        ({"timeout": Timeout(connect=1.5)}, "--connect-timeout 1.5"),
        ({"timeout": {"total": 9, "connect": 2}}, "--connect-timeout 2 \\\n  --max-time 9"),
        # A stream may take longer than its longest gap.
        ({"timeout": 5, "response_type": "stream"}, None),
    ],
)
def test_timeouts(options: dict[str, Any], expected: str | None) -> None:
    command = RequestConfig(url="http://h/", **options).to_curl()
    assert expected in command if expected else "-time" not in command


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"socket_path": "\0abstract"}, "--abstract-unix-socket abstract"),
        (
            {"proxy": "socks5h://ada:secret@p"},
            "--proxy socks5h://p:1080 --noproxy '' \\\n  --proxy-user '[redacted]:[redacted]'",
        ),
        ({"proxy": "https://p", "verify": False}, "--insecure \\\n  --proxy-insecure"),
        ({"verify": "/"}, "--capath /"),
        ({"auth": NetrcAuth()}, "--netrc"),
        ({"method": "HEAD", "data": "x"}, "# curl waits for content behind the head"),
        ({"auth": RefreshingAuth(lambda: "x", "t")}, "# auth RefreshingAuth adds what it has to say"),
    ],
)
def test_options_of_curl(options: dict[str, Any], expected: str) -> None:
    assert expected in RequestConfig(url="http://h/", **options).to_curl()


def test_what_could_not_be_sent_is_an_error() -> None:
    with pytest.raises(AtomHTTPURLError):
        RequestConfig(url="/relative").to_curl()
    with pytest.raises(AtomHTTPOptionError, match="data and json"):
        RequestConfig(url="http://h/", data=1, json=2).to_curl()
    with pytest.raises(AtomHTTPOptionError):
        RequestConfig(url="http://h/", json={"a": object()}).to_curl()


def test_the_built_in_fields_are_the_clients() -> None:
    assert built_in.built_in_headers() == built_in_headers()


# Any values

# What UTF-8 can encode. (By `codec="utf-8"` a second would pass in finding that out.)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUE = TEXT.map(lambda text: "".join(char for char in text if ord(char) >= 32 and char != "\x7f").strip(" \t"))


def read_arguments(command: str) -> list[bytes]:
    """The arguments that the shell gives to curl."""
    script = "curl() { printf '%s\\0' \"$@\"; }\n" + command
    done = subprocess.run(["bash", "-c", to_bytes(script)], capture_output=True, check=True, timeout=30)
    return done.stdout.split(b"\0")[:-1]


@pytest.mark.skipif(BASH is None, reason="NO BASH: no command was read by it")
@given(value=VALUE, text=TEXT, query=TEXT, names=st.lists(TEXT.filter(lambda name: "=" not in name), min_size=1))
@example(value="'; rm -rf /; '", text="\0", query="\n", names=["\n", '"', "\\", ";"])
@settings(deadline=None, max_examples=60)
def test_any_value_arrives_and_none_of_it_is_obeyed(value: str, text: str, query: str, names: list[str]) -> None:
    options: dict[str, Any] = {
        "url": "http://h/",
        "method": "POST",
        "params": {"q": query},
        "headers": {"X-Value": value},
    }
    command = RequestConfig(options, data=text).to_curl(show_secrets=True)
    assert all(line.isprintable() for line in command.split("\n"))
    arguments = read_arguments(command)
    assert arguments[0].startswith(b"http://h/?q=")
    assert (f"X-Value: {value}" if value else "X-Value;").encode() in arguments
    if "\0" not in text:
        assert arguments[arguments.index(b"--data-raw") + 1] == text.encode()
    form = FormData([(name, "x") for name in names])
    command = RequestConfig(options, data=form).to_curl(show_secrets=True)
    assert all(line.isprintable() for line in command.split("\n"))
    if not any("\0" in name for name in names):
        arguments = read_arguments(command)
        assert arguments.count(b"--form-string") == len(names)


# Secrets

SECRET: dict[str, dict[str, Any]] = {
    "a field": {"headers": {"X-Api-Key": canary("field"), "Authorization": f"Bearer {canary('field')}"}},
    "a field by its form": {"headers": {"X-Whatever": f"Bearer {canary('field')}"}},
    "a URL in a field": {"headers": {"Referer": f"http://h/?token={canary('field')}"}},
    "Basic": {"auth": ("ada", canary("basic"))},
    "Bearer": {"auth": BearerAuth(canary("bearer"))},
    "Digest": {"auth": DigestAuth("ada", canary("digest"))},
    "userinfo": {"url": f"http://ada:{canary('userinfo')}@h/"},
    "a query": {"url": f"http://h/?access_token={canary('query')}&code={canary('query')}#{canary('query')}"},
    "params": {"params": {"api_key": canary("params"), "next": f"http://ada:{canary('params')}@h/"}},
    "cookies": {"cookies": {"session": canary("cookies")}},
    "a proxy": {"proxy": f"http://ada:{canary('proxy')}@p"},
    "a SOCKS proxy": {"proxy": f"socks5://ada:{canary('proxy')}@p"},
    "a field for the proxy": {"proxy": "http://p", "headers": {"Proxy-Authorization": canary("proxy")}},
    "a certificate's password": {"cert": ("a.pem", "a.key", canary("cert"))},
    "JSON": {
        "json": {
            "password": canary("json"),
            "deep": [{"user": {"apiKey": [canary("json")]}}, ["token", canary("json")]],
            "text": f"Bearer {canary('json')}",
            "link": f"http://ada:{canary('json')}@h/?token={canary('json')}",
        }
    },
    "JSON as text": {"data": f'{{"password": "{canary("json")}"}}'},
    "JSON as bytes": {"data": f'[{{"client_secret": "{canary("json")}"}}]'.encode()},
    "lines of JSON": {"data": f'{{"password": "{canary("json")} x"}}\n{{"token": "{canary("json")}"}}\n'},
    "broken JSON": {"data": f'{{"password": "{canary("json")} and more", '},
    "deep JSON": {"data": "[" * 60 + f'"{canary("deep")}"' + "]" * 60},
    "a form": {
        "form": {"password": canary("form"), "user[token]": canary("form"), "next": f"http://h/?token={canary('x')}"}
    },
    "a form as text": {
        "data": f"grant_type=x&client%5Fsecret={canary('form')}&code={canary('form')}",
        "headers": {"Content-Type": "application/x-www-form-urlencoded"},
    },
    "multipart": {"data": FormData({"password": canary("form"), "token": ("t.txt", canary("form").encode())})},
    "multipart by bytes": {"data": FormData({"password": canary("form"), "a=b": "1"})},
    "multipart made by hand": {
        "data": f'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\n{canary("form")}\r\n--x--\r\n',
        "headers": {"Content-Type": "multipart/form-data; boundary=x"},
    },
    "text": {"data": f"user: ada\npassword: {canary('text')} {canary('text')}\nsee http://ada:{canary('text')}@h/"},
    "text of an assignment": {"data": f"PASSWORD='{canary('text')} {canary('text')}' run token={canary('text')}"},
    "a token as text": {"data": f"Bearer {canary('text')}"},
    "XML": {"data": f"<login><password>{canary('xml')} {canary('xml')}</password></login>"},
    "XML as it is signed": {
        "data": f"<s:password s:type='x'>{canary('xml')}</s:password><token> <![CDATA[<{canary('xml')}]]></token>"
    },
    "JSON in JSON": {
        "json": {"payload": f'{{"token": "{canary("json")}"}}', "query": f'{{login(password: "{canary("j")}")}}'}
    },
    "JSON in a form": {"form": {"payload": f'{{"token": "{canary("json")}"}}'}},
    "JSON in multipart": {"data": FormData({"payload": f'{{"token": "{canary("json")}"}}'})},
    "a file in multipart": {"data": FormData({"file": (".env", f"token={canary('text')}".encode()), "a=b": "1"})},
    "binary content": {"data": f"password={canary('binary')}".encode() + b"\0\xff"},
}


@pytest.mark.parametrize("name", SECRET)
def test_secrets_are_shown_to_those_who_ask(name: str) -> None:
    config = RequestConfig({"url": "http://h/", "method": "POST", **SECRET[name]})
    assert find(config.to_curl()) == ""
    assert "[redacted]" in config.to_curl() or name in ("userinfo", "deep JSON")
    if "binary" not in name:
        assert CORE in config.to_curl(show_secrets=True) or find(config.to_curl(show_secrets=True))


def test_a_token_of_double_submit_is_not_shown_under_any_name(origin: Origin) -> None:
    with SyncAtomHTTP(
        baseURL=origin.url, withXSRFToken=True, xsrf_header_name="X-Mine", cookies={"XSRF-TOKEN": CORE}
    ) as client:
        config = client.post("/echo").config
    assert "X-Mine: [redacted]" in config.to_curl()
    assert f"X-Mine: {CORE}" in config.to_curl(show_secrets=True)


def test_what_holds_no_secret_is_shown_byte_for_byte() -> None:
    for data in ('{ "a" : 1.0, "url": 5, "b": "x" }', "a=1&b=%20+&&c", "# text: http://h/#x <a>b</a>", "b=ü\n"):
        for content_type in ("application/json", "application/x-www-form-urlencoded", "text/plain"):
            config = RequestConfig(url="http://h/", method="POST", data=data, headers={"Content-Type": content_type})
            assert config.to_curl() == config.to_curl(show_secrets=True)


def test_masked_json_is_json_of_the_same_shape() -> None:
    config = RequestConfig(url="http://h/", json={"password": "x", "n": [1, {"token": None, "ok": True}]})
    assert '--data-raw \'{"password":"[redacted]","n":[1,{"token":null,"ok":true}]}\'' in config.to_curl()


def test_masked_xml_is_xml_of_the_same_shape() -> None:
    config = RequestConfig(url="http://h/", method="POST", data="<a:login><a:token x='1'>x</a:token>y<key/></a:login>")
    assert "<a:login><a:token x='1'>[redacted]</a:token>y<key/></a:login>" in config.to_curl().replace("'\"'\"'", "'")


def test_masking_takes_no_longer_for_hostile_text() -> None:
    for text in (
        "a" * 90_000,
        'a="' * 30_000,
        "a: " * 30_000,
        "<a" * 45_000,
        "a " * 45_000,
        "://" * 30_000,
        "a>" * 45_000,
        "<a " * 30_000,
        "<a:" * 30_000,
        "<a><![CDATA[" * 7_000,
        "<a>" + " " * 90_000,
    ):
        with contextlib.suppress(AtomHTTPOptionError):
            assert RequestConfig(url="http://h/", method="POST", data=text).to_curl()
