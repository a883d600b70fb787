"""Which process works on a batch: the one that holds its lock file. The system frees it when the process dies."""

from collections.abc import Container
from pathlib import Path

from filelock import FileLock, Timeout


class Ownership:
    """The locks this process holds, by batch id."""

    def __init__(self, locks_dir: Path) -> None:
        self._dir = locks_dir
        self._held: dict[str, FileLock] = {}

    def take(self, batch_id: str) -> bool:
        """Try to become the owner of a batch; False if another process is."""
        if batch_id in self._held:
            return True
        self._dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._dir / f"{batch_id}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        self._held[batch_id] = lock
        return True

    def is_free(self, batch_id: str) -> bool:
        """Whether nobody works on a batch: its program has ended, in order or not."""
        if batch_id in self._held or not self.take(batch_id):
            return False
        self._held.pop(batch_id).release()
        return True

    def sweep(self, known: Container[str]) -> None:
        """Remove the files of batches that the journal no longer has. A file in use stays: it may be about to matter."""
        for path in self._dir.glob("*.lock"):
            if path.stem not in known and self.take(path.stem):
                self._held.pop(path.stem).release()
                path.unlink(missing_ok=True)

    def release_all(self) -> None:
        """Let everything go, at the end of the program."""
        for lock in self._held.values():
            lock.release()
        self._held.clear()
