"""What the window's tests share: Qt without a screen, our own loop under every coroutine, and silence from Qt."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["QT_API"] = "pyside6"

import pytest
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication

from ui.loop import Loop
from ui.theme import Theme

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
