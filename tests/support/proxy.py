"""A TCP proxy between a client and a server that cuts connections where a test wants, byte by byte.

Real sockets: the client sees a reset as it would from a broken line, and the server sees its client vanish.
"""

import asyncio
import socket
import struct
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Cut:
    """Break one connection after so many bytes towards the server, or towards the client."""

    up_bytes: int | None = None
    down_bytes: int | None = None


class TcpProxy:
    """``async with TcpProxy(url) as proxy: proxy.plan(Cut(up_bytes=100))``; talk to ``proxy.url``.

    Plans count for the next connections, one each; ``Cut()`` leaves one alone. ``up_bytes`` and ``down_bytes`` count
    what went through on the last connection.
    """

    def __init__(self, server_url: str) -> None:
        parts = urlsplit(server_url)
        self._server_address = (parts.hostname, parts.port)
        self._plans: deque[Cut] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.connections = 0
        self.open_connections = 0
        self.up_bytes = 0
        self.down_bytes = 0

    def plan(self, *cuts: Cut) -> None:
        """Break the next connections so."""
        self._plans.extend(cuts)

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open_connections += 1
        try:
            await self._join(reader, writer, self._plans.popleft() if self._plans else Cut())
        except (ConnectionError, asyncio.CancelledError):
            pass  # one side went away, or the test is over
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: Cut) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self._server_address)
        self.up_bytes = self.down_bytes = 0
        pipes = [
            asyncio.create_task(self._pipe(reader, server_writer, cut.up_bytes, "up_bytes")),
            asyncio.create_task(self._pipe(server_reader, writer, cut.down_bytes, "down_bytes")),
        ]
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
            results = await asyncio.gather(*pipes, return_exceptions=True)
            _close(writer, reset="cut" in results)
            _close(server_writer, reset=False)

    async def _pipe(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, cut_bytes: int | None, counter: str
    ) -> str:
        """Hand bytes on until the source ends ("ended") or the cut is reached ("cut")."""
        left = cut_bytes
        while left != 0:
            block = await source.read(65536 if left is None else min(left, 65536))
            if not block:
                return "ended"
            sink.write(block)
            await sink.drain()
            setattr(self, counter, getattr(self, counter) + len(block))
            left = None if left is None else left - len(block)
        return "cut"


def _close(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset:
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.close()
