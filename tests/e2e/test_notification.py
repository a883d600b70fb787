"""One notification a batch, from a real notification daemon, in words; its button shows what failed."""

from pathlib import Path

from tests.e2e.support.desktop import Desktop
from tests.e2e.support.folders import plain_folder
from tests.e2e.support.program import FILES, SLOW_BPS, Programs, settle
from tests.e2e.support.services import Notifications
from tests.e2e.support.stranger import clipboard
from tests.e2e.support.wait import until


def test_one_notification_a_batch(
    desktop: Desktop, notifications: Notifications, start: Programs, tmp_path: Path
) -> None:
    """Many files, one notification, and it says how many; the next one is that of the next batch."""
    program = start(plain_folder(tmp_path / "Photos", 12, 1000))
    first = until(notifications.told, "a notification")

    with clipboard(desktop, [plain_folder(tmp_path / "Letters", 2, 1000)]):
        program.press("ctrl+v")
        until(lambda: notifications.told()[len(first) :], "another notification")

    told = [(one.title, one.body.partition(",")[0]) for one in notifications.told()]
    assert told == [("Photos is uploaded", "12 files"), ("Letters is uploaded", "2 files")]


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
