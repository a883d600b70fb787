"""The JSON bodies of vuemantics (schemas/user.py, schemas/upload.py, services/bulk_upload_service.py of the original)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_ADDRESS = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s.\x00-\x1f\x7f]+(\.[^@\s.\x00-\x1f\x7f]+)+")
_SPECIAL = set("!@#$%^&*()_+-=[]{}|;:,.<>?")

FileType = Literal["image", "video"]
ProcessingStatus = Literal["pending", "analyzing", "embedding", "completed", "failed"]
BatchStatus = Literal["pending", "processing", "completed", "failed", "cancelled"]


def _unicode(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("value is not valid Unicode text") from None
    return text


Text = Annotated[str, AfterValidator(_unicode)]
"""JSON can carry half a character (a lone surrogate), which nothing can store or hash."""


def _address(text: str) -> str:
    if len(text) > 254 or not _ADDRESS.fullmatch(text):
        raise ValueError("value is not a valid email address")
    return text.lower()


def _password(text: str) -> str:
    kinds = {
        "an uppercase letter": any(one.isupper() for one in text),
        "a lowercase letter": any(one.islower() for one in text),
        "a digit": any(one.isdigit() for one in text),
        "a special character": any(one in _SPECIAL for one in text),
    }
    missing = [name for name, is_there in kinds.items() if not is_there]
    if missing:
        raise ValueError(f"Password must contain {', '.join(missing)}")
    return text


class Registration(BaseModel):
    """Somebody who wants an account."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[Text, AfterValidator(_address)]
    password: Annotated[Text, Field(min_length=8, max_length=72), AfterValidator(_password)]


class RefreshRequest(BaseModel):
    """A refresh token to be exchanged."""

    refresh_token: Text


class UserResponse(BaseModel):
    """An account."""

    created_at: str
    updated_at: str
    email: str
    id: str
    is_active: bool = True


class TokenResponse(BaseModel):
    """What a login gives; `exp` is in the access token."""

    access_token: str
    refresh_token: str
    token_type: str = "bearer"  # noqa: S105 - the scheme's name


class FailedFile(BaseModel):
    """A file that was refused, and why."""

    filename: str
    error: str


class BulkUploadResult(BaseModel):
    """What became of a bulk POST; `upload_ids` are the accepted files and `failed_files` the others, each in the order sent."""

    batch_id: str
    total_files: int
    queued: int
    failed: int
    upload_ids: list[str]
    failed_files: list[FailedFile]


class BatchStatusResult(BaseModel):
    """A batch and its counters. `completed` means that nothing more will be done; the counts say how it went."""

    batch_id: str
    status: BatchStatus
    total_uploads: int
    processed_uploads: int
    successful_uploads: int
    failed_uploads: int
    cancelled_uploads: int = Field(description="Not in the original.")
    progress_percentage: float = Field(ge=0, le=100)
    is_complete: bool = Field(description="Whether nothing more will be done. Not in the original.")
    created_at: str
    started_at: str | None
    completed_at: str | None
    error_message: str | None


class UploadResponse(BaseModel):
    """A file; what a language model would add to it is null here."""

    created_at: str
    updated_at: str
    id: str
    user_id: str
    filename: str
    file_path: str
    file_type: FileType
    file_size: int
    mime_type: str
    processing_status: ProcessingStatus
    description: str | None = None
    description_audit_score: float | None = None
    embedding_local: list[float] | None = None
    has_embedding: bool = False
    thumbnail_path: str | None
    video_codec: str | None = None
    error_message: str | None
    metadata: dict[str, Any]
    hidden: bool = False
    regeneration_count: int = 0
    last_regenerated_at: str | None = None


class UploadPage(BaseModel):
    """Some files; `pages` is how many such pages there are."""

    items: list[UploadResponse]
    total: int
    page: int
    page_size: int
    pages: int


class Deleted(BaseModel):
    """How many files a bulk delete has deleted."""

    deleted: int
