"""A file as its sender announces it, and as the database has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.server.states import FileStatus


@dataclass(frozen=True, slots=True)
class NewFile:
    """What a sender says about a file before its bytes."""

    id: str
    owner: str
    filename: str
    relative_path: str
    size_bytes: int | None
    """None: nobody knows before the last byte."""
    batch_id: str | None = None
    idempotency_key: str | None = None
    expected_sha256: str | None = None
    mtime_ns: int | None = None
    upload_metadata: str = ""
    origin: str = ""
    """The API it came by."""
    process: bool = False
    """Whether it is to be inspected when it is stored."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What only that API understands; JSON."""
    limit_bytes: int | None = None
    """The most that its API takes, beside what the server takes."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file as it stood in one snapshot."""

    id: str
    owner: str
    batch_id: str | None
    filename: str
    relative_path: str
    status: FileStatus
    size_bytes: int
    """0 as long as it is unknown."""
    offset_bytes: int
    """What the database knows; while a file is uploading, the disk knows better."""
    expected_sha256: str | None
    sha256: str | None
    mtime_ns: int | None
    stored_path: str | None
    upload_metadata: str
    created_at: str
    completed_at: str | None
    cancelled_at: str | None
    cancelled_by: str | None
    expires_at: str | None
    error_message: str | None
    origin: str
    process: bool
    is_sized: bool
    extra: Mapping[str, Any]
    folder: str | None
    """The folder of its batch under DATA/files."""

    @property
    def names(self) -> tuple[str, ...]:
        """The components of the path it wants under DATA/files."""
        own = tuple(self.relative_path.split("/"))
        return own if self.folder is None else (self.folder, *own)
