"""The JSON that goes in and out, in the words of Doorito's models."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from app.server.api.doorito.numbers import LARGEST_CHUNK_BYTES, ranges
from app.server.api.doorito.rules import SESSION_STATUS, Session
from app.server.batches import BatchRecord
from app.server.body import RequestBody
from app.server.files import FileRecord
from app.server.problems import Problem
from app.server.states import BatchStatus, FileStatus

LINGER_SECONDS = 1.0
Key = Annotated[str, StringConstraints(min_length=1, max_length=255)]
_FILE_STATUS = {FileStatus.PENDING: "uploading"}
_BATCH_STATUS = {
    BatchStatus.PENDING: "init",
    BatchStatus.PROCESSING: "in_progress",
    BatchStatus.COMPLETED: "complete",
}


class SessionIn(BaseModel):
    """A file to be uploaded in parts."""

    original_filename: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    content_type: Annotated[str, StringConstraints(max_length=100)] = "application/octet-stream"
    total_size_bytes: int = Field(ge=0, le=2**53)
    batch_id: str | None = None
    idempotency_key: Key | None = Field(
        None, description="The same key again answers 200 with the same session."
    )
    chunk_size_bytes: int | None = Field(
        None, ge=1, le=LARGEST_CHUNK_BYTES, description="A wish; without it the server chooses."
    )


class BatchIn(BaseModel):
    """A batch to be made; every field may be left out."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=1000)] = "Upload"
    idempotency_key: Key | None = Field(
        None, description="The same key again answers 200 with the same batch."
    )


def session_created(session: Session) -> dict[str, Any]:
    """Show a session as its POST does."""
    return {
        "session_id": session.id,
        "chunk_size_bytes": session.chunk_size_bytes,
        "total_parts": session.total_parts,
        "status": session.status,
        "file_id": session.file.id,
        "batch_id": session.file.batch_id,
    }


def session_status(session: Session, received: list[int]) -> dict[str, Any]:
    """Show how far a session is; *received* are the numbers of its parts. Of a stored file all parts are here."""
    is_stored = session.file.status is FileStatus.STORED
    return {
        **session_created(session),
        "completed_parts": session.total_parts if is_stored else session.completed_parts,
        "received_parts": ranges(range(1, session.total_parts + 1) if is_stored else received),
        "bytes_received": session.file.size_bytes if is_stored else session.bytes_received,
        "total_size_bytes": session.file.size_bytes,
        "error_message": session.file.error_message,
        "cancelled_at": session.file.cancelled_at,
    }


def part_received(session: Session, number: int, size_bytes: int) -> dict[str, Any]:
    """Show a part that is there, and how far its session is."""
    return {
        "session_id": session.id,
        "part_number": number,
        "size_bytes": size_bytes,
        "status": "received",
        "completed_parts": session.completed_parts,
        "total_parts": session.total_parts,
    }


def finalized(session: Session) -> dict[str, Any]:
    """Show a session whose file is stored."""
    return {"session_id": session.id, "status": session.status, "file": shown(session.file, session.id)}


def shown(file: FileRecord, session_id: str | None) -> dict[str, Any]:
    """Show a file; *session_id* is None if it came by another API."""
    return {
        "file_id": file.id,
        "session_id": session_id,
        "batch_id": file.batch_id,
        "original_filename": file.filename,
        "content_type": file.extra.get("content_type", ""),
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "status": _FILE_STATUS.get(file.status, file.status.value),
        "uploaded_by": file.owner,
        "error_message": file.error_message,
        "created_at": file.created_at,
        "completed_at": file.completed_at,
        "cancelled_at": file.cancelled_at,
    }


def batch(record: BatchRecord) -> dict[str, Any]:
    """Show a batch and its counters."""
    return {
        "batch_id": record.id,
        "name": record.name,
        "status": _BATCH_STATUS.get(record.status, record.status.value),
        "total_files": record.counts.total,
        "stored_count": record.counts.stored,
        "failed_count": record.counts.failed,
        "cancelled_count": record.counts.cancelled,
        "progress_percentage": record.counts.progress_percentage,
        "created_by": record.owner,
        "created_at": record.created_at,
        "completed_at": record.completed_at,
        "cancelled_at": record.cancelled_at,
    }


def refuse(problem: Problem) -> Response:
    """Write a refusal; Doorito's word for «not in that state» is 409."""
    status = 409 if problem.code in {"not_cancellable", "cancelled", "failed"} else problem.status
    return JSONResponse(problem.body(), status, problem.headers)


def not_cancellable(problem: Problem, *, of_session: bool) -> Problem:
    """Say in Doorito's words where the thing stands that cannot be cancelled."""
    core_status = str(problem.extra.get("status", ""))
    if of_session:
        word, what = SESSION_STATUS[FileStatus(core_status)], "session"
    else:
        word, what = _BATCH_STATUS.get(BatchStatus(core_status), core_status), "batch"
    return Problem("not_cancellable", f"The {what} is {word}.", extra={"status": word})


def invalid(error: RequestValidationError) -> Response:
    """Write a request that does not fit as 400."""
    places = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    return refuse(Problem("invalid_request", places))


class Early(Response):
    """A refusal before the body is over: the sender may read it for a second, then the connection closes."""

    def __init__(self, answer: Response, body: RequestBody) -> None:
        super().__init__(answer.body, answer.status_code, dict(answer.headers) | {"Connection": "close"})
        self._unread = body

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await self._unread.linger(LINGER_SECONDS)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def answer_to_body(body: RequestBody, problem: Problem) -> Response:
    """Refuse a request whose body may not be over; raises :class:`DisconnectedError`."""
    await body.skip_small_rest()
    answer = refuse(problem)
    return answer if body.is_over else Early(answer, body)
