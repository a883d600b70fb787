"""What an account remembers across restarts (clocks, ids of batches), one small JSON file each. Never a secret."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.settings import write_atomically

log = logging.getLogger(__name__)


class FileNotes:
    """The notes of one account; implements ``remote.account.Notes``.

    Read from the file each time, because another program may be the same account. A file that cannot be read counts as
    empty; one that cannot be written is told to the log, and then they are known for the life of the program: notes are
    a help, and no upload ends for want of them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unsaved: Mapping[str, Any] | None = None

    def read(self) -> Mapping[str, Any]:
        """Return what was written last, {} if nothing was (Notes.read)."""
        return _load(self._path) if self._unsaved is None else self._unsaved

    def write(self, values: Mapping[str, Any]) -> None:
        """Replace the whole file atomically (Notes.write)."""
        text = json.dumps(values, ensure_ascii=False, indent=1)
        try:
            write_atomically(self._path, text.encode())
        except OSError as error:
            self._unsaved = json.loads(text)
            log.warning("notes of an account were not saved in %s: %s", self._path, error.strerror)
        else:
            self._unsaved = None


def _load(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
