"""One open folder under DATA, walked a step at a time, so that no link is followed and no path is too long.

Where the system knows `openat` and friends (Linux, macOS), a folder is a descriptor. Elsewhere (Windows) it is a path,
and each step checks that it is a real folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from types import TracebackType

_BY_DESCRIPTOR = {os.open, os.mkdir, os.stat, os.unlink, os.rmdir, os.link, os.rename} <= os.supports_dir_fd
_NO_HARD_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EXDEV}

_JUNCTION = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0xA0000003)

_AS_IT_IS = {"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}


class Directory:
    """An open folder; use it as a context manager."""

    def __init__(self, path: Path, fd: int | None) -> None:
        self._path = path
        self._fd = fd

    @classmethod
    def root(cls, path: Path) -> Directory:
        """Open a folder that is trusted as it is."""
        return cls(path, os.open(path, os.O_RDONLY | os.O_DIRECTORY) if _BY_DESCRIPTOR else None)

    def __enter__(self) -> Directory:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        if self._fd is not None:
            os.close(self._fd)

    def _at(self, name: str) -> str:
        return name if self._fd is not None else os.path.join(self._path, name)

    def enter(self, name: str, *, create: bool) -> Directory:
        """Open the folder *name* in this one.

        Raises NotADirectoryError where a file or a link has that name, FileNotFoundError unless *create*.
        """
        try:
            return self._enter(name)
        except FileNotFoundError:
            if not create:
                raise
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._at(name), dir_fd=self._fd)
        return self._enter(name)

    def _enter(self, name: str) -> Directory:
        path = self._path / name
        if self._fd is None:
            if not _is_folder(os.lstat(path)):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
            return Directory(path, None)
        try:
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._fd)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name) from error
            raise
        return Directory(path, fd)

    def take_in(self, source: Path, name: str) -> None:
        """Give the file *source* the name *name* here, whole or not at all; raises FileExistsError if it is taken.

        *source* stays where it is as a second name of the same file, except on file systems without hard links.
        """
        try:
            os.link(source, self._at(name), dst_dir_fd=self._fd, **_AS_IT_IS)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            os.close(os.open(self._at(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=self._fd))
            os.replace(source, self._at(name), dst_dir_fd=self._fd)

    def give_back(self, name: str, target: Path) -> None:
        """Undo :meth:`take_in`."""
        if target.exists():
            self.unlink(name)
        else:
            os.replace(self._at(name), target, src_dir_fd=self._fd)

    def stat(self, name: str) -> os.stat_result:
        """Look at *name* itself, not at what it may point to."""
        return os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=False)

    def unlink(self, name: str) -> None:
        """Remove a file; a missing one is fine."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self._fd)

    def remove_empty(self, name: str) -> bool:
        """Remove a folder if nothing is in it; return whether it is gone."""
        try:
            os.rmdir(self._at(name), dir_fd=self._fd)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


def _is_folder(status: os.stat_result) -> bool:
    """Whether it is a folder of its own: Windows' junctions are links that look like folders.

    Not by comparing with the real path: DATA itself may be reached by a link, a mapped drive or a short name.
    """
    return stat.S_ISDIR(status.st_mode) and getattr(status, "st_reparse_tag", 0) != _JUNCTION
