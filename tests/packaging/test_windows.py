"""The Windows installer from stand-in files: it is compiled and looked into. tests/e2e runs it, under Wine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import ROOT
from tests.support.windows_installer import FILES, context

sys.path.append(str(ROOT / "packaging"))
from common.context import Context, Stop
from windows import build as windows

pytestmark = pytest.mark.skipif(
    shutil.which("makensis") is None, reason="Debian's package nsis is not installed"
)
needs_7z = pytest.mark.skipif(
    shutil.which("7z") is None, reason="Debian's package p7zip-full is not installed"
)


@needs_7z
def test_what_was_given_is_in_it(tmp_path: Path) -> None:
    (made,) = windows.build(context(tmp_path))
    listed = subprocess.run(
        ["7z", "l", "-ba", "-slt", made], capture_output=True, text=True, check=True
    ).stdout
    names = {line.removeprefix("Path = ") for line in listed.splitlines() if line.startswith("Path = ")}
    inside = {name.replace("\\", "/") for name in names if not name.startswith("$PLUGINSDIR")}
    assert (made.name, inside) == ("uphaul-0.1.0-setup.exe", {*FILES, "uninstall.exe"})


def test_the_same_files_make_the_same_installer_wherever_and_whenever_they_are(tmp_path: Path) -> None:
    made = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        inputs = context(tmp_path / place)
        if place == "there":
            os.utime(tmp_path / place / "payload 0.1.0" / "uphaul.exe", (1, 1))
        made.append(windows.build(inputs)[0].read_bytes())
    assert made[0] == made[1]


def test_what_cannot_be_packed_is_said(tmp_path: Path) -> None:
    with pytest.raises(Stop, match=r"is no program for Windows: it lacks uphaul-window\.exe"):
        windows.build(context(tmp_path, {"uphaul.exe": ""}))
    with pytest.raises(Stop, match="cannot be packed"):
        windows.build(context(tmp_path, {**FILES, "a$b": ""}))
    with pytest.raises(Stop, match=r"wants a version like 1\.2\.3, not 0\.2\.0rc1"):
        windows.build(context(tmp_path, version="0.2.0rc1"))


@pytest.mark.skipif(sys.platform == "win32", reason="there the program can be frozen")
def test_without_a_program_from_windows_it_says_why_not() -> None:
    assert windows.obstacle(Context.here(ROOT)) == (
        "The program can only be frozen on Windows; with --payload FOLDER one from there is packed here."
    )


def test_installer_and_uninstaller_are_signed_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = tmp_path / "sign.sh"
    signer.write_text(f'#!/bin/sh\nhead -c2 "$1" >> "{tmp_path}/signed"\n')
    signer.chmod(0o755)
    monkeypatch.setenv(windows.SIGN, str(signer))
    windows.build(context(tmp_path))
    assert (tmp_path / "signed").read_text() == "MZMZ"  # two programs
