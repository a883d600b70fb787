"""What the window's tests share: Qt without a screen, our own loop under every coroutine, and silence from Qt."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["QT_API"] = "pyside6"

import pytest
from keyring.backends import fail
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication

from app.places import Places
from app.settings import Settings, save
from tests.support.keyring_in_memory import Memory
from tests.ui.running import Running, wearing
from ui.actions import Do
from ui.loop import Loop
from ui.main import live
from ui.one_window import Letter, OneWindow, Role
from ui.theme import Theme
from ui.views.main_window import MainWindow

HERE = Path(__file__).parent
OFFSCREEN_LIMITS = "This plugin does not support (propagateSizeHints|raise)"
"""What Qt's offscreen plug-in says of itself; everything else that Qt warns of fails the test."""


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], Loop]]:
    """Run the coroutines of these tests on the loop that the window runs on."""
    return {"qt": lambda: Loop(QApplication.instance())}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A warning from Qt is a failure here."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.qt_log_level_fail("WARNING"))
            item.add_marker(pytest.mark.qt_log_ignore(OFFSCREEN_LIMITS))


@pytest.fixture(scope="session", autouse=True)
def application(qapp: QApplication) -> QApplication:
    """There is one QApplication before any loop is made."""
    qapp.setQuitOnLastWindowClosed(False)
    return qapp


@pytest.fixture(scope="session")
def theme(qapp: QApplication) -> Theme:
    """The light theme."""
    return Theme(qapp, "light")


@pytest.fixture
def store(tmp_path: Path) -> QSettings:
    """Where the window remembers its columns, empty."""
    return QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A home of its own, no session bus to notify through, and the process's hooks as they were afterwards."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "disabled:")
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    return Places(tmp_path / "home", tmp_path / "home")


@pytest.fixture
async def start(places: Places, qapp: QApplication) -> AsyncIterator[Callable[..., Running]]:
    """Opens the window; at the end it is made to leave, if it has not yet."""
    runs: list[Running] = []
    handlers = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    async def open_window(*paths: Path, **settings: object) -> Running:
        places.config_dir.mkdir(exist_ok=True)
        save(places.settings_path, Settings(**settings))
        before = set(QApplication.topLevelWidgets())
        one_window = OneWindow(places.window_dir)
        assert one_window.enter(Letter()) is Role.WINDOW
        ended = asyncio.ensure_future(
            live(qapp, places, [str(path) for path in paths], one_window, hidden=False)
        )
        while True:
            await asyncio.sleep(0.01)
            assert not ended.done(), ended
            for widget in set(QApplication.topLevelWidgets()) - before:
                if isinstance(widget, MainWindow) and widget.isVisible():
                    runs.append(Running(widget, ended))
                    return runs[-1]

    yield open_window
    for run in runs:
        if not run.ended.done():
            run.window.actions_.chosen.emit(Do.QUIT)
        await asyncio.wait_for(run.ended, 20)
        run.window.deleteLater()
    for name, handler in handlers.items():
        signal.signal(name, handler)


@pytest.fixture
def vault() -> Iterator[Memory]:
    """A keyring that works."""
    kept = Memory()
    with wearing(kept):
        yield kept


@pytest.fixture
def no_vault() -> Iterator[None]:
    """A system without a keyring."""
    with wearing(fail.Keyring()):
        yield


@pytest.fixture
async def run(start: Callable[..., Running]) -> AsyncIterator[Running]:
    """The window, ready."""
    running = await start()
    await running.until(lambda: running.window.selection().ready, "it is ready")
    return running
