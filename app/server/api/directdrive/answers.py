"""What DirectDrive's answers look like: files, users, and every refusal as `{"detail": …}`."""

from __future__ import annotations

import html
import json
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse, Response

from app.server.accounts import ANONYMOUS, User
from app.server.batches import BatchRecord
from app.server.files import FileRecord
from app.server.gate import request_id
from app.server.problems import CODES, Problem
from app.server.states import BatchStatus, FileStatus

NAME = "directdrive"

_WORDS = {
    "file_not_found": "File not found",
    "batch_not_found": "Batch not found",
    "not_found": "Not Found",
    "method_not_allowed": "Method Not Allowed",
    "unauthorized": "Could not validate credentials",
    "name_taken": "Email already registered",
}
_STATUS = {"name_taken": 400}


def refuse(problem: Problem) -> Response:
    """Write a refusal as FastAPI's HTTPException does, with the original's words where it has some."""
    is_plain = problem.detail == CODES[problem.code][1]
    detail = _WORDS.get(problem.code, problem.detail) if is_plain else problem.detail
    status = _STATUS.get(problem.code, problem.status)
    return JSONResponse({"detail": detail}, status, problem.headers)


def invalid(error: RequestValidationError) -> Response:
    """Write what does not fit the API as FastAPI does by itself; without `input` where that may be a password."""
    shown = [
        {key: value for key, value in one.items() if key != "input" or not _is_secret(one)}
        for one in error.errors()
    ]
    # JSON as Python reads it has NaN and lone surrogates, which no answer can carry as they are.
    plain = json.loads(json.dumps(shown, default=str), parse_constant=str)
    return Response(json.dumps({"detail": plain}), 422, media_type="application/json")


def _is_secret(one: dict[str, Any]) -> bool:
    value = one.get("input")
    return "password" in one["loc"] or (isinstance(value, dict) and "password" in value)


def crashed() -> Response:
    """Write the answer to a mistake of the server as the original's middleware does."""
    return JSONResponse({"error": "Internal server error", "request_id": request_id.get()}, 500)


def file_status(file: FileRecord) -> str:
    """Return the word of the original's UploadStatus."""
    return "completed" if file.status is FileStatus.STORED else file.status.value


def batch_status(batch: BatchRecord) -> str:
    """Return the word of the document's BatchStatus, which has none for a batch that lost some files."""
    return "completed" if batch.status is BatchStatus.PARTIAL else batch.status.value


def shown_name(filename: str) -> str:
    """Return a name that can stand in a page."""
    return html.escape(filename)


def file_answer(file: FileRecord) -> dict[str, Any]:
    """Return the original's FileMetadataInDB, with the two fields of the document that it leaves out."""
    is_anonymous = file.owner == ANONYMOUS.id
    return {
        "_id": file.id,
        "filename": file.filename,
        "original_filename": file.extra.get("original_filename", file.filename),
        "size_bytes": file.size_bytes,
        "content_type": file.extra.get("content_type", ""),
        "upload_date": file.created_at,
        "storage_location": None,
        "status": file_status(file),
        "gdrive_id": None,
        "gdrive_account_id": None,
        "backup_status": "none",
        "backup_location": None,
        "hetzner_remote_path": None,
        "owner_id": None if is_anonymous else file.owner,
        "ip_address": file.extra.get("ip_address"),
        "is_anonymous": is_anonymous,
        "daily_quota_used": file.size_bytes,
        "batch_id": file.batch_id,
        "cancelled_at": file.cancelled_at,
        "cancelled_by": file.cancelled_by,
        "error_message": file.error_message,
    }


def user_answer(user: User) -> dict[str, Any]:
    """Return the original's UserInDB; the hash of the password, which it shows, is null."""
    return {
        "_id": user.id,
        "email": user.name,
        "role": None,
        "is_admin": None,
        "storage_limit_bytes": None,
        "hashed_password": None,
        "google_id": None,
        "name": None,
        "picture": None,
        "is_google_user": False,
        "verified_email": False,
        "created_at": user.created_at,
        "last_login": None,
        "is_active": True,
    }
