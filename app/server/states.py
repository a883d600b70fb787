"""The states of files and batches on the server, and the one place where a batch's status is derived.

file:   pending ──first byte──► uploading ──last byte, right hash──► stored ──delete──► (gone)
           │                        │
           ├──────── cancel ────────┴──► cancelled
           └─ wrong hash or expired ┴──► failed ──same Idempotency-Key──► pending

batch:  pending (no files) ─► processing (some unfinished) ─► completed | partial | failed
        and cancelled as soon as `cancelled_at` is set, which nothing undoes.
        A job that the batch counts (the processing of a stored file) keeps it `processing`, too.

job:    queued ─► processing ─► completed | failed (at the second try) | queued (at the first, or when its server died)
           └───────────┴── cancel ──► cancelled
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FileStatus(StrEnum):
    """Where one file stands; the value is what the database and the wire use."""

    PENDING = "pending"
    UPLOADING = "uploading"
    STORED = "stored"
    FAILED = "failed"
    CANCELLED = "cancelled"


class BatchStatus(StrEnum):
    """What a batch amounts to. Never stored."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobStatus(StrEnum):
    """Where one job stands."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


JOB_UNFINISHED = (JobStatus.QUEUED, JobStatus.PROCESSING)
"""The states that a cancel of a job may leave."""

UNFINISHED = (FileStatus.PENDING, FileStatus.UPLOADING)
"""The states that a cancel, an expiry or a completion may leave."""


@dataclass(frozen=True, slots=True)
class JobCounts:
    """The jobs a batch counts, as its row has them."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def processed(self) -> int:
        """Jobs that were worked off, well or not."""
        return self.completed + self.failed

    @property
    def over(self) -> int:
        """Jobs that will not change any more by themselves."""
        return self.processed + self.cancelled


NO_JOBS = JobCounts()


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """The counters of a batch, as its row has them."""

    total: int
    stored: int
    failed: int
    cancelled: int

    @property
    def over(self) -> int:
        """Files that will not change any more by themselves."""
        return self.stored + self.failed + self.cancelled

    @property
    def progress_percentage(self) -> float:
        """Share of files that are over, with one decimal, never above 100."""
        return min(100.0, round(100 * self.over / self.total, 1)) if self.total else 0.0


def batch_status(counts: BatchCounts, *, cancelled: bool, jobs: JobCounts = NO_JOBS) -> BatchStatus:
    """Derive a batch's status; *cancelled* says whether the batch itself was cancelled."""
    if cancelled:
        return BatchStatus.CANCELLED
    if counts.total == 0:
        return BatchStatus.PENDING
    if counts.over < counts.total or jobs.over < jobs.total:
        return BatchStatus.PROCESSING
    if counts.failed == counts.total:
        return BatchStatus.FAILED
    if counts.cancelled == counts.total:
        return BatchStatus.CANCELLED
    return BatchStatus.PARTIAL if counts.failed else BatchStatus.COMPLETED
