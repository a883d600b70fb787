"""A request's body as it comes from the ASGI server, and how a connection ends when nobody reads the rest."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.datastructures import Headers
from starlette.types import Receive

from app.server.appending import DisconnectedError
from app.server.problems import Problem

SMALL_REST_BYTES = 256 * 1024
SKIP_SECONDS = 0.1


class RequestBody:
    """The body of one request, read at most once."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        self._waits_for_100 = headers.get("expect", "").casefold() == "100-continue"
        self.length_bytes = _content_length(headers)
        self._read_bytes = 0
        self.is_over = self.length_bytes == 0

    async def read(self) -> bytes | None:
        """Return the next bytes, or None after the last; raises :class:`DisconnectedError`."""
        while not self.is_over:
            self._waits_for_100 = False
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise DisconnectedError
            self.is_over = not message.get("more_body", False)
            chunk: bytes = message.get("body", b"")
            if chunk:
                self._read_bytes += len(chunk)
                return chunk
        return None

    async def skip_small_rest(self) -> None:
        """Read what is left if it is little and already here, so that the connection can be used again.

        Raises :class:`DisconnectedError`.
        """
        if self._waits_for_100 or self.length_bytes is None:
            return
        if self.length_bytes - self._read_bytes <= SMALL_REST_BYTES:
            await self._discard_for(SKIP_SECONDS)

    async def linger(self, seconds: float) -> None:
        """Take in the rest for a while after the answer: closing at once would reset the connection, and the sender
        would lose the answer it has not read yet."""
        with contextlib.suppress(DisconnectedError):
            await self._discard_for(seconds)

    async def _discard_for(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self.read() is not None:
                    pass


def _content_length(headers: Headers) -> int | None:
    if "transfer-encoding" in headers:
        return None
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise Problem("invalid_request", "Content-Length is not a number.")
    return int(text)
