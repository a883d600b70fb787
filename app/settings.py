"""What a person can set: one frozen value with its defaults, kept as TOML and written atomically."""

import os
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import tomli_w

LONGEST_LINE = 2_000
"""How many letters a setting of one line has at most."""


class Theme(StrEnum):
    """Which palette the window wears."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class SettingsError(Exception):
    """The settings could not be written, or a value is not allowed; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. A value out of range raises SettingsError."""

    uploads_at_once: int = 6
    """How many files are sent at the same time, 1 to 32."""
    resume_on_start: bool = True
    """Unfinished work goes on at the next start; else it comes back paused."""
    undo_cancel_s: int = 0
    """For how many seconds a cancel can be undone before it is sent, 0 to 60; 0 sends it at once."""
    include_hidden: bool = True
    """Hidden files and folders are taken."""
    exclude: tuple[str, ...] = (".DS_Store", "Thumbs.db", "desktop.ini", "._*")
    """File-name patterns (fnmatch) that are skipped."""
    speed_limit_bps: int = 0
    """Bytes per second over all uploads; 0 is no limit, else at least 1,000."""
    notify: bool = True
    """One notification for each batch that ends."""
    close_to_tray: bool = True
    """Closing the window while uploading keeps working in the tray."""
    theme: Theme = Theme.SYSTEM
    """The window's palette."""
    stall_s: int = 60
    """A transfer that moves no byte for so many seconds is tried again, 5 to 3600."""
    roll_back_cancelled: bool = False
    """What a server had stored before the cancel of it took effect is deleted there, where it can be."""
    check_for_updates: bool = False
    """The window asks once a day whether there is a newer version; nothing is ever downloaded or installed."""
    update_url: str = ""
    """Where the signed file about the newest version is (docs/RELEASING.md); "" is nowhere."""
    update_key: str = ""
    """The public minisign key that file is signed with; "" takes the key that came with this Uphaul."""

    def __post_init__(self) -> None:
        for each in fields(self):
            complaint = _complaint(each.name, getattr(self, each.name))
            if complaint:
                raise SettingsError(complaint)


def load(path: Path) -> tuple[Settings, list[str]]:
    """Read settings; never fail. Each bad value is replaced by its default and told in one sentence."""
    table, problems = _read(path)
    values: dict[str, Any] = {}
    for each in fields(Settings):
        if each.name not in table:
            continue
        value = _from_toml(each.name, table[each.name])
        complaint = _complaint(each.name, value)
        if complaint:
            problems.append(f"{complaint} The default is used.")
        else:
            values[each.name] = value
    return Settings(**values), problems


def save(path: Path, settings: Settings) -> None:
    """Write *settings* atomically; keys of the file that are not ours stay. Raises SettingsError.

    A file that was no TOML is kept beside the new one as ``<name>.broken``.
    """
    table, problems = _read(path)
    for each in fields(settings):
        value = getattr(settings, each.name)
        table[each.name] = list(value) if isinstance(value, tuple) else value
    try:
        if problems and path.exists():
            path.replace(path.with_name(f"{path.name}.broken"))
        write_atomically(path, tomli_w.dumps(table).encode())
    except OSError as error:
        raise SettingsError(f"The settings could not be saved in {path}: {error.strerror}.") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file at *path* as a whole, on disk before it is seen; private to its owner. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read(path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        return tomllib.loads(path.read_bytes().decode()), []
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        return {}, [f"The settings in {path} could not be read: {error.strerror}. The defaults are used."]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return {}, [f"The settings in {path} are not valid TOML: {error}. The defaults are used."]


def _from_toml(name: str, value: Any) -> Any:
    if name == "exclude" and isinstance(value, list):
        return tuple(value)
    if name == "theme" and isinstance(value, str) and value in set(Theme):
        return Theme(value)
    return value


def _complaint(name: str, value: Any) -> str:
    """Return a sentence if *value* is not allowed for the setting *name*, else ""."""
    if name in _RANGES:
        low, high, sentence = _RANGES[name]
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return "" if is_number and low <= value <= high else f"{sentence}, not {_shown(value)}."
    allowed, sentence = _RULES.get(name, (_is_bool, f"{name} must be true or false"))
    return "" if allowed(value) else f"{sentence}, not {_shown(value)}."


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_patterns(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, str) and each for each in value)


def _is_limit(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and (value == 0 or 1000 <= value < 2**53)


def _is_line(value: Any) -> bool:
    """An address or a key; whether it can be used is found out, and told, where it is."""
    return isinstance(value, str) and value.isprintable() and len(value) <= LONGEST_LINE


def _is_theme(value: Any) -> bool:
    return isinstance(value, Theme)


def _shown(value: Any) -> str:
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 60 else f"{text[:57]}…"


_RANGES: dict[str, tuple[int, int, str]] = {
    "uploads_at_once": (1, 32, "uploads_at_once must be a whole number from 1 to 32"),
    "undo_cancel_s": (0, 60, "undo_cancel_s must be a whole number of seconds from 0 to 60"),
    "stall_s": (5, 3600, "stall_s must be a whole number of seconds from 5 to 3600"),
}
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "exclude": (_is_patterns, "exclude must be a list of file-name patterns such as ['*.tmp']"),
    "speed_limit_bps": (
        _is_limit,
        "speed_limit_bps must be 0 (no limit) or a whole number of bytes per second from 1000 up",
    ),
    "update_url": (_is_line, "update_url must be one line of text, an address that begins with https://"),
    "update_key": (_is_line, "update_key must be one line of text, a public key as minisign prints it"),
    "theme": (_is_theme, "theme must be 'system', 'light' or 'dark'"),
}
