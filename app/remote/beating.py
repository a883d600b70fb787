"""Says that a transfer is alive while the server works in silence: its watchdog counts seconds without progress."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from app.remote.base import Feed

_EVERY_S = 5.0


@asynccontextmanager
async def beating(feeds: Iterable[tuple[Feed, int]]) -> AsyncIterator[None]:
    """Tell, every 5 s for as long as the body runs, that all bytes of these feeds (with their sizes) have gone out.

    Whoever uses it bounds the time: the request inside has a read timeout of its own.
    """
    told = list(feeds)

    async def beat() -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            for feed, size_bytes in told:
                feed.progress(size_bytes, size_bytes)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
