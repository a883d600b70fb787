"""Files and links that the system hands to the running program: on macOS what is dropped on its icon, and `uphaul:` links."""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QTimer, Signal
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtWidgets import QApplication

_GATHER_MS = 200


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
