from typing import Any
from atomhttp import AtomHTTP, SyncAtomHTTP, Response

class Traced(AtomHTTP):
    async def request(self, *args: Any, **options: Any) -> Response[Any]:
        return await super().request(*args, **options)

class Traced2(SyncAtomHTTP):
    def request(self, method: Any = None, url: Any = None, **options: Any) -> Any:
        return super().request(method, url, **options)

async def f(c: Traced) -> None:
    reveal_type(await c.get("/"))
    await c.get("/", time_out=3)
    await c.get("/", timeout="3")
    reveal_type(c.post)
opts: dict[str, Any] = {}
SyncAtomHTTP().get("/", **opts)
SyncAtomHTTP(timeout="3")
