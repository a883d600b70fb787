"""The drop overlay counts what hangs on the pointer, covers the window and lets the drag through."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from tests.ui.look.conftest import Count
from ui.colours import DARK
from ui.theme import Theme
from ui.views.overlay import LOOKED_AT, Coming, DropOverlay, coming_text, count_coming


def urls(*paths: Path) -> list[QUrl]:
    return [QUrl.fromLocalFile(str(path)) for path in paths]


def test_it_counts_folders_files_and_what_is_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").touch()
    coming = count_coming([*urls(tmp_path / "a", tmp_path / "b"), QUrl("smb://server/share")])
    assert coming == Coming(folders=1, files=1, elsewhere=1)


def test_it_does_not_look_at_very_many(tmp_path: Path) -> None:
    assert count_coming(urls(tmp_path) * (LOOKED_AT + 1)) == Coming(items=LOOKED_AT + 1)


@pytest.mark.parametrize(
    "coming,text",
    [
        (Coming(folders=3), "Drop to upload 3 folders"),
        (Coming(folders=1, files=1), "Drop to upload 1 folder and 1 file"),
        (Coming(items=12640), "Drop to upload 12,640 items"),
        (Coming(elsewhere=2), "Only files and folders of this computer can be uploaded"),
    ],
)
def test_it_says_what_a_drop_would_do(coming: Coming, text: str) -> None:
    assert coming_text(coming) == text


@pytest.fixture
def window(qtbot: QtBot, theme: Theme) -> QWidget:
    window = QWidget()
    window.resize(640, 400)
    qtbot.addWidget(window)
    window.show()
    return window


def test_it_dims_the_window_and_follows_its_size(
    qtbot: QtBot, theme: Theme, window: QWidget, count_pixels: Count, tmp_path: Path
) -> None:
    theme.choose("dark")
    window.setStyleSheet("background: white")
    overlay = DropOverlay(theme, window)
    overlay.show_for(urls(tmp_path), "lab")
    qtbot.waitUntil(lambda: overlay.strength == 1.0)
    window.resize(700, 420)
    qtbot.waitUntil(lambda: overlay.size() == window.size())
    bright = count_pixels(window, DARK.text.fromString("#FFFFFF"))
    assert (bright, count_pixels(window, DARK.accent) > 300) == (0, True)


def test_it_goes_and_leaves_the_window_as_it_was(
    qtbot: QtBot, theme: Theme, window: QWidget, tmp_path: Path
) -> None:
    before = window.grab().toImage()
    overlay = DropOverlay(theme, window)
    overlay.show_for(urls(tmp_path), "a server <b>with</b> a very long name " * 9)
    qtbot.waitUntil(lambda: overlay.strength == 1.0)
    during = window.grab().toImage()
    overlay.hide_softly()
    qtbot.waitUntil(overlay.isHidden)
    assert (during != before, window.grab().toImage() == before) == (True, True)


def test_a_new_drag_while_it_fades_brings_it_back(
    qtbot: QtBot, theme: Theme, window: QWidget, tmp_path: Path
) -> None:
    overlay = DropOverlay(theme, window)
    overlay.show_for(urls(tmp_path), "lab")
    overlay.hide_softly()
    overlay.show_for(urls(tmp_path, tmp_path), "lab")
    qtbot.waitUntil(lambda: overlay.strength == 1.0)
    assert (overlay.isHidden(), overlay.accessibleDescription()) == (False, "Drop to upload 2 folders")


def test_the_drag_goes_through_it_to_the_window(theme: Theme, window: QWidget) -> None:
    overlay = DropOverlay(theme, window)
    assert overlay.testAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    assert not overlay.acceptDrops()
