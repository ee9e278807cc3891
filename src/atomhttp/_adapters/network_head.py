"""The head of a request as the network gets it: bytes, validated, built once for all requests that are alike."""

from __future__ import annotations

from typing import Final

from atomhttp._model.outline import Outline
from atomhttp._model.request import Request
from atomhttp._wire.http1_writer import encode_fields, encode_request_line
from atomhttp._wire.http2_writer import Field, encode_field_list, encode_pseudo_fields

_WANTS_LENGTH: Final = frozenset(("POST", "PUT", "PATCH"))


def build_head(request: Request) -> bytes:
    """The request's head, validated; what equal requests share is built once."""
    outline = request.outline
    head = outline.head
    if head is None:
        head = outline.head = _build_lines(outline) + _end_of_head(outline)
    return head if not request.has_body else head[: -len(_end_of_head(outline))] + _content_fields(request)


def _build_lines(outline: Outline) -> bytes:
    block = outline.block
    if block.encoded is None:
        block.encoded = encode_fields(block.fields)
    host = encode_fields([("Host", block.host or outline.target.authority)])
    content_type = [("Content-Type", block.content_type)] if block.content_type is not None else []
    target, more = outline.target.path, b""
    proxy = outline.route.proxy
    if proxy is not None and outline.route.is_forwarded:
        # RFC 9112 section 3.2.2. In a tunnel the proxy has been told by CONNECT.
        target = f"http://{outline.target.authority}{target}"
        if proxy.authorization is not None:
            more = encode_fields([("Proxy-Authorization", proxy.authorization)])
    line = encode_request_line(outline.method, target)
    return line + host + block.encoded + more + encode_fields(content_type)


def _end_of_head(outline: Outline) -> bytes:
    """What ends a head without content."""
    length = b"Content-Length: 0\r\n" if outline.method in _WANTS_LENGTH else b""
    return length + (b"\r\n" if outline.keep_alive else b"Connection: close\r\n\r\n")


_type_lines: dict[str, bytes] = {}


def _content_fields(request: Request) -> bytes:
    """The fields that describe the content, and the end of the head."""
    lines = b""
    content_type = request.content_type
    if content_type is not None and request.outline.block.content_type is None:
        known = _type_lines.get(content_type)
        if known is None:
            known = encode_fields([("Content-Type", content_type)])
            if len(_type_lines) < 100:  # multipart boundaries never repeat: do not keep them all
                _type_lines[content_type] = known
        lines = known
    length = request.content_length
    lines += b"Transfer-Encoding: chunked\r\n" if length is None else b"Content-Length: %d\r\n" % length
    if request.outline.block.expects_continue:
        lines += b"Expect: 100-continue\r\n"
    if not request.outline.keep_alive:
        lines += b"Connection: close\r\n"
    return lines + b"\r\n"


# HTTP/2


def build_field_list(request: Request) -> list[Field]:
    """The request's head as HTTP/2 has it, validated; what equal requests share is built once."""
    outline = request.outline
    fields = outline.field_list
    if fields is None:
        fields = outline.field_list = _build_field_list(outline)
    if not request.has_body:
        return fields
    block = outline.block
    content: list[tuple[str, str]] = []
    if request.content_type is not None and block.content_type is None:
        content.append(("content-type", request.content_type))
    if request.content_length is not None:
        content.append(("content-length", str(request.content_length)))
    if block.expects_continue:
        content.append(("expect", "100-continue"))
    return fields[: -1 if outline.method in _WANTS_LENGTH else None] + encode_field_list(content)


def _build_field_list(outline: Outline) -> list[Field]:
    block, target = outline.block, outline.target
    fields = encode_pseudo_fields(outline.method, outline.route.scheme, block.host or target.authority, target.path)
    fields += encode_field_list(block.fields)
    if block.content_type is not None:
        fields += encode_field_list([("content-type", block.content_type)])
    if outline.method in _WANTS_LENGTH:
        # The last, so that a request that has content can leave it out.
        fields.append((b"content-length", b"0"))
    return fields
