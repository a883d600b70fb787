"""The composition root of the window: everything is built by hand here, once, and taken down in reverse."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

os.environ["QT_API"] = "pyside6"  # or qasync may pick another binding that happens to be installed

from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication

from app import autostart
from app import settings as settings_file
from app.places import Places
from ui.bridge import Bridge
from ui.commands import Commands
from ui.leaving import Leaving
from ui.loop import Collector, Loop, Tasks
from ui.news import LONG_S, News, trouble_text
from ui.notify import Notifier
from ui.one_window import OneWindow
from ui.opened import Application, HandedOver
from ui.theme import Theme
from ui.tray import TrayIcon
from ui.views.main_window import MainWindow

log = logging.getLogger(__name__)

SWITCH_S = 0.001
"""After so long the engine's thread gives Python's lock to the window that waits for it; 5 ms, as usual, adds up."""


def run(paths: Sequence[str], places: Places, one_window: OneWindow, hidden: bool) -> int:
    """Open the window, upload *paths* if there are any, and return the exit code once the person has left.

    *one_window* has been entered: from now on, other starts hand their paths to us. *hidden*: wait in the tray.
    """
    sys.setswitchinterval(SWITCH_S)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    app = Application(sys.argv[:1])
    app.setApplicationName("Uphaul")
    app.setDesktopFileName(os.environ.get("FLATPAK_ID", "uphaul"))  # Flatpak renames the menu's entry
    app.setQuitOnLastWindowClosed(False)  # closing the last window would end the loop under asyncio
    with asyncio.Runner(loop_factory=lambda: Loop(app)) as runner:
        code = runner.run(live(app, places, paths, one_window, hidden))
    return code


async def live(
    app: QApplication, places: Places, paths: Sequence[str], one_window: OneWindow, hidden: bool
) -> int:
    """Build everything, show the window, and wait until somebody wants to leave. Runs on the Qt loop."""
    leave = asyncio.Event()
    settings, complaints = settings_file.load(places.settings_path)
    store = QSettings(str(places.config_dir / "window.ini"), QSettings.Format.IniFormat)
    theme = Theme(app, settings.theme)
    window = MainWindow(theme, store, time.time)
    tray = TrayIcon(theme, window)
    notifier = Notifier(tray, window)
    bridge = Bridge(places, settings, window)
    tasks = Tasks(lambda error: window.notices.say(trouble_text(error), seconds=LONG_S))
    commands = Commands(window, bridge, tasks, theme, settings, autostart.of_this_system(os.environ))

    def quit_now() -> None:
        handed_over.stop()
        leave.set()

    leaving = Leaving(window, commands, tasks, tray, notifier, store, quit_now)
    handed_over = HandedOver(one_window, commands.add, tasks, leaving.show_window, window)
    News(window, bridge, commands, tasks, notifier, leaving.show_window)
    bridge.frame.connect(window.apply)
    bridge.frame.connect(tray.apply)
    _on_signals(asyncio.get_running_loop(), leaving.quit)
    tray.pause_all.connect(lambda: tasks.spawn(commands.pause_all()))
    tray.resume_all.connect(lambda: tasks.spawn(commands.resume_all()))
    if isinstance(app, Application):
        app.files_opened.connect(lambda paths: tasks.spawn(commands.add(paths)))
        app.link_followed.connect(leaving.show_window)
    sys.excepthook = lambda _kind, error, trace: tasks.broke(error.with_traceback(trace))
    collector = Collector(window)
    for complaint in complaints:
        window.notices.say(complaint)
    if hidden:
        leaving.wait_in_tray()
    else:
        window.show()
    beginning = asyncio.ensure_future(_begin(bridge, window, lambda: tasks.spawn(commands.updates.look())))
    if paths:
        tasks.spawn(commands.add(paths))
    await leave.wait()
    await handed_over.settle()
    notifier.close()
    commands.close()
    await tasks.close()
    await bridge.stop()
    window.hide()
    collector.stop()
    one_window.leave()
    return beginning.result() if beginning.done() else 0


async def _begin(bridge: Bridge, window: MainWindow, begun: Callable[[], object]) -> int:
    """Start the engine, then call *begun*; return the exit code of this run: 1 if it could not start."""
    try:
        await bridge.start()
    except Exception as error:  # the window is the only place to say it
        log.exception("the engine could not start")
        window.notices.say(f"Uphaul could not begin to work: {error}", seconds=3600)
        return 1
    begun()
    return 0


def _on_signals(loop: asyncio.AbstractEventLoop, leave: Callable[[], None]) -> None:
    """Ctrl+C and a polite kill end the program like Quit does; a second one ends it at once."""

    def asked(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        loop.call_soon_threadsafe(leave)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), asked)
