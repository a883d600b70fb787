"""What vuemantics shows of batches and files, read from the core's rows in one snapshot; nothing is decided here."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from app.server import batches as batch_rules
from app.server.api.vuemantics.bodies import BatchStatus, BatchStatusResult, ProcessingStatus, UploadResponse
from app.server.batches import BatchRecord
from app.server.jobs import INSPECT
from app.server.problems import Problem
from app.server.schema import files, jobs
from app.server.states import BatchStatus as CoreStatus
from app.server.states import FileStatus, JobStatus

NAME = "vuemantics"
RECEIVING = "receiving"
"""In a batch's `extra` while its POST runs: one seat of its `total_files` is then kept for files that are still to come."""

_JOB = and_(jobs.c.file_id == files.c.id, jobs.c.kind == INSPECT)
_UPLOADS = select(
    files.c.id,
    files.c.owner,
    files.c.batch_id,
    files.c.filename,
    files.c.status,
    files.c.size_bytes,
    files.c.stored_path,
    files.c.created_at,
    func.coalesce(
        jobs.c.completed_at, jobs.c.started_at, files.c.completed_at, files.c.cancelled_at, files.c.created_at
    ).label("updated_at"),
    files.c.error_message,
    files.c.extra,
    jobs.c.status.label("job_status"),
    jobs.c.error.label("job_error"),
    jobs.c.result.label("job_result"),
).select_from(files.outerjoin(jobs, _JOB))

_IS: dict[str, ColumnElement[bool]] = {
    "pending": or_(
        files.c.status.in_([FileStatus.PENDING, FileStatus.UPLOADING]),
        and_(files.c.status == FileStatus.STORED, jobs.c.status == JobStatus.QUEUED),
    ),
    "analyzing": jobs.c.status == JobStatus.PROCESSING,
    "embedding": files.c.seq < 0,  # no model runs here: nothing is ever in this state
    "completed": jobs.c.status == JobStatus.COMPLETED,
    "failed": or_(
        files.c.status.in_([FileStatus.FAILED, FileStatus.CANCELLED]),
        jobs.c.status.in_([JobStatus.FAILED, JobStatus.CANCELLED]),
    ),
}
_SORTED_BY: dict[str, ColumnElement[Any]] = {
    "created_at": files.c.seq,
    "updated_at": _UPLOADS.selected_columns.updated_at,
    "file_size": files.c.size_bytes,
    "filename": files.c.filename,
}


def upload(connection: Connection, owner: str, upload_id: str) -> UploadResponse:
    """Return one file; raises `Problem("file_not_found")`."""
    mine = (files.c.id == upload_id) & (files.c.owner == owner) & (files.c.origin == NAME)
    row = connection.execute(_UPLOADS.where(mine)).first()
    if row is None:
        raise Problem("file_not_found")
    return _upload(row)


def owned(connection: Connection, owner: str, upload_ids: Collection[str]) -> list[str]:
    """Return those of the ids that are files of this owner and this API."""
    mine = (files.c.owner == owner) & (files.c.origin == NAME) & files.c.id.in_(upload_ids)
    return list(connection.execute(select(files.c.id).where(mine)).scalars())


def uploads(
    connection: Connection,
    owner: str,
    *,
    status: ProcessingStatus | None,
    file_type: str | None,
    show_hidden: bool,
    sort_by: str,
    is_descending: bool,
    limit: int,
    offset: int,
) -> tuple[list[UploadResponse], int]:
    """Return files of an owner, and how many match in all."""
    wanted = (files.c.owner == owner) & (files.c.origin == NAME)
    if status is not None:
        wanted &= _IS[status]
    if file_type is not None:
        wanted &= func.json_extract(files.c.extra, "$.content_type").like(f"{file_type}/%")
    if not show_hidden:
        wanted &= func.coalesce(func.json_extract(files.c.extra, "$.hidden"), 0) == 0
    by = _SORTED_BY[sort_by]
    order = (by.desc(), files.c.seq.desc()) if is_descending else (by.asc(), files.c.seq.asc())
    rows = connection.execute(_UPLOADS.where(wanted).order_by(*order).limit(limit).offset(offset))
    counted = select(func.count()).select_from(files.outerjoin(jobs, _JOB)).where(wanted)
    return [_upload(row) for row in rows], connection.execute(counted).scalar_one()


def _upload(row: Any) -> UploadResponse:
    extra = json.loads(row.extra)
    result = json.loads(row.job_result or "{}")
    folder = f"/files/{row.owner}/{row.id}"
    mime_type = extra["content_type"]
    return UploadResponse(
        created_at=row.created_at,
        updated_at=row.updated_at,
        id=row.id,
        user_id=row.owner,
        filename=row.filename,
        file_path=f"{folder}/original{PurePosixPath(row.filename).suffix}",
        file_type="video" if mime_type.startswith("video/") else "image",
        file_size=row.size_bytes,
        mime_type=mime_type,
        processing_status=_processing_status(row),
        thumbnail_path=f"{folder}/thumbnail.jpg" if result.get("thumbnail") else None,
        error_message=_upload_error(row),
        metadata=_metadata(row, extra, result),
        hidden=bool(extra.get("hidden", False)),
    )


def _processing_status(row: Any) -> ProcessingStatus:
    if row.status in {FileStatus.FAILED, FileStatus.CANCELLED}:
        return "failed"
    if row.status != FileStatus.STORED:
        return "pending"
    by_job: dict[str | None, ProcessingStatus] = {
        JobStatus.QUEUED: "pending",
        JobStatus.PROCESSING: "analyzing",
        JobStatus.COMPLETED: "completed",
        JobStatus.FAILED: "failed",
        JobStatus.CANCELLED: "failed",
    }
    return by_job.get(row.job_status, "completed")


def _upload_error(row: Any) -> str | None:
    if row.status == FileStatus.CANCELLED:
        return "Cancelled before it was stored."
    if row.job_status == JobStatus.CANCELLED:
        return "Cancelled before it was processed; the file is stored."
    if row.job_status == JobStatus.FAILED:
        return f"Failed after retry: {row.job_error}"
    message: str | None = row.error_message
    return message


def _metadata(row: Any, extra: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    found = {key: result[key] for key in ("width", "height") if result.get(key) is not None}
    if result:
        found |= {"detected_mime_type": result.get("mime_type"), "sha256_verified": result["sha256_verified"]}
    found |= {"original_filename": row.filename, "upload_source": "web"}
    if row.batch_id is not None:
        found |= {"batch_id": row.batch_id, "upload_source": "bulk"}
    if row.status == FileStatus.CANCELLED or row.job_status == JobStatus.CANCELLED:
        found["cancelled"] = True
    return found


def batch(connection: Connection, owner: str, batch_id: str) -> BatchStatusResult:
    """Return one batch; raises `Problem("batch_not_found")`."""
    record = batch_rules.get(connection, owner, batch_id)
    if record.origin != NAME:
        raise Problem("batch_not_found")
    return _batch(record, _starts(connection, [batch_id]).get(batch_id))


def batches(connection: Connection, owner: str, limit: int, offset: int) -> list[BatchStatusResult]:
    """Return batches, the newest first."""
    records, _ = batch_rules.page(connection, owner, limit, offset, origin=NAME)
    starts = _starts(connection, [one.id for one in records])
    return [_batch(one, starts.get(one.id)) for one in records]


def _starts(connection: Connection, batch_ids: Iterable[str]) -> dict[str, str]:
    """When the processing of each batch began."""
    rows = connection.execute(
        select(jobs.c.batch_id, func.min(jobs.c.started_at))
        .where(jobs.c.batch_id.in_(list(batch_ids)), jobs.c.started_at.is_not(None))
        .group_by(jobs.c.batch_id)
    )
    return {row[0]: row[1] for row in rows}


def seats(record: BatchRecord) -> int:
    """How many of a batch's `total_files` are no files: one while its POST runs."""
    return 1 if record.extra.get(RECEIVING) else 0


def _batch(record: BatchRecord, started_at: str | None) -> BatchStatusResult:
    counts, work = record.counts, record.processing
    total = counts.total - seats(record)
    failed = work.failed + counts.failed
    processed = min(total, work.completed + failed)
    status = batch_status(record, started_at)
    return BatchStatusResult(
        batch_id=record.id,
        status=status,
        total_uploads=total,
        processed_uploads=processed,
        successful_uploads=work.completed,
        failed_uploads=failed,
        cancelled_uploads=work.cancelled + counts.cancelled,
        progress_percentage=min(100.0, round(100 * processed / total, 1)) if total else 0.0,
        is_complete=status not in {"pending", "processing"},
        created_at=record.created_at,
        started_at=started_at,
        completed_at=record.completed_at or record.cancelled_at,
        error_message=_message(record, total, failed),
    )


def batch_status(record: BatchRecord, started_at: str | None) -> BatchStatus:
    """Say where a batch stands in the words of vuemantics. Nothing stays `pending` for ever."""
    status = record.status
    if status is CoreStatus.CANCELLED:
        return "cancelled"
    if status is CoreStatus.PROCESSING:
        return "pending" if started_at is None else "processing"
    counts, work = record.counts, record.processing
    if counts.total == 0:
        return (
            "completed" if record.extra.get("accepted") else "failed"
        )  # deleted since, or none was fit to be taken
    return "failed" if work.failed + counts.failed == counts.total else "completed"


def _message(record: BatchRecord, total: int, failed: int) -> str | None:
    cancelled = record.processing.cancelled + record.counts.cancelled
    refused = int(record.extra.get("refused", 0))
    said = [str(record.extra["note"])] if record.extra.get("note") else []
    if failed:
        said.append(f"{failed} of {_files(total)} failed.")
    if cancelled:
        said.append(f"{cancelled} of {_files(total)} {'was' if cancelled == 1 else 'were'} cancelled.")
    if refused:
        said.append(f"{_files(refused)} {'was' if refused == 1 else 'were'} refused when sent.")
    return " ".join(said) or None


def _files(number: int) -> str:
    return f"{number} file" if number == 1 else f"{number} files"
