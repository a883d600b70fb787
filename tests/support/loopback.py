"""What listens on this computer for a test, below HTTP: raw connections, that a subclass answers, and all cut at the end."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class CutError(Exception):
    """Here the line breaks: the client sees a reset, as from a broken line."""


class Loopback:
    """``async with`` it; a subclass says in :meth:`converse` what a connection hears. Whoever listens again keeps the port.

    *room_bytes* is how much may be on the way to us, 0: what the system thinks. ``most_connections`` were open at once.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, room_bytes: int = 0) -> None:
        self.port = 0
        self.most_connections = 0
        self._tls = tls
        self._room_bytes = room_bytes
        self._talks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say what there is to say on one connection; it is closed afterwards. That the other side went is no error."""
        raise NotImplementedError

    async def listen(self) -> None:
        """Begin, or begin again after :meth:`stop`."""
        self._listener = await asyncio.start_server(
            self._connected, "127.0.0.1", self.port, ssl=self._tls, start_serving=False
        )
        listening = self._listener.sockets[0]
        if self._room_bytes:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._room_bytes)
        self.port = listening.getsockname()[1]
        await self._listener.start_serving()

    async def stop(self) -> None:
        """Nobody listens, and all connections are cut."""
        self._listener.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._listener.wait_closed()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        self.most_connections = max(self.most_connections, len(self._talks))
        try:
            await self.converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one side went away, or the test is over
        except CutError:
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        finally:
            self._talks.discard(talk)
            writer.close()


async def until_one_ends(*pipes: Coroutine[Any, Any, None]) -> None:
    """Run both ways of a connection until one of them ends; raise what it raised."""
    tasks = [asyncio.create_task(pipe) for pipe in pipes]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Seen:
    """The head of one request as it arrived. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)

    @property
    def length_bytes(self) -> int:
        """How long its body is."""
        return int(self.headers.get("content-length", "0"))


def seen(head: bytes) -> Seen:
    """Return what a head says, the empty line at its end included."""
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return Seen(method, path, {name.lower(): value.strip() for name, _, value in pairs})
