"""What every API of the server works with: the database, the storage and the running requests, in one bundle."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import ParamSpec, TypeVar

from app.server import batches, files, jobs, outbox
from app.server.accounts import Accounts
from app.server.batches import BatchCancel
from app.server.clock import Clock, iso
from app.server.config import ServerConfig
from app.server.courier import Courier
from app.server.database import Database, Transaction
from app.server.events import Events
from app.server.files import FileRecord, StoredRule
from app.server.helpers import Helpers, Terms
from app.server.jobs import JobRecord
from app.server.life import Life
from app.server.limits import RateLimits
from app.server.partial import HashMemory, Partial
from app.server.problems import Problem
from app.server.processors import inspect
from app.server.reception import Receptions, StopReason
from app.server.runner import Runner
from app.server.states import UNFINISHED, FileStatus
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
        self.events = Events()
        self.database = Database(config.database_path, self.events, self._wake)
        self.accounts = Accounts(self.database, config.token, clock)
        self.limits = RateLimits(config.rate_limit_factor)
        self.on_stored: dict[str, StoredRule] = {}
        """What an API does in the transaction that stores a file of its origin."""
        self._life = Life(config.data_dir / "workers")
        terms = Terms(
            config.data_dir, config.job_processes, config.job_memory_bytes, config.job_stall_seconds
        )
        self.runner = Runner(self.database, Helpers(terms), self._life, self.now)
        self.processors = self.runner.processors
        self.processors[jobs.INSPECT] = inspect
        self._courier = Courier(self.database, self._life, config.webhook, clock)
        self._disk = ThreadPoolExecutor(DISK_THREADS, thread_name_prefix="uphaul-disk")

    async def open(self) -> None:
        """Prepare the database and sweep what an earlier life left behind."""
        self.events.open()
        await self.database.open()
        await self.on_disk(self._life.begin)
        await self.on_disk(self._life.bury)
        await self._abandon(at_start=True)
        await self.sweep()
        await self.runner.open()
        await self._courier.open()

    async def close(self) -> None:
        """Stop what runs, keeping what arrived, and end every thread."""
        self.events.close()
        await self.receptions.stop_all(StopReason.STOPPING)
        await self._courier.close()
        await self.runner.close()
        await self.database.close()
        self._life.end()
        self._disk.shutdown()

    def _wake(self, who: str) -> None:
        if who == jobs.WAKE:
            self.runner.wake()
        elif who == outbox.WAKE:
            self._courier.wake()

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
        """Cancel one file; its bytes are gone from the disk when this returns.

        Of a stored file that is still being processed, the processing is cancelled; its bytes stay.
        """
        file, stopped = await self.database.write(_cancel_file, owner, file_id, by, self.now())
        if stopped:
            await self.runner.stop(stopped)
        else:
            await self._discard([(file.id, file.names)])
        audit.info("event=file_cancelled file_id=%s batch_id=%s by=%s", file.id, file.batch_id or "-", by)
        return file

    async def cancel_batch(self, owner: str, batch_id: str, by: str) -> BatchCancel:
        """Cancel a batch and all its unfinished files; their bytes are gone from the disk when this returns."""
        result = await self.database.write(batches.cancel, owner, batch_id, by, self.now())
        await self.runner.stop(result.cancelled_jobs)
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
        stopped = await self.database.write(files.delete, self.storage, owner, file_id, self.now())
        await self.runner.stop(stopped)
        if stopped:  # a processor that was at work may have made one after the commit
            await self.on_disk(self.storage.drop_thumbnail, file_id)
        audit.info("event=file_deleted file_id=%s by=%s", file_id, owner)

    async def cancel_job(self, owner: str, job_id: str, by: str) -> JobRecord:
        """Cancel one job, queued or in work; raises `Problem` job_not_found or not_cancellable."""
        job = await self.database.write(jobs.cancel, owner, job_id, self.now())
        await self.runner.stop([job_id])
        audit.info("event=job_cancelled job_id=%s by=%s", job_id, by)
        return job

    async def retry_delivery(self, owner: str, event_id: str) -> outbox.Delivery:
        """Send an event of the outbox again; raises `Problem` event_not_found or not_over."""
        return await self.database.write(outbox.retry, owner, event_id, self.now())

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
        await self._abandon(at_start=False)
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

    async def _abandon(self, *, at_start: bool) -> None:
        """Fail files of unknown length whose request is gone: nobody can tell where they would have ended.

        At the start, every one that no process holds; later only those that were silent for a while, for one is a row first.
        """
        silent = timedelta(0) if at_start else timedelta(seconds=2 * self.config.stall_seconds)
        before = iso(self.clock() + self.config.expire_after - silent)
        for file_id in await self.database.read(files.open_ended_ids, before):
            try:
                partial = await self.on_disk(Partial.open, self.storage.partial_path(file_id))
            except Problem:  # somebody is writing it
                continue
            try:
                over = await self.database.write(files.abandon, [file_id], self.now())
            finally:
                partial.close()
            await self._discard([(file.id, file.names) for file in over])

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


def _cancel_file(
    tx: Transaction, owner: str, file_id: str, by: str, now: str
) -> tuple[FileRecord, tuple[str, ...]]:
    file = files.get(tx.connection, owner, file_id)
    if file.status is FileStatus.STORED:
        stopped = jobs.cancel_of_file(tx, owner, file_id, now)
        if stopped:
            return file, tuple(job.id for job in stopped)
    return files.cancel(tx, owner, file_id, by, now), ()
