"""Pausing by the toolbar: nothing moves, also after the next start, until the person wants it to."""

from pathlib import Path

from tests.e2e.support.folders import digests, plain_folder
from tests.e2e.support.program import BATCHES, SLOW_BPS, Programs, settle
from tests.e2e.support.wait import until


def test_what_was_paused_comes_back_paused(start: Programs, home: Path, tmp_path: Path) -> None:
    """Pause, quit, start again: still paused, and the part that had arrived is still there. Resume finishes it."""
    folder = plain_folder(tmp_path / "Scans", 3, 2_000_000)
    settle(home, speed_limit_bps=SLOW_BPS, uploads_at_once=1)
    program = start(folder)
    until(lambda: program.records.partial_bytes() > 500_000, "a part of a file on the server")
    program.use("pause")
    program.until_row(BATCHES, "Scans", "Paused")
    program.quit()
    arrived = program.records.partial_bytes()

    settle(home)
    again = start()
    again.until_row(BATCHES, "Scans", "Paused")
    assert (again.records.partial_bytes(), arrived > 0) == (arrived, True)
    again.select(BATCHES, "Scans")
    again.use("resume")
    again.until_row(BATCHES, "Scans", "Done")
    assert digests(again.records.files_folder / "Scans") == digests(folder)
