"""The Windows installer under Wine: installed, upgraded, removed. What it installs there are stand-in files, for the program
needs Windows; what it does with files, menus, the registry and a person's data is all real.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import pytest

from tests.support.command_line import ROOT
from tests.support.windows_installer import FILES, context

sys.path.append(str(ROOT / "packaging"))
from windows import build as windows

UNINSTALL = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Uninstall\Uphaul"
RUN = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run"

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the installer would be installed for whoever runs the tests"
)


class Wine:
    """A Windows of its own in *folder*, with one person."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        own = {"WINEPREFIX": str(folder / "prefix"), "HOME": str(folder), "WINEDEBUG": "-all"}
        self.environment = os.environ | own | {"WINEDLLOVERRIDES": "mscoree,mshtml="}
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            self.environment.pop(name, None)

    def run(self, *command: str | Path) -> int:
        """Run a program for Windows and return its exit code."""
        return self._start(command, subprocess.DEVNULL)

    def says(self, *command: str) -> str:
        """Return what a program prints."""
        # Not through a pipe: Wine's own services inherit it, and keep it open.
        with (self.folder / "said").open("w+b") as said:
            self._start(command, said)
            said.seek(0)
            return said.read().decode(errors="replace")

    def _start(self, command: Sequence[str | Path], output: int | IO[bytes]) -> int:
        whole = ["wine", *map(str, command)]
        done = subprocess.run(
            whole, env=self.environment, stdout=output, stderr=subprocess.DEVNULL, timeout=50, check=False
        )
        return done.returncode

    def value(self, key: str, name: str) -> str:
        """Return a value of the registry, "" if it is not there."""
        found = [line.split("REG_SZ") for line in self.says("reg", "query", key, "/v", name).splitlines()]
        return next((line[1].strip() for line in found if len(line) == 2), "")

    @property
    def home(self) -> Path:
        """AppData of the person."""
        (found,) = (self.folder / "prefix" / "drive_c" / "users").glob("*/AppData/Local")
        return found.parent

    @property
    def program(self) -> Path:
        """Where the program is installed."""
        return self.home / "Local" / "Programs" / "Uphaul"

    def installed(self) -> dict[str, str]:
        """Return the program's files and what is in them, without the uninstaller."""
        found = [file for file in self.program.rglob("*") if file.is_file() and file.name != "uninstall.exe"]
        return {file.relative_to(self.program).as_posix(): file.read_text() for file in found}

    def links(self) -> list[str]:
        """Return the names of the links in the menus."""
        return sorted(str(file.relative_to(self.home / "Roaming")) for file in self.home.rglob("Uphaul.lnk"))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wine]:
    """A Windows 10, made once: that takes ten seconds."""
    wine = Wine(tmp_path_factory.mktemp("wine"))
    (wine.folder / "prefix").mkdir()
    # Its server stays until we end it: a start of it for each command takes seconds.
    server = subprocess.Popen(["wineserver", "-f", "-p"], env=wine.environment, stderr=subprocess.DEVNULL)
    try:
        assert (wine.run("wineboot", "-i"), wine.run("winecfg", "/v", "win10")) == (0, 0)
        yield wine
    finally:
        subprocess.run(["wineserver", "-k"], env=wine.environment, timeout=30, check=False)
        server.wait(30)


@pytest.fixture
def wine(machine: Wine) -> Iterator[Wine]:
    """That Windows, without Uphaul, and without it again afterwards."""
    yield machine
    if machine.program.exists():
        machine.run(machine.program / "uninstall.exe", "/S", f"_?={windows_path(machine.program)}")
        shutil.rmtree(machine.program, ignore_errors=True)


def windows_path(path: Path) -> str:
    return "C:" + str(path).partition("drive_c")[2].replace("/", "\\")


def installer(folder: Path, files: Mapping[str, str] = FILES, version: str = "0.1.0") -> Path:
    """The same installer, but for a Wine without 32 bit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(windows.TARGET, "amd64-unicode")
        return windows.build(context(folder, files, version))[0]


def test_installed_upgraded_and_removed_a_person_keeps_the_journal(wine: Wine, tmp_path: Path) -> None:
    data = wine.home / "Local" / "uphaul"
    data.mkdir()
    (data / "journal.sqlite3").write_text("what was under way")
    (data / "settings.toml").write_text("uploads_at_once = 3")

    assert wine.run(installer(tmp_path), "/S") == 0
    assert (wine.installed(), wine.value(UNINSTALL, "DisplayVersion")) == (FILES, "0.1.0")
    assert wine.links() == [
        "Microsoft/Windows/SendTo/Uphaul.lnk",
        "Microsoft/Windows/Start Menu/Programs/Uphaul.lnk",
    ]
    window = windows_path(wine.program / "uphaul-window.exe")
    opens = wine.says("reg", "query", r"HKCU\Software\Classes\uphaul\shell\open\command", "/ve")
    assert f'"{window}" "%1"' in opens

    # The person adds a file and wants it at every start; the next version has lost a file and has a new one.
    (wine.program / "mine.txt").write_text("my own")
    wine.run("reg", "add", RUN, "/v", "Uphaul", "/d", f'"{window}"')
    newer = {name: f"{text} 2" for name, text in FILES.items() if "Qt6Core" not in name} | {
        "_internal/new": "new"
    }
    assert wine.run(installer(tmp_path, newer, "0.2.0"), "/S") == 0
    assert (wine.installed(), wine.value(UNINSTALL, "DisplayVersion")) == (
        {**newer, "mine.txt": "my own"},
        "0.2.0",
    )
    assert (wine.value(RUN, "Uphaul"), len(wine.links())) == (f'"{window}"', 2)

    # An older version does not replace a newer one unasked.
    assert (wine.run(installer(tmp_path), "/S"), wine.value(UNINSTALL, "DisplayVersion")) == (4, "0.2.0")

    assert wine.run(wine.program / "uninstall.exe", "/S", f"_?={windows_path(wine.program)}") == 0
    assert (wine.installed(), wine.links()) == ({"mine.txt": "my own"}, [])
    assert [wine.value(*each) for each in ((UNINSTALL, "DisplayName"), (RUN, "Uphaul"))] == ["", ""]
    assert "uphaul" not in wine.says("reg", "query", r"HKCU\Software\Classes").lower()
    assert {file.name: file.read_text() for file in data.iterdir()} == {
        "journal.sqlite3": "what was under way",
        "settings.toml": "uploads_at_once = 3",
    }


def test_a_program_that_runs_is_not_replaced(wine: Wine, tmp_path: Path) -> None:
    assert wine.run(installer(tmp_path), "/S") == 0
    program = wine.program / "uphaul.exe"
    shutil.copyfile(wine.folder / "prefix" / "drive_c" / "windows" / "system32" / "cmd.exe", program)
    running = subprocess.Popen(
        ["wine", program],
        env=wine.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert running.stdout is not None
        running.stdout.readline()  # it runs
        codes = wine.run(installer(tmp_path, version="0.2.0"), "/S"), wine.value(UNINSTALL, "DisplayVersion")
    finally:
        running.communicate(b"exit\r\n", timeout=30)
    assert codes == (3, "0.1.0")
    assert (wine.run(installer(tmp_path, version="0.2.0"), "/S"), wine.installed()) == (0, FILES)


def test_an_old_windows_is_told(wine: Wine, tmp_path: Path) -> None:
    wine.run("winecfg", "/v", "win7")
    code = wine.run(installer(tmp_path), "/S")
    wine.run("winecfg", "/v", "win10")
    assert (code, wine.program.exists()) == (5, False)
