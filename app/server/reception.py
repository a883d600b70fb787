"""The requests that are bringing bytes at this moment, so that a cancel can end them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Any

from app.server.problems import Problem

STOP_SECONDS = 5.0
"""A request that is told to stop only has to finish the block it is writing."""


class StopReason(Enum):
    """Why a request was ended before its body was."""

    CANCELLED = auto()
    STALLED = auto()
    STOPPING = auto()


class Reception:
    """One request that brings bytes of one file."""

    def __init__(self) -> None:
        self._stop: asyncio.Future[StopReason] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()

    @property
    def stop_reason(self) -> StopReason | None:
        """Why it must end, or None."""
        return self._stop.result() if self._stop.done() else None

    def stop(self, reason: StopReason) -> None:
        """Ask it to end; the first reason counts."""
        if not self._stop.done():
            self._stop.set_result(reason)

    async def run(self, *work: Coroutine[Any, Any, object]) -> None:
        """Run *work* side by side until the first one ends or the reception is stopped; end the others and wait for them.

        Raises what the work raised.
        """
        tasks: list[asyncio.Task[object]] = [asyncio.create_task(one) for one in work]
        ends: list[asyncio.Future[Any]] = [*tasks, self._stop]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()


class Receptions:
    """The running receptions of this process, at most one a file."""

    def __init__(self) -> None:
        self._running: dict[str, Reception] = {}

    @contextmanager
    def enter(self, file_id: str) -> Iterator[Reception]:
        """Register a reception while its request runs; raises `Problem("locked")` if the file has one."""
        if file_id in self._running:
            raise Problem("locked", headers={"Retry-After": "1"})
        reception = self._running[file_id] = Reception()
        try:
            yield reception
        finally:
            del self._running[file_id]
            reception.ended.set()

    async def stop(self, file_ids: Iterable[str], reason: StopReason) -> None:
        """End the receptions of these files and wait until they have let go of their partials."""
        found = [self._running[file_id] for file_id in file_ids if file_id in self._running]
        for reception in found:
            reception.stop(reason)
        if found:
            await asyncio.wait(
                [asyncio.ensure_future(reception.ended.wait()) for reception in found], timeout=STOP_SECONDS
            )

    async def stop_all(self, reason: StopReason) -> None:
        """End every reception."""
        await self.stop(list(self._running), reason)
