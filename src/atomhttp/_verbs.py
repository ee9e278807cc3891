"""The types of the verbs and of their options. Only type checkers import this.

`response.data` has the type that `response_type` says, so each verb is a set of overloads; what else a call or a client
takes is a TypedDict, so that a misspelt option is an error before it runs. The TypedDicts spell out both names of every
option because no type checker can read them from the table in `_model/options.py`; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from os import PathLike
from types import UnionType
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, TypeVar, Unpack, overload

from atomhttp._adapters.base import Adapter
from atomhttp._model.abort import AbortSignal
from atomhttp._model.config import RequestConfig
from atomhttp._model.cookies import CookieJar
from atomhttp._model.params import ParamsSerializer
from atomhttp._model.proxies import Proxy
from atomhttp._model.request import Request
from atomhttp._pipeline.response import Response
from atomhttp._pipeline.stream import ResponseStream, SyncResponseStream
from atomhttp.auth import AuthFlow, BasicAuth, BearerAuth, HeaderAuth
from atomhttp.progress import ProgressEvent
from atomhttp.types import (
    CertInput,
    HeadersInput,
    HeaderValue,
    ParamsInput,
    ResponseType,
    StatusValidator,
    TimeoutInput,
    VerifyInput,
)

T = TypeVar("T")
Client_co = TypeVar("Client_co", covariant=True)


class URLObject(Protocol):
    """A URL of another library (yarl, httpx, pydantic): its `str()` is taken."""

    @property
    def scheme(self) -> str: ...
    @property
    def host(self) -> str | None: ...


URL: TypeAlias = str | URLObject
Params: TypeAlias = "ParamsInput | None"
ConfigInput: TypeAlias = Mapping[str, Any] | RequestConfig | None
AnyPath: TypeAlias = str | PathLike[str]
Form: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]
ResponseTypeInput: TypeAlias = ResponseType | type[Any] | UnionType
Serializer: TypeAlias = ParamsSerializer | Callable[..., str] | Mapping[str, Any] | None
AuthObject: TypeAlias = BasicAuth | BearerAuth | AuthFlow | HeaderAuth
AuthInput: TypeAlias = AuthObject | tuple[str, str] | Mapping[str, str] | Callable[[Request], Any] | None
# (loaded, total), or one ProgressEvent.
ProgressCallback: TypeAlias = Callable[[int, int], Any] | Callable[[ProgressEvent], Any]
Transformers: TypeAlias = "Callable[..., Any] | Sequence[Callable[..., Any]] | None"
BeforeRedirect: TypeAlias = Callable[[Request, Response[Any]], Any]
RetryInput: TypeAlias = "bool | int | Mapping[str, Any] | None"
RateInput: TypeAlias = "float | Sequence[float | None] | None"
CookiesInput: TypeAlias = "Mapping[str, str] | CookieJar | Literal[False] | None"
# A URL, axios's mapping, or a mapping of targets to proxies.
ProxyInput: TypeAlias = "str | Proxy | Mapping[str, Any] | Literal[False] | None"
# (address), (address, port) or (address, port, host).
AddressGuard: TypeAlias = Literal["public"] | Callable[..., bool] | None
IPAddress: TypeAlias = str | IPv4Address | IPv6Address
Addresses: TypeAlias = Iterable[IPAddress]
Resolver: TypeAlias = Callable[[str, int], Addresses | Awaitable[Addresses]] | None
Hosts: TypeAlias = Mapping[str, IPAddress | Iterable[IPAddress]] | None
LocalAddress: TypeAlias = IPAddress | tuple[IPAddress, int] | None
# A client's header fields, and by the name of a layer ("common", "post", …) mappings of more of them.
LayeredHeaders: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, HeaderValue]]


# Options. Both spellings of each, in the order of `_model/options.py`. Only `response_type` is not where `responseType`
# is: it decides between the overloads of a verb, and so it is a parameter of theirs.


class _MostSharedOptions(TypedDict, total=False):
    base_url: str | None
    baseURL: str | None
    timeout: TimeoutInput
    auth: AuthInput
    on_upload_progress: ProgressCallback | None
    onUploadProgress: ProgressCallback | None
    on_download_progress: ProgressCallback | None
    onDownloadProgress: ProgressCallback | None
    transform_request: Transformers
    transformRequest: Transformers
    transform_response: Transformers
    transformResponse: Transformers
    max_redirects: int
    maxRedirects: int
    before_redirect: BeforeRedirect | None
    beforeRedirect: BeforeRedirect | None
    cross_origin_headers: str | Iterable[str] | None
    crossOriginHeaders: str | Iterable[str] | None
    allow_insecure_redirect: bool
    allowInsecureRedirect: bool
    retry_config: RetryInput
    retryConfig: RetryInput
    max_rate: RateInput
    maxRate: RateInput
    max_body_length: int | None
    maxBodyLength: int | None
    max_content_length: int | None
    maxContentLength: int | None
    decompress: bool
    response_encoding: str | None
    responseEncoding: str | None
    transitional: Mapping[str, bool] | None
    with_credentials: bool
    withCredentials: bool
    cookies: CookiesInput
    xsrf_cookie_name: str
    xsrfCookieName: str
    xsrf_header_name: str
    xsrfHeaderName: str
    with_xsrf_token: bool
    withXSRFToken: bool
    proxy: ProxyInput
    trust_env: bool
    trustEnv: bool
    address_guard: AddressGuard
    addressGuard: AddressGuard
    signal: AbortSignal | None
    socket_path: AnyPath | None
    socketPath: AnyPath | None
    allowed_socket_paths: AnyPath | Iterable[AnyPath] | None
    allowedSocketPaths: AnyPath | Iterable[AnyPath] | None
    verify: VerifyInput
    cert: CertInput | None
    keep_alive: bool
    keepAlive: bool
    adapter: Adapter | None
    meta: Mapping[str, Any] | None
    allow_absolute_urls: bool
    allowAbsoluteUrls: bool
    params_serializer: Serializer
    paramsSerializer: Serializer
    form_serializer: Mapping[str, Any] | None
    formSerializer: Mapping[str, Any] | None
    json_encoder: Callable[[Any], bytes | str] | None
    jsonEncoder: Callable[[Any], bytes | str] | None
    json_decoder: Callable[[bytes], Any] | None
    jsonDecoder: Callable[[bytes], Any] | None


class SharedOptions(_MostSharedOptions, total=False):
    """Options of a call and of a client alike."""

    responseType: ResponseTypeInput
    validate_status: StatusValidator | None
    validateStatus: StatusValidator | None


class _MostCallOptions(SharedOptions, total=False):
    headers: HeadersInput | None
    json: Any
    form: Form | None


class CallOptions(_MostCallOptions, total=False):
    """Every option of a call."""

    url: URL
    method: str
    data: Any
    params: Params
    response_type: ResponseTypeInput


# What a verb takes by keyword, besides the parameters that its overloads name.


class _VerbOptions(_MostCallOptions, total=False):
    config: ConfigInput


class ParamsOptions(_VerbOptions, total=False):
    """For `verb(url, params)`."""

    data: Any


class DataOptions(_VerbOptions, total=False):
    """For `verb(url, data)`."""

    params: Params


class DownloadOptions(_MostSharedOptions, total=False):
    """For `download(url, path)`."""

    config: ConfigInput
    params: Params
    headers: HeadersInput | None


class UploadOptions(DataOptions, total=False):
    """For `upload(url, path)`."""

    response_type: ResponseTypeInput


class RequestOptions(DataOptions, total=False):
    """For `request(method, url)`."""

    data: Any


class ClientOptions(SharedOptions, total=False):
    """Every option of a client."""

    params: Params
    headers: LayeredHeaders | None
    response_type: ResponseTypeInput
    max_connections: int
    maxConnections: int
    max_connections_per_origin: int
    maxConnectionsPerOrigin: int
    keep_alive_timeout: float | None
    keepAliveTimeout: float | None
    connection_lifetime: float | None
    connectionLifetime: float | None
    resolver: Resolver
    hosts: Hosts
    local_address: LocalAddress
    localAddress: LocalAddress
    max_header_size: int
    maxHeaderSize: int
    http2: bool | Literal["only"]
    ping_interval: float | None
    pingInterval: float | None


class Create(Protocol[Client_co]):
    """`create`."""

    def __call__(self, config: ConfigInput = None, /, **options: Unpack[ClientOptions]) -> Client_co: ...


# Verbs. The overloads differ in `response_type` and in what it makes of `response.data`, nothing else.

First: TypeAlias = str | ConfigInput  # of `request`: the method, or all there is
Second: TypeAlias = URL | None
Text: TypeAlias = Literal["text"]
Bytes: TypeAlias = Literal["blob", "arraybuffer"]
Stream: TypeAlias = Literal["stream"]
# "json" or nothing; also a union, and a str of which only the running program knows what it says.
Other: TypeAlias = ResponseType | UnionType


class AsyncVerbs:
    """The verbs of AtomHTTP, which has them itself when it runs."""

    @overload
    async def request(
        self, method: First = None, url: Second = None, **options: Unpack[RequestOptions]
    ) -> Response[Any]: ...
    @overload
    async def request(
        self, method: First = None, url: Second = None, *, response_type: Text, **options: Unpack[RequestOptions]
    ) -> Response[str]: ...
    @overload
    async def request(
        self, method: First = None, url: Second = None, *, response_type: Bytes, **options: Unpack[RequestOptions]
    ) -> Response[bytes]: ...
    @overload
    async def request(
        self, method: First = None, url: Second = None, *, response_type: Stream, **options: Unpack[RequestOptions]
    ) -> Response[ResponseStream]: ...
    @overload
    async def request(
        self, method: First = None, url: Second = None, *, response_type: type[T], **options: Unpack[RequestOptions]
    ) -> Response[T]: ...
    @overload
    async def request(
        self, method: First = None, url: Second = None, *, response_type: Other = ..., **options: Unpack[RequestOptions]
    ) -> Response[Any]: ...
    async def request(self, *arguments: Any, **options: Any) -> Any: ...

    @overload
    async def get(self, url: URL, params: Params = None, **options: Unpack[ParamsOptions]) -> Response[Any]: ...
    @overload
    async def get(
        self, url: URL, params: Params = None, *, response_type: Text, **options: Unpack[ParamsOptions]
    ) -> Response[str]: ...
    @overload
    async def get(
        self, url: URL, params: Params = None, *, response_type: Bytes, **options: Unpack[ParamsOptions]
    ) -> Response[bytes]: ...
    @overload
    async def get(
        self, url: URL, params: Params = None, *, response_type: Stream, **options: Unpack[ParamsOptions]
    ) -> Response[ResponseStream]: ...
    @overload
    async def get(
        self, url: URL, params: Params = None, *, response_type: type[T], **options: Unpack[ParamsOptions]
    ) -> Response[T]: ...
    @overload
    async def get(
        self, url: URL, params: Params = None, *, response_type: Other = ..., **options: Unpack[ParamsOptions]
    ) -> Response[Any]: ...
    async def get(self, *arguments: Any, **options: Any) -> Any: ...

    delete = head = options = get

    @overload
    async def post(self, url: URL, data: Any = None, **options: Unpack[DataOptions]) -> Response[Any]: ...
    @overload
    async def post(
        self, url: URL, data: Any = None, *, response_type: Text, **options: Unpack[DataOptions]
    ) -> Response[str]: ...
    @overload
    async def post(
        self, url: URL, data: Any = None, *, response_type: Bytes, **options: Unpack[DataOptions]
    ) -> Response[bytes]: ...
    @overload
    async def post(
        self, url: URL, data: Any = None, *, response_type: Stream, **options: Unpack[DataOptions]
    ) -> Response[ResponseStream]: ...
    @overload
    async def post(
        self, url: URL, data: Any = None, *, response_type: type[T], **options: Unpack[DataOptions]
    ) -> Response[T]: ...
    @overload
    async def post(
        self, url: URL, data: Any = None, *, response_type: Other = ..., **options: Unpack[DataOptions]
    ) -> Response[Any]: ...
    async def post(self, *arguments: Any, **options: Any) -> Any: ...

    put = patch = query = post_form = put_form = patch_form = post


class SyncVerbs:
    """The verbs of SyncAtomHTTP, which has them itself when it runs."""

    @overload
    def request(self, method: First = None, url: Second = None, **options: Unpack[RequestOptions]) -> Response[Any]: ...
    @overload
    def request(
        self, method: First = None, url: Second = None, *, response_type: Text, **options: Unpack[RequestOptions]
    ) -> Response[str]: ...
    @overload
    def request(
        self, method: First = None, url: Second = None, *, response_type: Bytes, **options: Unpack[RequestOptions]
    ) -> Response[bytes]: ...
    @overload
    def request(
        self, method: First = None, url: Second = None, *, response_type: Stream, **options: Unpack[RequestOptions]
    ) -> Response[SyncResponseStream]: ...
    @overload
    def request(
        self, method: First = None, url: Second = None, *, response_type: type[T], **options: Unpack[RequestOptions]
    ) -> Response[T]: ...
    @overload
    def request(
        self, method: First = None, url: Second = None, *, response_type: Other = ..., **options: Unpack[RequestOptions]
    ) -> Response[Any]: ...
    def request(self, *arguments: Any, **options: Any) -> Any: ...

    @overload
    def get(self, url: URL, params: Params = None, **options: Unpack[ParamsOptions]) -> Response[Any]: ...
    @overload
    def get(
        self, url: URL, params: Params = None, *, response_type: Text, **options: Unpack[ParamsOptions]
    ) -> Response[str]: ...
    @overload
    def get(
        self, url: URL, params: Params = None, *, response_type: Bytes, **options: Unpack[ParamsOptions]
    ) -> Response[bytes]: ...
    @overload
    def get(
        self, url: URL, params: Params = None, *, response_type: Stream, **options: Unpack[ParamsOptions]
    ) -> Response[SyncResponseStream]: ...
    @overload
    def get(
        self, url: URL, params: Params = None, *, response_type: type[T], **options: Unpack[ParamsOptions]
    ) -> Response[T]: ...
    @overload
    def get(
        self, url: URL, params: Params = None, *, response_type: Other = ..., **options: Unpack[ParamsOptions]
    ) -> Response[Any]: ...
    def get(self, *arguments: Any, **options: Any) -> Any: ...

    delete = head = options = get

    @overload
    def post(self, url: URL, data: Any = None, **options: Unpack[DataOptions]) -> Response[Any]: ...
    @overload
    def post(
        self, url: URL, data: Any = None, *, response_type: Text, **options: Unpack[DataOptions]
    ) -> Response[str]: ...
    @overload
    def post(
        self, url: URL, data: Any = None, *, response_type: Bytes, **options: Unpack[DataOptions]
    ) -> Response[bytes]: ...
    @overload
    def post(
        self, url: URL, data: Any = None, *, response_type: Stream, **options: Unpack[DataOptions]
    ) -> Response[SyncResponseStream]: ...
    @overload
    def post(
        self, url: URL, data: Any = None, *, response_type: type[T], **options: Unpack[DataOptions]
    ) -> Response[T]: ...
    @overload
    def post(
        self, url: URL, data: Any = None, *, response_type: Other = ..., **options: Unpack[DataOptions]
    ) -> Response[Any]: ...
    def post(self, *arguments: Any, **options: Any) -> Any: ...

    put = patch = query = post_form = put_form = patch_form = post
