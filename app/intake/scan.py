"""The blocking walk over what was dropped. It runs in a thread, opens no file and follows no link."""

import os
import stat
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from app.domain.batch import IntakeReport, SkippedPath
from app.domain.paths import MAX_NAME_BYTES, RENAMING, SkipReason, cut_name, free_name, remote_name
from app.intake.roots import Root, find_roots, missing_or_unreadable
from app.intake.rules import Rules
from app.longpath import open_folder

_LISTED_SKIPS = 1000
_PLAIN_CHARS = MAX_NAME_BYTES // 4
_LONG_PATH_BYTES = (1024 if sys.platform == "darwin" else 4096) - 256
"""Where a name in the folder could make a path that the system refuses: such folders are read by descriptor."""
_CAN_LIST_FD = os.scandir in os.supports_fd
_JUNCTION = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0xA0000003)


class _Folder(NamedTuple):
    path: str
    prefix: str
    identity: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Found:
    """One file to upload. ``source`` is the absolute local path (undecodable bytes as surrogates), ``relative_path``
    the remote one: ``/`` between parts, NFC, unique in this drop. It begins with the dropped folder's own name, unless
    that folder is all there is in the drop: then the batch has its name."""

    source: str
    relative_path: str
    size_bytes: int
    mtime_ns: int


class Scan:
    """One walk, in order of names, files of a folder before its folders. Each folder is read once, each file found once.

    A folder is known by device and inode, so that neither a mount that shows itself again nor a folder dropped
    beside its parent is walked twice. ``is_stopped`` may be set from another thread and ends it at the next folder.
    """

    def __init__(self, rules: Rules) -> None:
        self.is_stopped = False
        self._rules = rules
        self._read_folders: set[tuple[int, int]] = set()
        self._taken_in: dict[str, frozenset[str]] = {}
        self._files = self._size_bytes = self._folders = self._empty_folders = 0
        self._skipped_count: Counter[SkipReason] = Counter()
        self._skipped: list[SkippedPath] = []

    def walk(self, paths: Sequence[str]) -> Iterator[Found]:
        """Yield the files below *paths*, or *paths* themselves."""
        names: set[str] = set()
        for root in find_roots(paths, self._skip):
            if root.is_folder:
                yield from self._walk_folder(root, None if len(paths) == 1 else names)
            else:
                yield from self._take_root_file(root, names)

    def report(self) -> IntakeReport:
        """Return what was found and what was not taken so far."""
        return IntakeReport(
            self._files,
            self._size_bytes,
            self._folders,
            self._empty_folders,
            tuple((reason.value, number) for reason, number in sorted(self._skipped_count.items())),
            tuple(self._skipped),
        )

    def _walk_folder(self, root: Root, names: set[str] | None) -> Iterator[Found]:
        try:
            identity = _identity(os.lstat(root.path))
        except OSError as error:
            self._skip(root.path, missing_or_unreadable(error))
            return
        if identity in self._read_folders:
            return  # it lies in another dropped folder and came with it
        prefix = "" if names is None else self._unique(root.path, root.name, names, is_folder=True) + "/"
        stack = [_Folder(root.path, prefix, identity)]
        while stack and not self.is_stopped:
            folder = stack.pop()
            below: list[_Folder] = []
            try:
                with _listing(folder.path) as entries:
                    self._enter(folder, entries)
                    yield from self._take(folder, entries, below)
            except OSError as error:
                self._skip(folder.path, missing_or_unreadable(error))
            stack.extend(reversed(below))

    def _enter(self, folder: _Folder, entries: list[os.DirEntry[str]]) -> None:
        self._read_folders.add(folder.identity)
        self._folders += 1
        self._empty_folders += not entries

    def _take(
        self, folder: _Folder, entries: list[os.DirEntry[str]], below: list[_Folder]
    ) -> Iterator[Found]:
        """Yield the files among *entries*, and put the folders into *below*. One ``stat`` each: most time goes here."""
        names: set[str] = set()
        prefix = os.path.join(folder.path, "")
        for entry in entries:
            name = entry.name
            path = prefix + name
            if reason := self._rules.reason(entry):
                self._skip(path, reason)
                continue
            try:
                is_folder = entry.is_dir(follow_symlinks=False)
                status = entry.stat(follow_symlinks=False)
                if is_folder and not status.st_ino:
                    status = os.lstat(path)  # Windows lists folders without their inodes
            except OSError as error:
                self._skip(path, missing_or_unreadable(error))
                continue
            if not is_folder and not stat.S_ISREG(status.st_mode):
                self._skip(path, SkipReason.LINK if entry.is_symlink() else SkipReason.SPECIAL)
                continue
            # Names of plain ASCII are as different as the system keeps them.
            if not name.isascii() or len(name) > _PLAIN_CHARS:
                name = self._unique(path, name, names, is_folder=is_folder)
            remote = folder.prefix + name
            if not is_folder:
                yield self._found(path, remote, status)
            elif _is_junction(status):
                self._skip(path, SkipReason.LINK)
            elif _identity(status) in self._read_folders:
                self._skip(path, SkipReason.LOOP)
            else:
                below.append(_Folder(path, f"{remote}/", _identity(status)))

    def _take_root_file(self, root: Root, names: set[str]) -> Iterator[Found]:
        try:
            status = os.lstat(root.path)
            if self._came_along(root.path):
                return
        except OSError as error:
            self._skip(root.path, missing_or_unreadable(error))
            return
        yield self._found(root.path, self._unique(root.path, root.name, names), status)

    def _came_along(self, path: str) -> bool:
        """Whether the walk over its folder has taken a file: it has, unless the rules left it out there."""
        folder, name = os.path.split(path)
        if folder not in self._taken_in:
            was_read = _identity(os.stat(folder)) in self._read_folders
            self._taken_in[folder] = self._visible(folder) if was_read else frozenset()
        return name in self._taken_in[folder]

    def _visible(self, folder: str) -> frozenset[str]:
        with _listing(folder) as entries:
            return frozenset(entry.name for entry in entries if self._rules.reason(entry) is None)

    def _unique(self, path: str, name: str, names: set[str], *, is_folder: bool = False) -> str:
        wanted = remote_name(name)
        if len(wanted.encode()) > MAX_NAME_BYTES:
            wanted = cut_name(wanted, is_folder=is_folder)
            self._skip(path, SkipReason.NAME_TOO_LONG)
        free = free_name(wanted, names, is_folder=is_folder)
        if free != wanted:
            self._skip(path, SkipReason.DUPLICATE_NAME)
        return free

    def _found(self, path: str, remote: str, status: os.stat_result) -> Found:
        self._files += 1
        self._size_bytes += status.st_size
        return Found(path, remote, status.st_size, status.st_mtime_ns)

    def _skip(self, path: str, reason: SkipReason) -> None:
        self._skipped_count[reason] += 1
        if reason not in RENAMING and len(self._skipped) < _LISTED_SKIPS:
            self._skipped.append(SkippedPath(path, reason.value))


@contextmanager
def _listing(path: str) -> Iterator[list[os.DirEntry[str]]]:
    """Read a folder, however deep it lies; the entries can be asked while the context is open."""
    fd = open_folder(path) if _CAN_LIST_FD and len(os.fsencode(path)) > _LONG_PATH_BYTES else -1
    try:
        scan = os.scandir(path) if fd < 0 else os.scandir(fd)
        with scan:
            entries = sorted(scan, key=attrgetter("name"))
        yield entries
    finally:
        if fd >= 0:
            os.close(fd)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _is_junction(status: os.stat_result) -> bool:
    """Windows: a folder that is a link to another one."""
    return getattr(status, "st_reparse_tag", 0) == _JUNCTION
