"""The JSON bodies of our own API, version 1."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from app.server.batches import BatchRecord
from app.server.files import FileRecord
from app.server.jobs import JobRecord
from app.server.states import BatchStatus, FileStatus, JobStatus

BatchName = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=255)]


class BatchIn(BaseModel):
    """A batch to be made."""

    name: BatchName = Field(description="What a person calls it; its folder is made from this.")
    idempotency_key: Key | None = Field(None, description="The same key again answers with the same batch.")


class Batch(BaseModel):
    """A batch and its counters. Times are ISO 8601 with Z."""

    batch_id: str
    name: str
    folder: str = Field(description="The name of its folder under DATA/files.")
    status: BatchStatus
    total_files: int
    stored_count: int
    failed_count: int
    cancelled_count: int
    total_bytes: int
    stored_bytes: int
    progress_percentage: float = Field(ge=0, le=100, description="Share of files that are over.")
    processing_total: int = Field(description="Files that are processed after their arrival.")
    processing_completed: int
    processing_failed: int
    processing_cancelled: int
    created_at: str
    started_at: str | None
    completed_at: str | None
    cancelled_at: str | None

    @classmethod
    def of(cls, record: BatchRecord) -> Batch:
        """Show a batch."""
        return cls(
            batch_id=record.id,
            name=record.name,
            folder=record.folder,
            status=record.status,
            total_files=record.counts.total,
            stored_count=record.counts.stored,
            failed_count=record.counts.failed,
            cancelled_count=record.counts.cancelled,
            total_bytes=record.total_bytes,
            stored_bytes=record.stored_bytes,
            progress_percentage=record.counts.progress_percentage,
            processing_total=record.processing.total,
            processing_completed=record.processing.completed,
            processing_failed=record.processing.failed,
            processing_cancelled=record.processing.cancelled,
            created_at=record.created_at,
            started_at=record.started_at,
            completed_at=record.completed_at,
            cancelled_at=record.cancelled_at,
        )


class Processing(BaseModel):
    """What happens to a stored file that asked for it."""

    status: JobStatus
    attempts: int = Field(description="Each file is tried twice.")
    progress: int = Field(ge=0, le=100)
    stage: str | None
    error: str | None
    result: dict[str, Any] = Field(
        description="mime_type, width, height, thumbnail …; empty until completed."
    )

    @classmethod
    def of(cls, job: JobRecord | None) -> Processing | None:
        """Show a job, if there is one."""
        if job is None:
            return None
        return cls(
            status=job.status,
            attempts=job.attempts,
            progress=job.progress,
            stage=job.stage,
            error=job.error,
            result=dict(job.result),
        )


class File(BaseModel):
    """A file and how far it is."""

    file_id: str
    filename: str
    relative_path: str
    batch_id: str | None
    status: FileStatus
    size_bytes: int
    offset: int = Field(description="Bytes the server has.")
    sha256: str | None = Field(description="Of the stored file, as the server computed it.")
    stored_path: str | None = Field(description="Relative to DATA/files; null until stored.")
    created_at: str
    completed_at: str | None
    cancelled_at: str | None
    cancelled_by: str | None
    error_message: str | None
    processing: Processing | None

    @classmethod
    def of(cls, record: FileRecord, offset_bytes: int, job: JobRecord | None) -> File:
        """Show a file; *offset_bytes* is what the disk says."""
        return cls(
            file_id=record.id,
            filename=record.filename,
            relative_path=record.relative_path,
            batch_id=record.batch_id,
            status=record.status,
            size_bytes=record.size_bytes,
            offset=offset_bytes,
            sha256=record.sha256,
            stored_path=record.stored_path,
            created_at=record.created_at,
            completed_at=record.completed_at,
            cancelled_at=record.cancelled_at,
            cancelled_by=record.cancelled_by,
            error_message=record.error_message,
            processing=Processing.of(job),
        )


class BatchPage(BaseModel):
    """Some batches, the newest first."""

    items: list[Batch]
    total: int
    limit: int
    offset: int


class FilePage(BaseModel):
    """Some files of a batch, in the order of their creation."""

    items: list[File]
    total: int
    limit: int
    offset: int


class FileCancelled(BaseModel):
    """A cancelled file."""

    message: str = "Upload cancelled successfully"
    file_id: str
    filename: str
    cancelled_at: str


class BatchCancelled(BaseModel):
    """A cancelled batch: what was cancelled, and what had finished before."""

    message: str = "Batch upload cancelled successfully"
    batch_id: str
    cancelled_files_count: int
    finished_files_count: int
    total_files_in_batch: int
    finished_file_ids: list[str] = Field(description="At most 1,000; GET files?status=stored has them all.")
    cancelled_at: str


class Health(BaseModel):
    """The server is up and its database answers."""

    status: str = "ok"
    version: str


class Error(BaseModel):
    """Every error: a sentence for a person and a word for a program."""

    detail: str
    code: str
