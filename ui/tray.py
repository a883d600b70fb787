"""The tray icon: how far everything is, and a menu for the time when the window is closed."""

from PySide6.QtCore import QObject, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QMenu, QSystemTrayIcon, QWidget

from app.domain.events import Frame, Totals
from app.words import size_text, speed_text
from ui.icons import draw
from ui.theme import Theme

STEP_PERCENT = 4
"""The icon is drawn anew only after so much progress: a tray sends each drawing over the bus."""
RECHECK_MS = 10_000
SIZES = (16, 22, 24, 32, 44, 48)
_GROUND, _FILL, _ALARM = QColor("#B3000000"), QColor("#7CE0A8"), QColor("#E5484D")


class TrayIcon(QObject):
    """Appears when the desktop has a tray, also if that starts later; without one it does nothing but answer so."""

    show_window = Signal()
    pause_all = Signal()
    resume_all = Signal()
    quit = Signal()
    message_clicked = Signal()

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self._tray: QSystemTrayIcon | None = None
        self._totals = Totals()
        self._drawn: tuple[int | None, bool] | None = None
        self._menu = QMenu(parent)
        self._pause = QAction("Pause all", self)
        self._resume = QAction("Resume all", self)
        self._build_menu()
        theme.changed.connect(self._dress)
        self._recheck = QTimer(self, interval=RECHECK_MS)
        self._recheck.setTimerType(Qt.TimerType.VeryCoarseTimer)
        self._recheck.timeout.connect(self._look_for_tray)
        self._recheck.start()
        self._dress()
        self._look_for_tray()

    @property
    def available(self) -> bool:
        """Whether a person can see the icon now; asks the desktop, which may lose its panel at any time."""
        return self._tray is not None and QSystemTrayIcon.isSystemTrayAvailable()

    @property
    def tooltip(self) -> str:
        """What the icon says when pointed at."""
        return tooltip(self._totals)

    def apply(self, frame: Frame) -> None:
        """Show the totals of *frame*; draws the icon only if the shown progress moved by a step."""
        if frame.totals == self._totals:
            return
        self._totals = frame.totals
        self._show_totals()

    def show_message(self, title: str, body: str) -> bool:
        """Show a notification through the tray; say whether there was one to show it."""
        if self._tray is None or not self.available:
            return False
        self._tray.showMessage(title, body, self._theme.app_icon)
        return True

    def _look_for_tray(self) -> None:
        if self._tray is not None or not QSystemTrayIcon.isSystemTrayAvailable():
            return
        self._recheck.stop()
        self._tray = QSystemTrayIcon(self)
        self._tray.setContextMenu(self._menu)
        self._tray.activated.connect(self._activated)
        self._tray.messageClicked.connect(self.message_clicked)
        self._show_totals()
        self._tray.show()

    def _show_totals(self) -> None:
        totals = self._totals
        busy = bool(totals.running or totals.waiting)
        self._pause.setVisible(busy or not totals.paused)
        self._pause.setEnabled(busy)
        self._resume.setVisible(bool(totals.paused))
        if self._tray is None:
            return
        self._tray.setToolTip(self.tooltip)
        look = (shown_percent(totals), totals.failed > 0)
        if look != self._drawn:
            self._drawn = look
            self._tray.setIcon(tray_icon(*look))

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick):
            self.show_window.emit()

    def _build_menu(self) -> None:
        self._show, self._quit = QAction("Show Uphaul", self), QAction("Quit", self)
        for action, signal in (
            (self._show, self.show_window),
            (self._pause, self.pause_all),
            (self._resume, self.resume_all),
            (self._quit, self.quit),
        ):
            action.triggered.connect(lambda _checked=False, signal=signal: signal.emit())
        self._menu.addAction(self._show)
        self._menu.addSeparator()
        self._menu.addActions([self._pause, self._resume])
        self._menu.addSeparator()
        self._menu.addAction(self._quit)
        self._menu.setDefaultAction(self._show)

    def _dress(self) -> None:
        names = {self._show: "app-window", self._pause: "pause", self._resume: "play", self._quit: "power"}
        for action, name in names.items():
            action.setIcon(self._theme.icon(name))


def shown_percent(totals: Totals) -> int | None:
    """Return the progress to draw, in steps of 4, or None when nothing is under way."""
    if not (totals.running or totals.waiting or totals.paused) or not totals.total_bytes:
        return None
    percent = min(100, 100 * totals.done_bytes // totals.total_bytes)
    return percent - percent % STEP_PERCENT


def tooltip(totals: Totals) -> str:
    """Return the totals in at most three short lines."""
    counted = ((totals.running, "running"), (totals.waiting, "waiting"), (totals.paused, "paused"))
    counts = " · ".join(f"{number:,} {word}" for number, word in counted if number)
    lines = ["Uphaul"]
    if counts:
        speed = f", {speed_text(totals.speed_bps)}" if totals.speed_bps > 0 else ""
        lines.append(f"{size_text(totals.done_bytes)} of {size_text(totals.total_bytes)}{speed}")
        lines.append(counts)
    else:
        lines.append("Nothing to upload")
    if totals.failed:
        lines.append(f"{totals.failed:,} need{'s' if totals.failed == 1 else ''} you")
    return "\n".join(lines)


def tray_icon(percent: int | None, alarm: bool) -> QIcon:
    """Return the app's icon with a progress bar at its foot, and a red dot if something *alarm*-ing waits."""
    icon = QIcon()
    for size in SIZES:
        icon.addPixmap(_draw(size, percent, alarm))
    return icon


def _draw(size: int, percent: int | None, alarm: bool) -> QPixmap:
    pixmap = draw("uphaul", size, QColor(), 1.0)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    if percent is not None:
        _draw_bar(painter, size, percent)
    if alarm:
        dot = size * 0.4
        painter.setBrush(_ALARM)
        painter.drawEllipse(QRectF(size - dot, 0, dot, dot))
    painter.end()
    return pixmap


def _draw_bar(painter: QPainter, size: int, percent: int) -> None:
    height = max(4, round(size * 0.24))
    ground = QRectF(0, size - height, size, height)
    painter.setBrush(_GROUND)
    painter.drawRoundedRect(ground, 2, 2)
    inside = ground.adjusted(1, 1, -1, -1)
    inside.setWidth(inside.width() * percent / 100)
    painter.setBrush(_FILL)
    painter.drawRect(inside)
