"""URLs of callers and of redirects (`_model/url.py`), and the query behind them."""

from __future__ import annotations

import re
from typing import Final

from atomhttp._model.params import serialize_params
from atomhttp._model.proxy_choice import choose_proxy, read_environment
from atomhttp._model.url import Target, append_query, is_absolute, join_url, parse_url, resolve_reference
from atomhttp.errors import AtomHTTPOptionError, AtomHTTPURLError
from fuzz.promises import check_field, check_message, check_target
from fuzz.reader import Reader, received_text, split, text_of

_HOST: Final = re.compile(r"[!\"$&'()*+,\-.0-9:;=_`a-z{}~]+")
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
# RFC 3986 appendix B.
_COMPONENTS: Final = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.\-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL
)
_PARTS: Final = ("url", "scheme", "host", "port", "path", "authority")

BASES: Final = (
    "http://h.example/a/b?q#f",
    "https://h.example:8443",
    "http://[::1]:81/x/",
    "http+unix://%2Frun%2Fx.sock/a/b",
    "https://u:p@h.example/%2e%2e/c;d",
    "http://192.0.2.1/?",
)


def run_url(data: bytes) -> None:
    """A line that is a base, a line that is a URL, a line that is a query."""
    base, url, query = split(data, 3)
    parse(text_of(url))
    _check_join(text_of(base), text_of(url), text_of(query))


def parse(url: str) -> Target | None:
    """`url` taken apart, None where it is refused; whatever is taken is safe to use."""
    try:
        target = parse_url(url)
    except AtomHTTPURLError as error:
        check_message(error)
        return None
    check_parsed(target)
    return target


def check_parsed(target: Target) -> None:
    """What is connected to is what the Host field says, and nothing in it can end a line or a part."""
    assert target.scheme in ("http", "https")
    assert _HOST.fullmatch(target.host), target.host
    assert 0 <= target.port <= 65535
    assert target.path.startswith("/")
    assert "#" not in target.path
    check_target(target.path)
    check_field("Host", target.authority)
    assert _VISIBLE.fullmatch(target.url), target.url
    authority = target.url.partition("://")[2].partition("/")[0]
    assert "@" not in authority
    assert target.authority in (authority, f"{authority}:{target.port}"), target.url
    again = parse_url(target.url)
    for part in _PARTS:
        assert getattr(again, part) == getattr(target, part), part
    assert again.userinfo is None
    assert repr(target).isprintable()


def _check_join(base: str, url: str, query: str) -> None:
    outer = parse(base)
    if outer is None:
        return
    for allow_absolute in (True, False):
        try:
            joined = append_query(join_url(base, url, allow_absolute), _check_query(query))
            inner = parse_url(joined)
        except AtomHTTPURLError as error:
            check_message(error)
            continue
        check_parsed(inner)
        if not is_absolute(url) or not allow_absolute:
            assert inner.origin == outer.origin, f"{url!r} behind {base!r} leads to {inner.url}"
            assert inner.socket_path == outer.socket_path
        if not allow_absolute:
            prefix = outer.path.partition("?")[0].rstrip("/") + "/"
            assert (inner.path.partition("?")[0] + "/").startswith(prefix), f"{url!r} is not below {base!r}"


def _check_query(query: str) -> str:
    """`params` as text, and as a mapping; both keep to the query."""
    try:
        texts = (serialize_params(query), serialize_params({query[:20]: [query, {query[20:30]: query}]}))
    except AtomHTTPOptionError as error:
        check_message(error)
        return ""
    for text in texts:
        assert not text or _VISIBLE.fullmatch(text), text
        assert "#" not in text
    return texts[0]


def run_location(data: bytes) -> None:
    """Control byte: which base. Then the field as it came."""
    reader = Reader(data)
    base = parse_url(reader.pick(BASES))
    reference = received_text(reader.rest())
    try:
        target = resolve_reference(base, reference)
    except AtomHTTPURLError as error:
        check_message(error)
        return
    check_parsed(target)
    if not is_absolute(reference) and not _SCHEME.match(reference):
        assert target.origin == base.origin, f"{reference!r} leads to {target.url}"
    # Only the caller names a socket; what stays at home stays on it.
    assert target.socket_path == (base.socket_path if target.origin == base.origin else None)
    expected = parse_url(f"{_resolve(base.url, reference)}#").url
    assert target.url.partition("#")[0] == expected.partition("#")[0], f"{reference!r} from {base.url}"
    if "#" not in reference:
        assert target.url.partition("#")[2] == base.url.partition("#")[2]


def _resolve(base: str, reference: str) -> str:
    """RFC 3986 section 5.2.2, word for word; dot segments and the fragment are the callers'.

    Not urljoin, which leaves out empty segments and empty queries.
    """
    scheme, authority, path, query = _components(base)
    other_scheme, other_authority, other_path, other_query = _components(reference)
    if other_scheme is not None:
        scheme, authority, path, query = other_scheme, other_authority, other_path, other_query
    elif other_authority is not None:
        authority, path, query = other_authority, other_path, other_query
    elif not other_path:
        query = query if other_query is None else other_query
    else:
        path = other_path if other_path.startswith("/") else f"{path[: path.rfind('/') + 1]}{other_path}"
        query = other_query
    authority = "" if authority is None else f"//{authority}"
    return f"{scheme}:{authority}{path}{'' if query is None else f'?{query}'}"


def _components(url: str) -> tuple[str | None, str | None, str, str | None]:
    match = _COMPONENTS.fullmatch(url)
    assert match is not None
    return match[1], match[2], match[3], match[4]


def run_proxy(data: bytes) -> None:
    """Three lines: a proxy, a NO_PROXY, a URL."""
    proxy, no_proxy, url = (text_of(line) for line in split(data, 3))
    environment = read_environment({"http_proxy": proxy, "HTTPS_PROXY": proxy, "no_proxy": no_proxy})
    target = parse(url) or parse_url("http://h.example/")
    try:
        chosen = choose_proxy(None, target, environment)
    except AtomHTTPOptionError as error:
        check_message(error, "sesame@")
        return
    if chosen is not None:
        assert _HOST.fullmatch(chosen.host)
        assert 1 <= chosen.port <= 65535
        assert "sesame@" not in repr(chosen)
        if chosen.authorization is not None:
            check_field("Proxy-Authorization", chosen.authorization)
    if any(entry == "*" for entry in no_proxy.replace(",", " ").split()):
        assert chosen is None


URL_SEEDS: Final = (
    b"http://h.example/a\n../b?c=d#e\nx=1",
    b"https://h.example\n//evil/x\n?a=b&c",
    b"http://h.example:80\nhttp://u:p@[::1]:8080/%41?q\n",
    b"http://h\nhttp://0x7f.1/\n",
    "http://bücher.example/ä?ö#ü\nhttp://xn--bcher-kva.example/\nä=ö".encode(),
    b"http+unix://%2Frun%2Fx.sock/a\n/b;c/../d\n",
    b"http://h\n\\\\evil\n",
    b"http://h\nhttp:evil\n",
    # Found: a zone id was seen behind the host; a socket had two readings.
    b"http://h\nhttp://h/x//[a%20b]\n",
    b"http+unix://%2Frun%2Fx#y/a\n/b\n",
)
LOCATION_SEEDS: Final = tuple(
    bytes([number]) + reference
    for number in range(len(BASES))
    for reference in (
        b"/x?y#z", b"../x", b"?q", b"#f", b"", b"//evil/x", b"https://h.example/", b"http://[::1]/", b"a:b", b"http:x",
        b"http+unix://%2Frun%2Fy/", b"/\xff\xe4", b"x\ty", b"./a:b", b"/..//evil",
    )
)  # fmt: skip
PROXY_SEEDS: Final = (
    b"http://u:sesame@p.example:3128\nlocalhost,.example,10.0.0.0/8\nhttp://h.example/",
    b"socks5h://[::1]\n*\nhttps://10.0.0.1/",
    b"p:1\n[::1]:80 ::ffff:127.0.0.1,*.b.example:8080\nhttp://127.1/",
    b"https://p/path\n0x7f.1/8\nhttp://a.b.example:8080/",
)
