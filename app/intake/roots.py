"""What was dropped, put in order: each path once, a folder before what lies in it, and names that do not collide."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.domain.paths import SkipReason, remote_name

Skip = Callable[[str, SkipReason], None]


@dataclass(frozen=True, slots=True)
class Root:
    """One dropped file or folder. ``path`` is where to read it, ``name`` the first part of its remote path.

    A dropped link stands for what it points to: the person pointed at it. It keeps the link's name.
    """

    path: str
    name: str
    is_folder: bool


def find_roots(paths: Sequence[str], skip: Skip) -> list[Root]:
    """Return what can be read of *paths*, in their order, but what lies in another dropped folder last."""
    found: dict[str, Root] = {}
    folders: dict[str, str] = {}
    for path in paths:
        root = _root(path, skip)
        if root is not None:
            found.setdefault(_real(root.path, folders), root)
    tops = {real for real, root in found.items() if root.is_folder}
    inside = {real for real in found if any(parent in tops for parent in _parents(real))}
    outside = [root for real, root in found.items() if real not in inside]
    return outside + [found[real] for real in sorted(inside, key=len)]


def root_name(path: str) -> str:
    """Return the remote name of a dropped path; a whole disk has no name of its own."""
    drive, rest = os.path.splitdrive(path)
    return remote_name(os.path.basename(rest.rstrip(os.sep))) or drive.rstrip(":\\/") or "Disk"


def missing_or_unreadable(error: OSError) -> SkipReason:
    """Return why the system does not show a path."""
    gone = isinstance(error, FileNotFoundError | NotADirectoryError)
    return SkipReason.MISSING if gone else SkipReason.UNREADABLE


def _root(path: str, skip: Skip) -> Root | None:
    place = os.path.abspath(path)
    try:
        status = os.lstat(place)
        name = root_name(place)
        if stat.S_ISLNK(status.st_mode):
            status = os.stat(place)
            place = os.path.realpath(place)
    except (OSError, ValueError) as error:
        gone = missing_or_unreadable(error) if isinstance(error, OSError) else SkipReason.MISSING
        skip(path, SkipReason.NOT_LOCAL if "://" in path else gone)
        return None
    if stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode):
        return Root(place, name, stat.S_ISDIR(status.st_mode))
    skip(path, SkipReason.SPECIAL)
    return None


def _real(path: str, known: dict[str, str]) -> str:
    """Return the real path; thousands of files are dropped out of few folders, so those are asked once."""
    folder, name = os.path.split(path)
    if folder not in known:
        known[folder] = os.path.realpath(folder)
    return os.path.join(known[folder], name)


def _parents(path: str) -> Iterator[str]:
    parent = os.path.dirname(path)
    while parent != path:
        yield parent
        path, parent = parent, os.path.dirname(parent)
