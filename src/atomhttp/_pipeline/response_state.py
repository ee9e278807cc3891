"""What a response holds. `Response` says what it means, and has what no compiled class may have; this has not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from atomhttp._adapters.base import AdapterResponse
from atomhttp._compiled import mypyc_attr
from atomhttp._model.request import Request

if TYPE_CHECKING:
    from atomhttp._model.config import RequestConfig
    from atomhttp._model.headers import Headers
    from atomhttp._pipeline.content import ContentReader


@mypyc_attr(allow_interpreted_subclasses=True)
class ResponseState:
    """The attributes of a response. What is a caller's to change is `Any`: a compiled attribute refuses other types."""

    # Defaults on the class and no __slots__: `received` sets four.
    data: Any = None
    status: Any
    request: Any
    history: Any = ()
    stripped: Any = ()
    truncated: Any = False
    undecoded: Any = ()
    content: Any
    # What an error for its status should say besides.
    remark: Any = ""
    # A stream that is still on its way to whoever will read it.
    unread: ContentReader | None = None
    # What validateStatus said, once it has been asked.
    accepted: Any = None
    _status_text: Any = None
    _headers: Headers | None = None
    _raw: AdapterResponse | None
    _config: RequestConfig | None = None
    _attempts: Any = None


# What a copy of a response takes along.
HELD: Final = (
    "data",
    "status",
    "request",
    "history",
    "stripped",
    "truncated",
    "undecoded",
    "content",
    "remark",
    "accepted",
    "_status_text",
    "_headers",
    "_raw",
    "_config",
    "_attempts",
)


# Where this is compiled, asking the class for it costs twice what it does.
_new: Final[Any] = ResponseState.__new__


def received(kind: type[ResponseState], raw: AdapterResponse, status: Any, request: Request, content: bytes) -> Any:
    """A response of that `kind` from an adapter, its data not decoded yet: a third of what the constructor costs.

    Args:
        status: that of `raw`, which whoever calls this has looked at: where this is compiled, each look costs 200
            instructions.
    """
    response: ResponseState = _new(kind)
    response.status = status
    response.request = request
    response.content = content
    response._raw = raw
    return response
