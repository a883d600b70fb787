"""What a frozen window starts: the program beside it that can be heard."""

import sys
from pathlib import Path

import pytest

from tests.support.command_line import ROOT

sys.path.append(str(ROOT / "packaging"))
from common.entry import command_beside


@pytest.mark.parametrize(
    "files, started, used",
    [
        (("uphaul.exe", "uphaul-window.exe"), "uphaul-window.exe", "uphaul.exe"),
        (("uphaul", "uphaul-window"), "uphaul-window", "uphaul"),
        (("uphaul",), "uphaul", "uphaul"),
        (("uphaul-window.exe",), "uphaul-window.exe", "uphaul-window.exe"),
    ],
)
def test_the_command_is_started(tmp_path: Path, files: tuple[str, ...], started: str, used: str) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert command_beside(str(tmp_path / started)) == str(tmp_path / used)
