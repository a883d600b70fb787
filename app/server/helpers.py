"""The helper processes of a server: started at need, lent to one job at a time, ended when a job is to stop.

    lend() ─► idle or new ─► work() ─► back to the idle
                               └── cancelled, crashed, silent for too long ─► end(); the next job gets a new one

Everything a job could do to the process it runs in, it does to one of these (helper.py is their side).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.server.helper import GRACE_SECONDS, LENGTH_BYTES, packed

MOST_FRAME_BYTES = 64 * 1024 * 1024
KILL_AFTER_SECONDS = 2 * GRACE_SECONDS

if sys.platform == "win32":
    import subprocess

    _NO_CONSOLE = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _NO_CONSOLE = 0

Note = Callable[[int, str | None], Awaitable[None]]
"""Hears how far a job is, in percent, and its stage."""

log = logging.getLogger("uphaul.jobs")


class AttemptError(Exception):
    """An attempt failed, and its helper is well; the text is a sentence for the owner of the file."""


class HelperError(Exception):
    """An attempt failed with its helper, which is of no use any more; the text is a sentence, too."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What every helper works by."""

    data_dir: Path
    processes: int
    """The most at a time."""
    memory_bytes: int
    """The most address space of one, where the system can limit it."""
    stall_seconds: float
    """Who tells nothing for so long is stuck."""


class Helpers:
    """All helpers of one server. Belongs to one event loop."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._idle: list[Helper] = []

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Helper]:
        """Lend one. It is ended if the work ends with anything but a result or an :class:`AttemptError`."""
        helper = self._idle.pop() if self._idle else Helper(self.terms)
        try:
            yield helper
        except AttemptError:
            self._idle.append(helper)
            raise
        except BaseException:
            await helper.end()
            raise
        self._idle.append(helper)

    async def rest(self) -> None:
        """End those that have nothing to do."""
        while self._idle:
            await self._idle.pop().end()


class Helper:
    """One process, started with its first job."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._process: asyncio.subprocess.Process | None = None

    async def work(self, order: Mapping[str, Any], note: Note) -> dict[str, Any]:
        """Have one job done and return its result; raises :class:`AttemptError` or :class:`HelperError`."""
        try:
            process = await self._started()
            await _send(process, order)
            while True:
                async with asyncio.timeout(self._terms.stall_seconds):
                    message = await _receive(process)
                match message:
                    case {"result": dict(result)}:
                        return result
                    case {"error": str(sentence), "trace": str(trace)}:
                        log.debug("event=attempt_failed trace=%r", trace)
                        raise AttemptError(sentence)
                    case {"percent": int(percent), "stage": str() | None as stage}:
                        await note(percent, stage)
                    case _:
                        raise HelperError("The process that worked on this file spoke nonsense.")
        except TimeoutError:
            seconds = f"{self._terms.stall_seconds:g}"
            raise HelperError(f"The work on this file got stuck: no sign of life for {seconds} s.") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise HelperError(await self._last_words()) from None
        # It cannot be started, what it sent is no JSON, or (uvloop) its end is known to the pipe and not yet to the process.
        except (OSError, ValueError, RuntimeError) as error:
            raise HelperError(f"The process that works on files failed: {error}") from error

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        self._process = await asyncio.create_subprocess_exec(
            *_command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Image libraries print what a file made them say: it is no part of our log.
            stderr=None if log.isEnabledFor(logging.DEBUG) else asyncio.subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            creationflags=_NO_CONSOLE,
        )
        terms = {
            "data": str(self._terms.data_dir),
            "memory_bytes": self._terms.memory_bytes,
            "stall_seconds": self._terms.stall_seconds,
        }
        await _send(self._process, terms)
        return self._process

    async def _last_words(self) -> str:
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILL_AFTER_SECONDS):
                await self._process.wait()
        return _ending(self._process.returncode)

    async def end(self) -> None:
        """Close its standard input, and see that it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(KILL_AFTER_SECONDS):
                await process.wait()
        except TimeoutError:
            log.info("event=helper_killed pid=%d", process.pid)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        await process.wait()


async def _send(process: asyncio.subprocess.Process, frame: Mapping[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(packed(frame))
    await process.stdin.drain()


async def _receive(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    length = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
    if length > MOST_FRAME_BYTES:
        raise ValueError("its answer is too long")
    return json.loads(await process.stdout.readexactly(length))


def _ending(code: int | None) -> str:
    """Say how a process ended that should not have."""
    if code is None or code >= 0:
        return f"The process that worked on this file ended by itself (exit code {code})."
    name = signal.Signals(-code).name
    if name == "SIGKILL":
        return f"The system ended the process that worked on this file ({name}): most likely memory ran out."
    return f"The process that worked on this file crashed ({name})."


def _command() -> list[str]:
    """The same program where it is frozen into one file; else the module, which imports less."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "serve", "helper"]
    return [sys.executable, "-m", "app.server.helper"]
