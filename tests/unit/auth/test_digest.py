from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any
from urllib.request import parse_http_list, parse_keqv_list

import pytest

from atomhttp import Headers
from atomhttp.auth import DigestAuth, digest
from atomhttp.auth.digest import MAX_SESSIONS, ContentHash, choose_challenge
from atomhttp.errors import AtomHTTPOptionError
from support.server import PATIENCE


class Sent:
    """As much of a request as a flow looks at."""

    def __init__(
        self, path: str = "/dir/index.html", host: str = "h", body: Any = b"", socket: str | None = None
    ) -> None:
        self.method = "GET"
        self.target = SimpleNamespace(path=path, origin=("http", host, 80))
        self.outline = SimpleNamespace(route=SimpleNamespace(socket_path=socket))
        self.headers = Headers()
        self.body = body

    @property
    def fields(self) -> dict[str, str]:
        """The parameters of its Authorization, by a parser that is not ours."""
        scheme, _, rest = self.headers["Authorization"].partition(" ")
        assert scheme == "Digest"
        return parse_keqv_list(parse_http_list(rest))


def answer(status: int = 200, challenge: str | list[str] = (), **fields: str) -> Any:  # type: ignore[assignment]  # none
    headers = Headers({name.replace("_", "-"): value for name, value in fields.items()})
    for each in [challenge] if isinstance(challenge, str) else challenge:
        headers.append("WWW-Authenticate", each)
    return SimpleNamespace(status=status, headers=headers)


def begin(auth: DigestAuth, request: Sent) -> Generator[Any, Any, None]:
    flow = auth.auth_flow(request)
    assert next(flow) is request
    return flow


def end(flow: Generator[Any, Any, None], response: Any) -> None:
    with pytest.raises(StopIteration):
        flow.send(response)


CHALLENGE = 'Digest realm="r", nonce="n", qop="auth"'

RFC_7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
USERHASH = (
    'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
    'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", '
    "charset=UTF-8, userhash=true"
)
RFC_2617 = (
    'Digest realm="testrealm@host.com", {}nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
    'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
MUFASA = ("Mufasa", "Circle of Life", "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")


@pytest.mark.parametrize(
    ("challenge", "username", "password", "path", "cnonce", "expected"),
    [
        # RFC 7616 section 3.9.1.
        (RFC_7616.format("MD5"), *MUFASA, {"username": "Mufasa", "response": "8ca523f5e9506fed4657c9700eebdbec"}),
        (
            RFC_7616.format("SHA-256"),
            *MUFASA,
            {"response": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", "nc": "00000001"},
        ),
        # Section 3.9.2, as erratum 4897 has it: the RFC's own hashes are of another function than SHA-512/256.
        (
            USERHASH,
            "Jäsøn Doe",
            "Secret, or not?",
            "/doe.json",
            "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
            {
                "username": "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b",
                "response": "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
                "userhash": "true",
            },
        ),
        # RFC 2617 section 3.5, and RFC 2069 section 2.4 with its erratum 749.
        (
            RFC_2617.format('qop="auth,auth-int", '),
            "Mufasa",
            "Circle Of Life",
            "/dir/index.html",
            "0a4f113b",
            {"response": "6629fae49393a05397450978507c4ef1", "qop": "auth"},
        ),
        (
            RFC_2617.format(""),
            "Mufasa",
            "CircleOfLife",
            "/dir/index.html",
            "",
            {"response": "1949323746fe6a43ef61f9606e7febea"},
        ),
    ],
)
def test_the_examples_of_the_rfcs(
    monkeypatch: pytest.MonkeyPatch,
    challenge: str,
    username: str,
    password: str,
    path: str,
    cnonce: str,
    expected: dict[str, str],
) -> None:
    if "SHA-512-256" in challenge and choose_challenge([challenge]) is None:
        pytest.skip("THIS OPENSSL HAS NO SHA-512/256")
    monkeypatch.setattr(digest, "build_cnonce", lambda: cnonce)
    request = Sent(path)
    flow = begin(DigestAuth(username, password), request)
    assert "Authorization" not in request.headers
    assert flow.send(answer(401, challenge)) is request
    assert expected.items() <= request.fields.items()
    assert request.fields["uri"] == path
    assert request.fields["opaque"] in challenge


def test_what_is_quoted_and_what_is_not() -> None:
    request = Sent("/a?b=1")
    begin(DigestAuth('u"\\', "p"), request).send(
        answer(401, 'Digest realm="\\"r\\\\", nonce=n, qop=auth, algorithm="MD5"')
    )
    sent = request.headers["Authorization"]
    assert sent.startswith(
        'Digest username="u\\"\\\\", realm="\\"r\\\\", uri="/a?b=1", nonce="n", algorithm=MD5, nc=00000001, '
    )
    assert ', qop=auth, cnonce="' in sent
    assert "opaque" not in sent
    assert "userhash" not in sent


def test_without_qop_there_is_neither_count_nor_cnonce() -> None:
    request = Sent()
    begin(DigestAuth("u", "p"), request).send(answer(401, 'Digest realm="r", nonce="n"'))
    assert set(request.fields) == {"username", "realm", "uri", "nonce", "response"}


@pytest.mark.parametrize(
    ("challenge", "expected"),
    [
        (f"{CHALLENGE}, charset=UTF-8", "username*=UTF-8''J%C3%A4s%C3%B8n%20%22Doe%22, "),
        (CHALLENGE, 'username="Jäsøn \\"Doe\\"", '),
    ],
)
def test_names_that_are_not_ascii(challenge: str, expected: str) -> None:
    # In the decomposed form of Unicode, which some keyboards give.
    username = 'Ja\u0308søn "Doe"' if "charset" in challenge else 'Jäsøn "Doe"'
    request = Sent()
    begin(DigestAuth(username, "p"), request).send(answer(401, challenge))
    assert request.headers["Authorization"].startswith(f"Digest {expected}")


# Which challenge is answered


@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        (['Digest realm="r", nonce="1"'], "1"),
        (['Basic realm="r"', 'Digest realm="r", nonce="1"'], "1"),
        (['Basic realm="r", Digest realm="r", nonce="1", Negotiate'], "1"),
        ([f'Digest realm="r", nonce="{name}", algorithm={name}' for name in ("MD5", "SHA-256")], "SHA-256"),
        (
            [", ".join(f'Digest realm="r", nonce="{n}", algorithm={n}' for n in ("SHA-256", "MD5", "SHA-512-256"))],
            "SHA-512-256",
        ),
        ([f'Digest realm="r", nonce="{name}", algorithm={name}' for name in ("md5-SESS", "MD5")], "md5-SESS"),
        (['Digest realm="r", nonce="0", algorithm=MD6', 'Digest realm="r", nonce="1", algorithm=MD5'], "1"),
        (['Digest realm="r", nonce="0", qop="magic"', 'Digest realm="r", nonce="1", qop="magic,AUTH"'], "1"),
        (['Digest realm="r", nonce="1", qop=""'], "1"),
        (['Digest realm="open', 'Digest realm="r", nonce="1"'], "1"),
        (['Digest realm="", nonce="1"'], "1"),
        ([], None),
        (["Basic realm=x"], None),
        (['Digest nonce="1"'], None),
        (['Digest realm="r"'], None),
        (['Digest realm="r", nonce=""'], None),
        (["Digest"], None),
        (['Digest realm="r", nonce="1", algorithm=SHA-1'], None),
        (['Digest realm="r", nonce="1", algorithm=""'], None),
        (['Digest realm="r\x01", nonce="1"'], None),
        (['Digest realm="r", nonce="1", opaque="\x7f"'], None),
        (["\x00\xff"], None),
    ],
)
def test_the_challenge_that_is_answered(fields: list[str], chosen: str | None) -> None:
    found = choose_challenge(fields)
    assert (found and found.parameters["nonce"]) == chosen


@pytest.mark.parametrize(
    "response", [answer(200), answer(403, CHALLENGE), answer(407, CHALLENGE), answer(401), answer(401, "Basic realm=x")]
)
def test_nothing_to_answer(response: Any) -> None:
    request = Sent()
    end(begin(DigestAuth("u", "p"), request), response)
    assert "Authorization" not in request.headers


# Sessions


def test_a_session_is_used_again_and_counts() -> None:
    auth = DigestAuth("u", "p")
    request = Sent()
    flow = begin(auth, request)
    flow.send(answer(401, CHALLENGE))
    first = request.fields
    end(flow, answer(404))
    for number in (2, 3):
        again = Sent("/other")
        end(begin(auth, again), answer())
        assert (again.fields["nonce"], again.fields["nc"], again.fields["uri"]) == ("n", f"0000000{number}", "/other")
        assert again.fields["cnonce"] != first["cnonce"]


@pytest.mark.parametrize("other", [Sent(host="other"), Sent(socket="/run/socket")])
def test_a_session_is_for_one_origin(other: Sent) -> None:
    auth = DigestAuth("u", "p")
    flow = begin(auth, Sent())
    flow.send(answer(401, CHALLENGE))
    end(flow, answer())
    end(begin(auth, other), answer())
    assert "Authorization" not in other.headers


def test_a_session_of_sess_keeps_its_secret_and_its_cnonce() -> None:
    auth = DigestAuth("u", "p")
    request = Sent()
    flow = begin(auth, request)
    flow.send(answer(401, f"{CHALLENGE}, algorithm=MD5-sess"))
    end(flow, answer(Authentication_Info='nextnonce="m"'))
    later = Sent()
    begin(auth, later)
    assert (later.fields["nonce"], later.fields["nc"]) == ("m", "00000001")
    assert later.fields["cnonce"] == request.fields["cnonce"]


def test_a_second_refusal_stands_and_is_forgotten() -> None:
    auth = DigestAuth("u", "p")
    flow = begin(auth, Sent())
    flow.send(answer(401, CHALLENGE))
    end(flow, answer(401, CHALLENGE.replace('"n"', '"m"')))
    request = Sent()
    begin(auth, request)
    assert "Authorization" not in request.headers


def test_an_old_session_is_forgotten_with_the_new_one() -> None:
    auth = DigestAuth("u", "p")
    flow = begin(auth, Sent())
    flow.send(answer(401, CHALLENGE))
    end(flow, answer())
    flow = begin(auth, Sent())
    flow.send(answer(401, CHALLENGE))
    end(flow, answer(401, CHALLENGE))
    request = Sent()
    begin(auth, request)
    assert "Authorization" not in request.headers


def test_a_stale_nonce_is_one_more_try_and_no_loop() -> None:
    auth = DigestAuth("u", "p")
    request = Sent()
    flow = begin(auth, request)
    for number in range(2):
        assert flow.send(answer(401, f'Digest realm="r", nonce="{number}", stale=TRUE')) is request
        assert request.fields["nonce"] == str(number)
    end(flow, answer(401, 'Digest realm="r", nonce="2", stale=true'))


def test_an_old_session_that_is_refused_is_not_the_last_try() -> None:
    auth = DigestAuth("u", "p")
    flow = begin(auth, Sent())
    flow.send(answer(401, CHALLENGE))
    end(flow, answer())
    request = Sent()
    flow = begin(auth, request)
    # Another realm of the same origin does not call the nonce stale.
    assert flow.send(answer(401, 'Digest realm="s", nonce="m"')) is request
    assert request.fields["realm"] == "s"
    end(flow, answer(401, 'Digest realm="s", nonce="o"'))


def test_a_slow_response_does_not_bring_an_older_nonce_back() -> None:
    auth = DigestAuth("u", "p")
    flow = begin(auth, Sent())
    flow.send(answer(401, CHALLENGE))
    end(flow, answer())
    slow, quick = begin(auth, Sent()), begin(auth, Sent())
    end(quick, answer(Authentication_Info="nextnonce=m"))
    end(slow, answer())
    request = Sent()
    begin(auth, request)
    assert (request.fields["nonce"], request.fields["nc"]) == ("m", "00000001")


@pytest.mark.parametrize("info", ["", "nextnonce=", 'nextnonce=""', 'nextnonce="\x01"', 'nextnonce="open', "qop=auth"])
def test_an_info_without_a_next_nonce_changes_nothing(info: str) -> None:
    auth = DigestAuth("u", "p")
    flow = begin(auth, Sent())
    flow.send(answer(401, CHALLENGE))
    response = answer()
    response.headers._fields.add("Authentication-Info", info)
    end(flow, response)
    request = Sent()
    begin(auth, request)
    assert (request.fields["nonce"], request.fields["nc"]) == ("n", "00000002")


def test_memory_is_bounded_and_what_was_used_last_stays() -> None:
    auth = DigestAuth("u", "p")
    for number in range(MAX_SESSIONS + 20):
        flow = begin(auth, Sent(host=str(number)))
        flow.send(answer(401, CHALLENGE))
        end(flow, answer())
        end(begin(auth, Sent(host="0")), answer())
    assert len(auth._sessions) == MAX_SESSIONS
    first, second = Sent(host="0"), Sent(host="1")
    begin(auth, first)
    begin(auth, second)
    assert first.fields["nc"] == f"{MAX_SESSIONS + 22:08x}"
    assert "Authorization" not in second.headers


def test_every_request_of_every_thread_has_a_count_of_its_own() -> None:
    auth = DigestAuth("u", "p")
    flow = begin(auth, Sent())
    flow.send(answer(401, CHALLENGE))
    end(flow, answer())
    counts: list[str] = []

    def work() -> None:
        for _ in range(200):
            request = Sent()
            begin(auth, request)
            counts.append(request.fields["nc"])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [f"{number:08x}" for number in range(2, 1602)]


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda auth: pickle.loads(pickle.dumps(auth))])
def test_a_copy_has_the_credentials_and_no_sessions(twin: Any) -> None:
    auth = DigestAuth("u", "canary")
    flow = begin(auth, Sent())
    flow.send(answer(401, CHALLENGE))
    end(flow, answer())
    made = twin(auth)
    assert (made, hash(made)) == (auth, hash(auth))
    request = Sent()
    begin(made, request)
    assert "Authorization" not in request.headers
    assert "canary" not in repr(made)


FORKING = """
import os
from atomhttp.auth import digest
from atomhttp.auth.digest import Session, choose_challenge

session = Session.begin(choose_challenge(['Digest realm="r", nonce="n"']), "u", "p")
with digest._lock:
    child = os.fork()
    if not child:
        session.answer("GET", "/", None)
        os._exit(7)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_process_can_use_it() -> None:
    """Whoever held the lock at the fork does not exist there."""
    done = subprocess.run([sys.executable, "-c", FORKING], timeout=PATIENCE, check=False)
    assert done.returncode == 7


# Content


def test_auth_int_asks_for_the_hash_of_the_content() -> None:
    request = Sent(body=b"content")
    flow = begin(DigestAuth("u", "p"), request)
    step = flow.send(answer(401, CHALLENGE.replace('"auth"', '"auth-int"')))
    assert isinstance(step, ContentHash)
    assert flow.send("hash") is request
    assert request.fields["qop"] == "auth-int"


def test_auth_is_preferred_to_auth_int() -> None:
    request = Sent()
    assert (
        begin(DigestAuth("u", "p"), request).send(answer(401, CHALLENGE.replace('"auth"', '"auth-int, auth"')))
        is request
    )
    assert request.fields["qop"] == "auth"


def test_the_hash_of_bytes_and_the_refusal_of_what_can_be_read_once() -> None:
    with pytest.raises(StopIteration) as done:
        ContentHash(Sent(body=b"content"), "md5").run(None, None).send(None)
    assert done.value.value == "9a0364b9e99bb480dd25e1f0284c8555"
    once = SimpleNamespace(replayable=False)
    with pytest.raises(AtomHTTPOptionError, match=r"auth-int.* can be read once") as caught:
        ContentHash(Sent(body=once), "md5").run(None, None).send(None)
    assert caught.value.code == "ERR_BAD_OPTION_VALUE"
