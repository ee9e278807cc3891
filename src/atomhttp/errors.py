"""Every error and warning that atomhttp raises.

```
AtomHTTPError
├─ AtomHTTPRequestError            the request or what came of it was refused
│  ├─ AtomHTTPOptionError (ValueError)   ERR_BAD_OPTION, ERR_BAD_OPTION_VALUE, ERR_FORM_DATA_DEPTH_EXCEEDED, ERR_NOT_SUPPORT
│  ├─ AtomHTTPURLError (ValueError)      ERR_INVALID_URL
│  ├─ AtomHTTPStatusError                ERR_BAD_REQUEST (4xx), ERR_BAD_RESPONSE (the rest)
│  ├─ AtomHTTPRedirectError              ERR_FR_TOO_MANY_REDIRECTS, ERR_BAD_REDIRECT
│  ├─ AtomHTTPLimitError                 ERR_MAX_BODY_LENGTH, ERR_MAX_CONTENT_LENGTH
│  ├─ AtomHTTPDecodeError                ERR_BAD_RESPONSE
│  ├─ AtomHTTPChecksumError              ERR_CHECKSUM
│  └─ AtomHTTPClosedError (RuntimeError) ERR_CLIENT_CLOSED, ERR_STREAM_CONSUMED
├─ AtomHTTPNetworkError (ConnectionError) ECONNREFUSED, ECONNRESET, ENOTFOUND, …; ERR_NETWORK when no finer one is known
│  ├─ AtomHTTPTLSError                   Node's strings: CERT_HAS_EXPIRED, …; else ERR_TLS
│  ├─ AtomHTTPProxyError                 ERR_PROXY
│  └─ AtomHTTPProtocolError              ERR_BAD_RESPONSE (the peer broke HTTP), HPE_HEADER_OVERFLOW
├─ AtomHTTPTimeoutError (TimeoutError)   ECONNABORTED
└─ AtomHTTPCanceledError                 ERR_CANCELED
```

The class says whose fault it was, `code` says which fault, in the words of axios and Node. Messages, `to_dict()`,
`repr` and pickles never hold a secret; `error.config` in the process is the live object, so that it can be sent again.
"""  # noqa: E501  # the drawing has one line a class

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from atomhttp._redact import redact_url, show_value

if TYPE_CHECKING:
    from atomhttp._model.config import RequestConfig
    from atomhttp._model.request import Request
    from atomhttp._pipeline.attempt import Attempt
    from atomhttp._pipeline.response import Response


class AtomHTTPError(Exception):
    """The base of all errors of this package.

    Args:
        message: what went wrong, for a person.
        code: a stable string for a program (axios's and Node's names); the class's first code by default.
        config: the RequestConfig of the call, when there was one.
        request: the Request that was being sent, when it was built.
        response: the Response, when one had been received.
    """

    codes: ClassVar[tuple[str, ...]] = ("ERR_NETWORK",)
    # What the adapter had received when it failed, until the pipeline makes a response of it.
    received: Any = None
    # Raised by a function of the caller's: nothing is retried for it.
    from_caller: bool = False
    # Whether the content of its response is in its pickle.
    _keeps_content: ClassVar[bool] = True

    def __init__(
        self,
        message: str = "",
        code: str | None = None,
        *,
        config: RequestConfig | None = None,
        request: Request | None = None,
        response: Response[Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code if code is not None else self.codes[0]
        self.config = config
        self.request = request
        self.response = response
        self.attempts: tuple[Attempt, ...] = ()

    @property
    def status(self) -> int | None:
        """The response's status, or None when there was no response."""
        return None if self.response is None else int(self.response.status)

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({show_value(self.message, 300)}, code={self.code!r})"

    def to_dict(self) -> dict[str, Any]:
        """The error as plain values, secrets redacted (axios's `toJSON` without the browser's fields)."""
        described: dict[str, Any] = {"name": type(self).__name__, "message": self.message}
        described.update(code=self.code, status=self.status)
        if self.config is not None:
            described["config"] = self.config.to_dict()
        if self.__cause__ is not None:
            described["cause"] = type(self.__cause__).__name__
        return described

    def __reduce__(self) -> tuple[Any, ...]:
        # The request goes (it may hold a socket's worth of state), the config travels without its secrets.
        state = {name: value for name, value in self.__dict__.items() if name not in ("config", "request")}
        given: Any = self.config
        config = given.redacted() if hasattr(given, "redacted") else None
        if self.response is not None:
            state["response"] = self.response.redacted(self._keeps_content)
        return (_rebuild, (type(self), self.message, self.code, config, state))


def _rebuild(cls: type[AtomHTTPError], message: str, code: str, config: Any, state: dict[str, Any]) -> AtomHTTPError:
    error = cls.__new__(cls)
    AtomHTTPError.__init__(error, message, code, config=config)
    error.__dict__.update(state)
    return error


class AtomHTTPRequestError(AtomHTTPError):
    """The request, or what came of it, was refused; sending it again unchanged gives the same."""

    codes: ClassVar[tuple[str, ...]] = ("ERR_BAD_REQUEST",)


class AtomHTTPOptionError(AtomHTTPRequestError, ValueError):
    """An option that does not exist, is in the wrong place, or has a value of the wrong kind."""

    codes = ("ERR_BAD_OPTION", "ERR_BAD_OPTION_VALUE", "ERR_FORM_DATA_DEPTH_EXCEEDED", "ERR_NOT_SUPPORT")


class AtomHTTPURLError(AtomHTTPRequestError, ValueError):
    """A URL that cannot be requested."""

    codes = ("ERR_INVALID_URL",)


class AtomHTTPStatusError(AtomHTTPRequestError):
    """A status that `validateStatus` refused, or that `raise_for_status()` met; `.response` is complete."""

    if TYPE_CHECKING:
        # That it has one is what it is for.
        response: Response[Any]  # pyright: ignore[reportIncompatibleVariableOverride]  # it is None in no such error

    codes = ("ERR_BAD_REQUEST", "ERR_BAD_RESPONSE")


class AtomHTTPRedirectError(AtomHTTPRequestError):
    """A redirect that was not followed."""

    codes = ("ERR_FR_TOO_MANY_REDIRECTS", "ERR_BAD_REDIRECT")


class AtomHTTPLimitError(AtomHTTPRequestError):
    """A body larger than `maxBodyLength` or `maxContentLength`. `limit` and `size` (so far) are in bytes."""

    codes = ("ERR_MAX_BODY_LENGTH", "ERR_MAX_CONTENT_LENGTH")

    def __init__(self, message: str = "", code: str | None = None, *, limit: int, size: int, **context: Any) -> None:
        super().__init__(message, code, **context)
        self.limit = limit
        self.size = size


class AtomHTTPDecodeError(AtomHTTPRequestError):
    """A response whose content could not be decoded (content coding, JSON, or the type asked for)."""

    codes = ("ERR_BAD_RESPONSE",)
    # Nobody knows what it is that did not fit.
    _keeps_content = False


class AtomHTTPChecksumError(AtomHTTPRequestError):
    """A download that is not what its `checksum` says.

    Attributes:
        expected: the digest that was given, in hexadecimal.
        actual: that of what was received.
    """

    codes = ("ERR_CHECKSUM",)

    def __init__(
        self, message: str = "", code: str | None = None, *, expected: str, actual: str, **context: Any
    ) -> None:
        super().__init__(message, code, **context)
        self.expected = expected
        self.actual = actual


class AtomHTTPClosedError(AtomHTTPRequestError, RuntimeError):
    """Something closed or used up was used again."""

    codes = ("ERR_CLIENT_CLOSED", "ERR_STREAM_CONSUMED")


class AtomHTTPNetworkError(AtomHTTPError, ConnectionError):
    """The network or the peer failed.

    Attributes:
        request_sent: "no" when no byte of the request left, "yes" when all of it did, else "maybe".
        reused: whether it happened on a kept-alive connection before a byte of the response came.
        unprocessed: the peer has said that it did nothing with the request (HTTP/2: REFUSED_STREAM, GOAWAY).
        elsewhere: it was the connection that took no more (GOAWAY); another one may well take it.
    """

    codes: ClassVar[tuple[str, ...]] = (
        "ERR_NETWORK",
        "ECONNREFUSED",
        "ECONNRESET",
        "ECONNABORTED",
        "EPIPE",
        "ENOTFOUND",
        "EAI_AGAIN",
        "EHOSTUNREACH",
        "ENETUNREACH",
        "EADDRNOTAVAIL",
        "EACCES",
        "ENOENT",
        "EMFILE",
        "ETIMEDOUT",
        "ERR_ADDRESS_REFUSED",
    )

    def __init__(
        self,
        message: str = "",
        code: str | None = None,
        *,
        request_sent: str = "no",
        reused: bool = False,
        unprocessed: bool = False,
        elsewhere: bool = False,
        **context: Any,
    ) -> None:
        super().__init__(message, code, **context)
        self.request_sent = request_sent
        self.reused = reused
        self.unprocessed = unprocessed
        self.elsewhere = elsewhere


class AtomHTTPTLSError(AtomHTTPNetworkError):
    """TLS failed: a certificate that is not trusted, a name that does not match, a broken record.

    Attributes:
        certificate: what the refused certificate says, as `ssl.SSLSocket.getpeercert` does; None where that is not what
            failed, or where this Python does not tell.
    """

    certificate: dict[str, Any] | None = None

    codes = (
        "ERR_TLS",
        "CERT_HAS_EXPIRED",
        "CERT_NOT_YET_VALID",
        "CERT_REVOKED",
        "CERT_REJECTED",
        "CERT_UNTRUSTED",
        "CERT_SIGNATURE_FAILURE",
        "DEPTH_ZERO_SELF_SIGNED_CERT",
        "SELF_SIGNED_CERT_IN_CHAIN",
        "UNABLE_TO_GET_ISSUER_CERT",
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        "INVALID_CA",
        "INVALID_PURPOSE",
        "PATH_LENGTH_EXCEEDED",
        "ERR_TLS_CERT_ALTNAME_INVALID",
    )


class AtomHTTPProxyError(AtomHTTPNetworkError):
    """The proxy refused, or could not be used.

    Attributes:
        proxy_status: the status with which an HTTP proxy refused a tunnel, None when that was not what happened.
    """

    codes = ("ERR_PROXY",)

    def __init__(
        self, message: str = "", code: str | None = None, *, proxy_status: int | None = None, **context: Any
    ) -> None:
        super().__init__(message, code, **context)
        self.proxy_status = proxy_status


class AtomHTTPProtocolError(AtomHTTPNetworkError):
    """The peer broke HTTP: nothing of what it sent can be trusted, and the connection is closed."""

    codes = ("ERR_BAD_RESPONSE", "HPE_HEADER_OVERFLOW")


class AtomHTTPTimeoutError(AtomHTTPError, TimeoutError):
    """A timeout passed.

    Attributes:
        phase: "pool", "dns", "connect", "tls", "write", "headers" or "body": what was being waited for.
        limit: the limit that passed, in seconds.
        elapsed: seconds since the call began.
        url: the URL, redacted.
    """

    codes = ("ECONNABORTED",)

    def __init__(
        self,
        message: str = "",
        code: str | None = None,
        *,
        phase: str,
        limit: float,
        elapsed: float,
        url: str = "",
        **context: Any,
    ) -> None:
        super().__init__(message, code, **context)
        self.phase = phase
        self.limit = limit
        self.elapsed = elapsed
        self.url = redact_url(url)

    @classmethod
    def passed(cls, limit: float, elapsed: float, phase: str, url: str, *, by_phase: bool = False) -> Self:
        """The error for a limit that has passed while `phase` was being waited for; `by_phase`: the phase's own."""
        url = redact_url(url)
        # Under the name that it was given by.
        kind = f"{'read' if phase in ('headers', 'body') else phase} limit" if by_phase else "total limit"
        message = f"timeout of {limit:g} s exceeded ({kind}) after {elapsed:.3f} s in phase {phase!r}: {url}"
        return cls(message, phase=phase, limit=limit, elapsed=elapsed, url=url)


class AtomHTTPCanceledError(AtomHTTPError):
    """The caller's signal aborted the call (axios's CanceledError).

    Attributes:
        reason: what `abort` was given.
    """

    codes = ("ERR_CANCELED",)

    def __init__(
        self, message: str = "canceled", code: str | None = None, *, reason: Any = None, **context: Any
    ) -> None:
        super().__init__(message, code, **context)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        build, (kind, message, code, config, state) = super().__reduce__()
        # Anything can be a reason, and not all of it may leave the process.
        reason = self.reason if isinstance(self.reason, (str, int, float, TimeoutError)) else None
        return (build, (kind, message, code, config, {**state, "reason": reason}))


AtomHTTPCancelError = AtomHTTPCanceledError


class AtomHTTPWarning(UserWarning):
    """The base of all warnings of this package."""


class InsecureRequestWarning(AtomHTTPWarning):
    """Certificates are not verified (`verify=False`): anybody on the way can read and change what is sent."""


def is_atomhttp_error(value: object) -> bool:
    """Whether `value` is an error of this package (axios's `isAxiosError`)."""
    return isinstance(value, AtomHTTPError)


def is_cancel(value: object) -> bool:
    """Whether `value` says that the caller aborted the call (axios's `isCancel`)."""
    return isinstance(value, AtomHTTPCanceledError)
