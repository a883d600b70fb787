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
