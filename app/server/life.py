"""The life of one server process: a locked file in DATA/workers, so that others can tell whether it is dead."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from app.server.locks import try_lock


class Life:
    """This process as those who share DATA with it see it."""

    def __init__(self, folder: Path) -> None:
        self.id = uuid4().hex
        self._folder = folder
        self._fd = -1

    def begin(self) -> None:
        """Take the lock that lasts until the process ends, however it ends."""
        self._fd = os.open(self._folder / self.id, os.O_RDWR | os.O_CREAT, 0o600)
        try_lock(self._fd)

    def end(self) -> None:
        """Give the lock back; may be called twice."""
        if self._fd >= 0:
            (self._folder / self.id).unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = -1

    def is_dead(self, other: str) -> bool:
        """Whether the server of that id is gone; what is left of it is removed."""
        if other == self.id:
            return False
        path = self._folder / other
        try:
            fd = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            if not try_lock(fd):
                return False
            path.unlink(missing_ok=True)
            return True
        finally:
            os.close(fd)

    def bury(self) -> None:
        """Remove the files of all the dead."""
        for path in self._folder.iterdir():
            self.is_dead(path.name)
