"""A desktop of the suite's own: an X server, a window manager and a message bus.

It is never the desktop of the person who runs the tests: no click can land in their windows, no secret in their
keyring, no notification on their screen. The bus starts nothing by itself, so what a story does not ask for (a tray
host, a notification daemon, a keyring) is truly absent.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.support.child import Child
from tests.e2e.support.wait import until

SCREEN_WIDTH, SCREEN_HEIGHT = 1600, 1000
_NEEDED = (
    *("Xvfb", "openbox", "dbus-daemon", "busctl", "xdotool", "import"),
    *("dunst", "lxqt-panel", "gnome-keyring-daemon"),
)
_FOREIGN = ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_", "XDG_", "QT_", "GNOME_", "UPHAUL_", "SESSION_MANAGER")
_BUS_CONFIG = """<busconfig>
  <type>session</type>
  <listen>unix:dir={folder}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


@dataclass(frozen=True, slots=True)
class Desktop:
    """Where programs of a story live: *env* to start them with, *folder* for their homes and their logs."""

    env: Mapping[str, str] = field(repr=False)
    folder: Path

    def run(self, *command: str) -> str:
        """Return what a small tool prints; AssertionError with its complaint if it fails."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, f"{command[0]}: {done.stderr.strip()} ({' '.join(command)})"
        return done.stdout

    def call(self, name: str, path: str, interface: str, method: str, *arguments: str) -> Any:
        """Call a method on the bus; return its results as plain values (signature first, as busctl wants it)."""
        said = self.run(
            "busctl", "--user", "--json=short", "--", "call", name, path, interface, method, *arguments
        )
        return json.loads(said)["data"] if said.strip() else []

    def read(self, name: str, path: str, interface: str, prop: str) -> Any:
        """Return a property of an object on the bus."""
        said = self.run("busctl", "--user", "--json=short", "--", "get-property", name, path, interface, prop)
        return json.loads(said)["data"]

    def names(self) -> set[str]:
        """Return the names on the bus now."""
        bus = "org.freedesktop.DBus"
        return set(self.call(bus, "/org/freedesktop/DBus", bus, "ListNames")[0])

    def picture(self, file: Path) -> None:
        """Save what the screen shows, to help a person who reads a failure."""
        subprocess.run(["import", "-window", "root", str(file)], env=self.env, timeout=20, check=False)


@contextmanager
def desktop(folder: Path) -> Iterator[Desktop]:
    """Start the X server, the bus and openbox; end them in reverse order."""
    env = _environment(folder)
    with ExitStack() as running:
        screen = f"{SCREEN_WIDTH}x{SCREEN_HEIGHT}x24"
        number = _started(
            running, env, folder, "Xvfb", "-displayfd", "{fd}", "-screen", "0", screen, "-nolisten", "tcp"
        )
        env["DISPLAY"] = f":{number}"
        config = folder / "bus.conf"
        config.write_text(_BUS_CONFIG.format(folder=folder))
        bus = ("dbus-daemon", "--nofork", f"--config-file={config}", "--print-address={fd}")
        env["DBUS_SESSION_BUS_ADDRESS"] = _started(running, env, folder, *bus)
        running.enter_context(Child(["openbox", "--sm-disable"], env, folder / "openbox.log"))
        here = Desktop(env, folder)
        until(lambda: _managed(here), "openbox to manage the windows")
        yield here


def missing_tools() -> list[str]:
    """Return the programs that this machine lacks for a desktop and its services."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    return [tool for tool in _NEEDED if not any((folder / tool).exists() for folder in folders)]


def _environment(folder: Path) -> dict[str, str]:
    """Return our own environment without the person's desktop in it, with homes below *folder*."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
    places = {
        "HOME": "home",
        "XDG_CONFIG_HOME": "home/.config",
        "XDG_DATA_HOME": "home/.local/share",
        "XDG_CACHE_HOME": "home/.cache",
        "XDG_RUNTIME_DIR": "run",
    }
    for key, place in places.items():
        (folder / place).mkdir(parents=True, exist_ok=True, mode=0o700)
        env[key] = str(folder / place)
    return env | {"LC_ALL": "C.UTF-8", "QT_QPA_PLATFORM": "xcb", "NO_AT_BRIDGE": "1"}


def _started(running: ExitStack, env: Mapping[str, str], folder: Path, *command: str) -> str:
    """Start a daemon that writes one line about itself into a pipe ("{fd}" in its arguments); return that line."""
    read_end, write_end = os.pipe()
    arguments = [argument.replace("{fd}", str(write_end)) for argument in command]
    running.enter_context(Child(arguments, env, folder / f"{command[0]}.log", keep_fds=[write_end]))
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        line = pipe.readline().strip()
    assert line, f"{command[0]} did not start: {(folder / f'{command[0]}.log').read_text()}"
    return line


def _managed(here: Desktop) -> bool:
    done = subprocess.run(
        ["xdotool", "get_num_desktops"], env=here.env, capture_output=True, timeout=20, check=False
    )
    return done.returncode == 0
