"""What was given with an option, as the client's options take it. Everything is checked before anything is sent."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

from atomhttp._cli.exit_codes import FileError, UsageError
from atomhttp.auth import BasicAuth, BearerAuth
from atomhttp.errors import AtomHTTPOptionError
from atomhttp.form_data import FormData

# Without a word of time limits: a transfer that goes on is not given up, however long it takes.
PATIENCE: Final = 30.0

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://|https?:")
_LOCAL_HOST: Final = re.compile(r"(?:localhost|.*\.localhost|127(?:\.\d+){1,3}|\[::1\])(?::\d*)?", re.IGNORECASE)
_PORT_ONLY: Final = re.compile(r":\d*(?=[/?#]|\Z)")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FILE_PARAMETER: Final = re.compile(r";(?=(?:type|filename)=)")


# URLs


def expand_url(text: str, *, unix_socket: bool = False) -> str:
    """`text` with a scheme: what is on this machine speaks http, everything else https.

    `:8000/path` is `http://localhost:8000/path`.

    Raises:
        UsageError: there is no host in it.
    """
    if not text:
        raise UsageError("URL: expected one such as https://example.com/path, got an empty text")
    if _SCHEME.match(text):
        # Also `http:host`, so that the client says what is wrong with it.
        return text
    if text[0] == "/" and not text.startswith("//"):
        if unix_socket:
            return f"http://localhost{text}"
        raise UsageError(f"URL: expected a host, got the path {text!r}; --unix-socket PATH takes paths")
    if port := _PORT_ONLY.match(text):
        host = "localhost" if port[0] == ":" else f"localhost{port[0]}"
        return f"http://{host}{text[port.end() :]}"
    text = text.removeprefix("//")
    host = re.split(r"[/?#]", text, maxsplit=1)[0].rpartition("@")[2]
    return f"{'http' if unix_socket or _LOCAL_HOST.fullmatch(host) else 'https'}://{text}"


def read_query(items: Sequence[str]) -> list[tuple[str, str]]:
    """`-q key=value`: pairs for the query string.

    Raises:
        UsageError: no `=`.
    """
    pairs: list[tuple[str, str]] = []
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise UsageError(f"-q: expected key=value, got {item[:40]!r}")
        pairs.append((name, value))
    return pairs


# Header fields


def read_headers(items: Sequence[str]) -> dict[str, Any]:
    """`-H 'Name: value'`: fields; `'Name:'` leaves out one that the client would send, `'Name;'` sends it empty.

    Raises:
        UsageError: neither; the message has no value, which may be a secret.
    """
    fields: dict[str, Any] = {}
    spelling: dict[str, str] = {}
    for item in items:
        name, value = _read_header(item)
        name = spelling.setdefault(name.lower(), name)
        if value is None:
            fields[name] = None
        else:
            fields[name] = [*(fields.get(name) or ()), value]
    return fields


def _read_header(item: str) -> tuple[str, str | None]:
    name, colon, value = item.partition(":")
    if not colon and item.endswith(";"):
        name, colon, value = item[:-1], ";", ""
    elif colon and not value.strip():
        return _check_header_name(name, item), None
    if not colon:
        shown = _HEADER_NAME.match(item)
        raise UsageError(f"-H: expected 'Name: value', got no colon after {shown[0] if shown else item[:20]!r}")
    return _check_header_name(name, item), value.strip()


def _check_header_name(name: str, item: str) -> str:
    if _HEADER_NAME.fullmatch(name) is None:
        raise UsageError(f"-H: expected 'Name: value', got {name[:40]!r}, which is no field's name")
    return name


# Content


def read_content(data: Sequence[str], json: Sequence[str], form: Sequence[str]) -> dict[str, Any]:
    """The options for the content: of `-d`, `--json` or `-F`, whichever was given.

    Raises:
        UsageError: more than one, or one that is no good.
        OSError: a file cannot be read.
    """
    given = [name for name, values in (("-d", data), ("--json", json), ("-F", form)) if values]
    if len(given) > 1:
        raise UsageError(f"{given[0]} and {given[1]}: a request has one content; give one of them")
    for name, values in (("-d", data), ("--json", json)):
        if len(values) > 1:
            raise UsageError(f"{name}: given {len(values)} times; a request has one content")
    if data:
        return {"data": read_data(data[0])}
    if json:
        return {"data": read_json(json[0]), "headers": {"Content-Type": "application/json"}}
    return {"data": read_form(form)} if form else {}


def read_data(text: str) -> str | Path | IO[bytes]:
    """`-d`: a text, `@file`, or `-` or `@-` for standard input. Files are sent as they are read.

    Raises:
        OSError: the file cannot be read.
    """
    if text in ("-", "@-"):
        return _standard_input("-d")
    return check_file(text[1:]) if text.startswith("@") else text


def read_json(text: str) -> bytes:
    """`--json`: a JSON text, `@file` or `-`, as it is given.

    Raises:
        UsageError: it is not JSON.
        OSError: the file cannot be read.
    """
    if text in ("-", "@-"):
        content = _standard_input("--json").read()
    else:
        content = check_file(text[1:]).read_bytes() if text.startswith("@") else text.encode("utf-8", "surrogateescape")
    try:
        _check_json(content.decode())
    except ValueError as error:
        # Where, and not what: it may be a secret.
        raise UsageError(f"--json: expected JSON, and it is not: {error}") from None
    return content


def _check_json(text: str) -> None:
    import json

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    try:
        # A number is sent as it is written, also one that is too long for Python.
        json.loads(text, parse_constant=refuse, parse_int=str)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_form(items: Sequence[str]) -> FormData:
    """`-F name=value`, `-F name=@file[;type=…][;filename=…]`: a form.

    Raises:
        UsageError: an item is neither.
        OSError: a file cannot be read.
    """
    form = FormData()
    has_input = False
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise UsageError(f"-F: expected name=value or name=@file, got {item[:40]!r}")
        if not value.startswith("@"):
            form.append(name, value)
            continue
        path, *parameters = _FILE_PARAMETER.split(value[1:])
        # The last one counts, as everywhere on a command line.
        known = dict(each.split("=", 1) for each in parameters)
        if path == "-" and has_input:
            raise UsageError("-F: standard input is given twice, and can be read once")
        has_input = has_input or path == "-"
        content = _standard_input("-F") if path == "-" else check_file(path)
        try:
            form.append(name, content, filename=known.get("filename"), content_type=known.get("type"))
        except AtomHTTPOptionError as error:
            raise UsageError(f"-F: {error.message}") from None
    return form


def _standard_input(option: str) -> IO[bytes]:
    if sys.stdin is None:
        raise UsageError(f"{option}: expected content on standard input, which is closed")
    return sys.stdin.buffer


def check_file(path: str) -> Path:
    """A file that can be read: what is not there is said before anything is sent.

    Raises:
        OSError: it cannot.
    """
    # A pipe, such as that of `<(…)`, can be opened once only.
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        return Path(path)
    with open(path, "rb"):
        return Path(path)


def check_output(path: str) -> str:
    """`-o`: the name of a file in a directory that is there. An answer may not come a second time.

    Raises:
        FileError: it is a directory.
        OSError: there is no directory for it.
    """
    if os.path.isdir(path):
        raise FileError(
            f"-o: {path!r} is a directory; expected the name of a file ('atomhttp download' takes directories)"
        )
    os.stat(os.path.dirname(path) or ".")
    return path


# Who is asking


def read_auth(auth: str | None, digest: bool, bearer: str | None) -> Any:
    """`--auth`, `--digest`, `--bearer`: the `auth` option; None when none of them was given.

    Raises:
        UsageError: two of them, or a password is wanted and there is no terminal to ask for it.
    """
    if bearer is not None:
        if auth is not None or digest:
            raise UsageError(f"--bearer and {'--auth' if auth is not None else '--digest'}: give one of them")
        return _build("--bearer", BearerAuth, bearer)
    if auth is None:
        if digest:
            raise UsageError("--digest: expected --auth user:password with it")
        return None
    user, colon, password = auth.partition(":")
    if not colon:
        password = _ask_password(user)
    if not digest:
        return _build("--auth", BasicAuth, user, password)
    from atomhttp.auth.digest import DigestAuth

    return _build("--auth", DigestAuth, user, password)


def _build(option: str, kind: Any, *values: str) -> Any:
    try:
        return kind(*values)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _ask_password(user: str) -> str:
    import getpass
    import warnings

    with warnings.catch_warnings():
        # Rather not at all than where everybody can read it.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(f"Password of {ascii(user)[1:-1]}: ")
        except (getpass.GetPassWarning, EOFError, OSError):
            raise UsageError(
                "--auth: expected user:password, as there is no terminal to ask for a password on"
            ) from None


# TLS and time


def read_tls(insecure: bool, cacert: str | None, cert: str | None, key: str | None) -> dict[str, Any]:
    """`--insecure`, `--cacert`, `--cert`, `--key`: the options of TLS.

    Raises:
        UsageError: they contradict each other.
        OSError: a file cannot be read.
    """
    options: dict[str, Any] = {}
    for name, path in (("--cacert", cacert), ("--cert", cert), ("--key", key)):
        # Of a variable that is not set, say: not to be taken for no option.
        if path == "":
            raise UsageError(f"{name}: expected the name of a file, got an empty text")
    if insecure and cacert:
        raise UsageError("--insecure and --cacert: certificates are verified, or they are not; give one of them")
    if insecure:
        options["verify"] = False
    elif cacert:
        options["verify"] = Path(cacert) if os.path.isdir(cacert) else check_file(cacert)
    if key and not cert:
        raise UsageError("--key: expected --cert FILE with it")
    if cert:
        options["cert"] = (check_file(cert), check_file(key)) if key else check_file(cert)
    return options
