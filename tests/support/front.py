"""A door before any server: HTTP and WebSockets go through, and a request can meet there what a test has planned.

client ── request ──► Front ── nothing planned ──► the server      Each request has a connection of its own to the server.
            ▲           │
            └───────────┴─ a fault, a cut, a hold, a lost answer: for the next request of that kind, one each
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.support.loopback import CutError, Loopback, Seen, seen, until_one_ends

_FEW_BYTES = 32 * 1024
_SWALLOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Door:
    """One kind of request: a method and a pattern that its path ends with. A WebSocket is a GET."""

    method: str
    path: str

    def is_for(self, request: Seen) -> bool:
        """Whether a request is of this kind."""
        pattern = f"(?:{self.path})$"
        return re.fullmatch(self.method, request.method) is not None and re.search(
            pattern, request.path.partition("?")[0]
        ) is not None  # fmt: skip


@dataclass(frozen=True, slots=True)
class Say:
    """Answer these bytes in the server's place, once the body is read."""

    answer: bytes


@dataclass(frozen=True, slots=True)
class CutOff:
    """Reset the connection once so many bytes have gone up after the head of the request."""

    up_bytes: int


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """The server has the whole request; what it says from *marker* on is lost with the connection."""

    marker: bytes = b"HTTP/1."


@dataclass(slots=True)
class Hold:
    """Read no more after so many bytes, until it is let go: the sender stands still in the middle of its request."""

    up_bytes: int
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)


Act = Say | CutOff | LoseAnswer | Hold


class Front(Loopback):
    """``async with Front(server_url) as front: front.plan(door, Say(...))``; talk to ``front.url``.

    ``seen`` is what was asked. :meth:`away` and :meth:`back`: nobody listens at the address for a while.
    """

    def __init__(self, server_url: str) -> None:
        # Little room on the way: a sender that is held has most of its file still before it.
        super().__init__(room_bytes=_FEW_BYTES)
        parts = urlsplit(server_url)
        self._server_address = (parts.hostname, parts.port)
        self._path = parts.path
        self._plans: list[tuple[Door, deque[Act]]] = []
        self.seen: list[Seen] = []

    @property
    def url(self) -> str:
        """Its address, with the path of the server's."""
        return f"{super().url}{self._path}"

    def plan(self, door: Door, *acts: Act) -> None:
        """Let the next requests at *door* meet these, one each."""
        self._plans.append((door, deque(acts)))

    def plan_nothing(self) -> None:
        """Let everything through from now on."""
        self._plans.clear()

    def asked(self, door: Door) -> int:
        """Return how many requests there were of this kind."""
        return sum(map(door.is_for, self.seen))

    async def away(self) -> None:
        """Nobody listens, and all connections are cut."""
        await self.stop()

    async def back(self) -> None:
        """Listen at the same address."""
        await self.listen()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let one request through, or play what is planned for it."""
        head = await reader.readuntil(b"\r\n\r\n")
        request = seen(head)
        self.seen.append(request)
        act = self._next(request)
        if isinstance(act, Say):
            await reader.readexactly(request.length_bytes)
            writer.write(act.answer)
            await writer.drain()
            return
        if "upgrade" not in request.headers.get("connection", "").lower():
            head = head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        up_reader, up_writer = await asyncio.open_connection(*self._server_address)
        up_writer.write(head)
        try:
            await until_one_ends(_up(reader, up_writer, act), _down(up_reader, writer, act))
        finally:
            up_writer.close()

    def _next(self, request: Seen) -> Act | None:
        for door, acts in self._plans:
            if acts and door.is_for(request):
                return acts.popleft()
        return None


async def _up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, act: Act | None) -> None:
    stop_at = act.up_bytes if isinstance(act, CutOff | Hold) else None
    gone = 0
    while True:
        if gone == stop_at:
            stop_at = None
            if isinstance(act, CutOff):
                raise CutError
            assert isinstance(act, Hold)
            act.reached.set()
            await act.let_go.wait()
        block = await reader.read(65536 if stop_at is None else min(stop_at - gone, 65536))
        if not block:
            return
        gone += len(block)
        writer.write(block)
        await writer.drain()


async def _down(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, act: Act | None) -> None:
    marker = act.marker if isinstance(act, LoseAnswer) else None
    while block := await reader.read(65536):
        if marker is not None and marker in block:
            raise CutError
        writer.write(block)
        await writer.drain()
    # What the sender still has on its way is read, or the reset would eat the answer.
    with suppress(OSError):  # the sender is gone
        writer.write_eof()
    await asyncio.sleep(_SWALLOW_S)


def reply(status: int, body: str = "", *headers: str, content_type: str = "application/json") -> Say:
    """Answer so, and close the connection."""
    lines: Sequence[str] = (
        f"HTTP/1.1 {status} Planned",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body.encode())}",
        *headers,
        "Connection: close",
    )
    return Say("\r\n".join((*lines, "", body)).encode())
