"""A second start, as "Upload with Uphaul" in a file manager makes it: one window, which takes the files and comes to the front."""

from pathlib import Path

from tests.e2e.support.desktop import Desktop
from tests.e2e.support.folders import digests, mixed_folder, plain_folder
from tests.e2e.support.program import BATCHES, SLOW_BPS, Program, Programs, settle
from tests.e2e.support.services import Tray
from tests.e2e.support.wait import until


def windows(desktop: Desktop) -> list[str]:
    """Return the titles of all windows that a person can see."""
    ids = desktop.run("xdotool", "search", "--onlyvisible", "--name", "^Uphaul").split()
    return [desktop.run("xdotool", "getwindowname", window).strip() for window in ids]


def minimize(desktop: Desktop, program: Program) -> None:
    """Put the window away, as a person does before they go to their file manager."""
    window = program.until(lambda look: look.main_window(), "the window")["id"]
    desktop.run("xdotool", "windowminimize", "--sync", str(window))


def test_a_second_start_adds_its_folder_to_the_open_window(
    desktop: Desktop, start: Programs, tmp_path: Path
) -> None:
    """It ends at once, with code 0 and without a word; the one window has the keyboard, and every byte arrives."""
    folder = mixed_folder(tmp_path / "Photos", files=60)
    program = start()
    minimize(desktop, program)

    code = start.again(folder).wait()
    program.until(lambda look: (look.main_window() or {}).get("active"), "the window to be in front")
    row = program.until_row(BATCHES, "Photos", "Done")

    arrived = digests(program.records.files_folder / "Photos")
    assert (code, len(windows(desktop)), row["Files"], arrived) == (0, 1, "60 / 60", digests(folder))


def test_starts_while_the_window_is_being_built_are_one_window(
    start: Programs, home: Path, tmp_path: Path
) -> None:
    """A file manager may start us once for each file, all at the same moment; each is a batch of its own."""
    folders = [plain_folder(tmp_path / name, 2, 1000) for name in ("One", "Two", "Three")]
    program = start.begin(folders[0])
    until(lambda: list(home.glob("window*/lock")), "the first to be the one")
    others = [start.again(folder) for folder in folders[1:]]
    assert [other.wait() for other in others] == [0, 0]
    for folder in folders:
        program.until_row(BATCHES, folder.name, "Done")
    assert program.records.stored() == {"stored": 6}


def test_it_comes_back_from_the_tray(tray: Tray, start: Programs, home: Path, tmp_path: Path) -> None:
    """A window that was closed into the tray is shown, and goes on with what it does; there is still one icon."""
    settle(home, speed_limit_bps=SLOW_BPS, uploads_at_once=1)
    program = start(plain_folder(tmp_path / "Photos", 8, 1_000_000))
    program.until_row(BATCHES, "Photos", "Uploading")
    program.close()
    program.until(lambda look: look.main_window() is None, "the window to be hidden")

    code = start.again().wait()
    program.until(lambda look: look.main_window(), "the window to come back")
    assert (code, len(tray.items()), len(program.look().rows(BATCHES))) == (0, 1, 1)


def test_a_start_while_the_window_closes_is_not_lost(start: Programs, tmp_path: Path) -> None:
    """The old window is on its way out: the start waits for its end and opens a window of its own."""
    closing = start()
    closing.press("ctrl+q")
    program = start(plain_folder(tmp_path / "Late", 2, 1000))
    program.until_row(BATCHES, "Late", "Done")
    assert (closing.child.wait(), program.records.stored()) == (0, {"stored": 2})


def test_a_killed_window_does_not_stop_the_next(start: Programs, tmp_path: Path) -> None:
    """Nothing of it is in the way, and its files are not asked for."""
    start().kill9()
    program = start(plain_folder(tmp_path / "Next", 2, 1000))
    program.until_row(BATCHES, "Next", "Done")
    assert program.records.stored() == {"stored": 2}


def test_at_sign_in_it_begins_in_the_tray(tray: Tray, start: Programs) -> None:
    """No window; a second start of that kind leaves it so; the icon's menu brings the window."""
    program = start.begin("--hidden")
    icon = tray.item()
    again = start.again("--hidden").wait()
    before = program.look().main_window()
    icon.choose("Show Uphaul")
    shown = program.until(lambda look: look.main_window(), "the window")
    assert (again, before, bool(shown), len(tray.items())) == (0, None, True, 1)
