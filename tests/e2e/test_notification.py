"""One notification a batch, from a real notification daemon, in words; its button shows what failed."""

from pathlib import Path

from tests.e2e.support.folders import plain_folder
from tests.e2e.support.program import BATCHES, FILES, SLOW_BPS, Programs, settle
from tests.e2e.support.services import Notifications
from tests.e2e.support.wait import until


def test_a_batch_that_arrived(notifications: Notifications, start: Programs, tmp_path: Path) -> None:
    """One for all its files, and it says how many."""
    program = start(plain_folder(tmp_path / "Photos", 12, 1000))
    program.until_row(BATCHES, "Photos", "Done")
    until(notifications.shown, "a notification")

    (told,) = notifications.told()
    assert (told.title, told.body.partition(",")[0]) == ("Photos is uploaded", "12 files")


def test_the_button_shows_what_failed(
    notifications: Notifications, start: Programs, home: Path, tmp_path: Path
) -> None:
    """A file vanishes before its turn. The notification counts it, and its button brings its row to the front."""
    folder = plain_folder(tmp_path / "Invoices", 4, 500_000)
    settle(home, speed_limit_bps=SLOW_BPS, uploads_at_once=1)
    program = start(folder)
    program.until_row(FILES, "file 00.bin", "Uploading")
    (folder / "file 03.bin").unlink()
    until(notifications.shown, "a notification", within_s=60)

    notifications.use_action()
    program.until(
        lambda look: [row["Name"] for row in look.rows(FILES)] == ["file 03.bin"], "the failed file alone"
    )
    assert [told.title for told in notifications.told()] == ["Invoices: 1 of 4 files failed"]
