"""On the server: the batches that the chosen server lists of the account, and the switch that leads there and back."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app.remote.base import RemoteBatchRow
from app.words import count_text
from ui.dialogs.parts import Working
from ui.models.columns import readable
from ui.models.server_batches import ServerBatchTable, ServerRow
from ui.selection import REMOTE_OVER
from ui.theme import Theme
from ui.tips import plain_tip
from ui.views.table import TableView

BAR_HEIGHT = 38


class SwitchBar(QWidget):
    """My batches | On the server. ``switched`` says whether the server's are wanted; ``refresh`` that a person cannot wait."""

    switched = Signal(bool)
    refresh = Signal()

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setFixedHeight(BAR_HEIGHT)
        self.mine = self._make(
            "My batches", "mine", "Batches that were begun here (Alt+Shift+1)", "Alt+Shift+1"
        )
        self.there = self._make("On the server", "there", "", "Alt+Shift+2")
        self._said = QLabel(self)
        self._said.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._said.setTextFormat(Qt.TextFormat.PlainText)
        self._said.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._said.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._again = QToolButton(self)
        self._again.setProperty("small", True)
        self._again.setIconSize(QSize(16, 16))
        self._again.setToolTip("Ask the server again")
        self._again.setAccessibleName("Ask the server again")
        self._again.clicked.connect(self.refresh)
        self.mine.setChecked(True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 0, 12, 0)
        layout.setSpacing(4)
        for widget in (self.mine, self.there):
            layout.addWidget(widget)
        layout.addWidget(self._said, 1)
        layout.addWidget(self._again)
        theme.changed.connect(self._dress)
        self._dress()
        self.say("")

    @property
    def text(self) -> str:
        """The sentence at the right end."""
        return self._said.text()

    def name_server(self, name: str, *, lists: bool) -> None:
        """Say which server the second button is about, and whether it can tell anything."""
        tip = plain_tip(
            f"All batches of your account on “{readable(name)}”, also those begun elsewhere (Alt+Shift+2)"
            if lists
            else f"“{readable(name)}” does not list batches"
        )
        if self.there.toolTip() != tip:
            self.there.setToolTip(tip)
            self.there.setAccessibleDescription(tip)
        self.there.setEnabled(lists)

    def choose(self, on_server: bool) -> None:
        """Press one of the buttons."""
        (self.there if on_server else self.mine).setChecked(True)
        if not on_server:
            self.say("")

    def say(self, text: str) -> None:
        """Say how fresh or how wrong the list is."""
        self._said.setText(text)
        self._said.setToolTip(plain_tip(text))
        self._again.setVisible(self.there.isChecked())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the ground, with a line below."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.colours.window)
        painter.fillRect(0, self.height() - 1, self.width(), 1, self._theme.colours.line)
        painter.end()

    def _make(self, text: str, name: str, tip: str, keys: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setObjectName(f"switch_{name}")
        button.setProperty("pill", True)
        button.setCheckable(True)
        button.setAutoExclusive(True)
        button.setToolTip(tip)
        button.setShortcut(keys)
        button.clicked.connect(lambda: self.switched.emit(self.there.isChecked()))
        return button

    def _dress(self) -> None:
        self._again.setIcon(self._theme.icon("refresh-cw", self._theme.colours.secondary))
        self.update()


class ServerPane(QWidget):
    """The table, and in words why it is empty where it is."""

    def __init__(self, theme: Theme, clock: Callable[[], float], parent: QWidget) -> None:
        super().__init__(parent)
        self.model = ServerBatchTable(clock, self)
        self.table: TableView[ServerRow] = TableView(self.model, theme, "Batches on the server", self)
        self.table.setObjectName("server_batches")
        self.working = Working(theme, self)
        self.profile_id = ""
        self._text = ""
        self._hint = ""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.working)
        layout.addWidget(self.table, 1)

    def expect(self, profile_id: str) -> None:
        """Wait for the list of this server; that of another is taken away at once."""
        if profile_id != self.profile_id:
            self.profile_id = profile_id
            self.model.load(())
        self._explain("")
        self.working.setVisible(bool(profile_id) and not list(self.model.rows()))

    def show_batches(self, batches: Sequence[RemoteBatchRow]) -> str:
        """Show the list; return in words how many there are."""
        self.working.hide()
        self.model.take(batches)
        self._explain("There is no batch of yours on this server.")
        unfinished = sum(batch.state not in REMOTE_OVER for batch in batches)
        text = count_text(len(batches), "batch", "batches")
        return f"{text}, {unfinished:,} unfinished" if unfinished else text

    def show_problem(self, text: str) -> None:
        """Say why there is no list; one that is already there stays."""
        self.working.hide()
        self._explain(text)

    def filter_text(self, text: str) -> None:
        """Show batches with every word of *text*."""
        self._text = text
        self.model.filter_by(text)
        self._explain(self._hint)

    def _explain(self, text: str) -> None:
        self._hint = text
        filtered = bool(self._text) and any(True for _ in self.model.rows())
        self.table.hint = "No batch fits the filter." if filtered else text
        self.table.viewport().update()
