"""What an account remembers, on a real file: also when the file is broken, gone, or cannot be written."""

from pathlib import Path

import pytest

from app.accounts.notes import FileNotes


def test_another_program_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "accounts" / "lab.json"
    FileNotes(path).write({"posts": [1.5, 2.0], "name": "naïve"})
    assert FileNotes(path).read() == {"posts": [1.5, 2.0], "name": "naïve"}


def test_what_another_program_wrote_since_is_seen(tmp_path: Path) -> None:
    ours, theirs = FileNotes(tmp_path / "lab.json"), FileNotes(tmp_path / "lab.json")
    ours.write({"posts": 1})
    theirs.write({"posts": 2})
    assert ours.read() == {"posts": 2}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b"null", b"[" * 100_000])
def test_a_broken_file_counts_as_empty_and_is_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lab.json"
    path.write_bytes(content)
    notes = FileNotes(path)
    before = notes.read()
    notes.write({"a": 1})
    assert (before, notes.read()) == ({}, {"a": 1})


@pytest.mark.expects_log
def test_what_cannot_be_written_is_known_for_the_life_of_the_program(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "accounts").write_text("a file where the folder should be")
    notes = FileNotes(tmp_path / "accounts" / "lab.json")
    notes.write({"a": 1})
    assert (notes.read(), len(caplog.records)) == ({"a": 1}, 1)
