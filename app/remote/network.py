"""Plain sockets for httpcore: no copy through a transport's buffer, and an ear for the server while a body goes out.

httpcore's own backend hands a body to an asyncio transport, which drops a connection, and the answer that waits in it,
as soon as one write fails. Here the answer is still read, and sending stops at once when the server has answered.
"""

import asyncio
import ipaddress
import re
import select
import socket
import ssl
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import httpcore

_OTHER_ADDRESSES_S = 3.0
_MOST_INTERIM_BYTES = 64 * 1024
_INTERIM = re.compile(rb"(?:HTTP/1\.\d 1(?!01)\d\d[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n)+")
_BEGINS_INTERIM = re.compile(rb"HTTP/1\.\d 1(?!01)\d")


def works_here() -> bool:
    """Whether the system's event loops can watch a socket; Windows' Proactor cannot."""
    return sys.platform != "win32"


class SocketBackend(httpcore.AsyncNetworkBackend):
    """Connects over TCP without TLS, on event loops that can watch file descriptors (all but Windows' Proactor)."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> "SocketStream":
        """Try the addresses of *host* one after the other. Raises httpcore.ConnectError or ConnectTimeout."""
        error: OSError | None = None
        try:
            async with asyncio.timeout(timeout):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
                for family, _, _, _, address in found:
                    try:
                        async with asyncio.timeout(_OTHER_ADDRESSES_S if len(found) > 1 else None):
                            return SocketStream(await _connected(family, address))
                    except OSError as refused:  # TimeoutError is one, too
                        error = refused
        except TimeoutError:
            raise httpcore.ConnectTimeout("no answer") from None
        except OSError as unknown:  # the name is not known
            error = unknown
        raise httpcore.ConnectError(str(error)) from None

    async def sleep(self, seconds: float) -> None:
        """Wait between attempts of a pool that retries."""
        await asyncio.sleep(seconds)


class SocketStream(httpcore.AsyncNetworkStream):
    """One connection; owns its socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._loop = asyncio.get_running_loop()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what arrives next, ``b""`` at the end. Raises httpcore.ReadError or ReadTimeout."""
        try:
            async with asyncio.timeout(timeout):
                return await self._loop.sock_recv(self._socket, max_bytes)
        except TimeoutError:
            raise httpcore.ReadTimeout("no answer in time") from None
        except OSError as error:
            raise httpcore.ReadError(str(error)) from None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of *buffer*. Raises httpcore.WriteError if the line breaks or the server answers before the end:
        httpcore then reads that answer."""
        rest = memoryview(buffer)
        while rest:
            if self._is_readable() and self._has_answered():
                raise httpcore.WriteError("the server answered before it had everything")
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                await self._ready()
            except OSError as error:
                raise httpcore.WriteError(str(error)) from None
        await asyncio.sleep(0)  # a line that always has room must not keep the event loop to itself

    async def aclose(self) -> None:
        """Close the socket."""
        self._socket.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refused: whoever needs TLS uses httpcore's own backend."""
        raise httpcore.UnsupportedProtocol("no TLS on a plain socket")

    def get_extra_info(self, info: str) -> Any:
        """Answer the one question that httpcore's pool asks of an idle connection: has the server hung up?"""
        return self._is_readable() if info == "is_readable" else None

    def _is_readable(self) -> bool:
        if self._socket.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def _has_answered(self) -> bool:
        """Whether what waits is a final answer or the end. Interim ones (104 of a resumable upload) are dropped."""
        try:
            while waiting := self._socket.recv(_MOST_INTERIM_BYTES, socket.MSG_PEEK):
                interim = _INTERIM.match(waiting)
                if interim is None:
                    return not _BEGINS_INTERIM.match(waiting)
                self._socket.recv(interim.end())
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    async def _ready(self) -> None:
        """Wait until the socket takes bytes again or brings some."""
        ready: asyncio.Future[None] = self._loop.create_future()

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        self._loop.add_writer(self._socket, wake)
        self._loop.add_reader(self._socket, wake)
        try:
            await ready
        finally:
            self._loop.remove_writer(self._socket)
            self._loop.remove_reader(self._socket)


async def _connected(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def is_loopback(host: str) -> bool:
    """Whether *host* is this very computer."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
