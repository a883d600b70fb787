"""The missing parts of a session, read from the file once and in order, under way several at a time where they are small."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from app.remote.base import Feed
from app.remote.blocks import Blocks
from app.remote.dooritofields import Session

_MOST_LANES = 3
_MOST_BUFFERED_BYTES = 16 * 2**20
_PIECE_BYTES = 256 * 1024

Put = Callable[[int, int, AsyncIterator[bytes]], Awaitable[None]]
"""Send a part: its number, its length in bytes, its bytes. Raises what ends the attempt."""


async def send_parts(session: Session, size_bytes: int, feed: Feed, put: Put) -> None:
    """Send what *session* lacks of the file. Raises what the first part raised that failed; the others are stopped.

    A file holds at most 16 MiB of parts in memory; where two do not fit into that, a part goes out as it is read, alone.
    """
    lanes = max(1, min(_MOST_LANES, _MOST_BUFFERED_BYTES // max(1, session.chunk_bytes)))
    meter = _Meter(feed, session.received_bytes(size_bytes))
    going: set[asyncio.Task[None]] = set()

    async def one(number: int, length: int, pieces: AsyncIterator[bytes]) -> None:
        await put(number, length, meter.count(pieces))
        meter.accepted(length)

    try:
        async with aclosing(_bodies(session, size_bytes, feed, meter, whole=lanes > 1)) as bodies:
            async for number, length, pieces in bodies:
                going.add(asyncio.create_task(one(number, length, pieces)))
                while len(going) >= lanes:
                    await _one_done(going)
        while going:
            await _one_done(going)
    finally:
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)


class _Meter:
    """Adds up what has gone out in all parts at once."""

    def __init__(self, feed: Feed, accepted_bytes: int) -> None:
        self._feed = feed
        self._accepted = self._sent = accepted_bytes
        self.tell()

    def tell(self) -> None:
        """Tell how far the file is: a seek of the feed has told something else."""
        self._feed.progress(self._sent, self._accepted)

    async def count(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Hand the pieces of one part through; each counts when the next one is asked for."""
        async for piece in pieces:
            yield piece
            self._sent += len(piece)
            self.tell()

    def accepted(self, size_bytes: int) -> None:
        """The server has confirmed a part."""
        self._accepted += size_bytes
        self.tell()


async def _bodies(
    session: Session, size_bytes: int, feed: Feed, meter: _Meter, *, whole: bool
) -> AsyncGenerator[tuple[int, int, AsyncIterator[bytes]]]:
    """Yield number, length and pieces of each missing part, in order.

    *whole*: a part is read before it is yielded, so that several can be under way; else as it is sent.
    """
    blocks, at_bytes = None, -1
    for number in session.missing():
        begin_bytes, length = (number - 1) * session.chunk_bytes, session.part_bytes(number, size_bytes)
        if blocks is None or at_bytes != begin_bytes:
            await feed.seek(begin_bytes)
            meter.tell()
            blocks = Blocks(feed, begin_bytes)
        at_bytes = begin_bytes + length
        yield number, length, _cut(await blocks.read(length)) if whole else _taken(blocks, length)


async def _cut(part: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(part), _PIECE_BYTES):
        yield part[at : at + _PIECE_BYTES]


async def _taken(blocks: Blocks, size_bytes: int) -> AsyncIterator[bytes]:
    while size_bytes and (piece := await blocks.take(min(size_bytes, _PIECE_BYTES))):
        size_bytes -= len(piece)
        yield bytes(piece)


async def _one_done(going: set[asyncio.Task[None]]) -> None:
    """Wait for a task, take those that are done out of *going*; raise what one of them raised."""
    done, _ = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
    going -= done
    errors = [error for task in done if (error := task.exception()) is not None]
    if errors:
        raise errors[0]
