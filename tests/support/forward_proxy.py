"""A real little web proxy: forwards http requests in absolute form, and tunnels by CONNECT. All names lead to loopback."""

import asyncio
import base64
from urllib.parse import urlsplit

from tests.support.loopback import Loopback, until_one_ends


class ForwardProxy(Loopback):
    """``async with ForwardProxy() as proxy``; with *credentials* ("ada:pw") it wants them, as Basic.

    ``requests`` are the first lines that were let through. Whatever host is asked for, it connects to 127.0.0.1.
    """

    def __init__(self, credentials: str = "") -> None:
        super().__init__()
        self._credentials = f"Basic {base64.b64encode(credentials.encode()).decode()}" if credentials else ""
        self.requests: list[str] = []
        self.refused = 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let one request, or one tunnel, through."""
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
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = urlsplit(target).path or "/"
            rest = [line for line in lines if line and not line.lower().startswith(("proxy-", "connection:"))]
            up_writer.write(
                "\r\n".join([f"{method} {path} HTTP/1.1", *rest, "Connection: close", "", ""]).encode(
                    "latin-1"
                )
            )
        try:
            await until_one_ends(_pipe(reader, up_writer), _pipe(up_reader, writer))
        finally:
            up_writer.close()


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while block := await source.read(65536):
        sink.write(block)
        await sink.drain()
