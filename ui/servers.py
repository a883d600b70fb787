"""What a person does with servers: the list, adding, changing, testing, removing, signing in again."""

from collections.abc import Sequence

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QDialog, QWidget

from app.accounts.profiles import ProfileError, ServerProfile
from app.accounts.secrets import Kept
from app.domain.batch import BatchView
from app.domain.events import Frame, ServerView
from app.domain.failure import TransferError
from app.domain.state import OVER
from app.remote.base import Abilities
from app.remote.detect import Detected
from app.server_words import powers_text
from app.words import count_text, failure_text
from ui.bridge import Bridge
from ui.dialogs.parts import Mood
from ui.dialogs.question import confirmed
from ui.dialogs.server import ServerDialog
from ui.dialogs.servers import ServersDialog
from ui.dialogs.sign_in import SignInDialog
from ui.loop import Tasks, ask
from ui.selection import files_text, waiting_files
from ui.theme import Theme
from ui.views.main_window import MainWindow


class Desk:
    """What the dialogs ask of the engine, across the bridge (``dialogs.server.Desk``, ``dialogs.sign_in.Door``)."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def look(self, address: str, half: ServerProfile) -> Detected:
        """Find out what answers there. Raises TransferError."""
        return await self._bridge.call(lambda m: m.detect(address, half))

    async def test(self, profile: ServerProfile, secret: str | None) -> Abilities:
        """Reach it once, signed in. Raises TransferError, ProfileError."""
        return await self._bridge.call(lambda m: m.test_server(profile, secret))

    async def save(self, profile: ServerProfile, secret: str | None, keep: bool) -> Kept:
        """Keep it. Raises ProfileError, TransferError."""
        return await self._bridge.call(lambda m: m.save_server(profile, secret, keep))

    async def keyring_trouble(self) -> str:
        """Why the system's keyring is of no use, "" if it works."""
        return await self._bridge.call(lambda m: m.keyring_trouble())

    async def try_secret(self, profile_id: str, secret: str) -> None:
        """Reach the server with it. Raises TransferError, ProfileError."""
        profile = await self.profile(profile_id)
        if profile is not None:
            await self.test(profile, secret)

    async def sign_in_again(self, profile_id: str, secret: str, keep: bool) -> Kept:
        """Use and keep it; what waits goes on. Raises TransferError."""
        return await self._bridge.call(lambda m: m.sign_in_again(profile_id, secret, keep))

    async def remove(self, profile_id: str) -> None:
        """Forget the server. Raises ProfileError."""
        await self._bridge.call(lambda m: m.remove_server(profile_id))

    async def profiles(self) -> Sequence[ServerProfile]:
        """Return the servers that were added."""
        return await self._bridge.call(lambda m: m.profiles())

    async def profile(self, profile_id: str) -> ServerProfile | None:
        """Return one of them."""
        return next((each for each in await self.profiles() if each.id == profile_id), None)


class ServerCommands(QObject):
    """Opens the dialogs, and keeps the list true while it is open."""

    def __init__(self, window: MainWindow, bridge: Bridge, tasks: Tasks, theme: Theme) -> None:
        super().__init__(window)
        self._window, self._bridge, self._tasks, self._theme = window, bridge, tasks, theme
        self._desk = Desk(bridge)
        self._list: ServersDialog | None = None
        bridge.frame.connect(self._follow)
        window.sign_in.wanted.connect(lambda profile_id: tasks.spawn(self.sign_in(profile_id)))

    async def show_list(self) -> None:
        """Show the servers."""
        dialog = ServersDialog(self._theme, self._window.store, self._window.batches.clock, self._window)
        self._list = dialog
        spawn = self._tasks.spawn
        dialog.add_wanted.connect(lambda: spawn(self.add()))
        dialog.change_wanted.connect(lambda profile_id: spawn(self._change(profile_id)))
        dialog.test_wanted.connect(lambda profile_id: spawn(self._test(profile_id)))
        dialog.sign_in_wanted.connect(lambda profile_id: spawn(self.sign_in(profile_id)))
        dialog.remove_wanted.connect(lambda profile_id: spawn(self._remove(profile_id)))
        self._show_servers(self._window.servers)
        dialog.select(self._window.top.server_id)
        try:
            await ask(dialog)
        finally:
            self._list = None

    async def add(self) -> None:
        """Add a server; new batches go to it from then on."""
        names = [server.name for server in self._window.servers]
        dialog = ServerDialog(
            self._desk, self._tasks, self._theme, self._window.store, self._parent, taken=names
        )
        if await ask(dialog) != QDialog.DialogCode.Accepted:
            return
        kept, name = dialog.kept, dialog.saved_name
        saved = next((each for each in await self._desk.profiles() if each.name == name), None)
        self._bridge.pull()
        if saved is not None:
            self._window.top.prefer(saved.id)
            if self._list is not None:
                self._list.select(saved.id)
        self._say(f"“{name}” is added. New batches go there now. {kept.sentence}".strip())

    async def _change(self, profile_id: str) -> None:
        profile = await self._desk.profile(profile_id)
        if profile is None:
            return
        server = self._server(profile_id)
        dialog = ServerDialog(
            self._desk,
            self._tasks,
            self._theme,
            self._window.store,
            self._parent,
            profile=profile,
            taken=[each.name for each in self._window.servers if each.profile_id != profile_id],
            in_keyring=server.secret_in_keyring if server else None,
        )
        if await ask(dialog) == QDialog.DialogCode.Accepted:
            kept = dialog.kept
            self._bridge.pull()
            self._say(f"“{dialog.saved_name}” is changed. {kept.sentence}".strip())

    async def _test(self, profile_id: str) -> None:
        profile = await self._desk.profile(profile_id)
        if profile is None or self._list is None:
            return
        said = self._list.said
        said.say(f"Reaching {profile.name}…", Mood.BUSY)
        try:
            abilities = await self._desk.test(profile, None)
        except (TransferError, ProfileError) as error:
            text, mood = str(error), Mood.BAD
            if isinstance(error, TransferError):
                text = failure_text(error.failure)
        else:
            text, mood = f"{profile.name} answers. {powers_text(abilities)}", Mood.GOOD
        if self._list is not None:
            self._list.said.say(text, mood)

    async def _remove(self, profile_id: str) -> None:
        server = self._server(profile_id)
        if server is None:
            return
        more = removal_text(server.name, list(self._window.batches.rows()))
        if await confirmed(self._parent, f"Remove “{server.name}”?", more, "Remove"):
            await self._desk.remove(profile_id)
            self._bridge.pull()
            self._say(f"“{server.name}” is removed.")

    async def sign_in(self, profile_id: str) -> None:
        """Ask for the secret of a server again."""
        server = self._server(profile_id)
        if server is None:
            return
        dialog = SignInDialog(self._desk, self._tasks, self._theme, self._window.store, server, self._parent)
        if await ask(dialog) == QDialog.DialogCode.Accepted:
            kept = dialog.kept
            self._bridge.pull()
            self._say(f"Signed in to {server.name}. {kept.sentence}".strip())

    # How it is done

    @property
    def _parent(self) -> QWidget:
        return self._list or self._window

    def _server(self, profile_id: str) -> ServerView | None:
        return next((each for each in self._window.servers if each.profile_id == profile_id), None)

    def _say(self, text: str) -> None:
        if self._list is not None:
            self._list.said.say(text, Mood.GOOD)
        else:
            self._window.notices.say(text)

    def _follow(self, frame: Frame) -> None:
        if self._list is not None and frame.servers:
            self._show_servers(frame.servers)

    def _show_servers(self, servers: Sequence[ServerView]) -> None:
        if self._list is not None:
            self._list.show_servers(servers, waiting_files(self._window.batches.rows()))


def removal_text(name: str, batches: Sequence[BatchView]) -> str:
    """Say what becomes of the batches of the server that is called *name*."""
    mine = [batch for batch in batches if batch.server == name]
    files = waiting_files(mine).get(name, 0)
    if not files:
        return "Its sign-in is forgotten. What has arrived there stays there."
    unfinished = sum(any(n and s not in OVER for s, n in batch.files.items()) for batch in mine)
    stay = "stays in the list and waits" if unfinished == 1 else "stay in the list and wait"
    what = count_text(unfinished, "unfinished batch", "unfinished batches")
    return (
        f"{what} ({files_text(files)}) {stay}. Add the same server again to go on, or cancel them."
        " What has arrived there stays there."
    )
