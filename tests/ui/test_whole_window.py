"""The window as `uphaul` opens it: the real composition root, engine, embedded server and files; only the screen is missing."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QMessageBox

from app.places import Places
from tests.ui.running import SLOW_BPS, Running, digests, folder
from ui.actions import Do


async def test_a_dropped_folder_arrives_byte_for_byte(
    start: Callable[..., Running], places: Places, tmp_path: Path
) -> None:
    source = folder(tmp_path / "Holiday", 20, 5_000)
    run = await start()
    run.drop(source)
    await run.until(lambda: run.batches("state") == ["Done"], "the batch is done")
    await run.until(lambda: set(run.rows("progress")) == {"100 %"}, "all rows are full")
    arrived = digests(places.server_data_dir / "files" / "Holiday")
    assert (run.batches("files"), len(run.rows("name")), arrived) == (["20 / 20"], 20, digests(source))


async def test_paths_of_the_command_line_and_a_second_drop_are_batches_of_their_own(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    """The second comes while the first is still on its way, and is the one that is shown."""
    run = await start(folder(tmp_path / "First", 4, 100_000), speed_limit_bps=SLOW_BPS)
    await run.until(lambda: run.batches("state") == ["Uploading"], "the first is on its way")
    run.drop(folder(tmp_path / "Second", 2, 10))
    await run.until(lambda: run.rows("name") == ["file 00.bin", "file 01.bin"], "the second is shown")
    assert run.batches("name") == ["First", "Second"]


async def test_cancelling_a_file_and_then_the_batch(
    start: Callable[..., Running], places: Places, tmp_path: Path
) -> None:
    run = await start(folder(tmp_path / "Big", 4, 400_000), speed_limit_bps=SLOW_BPS, uploads_at_once=2)
    await run.until(lambda: run.rows("state")[:1] == ["Uploading"], "the first file is on its way")
    run.window.files.table.selectRow(0)
    run.use(Do.CANCEL_FILE)
    await run.until(lambda: run.rows("state")[0].startswith("Cancel"), "its row says so")
    await run.until(lambda: run.rows("state")[0] == "Cancelled", "the server has confirmed it")
    first = run.window.notices.text
    run.window.notices.dismiss()
    run.use(Do.CANCEL_BATCH)
    await run.until(lambda: run.batches("state") == ["Cancelled"], "the batch is cancelled")
    await run.until(lambda: set(run.rows("state")) == {"Cancelled"}, "and so are its files")
    await run.until(lambda: run.window.notices.text != "", "the ending is said")
    partials = [path for path in (places.server_data_dir / "files").rglob("*") if path.is_file()]
    assert (first.startswith("Cancelled"), run.window.notices.text.startswith("Cancelled"), partials) == (
        True,
        True,
        [],
    )


async def test_pause_and_resume(start: Callable[..., Running], tmp_path: Path) -> None:
    run = await start(folder(tmp_path / "Photos", 3, 200_000), speed_limit_bps=SLOW_BPS)
    await run.until(lambda: run.batches("state") == ["Uploading"], "it is on its way")
    run.use(Do.PAUSE)
    await run.until(lambda: run.batches("state") == ["Paused"], "it rests")
    await run.until(run.window.actions_[Do.RESUME].isEnabled, "it may go on")
    run.use(Do.RESUME)
    await run.until(lambda: run.batches("state") == ["Uploading"], "it goes on")


async def test_finished_batches_leave_the_list_and_come_back(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    run = await start(folder(tmp_path / "Done", 1, 10))
    await run.until(lambda: run.batches("state") == ["Done"], "it is done")
    run.use(Do.REMOVE_FINISHED)
    await run.until(lambda: run.batches("name") == [], "it is off the list")
    await run.until(lambda: "off the list" in run.window.notices.text, "a notice says so")
    run.window.notices._action.click()
    await run.until(lambda: run.batches("name") == ["Done"], "it is back")


async def test_quitting_keeps_the_queue_for_the_next_start(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    first = await start(folder(tmp_path / "Photos", 3, 300_000), speed_limit_bps=SLOW_BPS)
    await first.until(lambda: first.batches("state") == ["Uploading"], "it is on its way")
    first.use(Do.QUIT)
    code = await asyncio.wait_for(first.ended, 20)
    second = await start()
    await second.until(lambda: second.batches("state") == ["Done"], "the next start has finished it")
    assert (code, second.batches("name"), second.batches("files")) == (0, ["Photos"], ["3 / 3"])


async def test_closing_while_uploading_asks_where_there_is_no_tray(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    """Going on changes nothing; stopping ends the program with the queue kept."""
    run = await start(folder(tmp_path / "Photos", 3, 400_000), speed_limit_bps=SLOW_BPS)
    await run.until(lambda: run.batches("state") == ["Uploading"], "it is on its way")

    def question() -> QMessageBox | None:
        return run.window.findChild(QMessageBox)

    run.window.close()
    await run.until(lambda: question() is not None, "the question")
    question().reject()
    await run.until(lambda: question() is None, "the question is gone")
    still_there = (run.window.isVisible(), run.ended.done())
    run.window.close()
    await run.until(lambda: question() is not None, "the question again")
    box = question()
    next(button for button in box.buttons() if button.text().startswith("Stop")).click()
    assert (still_there, await asyncio.wait_for(run.ended, 20)) == ((True, False), 0)


async def test_closing_an_idle_window_quits(start: Callable[..., Running]) -> None:
    run = await start()
    await run.until(lambda: run.window.selection().ready, "it is ready")
    run.window.close()
    assert await asyncio.wait_for(run.ended, 20) == 0


async def test_paste_takes_copied_files(start: Callable[..., Running], tmp_path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(folder(tmp_path / "Copied", 2, 10)))])
    run = await start()
    await run.until(run.window.actions_[Do.PASTE].isEnabled, "it is ready")
    QGuiApplication.clipboard().setMimeData(data)
    run.use(Do.PASTE)
    await run.until(lambda: run.batches("name") == ["Copied"], "the pasted batch")


async def test_what_was_not_taken_is_said_with_its_report(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    source = folder(tmp_path / "Mixed", 1, 10)
    (source / "link").symlink_to(source / "file 00.bin")
    run = await start(source)
    await run.until(lambda: "not taken" in run.window.notices.text, "the notice")
    run.window.notices._action.click()
    await run.until(lambda: any(d.isVisible() for d in run.window.findChildren(QDialog)), "the report")
    next(d for d in run.window.findChildren(QDialog) if d.isVisible()).reject()


async def test_details_of_a_file_follow_it(start: Callable[..., Running], tmp_path: Path) -> None:
    run = await start(folder(tmp_path / "One", 1, 300_000), speed_limit_bps=SLOW_BPS)
    await run.until(lambda: run.rows("state") == ["Uploading"], "it is on its way")
    run.window.files.table.selectRow(0)
    run.window.actions_[Do.DETAILS].trigger()
    panel = run.window.files.details
    await run.until(lambda: panel.shown_id is not None, "the panel")
    await run.until(lambda: panel._details.view.sha256 is not None, "the sum, once it has arrived")
    panel.close_panel()
    assert run.window.actions_[Do.DETAILS].isChecked() is False


async def test_copied_rows_are_on_the_clipboard(start: Callable[..., Running], tmp_path: Path) -> None:
    QGuiApplication.clipboard().clear()
    run = await start(folder(tmp_path / "Copied", 2, 10))
    await run.until(lambda: run.batches("state") == ["Done"], "it is done")
    run.use(Do.COPY)
    await run.until(lambda: QGuiApplication.clipboard().text() != "", "the text")
    heading, line = QGuiApplication.clipboard().text().splitlines()
    assert (heading.split("\t")[:3], line.split("\t")[:3]) == (
        ["Batch", "Progress", "State"],
        ["Copied", "100 %", "Done"],
    )
