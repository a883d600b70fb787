"""Asks whether a window can be opened at all, before Qt could abort the process. Imports no Qt."""

import ctypes
import importlib.util
import os
import re
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

_ON_SCREEN = frozenset({"xcb", "wayland", "wayland-egl", "xcb;wayland", "wayland;xcb"})
_CONNECT_S = 2.0


def trouble(env: Mapping[str, str]) -> str | None:
    """Return a sentence saying why no window can be opened with the environment *env*, or None."""
    for module in ("PySide6", "qasync"):
        if importlib.util.find_spec(module) is None:
            return f"The window needs {module}, which is not installed (`pip install 'uphaul[window]'`)."
    if not sys.platform.startswith("linux"):
        return None
    platform = env.get("QT_QPA_PLATFORM", "")
    if platform and platform.split(":")[0] not in _ON_SCREEN:
        return None
    wayland = env.get("WAYLAND_DISPLAY", "") if not platform or "wayland" in platform else ""
    if wayland and wayland_answers(wayland, env):
        return None
    if wayland and (not env.get("DISPLAY") or (platform and "xcb" not in platform)):
        return f"The screen {wayland} does not answer."
    if not env.get("DISPLAY"):
        return "There is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set)."
    if not answers(env["DISPLAY"]):
        return f"The screen {env['DISPLAY']} does not answer."
    return missing_library()


def answers(display: str) -> bool:
    """Whether an X server listens at *display*, such as ``:0`` or ``host:10.0``."""
    match = re.fullmatch(r"(?:unix)?(?P<host>[^:/]*):(?P<number>\d+)(?:\.\d+)?", display)
    if match is None:
        return True  # a socket path or something newer than we know: Qt shall try
    number = int(match["number"])
    if match["host"]:
        return _connects(socket.AF_INET, (match["host"], 6000 + number))
    path = f"/tmp/.X11-unix/X{number}"  # noqa: S108  # where X servers have their sockets
    return _connects(socket.AF_UNIX, path) or _connects(socket.AF_UNIX, "\0" + path)


def wayland_answers(name: str, env: Mapping[str, str]) -> bool:
    """Whether a Wayland compositor listens at *name*, such as ``wayland-0`` or the path of a socket."""
    if env.get("WAYLAND_SOCKET"):
        return True  # a connection that whoever started us has opened, and that can be used once
    return _connects(socket.AF_UNIX, os.path.join(env.get("XDG_RUNTIME_DIR", ""), name))


def _connects(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(_CONNECT_S)
            probe.connect(address)
    except OSError:
        return False
    return True


def missing_library() -> str | None:
    """Load Qt's plug-in for X as a plain library: what it lacks is an error here, where Qt itself would abort."""
    spec = importlib.util.find_spec("PySide6")
    root = Path(spec.origin).parent if spec is not None and spec.origin else Path()
    plugin = root / "Qt" / "plugins" / "platforms" / "libqxcb.so"
    if not plugin.is_file():
        return None
    try:
        ctypes.CDLL(os.fspath(plugin))
    except OSError as error:
        library = str(error).split(":", 1)[0]
        return f"The window needs the system library {library}, which is not installed."
    return None
