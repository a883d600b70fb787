"""Runs the window as it is, and tells over a Unix socket what a person would see: ``python -m … NAME [PATH…]``.

The product has no test code in it. A thread of this module listens; the answer, one JSON object with everything that
is visible and where on the screen it is, is made in the GUI thread. Nothing can be *done* through it: clicks, keys and
drags are real X events.
"""

import contextlib
import json
import socket
import sys
import threading
from concurrent.futures import Future
from typing import Any

from PySide6.QtCore import QModelIndex, QObject, QRect, Qt, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QLabel,
    QMenu,
    QToolBar,
    QWidget,
)

_GUI_PATIENCE_S = 10.0


class Eyes(QObject):
    """Lives in the GUI thread and looks at it when ``asked`` is emitted, from any thread, with a Future."""

    asked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.asked.connect(self._look, Qt.ConnectionType.QueuedConnection)

    @Slot(object)
    def _look(self, answer: "Future[dict[str, Any]]") -> None:
        try:
            answer.set_result(look())
        except Exception as error:  # whoever asked must hear it
            answer.set_exception(error)


def look() -> dict[str, Any]:
    """Return what is visible now. Places are [x, y, width, height] in pixels of the screen."""
    windows = [widget for widget in QApplication.topLevelWidgets() if widget.isVisible()]
    widgets = [
        child for window in windows for child in (window, *window.findChildren(QWidget)) if child.isVisible()
    ]
    return {
        "windows": [
            {
                "kind": type(window).__name__,
                "title": window.windowTitle(),
                "place": _place(window),
                "id": int(window.winId()),
                "active": window.isActiveWindow(),
            }
            for window in windows
        ],
        "actions": {name: fact for window in windows for name, fact in _actions(window).items()},
        "buttons": {
            _plain(w.text()): _place(w) for w in widgets if isinstance(w, QAbstractButton) and w.isEnabled()
        },
        "entries": {
            _plain(action.text()): _place(menu, menu.actionGeometry(action))
            for menu in widgets
            if isinstance(menu, QMenu)
            for action in menu.actions()
            if action.isEnabled() and not action.isSeparator()
        },
        "words": [label.text() for label in widgets if isinstance(label, QLabel) and label.text()],
        "spoken": [
            f"{w.accessibleName()}: {w.accessibleDescription()}" for w in widgets if w.accessibleDescription()
        ],
        "tables": {
            view.objectName(): _table(view) for view in widgets if isinstance(view, QAbstractItemView)
        },
    }


def _plain(text: str) -> str:
    return text.replace("&", "")


def _place(widget: QWidget, part: QRect | None = None) -> list[int]:
    rect = part if part is not None else widget.rect()
    corner = widget.mapToGlobal(rect.topLeft())
    return [corner.x(), corner.y(), rect.width(), rect.height()]


def _actions(window: QWidget) -> dict[str, dict[str, Any]]:
    """Return the window's named actions; ``place`` is the toolbar's button, None if it has none that is visible."""
    bars = window.findChildren(QToolBar)
    facts = {}
    for action in window.findChildren(QAction):
        buttons = [button for bar in bars if (button := bar.widgetForAction(action)) and button.isVisible()]
        if action.objectName():
            facts[action.objectName()] = {
                "text": _plain(action.text()),
                "enabled": action.isEnabled(),
                "tooltip": action.toolTip(),
                "keys": action.shortcut().toString(),
                "place": _place(buttons[0]) if buttons else None,
            }
    return facts


def _table(view: QAbstractItemView) -> dict[str, Any]:
    """Return headings, the texts of all rows, and where each row's first cell is (empty where it is scrolled away)."""
    model = view.model()
    columns = range(model.columnCount(QModelIndex()))
    shown, across = Qt.ItemDataRole.DisplayRole, Qt.Orientation.Horizontal
    rows = range(model.rowCount(QModelIndex()))
    return {
        "columns": [str(model.headerData(column, across, shown) or "") for column in columns],
        "rows": [[str(model.index(row, column).data(shown) or "") for column in columns] for row in rows],
        "places": [_place(view.viewport(), view.visualRect(model.index(row, 0))) for row in rows],
        "place": _place(view.viewport()),
    }


def answer_forever(name: str) -> None:
    """Answer each connection to the abstract socket *name* with one look, empty before there is a QApplication."""
    eyes: Eyes | None = None
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        while True:
            caller, _ = listener.accept()
            application = QApplication.instance()
            if eyes is None and application is not None:
                eyes = Eyes()
                eyes.moveToThread(application.thread())
            with caller, contextlib.suppress(BrokenPipeError):
                caller.sendall(json.dumps(_ask(eyes)).encode())


def _ask(eyes: Eyes | None) -> dict[str, Any]:
    if eyes is None:
        return {}
    answer: Future[dict[str, Any]] = Future()
    eyes.asked.emit(answer)
    return answer.result(_GUI_PATIENCE_S)


def main() -> None:
    """Listen, then be ``python -m ui`` with the remaining arguments."""
    import runpy  # not in a frozen program, where installed.py starts us

    name, *arguments = sys.argv[1:]
    threading.Thread(target=answer_forever, args=[name], name="probe", daemon=True).start()
    sys.argv = ["uphaul", *arguments]
    runpy.run_module("ui", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
