"""A lock on an open file that dies with its process, so that several servers may share one DATA."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import msvcrt
    import os

    _FAR_AWAY = 1 << 62  # Windows locks byte ranges: this one lies beyond every file

    def try_lock(fd: int) -> bool:
        """Take the exclusive lock of an open file if nobody has it; closing *fd* gives it back."""
        position = os.lseek(fd, 0, os.SEEK_CUR)
        try:
            os.lseek(fd, _FAR_AWAY, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(fd, position, os.SEEK_SET)
        return True

else:
    import fcntl

    def try_lock(fd: int) -> bool:
        """Take the exclusive lock of an open file if nobody has it; closing *fd* gives it back."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
