"""Through which proxy a request goes: as the `proxy` option says, or the variables of the environment.

What a proxy is, and how it is read, lies in `proxies` and `no_proxy`. With `ipaddress` and a dataclass they cost 6 ms
of every start, so they are loaded by those who have a proxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from atomhttp._model.no_proxy import NoProxy
    from atomhttp._model.proxies import Proxy, ProxyOption
    from atomhttp._model.url import Target


def choose_proxy(option: ProxyOption, target: Target, environment: ProxyEnvironment | None) -> Proxy | None:
    """The proxy for a request to `target`, or None.

    Args:
        option: what `check_proxy` returned. NO_PROXY is the environment's: it changes nothing for a proxy given here.
        target: where the request goes. A unix socket is reached without a proxy.
        environment: what counts when the option is None; None: nothing (`trustEnv=False`).

    Raises:
        AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: the variable that counts holds no proxy.
    """
    if option is False or target.socket_path is not None:
        return None
    if option is None:
        return None if environment is None else environment.choose(target)
    return option.choose(target)


class ProxyEnvironment:
    """What the environment says about proxies. Built by `read_environment`."""

    __slots__ = ("_no_proxy", "_proxies", "_variables")

    def __init__(self, variables: Mapping[str, tuple[str, str]], no_proxy: NoProxy | None) -> None:
        # By target scheme ("all" for any): the variable and its value. Read when it is first used: a slip in a variable
        # that a program never needs is no reason to fail.
        self._variables = variables
        self._no_proxy = no_proxy
        self._proxies: dict[str, Proxy] = {}

    def choose(self, target: Target) -> Proxy | None:
        """The proxy for a request to `target`, or None.

        Raises:
            AtomHTTPOptionError: ERR_BAD_OPTION_VALUE: the variable holds no proxy; the message names it.
        """
        found = self._variables.get(target.scheme) or self._variables.get("all")
        if found is None or (self._no_proxy is not None and self._no_proxy.matches(target.host, target.port)):
            return None
        variable, value = found
        proxy = self._proxies.get(variable)
        if proxy is None:
            from atomhttp._model.proxies import read_proxy_url

            proxy = self._proxies[variable] = read_proxy_url(variable, value)
        return proxy

    def __repr__(self) -> str:
        from atomhttp._model.proxies import show_proxy

        shown = {variable: show_proxy(value) for variable, value in self._variables.values()}
        return f"<ProxyEnvironment {shown} {self._no_proxy or ''}>"


def read_environment(environ: Mapping[str, str]) -> ProxyEnvironment:
    """The proxies in `environ` (`os.environ`): http_proxy, https_proxy, all_proxy and no_proxy.

    Either case, the lower wins; an empty value is none. With REQUEST_METHOD set, as in a CGI program, HTTP_PROXY is the
    `Proxy` field of whoever sent the request, and ignored (httpoxy, CVE-2016-5386).
    """
    # By going through it, not by asking for names: Windows answers for either case, and its HTTP_PROXY as http_proxy
    # would slip past the rule about CGI.
    held = {name: value.strip() for name, value in environ.items() if name.lower() in _VARIABLES}
    if "REQUEST_METHOD" in environ:
        held.pop("HTTP_PROXY", None)
    found: dict[str, tuple[str, str]] = {}
    for variable, scheme in _VARIABLES.items():
        spelling = variable if held.get(variable) else variable.upper()
        if held.get(spelling):
            found[scheme] = (spelling, held[spelling])
    _, no_proxy = found.pop("", ("", ""))
    if not found or not no_proxy:
        return ProxyEnvironment(found, None)
    from atomhttp._model.no_proxy import NoProxy

    return ProxyEnvironment(found, NoProxy(no_proxy))


# The variables, and the scheme of the targets that they are about.
_VARIABLES: Final = {"http_proxy": "http", "https_proxy": "https", "all_proxy": "all", "no_proxy": ""}
