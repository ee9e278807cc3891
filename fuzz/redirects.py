"""A whole redirect: the client, a server that says where to go, and what arrives there."""

from __future__ import annotations

from base64 import b64decode
from typing import Any, Final

from atomhttp import Headers, SyncAtomHTTP
from atomhttp.adapters import AdapterResponse, Request
from atomhttp.errors import AtomHTTPRedirectError
from fuzz.promises import check_field, check_message
from fuzz.reader import Reader
from fuzz.urls import check_parsed

SECRET: Final = "sesame-4711"
HOME: Final = ("https", "h.example", 8443)
STATUSES: Final = (301, 302, 303, 307, 308)
METHODS: Final = ("GET", "POST", "HEAD", "PUT")
MAX_REDIRECTS: Final = 4


class _Server:
    """An adapter: redirects to one place after the other, and looks at what it gets."""

    def __init__(self, status: int, locations: list[bytes]) -> None:
        self._status = status
        self._locations = locations
        self.has_left = False
        self.requests = 0

    async def send(self, request: Request) -> AdapterResponse:
        self.requests += 1
        check_parsed(request.target)
        assert request.target.socket_path is None
        self.has_left = self.has_left or request.target.origin != HOME
        fields = request.headers.multi_items()
        for name, value in fields:
            check_field(name, value)
        if self.has_left:
            # Also where it leads back home: what another has chosen gets nothing.
            assert SECRET not in "\n".join(f"{name}: {value}" for name, value in fields)
            assert SECRET not in _own_words(request)
        if not self._locations:
            return AdapterResponse(200)
        return AdapterResponse(self._status, Headers.from_raw([(b"Location", self._locations.pop(0))]))

    async def close(self) -> None:
        """Nothing is open."""


def _own_words(request: Request) -> str:
    """What an Authorization that is made of the Location's userinfo says."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return b64decode(credentials).decode() if scheme == "Basic" else credentials


def run(data: bytes) -> None:
    """Control bytes: status, method, whether the body can be read again. Then a Location a line."""
    reader = Reader(data)
    status, method, has_body = reader.pick(STATUSES), reader.pick(METHODS), reader.flag()
    server = _Server(status, reader.rest().split(b"\n")[: MAX_REDIRECTS + 2])
    options: dict[str, Any] = {
        "headers": {"Authorization": f"Bearer {SECRET}", "X-Api-Key": SECRET, "Cookie": f"a={SECRET}"},
        "max_redirects": MAX_REDIRECTS,
        "trust_env": False,
    }
    if has_body:
        options["data"] = b"body"
    with SyncAtomHTTP(adapter=server, cookies=False) as client:
        try:
            response = client.request(method, "https://h.example:8443/a/b", **options)
        except AtomHTTPRedirectError as error:
            check_message(error, SECRET)
        else:
            assert len(response.history) == server.requests - 1 <= MAX_REDIRECTS
    assert server.requests <= MAX_REDIRECTS + 1


SEEDS: Final = (
    b"\0\0\0/x\n../y?z\nhttps://h.example:8443/",
    b"\1\1\1https://evil.example/\nhttps://h.example:8443/back",
    b"\4\1\1http://h.example/",
    b"\3\3\1//u:p@h.example:8443/\n?q",
    b"\2\2\0\\\\evil\n",
    b"\0\0\0http+unix://%2Fx/",
    b"\0\0\0/\n/\n/\n/\n/\n/",
    b"\0\0\0\xff\xfe",
    b"\0\0\0http://[::ffff:127.0.0.1]:0/",
)
