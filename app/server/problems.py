"""What can be wrong with a request: one exception, and the table of every code the server answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CODES: Mapping[str, tuple[int, str]] = {
    "invalid_request": (400, "The request is malformed."),
    "invalid_metadata": (400, "Upload-Metadata is malformed."),
    "unsafe_path": (400, "The path cannot be stored."),
    "not_cancellable": (400, "It is already over and cannot be cancelled."),
    "defer_length_unsupported": (400, "Upload-Defer-Length is not supported; send Upload-Length."),
    "checksum_algorithm_unsupported": (400, "Upload-Checksum must use sha256 or sha1."),
    "part_out_of_range": (400, "The session has no part of this number."),
    "part_size": (400, "The part does not have the size that its place in the file gives it."),
    "parts_missing": (400, "Not all parts of the file are here."),
    "short_body": (400, "The body ends before the file does."),
    "invalid_multipart": (400, "The multipart body is malformed."),
    "too_many_parts": (400, "The body has more parts than this address takes."),
    "token_invalid": (401, "The token is not valid."),
    "forbidden": (403, "That is not allowed."),
    "unauthorized": (401, "A valid bearer token is needed."),
    "not_found": (404, "There is no such page."),
    "file_not_found": (404, "There is no such file."),
    "batch_not_found": (404, "There is no such batch."),
    "job_not_found": (404, "There is no such job."),
    "session_not_found": (404, "There is no such upload session."),
    "event_not_found": (404, "There is no such event."),
    "method_not_allowed": (405, "This address does not take that method."),
    "upload_stalled": (408, "No byte arrived for too long; what arrived is kept."),
    "offset_conflict": (409, "Upload-Offset is not where the server stands."),
    "batch_cancelled": (409, "The batch is cancelled and takes no more files."),
    "batch_full": (409, "The batch has as many files as this server allows."),
    "idempotency_mismatch": (409, "This Idempotency-Key belongs to a file of another length or batch."),
    "conflict": (409, "That does not fit the present state."),
    "part_conflict": (409, "This part was received with other bytes."),
    "session_over": (409, "The session is over and takes no more parts."),
    "name_taken": (409, "There is a user of this name already."),
    "not_over": (409, "It is not over; cancel it first."),
    "not_stored": (409, "Only a stored file can be deleted; cancel it instead."),
    "cancelled": (410, "The file is cancelled."),
    "failed": (410, "The file has failed and cannot be continued."),
    "version_unsupported": (412, "Tus-Resumable must be 1.0.0."),
    "too_large": (413, "The file is larger than this server takes."),
    "body_too_long": (413, "The body goes beyond the file's length."),
    "content_type_unsupported": (415, "The body must be application/offset+octet-stream."),
    "validation_failed": (422, "The request does not fit the API."),
    "locked": (423, "Another request is writing this file."),
    "rate_limited": (429, "Too many requests."),
    "checksum_mismatch": (460, "The bytes that arrived do not have the checksum that was sent."),
    "internal_error": (500, "The server made a mistake; its log has the details."),
    "database_busy": (503, "The database is busy; try again."),
    "database_unavailable": (503, "The database cannot be used."),
    "stopping": (503, "The server is stopping; what arrived is kept."),
    "disk_full": (507, "There is not enough free disk space on the server."),
}


class Problem(Exception):
    """A refusal with an entry in :data:`CODES`; *detail* replaces its sentence, *extra* adds fields to the body."""

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.code = code
        self.status, sentence = CODES[code]
        self.detail = detail or sentence
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        super().__init__(self.detail)

    def body(self) -> dict[str, Any]:
        """Return the JSON object of the answer."""
        return {"detail": self.detail, "code": self.code, **self.extra}
