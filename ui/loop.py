"""Everything that ties asyncio to Qt: the loop whose timers are released, tasks that are held, dialogs that are awaited.

The window's coroutines run on Qt's own event loop through qasync. Two rules keep that sound: nothing here ever starts
a nested Qt loop (``exec()`` loses other tasks for ever), and nothing that sends in bulk runs here at all.
"""

import asyncio
import contextlib
import gc
import logging
import math
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer, QTimerEvent
from PySide6.QtWidgets import QApplication, QDialog
from qasync import QEventLoop

log = logging.getLogger(__name__)

COLLECT_MS = 100
"""Often, so that each time there is little: at 500 ms a busy engine made it pauses of up to 48 ms."""
FULL_EVERY_S = 300.0
LONGEST_S = 20 * 24 * 3600.0
"""Qt counts a timer's milliseconds in an int, which ends after 24 days; a longer wait is taken in stretches."""


class Timer(asyncio.TimerHandle):
    """A scheduled call that knows its Qt timer, so that a cancel can release it."""

    __slots__ = ("qt_id",)
    qt_id: int | None


class Timers(QObject):
    """The Qt timers behind a loop's calls. Takes the place of qasync's, which keeps cancelled ones to their deadline."""

    def __init__(self, loop: "Loop") -> None:
        super().__init__()
        self._loop = loop
        self._waiting: dict[int, Timer] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self, handle: Timer, delay_s: float) -> None:
        """Run *handle* after *delay_s* seconds, never early."""
        delay_ms = math.ceil(min(max(0.0, delay_s), LONGEST_S) * 1000)
        handle.qt_id = self.startTimer(delay_ms, Qt.TimerType.PreciseTimer)
        self._waiting[handle.qt_id] = handle

    def release(self, handle: Timer) -> None:
        """Forget *handle* and its Qt timer; harmless if it has run."""
        if handle.qt_id is not None and self._waiting.pop(handle.qt_id, None) is not None:
            self.killTimer(handle.qt_id)

    def timerEvent(self, event: QTimerEvent) -> None:
        """Qt's call: run the handle whose time has come."""
        qt_id = event.timerId()
        self.killTimer(qt_id)
        handle = self._waiting.pop(qt_id, None)
        if handle is None:
            return
        left_s = handle.when() - self._loop.time()
        if left_s > 1.0:
            self.start(handle, left_s)
        elif not handle.cancelled():
            handle._run()

    def stop(self) -> None:
        """Release everything; called when the loop closes."""
        for qt_id in self._waiting:
            self.killTimer(qt_id)
        self._waiting.clear()

    def set_debug(self, enabled: bool) -> None:
        """Part of what qasync asks of its timers; ours have nothing more to say."""


class Loop(QEventLoop):  # type: ignore[misc]  # qasync is untyped
    """The asyncio loop on Qt's: a cancelled timer is gone at once, and a wait may be as long as it likes."""

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self._timer = Timers(self)

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Like asyncio's. *delay* in seconds."""
        if asyncio.iscoroutinefunction(callback):
            raise TypeError(f"a plain callable was expected, not {callback!r}")
        handle = Timer(self.time() + delay, callback, args, self, context)
        self._timer.start(handle, delay)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio's hook for a cancelled call."""
        if isinstance(handle, Timer):
            self._timer.release(handle)

    @property
    def live_timers(self) -> int:
        """How many Qt timers are running for this loop."""
        return len(self._timer)


class Tasks:
    """Holds the window's coroutines until they end, and tells *on_failure* of one that broke.

    asyncio itself keeps only a weak reference to a task, so that a forgotten one may vanish in mid-flight.
    """

    def __init__(self, on_failure: Callable[[BaseException], None]) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run *work* by itself on the running loop."""
        _ = self.begin(work)

    def begin(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Like :meth:`spawn`; return the task, for whoever may want to cancel it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.broke(error)

    def broke(self, error: BaseException) -> None:
        """Log *error* and tell it; also for a slot that raised, which Qt can pass on to nobody."""
        log.error("something in the window broke", exc_info=error)
        self._on_failure(error)

    async def close(self) -> None:
        """Cancel what is still running and wait for it."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def ask(dialog: QDialog) -> int:
    """Show *dialog* and return its result code once the person has answered; the dialog is gone at the next event.

    Read what you need from it before you await anything else.
    """
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def answered(result: int) -> None:
        if not answer.done():
            answer.set_result(result)

    dialog.finished.connect(answered)
    dialog.open()
    try:
        return await answer
    finally:
        with contextlib.suppress(RuntimeError):  # its parent may have been destroyed first
            dialog.deleteLater()


class Collector(QObject):
    """Moves Python's garbage collection to the GUI thread, where the objects of Qt may be destroyed.

    A collection in the engine's thread could otherwise take down a widget there, which aborts the program. The
    generations and their thresholds stay Python's own; only the moment and the thread are ours.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.disable()
        gc.freeze()  # what was imported stays to the end; no collection needs to look at it
        self._full_at = time.monotonic()
        self._timer = QTimer(self, interval=COLLECT_MS)
        self._timer.timeout.connect(self.collect)
        self._timer.start()

    def collect(self) -> None:
        """Collect the oldest generation that is due, if any is; all of them, which takes longest, every five minutes."""
        counts, thresholds = gc.get_count(), gc.get_threshold()
        due = [generation for generation in (2, 1, 0) if counts[generation] > thresholds[generation] > 0]
        if due and due[0] == 2 and time.monotonic() - self._full_at < FULL_EVERY_S:
            gc.collect(1)
        elif due:
            self._full_at = time.monotonic() if due[0] == 2 else self._full_at
            gc.collect(due[0])

    def stop(self) -> None:
        """Hand the collection back to Python."""
        self._timer.stop()
        gc.unfreeze()
        gc.enable()
