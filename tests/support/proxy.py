"""A TCP proxy between a client and a server that cuts connections where a test wants, byte by byte.

Real sockets: the client sees a reset as it would from a broken line, and the server sees its client vanish.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.support.loopback import CutError, Loopback, until_one_ends


@dataclass(frozen=True, slots=True)
class Cut:
    """Break one connection after so many bytes towards the server, or towards the client."""

    up_bytes: int | None = None
    down_bytes: int | None = None


class TcpProxy(Loopback):
    """``async with TcpProxy(url) as proxy: proxy.plan(Cut(up_bytes=100))``; talk to ``proxy.url``.

    Plans count for the next connections, one each; ``Cut()`` leaves one alone. ``up_bytes`` and ``down_bytes`` count
    what went through on the last connection.
    """

    def __init__(self, server_url: str) -> None:
        super().__init__()
        parts = urlsplit(server_url)
        self._server_address = (parts.hostname, parts.port)
        self._plans: deque[Cut] = deque()
        self.up_bytes = 0
        self.down_bytes = 0

    def plan(self, *cuts: Cut) -> None:
        """Break the next connections so."""
        self._plans.extend(cuts)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand on what comes both ways, as far as the plan lets it."""
        cut = self._plans.popleft() if self._plans else Cut()
        up_reader, up_writer = await asyncio.open_connection(*self._server_address)
        self.up_bytes = self.down_bytes = 0
        try:
            await until_one_ends(
                self._pipe(reader, up_writer, cut.up_bytes, "up_bytes"),
                self._pipe(up_reader, writer, cut.down_bytes, "down_bytes"),
            )
        finally:
            up_writer.close()

    async def _pipe(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, cut_bytes: int | None, counter: str
    ) -> None:
        """Hand bytes on until the source ends; :class:`CutError` where the cut is reached."""
        left = cut_bytes
        while left != 0:
            block = await source.read(65536 if left is None else min(left, 65536))
            if not block:
                return
            sink.write(block)
            await sink.drain()
            setattr(self, counter, getattr(self, counter) + len(block))
            left = None if left is None else left - len(block)
        raise CutError
