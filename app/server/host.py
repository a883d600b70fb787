"""The embedded server as a child process: started at first need, restarted when it dies, gone when we are.

    endpoint() ──► supervisor: start ─► first line ─► ready ─► exit ─► wait, longer each time ─► start …
    stop()     ──► standard input closes, the child ends. After kill -9 of this process the system closes it.

Imports nothing of the server itself: that lives in the child, with an interpreter of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 30.0
STOP_SECONDS = 3.0
FIRST_DELAY_SECONDS = 0.25
LONGEST_DELAY_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A child that lived so long has earned the shortest delay again."""
KEPT_LINES = 20

if sys.platform == "win32":
    import subprocess

    _NO_CONSOLE = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _NO_CONSOLE = 0

log = logging.getLogger("uphaul.host")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the embedded server listens, and what it wants to hear."""

    url: str
    token: str = field(repr=False)


class ServerStartError(Exception):
    """The embedded server did not start; the text has the last lines it wrote."""


class EmbeddedServer:
    """Keeps one server on *data_dir* running. All methods belong to one event loop.

    *on_event* hears `started`, `died` and `failed`, from that loop.
    """

    def __init__(self, data_dir: Path, *, on_event: Callable[[str], None] | None = None) -> None:
        self._data_dir = data_dir
        self._on_event = on_event or (lambda _event: None)
        self._token = secrets.token_urlsafe(32)
        self._supervisor: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Endpoint] | None = None

    async def endpoint(self) -> Endpoint:
        """Return where the server is, after starting it if need be.

        Raises :class:`ServerStartError`; the next call tries again.
        """
        if self._supervisor is None or self._supervisor.done():
            self._expect()
            self._supervisor = asyncio.create_task(self._supervise(), name="uphaul-server")
        assert self._ready is not None
        return await asyncio.shield(self._ready)

    async def stop(self) -> None:
        """End the child; unfinished uploads keep what arrived. May be called twice."""
        if self._supervisor is None:
            return
        self._supervisor.cancel()
        await asyncio.wait({self._supervisor})
        self._supervisor = None
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(ServerStartError("The embedded server was stopped."))
            self._ready.exception()  # nobody may be waiting for it

    def _expect(self) -> None:
        self._ready = asyncio.get_running_loop().create_future()

    async def _supervise(self) -> None:
        delay_seconds = FIRST_DELAY_SECONDS
        loop = asyncio.get_running_loop()
        while True:
            child = _Child(self._data_dir, self._token)
            try:
                endpoint = await child.start()
                started_at = loop.time()
                self._announce(endpoint)
                await child.ended()
            except ServerStartError as error:
                self._give_up(error)
                return
            finally:
                await child.end()
            self._expect()
            log.info("event=server_died restart_in_seconds=%.2f", delay_seconds)
            self._on_event("died")
            if loop.time() - started_at > STEADY_SECONDS:
                delay_seconds = FIRST_DELAY_SECONDS
            await asyncio.sleep(delay_seconds)
            delay_seconds = min(2 * delay_seconds, LONGEST_DELAY_SECONDS)

    def _announce(self, endpoint: Endpoint) -> None:
        assert self._ready is not None
        self._ready.set_result(endpoint)
        self._on_event("started")

    def _give_up(self, error: ServerStartError) -> None:
        assert self._ready is not None
        self._ready.set_exception(error)
        self._ready.exception()  # nobody may be waiting for it
        self._on_event("failed")


class _Child:
    """One life of the server process."""

    def __init__(self, data_dir: Path, token: str) -> None:
        self._data_dir = data_dir
        self._token = token
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._listens = False

    async def start(self) -> Endpoint:
        """Start it and wait for its first line."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *_command(self._data_dir),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=_environment(self._token),
                # Ctrl-C in a terminal is for us; the child ends when we close its standard input. A group, not a
                # session: Linux shares processors out by session first, and the child gives way only within one.
                process_group=0 if os.name == "posix" else None,
                creationflags=_NO_CONSOLE,
            )
        except OSError as error:
            raise ServerStartError(f"The embedded server could not be started: {error}") from error
        assert self._process.stdout is not None
        self._reader = asyncio.create_task(self._read_log(self._process))
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await self._process.stdout.readline()
            endpoint = Endpoint(url=json.loads(line)["url"], token=self._token)
            self._listens = True
            return endpoint
        except (TimeoutError, ValueError, KeyError, TypeError):
            await self.end()
            said = "\n".join(self._last_lines) or "It wrote nothing."
            raise ServerStartError(f"The embedded server did not start. {said}") from None

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        """Drain standard error, or the child would block on a full pipe."""
        assert process.stderr is not None
        while True:
            try:
                line = await process.stderr.readline()
            except ValueError:  # a line longer than the stream's buffer
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            self._last_lines.append(text)
            log.debug("%s", text)

    async def ended(self) -> None:
        """Wait until the process is gone."""
        assert self._process is not None
        await self._process.wait()

    async def end(self) -> None:
        """Close its standard input and see it go; less gently if it does not."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        if not self._listens and process.returncode is None:
            # It would read the end of its input only after its start, and has nothing to finish. Not terminate(): that
            # reaps a process that has just died, and asyncio then misses its end.
            with contextlib.suppress(OSError):
                os.kill(process.pid, signal.SIGTERM)
        for harder in (process.terminate, process.kill, None):
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
                break
            except TimeoutError:
                if harder is not None:
                    with contextlib.suppress(ProcessLookupError):
                        harder()
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=STOP_SECONDS)
            self._reader.cancel()
        self._process = None


def _command(data_dir: Path) -> list[str]:
    """The same program with `serve` where it is frozen into one file; else the module behind `serve`."""
    program = [sys.executable, "serve"] if _is_frozen() else [sys.executable, "-m", "app.server"]
    return [*program, "--data", str(data_dir), "--parent-stdin"]


def _environment(token: str) -> dict[str, str]:
    """Let the child find `app` from any working directory, and the token where no process list shows it."""
    if _is_frozen():
        return os.environ | {"UPHAUL_SERVE_TOKEN": token}
    root = str(Path(__file__).resolve().parents[2])
    known = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return os.environ | {"UPHAUL_SERVE_TOKEN": token, "PYTHONPATH": os.pathsep.join([root, *known])}


def _is_frozen() -> bool:
    return bool(getattr(sys, "frozen", False))
