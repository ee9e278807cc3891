"""MockRequest: what a mock was sent, with its content at hand. The reader of requests, as a server would be one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from atomhttp._body.json_codec import loads
from atomhttp._model.headers import Headers
from atomhttp._model.request import Request
from atomhttp._model.url import parse_url
from atomhttp.errors import AtomHTTPURLError
from atomhttp.form_data import FormData


class MockRequest(Request):
    """A request as it arrived: a `Request` whose `body` is bytes, and what can be read from it.

    Attributes:
        method, url, headers, config: as in `Request`.
        body: the content, whole; b"" when there was none.
    """

    body: bytes  # pyright: ignore[reportIncompatibleVariableOverride]  # nobody sets it to a Body

    @classmethod
    def of(cls, request: Request, head: bytes, content: bytes) -> MockRequest:
        """`request` as `head` and `content` put it on the wire; it holds nothing of the client's engine."""
        twin = cls(request.outline, None, request.started, (None, None, None))  # no recipe: see its config
        twin.deadline = request.deadline
        twin.config = request.config
        twin._headers = headers = Headers.from_raw(_split_head(head))
        twin.body, twin.has_body, twin.content_type = content, request.has_body, headers.get("content-type")
        return twin

    @property
    def content(self) -> bytes:
        """Another name for `body`."""
        return self.body

    @property
    def text(self) -> str:
        """The content as UTF-8, undecodable bytes replaced."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The content as JSON.

        Raises:
            ValueError: it is not JSON.
        """
        return loads(self.body)

    def form(self) -> FormData:
        """The content as a form, urlencoded or multipart; files are bytes with a filename.

        Raises:
            ValueError: its Content-Type is neither.
        """
        kind = self._media_type
        if kind == "multipart/form-data":
            return _read_multipart(str(self.content_type), self.body)
        if kind == "application/x-www-form-urlencoded":
            form = FormData()
            for name, value in parse_qsl(self.text, keep_blank_values=True):
                form.append(name, value)
            return form
        raise ValueError(f"the content is no form: its Content-Type is {self.content_type!r}")

    @cached_property
    def data(self) -> Any:
        """The content decoded by its Content-Type: JSON parsed, a form as nested dicts (`form().to_json()`), other text
        as str, the rest as bytes; None when there was none. What cannot be decoded stays bytes."""
        if not self.has_body:
            return None
        kind = self._media_type
        try:
            if kind == "application/json" or kind.endswith("+json"):
                return self.json()
            if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
                return self.form().to_json()
            return self.body.decode() if kind.startswith("text/") else self.body
        except ValueError:
            return self.body

    @property
    def path(self) -> str:
        """The path of the URL, without the query."""
        return self.target.path.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query of the URL as (name, value) pairs, decoded, in order."""
        return parse_qsl(self.target.path.partition("?")[2], keep_blank_values=True)

    @property
    def params(self) -> dict[str, str | list[str]]:
        """The query of the URL by name; a name that comes again has a list."""
        values: dict[str, list[str]] = {}
        for name, value in self.query:
            values.setdefault(name, []).append(value)
        return {name: each if len(each) > 1 else each[0] for name, each in values.items()}

    @cached_property
    def path_below_base(self) -> str | None:
        """The path behind that of the client's baseURL; None when it is not below it."""
        try:
            base = parse_url(self.config.base_url or "")
        except AtomHTTPURLError:
            return None
        prefix = base.path.partition("?")[0].rstrip("/")
        if base.origin != self.target.origin or not f"{self.path}/".startswith(f"{prefix}/"):
            return None
        return self.path[len(prefix) :] or "/"

    @property
    def _media_type(self) -> str:
        return (self.content_type or "").partition(";")[0].strip().lower()


def _split_head(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The fields of a request's head that we have built ourselves."""
    for line in head.split(b"\r\n")[1:-2]:
        name, _, value = line.partition(b": ")
        yield name, value


def _read_multipart(content_type: str, content: bytes) -> FormData:
    from email import policy  # 20 ms, for those who read forms
    from email.parser import BytesParser

    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = BytesParser(policy=policy.HTTP).parsebytes(head + content)
    form = FormData()
    if not message.is_multipart():
        raise ValueError("the content is not what its Content-Type says, multipart/form-data")
    for part in message.iter_parts():
        name = part.get_param("name", header="Content-Disposition")
        payload: Any = part.get_payload(decode=True)
        filename = part.get_filename()
        kind = part.get_content_type() if "Content-Type" in part else None
        try:
            value = payload.decode() if filename is None and kind is None else payload
        except UnicodeDecodeError:
            value = payload
        form.append(_unescape(str(name)), value, None if filename is None else _unescape(filename), kind)
    return form


def _unescape(name: str) -> str:
    """Undoes what browsers do to names in Content-Disposition (WHATWG HTML, multipart/form-data encoding)."""
    return name.replace("%0D", "\r").replace("%0A", "\n").replace("%22", '"')
