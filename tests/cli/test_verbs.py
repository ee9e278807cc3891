"""Every command and every option of a request, as the server sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.program import run, run_apart
from support.certificates import Certificates
from support.origin import Answer, Origin, Received
from support.seed_origin import parts


def sent(origin: Origin, *words: object, stdin: bytes = b"", cwd: Path | None = None) -> Received:
    """What `origin` received when `atomhttp` was called with `words`."""
    done = run_apart(*words, stdin=stdin, cwd=cwd) if stdin else run(*words, cwd=cwd)
    assert done.code == 0, done.err
    assert done.err == ""
    return origin.requests[-1]


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options"])
def test_a_command_sends_its_method(origin: Origin, method: str) -> None:
    request = sent(origin, method, f"{origin.url}/echo")
    assert (request.method, request.target, request.body) == (method.upper(), "/echo", b"")


def test_a_command_in_capitals_is_the_same(origin: Origin) -> None:
    assert sent(origin, "GET", f"{origin.url}/echo").method == "GET"


@pytest.mark.parametrize("spelling", ["127.0.0.1:{}/echo", "localhost:{}/echo", ":{}/echo", "//127.0.0.1:{}/echo"])
def test_urls_of_this_machine_need_no_scheme(origin: Origin, spelling: str) -> None:
    assert sent(origin, "get", spelling.format(origin.port)).path == "/echo"


def test_the_version(origin: Origin, tls_origin: Origin, certificates: Certificates) -> None:
    for flags, version in (((), "HTTP/1.1"), (("--http2",), "HTTP/1.1"), (("--http2-prior-knowledge",), "HTTP/2")):
        assert sent(origin, "get", f"{origin.url}/echo", *flags).version == version
    said = run("get", f"{origin.url}/echo", "--http2-prior-knowledge", "-v").err
    assert "> GET /echo HTTP/2" in said
    assert f"> Host: 127.0.0.1:{origin.port}" in said
    assert "< HTTP/2 200" in said
    for flags, version in (((), "HTTP/1.1"), (("--http2",), "HTTP/2"), (("--http2-prior-knowledge",), "HTTP/2")):
        words = ("get", f"{tls_origin.url}/echo", "--cacert", certificates.ca, *flags)
        assert sent(tls_origin, *words).version == version


def test_header_fields(origin: Origin) -> None:
    request = sent(
        origin, "get", f"{origin.url}/echo",
        *("-H", "X-One: 1", "-H", "X-List: a", "--header", "x-list:b", "-H", "Accept:", "-H", "X-Empty;"),
        *("-H", "X-Colon: a: b "),
    )  # fmt: skip
    assert request.get("X-One") == "1"
    assert request.get("X-List") == "a, b"
    assert request.get("Accept") is None
    assert request.get("X-Empty") == ""
    assert request.get("X-Colon") == "a: b"


def test_the_query(origin: Origin) -> None:
    request = sent(
        origin, "get", f"{origin.url}/echo?z=0", *("-q", "a=1", "-q", "a=2", "--query", "b= &=é", "-q", "c="),
    )  # fmt: skip
    assert request.target == "/echo?z=0&a=1&a=2&b=+%26%3D%C3%A9&c="


# Content


def test_a_text(origin: Origin) -> None:
    request = sent(origin, "post", f"{origin.url}/echo", "-d", "caf\u00e9 = 1")
    assert request.body == "caf\u00e9 = 1".encode()
    assert request.get("Content-Type") == "text/plain; charset=utf-8"


def test_a_text_of_another_type(origin: Origin) -> None:
    request = sent(origin, "put", f"{origin.url}/echo", "--data", "a=1", "-H", "content-type: text/csv")
    assert (request.body, request.get("Content-Type")) == (b"a=1", "text/csv")


def test_a_file(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(b"<p>\x00\xff\r\n")
    request = sent(origin, "patch", f"{origin.url}/echo", "-d", "@page.html", cwd=tmp_path)
    assert request.body == b"<p>\x00\xff\r\n"
    assert request.get("Content-Type") == "text/html"
    assert request.get("Content-Length") == "7"


@pytest.mark.parametrize("word", ["-", "@-"])
def test_standard_input(origin: Origin, word: str) -> None:
    content = bytes(range(256)) * 1000
    assert sent(origin, "post", f"{origin.url}/echo", "-d", word, stdin=content).body == content


def test_json_is_sent_as_it_is_given(origin: Origin, tmp_path: Path) -> None:
    text = '{"n": 1.10, "n": 12345678901234567890123, "s": "\\u00e9"}'
    (tmp_path / "a.json").write_text(text)
    for words, stdin in ((("--json", text), ""), (("--json", "@a.json"), ""), (("--json", "-"), text)):
        request = sent(origin, "post", f"{origin.url}/echo", *words, stdin=stdin.encode(), cwd=tmp_path)
        assert request.body == text.encode()
        assert request.get("Content-Type") == "application/json"


def test_a_number_of_json_may_be_of_any_length(origin: Origin) -> None:
    assert sent(origin, "post", f"{origin.url}/echo", "--json", "9" * 5000).body == b"9" * 5000


def test_json_may_have_another_type(origin: Origin) -> None:
    request = sent(origin, "patch", f"{origin.url}/echo", "--json", "[]", "-H", "Content-Type: application/merge+json")
    assert (request.body, request.get("Content-Type")) == (b"[]", "application/merge+json")


def test_a_form(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "cat;1.jpg").write_bytes(b"\xff\xd8cat")
    request = sent(
        origin, "post", f"{origin.url}/echo",
        *("-F", "name=Ada; =Lovelace", "-F", "empty=", "-F", "cat=@cat;1.jpg"),
        *("--form", "cat=@cat;1.jpg;type=text/plain; charset=latin-1;filename=dög.txt", "-F", "in=@-"),
        stdin=b"from stdin", cwd=tmp_path,
    )  # fmt: skip
    found = [(part.name, part.filename, part.content_type, part.content) for part in parts(request)]
    assert found == [
        ("name", None, None, b"Ada; =Lovelace"),
        ("empty", None, None, b""),
        ("cat", "cat;1.jpg", "image/jpeg", b"\xff\xd8cat"),
        ("cat", "dög.txt", "text/plain", b"\xff\xd8cat"),
        ("in", "blob", "application/octet-stream", b"from stdin"),
    ]
    assert b"Content-Type: text/plain; charset=latin-1\r\n" in request.body


# Who is asking


def test_basic(origin: Origin) -> None:
    assert sent(origin, "get", f"{origin.url}/echo", "--auth", "ada:pass:word").get("Authorization") == (
        "Basic YWRhOnBhc3M6d29yZA=="
    )


def test_bearer(origin: Origin) -> None:
    assert sent(origin, "get", f"{origin.url}/echo", "--bearer", "t0k3n").get("Authorization") == "Bearer t0k3n"


def test_digest() -> None:
    challenge = ("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256')

    def guard(request: Received) -> Answer:
        given = request.get("Authorization") or ""
        good = given.startswith("Digest ") and 'username="ada"' in given
        return Answer(b"in") if good else Answer(status=401, headers=[challenge])

    with Origin(routes={"/": guard}) as origin:
        done = run("get", f"{origin.url}/", "--auth", "ada:secret", "--digest")
        assert (done.code, done.out) == (0, b"in")
        assert [request.get("Authorization") is None for request in origin.requests] == [True, False]


# The way there


def test_a_unix_socket(tmp_path: Path) -> None:
    with Origin(unix=tmp_path / "s") as origin:
        for url in ("/echo", "http://any.example/echo", "any.example/echo"):
            assert sent(origin, "get", url, "--unix-socket", "s", cwd=tmp_path).path == "/echo"


def test_a_proxy(origin: Origin) -> None:
    with Origin(routes={"http://far.test/x": lambda _: Answer(b"by proxy")}) as proxy:
        done = run("get", "http://far.test/x", "--proxy", proxy.url)
        assert (done.code, done.out) == (0, b"by proxy")


def test_tls(tls_origin: Origin, certificates: Certificates) -> None:
    assert sent(tls_origin, "get", f"{tls_origin.url}/echo", "--cacert", certificates.ca).path == "/echo"


def test_insecure_is_warned_of_in_one_line(tls_origin: Origin) -> None:
    done = run("get", f"{tls_origin.url}/bytes/3", "--insecure")
    assert (done.code, len(done.out)) == (0, 3)
    assert done.err.startswith("atomhttp: warning: ")
    assert done.err.count("\n") == 1


def test_a_client_certificate(certificates: Certificates, tmp_path: Path) -> None:
    pem = certificates.client.read_text()
    key, mark, rest = pem.partition("-----BEGIN CERTIFICATE-----")
    (tmp_path / "key.pem").write_text(key)
    (tmp_path / "cert.pem").write_text(mark + rest)
    with Origin(tls=certificates.server_context(ask_client=True)) as origin:
        trust = ("--cacert", certificates.ca)
        sent(origin, "get", f"{origin.url}/echo", *trust, "--cert", certificates.client)
        sent(origin, "get", f"{origin.url}/echo", *trust, "--cert", "cert.pem", "--key", "key.pem", cwd=tmp_path)
        assert run("get", f"{origin.url}/echo", *trust).code in (7, 8)


def test_redirects() -> None:
    with Origin(routes={"/a": lambda _: Answer(b"moved", status=302, headers=[("Location", "/bytes/3")])}) as origin:
        assert len(run("get", f"{origin.url}/a").out) == 3
        done = run("get", f"{origin.url}/a", "--max-redirects", "0")
        assert (done.code, done.out) == (0, b"moved")


def test_retry() -> None:
    answers = [Answer(status=503, headers=[("Retry-After", "0")])] * 2 + [Answer(b"at last")]
    with Origin(routes={"/": lambda _: answers[len(origin.requests) - 1]}) as origin:
        done = run("get", f"{origin.url}/", "--retry", "2", "-v")
        assert (done.code, done.out) == (0, b"at last")
        assert done.err.count("* attempt ") == 2


def test_what_is_echoed_is_what_was_sent(origin: Origin) -> None:
    done = run("post", f"{origin.url}/echo", "--json", "[1]")
    assert json.loads(done.out)["body"] == "[1]"
