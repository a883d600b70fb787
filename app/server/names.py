"""Which names a sender may give a file, and how two equal names are told apart. Pure rules, no disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 16_384
MAX_DEPTH = 400

_DRIVE = re.compile(r"[A-Za-z]:")
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in "123456789¹²³"]
)
_WINDOWS_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]')


class UnsafePathError(ValueError):
    """A relative path that must not be stored; its text is a sentence for the sender."""


def split_path(text: str, *, windows: bool = False) -> tuple[str, ...]:
    """Return the components of a relative path with `/` between them.

    Raises :class:`UnsafePathError` for everything that could leave the folder it is meant for, on any system, and for
    what no file system takes. Control characters other than NUL are legal names on POSIX and pass; *windows* adds the
    rules of a server that runs there. Nothing is repaired: a path is taken as it is or refused.
    """
    try:
        size_bytes = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise UnsafePathError("The path is not valid Unicode text.") from None
    if not text:
        raise UnsafePathError("The path is empty.")
    if "\0" in text:
        raise UnsafePathError("The path contains a NUL character.")
    if "\\" in text:
        raise UnsafePathError("The path contains a backslash.")
    if text.startswith("/"):
        raise UnsafePathError("The path is absolute.")
    if _DRIVE.match(text):
        raise UnsafePathError("The path begins with a drive letter.")
    if size_bytes > MAX_PATH_BYTES:
        raise UnsafePathError(f"The path is longer than {MAX_PATH_BYTES} bytes.")
    names = tuple(text.split("/"))
    if len(names) > MAX_DEPTH:
        raise UnsafePathError(f"The path is deeper than {MAX_DEPTH} folders.")
    for name in names:
        _check_name(name, windows=windows)
    return names


def _check_name(name: str, *, windows: bool) -> None:
    if name in {"", ".", ".."}:
        raise UnsafePathError("The path contains an empty name, “.” or “..”.")
    if len(name.encode("utf-8")) > MAX_NAME_BYTES:
        raise UnsafePathError(f"A name in the path is longer than {MAX_NAME_BYTES} bytes.")
    if is_reserved(name):
        raise UnsafePathError(f"The name “{name}” is reserved by Windows.")
    if windows and (_WINDOWS_FORBIDDEN.search(name) or name[-1] in ". "):
        raise UnsafePathError(f"Windows cannot store the name “{name}”.")


def is_reserved(name: str) -> bool:
    """Whether Windows would open a device instead of a file: `NUL`, `con.txt`, `Lpt1 `."""
    return name.split(".", 1)[0].rstrip(" ").casefold() in _RESERVED


def numbered(name: str, number: int) -> str:
    """`numbered("a.txt", 2)` is `a (2).txt`; a stem that would grow past 255 bytes is cut between characters."""
    if number == 1:
        return name
    dot = name.rfind(".")
    stem, suffix = (name[:dot], name[dot:]) if dot > 0 else (name, "")
    mark = f" ({number})"
    if len((mark + suffix).encode("utf-8")) >= MAX_NAME_BYTES:
        stem, suffix = name, ""
    return _cut(stem, MAX_NAME_BYTES - len((mark + suffix).encode("utf-8"))) + mark + suffix


def _cut(text: str, size_bytes: int) -> str:
    return text.encode("utf-8")[:size_bytes].decode("utf-8", errors="ignore")


def folder_name(batch_name: str) -> str:
    """Return the folder a batch of this name gets under DATA/files: one safe component, as close as it can be."""
    safe = re.sub(r'[/\\<>:"|?*\x00-\x1f\x7f]', "_", batch_name).strip().rstrip(". ")
    safe = _cut(safe, MAX_NAME_BYTES - 16).rstrip(". ")
    if not safe:
        return "Batch"
    return f"_{safe}" if is_reserved(safe) else safe


def free_folder_name(batch_name: str, is_taken: Callable[[str], bool]) -> str:
    """Return the first of `Photos`, `Photos (2)`, … that is not taken."""
    base = folder_name(batch_name)
    for number in count(1):
        candidate = base if number == 1 else f"{base} ({number})"
        if not is_taken(candidate):
            return candidate
    raise AssertionError("count() never ends")


def safe_name(text: str) -> str:
    """Return one name that can be stored, as close to what a sender said as it can be: `../a:b.txt` is `.._a_b.txt`."""
    safe = re.sub(r'[/\\<>:"|?*\x00-\x1f\x7f]', "_", text.encode("utf-8", "replace").decode("utf-8"))
    safe = safe.strip().rstrip(". ")
    if len(safe.encode("utf-8")) > MAX_NAME_BYTES:
        stem, dot, suffix = safe.rpartition(".")
        suffix = dot + suffix if stem and len(suffix) < 20 else ""
        safe = _cut(stem if suffix else safe, MAX_NAME_BYTES - len(suffix.encode("utf-8"))) + suffix
    if not safe:
        return "file"
    return f"_{safe}" if is_reserved(safe) else safe
