"""Where bytes lie: partials in DATA/partials/<file id>, finished files in DATA/files under their own names."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from app.server.directory import Directory
from app.server.names import numbered, split_path
from app.server.problems import Problem

MOST_ATTEMPTS = 100


class Storage:
    """DATA on the disk. Every method blocks: call it in a thread."""

    def __init__(self, data_dir: Path, *, min_free_bytes: int) -> None:
        self._partials = data_dir / "partials"
        self._files = data_dir / "files"
        self._thumbnails = data_dir / "thumbnails"
        self.parts_dir = data_dir / "parts"
        """What an API keeps of files that come in parts; it cleans up here itself."""
        self.workers_dir = data_dir / "workers"
        """One locked file a running server: what a dead one had in work can be told."""
        self._min_free_bytes = min_free_bytes

    def prepare(self) -> None:
        """Make the folders."""
        for folder in (self._partials, self._files, self._thumbnails, self.parts_dir, self.workers_dir):
            folder.mkdir(parents=True, exist_ok=True)

    def require_room(self, size_bytes: int) -> None:
        """Raise `Problem("disk_full")` if *size_bytes* more would leave less than the configured rest."""
        if shutil.disk_usage(self._partials).free - size_bytes < self._min_free_bytes:
            raise Problem("disk_full")

    def stored_file(self, stored_path: str) -> Path:
        """Return where a stored file is."""
        return self._files / stored_path

    def thumbnail_path(self, file_id: str) -> Path:
        """Return where the thumbnail (JPEG) of a file is, or would be."""
        return self._thumbnails / f"{file_id}.jpg"

    def drop_thumbnail(self, file_id: str) -> None:
        """Remove a thumbnail; a missing one is fine."""
        self.thumbnail_path(file_id).unlink(missing_ok=True)

    def partial_path(self, file_id: str) -> Path:
        """Return where the partial of a file is, or would be."""
        return self._partials / file_id

    def partial_size(self, file_id: str) -> int:
        """Return how many bytes have arrived: after a crash the disk knows better than the database."""
        try:
            return os.stat(self._partials / file_id, follow_symlinks=False).st_size
        except FileNotFoundError:
            return 0

    def place(self, file_id: str, names: Sequence[str]) -> str:
        """Give the finished partial its own name under DATA/files and return it, relative and with `/`.

        A taken name gets ` (2)`; a folder whose name belongs to a file or a link, too. The partial stays as a second
        name of the same file until :meth:`drop_partial`. Doing it again after a crash finds the name it gave before.
        """
        source = self.partial_path(file_id)
        for attempt in count(1):
            try:
                with ExitStack() as stack:
                    folder, walked = self._walk(stack, names[:-1], create=True)
                    return "/".join([*walked, _take_in(folder, source, names[-1])])
            except FileNotFoundError:  # a folder was pruned, or removed by a person, while we walked
                if attempt == MOST_ATTEMPTS or not source.exists():
                    raise
                self._files.mkdir(exist_ok=True)
        raise AssertionError("count() never ends")

    def unplace(self, file_id: str, stored_path: str) -> None:
        """Undo :meth:`place`: the bytes are a partial again."""
        *folders, name = stored_path.split("/")
        with ExitStack() as stack:
            folder, _ = self._walk(stack, folders, create=False)
            folder.give_back(name, self.partial_path(file_id))

    def _walk(self, stack: ExitStack, names: Sequence[str], *, create: bool) -> tuple[Directory, list[str]]:
        folder = stack.enter_context(Directory.root(self._files))
        walked: list[str] = []
        for wanted in names:
            folder, name = _enter(folder, wanted, create=create)
            stack.enter_context(folder)
            walked.append(name)
        return folder, walked

    def drop_partial(self, file_id: str) -> None:
        """Remove a partial; a missing one is fine."""
        self.partial_path(file_id).unlink(missing_ok=True)

    def discard(self, file_id: str, names: Sequence[str]) -> None:
        """Remove a partial, and the name it may have got from a server that died before it could say so."""
        path = self.partial_path(file_id)
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(path, follow_symlinks=False)
            if found.st_nlink > 1:
                self._remove_twin(found, names)
        self.drop_partial(file_id)

    def _remove_twin(self, partial: os.stat_result, names: Sequence[str]) -> None:
        with ExitStack() as stack, contextlib.suppress(FileNotFoundError):
            folder, _ = self._walk(stack, names[:-1], create=False)
            for number in count(1):
                name = numbered(names[-1], number)
                if os.path.samestat(folder.stat(name), partial):
                    folder.unlink(name)
                    return

    def remove(self, stored_path: str) -> None:
        """Remove a finished file, and the folders that are empty without it. A missing file is fine."""
        *folders, name = split_path(stored_path)
        with ExitStack() as stack:
            try:
                chain = [stack.enter_context(Directory.root(self._files))]
                for step in folders:
                    chain.append(stack.enter_context(chain[-1].enter(step, create=False)))
            except (FileNotFoundError, NotADirectoryError):
                return
            chain[-1].unlink(name)
            for parent, step in zip(reversed(chain[:-1]), reversed(folders), strict=True):
                if not parent.remove_empty(step):
                    return

    def has_folder(self, name: str) -> bool:
        """Whether DATA/files has something of this name already."""
        return os.path.lexists(self._files / name)

    def partial_ids(self) -> list[str]:
        """Return the names of all partials."""
        with os.scandir(self._partials) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]

    def drop_orphan(self, file_id: str, *, is_known: bool) -> None:
        """Remove a partial no upload needs. If no row knows the file, remove the name it may have got, too: its server died
        after it gave the name and before it could say so. (To find it, all of DATA/files is looked through.)"""
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(self.partial_path(file_id), follow_symlinks=False)
            if not is_known and found.st_nlink > 1:
                for path in _names_of(found, self._files):
                    self.remove(path)
        self.drop_partial(file_id)


def _enter(folder: Directory, wanted: str, *, create: bool) -> tuple[Directory, str]:
    for number in count(1):
        name = numbered(wanted, number)
        with contextlib.suppress(NotADirectoryError):
            return folder.enter(name, create=create), name
    raise AssertionError("count() never ends")


def _take_in(folder: Directory, source: Path, wanted: str) -> str:
    for number in count(1):
        name = numbered(wanted, number)
        try:
            folder.take_in(source, name)
        except FileExistsError:
            if not os.path.samestat(folder.stat(name), os.stat(source)):
                continue
        return name
    raise AssertionError("count() never ends")


def _names_of(wanted: os.stat_result, root: Path) -> list[str]:
    found = []
    for folder, _, names, fd in os.fwalk(root) if hasattr(os, "fwalk") else _walk_by_path(root):
        for name in names:
            path = name if fd is not None else os.path.join(folder, name)
            if os.path.samestat(os.stat(path, dir_fd=fd, follow_symlinks=False), wanted):
                found.append(Path(folder, name).relative_to(root).as_posix())
    return found


def _walk_by_path(root: Path) -> Iterator[tuple[str, list[str], list[str], int | None]]:
    for folder, folders, names in os.walk(root):
        yield folder, folders, names, None
