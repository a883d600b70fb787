"""The empty state: what the window says before there is a batch, and the ways to begin without dragging."""

import html

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ui.theme import Theme

_PICTURE = 80
_TEXT_WIDTH = 460


class EmptyState(QWidget):
    """One picture, one sentence, three buttons."""

    choose_folder = Signal()
    choose_files = Signal()
    add_server = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setAccessibleName("No batches yet")
        self.setAutoFillBackground(True)
        self.setBackgroundRole(QPalette.ColorRole.Base)
        self._picture = QLabel(self)
        self._title = QLabel("Drop folders here", self)
        self._sentence = QLabel(self)
        self._folder = _button("Choose a folder…", "Upload a folder with everything in it", self)
        self._files = _button("Choose files…", "Upload single files", self)
        self._server = _button("Add a server…", "Send to a server of your own", self)
        self._folder.setProperty("primary", True)
        self._server.clicked.connect(self.add_server)
        self.show_server("", embedded=True)
        self._folder.clicked.connect(self.choose_folder)
        self._files.clicked.connect(self.choose_files)
        self._lay_out()
        theme.changed.connect(self._dress)
        self._dress()

    def show_server(self, name: str, *, embedded: bool) -> None:
        """Say where drops go: to the server that comes with Uphaul, or to the chosen one."""
        text = (
            "They go to <b>This computer</b>, a server that comes with Uphaul, until you add yours."
            if embedded
            else f"They go to <b>{html.escape(name)}</b>."
        )
        if self._sentence.text() != text:
            self._sentence.setText(text)

    def _lay_out(self) -> None:
        font = self._title.font()
        font.setPointSizeF(font.pointSizeF() * 1.3)
        font.setWeight(font.Weight.DemiBold)
        self._title.setFont(font)
        self._sentence.setForegroundRole(QPalette.ColorRole.PlaceholderText)  # our secondary text
        self._sentence.setWordWrap(True)
        self._sentence.setFixedWidth(_TEXT_WIDTH)
        for label in (self._picture, self._title, self._sentence):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        # A row of its own asks how high the text is at the text's width; the column would ask at the window's.
        sentence = QHBoxLayout()
        sentence.addStretch(1)
        sentence.addWidget(self._sentence)
        sentence.addStretch(1)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self._folder)
        buttons.addWidget(self._files)
        buttons.addWidget(self._server)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setSpacing(0)
        layout.addStretch(1)
        layout.addWidget(self._picture)
        layout.addSpacing(16)
        layout.addWidget(self._title)
        layout.addSpacing(8)
        layout.addLayout(sentence)
        layout.addSpacing(20)
        layout.addLayout(buttons)
        layout.addStretch(1)

    def _dress(self) -> None:
        colours = self._theme.colours
        self._picture.setPixmap(self._theme.pixmap("package-open", _PICTURE, colours.secondary))
        self._folder.setIcon(self._theme.icon("folder-plus", colours.on_accent))
        self._files.setIcon(self._theme.icon("file-plus"))
        self._server.setIcon(self._theme.icon("server"))


def _button(text: str, tip: str, parent: QWidget) -> QPushButton:
    button = QPushButton(f" {text}", parent)  # air between picture and word
    button.setAccessibleName(text)
    button.setToolTip(tip)
    button.setAccessibleDescription(tip)
    button.setIconSize(QSize(18, 18))
    button.setCursor(Qt.CursorShape.PointingHandCursor)
    return button
