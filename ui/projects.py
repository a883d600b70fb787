"""Projects of servers that have them: the button's menu, a new one, and the question before a drop that has none."""

from collections.abc import Sequence

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QDialog

from app.domain.events import ServerView
from app.domain.failure import TransferError
from app.remote.base import Target
from app.words import failure_text
from ui.bridge import Bridge
from ui.dialogs.project import ProjectDialog
from ui.loop import Tasks, ask
from ui.theme import Theme
from ui.views.main_window import MainWindow

_FETCHING = "Asking the server…"
_NONE = "There is no project yet"


class ProjectDesk:
    """What the dialog asks of the engine, for one server (``dialogs.project.Desk``)."""

    def __init__(self, bridge: Bridge, profile_id: str) -> None:
        self._bridge, self._profile_id = bridge, profile_id

    async def targets(self) -> Sequence[Target]:
        """Return the projects. Raises TransferError."""
        return await self._bridge.call(lambda m: m.targets(self._profile_id))

    async def create(self, name: str) -> Target:
        """Make one. Raises TransferError."""
        return await self._bridge.call(lambda m: m.create_target(self._profile_id, name))

    async def choose(self, target: Target) -> None:
        """Let new batches go into it. Raises TransferError, ProfileError."""
        await self._bridge.call(lambda m: m.choose_target(self._profile_id, target))


class ProjectCommands(QObject):
    """Follows the project button of the top bar."""

    def __init__(self, window: MainWindow, bridge: Bridge, tasks: Tasks, theme: Theme) -> None:
        super().__init__(window)
        self._window, self._bridge, self._tasks, self._theme = window, bridge, tasks, theme
        self._button = window.top.project
        self._shown_for = ""
        self._button.opened.connect(lambda: tasks.spawn(self._refresh()))
        self._button.chosen.connect(lambda target: tasks.spawn(self._choose(target)))
        self._button.new_wanted.connect(lambda: tasks.spawn(self._ask_new()))

    async def ready_for_drop(self, profile_id: str) -> bool:
        """Return whether a batch may go there; ask for the project first, where one is needed and none is chosen."""
        server = next((each for each in self._window.servers if each.profile_id == profile_id), None)
        if server is None or not server.needs_target or server.target:
            return True
        return await self._ask(server, is_new=False)

    async def _refresh(self) -> None:
        server = self._window.top.server_shown
        if server is None:
            return
        profile_id = server.profile_id
        if self._shown_for != profile_id:
            self._button.show_targets((), _FETCHING)
        try:
            targets = await ProjectDesk(self._bridge, profile_id).targets()
        except TransferError as error:
            self._shown_for = ""
            self._button.show_targets((), failure_text(error.failure))
            return
        if self._window.top.server_id == profile_id:
            self._shown_for = profile_id
            self._button.show_targets(targets, "" if targets else _NONE)

    async def _choose(self, target: Target) -> None:
        await ProjectDesk(self._bridge, self._window.top.server_id).choose(target)
        self._bridge.pull()

    async def _ask_new(self) -> None:
        server = self._window.top.server_shown
        if server is not None:
            await self._ask(server, is_new=True)

    async def _ask(self, server: ServerView, *, is_new: bool) -> bool:
        """Let a person choose or make a project; return whether they did."""
        desk = ProjectDesk(self._bridge, server.profile_id)
        dialog = ProjectDialog(
            desk, self._tasks, self._theme, self._window.store, server, self._window, is_new=is_new
        )
        if await ask(dialog) != QDialog.DialogCode.Accepted or dialog.target is None:
            return False
        await desk.choose(dialog.target)
        self._shown_for = ""
        self._bridge.pull()
        return True
