"""The banner of a server that asks to sign in again: it stays until that is done, and so does the queue."""

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from app.domain.events import Link, ServerView
from ui.selection import files_text
from ui.theme import Theme
from ui.tips import plain_tip
from ui.views.status import link_of

HEIGHT = 40


def sign_in_text(server: ServerView, waiting: int, others: int) -> str:
    """Return what the banner says of *server*, for which *waiting* files wait; *others* ask for it, too."""
    sentence = f"{server.name}: sign in again."
    if waiting:
        sentence += f" {files_text(waiting)} {'waits' if waiting == 1 else 'wait'}; nothing is lost."
    if others:
        sentence += f" {others} other server{' asks' if others == 1 else 's ask'} for it, too."
    return sentence


class SignInBar(QWidget):
    """Shows the first server that asks; ``wanted`` carries its profile id."""

    wanted = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self._profile_id = ""
        self.setObjectName("sign_in")
        self.setFixedHeight(HEIGHT)
        self._picture, self._text = QLabel(self), QLabel(self)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.button = QPushButton("Sign in…", self)
        self.button.setProperty("quiet", True)
        self.button.clicked.connect(lambda: self.wanted.emit(self._profile_id))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 0, 8, 1)
        layout.setSpacing(8)
        layout.addWidget(self._picture)
        layout.addWidget(self._text, 1)
        layout.addWidget(self.button)
        theme.changed.connect(self._dress)
        self._dress()
        self.hide()

    @property
    def text(self) -> str:
        """The sentence that is shown, "" if none is."""
        return self._text.text() if self._profile_id else ""

    def show_servers(self, servers: Sequence[ServerView], waiting: Mapping[str, int]) -> None:
        """Show or hide it; *waiting* counts by a server's name the files that are not there yet."""
        asking = [server for server in servers if link_of(server) is Link.SIGN_IN]
        self._profile_id = asking[0].profile_id if asking else ""
        if asking:
            text = sign_in_text(asking[0], waiting.get(asking[0].name, 0), len(asking) - 1)
            if text != self._text.text():
                self._text.setText(text)
                self._text.setToolTip(plain_tip(text))
                self.setAccessibleName(text)
        if self.isHidden() == bool(asking):
            self.setVisible(bool(asking))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the ground and the line below it."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colours.selection)
        painter.fillRect(0, self.height() - 1, self.width(), 1, self._theme.colours.line)
        painter.end()

    def _dress(self) -> None:
        self._picture.setPixmap(self._theme.pixmap("triangle-alert", 16, self._theme.colours.failed))
        self.update()
