"""Connections to servers, lent to one user at a time and kept for the next: a few small clients beat one big pool."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from app.domain.failure import FailureKind, TransferError
from app.remote.base import Connect, RemoteServer

_BROKEN = frozenset(
    {FailureKind.UNREACHABLE, FailureKind.CONNECTION_LOST, FailureKind.SIGN_IN, FailureKind.STALLED}
)
"""After these a connection is not used again: its server may have moved, or its token may be old."""


class Connections:
    """Idle connections by profile id. *disconnect* closes one; whoever made it may count them so."""

    def __init__(
        self, connect: Connect, disconnect: Callable[[RemoteServer], Awaitable[None]] | None = None
    ) -> None:
        self._connect = connect
        self._disconnect = disconnect or _close
        self._idle: dict[str, list[RemoteServer]] = {}
        self._forgotten: dict[str, int] = {}

    @asynccontextmanager
    async def borrow(self, profile_id: str) -> AsyncIterator[RemoteServer]:
        """Lend a connection; it goes back unless it broke or its user was cancelled. Raises TransferError."""
        idle = self._idle.setdefault(profile_id, [])
        forgotten = self._forgotten.get(profile_id, 0)
        server = idle.pop() if idle else await self._connect(profile_id)
        keep = False
        try:
            yield server
            keep = True
        except TransferError as error:
            keep = error.failure.kind not in _BROKEN
            raise
        finally:
            if keep and forgotten == self._forgotten.get(profile_id, 0):
                self._idle.setdefault(profile_id, []).append(server)
            else:
                await self._disconnect(server)

    async def forget(self, profile_id: str) -> None:
        """Close the connections of a server that moved or whose token changed: idle ones now, lent ones on return."""
        self._forgotten[profile_id] = self._forgotten.get(profile_id, 0) + 1
        for server in self._idle.pop(profile_id, []):
            await self._disconnect(server)

    async def aclose(self) -> None:
        """Close what is idle."""
        for profile_id in list(self._idle):
            await self.forget(profile_id)


async def _close(server: RemoteServer) -> None:
    await server.aclose()
