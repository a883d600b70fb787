"""A clock that a test turns."""

import asyncio
import heapq
from collections.abc import Callable


class TestClock:
    """Seconds since the epoch that move only by :meth:`advance`."""

    __test__ = False

    def __init__(self, now: float = 1_000_000.0) -> None:
        self._now = now
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now + max(0.0, seconds), self._count, future))
        await future

    @property
    def sleepers(self) -> int:
        """How many wait for the clock."""
        return sum(1 for _, _, future in self._sleepers if not future.done())

    def turn(self, seconds: float) -> None:
        """Turn the clock, for those who only look at it."""
        self._now += seconds

    async def advance(self, seconds: float) -> None:
        """Once somebody waits, turn the clock, and let those whose time has come go on."""
        await until(lambda: self.sleepers > 0)
        self._now += seconds
        while self._sleepers and self._sleepers[0][0] <= self._now:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)
        await asyncio.sleep(0)


async def until(is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    """Let the loop run until something is so; fail after *seconds* of real time."""
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110 - any state of the engine, not one event
            await asyncio.sleep(0.002)
