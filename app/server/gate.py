"""The gate every request goes through: an id for the log, the token, and one shape for every error."""

from __future__ import annotations

import errno
import logging
import time
from contextvars import ContextVar
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.server.auth import TokenAuth
from app.server.problems import Problem

OPEN_PATHS = frozenset({"/healthz", "/docs", "/openapi.json"})

access = logging.getLogger("uphaul.access")
request_id: ContextVar[str] = ContextVar("request_id", default="-")

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Gate:
    """ASGI middleware that leaves bodies alone, so that bytes stream through it."""

    def __init__(self, app: ASGIApp, auth: TokenAuth) -> None:
        self._app = app
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
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
            await send(message)

        try:
            await self._pass(scope, receive, send_marked)
        finally:
            access.debug(
                "event=request method=%s path=%r status=%d ms=%.1f",
                scope["method"],
                scope["path"],
                status,
                (time.monotonic() - started) * 1000,
            )
            request_id.reset(marker)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["path"] in OPEN_PATHS and scope["method"] in {"GET", "HEAD"}
        if not is_open and scope["method"] != "OPTIONS":
            owner = self._auth.owner(Headers(scope=scope))
            if owner is None:
                problem = Problem("unauthorized", headers={"WWW-Authenticate": "Bearer"})
                await respond(problem)(scope, receive, send)
                return
            scope.setdefault("state", {})["owner"] = owner
        else:
            scope.setdefault("state", {})["owner"] = ""
        try:
            await self._app(scope, receive, send)
        except OSError as error:
            if error.errno not in _NO_SPACE:
                raise
            await respond(Problem("disk_full"))(scope, receive, send)


def respond(problem: Problem) -> Response:
    """Return the answer for a refusal."""
    return JSONResponse(problem.body(), problem.status, problem.headers)
