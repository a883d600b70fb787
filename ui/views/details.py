"""The details panel: everything known of one file, beside the table."""

import time
from collections.abc import Callable

from PySide6.QtCore import QEvent, QSize, Qt, QVariantAnimation, Signal
from PySide6.QtGui import QFont, QGuiApplication, QPainter, QPaintEvent, QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.domain.transfer import TransferDetails
from app.words import size_text, state_word, what_happened
from ui.theme import Theme, motion_reduced
from ui.views.timeline import Timeline
from ui.views.value import Value, showable

WIDTH = 320
SLIDE_MS = 120


class DetailsPanel(QWidget):
    """Slides in at the right edge when it is given a file, and out when it is given None; its owner places it."""

    closed = Signal()
    """A person closed it; it has slid out already."""

    def __init__(
        self, theme: Theme, parent: QWidget | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(parent)
        self._theme, self._clock = theme, clock
        self._details: TransferDetails | None = None
        self._values: dict[str, tuple[QLabel, Value, QWidget | None]] = {}
        self._copies: list[QToolButton] = []
        self.setAccessibleName("Details of the selected file")
        self._inner = QWidget(self)
        self._build(QVBoxLayout(self._inner))
        self._slide = QVariantAnimation(self)
        self._slide.setDuration(SLIDE_MS)
        self._slide.valueChanged.connect(self._set_width)
        self._set_width(0)
        theme.changed.connect(self._dress)
        self._dress()

    def show_details(self, details: TransferDetails | None) -> None:
        """Show *details*, or slide out if there are none. Showing the same file again keeps scroll and selection."""
        self._details = details
        if details is not None:
            self._fill(details)
        self._slide_to(WIDTH if details is not None else 0)

    @property
    def shown_id(self) -> str | None:
        """The id of the transfer that is shown, None while the panel is closed."""
        return self._details.view.id if self._details else None

    def close_panel(self) -> None:
        """Slide out and tell it."""
        self.show_details(None)
        self.closed.emit()

    def sizeHint(self) -> QSize:
        """As wide as it is slid out."""
        return QSize(self.maximumWidth(), 200)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the content at its full width while the edge slides over it."""
        super().resizeEvent(event)
        self._inner.setGeometry(1, 0, WIDTH - 1, self.height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the ground and the line at the left edge."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colours.surface)
        painter.fillRect(0, 0, 1, self.height(), self._theme.colours.line)
        painter.end()

    def changeEvent(self, event: QEvent) -> None:
        """Follow a new font or palette."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and self._details is not None:
            self._fill(self._details)

    def _build(self, layout: QVBoxLayout) -> None:
        layout.setContentsMargins(12, 10, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(self._build_head())
        content = QWidget(self._inner)
        grid = QVBoxLayout(content)
        grid.setContentsMargins(0, 0, 12, 12)
        grid.setSpacing(2)
        for key in (
            "What happened",
            "Where it is here",
            "Name on the server",
            "Size",
            "SHA-256",
            "Server's id",
            "Server's answer",
            "Tries",
        ):
            self._add_value(grid, content, key, copy=key in ("SHA-256", "Server's id"))
        self._steps = _caption("Timeline", content)
        self._timeline = Timeline(self._theme, content, clock=self._clock)
        grid.addSpacing(6)
        grid.addWidget(self._steps)
        grid.addWidget(self._timeline)
        grid.addStretch(1)
        scroll = QScrollArea(self._inner)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        scroll.viewport().setAutoFillBackground(False)
        content.setAutoFillBackground(False)
        layout.addWidget(scroll, 1)

    def _build_head(self) -> QGridLayout:
        self._name = Value("File name", self._inner)
        font = QFont(self._name.font())
        font.setWeight(QFont.Weight.DemiBold)
        self._name.setFont(font)
        self._close = _tool("Close the details (Esc)", self._inner)
        self._close.clicked.connect(self.close_panel)
        self._picture, self._state = QLabel(self._inner), QLabel(self._inner)
        state = QHBoxLayout()
        state.setSpacing(6)
        state.addWidget(self._picture)
        state.addWidget(self._state, 1)
        head = QGridLayout()
        head.setContentsMargins(0, 0, 8, 0)
        head.setVerticalSpacing(4)
        head.addWidget(self._name, 0, 0, Qt.AlignmentFlag.AlignVCenter)
        head.addWidget(self._close, 0, 1, Qt.AlignmentFlag.AlignTop)
        head.addLayout(state, 1, 0, 1, 2)
        head.setColumnStretch(0, 1)
        return head

    def _add_value(self, layout: QVBoxLayout, parent: QWidget, key: str, *, copy: bool) -> None:
        caption, value, button = _caption(key, parent), Value(key, parent, monospace=copy), None
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(value, 1)
        if copy:
            button = _tool(f"Copy the {key.replace('Server', 'server')}", parent)
            button.clicked.connect(lambda: QGuiApplication.clipboard().setText(value.toPlainText()))
            self._copies.append(button)
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        layout.addSpacing(6)
        layout.addWidget(caption)
        layout.addLayout(row)
        self._values[key] = (caption, value, button)

    def _fill(self, details: TransferDetails) -> None:
        view = details.view
        self._name.show_text(showable(view.name))
        self._state.setText(state_word(view.state))
        self._picture.setPixmap(
            self._theme.state_icon(view.state).pixmap(QSize(16, 16), self.devicePixelRatioF())
        )
        palette = self._state.palette()
        palette.setColor(QPalette.ColorRole.WindowText, self._theme.state_text_colour(view.state))
        self._state.setPalette(palette)
        texts = {
            "What happened": what_happened(view, self._clock()),
            "Where it is here": showable(details.source),
            "Name on the server": showable(details.relative_path),
            "Size": f"{size_text(view.size_bytes)} ({view.size_bytes:,} bytes)"
            if view.size_bytes > 999
            else size_text(view.size_bytes),
            "SHA-256": view.sha256 or "",
            "Server's id": details.remote_id or "",
            "Server's answer": view.answer,
            "Tries": str(details.attempts) if details.attempts else "",
        }
        for key, text in texts.items():
            self._show_value(key, text)
        self._timeline.show_steps(details.timeline)
        self._steps.setVisible(bool(details.timeline))

    def _show_value(self, key: str, text: str) -> None:
        caption, value, button = self._values[key]
        value.show_text(text)
        for widget in (caption, value, button):
            if widget is not None:
                widget.setVisible(bool(text))

    def _dress(self) -> None:
        self._close.setIcon(self._theme.icon("x", self._theme.colours.secondary))
        for button in self._copies:
            button.setIcon(self._theme.icon("copy", self._theme.colours.secondary))
        if self._details is not None:
            self._fill(self._details)
        self.update()

    def _slide_to(self, width: int) -> None:
        if self._slide.state() is QVariantAnimation.State.Running and self._slide.endValue() == width:
            return
        self._slide.stop()
        if motion_reduced() or not self.window().isVisible():
            self._set_width(width)
        elif width != self.maximumWidth():
            self._slide.setStartValue(self.maximumWidth())
            self._slide.setEndValue(width)
            self._slide.start()

    def _set_width(self, width: int) -> None:
        self.setFixedWidth(width)
        self.setVisible(width > 0)


def _caption(text: str, parent: QWidget) -> QLabel:
    label = QLabel(text, parent)
    label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
    font = QFont(label.font())
    font.setPointSizeF(font.pointSizeF() * 0.9)
    label.setFont(font)
    return label


def _tool(tip: str, parent: QWidget) -> QToolButton:
    button = QToolButton(parent)
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setIconSize(QSize(16, 16))
    button.setProperty("small", True)
    return button
