"""The bytes of one unfinished file: its partial on the disk, the lock on it, and the hash of what is in it."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.server.locks import try_lock
from app.server.problems import Problem

if TYPE_CHECKING:
    from hashlib import _Hash

REHASH_BLOCK_BYTES = 1024 * 1024
_OPEN_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Partial:
    """An open, locked partial. Used by one thread at a time."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd
        self._busy = threading.Lock()  # a close waits for the block that is being written
        self.size_bytes = os.fstat(fd).st_size
        self.hash: _Hash = hashlib.sha256()
        self.hashed_bytes = 0

    @classmethod
    def open(cls, path: Path, *, create: bool = True) -> Partial:
        """Open or create the partial.

        Raises `Problem("locked")` while somebody else writes it, FileNotFoundError if there is none and none is to be.
        """
        while True:
            fd = os.open(path, _OPEN_FLAGS | (os.O_CREAT if create else 0), 0o666)
            if not try_lock(fd):
                os.close(fd)
                raise Problem("locked", headers={"Retry-After": "1"})
            if _is_still(path, fd):
                return cls(path, fd)
            os.close(fd)  # a cancel removed it between our open and our lock

    def write(self, blocks: Sequence[bytes]) -> None:
        """Append *blocks* and hash them. What a failing disk took is counted."""
        for block in blocks:
            rest = memoryview(block)
            while rest:
                with self._busy:
                    os.lseek(self._fd, self.size_bytes, os.SEEK_SET)
                    written = os.write(self._fd, rest)
                self.hash.update(rest[:written])
                self.size_bytes += written
                self.hashed_bytes += written
                rest = rest[written:]

    def rehash(self, should_stop: Callable[[], bool]) -> None:
        """Hash what is on the disk: after a restart the running hash is lost."""
        self.hash, self.hashed_bytes = hashlib.sha256(), 0
        while self.hashed_bytes < self.size_bytes and not should_stop():
            with self._busy:
                os.lseek(self._fd, self.hashed_bytes, os.SEEK_SET)
                block = os.read(self._fd, min(REHASH_BLOCK_BYTES, self.size_bytes - self.hashed_bytes))
            if not block:
                raise OSError(f"the partial {self.path.name} became shorter while it was read")
            self.hash.update(block)
            self.hashed_bytes += len(block)

    def cut_back(self, size_bytes: int, hash_then: _Hash) -> None:
        """Forget everything after *size_bytes*; *hash_then* is the hash up to there."""
        os.ftruncate(self._fd, size_bytes)
        self.size_bytes = self.hashed_bytes = size_bytes
        self.hash = hash_then

    def set_mtime(self, mtime_ns: int) -> None:
        """Give the file the time its sender's file has."""
        os.utime(self._fd if os.utime in os.supports_fd else self.path, ns=(mtime_ns, mtime_ns))

    def close(self) -> None:
        """Close the file and give the lock back. May be called twice."""
        with self._busy:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


def _is_still(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(fd))
    except FileNotFoundError:
        return False


class HashMemory:
    """The running hashes of partials nobody is writing at the moment, so that a resume need not read the disk."""

    def __init__(self, capacity: int = 1024) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[str, tuple[int, _Hash]] = OrderedDict()

    def keep(self, file_id: str, partial: Partial) -> None:
        """Remember the hash of *partial*, if it covers everything in it."""
        if partial.hashed_bytes == partial.size_bytes > 0:
            self._kept[file_id] = (partial.size_bytes, partial.hash)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)

    def give(self, file_id: str, partial: Partial) -> None:
        """Hand the remembered hash over to *partial*, if it belongs to exactly the bytes that are in it."""
        offset, remembered = self._kept.pop(file_id, (0, None))
        if remembered is not None and offset == partial.size_bytes:
            partial.hash, partial.hashed_bytes = remembered, offset

    def forget(self, file_id: str) -> None:
        """Drop the hash of a file that is over."""
        self._kept.pop(file_id, None)
