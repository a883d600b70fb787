"""One line for each account that is in use: made when it is first needed, closed when the last of its users is gone."""

from collections.abc import Callable
from dataclasses import dataclass

from app.remote.account import Endpoint, Line
from app.remote.base import RemoteServer


@dataclass(slots=True, eq=False)
class _Held:
    dialect: str
    endpoint: Endpoint
    line: Line
    users: int = 0
    is_dropped: bool = False


class Lines:
    """Lines by profile id. *open_line* makes one from profile id, dialect and endpoint; it raises TransferError."""

    def __init__(self, open_line: Callable[[str, str, Endpoint], Line]) -> None:
        self._open_line = open_line
        self._held: dict[str, _Held] = {}
        self._users: dict[int, tuple[RemoteServer, _Held]] = {}

    async def connect(self, profile_id: str, dialect: str, endpoint: Endpoint) -> RemoteServer:
        """Return a connection, which goes back to :meth:`disconnect`. Raises TransferError.

        Where the server has moved or the secret is another, a new line takes the place of the old one.
        """
        held = self._held.get(profile_id)
        if held is None or (held.dialect, held.endpoint) != (dialect, endpoint):
            old, held = held, _Held(dialect, endpoint, self._open_line(profile_id, dialect, endpoint))
            self._held[profile_id] = held
            if old is not None:
                await self._drop(old)
        server = held.line.connect()
        held.users += 1
        self._users[id(server)] = (server, held)
        return server

    async def disconnect(self, server: RemoteServer) -> None:
        """Close a connection, and its line if that was only waiting for it."""
        _, held = self._users.pop(id(server), (server, None))
        try:
            await server.aclose()
        finally:
            if held is not None:
                held.users -= 1
                await self._close_if_unused(held)

    async def drop(self, profile_id: str) -> None:
        """Use this line no more: it is closed now, or when its last connection is."""
        held = self._held.pop(profile_id, None)
        if held is not None:
            await self._drop(held)

    async def aclose(self) -> None:
        """Close all lines, used or not."""
        every = {*self._held.values(), *(held for _, held in self._users.values())}
        self._held.clear()
        self._users.clear()
        for held in every:
            await held.line.aclose()

    async def _drop(self, held: _Held) -> None:
        held.is_dropped = True
        await self._close_if_unused(held)

    async def _close_if_unused(self, held: _Held) -> None:
        if held.is_dropped and held.users == 0:
            await held.line.aclose()
