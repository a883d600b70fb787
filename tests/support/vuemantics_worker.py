"""The worker of a pretended vuemantics: one batch at a time, file after file, two tries each, and what it tells."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from starlette.websockets import WebSocket

from tests.support.clock import until

BROKEN = b"not a picture"
"""Content that it cannot process."""


@dataclass
class File:
    """One upload."""

    batch_id: str
    name: str
    media_type: str
    content: bytes
    id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "pending"
    error: str | None = None


@dataclass
class Batch:
    """One bulk POST."""

    files: list[File]
    total: int
    created: str
    id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "pending"
    queued: bool = False
    good: int = 0
    bad: int = 0

    def shown(self, *, in_list: bool = False) -> dict[str, Any]:
        """The JSON; lists leave two fields null."""
        processed = self.good + self.bad
        return {
            "batch_id": self.id,
            "status": self.status,
            "total_uploads": self.total,
            "processed_uploads": processed,
            "successful_uploads": self.good,
            "failed_uploads": self.bad,
            "progress_percentage": 100.0 * processed / self.total if self.total else 0.0,
            "created_at": self.created,
            "started_at": None if in_list or self.status == "pending" else self.created,
            "completed_at": self.created if self.status == "completed" else None,
            "error_message": None,
        }


class Worker:
    """*tell* sends a message to every socket of the account."""

    def __init__(self, tell: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self.fail_once: set[str] = set()
        self.tells_the_end = True
        self.stops_when_cancelled = False
        self._tell = tell
        self._queue: deque[Batch] = deque()
        self._wake = asyncio.Event()
        self._may_work = asyncio.Event()
        self._may_work.set()
        self._stop_at: int | None = None
        self._hold_at_file: int | None = None

    def put(self, batch: Batch) -> None:
        """Queue a batch."""
        self._queue.append(batch)
        self._wake.set()

    def hold(self, at_percent: int = 0) -> None:
        """Let the worker stop when a file has come to this per cent (0: before it begins)."""
        self._stop_at = at_percent
        self._may_work.clear()

    def hold_at_file(self, index: int) -> None:
        """Let the worker stop before this file of each batch."""
        self._hold_at_file = index
        self._may_work.clear()

    def step(self) -> None:
        """Let it go on to the next place where it must stop."""
        self._may_work.set()
        self._may_work.clear()

    def go(self) -> None:
        """Let it go on."""
        self._stop_at = None
        self._may_work.set()

    async def work(self) -> None:
        """Work for ever."""
        while True:
            while not self._queue:
                self._wake.clear()
                await self._wake.wait()
            await self._process(self._queue.popleft())

    async def _process(self, batch: Batch) -> None:
        if batch.status == "cancelled":
            return
        await asyncio.sleep(0)
        batch.status = "processing"
        await self._tell_batch(batch)
        for index, file in enumerate(list(batch.files)):
            if index == self._hold_at_file:
                await self._may_work.wait()
            if batch.status == "cancelled" and self.stops_when_cancelled:
                return
            good = await self._process_file(batch, file)
            batch.good, batch.bad = batch.good + good, batch.bad + (not good)
            await self._tell_batch(batch)
        batch.status = "completed"
        if self.tells_the_end:
            await self._tell_batch(batch)

    async def _process_file(self, batch: Batch, file: File) -> bool:
        for attempt in (1, 2):
            for percent in (0, 10, 40, 80) if attempt == 1 else (12, 60):
                if self._stop_at is not None and percent >= self._stop_at:
                    await self._may_work.wait()
                if file not in batch.files:
                    return False
                await self._tell_file(batch, file, percent, "processing")
            once = file.name in self.fail_once and attempt == 1
            if not once and not file.content.startswith(BROKEN) and file.content:
                file.status = "completed"
                await self._tell_file(batch, file, 100, "completed")
                return True
            await self._tell(
                {
                    "action": "upload_failed",
                    "upload_id": file.id,
                    "error_message": "Vision model error: bad data",
                }
            )
        file.status, file.error = "failed", "Failed after retry"
        await self._tell_file(batch, file, 100, "failed")
        return False

    async def _tell_file(self, batch: Batch, file: File, percent: int, status: str) -> None:
        payload = {
            "batch_id": batch.id,
            "upload_id": file.id,
            "file_name": file.name,
            "file_size": len(file.content),
            "progress_percentage": percent,
            "status": status,
        }
        await self._tell({"action": "file_progress", "payload": payload})

    async def _tell_batch(self, batch: Batch) -> None:
        shown = batch.shown()
        if shown["progress_percentage"] > 100:
            return  # fails its own validation
        payload = {
            "batch_id": batch.id,
            "status": "processing" if batch.status == "cancelled" else batch.status,
            "total": batch.total,
            "processed": batch.good + batch.bad,
            "successful": batch.good,
            "failed": batch.bad,
            "progress_percentage": shown["progress_percentage"],
        }
        await self._tell({"action": "batch_progress", "payload": payload})


class Waits:
    """What a test waits for at a server."""

    batches: list[Batch]
    said: list[dict[str, Any]]
    sockets: set[WebSocket]
    sockets_opened: int

    @property
    def files(self) -> list[File]:
        """All files, in the order they came."""
        return [file for batch in self.batches for file in batch.files]

    async def connected(self, sockets: int = 1) -> None:
        """Wait until so many sockets have been opened, since the start, and the last of them is signed in."""
        await until(lambda: self.sockets_opened >= sockets and bool(self.sockets))

    async def heard(self, frames: int) -> None:
        """Wait until clients have said so much on their sockets."""
        await until(lambda: len(self.said) >= frames)

    async def processed(self, files: int) -> None:
        """Wait until so many files of the last batch are processed."""
        await until(lambda: self.batches[-1].good + self.batches[-1].bad >= files)

    async def begun(self) -> None:
        """Wait until the worker has begun with all batches."""
        await until(lambda: all(batch.status != "pending" for batch in self.batches))

    async def done(self, files: int) -> None:
        """Wait until the worker has ended all batches, which have so many files or more."""
        ended = ("completed", "cancelled")
        await until(lambda: all(b.status in ended for b in self.batches) and len(self.files) >= files)

    async def alone(self) -> None:
        """Wait until no socket is open."""
        await until(lambda: not self.sockets)
