"""A stranger's program: a small window in a process of its own that offers URLs, by dragging or on the clipboard.

As a file manager does, it offers a dragged file to be copied or moved, and would rather see it moved: only a target
that insists gets a copy. It tells on standard output, a JSON line each, where its window is and how each drag ended.
"""

import json
import sys
from collections.abc import Callable

from PySide6.QtCore import QMimeData, Qt, QTimer, QUrl
from PySide6.QtGui import QDrag, QMouseEvent
from PySide6.QtWidgets import QApplication, QLabel

_OFFERED = Qt.DropAction.CopyAction | Qt.DropAction.MoveAction


class DragSource(QLabel):
    """The window; moving the pressed mouse drags what *make_data* returns."""

    def __init__(self, make_data: Callable[[], QMimeData]) -> None:
        super().__init__("Drag me", None, Qt.WindowType.FramelessWindowHint)
        self._make_data = make_data
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        corner = self.screen().availableGeometry().topRight()
        self.setGeometry(corner.x() - 100, corner.y() + 10, 90, 50)

    def mouseMoveEvent(self, _event: QMouseEvent) -> None:
        """Begin the drag, and tell how it ended."""
        drag = QDrag(self)
        drag.setMimeData(self._make_data())
        say("dropped", action=str(drag.exec(_OFFERED, Qt.DropAction.MoveAction).name))

    def tell(self) -> None:
        """Say where the window is."""
        corner = self.mapToGlobal(self.rect().topLeft())
        say("ready", place=[corner.x(), corner.y(), self.width(), self.height()])


def say(what: str, **facts: object) -> None:
    """Print one JSON line."""
    print(json.dumps({"what": what} | facts), flush=True)


def main(how: str, *addresses: str) -> int:
    """Offer *addresses*, absolute paths or URLs: to ``drag`` them, or on the ``clipboard``."""

    def make_data() -> QMimeData:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(one) if one.startswith("/") else QUrl(one) for one in addresses])
        return data

    application = QApplication(["stranger"])
    window = DragSource(make_data)
    if how == "clipboard":
        application.clipboard().setMimeData(make_data())
    window.show()
    QTimer.singleShot(200, window.tell)
    return application.exec()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
