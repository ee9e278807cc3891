"""docs/coming-from/: what a row says that is ours exists, and every option of axios's has a row.

The second column of a table holds our names, in backticks: options (`timeout`, `maxRedirects=0`), attributes
(`response.data`), calls (`client.get(url, params)`, whose keywords have to be parameters or options), classes, codes of
errors, and literals.
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import atomhttp
import atomhttp.adapters
import atomhttp.testing
from atomhttp import (
    AtomHTTP,
    AtomHTTPError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    CookieJar,
    FormData,
    MockAdapter,
    ProgressEvent,
    Request,
    Response,
    ResponseStream,
    SyncAtomHTTP,
    SyncResponseStream,
    Timeout,
)
from atomhttp._model.options import BY_NAME
from atomhttp._model.retry_config import RetryPolicy

FOLDER = Path(__file__).parents[2] / "docs" / "coming-from"
PAGES = sorted(FOLDER.glob("*.md"))


def words(text: str) -> list[str]:
    return text.split()


# AxiosRequestConfig of axios 1.21.1, in its order.
AXIOS = words("""
url method baseURL allowAbsoluteUrls transformRequest transformResponse headers params paramsSerializer data timeout
timeoutErrorMessage withCredentials adapter auth responseType responseEncoding xsrfCookieName xsrfHeaderName
onUploadProgress onDownloadProgress maxContentLength validateStatus maxBodyLength maxRedirects maxRate beforeRedirect
socketPath allowedSocketPaths transport httpAgent httpsAgent proxy cancelToken decompress transitional signal
insecureHTTPParser env formSerializer family lookup withXSRFToken parseReviver fetchOptions httpVersion http2Options
formDataHeaderPolicy redact sensitiveHeaders
""")
AXIOS_CODES = words("""
ERR_BAD_OPTION_VALUE ERR_BAD_OPTION ECONNABORTED ETIMEDOUT ECONNREFUSED ERR_NETWORK ERR_FR_TOO_MANY_REDIRECTS
ERR_DEPRECATED ERR_BAD_RESPONSE ERR_BAD_REQUEST ERR_CANCELED ERR_NOT_SUPPORT ERR_INVALID_URL
ERR_FORM_DATA_DEPTH_EXCEEDED
""")
AXIOS_METHODS = words("request get delete head options post put patch query postForm putForm patchForm getUri create")
# Those of requests 2.34 and of aiohttp 3.14 and httpx 0.28, where a page promises to have them all.
ARGUMENTS = {
    "requests": words("""method url params data headers cookies files auth timeout allow_redirects proxies hooks stream
        verify cert json"""),
    "httpx": words("""auth params headers cookies verify cert trust_env http1 http2 proxy mounts timeout
        follow_redirects limits max_redirects event_hooks base_url transport default_encoding content data files json
        extensions"""),
    "aiohttp": words("""
        base_url connector connector_owner loop cookies cookie_jar headers proxy proxy_auth skip_auto_headers
        auth json_serialize json_serialize_bytes request_class response_class ws_response_class version
        raise_for_status timeout read_timeout conn_timeout auto_decompress trust_env requote_redirect_url
        trace_configs read_bufsize max_line_size max_field_size max_headers fallback_charset_resolver
        middlewares params data json allow_redirects max_redirects compress chunked expect100 read_until_eof
        ssl verify_ssl ssl_context fingerprint server_hostname proxy_headers trace_request_ctx upload_tracker
        limit limit_per_host keepalive_timeout force_close family local_addr resolver use_dns_cache
        ttl_dns_cache dns_cache_max_size happy_eyeballs_delay interleave socket_factory ssl_shutdown_timeout
        enable_cleanup_closed timeout_ceil_threshold"""),
    "atomhttp-1x": words("""url method baseURL headers params data timeout withCredentials auth proxy maxRedirects
        maxContentLength maxBodyLength transformRequest transformResponse responseType xsrfCookieName xsrfHeaderName
        onUploadProgress onDownloadProgress socketPath keepAlive decompress validateStatus adapter verify retryConfig
        transitional"""),
}


class Row(tuple[str, str, str]):
    """Theirs, ours, what differs."""

    __slots__ = ()


def rows_of(page: Path) -> list[Row]:
    """The rows of the tables that have our names."""
    found: list[Row] = []
    ours = False
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if len(cells) == 3 and cells[1] == "atomhttp":
            ours = True
        elif not cells:
            ours = False
        elif ours and not set(line) <= set("|-"):
            assert len(cells) == 3, f"{page.name}: {line}"
            found.append(Row(cells))
    return found


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# What our names stand for


CLIENT = AtomHTTP()
RESPONSE: Response[Any] = Response({}, 200)
ROOTS: dict[str, tuple[Any, ...]] = {
    "atomhttp": (atomhttp,),
    "client": (CLIENT, SyncAtomHTTP),
    "response": (RESPONSE, Response),
    "stream": (ResponseStream, SyncResponseStream),
    "event": (ProgressEvent,),
    "error": (
        AtomHTTPError("x"),
        AtomHTTPTimeoutError("x", phase="pool", limit=1, elapsed=1),
        AtomHTTPStatusError("x"),
    ),
    "form": (FormData,),
    "request": (Request,),
    "mock": (MockAdapter,),
    "jar": (CookieJar,),
}
CODES = {
    code for kind in vars(atomhttp.errors).values() if inspect.isclass(kind) for code in getattr(kind, "codes", ())
}


def attribute(owners: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    """`name` of whichever of `owners` has it."""
    found = tuple(getattr(owner, name) for owner in owners if hasattr(owner, name))
    assert found, f"{owners[0]!r} has no {name}"
    return found


def keywords_of(function: Any) -> set[str]:
    """The keywords that a call may have: its own, and options where it takes those."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return set()
    takes_more = any(each.kind is each.VAR_KEYWORD for each in parameters)
    return {each.name for each in parameters} | (set(BY_NAME) if takes_more else set())


def check_node(node: ast.expr) -> tuple[Any, ...]:
    """What an expression stands for; an AssertionError says that it is nothing."""
    if isinstance(node, ast.Constant):
        return (node.value,)
    if isinstance(node, ast.Name):
        if node.id in ROOTS:
            return ROOTS[node.id]
        if node.id in BY_NAME or node.id in CODES:
            return (node.id,)
        return attribute((atomhttp,), node.id)
    if isinstance(node, ast.Attribute):
        return attribute(check_node(node.value), node.attr)
    if isinstance(node, ast.Call):
        functions = check_node(node.func)
        for keyword in node.keywords:
            assert any(keyword.arg in keywords_of(function) for function in functions), keyword.arg
        return functions
    raise AssertionError(ast.dump(node))


def check_name(name: str) -> None:
    """A name of ours exists. `option=value` is one, too."""
    option = re.fullmatch(r"(\w+)=(.+)", name)
    if option is not None:
        assert option[1] in BY_NAME, option[1]
        # A value that can be written down has to be one that the option takes.
        BY_NAME[option[1]].check(option[1], ast.literal_eval(option[2]))
        return
    node = ast.parse(name.replace("…", "..."), mode="eval").body
    check_node(node)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_ours_exists(page: Path) -> None:
    rows = rows_of(page)
    assert len(rows) >= 30
    wrong = []
    for row in rows:
        for name in names_in(row[1]):
            try:
                check_name(name)
            except (AssertionError, SyntaxError, ValueError) as error:
                wrong.append(f"{name}: {error}")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_row_without_a_name_of_ours_says_what_to_do_or_what_is(page: Path) -> None:
    # Both empty: only for what nobody needs, and then it stands with others of its kind.
    silent = [row[0] for row in rows_of(page) if not row[1] and not row[2]]
    assert len(silent) <= 4, silent


def theirs(page: Path) -> set[str]:
    """Every word in the first column."""
    return {word for row in rows_of(page) for name in names_in(row[0]) for word in re.findall(r"\w+", name)}


def test_every_option_method_and_code_of_axios_has_a_row() -> None:
    words = theirs(FOLDER / "axios.md")
    assert [name for name in [*AXIOS, *AXIOS_METHODS, *AXIOS_CODES] if name not in words] == []


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_argument_has_a_row(name: str) -> None:
    words = theirs(FOLDER / f"{name}.md")
    assert [argument for argument in ARGUMENTS[name] if argument not in words] == []


def test_every_phase_of_a_timeout_is_told_where_timeouts_are() -> None:
    for name in ("httpx", "aiohttp"):
        ours = " ".join(row[1] for row in rows_of(FOLDER / f"{name}.md"))
        for phase in inspect.signature(Timeout).parameters:
            assert f"{phase}=" in ours, f"{name}: {phase}"


def test_keys_of_the_retry_config_in_the_text_exist() -> None:
    known = {*RetryPolicy._fields, "total", "allowed_methods", "method_whitelist"}
    for page in PAGES:
        for row in rows_of(page):
            if row[1] == "`retryConfig`":
                keys = [name for name in names_in(row[2]) if "_" in name]
                assert set(keys) <= known, keys


# The tests of these tests


@pytest.mark.parametrize(
    "name",
    [
        "timeouts",
        "maxRedirects='many'",
        "response.status_code",
        "client.gett(url)",
        "Timeout(total_time=3)",
        "client.get(url, timeouts=3)",
        "ERR_NOTHING",
        "atomhttp.nothing",
        "client.interceptors.use(f, is_answer=True)",
    ],
)
def test_a_wrong_name_is_seen(name: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        check_name(name)


def test_all_kinds_of_names_are_understood() -> None:
    for name in (
        *("timeout", "base_url", "maxRedirects=0", "response_type='stream'", "True"),
        *("response.headers.get_all(name)", "client.get(url, timeout=3)", "AtomHTTP.all(tasks)", "ERR_TLS"),
        *("Timeout(total=30)", "error.__cause__", "stream.read(n)", "atomhttp.testing.ASGIAdapter"),
    ):
        check_name(name)
