"""Looks at files again before they go: before a retry, and before many of them go in one request."""

import os
import stat
from collections.abc import Sequence

from app.domain.failure import Failure, TransferError
from app.domain.transfer import Transfer
from app.engine.localfile import LocalFile


def changed_files(transfers: Sequence[Transfer]) -> dict[str, tuple[int, int]]:
    """Return size in bytes and mtime in ns by transfer id, for regular files that differ from what intake saw.

    Blocks on the disk: call it in a thread. What cannot be looked at is left out; its attempt will say why.
    """
    changed: dict[str, tuple[int, int]] = {}
    for transfer in transfers:
        try:
            found = os.lstat(transfer.source)
        except (OSError, ValueError):
            continue
        same = (found.st_size, found.st_mtime_ns) == (transfer.size_bytes, transfer.mtime_ns)
        if stat.S_ISREG(found.st_mode) and not same:
            changed[transfer.id] = (found.st_size, found.st_mtime_ns)
    return changed


def failed_files(transfers: Sequence[Transfer]) -> dict[str, Failure]:
    """Return why files cannot be sent as intake saw them, by transfer id: opens each, reads none, blocks on the disk."""
    failures: dict[str, Failure] = {}
    for transfer in transfers:
        file = LocalFile(transfer.source, transfer.size_bytes, transfer.mtime_ns)
        try:
            file.open()
        except TransferError as error:
            failures[transfer.id] = error.failure
        finally:
            file.close()
    return failures
