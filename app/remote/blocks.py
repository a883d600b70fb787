"""Cuts the blocks of a Feed at the borders of requests, into pieces small enough that progress stays true."""

import time
from collections.abc import Callable

from app.remote.base import Feed

MIN_PIECE_BYTES = 16 * 1024
MAX_PIECE_BYTES = 1024 * 1024
_QUICK_S = 0.05
_SLOW_S = 0.4


def next_piece_bytes(piece_bytes: int, took_s: float) -> int:
    """Return how much to hand over next, if *piece_bytes* took so long: many small pieces on a slow line, so that the
    bar moves and a stall is not mistaken; few large ones on a fast line, where each costs a round through the client."""
    if took_s < _QUICK_S:
        return min(piece_bytes * 2, MAX_PIECE_BYTES)
    if took_s > _SLOW_S:
        return max(piece_bytes // 2, MIN_PIECE_BYTES)
    return piece_bytes


class Blocks:
    """The file from *offset_bytes* on. Keeps what a request left over of a block for the next request.

    The feed must stand at *offset_bytes*. ``accepted_bytes`` is what the server confirmed, for the progress.
    """

    def __init__(self, feed: Feed, offset_bytes: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._feed = feed
        self._rest = memoryview(b"")
        self._clock = clock
        self._piece_bytes = 64 * 1024
        self.accepted_bytes = offset_bytes
        self.sent_bytes = offset_bytes

    async def read(self, size_bytes: int) -> bytes:
        """Return the next *size_bytes* in one piece; fewer only if the file is shorter."""
        parts: list[memoryview] = []
        while size_bytes and (part := await self.take(size_bytes)):
            parts.append(part)
            size_bytes -= len(part)
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    async def take(self, limit_bytes: int) -> memoryview:
        """Return what is at hand, at most *limit_bytes*; empty at the file's end."""
        if not self._rest:
            self._rest = memoryview(await self._feed.block())
        taken, self._rest = self._rest[:limit_bytes], self._rest[limit_bytes:]
        return taken

    def body(self, size_bytes: int) -> "Body":
        """Return the next *size_bytes* of the file as the body of one request."""
        return Body(self, size_bytes)

    def body_of(self, block: bytes) -> "Body":
        """Return a body of bytes that were read already."""
        return Body(self, len(block), memoryview(block))

    def accept(self, offset_bytes: int) -> None:
        """The server has confirmed everything up to *offset_bytes*."""
        self.accepted_bytes = self.sent_bytes = offset_bytes
        self._feed.progress(offset_bytes, offset_bytes)

    def _on_its_way(self, piece_bytes: int, took_s: float) -> None:
        self.sent_bytes += piece_bytes
        self._piece_bytes = next_piece_bytes(self._piece_bytes, took_s)
        self._feed.progress(self.sent_bytes, self.accepted_bytes)


class Body:
    """The bytes of one request, as an asynchronous iterator; the client asks for a piece when the last one is out."""

    def __init__(self, blocks: Blocks, size_bytes: int, block: memoryview | None = None) -> None:
        self._blocks = blocks
        self._left_bytes = size_bytes
        self._block = memoryview(b"") if block is None else block
        self._out_bytes = 0
        self._since = 0.0

    def __aiter__(self) -> "Body":
        return self

    async def __anext__(self) -> bytes:
        blocks = self._blocks
        if self._out_bytes:
            blocks._on_its_way(self._out_bytes, blocks._clock() - self._since)
            self._out_bytes = 0
        if not self._left_bytes:
            raise StopAsyncIteration
        if not self._block:
            self._block = await blocks.take(self._left_bytes)
        piece, self._block = self._block[: blocks._piece_bytes], self._block[blocks._piece_bytes :]
        if not piece:
            raise StopAsyncIteration  # the file is shorter than it was: the client notices that by the length
        self._left_bytes -= len(piece)
        self._out_bytes = len(piece)
        self._since = blocks._clock()
        whole = piece.obj
        return whole if isinstance(whole, bytes) and len(whole) == len(piece) else bytes(piece)
