"""Where things live."""

from __future__ import annotations

from pathlib import Path

from app.places import Places


def test_uphaul_home_moves_everything(tmp_path: Path) -> None:
    places = Places.from_environment({"UPHAUL_HOME": str(tmp_path)})
    found = [
        places.config_dir,
        places.data_dir,
        places.server_data_dir,
        places.journal_path,
        places.settings_path,
        places.locks_dir,
    ]
    expected = ["", "", "server", "journal.sqlite3", "settings.toml", "locks"]
    assert found == [tmp_path / name for name in expected]


def test_two_homes_have_two_windows(tmp_path: Path) -> None:
    homes = [tmp_path / "a", tmp_path / "b"]
    windows = [Places.from_environment({"UPHAUL_HOME": str(home)}).window_dir for home in homes]
    assert [window.parent for window in windows] == homes


def test_without_it_the_platform_decides() -> None:
    places = Places.from_environment({})
    assert (places.config_dir.is_absolute(), places.data_dir.name) == (True, "uphaul")
