"""The gate every request goes through: an id for the log, the way to its API, who it is, and errors nobody else took."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.server.problems import Problem

if TYPE_CHECKING:
    from app.server.api.room import Api

OPENAPI_PATH = "/openapi.json"

access = logging.getLogger("uphaul.access")
request_id: ContextVar[str] = ContextVar("request_id", default="-")

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Gate:
    """ASGI middleware that leaves bodies alone, so that bytes stream through it.

    *own* is our own API, which takes what no prefix of *apis* takes; *root*, one of *apis*, shares the root with it.
    """

    def __init__(self, app: ASGIApp, own: Api, apis: Sequence[Api], root: Api | None = None) -> None:
        self._app = app
        self._own = own
        self._prefixes = [(api.prefix + alias, api) for api in apis for alias in (*api.aliases, "")]
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        marker = request_id.set(uuid4().hex[:12])
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(raw=message["headers"])["X-Request-ID"] = request_id.get()
            elif message["type"] == "websocket.close":
                status = message.get("code", 1000)
            await send(message)

        try:
            await self._pass(scope, receive, send_marked)
        finally:
            access.debug(
                "event=request method=%s path=%r status=%d ms=%.1f",
                scope.get("method", "WEBSOCKET"),
                scope["path"],
                status,
                (time.monotonic() - started) * 1000,
            )
            request_id.reset(marker)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        api, prefix = await self._choose(scope)
        if prefix:
            scope = {**scope, "root_path": scope.get("root_path", "") + prefix}
        scope["state"] = dict(scope.get("state", {}))
        try:
            if not await self._identify(api, scope, scope["path"].removeprefix(prefix)):
                raise Problem("unauthorized", headers={"WWW-Authenticate": "Bearer"})
        except Problem as problem:
            await api.refuse(problem)(scope, receive, send)
            return
        try:
            await (self._app if api is self._own else api.app)(scope, receive, send)
        except OSError as error:
            if error.errno not in _NO_SPACE or scope["type"] != "http":
                raise
            await api.refuse(Problem("disk_full"))(scope, receive, send)

    async def _choose(self, scope: Scope) -> tuple[Api, str]:
        path: str = scope["path"]
        for prefix, api in self._prefixes:
            if path == prefix or path.startswith(prefix + "/"):
                return api, prefix
        root = self._root
        for alias in ("", *root.aliases) if root is not None else ():
            if root is not None and path.startswith(alias + "/") and await self._is_for(root, scope, alias):
                return root, alias
        return self._own, ""

    async def _is_for(self, root: Api, scope: Scope, alias: str) -> bool:
        """Whether a request is for the API at the root: it serves that better than ours, or as well and claims it."""
        there, here = _served(root, scope, alias), _served(self._own, scope, "")
        if there == here and there is not Match.NONE:
            return root.claims is not None and await root.claims(Headers(scope=scope), scope["path"])
        return there.value > here.value

    async def _identify(self, api: Api, scope: Scope, path: str) -> bool:
        """Say who it is; False if that must be somebody and is nobody. Where nobody is asked, the database is not needed."""
        is_page = path == OPENAPI_PATH and scope.get("method") in {"GET", "HEAD"}
        is_open = path in api.open_paths or is_page
        user = None if is_open else await api.authenticate(Headers(scope=scope))
        scope["state"]["user"] = user
        scope["state"]["owner"] = user.id if user is not None else ""
        return is_open or user is not None or scope["type"] == "websocket" or scope["method"] == "OPTIONS"


def _served(api: Api, scope: Scope, alias: str) -> Match:
    """How well an API serves this at the root: path and method, the path alone, or not at all."""
    if alias:
        scope = {**scope, "root_path": scope.get("root_path", "") + alias}
    found = (
        route.matches(scope)[0]
        for route in api.app.routes
        if getattr(route, "path", "") != OPENAPI_PATH and not (isinstance(route, Mount) and not route.path)
    )
    return max(found, key=lambda match: match.value, default=Match.NONE)


def respond(problem: Problem) -> Response:
    """Return the answer for a refusal."""
    return JSONResponse(problem.body(), problem.status, problem.headers)
