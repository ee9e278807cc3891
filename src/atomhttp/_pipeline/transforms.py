"""`transformRequest` and `transformResponse`: the caller's functions around the built-in encoding and decoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atomhttp._model.callables import call_user, required_positionals
from atomhttp._model.config import RequestConfig
from atomhttp.errors import AtomHTTPOptionError

CONTENT = ("data", "json", "form")


async def transform_request(config: RequestConfig, driver: Any) -> Mapping[str, Any]:
    """The content to send, by the option that gave it. `config` keeps what the caller gave, to be sent again."""
    given = {name: config[name] for name in CONTENT if config[name] is not None}
    if len(given) > 1:
        return given  # an error, which building the request tells
    name, data = next(iter(given.items()), ("data", None))
    return {name: await _apply(config.transform_request, "transformRequest", (data, config.headers), driver, None)}


async def transform_response(functions: Any, data: Any, headers: Any, status: int, driver: Any, due: Any) -> Any:
    """`response.data`, as the caller's functions make it."""
    return await _apply(functions, "transformResponse", (data, headers, status), driver, due)


async def _apply(functions: Any, option: str, arguments: tuple[Any, ...], driver: Any, due: float | None) -> Any:
    data, *rest = arguments
    for function in functions if isinstance(functions, tuple) else (functions,):
        count = max(1, required_positionals(function, 1))
        if count > len(arguments):
            name = getattr(function, "__qualname__", repr(function))
            raise AtomHTTPOptionError(
                f"{option}: {name} wants {count} arguments, there are {len(arguments)} at the most",
                "ERR_BAD_OPTION_VALUE",
            )
        data = await call_user(driver, due, function, data, *rest[: count - 1])
    return data
