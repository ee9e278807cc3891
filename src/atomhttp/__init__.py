"""atomhttp: axios's way of working, on a fast and safe engine, asynchronous and synchronous."""

from __future__ import annotations

import logging
import typing

from atomhttp import auth, errors
from atomhttp._adapters.base import Adapter, AdapterResponse
from atomhttp._adapters.network import HTTPAdapter
from atomhttp._later import load_later as _load_later
from atomhttp._model.abort import AbortController, AbortSignal
from atomhttp._model.config import RequestConfig, merge_config
from atomhttp._model.cookies import CookieJar
from atomhttp._model.headers import Headers
from atomhttp._model.request import Request
from atomhttp._model.timeout import Timeout
from atomhttp._net.pool import PoolStats
from atomhttp._pipeline.attempt import Attempt
from atomhttp._pipeline.interceptors import InterceptorManager
from atomhttp._pipeline.response import Response, Timings
from atomhttp._pipeline.retry import RetryInfo
from atomhttp._pipeline.stream import ResponseStream, SyncResponseStream
from atomhttp._version import __version__
from atomhttp.auth import BasicAuth, BearerAuth
from atomhttp.client import AsyncAtomHTTP, AtomHTTP
from atomhttp.errors import (
    AtomHTTPCanceledError,
    AtomHTTPCancelError,
    AtomHTTPChecksumError,
    AtomHTTPClosedError,
    AtomHTTPDecodeError,
    AtomHTTPError,
    AtomHTTPLimitError,
    AtomHTTPNetworkError,
    AtomHTTPOptionError,
    AtomHTTPProtocolError,
    AtomHTTPProxyError,
    AtomHTTPRedirectError,
    AtomHTTPRequestError,
    AtomHTTPStatusError,
    AtomHTTPTimeoutError,
    AtomHTTPTLSError,
    AtomHTTPURLError,
    AtomHTTPWarning,
    InsecureRequestWarning,
    is_atomhttp_error,
    is_cancel,
)
from atomhttp.form_data import FormData, form_to_json, to_form_data
from atomhttp.sync import SyncAtomHTTP, delete, get, head, options, patch, post, put, query, request

if typing.TYPE_CHECKING:
    from atomhttp import progress
    from atomhttp._adapters.mock import MockAdapter
    from atomhttp._model.cookie import Cookie
    from atomhttp._model.proxies import Proxy
    from atomhttp._model.status_code import HttpStatusCode
    from atomhttp.auth import DigestAuth, NetrcAuth, RefreshingAuth
    from atomhttp.progress import ProgressBar, ProgressEvent

# Nothing is printed unless the application asks for it.
logging.getLogger("atomhttp").addHandler(logging.NullHandler())

__all__ = [
    "AbortController",
    "AbortSignal",
    "Adapter",
    "AdapterResponse",
    "AsyncAtomHTTP",
    "AtomHTTP",
    "AtomHTTPCancelError",
    "AtomHTTPCanceledError",
    "AtomHTTPChecksumError",
    "AtomHTTPClosedError",
    "AtomHTTPDecodeError",
    "AtomHTTPError",
    "AtomHTTPLimitError",
    "AtomHTTPNetworkError",
    "AtomHTTPOptionError",
    "AtomHTTPProtocolError",
    "AtomHTTPProxyError",
    "AtomHTTPRedirectError",
    "AtomHTTPRequestError",
    "AtomHTTPStatusError",
    "AtomHTTPTLSError",
    "AtomHTTPTimeoutError",
    "AtomHTTPURLError",
    "AtomHTTPWarning",
    "Attempt",
    "BasicAuth",
    "BearerAuth",
    "Cookie",
    "CookieJar",
    "DigestAuth",
    "FormData",
    "HTTPAdapter",
    "Headers",
    "HttpStatusCode",
    "InsecureRequestWarning",
    "InterceptorManager",
    "MockAdapter",
    "NetrcAuth",
    "PoolStats",
    "ProgressBar",
    "ProgressEvent",
    "Proxy",
    "RefreshingAuth",
    "Request",
    "RequestConfig",
    "Response",
    "ResponseStream",
    "RetryInfo",
    "SyncAtomHTTP",
    "SyncResponseStream",
    "Timeout",
    "Timings",
    "__version__",
    "auth",
    "delete",
    "errors",
    "form_to_json",
    "get",
    "head",
    "is_atomhttp_error",
    "is_cancel",
    "merge_config",
    "options",
    "patch",
    "post",
    "progress",
    "put",
    "query",
    "request",
    "to_form_data",
]

if not typing.TYPE_CHECKING:
    # What most programs never ask for is loaded when it is: 15 ms of every start.
    __getattr__, __dir__ = _load_later(
        globals(),
        Cookie="atomhttp._model.cookie",
        DigestAuth="atomhttp.auth",
        HttpStatusCode="atomhttp._model.status_code",
        MockAdapter="atomhttp._adapters.mock",
        NetrcAuth="atomhttp.auth",
        ProgressBar="atomhttp.progress",
        ProgressEvent="atomhttp.progress",
        Proxy="atomhttp._model.proxies",
        RefreshingAuth="atomhttp.auth",
        progress="atomhttp.progress",
    )
