"""Cookies in files: a JSON that keeps everything, and the Netscape format of curl, wget and browsers' exports."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from math import ceil
from typing import Any, Final, Literal, TypeAlias

from atomhttp._model.checks import bad_value
from atomhttp._model.cookie import Cookie
from atomhttp.errors import AtomHTTPOptionError

FileFormat: TypeAlias = Literal["json", "netscape"]
# What a file that is JSON may hold.
_Json: TypeAlias = dict[str, Any] | list[Any] | str | float | None

_JSON_FORMAT: Final = "atomhttp cookies"
_JSON_VERSION: Final = 1
_JSON_KEYS: Final = (
    *("name", "value", "domain", "host_only", "path", "expires", "secure", "http_only", "same_site"),
    *("created", "last_used"),
)
_NETSCAPE_HEAD: Final = "# Netscape HTTP Cookie File\n# Written by atomhttp. It holds secrets: keep it to yourself.\n\n"
_HTTP_ONLY: Final = "#HttpOnly_"
_FLAGS: Final = {"TRUE": True, "FALSE": False}


def write_cookies(cookies: Iterable[Cookie], path: str | os.PathLike[str], format: FileFormat = "json") -> None:
    """Writes `cookies` to `path`: readable by its owner only, and either whole or not at all.

    A symbolic link at `path` is replaced, not followed. The Netscape format has no place for `same_site` and the
    times of use, and none for tabs in a name, a domain or a path: such cookies are left out.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, an unknown format, or `path` is something else than a file.
        OSError: the file cannot be written; what was there is untouched.
    """
    if format not in ("json", "netscape"):
        raise bad_value("format", format, "'json' or 'netscape'")
    _replace_file(os.fspath(path), _as_json(cookies) if format == "json" else _as_netscape(cookies))


def read_cookies(path: str | os.PathLike[str], now: float) -> list[Cookie]:
    """The cookies in a file of either format, in the file's order.

    Args:
        now: when those were created whose file does not say it, in seconds since the epoch.

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE, the file has neither format; the message names the place.
        OSError: the file cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read()
    where = os.fsdecode(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _malformed(where, content.count(b"\n", 0, error.start) + 1, "not UTF-8") from None
    if text.lstrip()[:1] in ("{", "["):
        return _from_json(where, text, now)
    return _from_netscape(where, text, now)


def _replace_file(path: str, text: str) -> None:
    from tempfile import mkstemp  # costs 5 ms, and few clients ever save

    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            # Above all /dev/null and the like: root would replace the device.
            raise bad_value("path", path, "the path of a file")
    except FileNotFoundError:
        pass
    folder, name = os.path.split(path)
    # Mode 0600, whatever the umask, and a name that nobody can have guessed (CVE-2026-25645).
    descriptor, temporary = mkstemp(prefix=f".{name[:100]}.", dir=folder or ".")
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


# JSON: one line a cookie


def _as_json(cookies: Iterable[Cookie]) -> str:
    import json  # as for mkstemp

    lines = [f"  {json.dumps({key: getattr(cookie, key) for key in _JSON_KEYS})}" for cookie in cookies]
    head = f'"format": "{_JSON_FORMAT}", "version": {_JSON_VERSION}, "cookies": ['
    return "{" + head + "\n" + ",\n".join(lines) + "\n]}\n"


def _from_json(where: str, text: str, now: float) -> list[Cookie]:
    import json

    try:
        document: _Json = json.loads(text)
    except json.JSONDecodeError as error:
        raise _malformed(where, error.lineno, f"not JSON ({error.msg})") from None
    except (ValueError, RecursionError):
        # A number too long to be one, or brackets without end.
        raise _malformed(where, 1, "not JSON") from None
    fields = document if isinstance(document, dict) else {}
    items: _Json = fields.get("cookies")
    if not isinstance(items, list) or fields.get("format") != _JSON_FORMAT:
        raise _malformed(where, 1, f'expected {{"format": "{_JSON_FORMAT}", "cookies": […]}}')
    if fields.get("version") != _JSON_VERSION:
        raise _malformed(where, 1, f"version {str(fields.get('version'))[:20]} is not known, only {_JSON_VERSION}")
    cookies: list[Cookie] = []
    for number, item in enumerate(items, start=1):
        try:
            cookies.append(_from_item(item, now))
        except AtomHTTPOptionError as error:
            raise AtomHTTPOptionError(f"{where}, cookie {number}: {error}", "ERR_BAD_OPTION_VALUE") from None
    return cookies


def _from_item(item: _Json, now: float) -> Cookie:
    if not isinstance(item, dict):
        raise AtomHTTPOptionError(f"expected an object, got {type(item).__name__}", "ERR_BAD_OPTION_VALUE")
    for key in ("name", "value", "domain"):
        if key not in item:
            raise AtomHTTPOptionError(f"{key} is missing", "ERR_BAD_OPTION_VALUE")
    times: dict[str, Any] = {"created": now, "last_used": now}
    return Cookie(**(times | {key: item[key] for key in _JSON_KEYS if key in item}))


# Netscape: a line a cookie, seven fields between tabs


def _as_netscape(cookies: Iterable[Cookie]) -> str:
    return _NETSCAPE_HEAD + "".join(
        _netscape_line(cookie) for cookie in cookies if "\t" not in f"{cookie.name}{cookie.domain}{cookie.path}"
    )


def _netscape_line(cookie: Cookie) -> str:
    fields = (
        f"{_HTTP_ONLY if cookie.http_only else ''}{'' if cookie.host_only else '.'}{cookie.domain}",
        "FALSE" if cookie.host_only else "TRUE",
        cookie.path,
        "TRUE" if cookie.secure else "FALSE",
        # 0 means the session's.
        "0" if cookie.expires is None else str(max(1, ceil(cookie.expires))),
        cookie.name,
        cookie.value,
    )
    return "\t".join(fields) + "\n"


def _from_netscape(where: str, text: str, now: float) -> list[Cookie]:
    cookies: list[Cookie] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not line.strip() or (line[0] == "#" and not line.startswith(_HTTP_ONLY)):
            continue
        try:
            cookies.append(_from_line(line, now))
        except AtomHTTPOptionError as error:
            raise _malformed(where, number, str(error)) from None
    return cookies


def _from_line(line: str, now: float) -> Cookie:
    # A value may hold tabs; where it is empty, an editor may have cut the last one off.
    fields = line.split("\t", 6)
    if len(fields) < 6:
        raise AtomHTTPOptionError(f"expected 7 fields between tabs, got {len(fields)}", "ERR_BAD_OPTION_VALUE")
    domain, with_subdomains, path, secure, expires, name = fields[:6]
    return Cookie(
        name=name,
        value=fields[6] if len(fields) == 7 else "",
        domain=domain.removeprefix(_HTTP_ONLY).removeprefix(".").lower(),
        path=path,
        expires=_netscape_time(expires),
        secure=_netscape_flag(secure),
        http_only=domain.startswith(_HTTP_ONLY),
        host_only=not _netscape_flag(with_subdomains),
        created=now,
        last_used=now,
    )


# Neither shows what it got: in a line where a field is missing, that may be the cookie's value.


def _netscape_flag(text: str) -> bool:
    flag = _FLAGS.get(text.upper())
    if flag is None:
        raise AtomHTTPOptionError("the second and the fourth field: expected TRUE or FALSE", "ERR_BAD_OPTION_VALUE")
    return flag


def _netscape_time(text: str) -> float | None:
    try:
        return float(text or 0) or None
    except ValueError:
        raise AtomHTTPOptionError(
            "the fifth field: expected seconds since the epoch, or 0", "ERR_BAD_OPTION_VALUE"
        ) from None


def _malformed(where: str, line: int, problem: str) -> AtomHTTPOptionError:
    return AtomHTTPOptionError(f"{where}, line {line}: {problem}", "ERR_BAD_OPTION_VALUE")
