"""The other ways in: paths at the start, copied files, a second drop; and a polite word for what cannot be taken."""

from pathlib import Path

import pytest

from tests.e2e.support.desktop import Desktop
from tests.e2e.support.folders import digests, plain_folder
from tests.e2e.support.program import BATCHES, SLOW_BPS, Programs, settle
from tests.e2e.support.stranger import clipboard, drag_source


def test_paths_at_the_start(start: Programs, tmp_path: Path) -> None:
    """`uphaul PATH` is a batch of its own."""
    folder = plain_folder(tmp_path / "Reports", 3, 1000)
    program = start(folder)
    program.until_row(BATCHES, "Reports", "Done")
    assert digests(program.records.files_folder / "Reports") == digests(folder)


def test_paste(desktop: Desktop, start: Programs, tmp_path: Path) -> None:
    """Ctrl+C in a file manager, Ctrl+V in the window."""
    folder = plain_folder(tmp_path / "Copied", 3, 1000)
    program = start()
    with clipboard(desktop, [folder]):
        program.press("ctrl+v")
        program.until_row(BATCHES, "Copied", "Done")
    assert digests(program.records.files_folder / "Copied") == digests(folder)


def test_a_second_drop_during_an_upload(
    desktop: Desktop, start: Programs, home: Path, tmp_path: Path
) -> None:
    """It is a second batch; the first goes on."""
    settle(home, speed_limit_bps=SLOW_BPS)
    program = start(plain_folder(tmp_path / "First", 4, 1_500_000))
    program.until_row(BATCHES, "First", "Uploading")

    with drag_source(desktop, [plain_folder(tmp_path / "Second", 2, 1000)]) as stranger:
        program.hand.drag(stranger.place, program.place)
        program.until_row(BATCHES, "Second", "Done")

    program.until_row(BATCHES, "First", "Done")
    assert program.records.stored() == {"stored": 6}


@pytest.mark.parametrize(
    "address, sentence",
    [
        ("smb://nas/photos", "“smb://nas/photos” was not taken: only files and folders of this computer"),
        ("http://example.org/a.jpg", "“http://example.org/a.jpg” was not taken: web addresses"),
    ],
)
def test_what_is_not_on_this_computer(
    desktop: Desktop, start: Programs, tmp_path: Path, address: str, sentence: str
) -> None:
    """It is named in a sentence that says why; the folder beside it is taken all the same."""
    folder = plain_folder(tmp_path / "Local", 2, 1000)
    program = start()
    with drag_source(desktop, [folder, address]) as stranger:
        program.hand.drag(stranger.place, program.place)
        program.until_said(sentence)
        program.until_row(BATCHES, "Local", "Done")
