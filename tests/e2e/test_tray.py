"""The tray, with a real host: the icon, its menu over the bus, and closing the window with and without it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.support.folders import plain_folder
from tests.e2e.support.program import BATCHES, SLOW_BPS, Program, Programs, settle
from tests.e2e.support.services import Notifications, Tray
from tests.e2e.support.wait import until

Begin = Callable[[], Program]


@pytest.fixture
def uploading(start: Programs, home: Path, tmp_path: Path) -> Begin:
    """Start the window, and see it upload "Photos", 8 files of 1 MB, one a second."""

    def begin() -> Program:
        settle(home, speed_limit_bps=SLOW_BPS, uploads_at_once=1)
        program = start(plain_folder(tmp_path / "Photos", 8, 1_000_000))
        program.until_row(BATCHES, "Photos", "Uploading")
        return program

    return begin


def test_the_icon_tells_how_far_it_is(tray: Tray, uploading: Begin) -> None:
    """The tray's host has the icon, with the program's name and what runs."""
    uploading()
    icon = tray.item()
    until(lambda: "of 8.0 MB" in icon.tooltip(), "the progress in the tooltip")
    assert icon.says("Title") == "Uphaul"


def test_closed_into_the_tray(tray: Tray, notifications: Notifications, uploading: Begin) -> None:
    """The × hides the window and the upload goes on; it says so once. The icon's menu brings the window back."""
    program = uploading()
    icon = tray.item()

    close_into_tray(program)
    stored = program.records.stored().get("stored", 0)
    until(lambda: program.records.stored().get("stored", 0) > stored, "the upload to go on")
    told = until(notifications.told, "a word about it")

    icon.choose("Show Uphaul")
    program.until(lambda look: look.main_window(), "the window to come back")
    close_into_tray(program)
    icon.choose("Quit")
    assert program.child.wait() == 0
    assert [one.title for one in told] == ["Uphaul keeps uploading"]
    assert notifications.told() == told


def close_into_tray(program: Program) -> None:
    """Close the window and see it go, while the program stays."""
    program.close()
    program.until(lambda look: look.main_window() is None, "the window to be hidden")


def test_the_menu_pauses_everything(tray: Tray, uploading: Begin) -> None:
    """ "Pause all" in the tray stops the upload, "Resume all" goes on."""
    program = uploading()
    icon = tray.item()
    icon.choose("Pause all")
    program.until_row(BATCHES, "Photos", "Paused")
    until(lambda: "Resume all" in icon.menu(), "the menu to offer it")
    icon.choose("Resume all")
    program.until_row(BATCHES, "Photos", "Uploading")


def test_without_a_tray_closing_asks(uploading: Begin) -> None:
    """There is nowhere to hide, so it asks before it stops an upload. Escape goes on; the other button stops."""
    program = uploading()

    program.close()
    program.until_asked("Files are still being uploaded.")
    program.hand.press("Escape")
    program.until(lambda look: len(look.facts["windows"]) == 1, "the question to go")
    stored = program.records.stored().get("stored", 0)
    until(lambda: program.records.stored().get("stored", 0) > stored, "the upload to go on")

    program.close()
    program.push("Stop and keep the queue")
    assert program.child.wait() == 0
    assert program.records.states().keys() == {"completed", "queued"}
