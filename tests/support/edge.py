"""What stands before a pretended server: planned faults, by name, and an nginx that has a page for everything else."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.fake_server import FAULTS, reply
from tests.support.uvicorn_here import UvicornHere

_PAGE = b"<html><center><h1>nginx</h1></center></html>"


class Edge:
    """An ASGI application before another one, under uvicorn. A path below /api is the same as one without it.

    ``requests`` is what was asked ("GET /v1/health"). Faults: a name of FAULTS, ``nginx_<status>`` (a page), or
    ``token_revoked`` (401, with the body read), ``internal_error`` (500 in plain text, then the connection closes), ``loses_the_answer`` (the application has the request),
    ``hangs_up_after_500`` (it does not say so, and the next request on that connection is cut).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.requests: list[str] = []
        self._app = app
        self._planned: list[tuple[str, str, str]] = []
        self._has_nginx = False
        self._most_bytes = 0

    def fail_next(self, method: str, path_prefix: str, fault: str) -> None:
        """Play a fault for the next request of that method whose path begins so."""
        self._planned.append((method, path_prefix, fault))

    def nginx(self, most_bytes: int = 0) -> None:
        """The application is below /api alone; every other path is a page. Bodies over *most_bytes* are refused."""
        self._has_nginx, self._most_bytes = True, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        path = str(scope["path"])
        is_api = path.startswith("/api/")
        inner = {**scope, "path": path.removeprefix("/api") if is_api else path}
        inner["raw_path"] = inner["path"].encode()
        if scope["type"] == "http":
            self.requests.append(f"{scope['method']} {inner['path']}")
            fault = self._fault(inner)
            if fault:
                await self._play(fault, inner, receive)
                return
        if self._has_nginx and not is_api:
            await _page(200 if scope.get("method") == "GET" else 405, send)
        else:
            await self._app(inner, receive, send)

    def _fault(self, scope: Scope) -> str:
        length = int(dict(scope["headers"]).get(b"content-length", b"0"))
        if self._most_bytes and length > self._most_bytes:
            return "nginx_413"
        for plan in self._planned:
            if plan[0] == scope["method"] and scope["path"].startswith(plan[1]):
                self._planned.remove(plan)
                return plan[2]
        return ""

    async def _play(self, fault: str, scope: Scope, receive: Receive) -> None:
        cycle = receive.__self__  # type: ignore[attr-defined] # uvicorn's, which has the connection
        if fault == "loses_the_answer":
            await self._app(scope, receive, _nobody)
            cycle.transport.abort()
        else:
            while (await receive()).get("more_body"):
                continue
            if fault == "internal_error":
                raise AttributeError("as the original would")
            cycle.transport.write(_reply(fault))
            if fault == "hangs_up_after_500":
                await asyncio.sleep(0.05)  # the client has its next request on the way by then
                cycle.transport.abort()
            cycle.transport.close()
        while (await receive())["type"] != "http.disconnect":
            continue


class Pretended:
    """What every pretended server behind an edge has: ``async with`` it. A subclass calls :meth:`serve` when it is made.

    ``requests`` is what was asked, and ``url`` its address, or nginx's.
    """

    def serve(self, app: ASGIApp, *, tells_time: bool = True) -> None:
        """Let *app* answer, from the moment this is entered on."""
        self._edge = Edge(app)
        self._server = UvicornHere(self._edge, tells_time=tells_time)
        self.requests = self._edge.requests

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._server.url

    async def restart(self) -> None:
        """Stop and start: connections are cut."""
        await self._server.stop()
        await self._server.start()

    def fail_next(self, method: str, path_prefix: str, fault: str) -> None:
        """Play a fault for the next request of that method whose path begins so (:class:`Edge` has the names)."""
        self._edge.fail_next(method, path_prefix, fault)

    async def leave_work(self) -> None:
        """End what it does on its own; it stops after that."""

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.leave_work()
        await self._server.stop()


async def _nobody(_message: Any) -> None: ...


async def _page(status: int, send: Callable[[Any], Awaitable[None]]) -> None:
    headers = [(b"content-type", b"text/html"), (b"content-length", b"%d" % len(_PAGE))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": _PAGE})


def _reply(fault: str) -> bytes:
    if fault in FAULTS:
        return FAULTS[fault].answer
    if fault == "hangs_up_after_500":
        return (
            b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nOops"
        )
    if fault == "token_revoked":
        return reply(
            "401 Unauthorized", '{"detail": "Token has been invalidated", "type": "AuthenticationError"}'
        )
    status = fault.removeprefix("nginx_")
    head = f"HTTP/1.1 {status} nginx\r\nContent-Type: text/html\r\nContent-Length: {len(_PAGE)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + _PAGE
