"""The server of uploads says what it received, whichever way it was framed."""

from __future__ import annotations

import json
import socket
import zlib
from typing import Any

import pytest
from benchmarks.exercises import is_form
from benchmarks.payloads import FORM_FILE, FORM_TITLE
from benchmarks.sink import converse, describe_form

BODY = bytes(range(256)) * 40


def send(path: str, head: str, body: bytes) -> tuple[bytes, Any]:
    """What comes in front of the answer's content, and the content."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n".encode() + body)
        ours.shutdown(socket.SHUT_WR)
        converse(theirs, None)
        answer = ours.makefile("rb").read()
    head_of_answer, _, content = answer.rpartition(b"\r\n\r\n")
    return head_of_answer, content


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (f"Content-Length: {len(BODY)}", BODY),
        (
            "Transfer-Encoding: chunked",
            b"100\r\n%b\r\n2700;a=b\r\n%b\r\n0\r\nX-Sum: 1\r\n\r\n" % (BODY[:256], BODY[256:]),
        ),
    ],
)
def test_it_counts_and_sums_up(head: str, body: bytes) -> None:
    assert json.loads(send("/count", head, body)[1]) == {"received": len(BODY)}
    assert json.loads(send("/digest", head, body)[1]) == {"received": len(BODY), "crc32": zlib.crc32(BODY)}


def test_an_echo_is_the_body() -> None:
    assert send("/echo", "Content-Length: 7", b'["one"]')[1] == b'["one"]'


def test_a_client_that_waits_for_a_100_gets_it() -> None:
    head, content = send("/count", "Content-Length: 1\r\nExpect: 100-continue", b"x")
    assert head.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert json.loads(content) == {"received": 1}


def build_form(title: bytes, file: bytes) -> bytes:
    return (
        b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\n%b\r\n'
        b'--b\r\nContent-Disposition: form-data; filename="file.bin"; name="file"\r\n\r\n%b\r\n--b--\r\n'
        % (title, file)
    )


@pytest.mark.parametrize(("change", "right"), [(b"", True), (b"\r\n", False)])
def test_a_form_with_two_bytes_more_is_wrong(change: bytes, right: bool) -> None:
    parts = describe_form("multipart/form-data; boundary=b", build_form(FORM_TITLE.encode(), FORM_FILE + change))
    assert is_form((200, json.loads(json.dumps(parts)))) is right
