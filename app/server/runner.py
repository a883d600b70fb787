"""Works jobs off: claims a row, has a helper process do the work, writes down how it ended. A few at a time, one a lane.

What a dead server had in work is put back by the next one that looks (life.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.server import files, jobs
from app.server.database import Database
from app.server.file_records import FileRecord
from app.server.helpers import AttemptError, HelperError, Helpers
from app.server.jobs import JobRecord
from app.server.life import Life
from app.server.problems import Problem
from app.server.work import Processors, Work, order

__all__ = ["Runner", "Work"]

IDLE_SECONDS = 30.0
"""A server that has heard of no work for so long lets its helpers go, and looks for the dead it shares DATA with."""
STOP_SECONDS = 5.0

log = logging.getLogger("uphaul.jobs")


class _NotOurs(Exception):
    """The job was cancelled or deleted, by whoever shares DATA with us, while we were at it."""


@dataclass(frozen=True, slots=True)
class _Running:
    job: JobRecord
    task: asyncio.Task[None]


class Runner:
    """The jobs that this server works at."""

    def __init__(self, database: Database, helpers: Helpers, life: Life, now: Callable[[], str]) -> None:
        self.processors = Processors()
        self._database, self._helpers, self._now = database, helpers, now
        self._life, self._id = life, life.id
        self._running: dict[str, _Running] = {}
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None

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
        """End the work at these jobs, which are cancelled or gone in the database already; it is over when this returns."""
        tasks = [self._running[job_id].task for job_id in job_ids if job_id in self._running]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)

    async def close(self) -> None:
        """Give back what is in work, and end the helpers."""
        if self._main is not None:
            self._main.cancel()
            with suppress(asyncio.CancelledError):
                await self._main
        mine = [one.job for one in self._running.values()]
        await self.stop(list(self._running))
        for job in mine:
            await self._database.write(jobs.give_back, job, self._id)
        await self._helpers.rest()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                await self._helpers.rest()
            self._wake.clear()
            try:
                await self._bury()
                while len(self._running) < self._helpers.terms.processes and await self._start_next():
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
        # No await between the claim and this: a cancel that comes after the claim must find the job here.
        self._running[job.id] = _Running(job, asyncio.create_task(self._work_off(job)))
        return True

    async def _work_off(self, job: JobRecord) -> None:
        try:
            await self._attempt(job)
        except Problem:  # the database is busy for long: the job stays in work until this server ends
            log.warning("event=job_not_settled job_id=%s", job.id, exc_info=True)
        except _NotOurs:
            log.info("event=job_left job_id=%s", job.id)
        finally:
            self._running.pop(job.id, None)
            self._wake.set()

    async def _attempt(self, job: JobRecord) -> None:
        try:
            result = await self._result(job)
        except (AttemptError, HelperError) as error:
            await self._database.write(jobs.fail, job, self._id, str(error), self._now())
            log.info("event=job_failed job_id=%s attempt=%d error=%r", job.id, job.attempts, str(error))
        else:
            await self._database.write(jobs.complete, job, self._id, result, self._now())

    async def _result(self, job: JobRecord) -> dict[str, Any]:
        name = self.processors.name(job.kind)
        if name is None:
            raise AttemptError(f"This server does not know how to do “{job.kind}”.")

        async def note(percent: int, stage: str | None) -> None:
            if not await self._database.write(jobs.progress, job, self._id, percent, stage, self._now()):
                raise _NotOurs

        file = await self._file_of(job)
        async with self._helpers.lend() as helper:
            return await helper.work(order(name, job, file), note)

    async def _file_of(self, job: JobRecord) -> FileRecord | None:
        if job.file_id is None:
            return None
        with suppress(Problem):
            return await self._database.read(files.get, job.owner, job.file_id)
        return None
