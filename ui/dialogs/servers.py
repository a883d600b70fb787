"""The list of servers: how each stands, and what one can do with it. Nothing is done in here; wishes leave as signals."""

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import QSettings, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.domain.events import Link, ServerView
from app.server_words import secret_word
from app.words import failure_text
from ui.delegates.row import ROW_HEIGHT
from ui.dialogs.parts import Mood, Sentence, button, keep_size
from ui.selection import files_text
from ui.theme import Theme
from ui.tips import plain_tip
from ui.views.status import link_of, server_state

FIRST_SIZE = QSize(960, 400)
_COLUMNS = ("Server", "Kind", "Signs in as", "State", "Address")
_WIDTHS = (150, 165, 150, 180, 160)
_ID = Qt.ItemDataRole.UserRole


class ServersDialog(QDialog):
    """Open it with ``open()``. The signals carry the profile id of the selected server."""

    add_wanted = Signal()
    change_wanted = Signal(str)
    test_wanted = Signal(str)
    sign_in_wanted = Signal(str)
    remove_wanted = Signal(str)

    def __init__(
        self, theme: Theme, store: QSettings, clock: Callable[[], float], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._theme, self._clock = theme, clock
        self._servers: tuple[ServerView, ...] = ()
        self._waiting: Mapping[str, int] = {}
        self._drawn: list[object] = []
        self.setWindowTitle("Servers")
        self.setModal(True)
        self.tree = self._make_tree()
        self._about, self.said = Sentence(theme, self), Sentence(theme, self)
        self.add = button("Add…", self, self.add_wanted.emit, "Add a server by its address (Ctrl+N)")
        self.change = button(
            "Change…", self, lambda: self.change_wanted.emit(self.selected_id), "Change it (Enter)"
        )
        self.test = button("Test", self, lambda: self.test_wanted.emit(self.selected_id), "Reach it now (F5)")
        self.sign_in = button(
            "Sign in…",
            self,
            lambda: self.sign_in_wanted.emit(self.selected_id),
            "Give its password or token again",
        )
        self.remove = button(
            "Remove…", self, lambda: self.remove_wanted.emit(self.selected_id), "Forget it (Del)"
        )
        self._lay_out()
        keep_size(self, store, "servers_dialog", FIRST_SIZE)
        self._follow_selection()

    @property
    def selected_id(self) -> str:
        """The profile id of the selected server, "" if none is."""
        chosen = self.tree.selectedItems()
        return str(chosen[0].data(0, _ID)) if chosen else ""

    @property
    def selected(self) -> ServerView | None:
        """The selected server."""
        return next((each for each in self._servers if each.profile_id == self.selected_id), None)

    def select(self, profile_id: str) -> None:
        """Select this server, if it is there."""
        for number, server in enumerate(self._servers):
            item = self.tree.topLevelItem(number)
            if server.profile_id == profile_id and item is not None:
                self.tree.setCurrentItem(item)

    def show_servers(self, servers: Sequence[ServerView], waiting: Mapping[str, int]) -> None:
        """Show them as they stand; *waiting* counts by a server's name the files that wait for it."""
        self._servers, self._waiting = tuple(servers), waiting
        now = self._clock()
        drawn: list[object] = [(*_texts(server, now), server.profile_id) for server in servers]
        if drawn != self._drawn:
            self._drawn = drawn
            self._fill(now)
        self._follow_selection()

    def _fill(self, now: float) -> None:
        """Change the rows in place, so that selection and scrolling stay."""
        kept = self.selected_id
        while self.tree.topLevelItemCount() > len(self._servers):
            self.tree.takeTopLevelItem(self.tree.topLevelItemCount() - 1)
        for number, server in enumerate(self._servers):
            item = self.tree.topLevelItem(number) or QTreeWidgetItem(self.tree)
            for column, text in enumerate(_texts(server, now)):
                item.setText(column, text)
                item.setToolTip(column, plain_tip(text))
            item.setData(0, _ID, server.profile_id)
            item.setSizeHint(0, QSize(0, ROW_HEIGHT))
            item.setIcon(3, self._light(link_of(server)))
        if kept != self.selected_id or not kept:
            self.select(kept if any(s.profile_id == kept for s in self._servers) else self._first())

    def _first(self) -> str:
        own = [server.profile_id for server in self._servers if not server.embedded]
        return own[0] if own else self._servers[0].profile_id if self._servers else ""

    def _light(self, link: Link) -> QIcon:
        colours = self._theme.colours
        picture, colour = {
            Link.READY: ("check", colours.done),
            Link.WAITING: ("hourglass", colours.warning),
            Link.SIGN_IN: ("triangle-alert", colours.failed),
        }.get(link, ("clock", colours.secondary))
        return self._theme.icon(picture, colour)

    def _follow_selection(self) -> None:
        """Enable what fits the selected server, and tell more of it."""
        server = self.selected
        own = server is not None and not server.embedded
        for each in (self.change, self.test, self.remove):
            each.setEnabled(own)
        self.sign_in.setEnabled(own and server is not None and bool(server.title))
        text = _about(server, self._waiting.get(server.name, 0)) if server else ""
        if text != self._about.text:
            self._about.say(text, Mood.HINT)

    def _make_tree(self) -> QTreeWidget:
        tree = QTreeWidget(self)
        tree.setObjectName("servers")
        tree.setAccessibleName("Servers")
        tree.setHeaderLabels(list(_COLUMNS))
        tree.setRootIsDecorated(False)
        tree.setUniformRowHeights(True)
        tree.setAllColumnsShowFocus(True)
        tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        tree.header().setSectionsMovable(False)
        tree.header().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column, width in enumerate(_WIDTHS):
            tree.setColumnWidth(column, width)
        tree.header().setSectionResizeMode(len(_COLUMNS) - 1, QHeaderView.ResizeMode.Stretch)
        tree.itemSelectionChanged.connect(self._selected)
        tree.itemActivated.connect(lambda *_: self.change.click())
        return tree

    def _selected(self) -> None:
        self.said.say("")
        self._follow_selection()

    def _lay_out(self) -> None:
        column = QVBoxLayout()
        column.setSpacing(8)
        for one in (self.add, self.change, self.test, self.sign_in, self.remove):
            column.addWidget(one)
        column.addStretch(1)
        close = QPushButton("Close", self)
        close.clicked.connect(self.reject)
        column.addWidget(close)
        left = QVBoxLayout()
        left.setSpacing(8)
        left.addWidget(self.tree, 1)
        left.addWidget(self._about)
        left.addWidget(self.said)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(12)
        layout.addLayout(left, 1)
        layout.addLayout(column)
        for keys, wanted in (("Ctrl+N", self.add), ("F5", self.test), ("Del", self.remove)):
            QShortcut(QKeySequence(keys), self, wanted.click)
        self.tree.setFocus()


def _texts(server: ServerView, now: float) -> tuple[str, ...]:
    kind = "comes with Uphaul" if server.embedded else server.title
    return server.name, kind, server.user, server_state(server, now), server.url


def _about(server: ServerView, waiting: int) -> str:
    """What else there is to say of a server."""
    parts = []
    if link_of(server) is Link.SIGN_IN:
        parts.append("It did not accept the sign-in. What waits goes on as soon as you have signed in.")
    elif server.failure is not None:
        parts.append(failure_text(server.failure))
    if waiting and server.failure is not None:
        parts.append(f"{files_text(waiting)} {'waits' if waiting == 1 else 'wait'}.")
    word = secret_word(server.dialect, server.user).lower()
    if server.embedded:
        parts.append("It runs on this computer and needs no sign-in.")
    elif server.secret_in_keyring:
        parts.append(f"Its {word} is in the system's keyring.")
    elif server.secret_in_keyring is False:
        parts.append(f"Its {word} is kept until Uphaul is closed.")
    return " ".join(parts)
