"""The types of the verbs of `SyncAtomHTTP.defer`. Only type checkers import this.

Beside `_verbs` and not in it: `Deferred` knows the client, and mypy would have the client's verbs in a circle.
"""

from __future__ import annotations

from typing import Any, TypeVar, Unpack, overload

from atomhttp._deferred import Deferred
from atomhttp._pipeline.response import Response
from atomhttp._pipeline.stream import SyncResponseStream
from atomhttp._verbs import (
    URL,
    AnyPath,
    Bytes,
    DataOptions,
    First,
    Other,
    Params,
    ParamsOptions,
    RequestOptions,
    Second,
    Stream,
    Text,
    UploadOptions,
)

T = TypeVar("T")


class DeferredVerbs:
    """The verbs of `SyncAtomHTTP.defer`, which finds them when it runs."""

    @overload
    def request(
        self, method: First = None, url: Second = None, **options: Unpack[RequestOptions]
    ) -> Deferred[Response[Any]]: ...
    @overload
    def request(
        self, method: First = None, url: Second = None, *, response_type: Text, **options: Unpack[RequestOptions]
    ) -> Deferred[Response[str]]: ...
    @overload
    def request(
        self, method: First = None, url: Second = None, *, response_type: Bytes, **options: Unpack[RequestOptions]
    ) -> Deferred[Response[bytes]]: ...
    @overload
    def request(
        self, method: First = None, url: Second = None, *, response_type: Stream, **options: Unpack[RequestOptions]
    ) -> Deferred[Response[SyncResponseStream]]: ...
    @overload
    def request(
        self, method: First = None, url: Second = None, *, response_type: type[T], **options: Unpack[RequestOptions]
    ) -> Deferred[Response[T]]: ...
    @overload
    def request(
        self, method: First = None, url: Second = None, *, response_type: Other = ..., **options: Unpack[RequestOptions]
    ) -> Deferred[Response[Any]]: ...
    def request(self, *arguments: Any, **options: Any) -> Any: ...

    @overload
    def get(self, url: URL, params: Params = None, **options: Unpack[ParamsOptions]) -> Deferred[Response[Any]]: ...
    @overload
    def get(
        self, url: URL, params: Params = None, *, response_type: Text, **options: Unpack[ParamsOptions]
    ) -> Deferred[Response[str]]: ...
    @overload
    def get(
        self, url: URL, params: Params = None, *, response_type: Bytes, **options: Unpack[ParamsOptions]
    ) -> Deferred[Response[bytes]]: ...
    @overload
    def get(
        self, url: URL, params: Params = None, *, response_type: Stream, **options: Unpack[ParamsOptions]
    ) -> Deferred[Response[SyncResponseStream]]: ...
    @overload
    def get(
        self, url: URL, params: Params = None, *, response_type: type[T], **options: Unpack[ParamsOptions]
    ) -> Deferred[Response[T]]: ...
    @overload
    def get(
        self, url: URL, params: Params = None, *, response_type: Other = ..., **options: Unpack[ParamsOptions]
    ) -> Deferred[Response[Any]]: ...
    def get(self, *arguments: Any, **options: Any) -> Any: ...

    delete = head = options = get

    @overload
    def post(self, url: URL, data: Any = None, **options: Unpack[DataOptions]) -> Deferred[Response[Any]]: ...
    @overload
    def post(
        self, url: URL, data: Any = None, *, response_type: Text, **options: Unpack[DataOptions]
    ) -> Deferred[Response[str]]: ...
    @overload
    def post(
        self, url: URL, data: Any = None, *, response_type: Bytes, **options: Unpack[DataOptions]
    ) -> Deferred[Response[bytes]]: ...
    @overload
    def post(
        self, url: URL, data: Any = None, *, response_type: Stream, **options: Unpack[DataOptions]
    ) -> Deferred[Response[SyncResponseStream]]: ...
    @overload
    def post(
        self, url: URL, data: Any = None, *, response_type: type[T], **options: Unpack[DataOptions]
    ) -> Deferred[Response[T]]: ...
    @overload
    def post(
        self, url: URL, data: Any = None, *, response_type: Other = ..., **options: Unpack[DataOptions]
    ) -> Deferred[Response[Any]]: ...
    def post(self, *arguments: Any, **options: Any) -> Any: ...

    put = patch = query = post_form = put_form = patch_form = post

    def upload(
        self,
        url: URL,
        path: AnyPath,
        *,
        method: str | None = None,
        field: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Deferred[Response[Any]]:
        """See `SyncAtomHTTP.upload`. The file is looked for when the call is sent."""
        raise NotImplementedError
