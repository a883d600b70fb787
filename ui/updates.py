"""The about dialog with what fills it, and the daily question for updates that a person may have switched on."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from PySide6.QtCore import QObject, QTimer

from app.licences import components
from app.update_file import Newer, Outcome
from app.update_words import outcome_text
from ui.bridge import Bridge
from ui.dialogs.about import AboutDialog
from ui.loop import Tasks, ask
from ui.theme import Theme
from ui.views.main_window import MainWindow

_LOOK_EVERY_MS = 3_600_000
_LONG_S = 60.0


class UpdateCommands(QObject):
    """Tells of a newer version; never fetches one."""

    def __init__(self, window: MainWindow, bridge: Bridge, tasks: Tasks, theme: Theme) -> None:
        super().__init__(window)
        self._window, self._bridge, self._tasks, self._theme = window, bridge, tasks, theme
        self._dialog: AboutDialog | None = None
        self._timer = QTimer(self, interval=_LOOK_EVERY_MS)
        self._timer.timeout.connect(lambda: tasks.spawn(self.look()))

    async def about(self, *, and_check: bool = False) -> None:
        """Show the dialog; it is filled while one looks. *and_check* presses its button, too."""
        dialog = AboutDialog(self._theme, self._window)
        self._dialog = dialog
        dialog.check_wanted.connect(lambda: self._tasks.spawn(self._check()))
        self._tasks.spawn(self._fill())
        if and_check:
            self._tasks.spawn(self._check())
        try:
            await ask(dialog)
        finally:
            self._dialog = None

    async def look(self) -> None:
        """Ask if that is switched on and due; speak only of a newer version. Once called, it looks every hour."""
        self._timer.start()
        outcome = await self._bridge.call(lambda m: m.check_for_update(only_if_due=True))
        if isinstance(outcome, Newer):
            self._window.notices.say(
                outcome_text(outcome),
                "Read more",
                lambda: self._tasks.spawn(self.about(and_check=True)),
                seconds=_LONG_S,
            )

    async def _check(self) -> None:
        if self._dialog is None:
            return
        self._dialog.show_checking()
        outcome = await self._bridge.call(lambda m: m.check_for_update())
        if outcome is not None:
            self._show(outcome)

    def _show(self, outcome: Outcome) -> None:
        if self._dialog is not None:
            self._dialog.show_outcome(outcome)

    async def _fill(self) -> None:
        """Read the licences in a thread: they are a hundred small files."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="uphaul-licences")
        try:
            parts = await asyncio.get_running_loop().run_in_executor(thread, components)
        finally:
            thread.shutdown(wait=False)
        if self._dialog is not None:
            self._dialog.show_parts(parts)
