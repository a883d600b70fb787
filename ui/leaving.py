"""Closing the window and quitting: what goes on, what is asked, and that nothing is lost."""

from collections.abc import Callable

from PySide6.QtCore import QObject, QSettings, Qt, QTimer
from PySide6.QtWidgets import QMessageBox

from ui.commands import Commands
from ui.loop import Tasks, ask
from ui.notify import Notifier
from ui.selection import is_busy
from ui.tray import TrayIcon
from ui.views.main_window import MainWindow

_MINIMIZED = Qt.WindowState.WindowMinimized

LOOK_MS = 5_000
PANEL_MS = 20_000
"""At sign-in a desktop's panel, with the tray in it, may come later than we do."""
STAYS = "Uphaul keeps uploading"
STAYS_BODY = "It is in the tray. Quit it there, or from the File menu."


class Leaving(QObject):
    """Decides what closing means now. *quit_now* ends the program: the queue is in the journal at every moment."""

    def __init__(
        self,
        window: MainWindow,
        commands: Commands,
        tasks: Tasks,
        tray: TrayIcon,
        notifier: Notifier,
        store: QSettings,
        quit_now: Callable[[], None],
    ) -> None:
        super().__init__(window)
        self._window, self._commands, self._tasks = window, commands, tasks
        self._tray, self._notifier, self._store, self._quit_now = tray, notifier, store, quit_now
        self._asking = False
        self._left = False
        window.close_wanted.connect(self.close)
        commands.quit_wanted.connect(self.quit)
        tray.quit.connect(self.quit)
        tray.show_window.connect(self.show_window)
        self._watch = QTimer(self, interval=LOOK_MS)
        self._watch.timeout.connect(self._look_for_tray)

    def close(self) -> None:
        """A person closed the window: keep working in the tray, ask, or quit if there is nothing to do."""
        if self._left or self._asking:
            return
        if not is_busy(tuple(self._window.batches.rows())):
            self.quit()
        elif self._tray.available and self._commands.settings.close_to_tray:
            self._hide()
        else:
            self._asking = True
            self._tasks.spawn(self._ask())

    def quit(self) -> None:
        """Leave; what is unfinished goes on at the next start."""
        if self._left:
            return
        self._left = True
        self._window.remember()
        self._window.show_finishing()
        self._quit_now()

    def show_window(self) -> None:
        """Bring the window back and to the front."""
        self._watch.stop()
        self._window.setWindowState(self._window.windowState() & ~_MINIMIZED)
        self._window.show()
        self._window.raise_()
        self._window.activateWindow()

    def wait_in_tray(self) -> None:
        """Begin without the window, as at sign-in; if no tray comes in time, it is shown after all."""
        QTimer.singleShot(PANEL_MS, self, self._begin_to_watch)

    def _begin_to_watch(self) -> None:
        if not self._window.isVisible():
            self._watch.start()
            self._look_for_tray()

    def _hide(self) -> None:
        self._window.hide()
        self._watch.start()
        if not self._store.value("told_about_tray", defaultValue=False, type=bool):
            self._store.setValue("told_about_tray", True)
            self._notifier.notify(STAYS, STAYS_BODY, "Show", self.show_window)

    def _look_for_tray(self) -> None:
        """A panel may crash or be closed: a program without window and tray could not be reached any more."""
        if not self._tray.available:
            self.show_window()

    async def _ask(self) -> None:
        box = QMessageBox(self._window)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("Uphaul")
        box.setText("Files are still being uploaded.")
        box.setInformativeText("If you stop now, they go on where they are when Uphaul is started again.")
        stop = box.addButton("Stop and keep the queue", QMessageBox.ButtonRole.AcceptRole)
        stay = box.addButton("Go on uploading", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(stay)
        box.setEscapeButton(stay)
        try:
            await ask(box)
            wants_to_stop = box.clickedButton() is stop
        finally:
            self._asking = False
        if wants_to_stop:
            self.quit()
