"""Time as the engine sees it: passed in, so that tests can turn it."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """The wall clock and a way to wait."""

    def now(self) -> float:
        """Return seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds*."""


class SystemClock:
    """The real one."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds*."""
        await asyncio.sleep(max(0.0, seconds))


async def sleep_unless(clock: Clock, seconds: float, event: asyncio.Event) -> None:
    """Return after *seconds*, or as soon as *event* is set."""
    told = asyncio.ensure_future(event.wait())
    waiting = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({told, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (told, waiting):
            task.cancel()
