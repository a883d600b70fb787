"""A door before any server: HTTP and WebSockets go through, and a request can meet there what a test has planned.

client ── request ──► Front ── nothing planned ──► the server      Each request has a connection of its own to the server.
            ▲           │
            └───────────┴─ a fault, a cut, a hold, a lost answer: for the next request of that kind, one each
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.fake_server import Seen, _parse

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_FEW_BYTES = 32 * 1024
_SWALLOW_S = 1.0


@dataclass(frozen=True, slots=True)
class Door:
    """One kind of request: a method and a pattern that its path ends with. A WebSocket is a GET."""

    method: str
    path: str

    def is_for(self, seen: Seen) -> bool:
        """Whether a request is of this kind."""
        pattern = f"(?:{self.path})$"
        return re.fullmatch(self.method, seen.method) is not None and re.search(
            pattern, seen.path.partition("?")[0]
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


class Front:
    """``async with Front(server_url) as front: front.plan(door, Say(...))``; talk to ``front.url``.

    ``seen`` is what was asked. :meth:`away` and :meth:`back`: nobody listens at the address for a while.
    """

    def __init__(self, server_url: str) -> None:
        parts = urlsplit(server_url)
        self._server_address = (parts.hostname, parts.port)
        self._path = parts.path
        self._plans: list[tuple[Door, deque[Act]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = 0
        self.seen: list[Seen] = []
        self.url = ""

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
        self._listener.close()
        await self._cut_all()
        await self._listener.wait_closed()

    async def back(self) -> None:
        """Listen at the same address."""
        await self._listen()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.away()

    async def _listen(self) -> None:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Little room on the way: a sender that is held has most of its file still before it.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _FEW_BYTES)
        listening.bind(("127.0.0.1", self._port))
        self._port = listening.getsockname()[1]
        self._listener = await asyncio.start_server(self._serve, sock=listening)
        self.url = f"http://127.0.0.1:{self._port}{self._path}"

    async def _cut_all(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one side went away, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen = _parse(head)
        self.seen.append(seen)
        act = self._next(seen)
        if isinstance(act, Say):
            await reader.readexactly(int(seen.headers.get("content-length", "0")))
            writer.write(act.answer)
            await writer.drain()
            return
        if "upgrade" not in seen.headers.get("connection", "").lower():
            head = head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        up_reader, up_writer = await asyncio.open_connection(*self._server_address)
        up_writer.write(head)
        try:
            await _join(_up(reader, up_writer, act), _down(up_reader, writer, act))
        except _CutError:
            _reset(writer)
        finally:
            up_writer.close()

    def _next(self, seen: Seen) -> Act | None:
        for door, acts in self._plans:
            if acts and door.is_for(seen):
                return acts.popleft()
        return None


class _CutError(Exception):
    """Here the line breaks."""


async def _join(*pipes: Coroutine[Any, Any, None]) -> None:
    """Run both ways until one of them ends, and raise what it raised."""
    tasks = [asyncio.create_task(pipe) for pipe in pipes]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, act: Act | None) -> None:
    stop_at = act.up_bytes if isinstance(act, CutOff | Hold) else None
    gone = 0
    while True:
        if gone == stop_at:
            stop_at = None
            if isinstance(act, CutOff):
                raise _CutError
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
            raise _CutError
        writer.write(block)
        await writer.drain()
    # What the sender still has on its way is read, or the reset would eat the answer.
    with suppress(OSError):  # the sender is gone
        writer.write_eof()
    await asyncio.sleep(_SWALLOW_S)


def _reset(writer: asyncio.StreamWriter) -> None:
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


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
