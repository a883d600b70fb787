"""Folders that ordinary means cannot make: deeper than the longest path, and closed even to root."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def deep_folder(top: Path, parts: Sequence[str]) -> Iterator[int]:
    """Make folders inside each other below *top*; gives a file descriptor of the deepest. Removed step by step."""
    fds = [os.open(top, os.O_RDONLY)]
    try:
        for part in parts:
            os.mkdir(part, dir_fd=fds[-1])
            fds.append(os.open(part, os.O_RDONLY, dir_fd=fds[-1]))
        yield fds[-1]
    finally:
        for name in os.listdir(fds[-1]):
            os.unlink(name, dir_fd=fds[-1])
        for part in reversed(parts[: len(fds) - 1]):
            os.close(fds.pop())
            os.rmdir(part, dir_fd=fds[-1])
        os.close(fds.pop())


@contextmanager
def as_nobody() -> Iterator[Path]:
    """Give a folder and take root's right to read everything away while the context is open."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, -1)
            os.seteuid(NOBODY)
            stack.callback(os.seteuid, 0)
        yield folder
