"""Wait on the Qt loop, while it goes on working, until something can be seen."""

import asyncio
from collections.abc import Callable


async def eventually(seen: Callable[[], bool], seconds: float = 40.0) -> None:
    """Return as soon as *seen* is true; raise TimeoutError if it is not within *seconds*."""
    async with asyncio.timeout(seconds):
        while not seen():  # noqa: ASYNC110  # what is seen is on the screen, which sets no event
            await asyncio.sleep(0.01)
