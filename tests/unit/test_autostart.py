"""What is opened at sign-in: the files that the system reads, and what other tools write into them."""

import os
import plistlib
import subprocess
import sys
from pathlib import Path

import pytest

from app.autostart import (
    HIDDEN,
    AutostartError,
    DesktopEntry,
    LaunchAgent,
    exec_line,
    of_this_system,
    program,
)

ODD = ('/opt/Ü b/up"haul', "$HOME", "a`b`", "back\\slash", "100 %", "it's", "", "plain")


@pytest.fixture
def entry(tmp_path: Path) -> DesktopEntry:
    return DesktopEntry(tmp_path / "new" / "autostart" / "uphaul.desktop", ("uphaul", HIDDEN), "uphaul")


def test_it_is_on_when_it_was_turned_on_and_off_when_it_was_turned_off(entry: DesktopEntry) -> None:
    told = [entry.is_on()]
    for on in (True, True, False, False):
        entry.turn(on)
        told.append(entry.is_on())
    assert (told, entry.path.exists()) == ([False, True, True, False, False], False)


@pytest.mark.parametrize("line", ["Hidden=true", "Hidden = true", "X-GNOME-Autostart-enabled=false"])
def test_what_a_desktop_has_turned_off_is_off(entry: DesktopEntry, line: str) -> None:
    entry.turn(True)
    entry.path.write_text(entry.path.read_text() + line + "\n")
    assert entry.is_on() is False


def test_desktops_read_the_command_as_it_was_meant() -> None:
    """Undone as the specification says: the escapes of a string, the percent signs, then quotes as a shell reads them."""
    value = exec_line(ODD).replace("\\\\", "\\").replace("%%", "%")
    said = subprocess.run(["sh", "-c", f"printf '%s\\0' {value}"], capture_output=True, check=True).stdout
    assert said.decode().split("\0")[:-1] == list(ODD)


def test_a_folder_that_nobody_may_write_is_named(entry: DesktopEntry) -> None:
    entry.path.parent.parent.write_text("a file where the folder should be")
    with pytest.raises(AutostartError) as caught:
        entry.turn(True)
    assert str(entry.path) in str(caught.value)


def test_launchd_gets_the_command_word_by_word(tmp_path: Path) -> None:
    agent = LaunchAgent(tmp_path / "LaunchAgents" / "uphaul.plist", ODD)
    agent.turn(True)
    was_on = agent.is_on()
    read = plistlib.loads(agent.path.read_bytes())
    agent.turn(False)
    assert (was_on, read["ProgramArguments"], read["RunAtLoad"], agent.is_on()) == (
        True,
        list(ODD),
        True,
        False,
    )


def test_each_system_keeps_it_where_it_looks(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    places = [
        of_this_system(home, "linux"),
        of_this_system({**home, "XDG_CONFIG_HOME": str(tmp_path / "c")}, "linux"),
        of_this_system(home, "darwin"),
    ]
    assert [each.path.relative_to(tmp_path).as_posix() for each in places if hasattr(each, "path")] == [
        ".config/autostart/uphaul.desktop",
        "c/autostart/uphaul.desktop",
        "Library/LaunchAgents/uphaul.plist",
    ]


def test_a_flatpak_cannot_reach_the_list() -> None:
    assert of_this_system({"HOME": "/home/ada", "FLATPAK_ID": "x"}, "linux") is None


def test_the_place_that_was_moved_is_the_same_at_sign_in(tmp_path: Path) -> None:
    made = of_this_system({"HOME": "/home/ada", "UPHAUL_HOME": str(tmp_path)}, "linux")
    assert isinstance(made, DesktopEntry)
    assert made.command[:2] == ("/usr/bin/env", f"UPHAUL_HOME={tmp_path}")


def test_an_appimage_is_started_by_its_file_but_never_by_that_of_another_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running = "/tmp/.mount_1/usr/lib/uphaul/uphaul"
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", running)
    envs = {"UPHAUL_APPIMAGE": "/a/U.AppImage", "PATH": ""}, {"APPIMAGE": "/a/Terminal.AppImage", "PATH": ""}
    assert [program(env, "linux") for env in envs] == [("/a/U.AppImage",), (running,)]


def test_an_installed_program_is_started_by_the_name_that_an_upgrade_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, known = tmp_path / "lib" / "uphaul", tmp_path / "bin" / "uphaul"
    for path in (real, known):
        path.parent.mkdir()
    real.touch(mode=0o755)
    known.symlink_to(real)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(real))
    found = program({"PATH": str(known.parent)}, "linux"), program({"PATH": "/nowhere"}, "linux")
    assert found == ((str(known),), (str(real),))


def test_windows_and_macos_start_the_program_without_a_console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("uphaul.exe", "uphaul-window.exe"):
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "uphaul.exe"))
    assert program({}, "win32") == (str(tmp_path / "uphaul-window.exe"),)


def test_the_source_is_started_with_its_own_python() -> None:
    done = subprocess.run(
        [*program(dict(os.environ)), "--version"], capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout.startswith("uphaul ")
