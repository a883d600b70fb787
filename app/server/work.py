"""Work on a stored file: what a processor gets, and how one is named so that another process finds it.

Server and helper (helper.py) both import this; it needs nothing of the database, so that a helper starts quickly.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from app.server.file_records import FileRecord
from app.server.job_records import JobRecord
from app.server.states import FileStatus, JobStatus
from app.server.storage import Storage

PROGRESS_SECONDS = 0.25


class Work:
    """What a processor gets."""

    def __init__(
        self,
        job: JobRecord,
        file: FileRecord | None,
        storage: Storage,
        tell: Callable[[int, str | None], None],
    ) -> None:
        self.job = job
        self.file = file
        self.storage = storage
        self._tell = tell
        self._told_at: float | None = None
        self._stage: str | None = None

    @property
    def path(self) -> Path:
        """Where the stored file is; a job without one has no path."""
        if self.file is None or self.file.stored_path is None:
            raise ValueError("this job has no stored file")
        return self.storage.stored_file(self.file.stored_path)

    def progress(self, percent: int, stage: str | None = None) -> None:
        """Tell how far it is, as often as one likes: who tells nothing for too long is taken for stuck, and ended."""
        now = time.monotonic()
        if self._told_at is not None and stage == self._stage and now - self._told_at < PROGRESS_SECONDS:
            return
        self._told_at, self._stage = now, stage
        self._tell(max(0, min(100, percent)), stage)


Processor = Callable[[Work], Mapping[str, Any]]
"""Runs in a helper process, in its main thread; returns what becomes the job's result (JSON). An exception is a failed
attempt, and its text the reason. When the job is cancelled, or the server ends, it is left wherever it is: its `finally`
blocks run (on POSIX, within `helper.GRACE_SECONDS`), then its process is gone."""


class Processors:
    """Which function works off which kind of job."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def __setitem__(self, kind: str, function: Processor) -> None:
        """Register a function that stands at the top of a module; raises ValueError for any other."""
        self._names[kind] = name_of(function)

    def name(self, kind: str) -> str | None:
        """Return `module:function` of a kind, or None."""
        return self._names.get(kind)


def name_of(function: Processor) -> str:
    """Return `module:function`, by which another process finds it; raises ValueError if that cannot be."""
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    try:
        is_found = attrgetter(name)(sys.modules[module]) is function
    except (KeyError, AttributeError):
        is_found = False
    if module == "__main__":  # the program itself: `python -m` knows under which name it can be imported
        module = getattr(sys.modules[module].__spec__, "name", "")
    if not is_found or not module:
        raise ValueError(f"{function!r} is not a function at the top of a module that others can import")
    return f"{module}:{name}"


def find(name: str) -> Processor:
    """Return the function of that name, importing its module."""
    module, _, path = name.partition(":")
    function: Processor = attrgetter(path)(import_module(module))
    return function


def order(function: str, job: JobRecord, file: FileRecord | None) -> dict[str, Any]:
    """Return a job as what is sent to a helper (JSON)."""
    return {"function": function, "job": asdict(job), "file": None if file is None else asdict(file)}


def records(order: Mapping[str, Any]) -> tuple[JobRecord, FileRecord | None]:
    """Return the job and the file of an :func:`order`."""
    job, file = order["job"], order["file"]
    if file is not None:
        file = FileRecord(**(file | {"status": FileStatus(file["status"])}))
    return JobRecord(**(job | {"status": JobStatus(job["status"])})), file
