"""The two buttons that say where new batches go: to which server, and into which project there."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QToolButton, QWidget

from app.domain.events import Link, ServerView
from app.remote.base import Target
from ui.models.columns import readable
from ui.theme import Theme
from ui.tips import plain_tip
from ui.views.status import link_of

LONGEST = 24


def shortened(name: str) -> str:
    """Return *name* so that it fits a button."""
    name = readable(name)
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


class _Button(QToolButton):
    """A framed button with a menu."""

    def __init__(self, name: str, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setObjectName(name)
        self.setProperty("boxed", True)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.setMenu(menu)
        theme.changed.connect(self._dress)

    def _dress(self) -> None:
        """Put on the picture, in the colours of now."""

    def _alarm(self, is_on: bool) -> None:
        if self.property("alarm") != is_on:
            self.setProperty("alarm", is_on)
            self.style().unpolish(self)
            self.style().polish(self)


class ServerButton(_Button):
    """Which server. ``chosen`` carries a profile id."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, last_entries: Sequence[QAction], parent: QWidget) -> None:
        super().__init__("server", theme, parent)
        self._last_entries = last_entries
        self._offered: object = None
        self._entries: dict[str, QAction] = {}
        self._asks = False
        self.setToolTip("The server that new batches go to")
        self._dress()

    def show_servers(self, servers: Sequence[ServerView], chosen_id: str) -> None:
        """Offer *servers*; the one with *chosen_id* is ticked and named."""
        offered = [(each.profile_id, each.name, each.url, link_of(each) is Link.SIGN_IN) for each in servers]
        if offered != self._offered and not self.menu().isVisible():
            self._offered = offered
            self._fill(servers)
        for profile_id, entry in self._entries.items():
            entry.setChecked(profile_id == chosen_id)
        self._name(next((each for each in servers if each.profile_id == chosen_id), None))

    def _fill(self, servers: Sequence[ServerView]) -> None:
        menu = self.menu()
        menu.clear()
        self._entries.clear()
        group = QActionGroup(menu)
        for server in servers:
            name = readable(server.name).replace("&", "&&")
            entry = group.addAction(f"{name} (sign in again)" if link_of(server) is Link.SIGN_IN else name)
            entry.setCheckable(True)
            entry.setToolTip(plain_tip(server.url))
            entry.triggered.connect(lambda _on=False, chosen=server.profile_id: self.chosen.emit(chosen))
            menu.addAction(entry)
            self._entries[server.profile_id] = entry
        menu.addSeparator()
        menu.addActions(list(self._last_entries))

    def _name(self, shown: ServerView | None) -> None:
        asks = shown is not None and link_of(shown) is Link.SIGN_IN
        name = shown.name if shown else ""
        self.setText(f" {shortened(name)} ▾")
        self.setAccessibleName(f"Server: {readable(name)}" + (", asks you to sign in" if asks else ""))
        if asks != self._asks:
            self._asks = asks
            self._alarm(asks)
            self._dress()

    def _dress(self) -> None:
        colours = self._theme.colours
        picture, colour = ("triangle-alert", colours.failed) if self._asks else ("server", colours.text)
        self.setIcon(self._theme.icon(picture, colour))


class ProjectButton(_Button):
    """Which project of the chosen server. ``opened``: somebody looks at the menu; ``chosen`` carries a Target."""

    opened = Signal()
    chosen = Signal(object)
    new_wanted = Signal()

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__("project", theme, parent)
        self._target = Target("", "")
        self._targets: Sequence[Target] = ()
        self._note = ""
        self.setToolTip("The project that new batches go into")
        self.menu().aboutToShow.connect(self.opened)
        self._dress()
        self._fill()
        self.hide()

    def show_server(self, server: ServerView | None) -> None:
        """Be there if this server has projects, with the name of the chosen one."""
        needed = server is not None and server.needs_target
        target = (
            Target(server.target, server.target_name) if server is not None and needed else Target("", "")
        )
        if target != self._target:
            self._target = target
            self._fill()
        name = shortened(target.name or target.id) if target.id else "Choose a project"
        self.setText(f" {name} ▾")
        self.setAccessibleName(f"Project: {readable(target.name)}" if target.id else "Choose a project")
        if self.isHidden() == needed:
            self.setVisible(needed)

    def show_targets(self, targets: Sequence[Target], note: str = "") -> None:
        """Offer these; *note* says why there are none, or that they are being fetched."""
        if (tuple(targets), note) != (tuple(self._targets), self._note):
            self._targets, self._note = tuple(targets), note
            self._fill()

    def _fill(self) -> None:
        menu = self.menu()
        menu.clear()
        group = QActionGroup(menu)
        for target in self._targets:
            entry = group.addAction(readable(target.name or target.id).replace("&", "&&"))
            entry.setCheckable(True)
            entry.setChecked(target.id == self._target.id)
            entry.triggered.connect(lambda _on=False, target=target: self.chosen.emit(target))
            menu.addAction(entry)
        if self._note:
            menu.addAction(self._note).setEnabled(False)
        menu.addSeparator()
        menu.addAction("New project…").triggered.connect(self.new_wanted.emit)

    def _dress(self) -> None:
        self.setIcon(self._theme.icon("folder"))
