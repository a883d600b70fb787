"""Why a path is not uploaded as it is, and which remote name a local one gets. Pure rules, no disk."""

import re
import unicodedata
from enum import StrEnum
from itertools import count

MAX_NAME_BYTES = 255
"""The longest name of common file systems, in UTF-8."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class SkipReason(StrEnum):
    """What intake reports of a path. See :data:`RENAMING` for those that are uploaded all the same."""

    LINK = "link"
    UNREADABLE = "unreadable"
    SPECIAL = "special"
    HIDDEN = "hidden"
    EXCLUDED = "excluded"
    MISSING = "missing"
    NOT_LOCAL = "not_local"
    LOOP = "loop"
    DUPLICATE_NAME = "duplicate_name"
    NAME_TOO_LONG = "name_too_long"


RENAMING = frozenset({SkipReason.DUPLICATE_NAME, SkipReason.NAME_TOO_LONG})
"""The file or folder is uploaded, under a changed name: counted in the report, but not in its list of what is skipped."""


def remote_name(name: str) -> str:
    """Return the name to use at the server: NFC, and U+FFFD for each byte or half character that is no text."""
    if name.isascii():
        return name
    return unicodedata.normalize("NFC", _SURROGATE.sub("\ufffd", name))


def cut_name(name: str, *, is_folder: bool = False, number: int = 1) -> str:
    """Return *name* with `` (number)`` before its suffix if that is above 1, and at most 255 bytes long in UTF-8.

    Too long a stem loses whole characters at its end, so that the suffix, which says what the file is, stays.
    """
    mark = f" ({number})" if number > 1 else ""
    if not mark and len(name) * 4 <= MAX_NAME_BYTES:
        return name
    stem, dot, suffix = ("", "", "") if is_folder else name.rpartition(".")
    if not stem or len(suffix.encode()) > MAX_NAME_BYTES // 4:
        stem, dot, suffix = name, "", ""
    room_bytes = MAX_NAME_BYTES - len((mark + dot + suffix).encode())
    return stem.encode()[:room_bytes].decode(errors="ignore") + mark + dot + suffix


def free_name(name: str, taken: set[str], *, is_folder: bool = False) -> str:
    """Return *name*, or the first of ``name (2)``, ``name (3)``… that is not in *taken*; it is in there afterwards."""
    for number in count(1):
        free = cut_name(name, is_folder=is_folder, number=number)
        if free not in taken:
            taken.add(free)
            return free
    raise AssertionError("count() never ends")
