"""Opens what lies deeper than the system's longest path, step by step from folder to folder."""

import errno
import os

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
# O_PATH needs no permission to list the folders on the way, as no path lookup does.
_ON_THE_WAY = _FOLDER | getattr(os, "O_PATH", 0)
_CAN_STEP = os.open in os.supports_dir_fd


def open_long(path: str, flags: int) -> int:
    """Return a file descriptor of absolute *path*, like ``os.open``; a path of any length works where the system can.

    Only the last component obeys ``O_NOFOLLOW``. Raises OSError.
    """
    try:
        return os.open(path, flags)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG or not _CAN_STEP:
            raise
    folder, name = os.path.split(path)
    folder_fd = _open_stepwise(folder)
    try:
        return os.open(name, flags, dir_fd=folder_fd)
    finally:
        os.close(folder_fd)


def open_folder(path: str) -> int:
    """Return a file descriptor of the folder at *path*, for ``os.scandir`` and ``dir_fd``. Raises OSError."""
    return open_long(path, _FOLDER)


def _open_stepwise(folder: str) -> int:
    fd = os.open(os.sep, _ON_THE_WAY)
    for part in filter(None, folder.split(os.sep)):
        try:
            deeper = os.open(part, _ON_THE_WAY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = deeper
    return fd
