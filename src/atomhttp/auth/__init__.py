"""Authentication: what the `auth` option takes.

Two kinds: credentials that are a header field (`get_header()`), and exchanges (`auth_flow(request)`), which see each
request of a call on its way and the response to it. A file holds one of them; `flow` says what they look like, `option`
what else the option takes. They may import `_model` and `errors`, do no I/O of their own, and know no event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomhttp._later import load_later
from atomhttp.auth.basic import BasicAuth
from atomhttp.auth.bearer import BearerAuth
from atomhttp.auth.flow import AuthFlow, HeaderAuth
from atomhttp.auth.option import check_auth, is_flow

if TYPE_CHECKING:
    from atomhttp.auth.digest import DigestAuth
    from atomhttp.auth.netrc import NetrcAuth
    from atomhttp.auth.refreshing import RefreshingAuth

__all__ = [
    "AuthFlow",
    "BasicAuth",
    "BearerAuth",
    "DigestAuth",
    "HeaderAuth",
    "NetrcAuth",
    "RefreshingAuth",
    "check_auth",
    "is_flow",
]

if not TYPE_CHECKING:
    # Loaded by those who use them: 5 ms of every start.
    __getattr__, __dir__ = load_later(
        globals(),
        DigestAuth="atomhttp.auth.digest",
        NetrcAuth="atomhttp.auth.netrc",
        RefreshingAuth="atomhttp.auth.refreshing",
    )
