"""What stands before the fake of DirectDrive: it sees every request, plays the generic faults, and can cut what is open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from tests.support.fake_server import Body, FakeServer, Fault
from tests.support.loopback import seen


class Front(FakeServer):
    """Sees every request first: plays the generic faults, and can cut what is open."""

    def __init__(self, requests: list[str], planned: list[tuple[str, str, Fault]]) -> None:
        super().__init__("http://127.0.0.1:1")
        self._requests = requests
        self._to_play = planned
        self._writers: set[asyncio.StreamWriter] = set()

    def lead_to(self, url: str) -> None:
        """Hand on to the application at this address."""
        parts = urlsplit(url)
        self._upstream = (parts.hostname, parts.port)

    def cut_all(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, or let a socket through."""
        self._writers.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            request = seen(head)
            self.seen.append(request)
            self._requests.append(f"{request.method} {request.path.partition('?')[0]}")
            fault = self._planned(request.method, request.path)
            if fault is not None:
                await self._play(fault, head, reader, writer, request.length_bytes)
            elif "upgrade" in request.headers:
                await self._tunnel(head, reader, writer)
            else:
                writer.write(await self._ask_upstream(head, reader, request.length_bytes))
                await writer.drain()
        finally:
            self._writers.discard(writer)

    def _planned(self, method: str, path: str) -> Fault | None:
        for plan in self._to_play:
            if plan[0] == method and path.startswith(plan[1]):
                self._to_play.remove(plan)
                return plan[2]
        return None

    async def _play(
        self,
        fault: Fault,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        length: int,
    ) -> None:
        if fault.forward:
            await self._ask_upstream(head, reader, length)
        elif fault.body is Body.FIRST:
            await reader.readexactly(length)
        writer.write(fault.answer)
        await writer.drain()
        if fault.hang:
            await asyncio.Event().wait()

    async def _tunnel(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        self._writers.add(up_writer)
        up_writer.write(head)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pour(reader, up_writer))
                both.create_task(_pour(up_reader, writer))
        finally:
            self._writers.discard(up_writer)
            up_writer.close()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        async for block in _blocks(reader):
            writer.write(block)
            await writer.drain()
    with contextlib.suppress(ConnectionError, OSError):
        writer.write_eof()


async def _blocks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while block := await reader.read(65536):
        yield block
