"""The tray, with a real host: the icon, its menu over the bus, and closing the window with and without it."""

from pathlib import Path

import pytest

from tests.e2e.conftest import StartProgram
from tests.e2e.support.folders import plain_folder
from tests.e2e.support.program import BATCHES, SLOW_BPS, Program, settle
from tests.e2e.support.services import Notifications, Tray
from tests.e2e.support.wait import until


@pytest.fixture
def slow_home(home: Path) -> Path:
    """A home whose window uploads slowly."""
    settle(home, speed_limit_bps=SLOW_BPS)
    return home


def test_closed_into_the_tray(
    tray: Tray, notifications: Notifications, slow_home: Path, start: StartProgram, tmp_path: Path
) -> None:
    """The × hides the window and the upload goes on; it says so once. The icon's menu brings the window back."""
    program = start(plain_folder(tmp_path / "Photos", 6, 2_000_000))
    program.until_row(BATCHES, "Photos", "Uploading")
    icon = tray.item()

    close_into_tray(program)
    until(notifications.shown, "a word about it")
    stored = program.records.stored().get("stored", 0)
    until(lambda: program.records.stored()["stored"] > stored, "the upload to go on")
    first = notifications.told()

    icon.choose("Show Uphaul")
    program.until(lambda look: look.main_window(), "the window to come back")
    close_into_tray(program)
    icon.choose("Quit")
    assert program.child.wait() == 0
    assert (len(first), notifications.told()) == (1, first)


def close_into_tray(program: Program) -> None:
    """Close the window and see it go, while the program stays."""
    program.close()
    program.until(lambda look: look.main_window() is None, "the window to be hidden")


def test_the_menu_pauses_everything(tray: Tray, slow_home: Path, start: StartProgram, tmp_path: Path) -> None:
    """ "Pause all" in the tray stops the upload, "Resume all" goes on."""
    program = start(plain_folder(tmp_path / "Photos", 6, 2_000_000))
    program.until_row(BATCHES, "Photos", "Uploading")
    icon = tray.item()
    icon.choose("Pause all")
    program.until_row(BATCHES, "Photos", "Paused")
    until(lambda: "Resume all" in icon.menu(), "the menu to offer it")
    icon.choose("Resume all")
    program.until_row(BATCHES, "Photos", "Uploading")


def test_without_a_tray_closing_asks(slow_home: Path, start: StartProgram, tmp_path: Path) -> None:
    """There is nowhere to hide, so the window asks before it stops an upload; Escape keeps everything as it was."""
    program = start(plain_folder(tmp_path / "Photos", 6, 2_000_000))
    program.until_row(BATCHES, "Photos", "Uploading")

    program.close()
    program.until(lambda look: len(look.facts["windows"]) == 2, "a question")
    program.hand.press("Escape")
    program.until(lambda look: len(look.facts["windows"]) == 1, "the question to go")

    assert program.child.running
    program.until_row(BATCHES, "Photos", "Done")
