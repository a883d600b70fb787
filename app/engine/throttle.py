"""One speed limit over all uploads: whoever reads a block waits here until the line has room for it."""

import asyncio
from collections.abc import Awaitable, Callable

_LONGEST_NAP_S = 0.2
_BURST_S = 0.25


class Throttle:
    """A token bucket of bytes. Belongs to one event loop; first come, first served.

    A block is let through as soon as there is any room and its whole size is then owed, so that the average is exact
    for blocks of any size. ``limit_bps`` is bytes per second, 0 for no limit, and may be set while others wait.
    """

    def __init__(
        self, limit_bps: int, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self.limit_bps = limit_bps
        self._clock = clock
        self._sleep = sleep
        self._room_bytes = 0.0
        self._filled_at = clock()
        self._turn = asyncio.Lock()

    async def take(self, size_bytes: int) -> None:
        """Return when *size_bytes* may go out."""
        if not self.limit_bps:
            return
        async with self._turn:
            while self._fill() < 0 and self.limit_bps:
                await self._sleep(min(-self._room_bytes / self.limit_bps, _LONGEST_NAP_S))
            self._room_bytes -= size_bytes

    def _fill(self) -> float:
        now = self._clock()
        room = self._room_bytes + (now - self._filled_at) * self.limit_bps
        self._room_bytes = min(room, self.limit_bps * _BURST_S)
        self._filled_at = now
        return self._room_bytes
