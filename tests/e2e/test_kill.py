"""Nothing is lost and nothing is doubled when the window, or its server, is killed in the middle of an upload."""

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.support.child import is_over
from tests.e2e.support.folders import digests, mixed_folder, plain_folder
from tests.e2e.support.program import BATCHES, SLOW_BPS, Program, Programs, settle
from tests.e2e.support.wait import until

FILES = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """ "Archive", files of 2 MB: two seconds each at the slow speed."""
    return plain_folder(tmp_path / "Archive", FILES, 2_000_000)


@pytest.fixture
def uploading(start: Programs, home: Path, folder: Path) -> Program:
    """The window when a part of "Archive" has arrived, and another part is on its way."""
    settle(home, speed_limit_bps=SLOW_BPS, uploads_at_once=2)
    program = start(folder)
    until(
        lambda: program.records.stored().get("stored") and program.records.partials(),
        "one file and a part of one",
    )
    return program


def test_the_window_is_killed(uploading: Program, start: Programs, home: Path, folder: Path) -> None:
    """The server ends with the window; the next start goes on by itself and finishes."""
    server = uploading.server_pid()
    uploading.kill9()
    until(lambda: is_over(server), "the server to end with the window")

    settle(home)
    again = start()
    again.until_row(BATCHES, "Archive", "Done")
    assert_all_there_once(again, folder)


def test_the_server_alone_is_killed(uploading: Program, folder: Path) -> None:
    """The window starts a new one, and the upload goes on without a word from the person."""
    killed = uploading.server_pid()
    os.kill(killed, signal.SIGKILL)

    uploading.until_row(BATCHES, "Archive", "Done")
    assert uploading.server_pid() != killed
    assert_all_there_once(uploading, folder)


@pytest.mark.parametrize("arrived", [0, 1, 150])
def test_the_window_is_killed_among_small_files(
    start: Programs, home: Path, tmp_path: Path, arrived: int
) -> None:
    """At full speed, so that answers are lost on the way: before the first file, after it, and in the middle."""
    folder = mixed_folder(tmp_path / "Mail")
    program = start(folder)
    until(lambda: program.records.journal("SELECT 1 FROM batches"), "the batch in the journal", every_s=0.001)
    until(lambda: program.records.stored().get("stored", 0) >= arrived, "so many files", every_s=0.001)
    program.kill9()
    assert program.records.stored().get("stored", 0) < 300, "it was over before the kill"

    again = start()
    again.until_row(BATCHES, "Mail", "Done")
    assert again.records.stored() == {"stored": 300}
    assert digests(again.records.files_folder / "Mail") == digests(folder)


def assert_all_there_once(program: Program, folder: Path) -> None:
    """One stored row for each file, no other rows, no partials, and the same bytes under the same names."""
    stored = program.records.server(
        "SELECT relative_path, count(*) FROM files WHERE status = 'stored' GROUP BY 1"
    )
    assert sorted(count for _, count in stored) == [1] * FILES
    assert program.records.stored() == {"stored": FILES}
    assert program.records.partials() == []
    assert digests(program.records.files_folder / "Archive") == digests(folder)
