"""Cancelling from the toolbar and by keys: seen at once, believed only when the server says so, nothing left there."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.support.folders import plain_folder
from tests.e2e.support.program import BATCHES, FILES, SLOW_BPS, Program, Programs, settle
from tests.e2e.support.wait import until


@pytest.fixture
def uploading(start: Programs, home: Path, tmp_path: Path) -> Program:
    """The window in the middle of a slow upload of "Holiday", 8 files of 4 MB, two at a time."""
    settle(home, speed_limit_bps=SLOW_BPS, uploads_at_once=2)
    program = start(plain_folder(tmp_path / "Holiday", 8, 4_000_000))
    program.until_row(BATCHES, "Holiday", "Uploading")
    until(lambda: len(program.records.partials()) == 2, "two partial files on the server")
    return program


@contextmanager
def silent_server(program: Program) -> Iterator[None]:
    """Stop the server's process while the body runs: it answers nothing, as behind a dead network."""
    server = program.server_pid()
    os.kill(server, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server, signal.SIGCONT)


def server_status(program: Program, name: str) -> tuple[str, bool]:
    """Return what the server's database says of a file, and whether a part of it is on the disk."""
    ((number, status),) = program.records.server("SELECT id, status FROM files WHERE filename = ?", name)
    return status, number in program.records.partials()


def test_one_file_by_the_toolbar(uploading: Program) -> None:
    """The row says so while the server is still silent; then the server has cancelled it, and it alone."""
    uploading.until_row(FILES, "file 00.bin", "Uploading")
    uploading.select(FILES, "file 00.bin")

    with silent_server(uploading):
        uploading.use("cancel_file")
        uploading.until_row(FILES, "file 00.bin", "Cancelling")

    uploading.until_row(FILES, "file 00.bin", "Cancelled")
    uploading.until_said("Cancelled. The server kept nothing of 1 file")
    assert server_status(uploading, "file 00.bin") == ("cancelled", False)
    assert uploading.records.stored()["cancelled"] == 1


def test_then_the_whole_batch_by_the_toolbar(uploading: Program) -> None:
    """All rows say so at once; one request later the server has cancelled the batch, and its disk is empty."""
    uploading.select(BATCHES, "Holiday")

    with silent_server(uploading):
        uploading.use("cancel_batch")
        uploading.until(lambda look: states(look.rows(FILES)) == {"Cancelling"}, "all rows to be cancelling")

    uploading.until_row(BATCHES, "Holiday", "Cancelled")
    uploading.until_said("Cancelled. The server kept nothing of 8 files")
    ((cancelled_at,),) = uploading.records.server("SELECT cancelled_at FROM batches")
    assert (bool(cancelled_at), set(uploading.records.stored()), uploading.records.partials()) == (
        True,
        {"cancelled"},
        [],
    )


def test_by_keys(uploading: Program) -> None:
    """Del cancels the selected file, Shift+Del the batch; the journal agrees with the server."""
    uploading.select(FILES, "file 01.bin")
    uploading.press("Delete")
    uploading.until_row(FILES, "file 01.bin", "Cancelled")

    uploading.press("shift+Delete")
    uploading.until_row(BATCHES, "Holiday", "Cancelled")

    assert uploading.records.partials() == []
    assert until(lambda: uploading.records.states() == {"cancelled": 8}, "the journal to say so")


def test_by_the_context_menu(uploading: Program) -> None:
    """A file that waits for its turn: nothing of it has been sent, and nothing will be."""
    uploading.until_row(FILES, "file 07.bin", "Queued")
    uploading.select(FILES, "file 07.bin", button=3)
    uploading.choose("Cancel file")
    uploading.until_row(FILES, "file 07.bin", "Cancelled")
    assert uploading.records.server("SELECT status FROM files WHERE filename = ?", "file 07.bin") == []


def states(rows: list[dict[str, str]]) -> set[str]:
    """Return the different states among *rows*."""
    return {row["State"] for row in rows}
