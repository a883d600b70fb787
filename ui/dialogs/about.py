"""The about dialog: what this is, whether there is a newer version, and every part of it with its licence."""

import platform
from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, qVersion
from PySide6.QtGui import QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from app import __version__
from app.licences import Component, title
from app.update_file import Newer, Newest, Outcome
from app.update_words import outcome_text, release_lines
from ui.dialogs.parts import Mood, Sentence
from ui.theme import Theme

_WHAT = "Drop folders on a window, see every file arrive, cancel any of it."


class AboutDialog(QDialog):
    """Open it with ``open()``; ``check_wanted`` asks for an outcome, ``show_parts`` fills the list of licences."""

    check_wanted = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("About Uphaul")
        self.setModal(True)
        self._parts: Sequence[Component] = ()
        self._picture = QLabel(self)
        self._picture.setPixmap(theme.app_icon.pixmap(64, 64))
        self._name = QLabel(f"Uphaul {__version__}", self)
        self._what = QLabel(_WHAT, self)
        self._made = QLabel(f"Python {platform.python_version()} · Qt {qVersion()} (PySide6, LGPL)", self)
        for label in (self._what, self._made):
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.said = Sentence(theme, self)
        self._news = _reader(self, "What is new")
        self._news.hide()
        self._list = QListWidget(self)
        self._list.setAccessibleName("Parts of Uphaul")
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self._list.currentRowChanged.connect(self._show_licence)
        self._licence = _reader(self, "Licence")
        self._licence.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._lay_out()

    @property
    def words(self) -> list[str]:
        """The lines above the licences."""
        return [self._name.text(), self._what.text(), self._made.text()]

    def show_parts(self, parts: Sequence[Component]) -> None:
        """List *parts*; the chosen one's licence is shown as a whole."""
        self._parts = parts
        self._list.clear()
        self._list.addItems([title(part) for part in parts])
        for row, part in enumerate(parts):
            self._list.item(row).setToolTip(title(part))
        self._list.setCurrentRow(0)

    def show_checking(self) -> None:
        """Say that the answer is awaited."""
        self._check.setEnabled(False)
        self._news.hide()
        self.said.say("Asking whether there is a newer version…", Mood.BUSY)

    def show_outcome(self, outcome: Outcome) -> None:
        """Say what was found; of a newer version also its notes, and where it is."""
        self._check.setEnabled(True)
        good = isinstance(outcome, Newest | Newer)
        self.said.say(outcome_text(outcome), Mood.GOOD if good else Mood.BAD)
        if isinstance(outcome, Newer):
            self._news.setPlainText("\n".join(release_lines(outcome.release)))
            self._news.show()

    def as_text(self) -> str:
        """Return what a report of a fault should begin with: versions, the system, the parts."""
        lines = [*self.words, platform.platform()]
        lines += [self.said.text] if self.said.text else []
        return "\n".join([*lines, "", *(title(part) for part in self._parts)])

    def _lay_out(self) -> None:
        font = QFont(self._name.font())
        font.setPointSizeF(font.pointSizeF() * 1.3)
        font.setWeight(QFont.Weight.DemiBold)
        self._name.setFont(font)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        for label in (self._picture, self._name, self._what, self._made):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            layout.addWidget(label)
        layout.addSpacing(8)
        layout.addLayout(self._updates())
        layout.addWidget(self._news)
        split = QSplitter(self)
        split.setChildrenCollapsible(False)
        for widget, share in ((self._list, 2), (self._licence, 3)):
            split.addWidget(widget)
            split.setStretchFactor(split.count() - 1, share)
        split.setSizes([250, 590])
        layout.addWidget(split, 1)
        layout.addWidget(self._buttons())
        self._news.setFixedHeight(self._news.fontMetrics().lineSpacing() * 6 + 12)
        self.resize(880, 580)

    def _updates(self) -> QHBoxLayout:
        self._check = QPushButton("Check for updates", self)
        self._check.setToolTip("Asks the address in the settings; nothing is downloaded or installed")
        self._check.setAutoDefault(False)
        self._check.clicked.connect(self.check_wanted)
        row = QHBoxLayout()
        row.addWidget(self.said, 1)
        row.addWidget(self._check, 0, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignRight)
        return row

    def _buttons(self) -> QDialogButtonBox:
        kinds = QDialogButtonBox.StandardButton
        box = QDialogButtonBox(kinds.Close, self)
        copy = box.addButton("Copy as text", QDialogButtonBox.ButtonRole.ActionRole)
        copy.setToolTip("Versions, the system and all parts, for a report")
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.as_text()))
        box.rejected.connect(self.reject)
        box.button(kinds.Close).setDefault(True)
        return box

    def _show_licence(self, row: int) -> None:
        self._licence.setPlainText(self._parts[row].text if 0 <= row < len(self._parts) else "")


def _reader(parent: QWidget, name: str) -> QPlainTextEdit:
    view = QPlainTextEdit(parent)
    view.setReadOnly(True)
    view.setTabChangesFocus(True)
    view.setAccessibleName(name)
    return view
