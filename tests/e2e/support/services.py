"""What a person's desktop usually has and a story may ask for: notifications, a tray, a keyring."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.e2e.support.child import Child
from tests.e2e.support.desktop import Desktop
from tests.e2e.support.wait import until

_DUNST_CONFIG = """[global]
    follow = none
    origin = bottom-right
    history_length = 100
    sticky_history = yes
    stack_duplicates = no
    idle_threshold = 0
[urgency_low]
    timeout = 0
[urgency_normal]
    timeout = 0
[urgency_critical]
    timeout = 0
"""
_PANEL_CONFIG = "panels=panel1\n\n[panel1]\nplugins=statusnotifier\nposition=Bottom\n\n[statusnotifier]\ntype=statusnotifier\n"
_NOTIFICATIONS = "org.freedesktop.Notifications"
_DUNST = ("/org/freedesktop/Notifications", "org.dunstproject.cmd0")
_WATCHER = ("org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher", "org.kde.StatusNotifierWatcher")
SECRETS = "org.freedesktop.secrets"


@dataclass(frozen=True, slots=True)
class Told:
    """One notification as the daemon has it."""

    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Notifications:
    """A real notification daemon, dunst: what it was told, and its action button."""

    desktop: Desktop

    def told(self) -> list[Told]:
        """Return every notification so far, oldest first. Those on the screen are closed by it."""
        self.desktop.call(_NOTIFICATIONS, *_DUNST, "NotificationCloseAll")
        (entries,) = self.desktop.call(_NOTIFICATIONS, *_DUNST, "NotificationListHistory")
        return [Told(entry["summary"]["data"], entry["body"]["data"]) for entry in reversed(entries)]

    def shown(self) -> int:
        """Return how many notifications are on the screen."""
        return int(self.desktop.read(_NOTIFICATIONS, *_DUNST, "displayedLength"))

    def use_action(self) -> None:
        """Press the one button of the newest notification."""
        self.desktop.call(_NOTIFICATIONS, *_DUNST, "NotificationAction", "u", "0")


@contextmanager
def notifications(desktop: Desktop) -> Iterator[Notifications]:
    """Run dunst; notifications stay until they are closed."""
    config = desktop.folder / "dunstrc"
    config.write_text(_DUNST_CONFIG)
    with Child(["dunst", "-config", str(config)], desktop.env, desktop.folder / "dunst.log"):
        until(lambda: _NOTIFICATIONS in desktop.names(), "dunst on the bus")
        yield Notifications(desktop)


@dataclass(frozen=True, slots=True)
class TrayItem:
    """One icon in the tray: its address on the bus, what it says, and its menu."""

    desktop: Desktop
    name: str
    path: str

    def says(self, prop: str) -> object:
        """Return a property of the item: ``Title``, ``Status``…"""
        return self.desktop.read(self.name, self.path, "org.kde.StatusNotifierItem", prop)

    def tooltip(self) -> str:
        """Return what the icon says when pointed at."""
        return str(self.desktop.read(self.name, self.path, "org.kde.StatusNotifierItem", "ToolTip")[2])

    def menu(self) -> dict[str, int]:
        """Return the visible entries of its menu: label (without the mnemonic's mark) to id."""
        _, layout = self._menu_call("GetLayout", "iias", "0", "-1", "0")
        return dict(_labels(layout))

    def choose(self, label: str) -> None:
        """Choose an entry of the menu as the tray host does when it is clicked."""
        entry = self.menu()[label]
        self._menu_call("Event", "isvu", str(entry), "clicked", "i", "0", "0")

    def _menu_call(self, method: str, *arguments: str) -> Any:
        path = str(self.says("Menu"))
        answer: list[object] = self.desktop.call(
            self.name, path, "com.canonical.dbusmenu", method, *arguments
        )
        return answer


@dataclass(frozen=True, slots=True)
class Tray:
    """A real tray: lxqt-panel with its StatusNotifier host."""

    desktop: Desktop

    def items(self) -> list[TrayItem]:
        """Return the icons that are registered now."""
        registered = self.desktop.read(*_WATCHER, "RegisteredStatusNotifierItems")
        return [TrayItem(self.desktop, *_address(item)) for item in registered]

    def item(self) -> TrayItem:
        """Return the only icon, once it is there."""
        return until(self.items, "an icon in the tray")[0]


@contextmanager
def tray(desktop: Desktop) -> Iterator[Tray]:
    """Run lxqt-panel with the statusnotifier plugin alone."""
    config = desktop.folder / "panel.conf"
    config.write_text(_PANEL_CONFIG)
    with Child(["lxqt-panel", f"--configfile={config}"], desktop.env, desktop.folder / "panel.log"):
        until(lambda: _WATCHER[0] in desktop.names(), "the tray's watcher on the bus")
        until(lambda: desktop.read(*_WATCHER, "IsStatusNotifierHostRegistered"), "the tray's host")
        yield Tray(desktop)


@contextmanager
def keyring(desktop: Desktop) -> Iterator[None]:
    """Run gnome-keyring, unlocked, with its store in the desktop's own home."""
    command = ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"]
    log = desktop.folder / "keyring.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, env=desktop.env, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdin
        process.stdin.write("a password for the tests")
        process.stdin.close()
    try:
        until(lambda: SECRETS in desktop.names(), "the keyring on the bus")
        yield
    finally:
        process.terminate()
        process.wait(10)


def _address(item: str) -> tuple[str, str]:
    """Split "name/path" (the watcher may also give the name alone)."""
    name, slash, path = item.partition("/")
    return name, slash + path if slash else "/StatusNotifierItem"


def _labels(layout: Any) -> Iterator[tuple[str, int]]:
    """Walk a dbusmenu layout: [id, {property: {type, data}}, [children]]."""
    number, properties, children = layout
    label = properties.get("label", {}).get("data", "").replace("_", "", 1)
    if label and properties.get("visible", {}).get("data", True):
        yield label, number
    for child in children:
        yield from _labels(child.get("data", child) if isinstance(child, dict) else child)
