"""What is handed to the running program: by a second start its paths; on macOS what is dropped on its icon, and links."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtGui import QFileOpenEvent, QGuiApplication
from PySide6.QtWidgets import QApplication

from ui.loop import Tasks
from ui.one_window import OneWindow

_GATHER_MS = 200
_LOOK_MS = 100
_SETTLE_S = 3.0


class Application(QApplication):
    """``files_opened`` carries the paths (list of str) of one drop, which come one event each.

    A method and no event filter: a filter would see every event of every widget, in Python.
    """

    files_opened = Signal(list)
    link_followed = Signal()

    def __init__(self, arguments: Sequence[str]) -> None:
        super().__init__(list(arguments))
        self._paths: list[str] = []
        self._timer = QTimer(self, interval=_GATHER_MS, singleShot=True)
        self._timer.timeout.connect(self._hand_over)

    def event(self, event: QEvent) -> bool:
        """Take what is to be opened; everything else goes its way."""
        if not isinstance(event, QFileOpenEvent):
            return super().event(event)
        if event.file():
            self._paths.append(event.file())
            self._timer.start()
        else:
            self.link_followed.emit()
        return True

    def _hand_over(self) -> None:
        paths, self._paths = self._paths, []
        self.files_opened.emit(paths)


class HandedOver(QObject):
    """Takes what second starts hand to this window: it comes to the front, and their paths are added as a drop's are."""

    def __init__(
        self,
        one_window: OneWindow,
        add: Callable[[Sequence[str]], Coroutine[Any, Any, None]],
        tasks: Tasks,
        show_window: Callable[[], None],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._one_window, self._add, self._tasks, self._show_window = one_window, add, tasks, show_window
        self._adding: set[asyncio.Task[None]] = set()
        self._timer = QTimer(self, interval=_LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def stop(self) -> None:
        """Take no more: who comes now waits until this program has ended, and opens a window."""
        self._timer.stop()

    async def settle(self) -> None:
        """Wait until what was taken is in the journal; some seconds at most, for it may wait for a person's answer."""
        if self._adding:
            await asyncio.wait(self._adding, timeout=_SETTLE_S)

    def _look(self) -> None:
        for letter in self._one_window.letters():
            if letter.activation_token and QGuiApplication.platformName().startswith("wayland"):
                # Qt takes it from there, and removes it, when the window next asks for the keyboard.
                os.putenv("XDG_ACTIVATION_TOKEN", letter.activation_token)
            if not letter.hidden:
                self._show_window()
            if letter.paths:
                task = self._tasks.begin(self._add(letter.paths))
                self._adding.add(task)
                task.add_done_callback(self._adding.discard)
