"""The notice bar: one sentence at a time, with at most one thing to do about it, that leaves by itself."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QEnterEvent,
    QKeyEvent,
    QPainter,
    QPaintEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from ui.theme import Theme
from ui.tips import plain_tip

HEIGHT = 40


@dataclass(frozen=True, slots=True)
class _Notice:
    text: str
    action: str | None
    on_action: Callable[[], object] | None
    milliseconds: int
    at_once: bool


class NoticeBar(QWidget):
    """Shows notices one after the other; the time of one stands still while a person points at it or has its button."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._queue: deque[_Notice] = deque()
        self._shown: _Notice | None = None
        self._left_ms = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.dismiss)
        self._picture, self._text = QLabel(self), QLabel(self)
        self._action, self._close = QPushButton(self), QToolButton(self)
        self._lay_out()
        self._action.clicked.connect(self._act)
        self._close.clicked.connect(self.dismiss)
        QApplication.instance().focusChanged.connect(self._focus_moved)  # type: ignore[union-attr]
        theme.changed.connect(self._dress)
        self._dress()
        self.hide()

    @property
    def text(self) -> str:
        """The sentence that is shown, "" if none is."""
        return self._shown.text if self._shown else ""

    @property
    def counting(self) -> bool:
        """Whether the time of the shown notice runs."""
        return self._timer.isActive()

    def say(
        self,
        text: str,
        action: str | None = None,
        on_action: Callable[[], object] | None = None,
        seconds: float = 8,
        *,
        at_once: bool = False,
    ) -> None:
        """Show *text* after what is queued already (once, if it is there), with a button *action* that calls *on_action*.

        *at_once*: an offer that lapses takes the place of what is shown, which comes back if it has a button and time.
        """
        notice = _Notice(text, action, on_action, round(seconds * 1000), at_once)
        if at_once:
            shown = self._shown
            if shown is not None and shown.action is not None and not shown.at_once:
                self._queue.appendleft(shown)
            self._queue.appendleft(notice)
            self._next()
            return
        if any(notice.text == other.text for other in (*self._queue, *filter(None, [self._shown]))):
            return
        self._queue.append(notice)
        if self._shown is None:
            self._next()

    def dismiss(self) -> None:
        """Take the notice away and show the next."""
        self._next()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape closes the notice."""
        if event.key() == Qt.Key.Key_Escape:
            self.dismiss()
        else:
            super().keyPressEvent(event)

    def enterEvent(self, event: QEnterEvent) -> None:
        """Stand still while somebody reads."""
        self._hold()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """Go on."""
        self._go_on()
        super().leaveEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the ground and the line above it."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colours.selection)
        painter.fillRect(0, 0, self.width(), 1, self._theme.colours.line)
        painter.end()

    def _next(self) -> None:
        self._timer.stop()
        had_focus = self._has_focus()
        self._shown = self._queue.popleft() if self._queue else None
        if self._shown is None:
            self.hide()
            if had_focus:
                self.focusNextChild()
            return
        self._text.setText(self._shown.text)
        self._text.setToolTip(plain_tip(self._shown.text))
        self._action.setText(self._shown.action or "")
        self._action.setVisible(self._shown.action is not None)
        self.setAccessibleName(self._shown.text)
        self.show()
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self, self._shown.text))
        self._left_ms = self._shown.milliseconds
        if not self.underMouse() and not self._has_focus():
            self._timer.start(self._left_ms)

    def _act(self) -> None:
        shown = self._shown
        self._next()
        if shown is not None and shown.on_action is not None:
            shown.on_action()

    def _has_focus(self) -> bool:
        focus = QApplication.focusWidget()
        return focus is not None and self.isAncestorOf(focus)

    def _hold(self) -> None:
        if self._timer.isActive():
            self._left_ms = max(1, self._timer.remainingTime())
            self._timer.stop()

    def _go_on(self) -> None:
        if self._shown is not None and not self._timer.isActive():
            self._timer.start(self._left_ms)

    def _focus_moved(self, old: QWidget | None, new: QWidget | None) -> None:
        if new is not None and self.isAncestorOf(new):
            self._hold()
        elif old is not None and self.isAncestorOf(old) and not self.underMouse():
            self._go_on()

    def _lay_out(self) -> None:
        self.setFixedHeight(HEIGHT)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._action.setProperty("quiet", True)
        self._close.setProperty("small", True)
        self._close.setIconSize(QSize(16, 16))
        self._close.setToolTip("Close this notice (Esc)")
        self._close.setAccessibleName("Close this notice")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 1, 8, 0)
        layout.setSpacing(8)
        layout.addWidget(self._picture)
        layout.addWidget(self._text, 1)
        layout.addWidget(self._action)
        layout.addWidget(self._close)

    def _dress(self) -> None:
        colours = self._theme.colours
        self._picture.setPixmap(self._theme.pixmap("info", 16, colours.accent))
        self._close.setIcon(self._theme.icon("x", colours.secondary))
        self.update()
