"""Walks dropped paths in a thread of its own and hands over what it finds, in batches, on the event loop."""

import asyncio
import contextlib
import inspect
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from app.domain.batch import IntakeReport
from app.domain.paths import cut_name
from app.intake.roots import root_name
from app.intake.rules import Rules
from app.intake.scan import Found, Scan

__all__ = ["Found", "batch_name", "walk"]

Each = Callable[[Sequence[Found]], Awaitable[None] | None]

_LONGEST_SILENCE_S = 0.1
_BATCHES_AHEAD = 8
_PATHS_LOOKED_AT = 100


async def walk(paths: Sequence[str], rules: Rules, each: Each, *, batch_size: int = 500) -> IntakeReport:
    """Call *each* with what lies below *paths*, at most *batch_size* files at once; return the report of it all.

    The first file is handed over at once, the others when enough are there or 100 ms have passed. While *each* works,
    the thread runs at most a few batches ahead. Cancelling stops the thread at its next file or folder; it never waits for it,
    since a dead network drive may hold it for minutes.
    """
    walker = _Walker(Scan(rules), paths, batch_size)
    thread = threading.Thread(target=walker.run, name="uphaul-intake", daemon=True)
    thread.start()
    try:
        while (found := await walker.queue.get()) is not None:
            if inspect.isawaitable(done := each(found)):
                await done
            walker.room.release()
    finally:
        walker.stop()
    if walker.error is not None:
        raise walker.error
    return walker.scan.report()


class _Walker:
    """The thread's side. Only ``queue`` is touched from there, by ``call_soon_threadsafe``."""

    def __init__(self, scan: Scan, paths: Sequence[str], batch_size: int) -> None:
        self.scan = scan
        self.queue: asyncio.Queue[list[Found] | None] = asyncio.Queue()
        self.room = threading.Semaphore(_BATCHES_AHEAD)
        self.error: Exception | None = None
        self._paths = paths
        self._batch_size = batch_size
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """Let the thread end, also if it waits for room."""
        self.scan.is_stopped = True
        self.room.release()

    def run(self) -> None:
        try:
            self._collect()
        except Exception as error:  # it is raised again where the walk is awaited
            self.error = error
        self._put(None)

    def _collect(self) -> None:
        found: list[Found] = []
        put_at = 0.0
        for file in self.scan.walk(self._paths):
            if self.scan.is_stopped:
                return
            found.append(file)
            if len(found) >= self._batch_size or time.monotonic() - put_at >= _LONGEST_SILENCE_S:
                self.room.acquire()
                self._put(found)
                found = []
                put_at = time.monotonic()
        if found:
            self._put(found)

    def _put(self, found: list[Found] | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody listens any more
            self._loop.call_soon_threadsafe(self.queue.put_nowait, found)


def batch_name(paths: Sequence[str], now: float) -> str:
    """Return what to call a drop: ``Photos``, ``3 folders``, ``report.pdf and 11 more``. *now* is epoch seconds."""
    if not paths:
        return datetime.fromtimestamp(now).astimezone().strftime("Upload %Y-%m-%d %H.%M")
    first = cut_name(root_name(os.path.abspath(paths[0])))
    if len(paths) == 1:
        return first
    if len(paths) <= _PATHS_LOOKED_AT and all(os.path.isdir(path) for path in paths):
        return f"{len(paths)} folders"
    return f"{first} and {len(paths) - 1} more"
