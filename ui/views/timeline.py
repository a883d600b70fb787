"""The timeline: the states a file went through, with times and reasons, oldest first."""

import time
from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFont, QPalette
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from app.domain.transfer import TimelineEntry
from app.words import ago_text, exact_time, state_word
from ui.theme import Theme
from ui.views.value import showable

MOST_SHOWN = 60


class Timeline(QWidget):
    """A column of steps; a file that was tried very often shows its newest 60."""

    def __init__(self, theme: Theme, parent: QWidget, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(parent)
        self._theme, self._clock = theme, clock
        self._steps: tuple[TimelineEntry, ...] = ()
        self._rows: list[QWidget] = []
        self._times: list[tuple[QLabel, float]] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 2, 0, 0)
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(1, 1)
        self.setAccessibleName("Timeline")
        theme.changed.connect(self._rebuild)

    def show_steps(self, steps: tuple[TimelineEntry, ...]) -> None:
        """Show *steps*; only their ages are renewed if they are the ones that are shown."""
        if steps != self._steps:
            self._steps = steps
            self._rebuild()
        for label, at in self._times:
            label.setText(ago_text(at, self._clock()))

    def _rebuild(self) -> None:
        for widget in self._rows:
            self._grid.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self._rows, self._times = [], []
        shown = self._steps[-MOST_SHOWN:]
        if len(shown) < len(self._steps):
            self._place(self._label(f"{len(self._steps) - len(shown):,} earlier steps", faint=True), 0, 1)
        for row, step in enumerate(shown, start=1):
            self._add(row * 2, step)

    def _add(self, row: int, step: TimelineEntry) -> None:
        picture = QLabel(self)
        picture.setPixmap(self._theme.state_icon(step.state).pixmap(QSize(16, 16), self.devicePixelRatioF()))
        when = self._label(ago_text(step.at, self._clock()), faint=True)
        when.setToolTip(exact_time(step.at))
        self._times.append((when, step.at))
        self._place(picture, row, 0)
        self._place(self._label(state_word(step.state)), row, 1)
        self._place(when, row, 2)
        if step.note:
            note = self._label(showable(step.note), faint=True)
            note.setWordWrap(True)
            self._place(note, row + 1, 1, span=2)

    def _label(self, text: str, *, faint: bool = False) -> QLabel:
        label = QLabel(text, self)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        if faint:
            font = QFont(label.font())
            font.setPointSizeF(font.pointSizeF() * 0.9)
            label.setFont(font)
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        return label

    def _place(self, widget: QWidget, row: int, column: int, span: int = 1) -> None:
        self._grid.addWidget(widget, row, column, 1, span, Qt.AlignmentFlag.AlignTop)
        self._rows.append(widget)
        widget.show()
