"""Which names pass, which do not, and how equal names are told apart."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.server.names import (
    MAX_NAME_BYTES,
    UnsafePathError,
    folder_name,
    free_folder_name,
    is_reserved,
    numbered,
    split_path,
)

text = st.text(st.characters(codec="utf-8"), max_size=60)
paths = st.lists(
    text | st.sampled_from(["..", ".", "", "a", "C:", "\\", "\0", "NUL", "con.txt"]), max_size=6
).map("/".join)


@given(path=paths)
def test_what_passes_stays_below_its_folder_on_every_system(path: str) -> None:
    try:
        names = split_path(path)
    except UnsafePathError:
        return
    root = "/data/files"
    assert os.path.normpath(os.path.join(root, *names)) == os.path.join(root, *names)
    assert "/".join(names) == path
    assert not any(set(name) & set("/\\\0") for name in names)


@given(path=paths)
def test_what_passes_for_windows_passes_for_all(path: str) -> None:
    try:
        names = split_path(path, windows=True)
    except UnsafePathError:
        return
    assert names == split_path(path)


@given(name=st.text(st.characters(codec="utf-8", exclude_characters="/\\\0"), min_size=1, max_size=80))
def test_an_ordinary_name_passes(name: str) -> None:
    is_special = (
        name in {".", ".."} or is_reserved(name) or name[1:2] == ":" or len(name.encode()) > MAX_NAME_BYTES
    )
    if not is_special:
        assert split_path(name) == (name,)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc",
        "..",
        "a/..",
        "a//b",
        "a/",
        "a\\b",
        "C:",
        "z:\\x",
        "a\0",
        "CON",
        "Lpt1.txt",
        "com¹",
        "\ud800",
    ],
)
def test_what_could_leave_its_folder_is_refused(path: str) -> None:
    with pytest.raises(UnsafePathError):
        split_path(path)


@pytest.mark.parametrize("path", ["ab:c", "what?", "a.", "a ", "tab\t", 'quote"'])
def test_what_only_windows_cannot_store_is_refused_there_alone(path: str) -> None:
    assert split_path(path) == (path,)
    with pytest.raises(UnsafePathError):
        split_path(path, windows=True)


@pytest.mark.parametrize("depth,passes", [(200, True), (400, True), (401, False)])
def test_depth_has_a_limit(depth: int, passes: bool) -> None:
    try:
        assert (len(split_path("/".join(["d"] * depth))), passes) == (depth, True)
    except UnsafePathError:
        assert passes is False


@given(
    name=st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1),
    number=st.integers(2, 10**6),
)
def test_a_numbered_name_is_new_and_still_a_name(name: str, number: int) -> None:
    result = numbered(name, number)
    assert len(result.encode()) <= MAX_NAME_BYTES
    assert f"({number})" in result
    assert result != name or f"({number})" in name


@pytest.mark.parametrize(
    "name,expected",
    [
        ("a.txt", "a (2).txt"),
        ("a", "a (2)"),
        (".bashrc", ".bashrc (2)"),
        ("a.tar.gz", "a.tar (2).gz"),
        ("ä" * 127 + "x", "ä" * 125 + " (2)"),
        ("a." + "b" * 253, "a." + "b" * 249 + " (2)"),
    ],
)
def test_the_number_stands_before_the_suffix(name: str, expected: str) -> None:
    assert numbered(name, 2) == expected


@given(name=text)
def test_every_batch_name_gives_a_folder_that_is_safe_everywhere(name: str) -> None:
    folder = folder_name(name)
    assert split_path(folder, windows=True) == (folder,)


@given(name=text, taken=st.integers(0, 5))
def test_a_taken_folder_gets_the_next_number(name: str, taken: int) -> None:
    used: list[str] = []
    for _ in range(taken + 1):
        used.append(free_folder_name(name, used.__contains__))
    assert len(set(used)) == taken + 1
    assert split_path(used[-1], windows=True) == (used[-1],)
