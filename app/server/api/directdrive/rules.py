"""DirectDrive's rules about names and kinds of files. Pure; source: backend/app/api/v1/routes_upload.py of DirectDriveX."""

from __future__ import annotations

import os
import re
from uuid import uuid4

BLOCKED_SUFFIXES = frozenset(
    ".exe .bat .scr .com .cmd .ps1 .vbs .jar .msi .deb .rpm .dmg .pkg .app .pif .scf .lnk .inf .reg".split()
)
BLOCKED_TYPES = frozenset(
    f"application/{name}"
    for name in (
        "x-msdownload", "x-executable", "executable", "x-winexe", "x-msdos-program", "x-dosexec",
        "x-ms-dos-executable", "x-bat", "x-sh",
    )
)  # fmt: skip
MAX_NAME_CHARACTERS = 255

_RESERVED = frozenset(
    ["CON", "PRN", "AUX", "NUL"] + [f"{device}{digit}" for device in ("COM", "LPT") for digit in range(1, 10)]
)
_SAFE_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)


def refusal(filename: str, content_type: str) -> str | None:
    """Return why a file of this name and type is not taken, or None."""
    suffix = os.path.splitext(filename.lower())[1]
    if suffix in BLOCKED_SUFFIXES:
        return f"File type '{suffix}' is not allowed for security reasons"
    if content_type.lower() in BLOCKED_TYPES:
        return f"File type '{content_type}' is not allowed for security reasons"
    return None


def sanitised(filename: str) -> str:
    """Return the name that the original stores a file under, step by step as it does: clients predict it."""
    name = re.sub(r"[/\\]", "_", filename).replace("..", "_")
    name = re.sub(r"[\x00-\x1f\x7f]", "", name)
    name = re.sub(r'[<>:"|?*]', "_", name)
    if os.path.splitext(name)[0].upper() in _RESERVED:
        name = f"file_{name}"
    if len(name) > MAX_NAME_CHARACTERS:
        stem, suffix = os.path.splitext(name)
        name = (stem[: max(0, MAX_NAME_CHARACTERS - len(suffix))] + suffix)[:MAX_NAME_CHARACTERS]
    name = name.strip(". ")
    return f"file_{uuid4().hex[:8]}.txt" if name in {"", "_", "__", "___"} else name


def media_type(content_type: str) -> str:
    """Return a sender's content type if it can stand in a header, else that of plain bytes."""
    return content_type if _SAFE_TYPE.fullmatch(content_type) else "application/octet-stream"
