"""Whether Uphaul is opened when the person signs in. The system's own list is the only place where that is kept."""

import os
import plistlib
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.settings import write_atomically

NAME = "uphaul"
TITLE = "Uphaul"
HIDDEN = "--hidden"
"""What opens Uphaul in the tray, without its window."""
APPIMAGE = "UPHAUL_APPIMAGE"
"""The variable in which an AppImage tells us its own file; APPIMAGE itself may be that of the terminal we run in."""
_PLAIN = re.compile(r"[\w./=:@,+-]+", re.ASCII)
_OFF = ("Hidden=true", "X-GNOME-Autostart-enabled=false")
_RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"


class AutostartError(Exception):
    """The system's list could not be read or written; the message is a sentence for a person."""


class Autostart(Protocol):
    """One system's list of programs that are opened at sign-in. Both methods raise AutostartError."""

    def is_on(self) -> bool:
        """Whether Uphaul is in it. Always asked anew: people also change it with their desktop's own tools."""

    def turn(self, on: bool) -> None:
        """Put Uphaul in, with the program that runs now, or take it out."""


@dataclass(frozen=True, slots=True)
class DesktopEntry:
    """Linux: a desktop file in the person's `autostart` folder (Desktop Application Autostart Specification 0.5)."""

    path: Path
    command: Sequence[str]
    program: str
    """What must be there; else desktops pass the entry over, as when Uphaul was removed."""

    def is_on(self) -> bool:
        """Desktops turn an entry off by a line in it."""
        lines = _text(self.path).splitlines()
        return bool(lines) and not any(line.replace(" ", "") in _OFF for line in lines)

    def turn(self, on: bool) -> None:
        """Write the file as a whole, or remove it."""
        text = (
            f"[Desktop Entry]\nType=Application\nName={TITLE}\nIcon={NAME}\n"
            f"TryExec={_escaped(self.program)}\nExec={exec_line(self.command)}\n"
        )
        _replace(self.path, text if on else None)


@dataclass(frozen=True, slots=True)
class LaunchAgent:
    """macOS: a property list for launchd in the person's library (launchd.plist(5))."""

    path: Path
    command: Sequence[str]

    def is_on(self) -> bool:
        """A file of that name is an entry that is on."""
        return bool(_text(self.path))

    def turn(self, on: bool) -> None:
        """Write the file as a whole, or remove it."""
        entry = {"Label": self.path.stem, "ProgramArguments": list(self.command), "RunAtLoad": True}
        _replace(self.path, plistlib.dumps(entry).decode() if on else None)


@dataclass(frozen=True, slots=True)
class RunKey:
    """Windows: a value below `Run` in the person's registry, the same one that the installer offers to write."""

    command: Sequence[str]

    def is_on(self) -> bool:
        """A value of that name is an entry that is on."""
        if sys.platform == "win32":
            import winreg

            try:
                with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _RUN) as key:
                    return bool(winreg.QueryValueEx(key, TITLE)[0])
            except FileNotFoundError:
                return False
            except OSError as error:
                raise _trouble(_RUN, error) from error
        raise AutostartError("Only Windows has a registry.")

    def turn(self, on: bool) -> None:
        """Write the value, or delete it."""
        if sys.platform == "win32":
            import subprocess
            import winreg

            try:
                with winreg.CreateKey(winreg.HKEY_CURRENT_USER, _RUN) as key:
                    if on:
                        winreg.SetValueEx(key, TITLE, 0, winreg.REG_SZ, subprocess.list2cmdline(self.command))
                    elif self.is_on():
                        winreg.DeleteValue(key, TITLE)
            except OSError as error:
                raise _trouble(_RUN, error) from error


def of_this_system(env: Mapping[str, str], platform: str = sys.platform) -> Autostart | None:
    """Return the list of the person's system; None in a Flatpak, which cannot reach it."""
    home = Path(env.get("HOME") or Path.home())
    started = program(env, platform)
    command = (*_moved(env, platform), *started, HIDDEN)
    if platform == "win32":
        return RunKey(command)
    if platform == "darwin":
        return LaunchAgent(home / f"Library/LaunchAgents/{NAME}.plist", command)
    if "FLATPAK_ID" in env:
        return None
    base = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
    return DesktopEntry(base / "autostart" / f"{NAME}.desktop", command, started[0])


def program(env: Mapping[str, str], platform: str = sys.platform) -> tuple[str, ...]:
    """Return the command that opens the window of the program that runs now, by a path that an upgrade keeps."""
    running = Path(sys.executable)
    if not getattr(sys, "frozen", False):
        return (str(running), "-P", "-m", "ui")
    if env.get(APPIMAGE):
        return (env[APPIMAGE],)  # what runs is in a folder that is gone when it ends
    if platform == "linux":
        known = shutil.which(NAME, path=env.get("PATH"))
        return (known if known and Path(known).resolve() == running.resolve() else str(running),)
    beside = running.with_name(f"{NAME}-window{running.suffix}")  # has no console
    return (str(beside if beside.is_file() else running),)


def exec_line(command: Sequence[str]) -> str:
    """Return the value of `Exec` (Desktop Entry Specification 1.5, "The Exec key"): quoted, then escaped as a string."""
    quoted = (_quoted(word) for word in command)
    return _escaped(" ".join(quoted)).replace("%", "%%")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\")


def _quoted(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    return '"' + "".join(f"\\{each}" if each in '"`$\\' else each for each in word) + '"'


def _moved(env: Mapping[str, str], platform: str) -> tuple[str, ...]:
    """What was moved by UPHAUL_HOME is looked for in the same place at sign-in, where the variable is not set."""
    home = env.get("UPHAUL_HOME", "")
    if not home or platform == "win32":
        return ()
    return ("/usr/bin/env", f"UPHAUL_HOME={os.path.abspath(os.path.expanduser(home))}")


def _text(path: Path) -> str:
    """What is in a file, "" if it is not there."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _trouble(path, error) from error


def _replace(path: Path, text: str | None) -> None:
    try:
        if text is None:
            path.unlink(missing_ok=True)
        else:
            write_atomically(path, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise _trouble(path, error) from error


def _trouble(place: object, error: OSError) -> AutostartError:
    return AutostartError(
        f"What is opened when you sign in could not be changed in {place}: {error.strerror}."
    )
