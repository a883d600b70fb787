"""Folders below DATA where the system knows no `openat`, as on Windows: each step is a path."""

from pathlib import Path

import pytest

from app.server.directory import Directory


def test_data_that_is_reached_by_a_link_is_entered_and_a_link_below_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "away").symlink_to(tmp_path)
    with Directory(tmp_path / "data", None) as data:
        with data.enter("photos", create=True) as photos, photos.enter("2026", create=True):
            pass
        with pytest.raises(NotADirectoryError):
            data.enter("away", create=False)
    assert (tmp_path / "real" / "photos" / "2026").is_dir()
