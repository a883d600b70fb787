"""The engine's thread, and the way over: commands are awaited across, frames are pulled, rare events come as one signal.

    GUI thread (Qt, qasync)                      engine thread (asyncio of its own)
    await bridge.call(lambda m: m.pause([id]))  ─►  UploadManager.pause
    10 Hz QTimer: manager.drain(watched)        ◄─  the one lock, inside drain
    Bridge.news   ◄── queued signal ──────────────  on_event

All of the engine's state lives over there; nothing but frozen values crosses. The only module that knows app.manager.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

from app.domain.events import EngineEvent, Frame
from app.manager import UploadManager
from app.places import Places
from app.settings import Settings

log = logging.getLogger(__name__)

FRAME_MS = 100
STOP_S = 5.0

T = TypeVar("T")


class Bridge(QObject):
    """Owns the engine thread. Lives in the GUI thread, where all its methods are called and its signals arrive.

    ``frame`` carries an ``app.domain.events.Frame`` ten times a second (also an empty one: clocks move), ``news`` an
    ``EngineEvent``.
    """

    frame = Signal(object)
    news = Signal(object)
    _crossed = Signal(object)

    def __init__(self, places: Places, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._places, self._settings = places, settings
        self._watched: str | None = None
        self._manager: UploadManager | None = None
        self._began: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop = asyncio.Event()
        self._stopping = False
        self._crossed.connect(self._arrived, Qt.ConnectionType.QueuedConnection)
        self._timer = QTimer(self, interval=FRAME_MS)
        self._timer.timeout.connect(self.pull)

    async def start(self) -> None:
        """Start the thread and return when the engine has taken up its work; what stopped it from doing so is raised."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run, args=(self._loop,), name="uphaul-engine", daemon=True
        )
        self._thread.start()
        await asyncio.shield(asyncio.wrap_future(self._began))
        if not self._stopping:
            self._timer.start()
            self.pull()

    async def call(self, work: Callable[[UploadManager], Coroutine[Any, Any, T]]) -> T:
        """Run ``work(manager)`` in the engine's loop and return what it returns, or raise what it raises.

        While the engine is still starting this waits for it; once it has ended, it raises RuntimeError.
        """
        await asyncio.shield(asyncio.wrap_future(self._began))
        if self._manager is None or self._loop is None:
            raise RuntimeError("the engine is not running")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(self._manager), self._loop))

    def watch(self, batch_id: str | None) -> None:
        """From the next frame on, ``frame.transfers`` are the changed rows of this batch."""
        self._watched = batch_id

    @Slot()
    def pull(self) -> None:
        """Take one frame now; a command calls this so that its effect shows without waiting for the next tick."""
        if self._manager is not None:
            frame: Frame = self._manager.drain(self._watched)
            self.frame.emit(frame)

    async def stop(self) -> bool:
        """Close the engine and end its thread; return whether it ended within five seconds. Harmless if not started.

        The thread is a daemon and the journal is true at every moment, so a late engine cannot hold the program back.
        """
        self._timer.stop()
        self._stopping = True
        if self._loop is None:
            return True
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._ended)), STOP_S)
        except TimeoutError:
            log.warning("the engine did not end within %.0f s", STOP_S)
            return False
        finally:
            self._manager = None
        if self._thread is not None:
            self._thread.join(STOP_S)  # it is on its last line
        return True

    @Slot(object)
    def _arrived(self, event: EngineEvent) -> None:
        self.news.emit(event)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """The engine thread: one loop, one manager, from start to close."""
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._live())
        except BaseException as error:  # the thread's last line: whoever waits must hear of it
            if not self._began.done():
                self._began.set_exception(error)
            else:
                log.exception("the engine ended with an error")
        finally:
            self._ended.set_result(None)

    async def _live(self) -> None:
        manager = UploadManager(self._places, self._settings, on_event=self._crossed.emit)
        try:
            await manager.start()
        except BaseException:
            with contextlib.suppress(
                Exception
            ):  # what it could not open it cannot close; the first error counts
                await manager.close()
            raise
        self._manager = manager
        self._began.set_result(None)
        try:
            await self._stop.wait()
        finally:
            await manager.close()
