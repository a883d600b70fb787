"""The main story: a folder is dragged from another program onto the window, and all of it arrives, byte for byte."""

from pathlib import Path

from tests.e2e.support.desktop import Desktop
from tests.e2e.support.folders import digests, mixed_folder
from tests.e2e.support.program import BATCHES, Programs
from tests.e2e.support.stranger import drag_source


def test_a_dragged_folder_arrives_byte_for_byte(desktop: Desktop, start: Programs, tmp_path: Path) -> None:
    """300 files: empty ones, nested ones, a large one, and names with emoji, line breaks, accents, 255 bytes."""
    photos = mixed_folder(tmp_path / "Photos", files=300)
    expected = digests(photos)
    program = start()

    with drag_source(desktop, [photos]) as stranger:
        with program.hand.dragging(stranger.place, program.place):
            program.until_spoken("Drop to upload 1 folder")
        row = program.until_row(BATCHES, "Photos", "Done")

    arrived = digests(program.records.files_folder / "Photos")
    assert (stranger.dropped(), row["Files"], arrived) == ("CopyAction", "300 / 300", expected)


def test_the_originals_stay_where_they_are(desktop: Desktop, start: Programs, tmp_path: Path) -> None:
    """The other program would rather move the files; the window takes copies, so nothing is missing afterwards."""
    photos = mixed_folder(tmp_path / "Photos", files=20)
    before = digests(photos)
    program = start()

    with drag_source(desktop, [photos]) as stranger:
        program.hand.drag(stranger.place, program.place)
        program.until_row(BATCHES, "Photos", "Done")

    assert digests(photos) == before
