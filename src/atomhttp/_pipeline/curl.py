"""`config.to_curl()`: a call as a command line for curl.

The request is built as for the network, by the plan that the config comes from: its URL, its route and its fields are
the real ones. What curl would send of its own accord, and we do not, is switched off. Nothing is sent, and neither a
file nor an iterator is read.
"""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any, Final

from atomhttp._model.config import Defaults, RequestConfig
from atomhttp._model.options import BY_NAME
from atomhttp._model.timeout import Timeout
from atomhttp._pipeline.built_in import built_in_headers
from atomhttp._pipeline.command_line import CommandLine
from atomhttp._pipeline.curl_content import CurlContent, add_content
from atomhttp._pipeline.plan import Plan
from atomhttp._redact import REDACTED, redact_url, redact_value
from atomhttp.errors import AtomHTTPOptionError

if TYPE_CHECKING:
    from atomhttp._model.outline import Outline
    from atomhttp._model.proxies import Proxy
    from atomhttp._model.request import Request

_GLOBS: Final = frozenset("[]{}")
# Methods whose requests say `Content-Length: 0` when there is no content.
_WANTS_LENGTH: Final = frozenset(("POST", "PUT", "PATCH"))
# What curl sends unless it is told otherwise.
_CURLS_OWN: Final = ("User-Agent", "Accept")
# More seconds than this are no limit, and more than curl takes.
_LONGEST: Final = 1e6


def render_curl(config: RequestConfig, show_secrets: bool) -> str:
    """See `RequestConfig.to_curl`."""
    return str(_Renderer(*_build_request(config), show_secrets).render())


def _build_request(config: RequestConfig) -> tuple[RequestConfig, Request, str | None]:
    """The config with a client's defaults, its request without the body, and the Content-Length set for that."""
    plan = config.__dict__.get("_layers")
    if not isinstance(plan, Plan):
        # Made by hand, unpickled, or of an error that has travelled: as a client without options would send it.
        plan = Plan(Defaults(built_in_headers()))
        config = plan.build_config(None, None, _checked(config), {})
    twin = RequestConfig.__new__(RequestConfig)
    twin.__dict__.update({**config.__dict__, "data": None, "json": None, "form": None})
    # Seen as a call of its own, not as one that may be sent as earlier ones were.
    twin.__dict__.pop("_call", None)
    if twin.verify is False:
        # The warning is for the call.
        twin.__dict__["verify"] = True
    headers = twin.__dict__["headers"] = twin.headers.copy()
    length = headers.get("content-length")
    headers.delete("content-length")
    request = plan.build_request(twin, None, 0.0, {})
    cookies = request.outline.cookies
    return config, request if cookies is None else cookies.add_to(request), length


def _checked(config: RequestConfig) -> RequestConfig:
    """A copy with the options that are such: what was redacted may have become text."""
    twin = copy.copy(config)
    for name, value in twin.items():
        try:
            twin.__dict__[name] = BY_NAME[name].check(name, value)
        except AtomHTTPOptionError:
            del twin.__dict__[name]
    return twin


class _Renderer:
    """Puts the command line together, from the request to how it is sent."""

    def __init__(self, config: RequestConfig, request: Request, length: str | None, show_secrets: bool) -> None:
        url = request.url.partition("#")[0]
        self._config = config
        self._outline: Outline = request.outline
        self._length = length
        self._show_secrets = show_secrets
        self._url = url if show_secrets else redact_url(url)
        self._command = CommandLine("curl", self._url)

    def render(self) -> CommandLine:
        """The command line.

        Raises:
            AtomHTTPOptionError: a body that could not be sent.
        """
        body = CommandLine("")
        content = add_content(body, self._config, self._outline.block.content_type, self._length, self._show_secrets)
        self._add_method(content is not None)
        self._add_fields(content)
        self._add_auth()
        self._command.take(body)
        self._add_route()
        self._add_trust()
        self._add_limits()
        self._add_remarks()
        return self._command

    def _shown(self, value: str) -> str:
        return value if self._show_secrets else REDACTED

    # The request

    def _add_method(self, has_content: bool) -> None:
        method = self._outline.method
        if method == "HEAD" and not has_content:
            self._command.add("--head")
        elif method != ("POST" if has_content else "GET"):
            self._command.add("-X", method)
        if method == "HEAD" and has_content:
            self._command.remark("curl waits for content behind the head: end it when the head is there")
        if not _GLOBS.isdisjoint(self._url):
            self._command.add("--globoff")

    def _add_fields(self, content: CurlContent | None) -> None:
        block = self._outline.block
        content_type = block.content_type if content is None else content.content_type
        fields = [("Host", block.host)] if block.host is not None else []
        fields += block.fields
        if content_type is not None:
            fields.append(("Content-Type", content_type))
        if content is not None and content.is_chunked:
            fields.append(("Transfer-Encoding", "chunked"))
        if content is None and self._outline.method in _WANTS_LENGTH:
            fields.append(("Content-Length", "0"))
        if content is not None and block.expects_continue:
            fields.append(("Expect", "100-continue"))
        if not self._outline.keep_alive:
            fields.append(("Connection", "close"))
        for name, value in fields:
            shown = self._show_field(name, value)
            # curl takes a name with nothing behind its colon for one that is not to be sent.
            self._command.add("-H", f"{name}: {shown}" if shown else f"{name};")
        self._suppress({name.lower() for name, _ in fields}, content)

    def _show_field(self, name: str, value: str) -> str:
        if self._show_secrets:
            return value
        xsrf = None if self._outline.cookies is None else self._outline.cookies.xsrf
        if xsrf is not None and name.lower() == xsrf.header.lower():
            return REDACTED
        return str(redact_value(name, value))

    def _suppress(self, said: set[str], content: CurlContent | None) -> None:
        unwanted = [*_CURLS_OWN, *(["Accept-Encoding"] if self._outline.decompress else [])]
        if content is not None and content.is_large:
            unwanted.append("Expect")
        if self._outline.route.is_forwarded:
            unwanted.append("Proxy-Connection")
        for name in unwanted:
            if name.lower() not in said:
                self._command.add("-H", f"{name}:")

    def _add_auth(self) -> None:
        """Credentials that take part in the exchange; the others are header fields."""
        auth = self._outline.auth
        if auth is None:
            return
        from atomhttp.auth import DigestAuth, NetrcAuth

        if isinstance(auth, DigestAuth):
            self._command.add("--digest", "--user", f"{auth.username}:{self._shown(auth.password)}")
        elif isinstance(auth, NetrcAuth):
            path = auth.path or os.environ.get("NETRC")
            self._command.add(*(["--netrc-file", path] if path else ["--netrc"]))
        else:
            name = getattr(auth, "__name__", type(auth).__name__)
            self._command.remark(f"auth {name} adds what it has to say when a request is sent: it is missing here")

    # Its way

    def _add_route(self) -> None:
        route = self._outline.route
        if route.socket_path is not None:
            is_abstract = route.socket_path.startswith("\0")
            self._command.add(
                "--abstract-unix-socket" if is_abstract else "--unix-socket", route.socket_path.removeprefix("\0")
            )
        self._add_proxy(route.proxy)
        dialing = route.dialing
        if dialing is None:
            return
        for host, port in self._find_names(route.proxy):
            addresses = dialing.hosts.get(host.rstrip(".").lower()) if dialing.hosts is not None else None
            if addresses is not None:
                shown = ",".join(f"[{each}]" if ":" in each else each for each in addresses)
                self._command.add("--resolve", f"{host}:{port}:{shown}")
        if dialing.local_address is not None:
            address, port = dialing.local_address
            self._command.add("--interface", address, *(["--local-port", str(port)] if port else []))
        if dialing.resolver is not None:
            self._command.remark("the client looks names up by a function of its own, curl in its own way")

    def _find_names(self, proxy: Proxy | None) -> list[tuple[str, int]]:
        """What has to be looked up here."""
        target = self._outline.target
        names = [] if proxy is None else [(proxy.host, proxy.port)]
        return [(target.host, target.port), *names] if proxy is None or proxy.scheme == "socks5" else names

    def _add_proxy(self, proxy: Proxy | None) -> None:
        config = self._config
        if proxy is None:
            # curl looks into the environment too, and reads some of it in another way.
            if config.proxy is not None or not config.trust_env or _has_proxy_variables():
                self._command.add("--noproxy", "*")
            return
        self._command.add("--proxy", proxy.name, "--noproxy", "")
        if proxy.authorization is not None:
            self._command.add("--proxy-header", f"Proxy-Authorization: {self._shown(proxy.authorization)}")
        elif proxy.username is not None:
            self._command.add("--proxy-user", f"{self._shown(proxy.username)}:{self._shown(proxy.password or '')}")

    def _add_trust(self) -> None:
        route, verify = self._outline.route, self._config.verify
        kinds = ["", "proxy-"] if route.proxy is not None and route.proxy.scheme == "https" else [""]
        for kind in kinds:
            if verify is False:
                self._command.add(f"--{kind}insecure")
            elif isinstance(verify, str):
                self._command.add(f"--{kind}capath" if os.path.isdir(verify) else f"--{kind}cacert", verify)
        if not isinstance(verify, (bool, str)):
            self._command.remark("verify is an SSLContext, which cannot be shown: curl trusts what it trusts")
        if route.cert is not None:
            certificate, *rest = route.cert
            # A colon would end the name of the file.
            escaped = certificate.replace("\\", "\\\\").replace(":", "\\:")
            self._command.add("--cert", escaped)
            if rest:
                self._command.add("--key", rest[0])
            if len(rest) > 1:
                self._command.add("--pass", self._shown(rest[1]))
        self._add_version(route.http2)

    def _add_version(self, http2: bool | str) -> None:
        if self._outline.target.scheme == "https":
            # Left alone, curl would speak HTTP/2 over TLS with whoever knows it.
            self._command.add("--http2" if http2 else "--http1.1")
        elif http2 == "only":
            self._command.add("--http2-prior-knowledge")

    # How long, how far

    def _add_limits(self) -> None:
        outline, timeout = self._outline, Timeout.of(self._config.timeout)
        if outline.decompress:
            self._command.add("--compressed")
        if outline.max_redirects > 0:
            self._command.add("--location", "--max-redirs", str(outline.max_redirects))
        if timeout.connect is not None and timeout.connect < _LONGEST:
            self._command.add("--connect-timeout", _seconds(timeout.connect))
        is_gap = timeout.stream_gap is not None and outline.response_type == "stream"
        if timeout.total is not None and timeout.total < _LONGEST and not is_gap:
            self._command.add("--max-time", _seconds(timeout.total))

    def _add_remarks(self) -> None:
        config: Any = self._config
        if config.transform_request is not None:
            self._command.remark("transformRequest changes the body when it is sent: it is shown without that")
        if config.adapter is not None:
            self._command.remark(f"the call goes to {type(config.adapter).__name__}, this to the network")


def _has_proxy_variables() -> bool:
    return any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in os.environ)


def _seconds(value: float) -> str:
    """Without an exponent; 0 would be no limit to curl."""
    return f"{max(value, 0.001):.3f}".rstrip("0").rstrip(".")
