"""What happens when a person asks for something: each wish becomes one awaited command to the engine."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QDialog

from app.autostart import Autostart
from app.domain.batch import BatchView
from app.settings import Settings
from ui import drop
from ui.actions import Do
from ui.bridge import Bridge
from ui.choose import choose_files, choose_folders
from ui.dialogs.question import confirmed
from ui.dialogs.report import ReportDialog
from ui.dialogs.settings import SettingsDialog
from ui.drop import Taken
from ui.loop import Tasks, ask
from ui.on_server import OnServer
from ui.projects import ProjectCommands
from ui.selection import BATCH_OVER, REMOTE_OVER, files_text, is_left_there
from ui.servers import ServerCommands
from ui.theme import Theme
from ui.updates import UpdateCommands
from ui.views.main_window import MainWindow
from ui.views.table import table_text

EMBEDDED = "embedded"
P = ParamSpec("P")
T = TypeVar("T")
NO_PATHS = "There are no files or paths on the clipboard."


class Commands(QObject):
    """Carries out wishes. ``settings`` are those in force; ``quit_wanted`` says that a person wants to leave."""

    quit_wanted = Signal()

    def __init__(
        self,
        window: MainWindow,
        bridge: Bridge,
        tasks: Tasks,
        theme: Theme,
        settings: Settings,
        autostart: Autostart | None,
    ) -> None:
        super().__init__(window)
        self._window, self._bridge, self._tasks, self._theme = window, bridge, tasks, theme
        self.settings, self._autostart = settings, autostart
        self.servers = ServerCommands(window, bridge, tasks, theme)
        self.on_server = OnServer(window, bridge, tasks)
        self.projects = ProjectCommands(window, bridge, tasks, theme)
        self.updates = UpdateCommands(window, bridge, tasks, theme)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="uphaul-commands")
        self._wishes: dict[Do, Callable[[], Awaitable[object]]] = {
            Do.ADD_FILES: self._add_files,
            Do.ADD_FOLDER: self._add_folders,
            Do.PASTE: self._paste,
            Do.PAUSE: self._pause,
            Do.RESUME: self._resume,
            Do.PAUSE_ALL: self.pause_all,
            Do.RESUME_ALL: self.resume_all,
            Do.CANCEL_FILE: self._cancel_files,
            Do.CANCEL_BATCH: self._cancel_batches,
            Do.RETRY: self._retry,
            Do.DELETE_THERE: self._delete_there,
            Do.REMOVE_FINISHED: self._remove_finished,
            Do.REMOVE_BATCH: self._remove_selected,
            Do.OPEN_FOLDER: self._open_folder,
            Do.REPORT: self._show_report,
            Do.COPY: self._copy,
            Do.SERVERS: self.servers.show_list,
            Do.ADD_SERVER: self.servers.add,
            Do.SETTINGS: self._change_settings,
            Do.ABOUT: self.updates.about,
        }
        window.actions_.chosen.connect(self.do)
        window.dropped.connect(lambda taken: tasks.spawn(self.take(taken)))
        window.empty.choose_files.connect(lambda: self.do(Do.ADD_FILES))
        window.empty.choose_folder.connect(lambda: self.do(Do.ADD_FOLDER))
        window.empty.add_server.connect(lambda: self.do(Do.ADD_SERVER))
        window.batch_shown.connect(lambda batch_id: tasks.spawn(self._show_batch(batch_id)))
        window.details_wanted.connect(self._want_details)
        bridge.frame.connect(self._follow_details)
        self._details_of: str | None = None
        self._details_busy = False

    def do(self, what: Do) -> None:
        """Begin to carry out *what*; what goes wrong is told by the tasks' own notice."""
        if what is Do.QUIT:
            self.quit_wanted.emit()
        elif what is Do.FILTER:
            self._window.top.filter.setFocus()
            self._window.top.filter.selectAll()
        elif what is Do.SELECT_ALL:
            self._window.active_view.selectAll()
        elif what in self._wishes:
            self._tasks.spawn(_run(self._wishes[what]))

    def close(self) -> None:
        """Let the copying thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    # Adding

    async def take(self, taken: Taken) -> None:
        """Upload what was dropped or pasted as a new batch, and say what was not taken."""
        if refusal := drop.refusal_text(taken):
            self._window.notices.say(refusal)
        if taken.paths:
            await self.add(taken.paths)

    async def add(self, paths: Sequence[str]) -> None:
        """Make a new batch of these paths for the chosen server, and select it."""
        profile_id = self._window.top.server_id or EMBEDDED
        if not await self.projects.ready_for_drop(profile_id):
            self._window.notices.say("Nothing was uploaded: no project was chosen.")
            return
        batch_id = await self._bridge.call(lambda m: m.add(list(paths), profile_id))
        self._window.select_batch(batch_id)
        self._bridge.pull()

    async def _add_files(self) -> None:
        if paths := await choose_files(self._window):
            await self.add(paths)

    async def _add_folders(self) -> None:
        if paths := await choose_folders(self._window):
            await self.add(paths)

    async def _paste(self) -> None:
        taken = drop.from_clipboard(QGuiApplication.clipboard().mimeData())
        if not taken.paths and not taken.refused:
            self._window.notices.say(NO_PATHS)
            return
        await self.take(taken)

    # What is selected

    def _targets(self) -> tuple[list[str], list[str]]:
        """Return (batch ids, transfer ids) that an action for both tables is meant for; one of them is empty."""
        if self._window.selection().on_files:
            return [], self._window.files.table.selected_ids()
        return self._window.batch_view.selected_ids(), []

    async def _pause(self) -> None:
        batch_ids, transfer_ids = self._targets()
        if batch_ids or transfer_ids:
            await self._bridge.call(lambda m: m.pause(batch_ids, transfer_ids))
            self._bridge.pull()

    async def _resume(self) -> None:
        batch_ids, transfer_ids = self._targets()
        if batch_ids or transfer_ids:
            await self._bridge.call(lambda m: m.resume(batch_ids, transfer_ids))
            self._bridge.pull()

    async def pause_all(self) -> None:
        """Pause everything; also from the tray."""
        await self._bridge.call(lambda m: m.pause())
        self._bridge.pull()

    async def resume_all(self) -> None:
        """Let everything go on; also from the tray."""
        await self._bridge.call(lambda m: m.resume())
        self._bridge.pull()

    async def _retry(self) -> None:
        batch_ids, transfer_ids = self._targets()
        if not batch_ids and not transfer_ids:
            return
        count = await self._bridge.call(lambda m: m.retry(batch_ids, transfer_ids))
        self._bridge.pull()
        self._window.notices.say(
            f"Trying {files_text(count)} again." if count else "Nothing could be tried again."
        )

    async def _cancel_files(self) -> None:
        ids = self._window.files.table.selected_ids()
        if ids:
            await self._bridge.call(lambda m: m.cancel_transfers(ids))
            self._bridge.pull()
            self._offer_undo(f"Cancelling {files_text(len(ids))}.")

    async def _cancel_batches(self) -> None:
        if self._window.looks_at_server:
            rows = self._window.on_server.table.selected_rows()
            await self.on_server.cancel([row for row in rows if row.state not in REMOTE_OVER])
            return
        chosen = self._window.batch_view.selected_rows()
        for batch in chosen:
            await self._bridge.call(lambda m, batch=batch: m.cancel_batch(batch.id))  # type: ignore[misc]
            self._bridge.pull()
        if chosen:
            name = f"“{chosen[0].name}”" if len(chosen) == 1 else f"{len(chosen)} batches"
            self._offer_undo(f"Cancelling {name}.")

    async def _delete_there(self) -> None:
        ids = [row.id for row in self._window.files.table.selected_rows() if is_left_there(row)]
        what = files_text(len(ids))
        if ids and await confirmed(
            self._window, f"Delete {what} from the server?", "This cannot be undone.", "Delete"
        ):
            await self.delete_there(ids)

    async def delete_there(self, ids: Sequence[str]) -> None:
        """Delete files from their server and say how many; those here stay."""
        count = await self._bridge.call(lambda m: m.delete_remote(ids)) if ids else 0
        self._bridge.pull()
        text = f"Deleted from the server: {files_text(count)}." if count else "The server deleted nothing."
        self._window.notices.say(text)

    def _offer_undo(self, text: str) -> None:
        """While the server has not been asked, a cancel can be taken back; then say so."""
        if self.settings.undo_cancel_s > 0:
            self._window.notices.say(
                text,
                "Undo",
                lambda: self._tasks.spawn(self._undo_cancel()),
                self.settings.undo_cancel_s,
                at_once=True,
            )

    async def _undo_cancel(self) -> None:
        count = await self._bridge.call(lambda m: m.undo_cancel())
        self._bridge.pull()
        said = (
            f"Not cancelled: {files_text(count)}."
            if count
            else "It was too late; the server has been asked already."
        )
        self._window.notices.say(said)

    # The list

    async def _remove_finished(self) -> None:
        await self._remove([b for b in self._window.batches.rows() if b.state in BATCH_OVER])

    async def _remove_selected(self) -> None:
        await self._remove([b for b in self._window.batch_view.selected_rows() if b.state in BATCH_OVER])

    async def _remove(self, batches: Sequence[BatchView]) -> None:
        if not batches:
            return
        ids = [batch.id for batch in batches]
        await self._bridge.call(lambda m: m.remove(ids))
        self._bridge.pull()
        name = f"“{batches[0].name}” is" if len(ids) == 1 else f"{len(ids)} batches are"
        text = f"{name} off the list. Nothing was deleted."
        self._window.notices.say(text, "Undo", lambda: self._tasks.spawn(self._restore(ids)))

    async def _restore(self, ids: Sequence[str]) -> None:
        await self._bridge.call(lambda m: m.restore(ids))
        self._bridge.pull()

    async def _open_folder(self) -> None:
        batch_ids = self._window.batch_view.selected_ids()
        if len(batch_ids) != 1:
            return
        folder = await self._bridge.call(lambda m: m.folder(batch_ids[0]))
        if folder is None or not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            where = f"It is here: {folder}" if folder is not None else "There is no folder of this batch yet."
            self._window.notices.say(f"The folder could not be opened. {where}")

    async def _show_report(self) -> None:
        chosen = self._window.batch_view.selected_rows()
        if len(chosen) == 1:
            await self.show_report(chosen[0])

    async def show_report(self, batch: BatchView) -> None:
        """Show what was taken of a drop and what was not."""
        if batch.report is not None:
            await ask(ReportDialog(batch.report, batch.name, self._theme, self._window))

    async def _copy(self) -> None:
        view = self._window.active_view
        columns, rows, now = view.visible_columns(), list(view.selected_rows()), view.rows.clock()
        # 100,000 rows are half a second of work, which no window should wait for.
        text = await self._aside(table_text, columns, rows, now)
        QGuiApplication.clipboard().setText(text)

    # The files of the chosen batch

    async def _show_batch(self, batch_id: str | None) -> None:
        self._bridge.watch(batch_id)
        if batch_id is not None:
            rows = await self._bridge.call(lambda m: m.transfers(batch_id))
            self._window.show_transfers(batch_id, list(rows))

    def _want_details(self, transfer_id: str | None) -> None:
        self._details_of = transfer_id
        if transfer_id is None:
            self._window.files.details.show_details(None)
        else:
            self._tasks.spawn(self._show_details(transfer_id))

    def _follow_details(self, frame: object) -> None:
        """Bring the open panel up to date when its file has changed."""
        wanted = self._details_of
        changed = getattr(frame, "transfers", ())
        if wanted is not None and not self._details_busy and any(row.id == wanted for row in changed):
            self._tasks.spawn(self._show_details(wanted))

    async def _show_details(self, transfer_id: str) -> None:
        self._details_busy = True
        try:
            details = await self._bridge.call(lambda m: m.details(transfer_id))
        finally:
            self._details_busy = False
        if transfer_id == self._details_of:
            self._window.files.details.show_details(details)

    # The program

    async def _change_settings(self) -> None:
        at_sign_in = await self._aside(self._autostart.is_on) if self._autostart else None
        dialog = SettingsDialog(self.settings, self._theme, at_sign_in, self._window)
        if await ask(dialog) != QDialog.DialogCode.Accepted:
            return
        self.settings, wants_it_at_sign_in = dialog.settings, dialog.at_sign_in
        self._theme.choose(self.settings.theme)
        wanted = self.settings
        await self._bridge.call(lambda m: m.change_settings(wanted))
        if self._autostart and wants_it_at_sign_in != at_sign_in:
            await self._aside(self._autostart.turn, bool(wants_it_at_sign_in))

    async def _aside(self, work: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> T:
        """Do what may take long in a thread: the window never blocks."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, partial(work, *arguments, **more)
        )


async def _run(wish: Callable[[], Awaitable[object]]) -> None:
    await wish()
