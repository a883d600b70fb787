"""Works jobs off: claims a row, runs its processor in a thread, writes down how it ended. A few at a time, one a lane.

What a dead server had in work is put back by the next one that looks (life.py).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.server import files, jobs
from app.server.database import Database
from app.server.files import FileRecord
from app.server.jobs import JobRecord
from app.server.life import Life
from app.server.problems import Problem
from app.server.storage import Storage

WORKERS = 2
PROGRESS_SECONDS = 0.25
IDLE_SECONDS = 30.0
"""A server that shares DATA with others looks for their dead, and for work they left, this often."""

log = logging.getLogger("uphaul.jobs")


class JobCancelled(Exception):
    """Raised inside a processor by :meth:`Work.progress` when nobody wants its result any more."""


class Work:
    """What a processor gets. Its methods may be called from the processor's thread."""

    def __init__(
        self,
        job: JobRecord,
        file: FileRecord | None,
        storage: Storage,
        note: Callable[[int, str | None], bool],
    ) -> None:
        self.job = job
        self.file = file
        self.storage = storage
        self._note = note
        self._noted_at = 0.0
        self._noted: tuple[int, str | None] = (0, None)
        self._stopped = threading.Event()

    @property
    def path(self) -> Path:
        """Where the stored file is; a job without one has no path."""
        if self.file is None or self.file.stored_path is None:
            raise ValueError("this job has no stored file")
        return self.storage.stored_file(self.file.stored_path)

    def stop(self) -> None:
        """Make the next :meth:`progress` end the work."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        """Whether the work is to end."""
        return self._stopped.is_set()

    def progress(self, percent: int, stage: str | None = None) -> None:
        """Tell how far it is, as often as one likes; raises :class:`JobCancelled` if it is to end."""
        if self._stopped.is_set():
            raise JobCancelled
        now, news = time.monotonic(), (max(0, min(100, percent)), stage)
        if news == self._noted or (stage == self._noted[1] and now - self._noted_at < PROGRESS_SECONDS):
            return
        self._noted_at, self._noted = now, news
        if not self._note(*news):
            raise JobCancelled


Processor = Callable[[Work], Mapping[str, Any]]
"""Runs in a thread; returns what becomes the job's result (JSON). Any exception but JobCancelled is a failed attempt."""


@dataclass(frozen=True, slots=True)
class _Running:
    work: Work
    task: asyncio.Task[None]


class Runner:
    """The jobs that this process works at."""

    def __init__(self, database: Database, storage: Storage, life: Life, now: Callable[[], str]) -> None:
        self.processors: dict[str, Processor] = {}
        self._database, self._storage, self._now = database, storage, now
        self._life, self._id = life, life.id
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="uphaul-job")
        self._running: dict[str, _Running] = {}
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._is_stopping = False

    async def open(self) -> None:
        """Take the jobs of dead servers over, and begin."""
        self._loop = asyncio.get_running_loop()
        await self._bury()
        self._main = asyncio.create_task(self._run())
        self._wake.set()

    def wake(self) -> None:
        """Say that there may be work; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def stop(self, job_ids: Iterable[str]) -> None:
        """End the work at these jobs, which are cancelled or gone in the database already."""
        found = [self._running[job_id] for job_id in job_ids if job_id in self._running]
        for one in found:
            one.work.stop()
        if found:
            await asyncio.wait([one.task for one in found], timeout=1.0)

    async def close(self) -> None:
        """Give back what is in work, and end the threads."""
        self._is_stopping = True
        if self._main is not None:
            self._main.cancel()
            with suppress(asyncio.CancelledError):
                await self._main
        await self.stop(list(self._running))
        for one in list(self._running.values()):
            await self._database.write(jobs.give_back, one.work.job, self._id)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._bury()
                while len(self._running) < WORKERS and await self._start_next():
                    pass
            except Problem:  # the database is busy: the next round is not far
                log.warning("event=jobs_not_claimed", exc_info=True)

    async def _bury(self) -> None:
        for worker in await self._database.read(jobs.workers):
            if self._life.is_dead(worker):
                await self._database.write(jobs.recover, worker, self._now())
                log.info("event=jobs_recovered worker=%s", worker)

    async def _start_next(self) -> bool:
        job = await self._database.write(jobs.claim, self._id, self._now())
        if job is None:
            return False
        file = None
        if job.file_id is not None:
            with suppress(Problem):
                file = await self._database.read(files.get, job.owner, job.file_id)
        work = Work(job, file, self._storage, self._noter(job))
        task = asyncio.create_task(self._work_off(work))
        self._running[job.id] = _Running(work, task)
        return True

    def _noter(self, job: JobRecord) -> Callable[[int, str | None], bool]:
        loop = asyncio.get_running_loop()

        def note(percent: int, stage: str | None) -> bool:
            wanted = self._database.write(jobs.progress, job, self._id, percent, stage, self._now())
            return asyncio.run_coroutine_threadsafe(wanted, loop).result(30)

        return note

    async def _work_off(self, work: Work) -> None:
        job = work.job
        try:
            outcome = await asyncio.get_running_loop().run_in_executor(self._threads, self._attempt, work)
            if work.is_stopped and self._is_stopping:
                await self._database.write(jobs.give_back, job, self._id)
            elif isinstance(outcome, str):
                await self._database.write(jobs.fail, job, self._id, outcome, self._now())
                log.info("event=job_failed job_id=%s attempt=%d error=%r", job.id, job.attempts, outcome)
            elif outcome is not None:
                await self._database.write(jobs.complete, job, self._id, outcome, self._now())
        except Problem:  # the database is busy for long: the job stays in work until this server ends
            log.warning("event=job_not_settled job_id=%s", job.id, exc_info=True)
        finally:
            self._running.pop(job.id, None)
            self._wake.set()

    def _attempt(self, work: Work) -> Mapping[str, Any] | str | None:
        """Return the result, a sentence about what failed, or None if it was cancelled."""
        processor = self.processors.get(work.job.kind)
        if processor is None:
            return f"This server does not know how to do “{work.job.kind}”."
        try:
            return processor(work)
        except JobCancelled:
            return None
        except Exception as error:
            log.debug("event=attempt_failed job_id=%s", work.job.id, exc_info=True)
            return str(error) or type(error).__name__
