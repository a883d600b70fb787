"""Settings on a real file: what is wrong is said and replaced, what is not ours is kept."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import Settings, SettingsError, Theme, load, save

OTHERS = Settings(
    uploads_at_once=3,
    resume_on_start=False,
    undo_cancel_s=5,
    include_hidden=False,
    exclude=("*.tmp",),
    speed_limit_bps=1_000_000,
    notify=False,
    close_to_tray=False,
    theme=Theme.DARK,
    stall_s=30,
    roll_back_cancelled=True,
    check_for_updates=True,
    update_url="https://updates.example.org/uphaul-update.json",
    update_key="RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
)


def test_without_a_file_there_are_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path / "settings.toml") == (Settings(), [])


def test_every_setting_comes_back_and_none_is_still_its_default(tmp_path: Path) -> None:
    path = tmp_path / "new" / "settings.toml"
    save(path, OTHERS)
    same = [each.name for each in dataclasses.fields(Settings) if getattr(OTHERS, each.name) == each.default]
    assert (load(path), same) == ((OTHERS, []), [])


def test_keys_of_a_newer_version_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('lanes = "learn"\nuploads_at_once = 9\n[window]\nwidth = 3\n')
    save(path, load(path)[0])
    assert load(path)[0].uploads_at_once == 9
    assert ('lanes = "learn"' in path.read_text(), "[window]\nwidth = 3" in path.read_text()) == (True, True)


@pytest.mark.parametrize(
    "line, sentence",
    [
        (
            "uploads_at_once = 0",
            "uploads_at_once must be a whole number from 1 to 32, not 0. The default is used.",
        ),
        (
            "uploads_at_once = true",
            "uploads_at_once must be a whole number from 1 to 32, not True. The default is used.",
        ),
        ('notify = "yes"', "notify must be true or false, not 'yes'. The default is used."),
        ('theme = "pink"', "theme must be 'system', 'light' or 'dark', not 'pink'. The default is used."),
        ('theme = ["dark"]', "theme must be 'system', 'light' or 'dark', not ['dark']. The default is used."),
        (
            "speed_limit_bps = 10",
            "speed_limit_bps must be 0 (no limit) or a whole number of bytes per second from 1000 up, not 10."
            " The default is used.",
        ),
        (
            'update_url = """https://a.example\n"""',
            "update_url must be one line of text, an address that begins with https://, not 'https://a.example\\n'."
            " The default is used.",
        ),
        (
            "update_key = 7",
            "update_key must be one line of text, a public key as minisign prints it, not 7. The default is used.",
        ),
        (
            "exclude = [1]",
            "exclude must be a list of file-name patterns such as ['*.tmp'], not [1]. The default is used.",
        ),
    ],
)
def test_a_bad_value_is_told_and_the_rest_is_taken(tmp_path: Path, line: str, sentence: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f"stall_s = 30\n{line}\n")
    assert load(path) == (Settings(stall_s=30), [sentence])


@pytest.mark.parametrize("content", [b"= nonsense", b"\xff\xfe\x00", b"[[[["])
def test_a_file_that_is_no_toml_is_told_and_kept_beside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    found, (sentence,) = load(path)
    save(path, found)
    kept = (tmp_path / "settings.toml.broken").read_bytes()
    assert (found, "not valid TOML" in sentence, kept, load(path)) == (
        Settings(),
        True,
        content,
        (Settings(), []),
    )


def test_a_setting_out_of_range_cannot_be_made() -> None:
    with pytest.raises(
        SettingsError, match="stall_s must be a whole number of seconds from 5 to 3600, not 1"
    ):
        Settings(stall_s=1)


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="could not be saved"):
        save(tmp_path / "file" / "settings.toml", Settings())


def test_saving_leaves_no_temporary_file_and_keeps_it_private(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    save(path, Settings())
    assert [each.name for each in tmp_path.iterdir()] == ["settings.toml"]
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600


json_like: st.SearchStrategy[Any] = st.recursive(
    st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(st.fixed_dictionaries({}, optional={each.name: json_like for each in dataclasses.fields(Settings)}))
def test_no_content_whatever_makes_loading_fail(table: dict[str, Any]) -> None:
    import tempfile

    import tomli_w

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.toml"
        path.write_text(tomli_w.dumps(table), encoding="utf-8", newline="\n")
        found, problems = load(path)
    taken = sum(getattr(found, name) != getattr(Settings(), name) for name in table)
    assert taken + len(problems) <= len(table)
