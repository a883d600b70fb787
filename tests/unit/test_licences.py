"""What Uphaul is made of, against the packages that are really installed."""

import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest

from app import licences
from tests.support.command_line import ROOT


def names() -> set[str]:
    return {part.name.lower().replace("_", "-") for part in licences.components()}


def test_every_dependency_that_pyproject_names_is_listed_and_no_tool_of_the_developers() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = {
        line.partition(";")[0].split(">")[0].split("=")[0].split("[")[0].strip().lower()
        for line in [*project["dependencies"], *extras["window"], *extras["mcp"]]
        if "win32" not in line
    }
    assert (sorted(wanted - names()), sorted(names() & {"pytest", "ruff", "mypy", "schemathesis"})) == (
        [],
        [],
    )


def test_what_the_dependencies_need_is_listed_too() -> None:
    assert {
        "httpcore",
        "cryptography",
        "greenlet",
        "python-engineio",
        "shiboken6",
        "python",
    } - names() == set()


def test_every_part_has_a_version_a_licence_and_its_whole_text() -> None:
    parts = licences.components()
    short = [part.name for part in parts if len(part.text) < 500 or not part.licence]
    assert (short, [part.name for part in parts if not part.version]) == ([], ["Lucide (icons)"])


def test_qt_comes_with_its_notice_and_both_licences() -> None:
    (qt,) = [part for part in licences.components() if part.name == "PySide6_Essentials"]
    said = ["may replace them", "GNU LESSER GENERAL PUBLIC LICENSE", "GNU GENERAL PUBLIC LICENSE"]
    assert [words in qt.text for words in said] == [True, True, True]


def test_uphaul_comes_first_and_the_rest_by_name() -> None:
    first, *rest = [part.name for part in licences.components()]
    assert (first, rest) == ("Uphaul", sorted(rest, key=str.lower))


def test_as_a_file_each_part_has_its_headline() -> None:
    parts = licences.components()
    lines = licences.as_text(parts).splitlines()
    assert [line for line in map(licences.title, parts) if line not in lines] == []


def test_a_frozen_program_lists_every_package_it_carries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("httpx", "h11"):
        package = distribution(name)
        for file in package.files or ():
            if file.parts[0].endswith(".dist-info") and file.name != "RECORD":  # PyInstaller leaves it out
                copy = tmp_path.joinpath(*file.parts)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(file.read_binary())
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    parts = licences.components()
    assert [part.name for part in parts] == ["Uphaul", "h11", "httpx", "Lucide (icons)", "Python"]
    assert [part.name for part in parts if len(part.text) < 500] == []
