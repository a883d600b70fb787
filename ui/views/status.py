"""The status bar: how the servers stand on the left, what goes on in numbers on the right."""

import time
from collections.abc import Callable, Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from app.domain.events import Frame, Link, ServerView, Totals
from app.words import duration_text, failure_text, speed_text
from ui.theme import Theme
from ui.tips import plain_tip
from ui.views.sparkline import Sparkline

HEIGHT = 34
_ORDER = (Link.SIGN_IN, Link.WAITING, Link.UNKNOWN, Link.READY)


def link_sentence(servers: Sequence[ServerView], now: float) -> tuple[Link, str]:
    """Return the worst link of *servers* and a sentence about it; *now* is epoch seconds."""
    for link in _ORDER:
        concerned = [server for server in servers if link_of(server) is link]
        if concerned:
            return link, _sentence(link, concerned, now)
    return Link.UNKNOWN, "Starting…"


def link_of(server: ServerView) -> Link:
    """Return how a server stands for a person.

    The embedded one is started by the first upload, so at rest nothing is known of it: it is ready. One that was given
    another sign-in has not answered yet, and asks for nothing any more.
    """
    if server.embedded and server.link is Link.UNKNOWN:
        return Link.READY
    return Link.WAITING if server.link is Link.SIGN_IN and server.failure is None else server.link


def _sentence(link: Link, servers: Sequence[ServerView], now: float) -> str:
    name, one = servers[0].name, len(servers) == 1
    if link is Link.READY:
        return f"{name} is ready" if one else f"Connected to {len(servers)} servers"
    if link is Link.SIGN_IN:
        return f"{name} asks you to sign in"
    if link is Link.UNKNOWN:
        return f"Not connected to {name} yet"
    retry_at = servers[0].retry_at
    if retry_at is None or retry_at <= now:
        return f"Waiting for {name}: trying again"
    return f"Waiting for {name}: trying again in {duration_text(retry_at - now)}"


def server_state(server: ServerView, now: float) -> str:
    """Return how one server stands, in few words."""
    link = link_of(server)
    if link is Link.SIGN_IN:
        return "Asks you to sign in"
    if link is not Link.WAITING:
        return "Ready" if link is Link.READY else "Not connected yet"
    if server.retry_at is None or server.retry_at <= now:
        return "Trying again"
    return f"Trying again in {duration_text(server.retry_at - now)}"


class Dot(QWidget):
    """A small round light; the sentence beside it says the same in words."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.colour = QColor()
        self.setFixedSize(8, 8)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the light."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.colour)
        painter.drawEllipse(self.rect())
        painter.end()


class StatusBar(QWidget):
    """One line at the bottom of the window, fed with every frame."""

    show_failed = Signal()

    def __init__(
        self, theme: Theme, parent: QWidget | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(parent)
        self._theme, self._clock = theme, clock
        self._servers: tuple[ServerView, ...] = ()
        self._dot = Dot(self)
        self._link, self._speed = QLabel(self), QLabel(self)
        self._sparkline = Sparkline(theme, self)
        self._running, self._waiting, self._paused = QLabel(self), QLabel(self), QLabel(self)
        self._failed = QPushButton(self)
        self._lay_out()
        self._name_all()
        self._failed.clicked.connect(self.show_failed)
        theme.changed.connect(self._dress)
        self._dress()
        self.show_servers(())
        self.show_totals(Totals())

    def apply(self, frame: Frame) -> None:
        """Show what *frame* says of the servers and of the whole."""
        self.show_servers(frame.servers)
        self.show_totals(frame.totals)

    def show_servers(self, servers: tuple[ServerView, ...]) -> None:
        """Say how the servers stand; the tooltip has one line for each."""
        self._servers = servers
        link, sentence = link_sentence(servers, self._clock())
        self._link.setText(sentence)
        self._link.setToolTip(plain_tip("\n".join(_tip(server, self._clock()) for server in servers)))
        colour = self._link_colour(link)
        if colour != self._dot.colour:
            self._dot.colour = colour
            self._dot.update()

    def show_totals(self, totals: Totals) -> None:
        """Show the numbers; what is zero is not shown."""
        self._sparkline.set_speed(totals.speed_bps)
        _show(self._speed, speed_text(totals.speed_bps) if totals.speed_bps > 0 else "")
        _show(self._running, f"{totals.running:,} running" if totals.running else "")
        _show(self._waiting, f"{totals.waiting:,} waiting" if totals.waiting else "")
        _show(self._paused, f"{totals.paused:,} paused" if totals.paused else "")
        _show(
            self._failed,
            f"{totals.failed:,} need{'s' if totals.failed == 1 else ''} you" if totals.failed else "",
        )

    def sizeHint(self) -> QSize:
        """As wide as there is room, one line high."""
        return QSize(480, HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the ground and the line above it."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colours.window)
        painter.fillRect(0, 0, self.width(), 1, self._theme.colours.line)
        painter.end()

    def _lay_out(self) -> None:
        self.setFixedHeight(HEIGHT)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 1, 12, 0)
        layout.setSpacing(14)
        layout.addWidget(self._dot)
        layout.setSpacing(7)
        layout.addWidget(self._link, 1)
        for widget in (
            self._speed,
            self._sparkline,
            self._running,
            self._waiting,
            self._paused,
            self._failed,
        ):
            layout.addSpacing(7)
            layout.addWidget(widget)
        self._link.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def _name_all(self) -> None:
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * 0.95)
        font.setFeature(QFont.Tag("tnum"), 1)
        for widget in (self._link, self._speed, self._running, self._waiting, self._paused, self._failed):
            widget.setFont(font)
            widget.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._link.setTextFormat(Qt.TextFormat.PlainText)  # it names a server
        self._link.setAccessibleName("Servers")
        self._speed.setAccessibleName("Speed of all uploads")
        self._speed.setToolTip("Speed of all uploads together")
        self._running.setToolTip("Files that are being uploaded now")
        self._waiting.setToolTip("Files that wait for their turn or for the next try")
        self._paused.setToolTip("Files that you have paused")
        self._failed.setToolTip("Show the files that failed")
        self._failed.setCursor(Qt.CursorShape.PointingHandCursor)

    def _dress(self) -> None:
        colours = self._theme.colours
        red, glow = colours.failed.name(), colours.hover.name()
        self._failed.setStyleSheet(
            f"QPushButton {{ color: {red}; background: transparent; border: 1px solid transparent;"
            f" border-radius: 4px; padding: 1px 4px; margin: 0 -4px 0 0; min-height: 0; }}"
            f"QPushButton:hover {{ background: {glow}; }} QPushButton:focus {{ border-color: {red}; }}"
        )
        self.show_servers(self._servers)
        self.update()

    def _link_colour(self, link: Link) -> QColor:
        colours = self._theme.colours
        worn = {Link.READY: colours.done, Link.WAITING: colours.warning, Link.SIGN_IN: colours.failed}
        return worn.get(link, colours.rest)


def _tip(server: ServerView, now: float) -> str:
    sentence = _sentence(link_of(server), [server], now)
    return f"{sentence}. {failure_text(server.failure)}" if server.failure else sentence


def _show(widget: QLabel | QPushButton, text: str) -> None:
    if widget.text() != text:
        widget.setText(text)
    widget.setVisible(bool(text))
