"""What every API of the server works with: the database, the storage and the running requests, in one bundle."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from app.server import batches, files
from app.server.batches import BatchCancel
from app.server.clock import Clock, iso
from app.server.config import ServerConfig
from app.server.database import Database
from app.server.files import FileRecord
from app.server.partial import HashMemory, Partial
from app.server.problems import Problem
from app.server.reception import Receptions, StopReason
from app.server.states import UNFINISHED
from app.server.storage import Storage

P = ParamSpec("P")
T = TypeVar("T")

DISK_THREADS = 8

audit = logging.getLogger("uphaul.audit")


class Core:
    """One server's state. The rules are in files.py and batches.py; this runs them and cleans up after them."""

    def __init__(self, config: ServerConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        self.storage = Storage(config.data_dir, min_free_bytes=config.min_free_bytes)
        self.receptions = Receptions()
        self.hashes = HashMemory()
        self.storage.prepare()
        self.database = Database(config.database_path)
        self._disk = ThreadPoolExecutor(DISK_THREADS, thread_name_prefix="uphaul-disk")

    async def open(self) -> None:
        """Prepare the database and sweep what an earlier life left behind."""
        await self.database.open()
        await self.sweep()

    async def close(self) -> None:
        """Stop what runs, keeping what arrived, and end every thread."""
        await self.receptions.stop_all(StopReason.STOPPING)
        await self.database.close()
        self._disk.shutdown()

    def now(self) -> str:
        """The time as the server writes it."""
        return iso(self.clock())

    def expires_at(self) -> str:
        """When an upload that hears nothing more from now on is given up."""
        return iso(self.clock() + self.config.expire_after)

    def start_on_disk(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Start blocking file work in a thread; whoever starts it sees it end."""
        return asyncio.get_running_loop().run_in_executor(self._disk, lambda: work(*args, **kwargs))

    async def on_disk(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking file work in a thread and wait for it."""
        return await self.start_on_disk(work, *args, **kwargs)

    async def cancel_file(self, owner: str, file_id: str, by: str) -> FileRecord:
        """Cancel one file; its bytes are gone from the disk when this returns."""
        file = await self.database.write(files.cancel, owner, file_id, by, self.now())
        await self._discard([(file.id, file.names)])
        audit.info("event=file_cancelled file_id=%s batch_id=%s by=%s", file.id, file.batch_id or "-", by)
        return file

    async def cancel_batch(self, owner: str, batch_id: str, by: str) -> BatchCancel:
        """Cancel a batch and all its unfinished files; their bytes are gone from the disk when this returns."""
        result = await self.database.write(batches.cancel, owner, batch_id, by, self.now())
        folder = result.batch.folder
        await self._discard([(file_id, (folder, *path.split("/"))) for file_id, path in result.partials])
        audit.info(
            "event=batch_cancelled batch_id=%s by=%s cancelled_files=%d stored_files=%d total_files=%d",
            batch_id,
            by,
            result.cancelled_files,
            result.batch.counts.stored,
            result.batch.counts.total,
        )
        return result

    async def delete_file(self, owner: str, file_id: str) -> None:
        """Delete a stored file and its row."""
        await self.database.write(files.delete, self.storage, owner, file_id)
        audit.info("event=file_deleted file_id=%s by=%s", file_id, owner)

    async def _discard(self, partials: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        await self.receptions.stop([file_id for file_id, _ in partials], StopReason.CANCELLED)
        for file_id, _ in partials:
            self.hashes.forget(file_id)

        def discard() -> None:
            for file_id, names in partials:
                self.storage.discard(file_id, names)

        if partials:
            await self.on_disk(discard)

    async def sweep(self) -> None:
        """Fail the uploads whose time is over, and remove partials nobody will ask for again."""
        for file in await self.database.write(files.expire, self.now()):
            await self._discard([(file.id, file.names)])
            audit.info("event=file_expired file_id=%s batch_id=%s", file.id, file.batch_id or "-")
        partials = await self.on_disk(self.storage.partial_ids)
        needed = await self.database.read(
            files.unfinished_ids
        )  # asked second: a row is older than its partial
        for file_id in partials:
            if file_id not in needed:
                await self._remove_orphan(file_id)

    async def _remove_orphan(self, file_id: str) -> None:
        try:
            partial = await self.on_disk(Partial.open, self.storage.partial_path(file_id), create=False)
        except (Problem, FileNotFoundError):  # somebody is just making or finishing it
            return
        try:
            status = await self.database.read(
                files.status, file_id
            )  # asked under the lock: nobody is at work on it
            if status not in UNFINISHED:
                await self.on_disk(self.storage.drop_orphan, file_id, is_known=status is not None)
        finally:
            partial.close()
