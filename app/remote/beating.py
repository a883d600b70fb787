"""Says that transfers are alive while the server works in silence: their watchdog counts seconds without progress."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from app.remote.base import Feed

_EVERY_S = 5.0


@asynccontextmanager
async def beating(
    feeds: Iterable[tuple[Feed, int]], *, once: Callable[[], bool] = lambda: True
) -> AsyncIterator[None]:
    """Tell, every 5 s while the body runs and *once* something holds, that all bytes of these feeds have gone out.

    Each feed comes with its file's size. Whoever uses it bounds the time: the request inside has a read timeout.
    """
    told = list(feeds)

    async def beat() -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            for feed, size_bytes in told if once() else ():
                feed.progress(size_bytes, size_bytes)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
