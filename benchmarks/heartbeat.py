"""Feels the pulse of a Qt event loop and of the painting of tables, from outside the product."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QAbstractItemView

PERIOD_MS = 2


class Heartbeat(QObject):
    """A precise timer that notes how much later than due each turn of the event loop came, in milliseconds."""

    def __init__(self) -> None:
        super().__init__()
        self._gaps_ms: list[float] = []
        self._last = 0.0
        self._timer = QTimer(self, interval=PERIOD_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)

    def start(self) -> None:
        """Begin."""
        self._last = time.perf_counter()
        self._timer.start()

    def stop(self) -> list[float]:
        """End; return the gaps in the order in which they came."""
        self._timer.stop()
        return self._gaps_ms

    def _beat(self) -> None:
        now = time.perf_counter()
        self._gaps_ms.append(max(0.0, (now - self._last) * 1000 - PERIOD_MS))
        self._last = now


class PaintTimes:
    """How long each paintEvent of a class of views took, in milliseconds, by the views' object names.

    *on_first* is called with the name of each view when it has painted rows for the first time.
    """

    def __init__(
        self, view_class: type[QAbstractItemView], on_first: Callable[[str], None] | None = None
    ) -> None:
        self.taken_ms: dict[str, list[float]] = {}
        self._seen: set[str] = set()
        original = view_class.paintEvent

        def timed(view: Any, event: QPaintEvent) -> None:
            began = time.perf_counter()
            original(view, event)
            name = view.objectName()
            self.taken_ms.setdefault(name, []).append((time.perf_counter() - began) * 1000)
            if on_first is not None and name not in self._seen and view.model().rowCount():
                self._seen.add(name)
                on_first(name)

        view_class.paintEvent = timed  # type: ignore[method-assign]  # from outside: the product does not measure itself


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p99 and the longest of *values*, and how many there were."""
    ordered = sorted(values) or [0.0]
    at = {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in _SHARES}
    return at | {"max": ordered[-1], "count": len(values)}


_SHARES = (("p50", 0.50), ("p99", 0.99))
