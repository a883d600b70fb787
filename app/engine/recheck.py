"""Looks at files again before they are retried: one that changed since intake is taken as it is now."""

import os
import stat
from collections.abc import Sequence

from app.domain.transfer import Transfer


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
