"""X-Correlation-ID: what the client sent, or a new one, in every answer."""

from __future__ import annotations

import re
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FIT = re.compile(r"[\w.:-]{1,128}", re.ASCII)


class Correlated:
    """ASGI middleware that adds one header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get("x-correlation-id", "")
        marker = sent if _FIT.fullmatch(sent) else str(uuid4())

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(raw=message["headers"])["X-Correlation-ID"] = marker
            await send(message)

        await self._app(scope, receive, send_marked)
