"""The rules of batches: one row of counters that changes with its files, in the same transaction, by SQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

from sqlalchemy import Connection, bindparam, case, func, select, update
from sqlalchemy.engine import Row

from app.server.database import Transaction
from app.server.events import Event, EventKind
from app.server.names import free_folder_name
from app.server.problems import Problem
from app.server.schema import batches, files, jobs
from app.server.states import (
    JOB_UNFINISHED,
    NO_JOBS,
    UNFINISHED,
    BatchCounts,
    BatchStatus,
    FileStatus,
    JobCounts,
    JobStatus,
    batch_status,
)

LISTED_FINISHED_IDS = 1000
"""A cancel names so many finished files; the list of files has them all."""


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch as it stood in one snapshot."""

    id: str
    owner: str
    name: str
    folder: str
    counts: BatchCounts
    total_bytes: int
    stored_bytes: int
    created_at: str
    started_at: str | None
    completed_at: str | None
    cancelled_at: str | None
    cancelled_by: str | None
    origin: str = ""
    """The API that made it."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    processing: JobCounts = NO_JOBS
    """The jobs over its files that it counts."""

    @property
    def status(self) -> BatchStatus:
        """What the batch amounts to."""
        return batch_status(self.counts, cancelled=self.cancelled_at is not None, jobs=self.processing)


@dataclass(frozen=True, slots=True)
class BatchCancel:
    """How a cancel of a batch went; `partials` names the files whose bytes must leave the disk now."""

    batch: BatchRecord
    cancelled_files: int
    finished_ids: tuple[str, ...]
    partials: tuple[tuple[str, str], ...]
    """Pairs of file id and relative path."""
    cancelled_jobs: tuple[str, ...] = ()
    """Ids of the jobs that must stop now."""


def _record(row: Row[Any]) -> BatchRecord:
    return BatchRecord(
        id=row.id,
        owner=row.owner,
        name=row.name,
        folder=row.folder,
        counts=BatchCounts(row.total_files, row.stored_count, row.failed_count, row.cancelled_count),
        total_bytes=row.total_bytes,
        stored_bytes=row.stored_bytes,
        created_at=row.created_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
        cancelled_at=row.cancelled_at,
        cancelled_by=row.cancelled_by,
        origin=row.origin,
        extra=json.loads(row.extra),
        processing=_job_counts(row),
    )


def _job_counts(row: Any) -> JobCounts:
    return JobCounts(row.jobs_total, row.jobs_completed, row.jobs_failed, row.jobs_cancelled)


def get(connection: Connection, owner: str, batch_id: str) -> BatchRecord:
    """Return one batch; raises `Problem("batch_not_found")`."""
    found = connection.execute(
        select(batches).where(batches.c.id == batch_id, batches.c.owner == owner)
    ).first()
    if found is None:
        raise Problem("batch_not_found")
    return _record(found)


def page(
    connection: Connection, owner: str, limit: int, offset: int, *, origin: str | None = None
) -> tuple[list[BatchRecord], int]:
    """Return batches, the newest first, and how many there are in all; *origin* picks those of one API."""
    mine = batches.c.owner == owner
    if origin is not None:
        mine &= batches.c.origin == origin
    rows = connection.execute(
        select(batches).where(mine).order_by(batches.c.seq.desc()).limit(limit).offset(offset)
    )
    total = connection.execute(select(func.count()).select_from(batches).where(mine)).scalar_one()
    return [_record(row) for row in rows], total


def create(
    tx: Transaction,
    owner: str,
    name: str,
    key: str | None,
    now: str,
    is_on_disk: Callable[[str], bool],
    *,
    batch_id: str | None = None,
    origin: str = "",
    extra: Mapping[str, Any] | None = None,
) -> tuple[BatchRecord, bool]:
    """Make a batch with a folder of its own, or find the one *key* made before; the flag says which."""
    if key is not None:
        known = tx.execute(
            select(batches).where(batches.c.owner == owner, batches.c.idempotency_key == key)
        ).first()
        if known is not None:
            return _record(known), False
    taken = set(tx.execute(select(batches.c.folder_key)).scalars())
    folder = free_folder_name(name, lambda it: it.casefold() in taken or is_on_disk(it))
    batch_id = batch_id or uuid4().hex
    tx.execute(
        batches.insert(),
        {
            "id": batch_id,
            "owner": owner,
            "idempotency_key": key,
            "name": name,
            "folder": folder,
            "folder_key": folder.casefold(),
            "created_at": now,
            "origin": origin,
            "extra": json.dumps(dict(extra or {})),
        },
    )
    tx.emit(Event(EventKind.BATCH_CREATED, owner, now, batch_id, data={"name": name, "origin": origin}))
    return get(tx.connection, owner, batch_id), True


def patch_extra(tx: Transaction, owner: str, batch_id: str, change: Mapping[str, Any]) -> BatchRecord:
    """Set some keys of a batch's `extra`; raises `Problem("batch_not_found")`."""
    extra = {**get(tx.connection, owner, batch_id).extra, **change}
    tx.execute(update(batches).where(batches.c.id == batch_id).values(extra=json.dumps(extra)))
    return get(tx.connection, owner, batch_id)


_OVER = batches.c.stored_count + batches.c.failed_count + batches.c.cancelled_count

_JOBS_OVER = batches.c.jobs_completed + batches.c.jobs_failed + batches.c.jobs_cancelled
_TOLD = [
    batches.c[name]
    for name in (
        "owner", "total_files", "stored_count", "failed_count", "cancelled_count", "jobs_total", "jobs_completed",
        "jobs_failed", "jobs_cancelled", "cancelled_at", "cancelled_by",
    )
]  # fmt: skip

_ADMIT = (
    update(batches)
    .where(
        batches.c.id == bindparam("batch"),
        batches.c.owner == bindparam("by_owner"),
        batches.c.cancelled_at.is_(None),
        batches.c.total_files < bindparam("most"),
    )
    .values(
        total_files=batches.c.total_files + 1,
        total_bytes=batches.c.total_bytes + bindparam("size"),
        started_at=func.coalesce(batches.c.started_at, bindparam("now")),
        completed_at=None,
    )
    .returning(batches.c.folder)
)

_SETTLE = (
    update(batches)
    .where(batches.c.id == bindparam("batch"))
    .values(
        stored_count=batches.c.stored_count + bindparam("stored"),
        failed_count=batches.c.failed_count + bindparam("failed"),
        cancelled_count=batches.c.cancelled_count + bindparam("cancelled"),
        stored_bytes=batches.c.stored_bytes + bindparam("size"),
        total_bytes=batches.c.total_bytes + bindparam("grown"),
        jobs_total=batches.c.jobs_total + bindparam("j_total"),
        jobs_completed=batches.c.jobs_completed + bindparam("j_completed"),
        jobs_failed=batches.c.jobs_failed + bindparam("j_failed"),
        jobs_cancelled=batches.c.jobs_cancelled + bindparam("j_cancelled"),
        completed_at=case(
            (
                (
                    _OVER + bindparam("stored") + bindparam("failed") + bindparam("cancelled")
                    >= batches.c.total_files
                )
                & (
                    _JOBS_OVER + bindparam("j_completed") + bindparam("j_failed") + bindparam("j_cancelled")
                    >= batches.c.jobs_total + bindparam("j_total")
                ),
                func.coalesce(batches.c.completed_at, bindparam("now")),
            ),
            else_=None,
        ),
    )
    .returning(*_TOLD)
)


def admit(
    tx: Transaction, owner: str, batch_id: str, size_bytes: int, most_files: int | None, now: str
) -> str:
    """Count one more file into a batch and return the batch's folder.

    Raises `Problem` batch_not_found, batch_cancelled or batch_full.
    """
    most = most_files if most_files is not None else 2**62
    folder: str | None = tx.execute(
        _ADMIT, {"batch": batch_id, "by_owner": owner, "most": most, "size": size_bytes, "now": now}
    ).scalar()
    if folder is None:
        batch = get(tx.connection, owner, batch_id)
        raise Problem("batch_cancelled" if batch.cancelled_at else "batch_full")
    return folder


@dataclass(frozen=True, slots=True)
class Change:
    """What one transaction adds to the counters of a batch."""

    stored: int = 0
    failed: int = 0
    cancelled: int = 0
    stored_bytes: int = 0
    grown_bytes: int = 0
    """How much longer a file became than it was thought to be."""
    jobs: JobCounts = NO_JOBS


def settle(tx: Transaction, batch_id: str | None, now: str, change: Change) -> None:
    """Add to the counters of a batch, in the transaction that changes the files or jobs; no batch is fine."""
    if batch_id is None:
        return
    row = tx.execute(
        _SETTLE,
        {
            "batch": batch_id,
            "now": now,
            "stored": change.stored,
            "failed": change.failed,
            "cancelled": change.cancelled,
            "size": change.stored_bytes,
            "grown": change.grown_bytes,
            "j_total": change.jobs.total,
            "j_completed": change.jobs.completed,
            "j_failed": change.jobs.failed,
            "j_cancelled": change.jobs.cancelled,
        },
    ).one()
    _tell(tx, batch_id, now, row, may_complete=min(change.stored, change.failed, change.cancelled) >= 0)


def _tell(tx: Transaction, batch_id: str, now: str, row: Row[Any], *, may_complete: bool) -> None:
    counts = BatchCounts(row.total_files, row.stored_count, row.failed_count, row.cancelled_count)
    job_counts = _job_counts(row)
    if row.cancelled_at is not None:
        kind = EventKind.BATCH_CANCELLED if row.cancelled_at == now else EventKind.BATCH_CHANGED
    else:
        is_over = counts.over >= counts.total and job_counts.over >= job_counts.total
        kind = EventKind.BATCH_COMPLETED if is_over and may_complete else EventKind.BATCH_CHANGED
    data: dict[str, Any] = {"counts": event_counts(counts, job_counts)}
    if kind is EventKind.BATCH_CANCELLED:
        data["by"] = row.cancelled_by
    tx.emit(Event(kind, row.owner, now, batch_id, data=data), total_of=("batch", batch_id))


def event_counts(counts: BatchCounts, jobs_of_batch: JobCounts) -> dict[str, int]:
    """Return the counters as events carry them."""
    return {
        "total": counts.total,
        "stored": counts.stored,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "jobs": jobs_of_batch.total,
        "jobs_completed": jobs_of_batch.completed,
        "jobs_failed": jobs_of_batch.failed,
        "jobs_cancelled": jobs_of_batch.cancelled,
    }


def forget_stored(
    tx: Transaction, batch_id: str | None, size_bytes: int, now: str, job_counts: JobCounts
) -> None:
    """Take a deleted file, and the jobs that were counted for it, out of the counters."""
    if batch_id is None:
        return
    _forget_one(tx, batch_id, size_bytes)
    gone = JobCounts(-job_counts.total, -job_counts.completed, -job_counts.failed, -job_counts.cancelled)
    settle(tx, batch_id, now, Change(stored=-1, stored_bytes=-size_bytes, jobs=gone))


def forget_unstored(
    tx: Transaction, batch_id: str | None, size_bytes: int, now: str, status: FileStatus
) -> None:
    """Take a file that failed or was cancelled out of the counters."""
    if batch_id is None:
        return
    _forget_one(tx, batch_id, size_bytes)
    failed = -1 if status is FileStatus.FAILED else 0
    settle(tx, batch_id, now, Change(failed=failed, cancelled=-1 - failed))


def _forget_one(tx: Transaction, batch_id: str, size_bytes: int) -> None:
    totals = {"total_files": batches.c.total_files - 1, "total_bytes": batches.c.total_bytes - size_bytes}
    tx.execute(update(batches).where(batches.c.id == batch_id).values(totals))


def cancel(tx: Transaction, owner: str, batch_id: str, by: str, now: str) -> BatchCancel:
    """Cancel a batch and every unfinished file of it, by one statement however many they are.

    Raises `Problem` batch_not_found, or not_cancellable with the current status when it is over.
    """
    batch = get(tx.connection, owner, batch_id)
    if batch.status not in {BatchStatus.PENDING, BatchStatus.PROCESSING}:
        raise Problem(
            "not_cancellable", f"The batch is {batch.status}.", extra={"status": batch.status.value}
        )
    inside = files.c.batch_id == batch_id
    partials = tx.execute(
        select(files.c.id, files.c.relative_path).where(inside, files.c.status == FileStatus.UPLOADING)
    ).all()
    cancelled = tx.execute(
        update(files)
        .where(inside, files.c.status.in_(UNFINISHED))
        .values(status=FileStatus.CANCELLED, cancelled_at=now, cancelled_by=by, expires_at=None)
    ).rowcount
    tx.execute(update(batches).where(batches.c.id == batch_id).values(cancelled_at=now, cancelled_by=by))
    stopped = _cancel_jobs(tx, batch_id, now)
    settle(tx, batch_id, now, Change(cancelled=cancelled, jobs=JobCounts(cancelled=len(stopped))))
    finished = tx.execute(
        select(files.c.id)
        .where(inside, files.c.status == FileStatus.STORED)
        .order_by(files.c.seq)
        .limit(LISTED_FINISHED_IDS)
    ).scalars()
    return BatchCancel(
        batch=get(tx.connection, owner, batch_id),
        cancelled_files=cancelled,
        finished_ids=tuple(finished),
        partials=tuple(cast("tuple[str, str]", tuple(row)) for row in partials),
        cancelled_jobs=stopped,
    )


def _cancel_jobs(tx: Transaction, batch_id: str, now: str) -> tuple[str, ...]:
    rows = tx.execute(
        update(jobs)
        .where(jobs.c.batch_id == batch_id, jobs.c.status.in_(JOB_UNFINISHED))
        .values(status=JobStatus.CANCELLED, completed_at=now)
        .returning(jobs.c.id, jobs.c.file_id, jobs.c.owner, jobs.c.kind)
    ).all()
    for row in rows:
        data = {"kind": row.kind}
        tx.emit(Event(EventKind.JOB_CANCELLED, row.owner, now, batch_id, row.file_id, row.id, data))
    return tuple(row.id for row in rows)
