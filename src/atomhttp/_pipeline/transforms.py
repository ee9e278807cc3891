"""`transformRequest` and `transformResponse`: the caller's functions around the built-in encoding and decoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atomhttp._model.callables import call_user, required_positionals
from atomhttp._model.config import RequestConfig
from atomhttp._pipeline.response import Response
from atomhttp.errors import AtomHTTPOptionError

CONTENT = ("data", "json", "form")


async def transform_request(config: RequestConfig, driver: Any) -> Mapping[str, Any]:
    """The content to send, by the option that gave it. `config` keeps what the caller gave, to be sent again."""
    fields = config.__dict__
    given = {name: fields[name] for name in CONTENT if fields.get(name) is not None}
    if len(given) > 1:
        return given  # an error, which building the request tells
    name, data = next(iter(given.items()), ("data", None))
    return {name: await _apply(config.transform_request, "transformRequest", data, config, ("headers",), driver, None)}


async def transform_response(functions: Any, response: Response[Any], driver: Any, due: float | None) -> Any:
    """`response.data`, as the caller's functions make it."""
    return await _apply(functions, "transformResponse", response.data, response, ("headers", "status"), driver, due)


async def _apply(
    functions: Any, option: str, data: Any, source: Any, more: tuple[str, ...], driver: Any, due: float | None
) -> Any:
    """`data` as `functions` make it, one after the other. Of `source` they get as many of `more` as they want."""
    given = functions  # tested under another name, so that its own type stays
    for function in functions if isinstance(given, tuple) else (functions,):
        count = max(1, required_positionals(function, 1))
        if count > len(more) + 1:
            name = getattr(function, "__qualname__", repr(function))
            raise AtomHTTPOptionError(
                f"{option}: {name} wants {count} arguments, there are {len(more) + 1} at the most",
                "ERR_BAD_OPTION_VALUE",
            )
        # Header fields are taken apart for those who want them (5 µs).
        rest = [getattr(source, each) for each in more[: count - 1]]
        data = await call_user(driver, due, function, data, *rest)
    return data
