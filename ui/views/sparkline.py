"""A sparkline: the speed of the last minute as one filled line."""

from collections import deque

from PySide6.QtCore import QPointF, QSize, QTimer
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui.theme import Theme

SECONDS = 60
_WIDTH, _HEIGHT = 120, 20
_FILL_OPACITY = 0.2


class Sparkline(QWidget):
    """Takes one sample a second while there is anything to show; at rest it has no timer and is hidden."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._now_bps = 0.0
        self._samples: deque[float] = deque(maxlen=SECONDS)
        self._timer = QTimer(self)
        self._timer.setInterval(1000)
        self._timer.timeout.connect(self.tick)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Speed of the last minute")
        self.setToolTip("Speed of the last minute")
        theme.changed.connect(self.update)
        self.hide()

    def sizeHint(self) -> QSize:
        """Two pixels a second."""
        return QSize(_WIDTH, _HEIGHT)

    def set_speed(self, speed_bps: float) -> None:
        """Take the speed of now, in bytes per second; it is sampled each second."""
        self._now_bps = speed_bps
        if speed_bps > 0 and not self._timer.isActive():
            self.push(speed_bps)
            self._timer.start()

    def push(self, speed_bps: float) -> None:
        """Add the sample of one second."""
        self._samples.append(speed_bps)
        self.setVisible(any(self._samples))
        self.update()

    @property
    def ticking(self) -> bool:
        """Whether it samples each second; only while the last minute has anything to show."""
        return self._timer.isActive()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the newest sample at the right edge, the largest of the minute at full height."""
        if len(self._samples) < 2:
            return
        line = self._line()
        area = QPainterPath(line)
        area.lineTo(self.width(), self.height())
        area.lineTo(line.elementAt(0).x, self.height())
        colour = self._theme.colours.accent
        fill = QColor(colour)
        fill.setAlphaF(_FILL_OPACITY)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillPath(area, fill)
        painter.setPen(QPen(colour, 1.5))
        painter.drawPath(line)
        painter.end()

    def _line(self) -> QPainterPath:
        step = self.width() / (SECONDS - 1)
        room, top = self.height() - 2, max(self._samples) or 1.0
        start = self.width() - step * (len(self._samples) - 1)
        points = [
            QPointF(start + step * i, 1 + room * (1 - bps / top)) for i, bps in enumerate(self._samples)
        ]
        path = QPainterPath(points[0])
        for point in points[1:]:
            path.lineTo(point)
        return path

    def tick(self) -> None:
        """Take the sample of this second; the timer calls it."""
        self.push(self._now_bps)
        if not any(self._samples):
            self._timer.stop()
            self._samples.clear()
