"""The file as the adapter sees it while it sends: blocks, read ahead in a thread, hashed on the way (remote.base.Feed)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

from app.domain.transfer import Transfer
from app.engine.localfile import BLOCK_BYTES, LocalFile
from app.engine.throttle import Throttle

SMALL_BYTES = 256 * 1024
_HASH_STEP_BYTES = 16 * BLOCK_BYTES
_LEAST_BLOCK_BYTES = 16 * 1024
_BLOCKS_A_SECOND = 8
_HEARTBEAT_S = 2.0
_T = TypeVar("_T")


class FileFeed:
    """One transfer's file, for one attempt; used by one task, and closed by its owner.

    A file up to 256 KiB is opened, read, hashed and closed in one call to *executor* and kept; of a larger one the
    next block is read and hashed while the last one is sent. *on_created* gets the server's id, *on_progress* the
    bytes sent and accepted, counted from the file's start. All errors of the file are TransferError.
    """

    def __init__(
        self,
        transfer: Transfer,
        executor: Executor,
        *,
        on_created: Callable[[str], Awaitable[None]],
        on_progress: Callable[[int, int], None],
        throttle: Throttle | None = None,
    ) -> None:
        self._size_bytes = transfer.size_bytes
        self._file = LocalFile(transfer.source, transfer.size_bytes, transfer.mtime_ns)
        self._executor = executor
        self._on_created = on_created
        self._on_progress = on_progress
        self._throttle = throttle
        self._at_bytes = 0
        self._opened = False
        self._whole: bytes | None = None
        self._ahead: asyncio.Future[bytes] | None = None
        self._running: asyncio.Future[Any] | None = None
        self._told = (0, 0)

    async def __aenter__(self) -> "FileFeed":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the file; if a thread still reads (a dead network drive), it is closed when that read returns."""
        if self._running is not None and not self._running.done():
            self._running.add_done_callback(self._close)
        else:
            self._close(self._running)

    async def seek(self, offset_bytes: int) -> None:
        """Continue at *offset_bytes*; what lies before it and was not hashed yet is read now (Feed.seek)."""
        await self._open()
        self._ahead = None
        self.progress(offset_bytes, offset_bytes)
        while self._file.hashed_bytes < offset_bytes:
            size_bytes = min(_HASH_STEP_BYTES, offset_bytes - self._file.hashed_bytes)
            await self._run(self._file.read, self._file.hashed_bytes, size_bytes)
            self.progress(offset_bytes, offset_bytes)  # no byte moves, and yet nothing stalls
        self._at_bytes = offset_bytes

    async def block(self) -> bytes:
        """Return the next block, at most 1 MiB; ``b""`` at the end (Feed.block)."""
        await self._open()
        if self._at_bytes == self._size_bytes:
            return b""
        block = await self._next()
        if self._throttle is not None:
            with self._heartbeat():
                await self._throttle.take(len(block))
        self._at_bytes += len(block)
        if self._whole is None and self._at_bytes < self._size_bytes:
            self._ahead = self._start(self._file.read, self._at_bytes, self._next_bytes())
        return block

    def sha256(self) -> str:
        """Return the file's SHA-256 as 64 hex digits, once its last block was read (Feed.sha256)."""
        return self._file.sha256()

    async def created(self, remote_id: str) -> None:
        """Pass the server's id on (Feed.created)."""
        await self._on_created(remote_id)

    def progress(self, sent_bytes: int, accepted_bytes: int) -> None:
        """Pass the progress on (Feed.progress)."""
        self._told = (sent_bytes, accepted_bytes)
        self._on_progress(sent_bytes, accepted_bytes)

    async def _open(self) -> None:
        if self._opened:
            return
        if self._size_bytes <= SMALL_BYTES:
            self._whole = await self._run(self._file.read_all)
        else:
            await self._run(self._file.open)
        self._opened = True

    def _next_bytes(self) -> int:
        """With a speed limit: several blocks a second, so that the bytes do not go out in bursts."""
        limit_bps = self._throttle.limit_bps if self._throttle is not None else 0
        paced = max(_LEAST_BLOCK_BYTES, limit_bps // _BLOCKS_A_SECOND) if limit_bps else BLOCK_BYTES
        return min(paced, BLOCK_BYTES, self._size_bytes - self._at_bytes)

    async def _next(self) -> bytes:
        if self._whole is not None:
            return self._whole[self._at_bytes : self._at_bytes + self._next_bytes()]
        if self._ahead is None:
            return await self._run(self._file.read, self._at_bytes, self._next_bytes())
        ahead, self._ahead = self._ahead, None
        return await asyncio.shield(ahead)

    async def _run(self, call: Callable[..., _T], *args: int) -> _T:
        """Call in a thread, after whatever still runs there. Shielded: a cancel must not lose track of that thread."""
        if self._running is not None and not self._running.done():
            await asyncio.wait([self._running])
        return await asyncio.shield(self._start(call, *args))

    def _start(self, call: Callable[..., _T], *args: int) -> asyncio.Future[_T]:
        future = asyncio.get_running_loop().run_in_executor(self._executor, call, *args)
        self._running = future
        return future

    def _close(self, last: asyncio.Future[Any] | None) -> None:
        if last is not None and not last.cancelled():
            last.exception()  # it may be one that nobody waits for any more
        self._file.close()

    @contextmanager
    def _heartbeat(self) -> Iterator[None]:
        """Tell the old progress again while the speed limit makes it wait, so that this is not taken for a stall."""
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle | None = None

        def beat(is_first: bool) -> None:
            nonlocal timer
            if not is_first:
                self._on_progress(*self._told)
            timer = loop.call_later(_HEARTBEAT_S, beat, False)

        beat(True)
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
