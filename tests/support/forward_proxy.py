"""A real little web proxy: forwards http requests in absolute form, and tunnels by CONNECT. All names lead to loopback."""

import asyncio
import base64
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class ForwardProxy:
    """``async with ForwardProxy() as proxy``; with *credentials* ("ada:pw") it wants them, as Basic.

    ``requests`` are the first lines that were let through. Whatever host is asked for, it connects to 127.0.0.1.
    """

    def __init__(self, credentials: str = "") -> None:
        self._credentials = f"Basic {base64.b64encode(credentials.encode()).decode()}" if credentials else ""
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[str] = []
        self.refused = 0
        self.port = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
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
        try:
            await self._join(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one side went away, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        given = next((line for line in lines if line.lower().startswith("proxy-authorization:")), ":")
        if self._credentials and given.partition(":")[2].strip() != self._credentials:
            self.refused += 1
            writer.write(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            await writer.drain()
            return
        self.requests.append(first)
        method, target, _ = first.split(" ")
        port = int(target.rpartition(":")[2]) if method == "CONNECT" else urlsplit(target).port or 80
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = urlsplit(target).path or "/"
            rest = [line for line in lines if line and not line.lower().startswith(("proxy-", "connection:"))]
            server_writer.write(
                "\r\n".join([f"{method} {path} HTTP/1.1", *rest, "Connection: close", "", ""]).encode(
                    "latin-1"
                )
            )
        await self._both_ways(reader, writer, server_reader, server_writer)

    async def _both_ways(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        pipes = [
            asyncio.create_task(_pipe(reader, server_writer)),
            asyncio.create_task(_pipe(server_reader, writer)),
        ]
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
            await asyncio.gather(*pipes, return_exceptions=True)
            server_writer.close()


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while block := await source.read(65536):
        sink.write(block)
        await sink.drain()
