"""One local file, opened without following links, hashed while it is read, and proved unchanged at its end.

Everything here blocks and runs in an executor thread, one call at a time.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Mapping

from app.domain.failure import Failure, FailureKind, TransferError
from app.longpath import open_long

BLOCK_BYTES = 1024 * 1024

# Never blocks on a FIFO that took the file's place, never follows a link that did.
_FLAGS = os.O_RDONLY
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT", "O_NOCTTY"):
    _FLAGS |= getattr(os, _name, 0)
_KNOWS_NOFOLLOW = hasattr(os, "O_NOFOLLOW")

_K = FailureKind
_ERRNO_KINDS: Mapping[int, FailureKind] = {
    errno.ENOENT: _K.FILE_GONE,
    errno.ENOTDIR: _K.FILE_GONE,
    errno.ESTALE: _K.FILE_GONE,
    errno.ELOOP: _K.FILE_NOT_REGULAR,
    errno.ENXIO: _K.FILE_NOT_REGULAR,  # a socket
    errno.EISDIR: _K.FILE_NOT_REGULAR,
    errno.EOPNOTSUPP: _K.FILE_NOT_REGULAR,
}
"""Why a file cannot be opened or read; everything else (EACCES, EIO, EMFILE…) is FILE_UNREADABLE."""


def file_failure(error: OSError) -> Failure:
    """Return the Failure for what the system said about a file; its path is not repeated."""
    kind = _ERRNO_KINDS.get(error.errno or 0, _K.FILE_UNREADABLE)
    return Failure(kind, os.strerror(error.errno) if error.errno else "the system refused it")


class LocalFile:
    """The file at *source* as intake saw it. Every method raises TransferError.

    The hash covers the bytes up to ``hashed_bytes``, without gaps; reading behind that point does not hash again.
    """

    def __init__(self, source: str, size_bytes: int, mtime_ns: int) -> None:
        self._source = source
        self._size_bytes = size_bytes
        self._mtime_ns = mtime_ns
        self._hash = hashlib.sha256()
        self._fd = -1
        self.hashed_bytes = 0

    def open(self) -> None:
        """Open the file; it must be a regular one, of the size and time it had at intake."""
        try:
            if not _KNOWS_NOFOLLOW and stat.S_ISLNK(os.lstat(self._source).st_mode):
                raise TransferError(Failure(_K.FILE_NOT_REGULAR, "it is a link now"))
            self._fd = open_long(self._source, _FLAGS)
            self._compare("since it was added")
        except OSError as error:
            raise TransferError(file_failure(error)) from None

    def read(self, offset_bytes: int, size_bytes: int) -> bytes:
        """Return exactly *size_bytes* at *offset_bytes*; with the file's last byte it is proved unchanged."""
        try:
            data = self._read(offset_bytes, size_bytes)
            if len(data) < size_bytes:
                raise TransferError(Failure(_K.FILE_CHANGED, "it became shorter while it was read"))
            if offset_bytes + size_bytes == self._size_bytes:
                self._compare("while it was read")
        except OSError as error:
            raise TransferError(file_failure(error)) from None
        new_at = self.hashed_bytes - offset_bytes
        if 0 <= new_at < size_bytes:
            self._hash.update(memoryview(data)[new_at:])
            self.hashed_bytes = offset_bytes + size_bytes
        return data

    def read_all(self) -> bytes:
        """Open, read, prove and close in one go."""
        try:
            self.open()
            return self.read(0, self._size_bytes)
        finally:
            self.close()

    def sha256(self) -> str:
        """Return the SHA-256 of the whole file, which must have been read to its end."""
        if self.hashed_bytes != self._size_bytes:
            raise TransferError(Failure(_K.INTERNAL, "the SHA-256 was asked for before the file was read"))
        return self._hash.hexdigest()

    def close(self) -> None:
        """Close it; twice is no error."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _read(self, offset_bytes: int, size_bytes: int) -> bytes:
        os.lseek(self._fd, offset_bytes, os.SEEK_SET)
        data = os.read(self._fd, size_bytes)
        while len(data) < size_bytes and (more := os.read(self._fd, size_bytes - len(data))):
            data += more  # a signal or a network file system may cut a read short
        return data

    def _compare(self, when: str) -> None:
        now = os.fstat(self._fd)
        if not stat.S_ISREG(now.st_mode):
            raise TransferError(Failure(_K.FILE_NOT_REGULAR, "it is not an ordinary file"))
        if now.st_size != self._size_bytes:
            raise TransferError(
                Failure(
                    _K.FILE_CHANGED, f"its size changed {when}: {self._size_bytes} to {now.st_size} bytes"
                )
            )
        if now.st_mtime_ns != self._mtime_ns:
            raise TransferError(Failure(_K.FILE_CHANGED, f"it was written to {when}"))
