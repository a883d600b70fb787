"""What the fake of DirectDrive keeps of a file, and its rules about names and requests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_BLOCKED = (".exe", ".bat", ".cmd", ".msi")
_MOST_BYTES = 10 * 2**30


class Generation(Enum):
    """X has batches and the parallel socket; OLD has one socket, refuses at the handshake, and has no batch cancel."""

    X = auto()
    OLD = auto()


@dataclass
class FakeFile:
    """A row of its database, and the bytes at its Drive."""

    id: str
    original: str
    name: str
    size: int
    owner: str | None
    batch: str | None
    status: str = "pending"
    content: bytearray = field(default_factory=bytearray)
    upload_url: str = field(default="", repr=False)
    gdrive_id: str | None = None


def record(file: FakeFile) -> dict[str, Any]:
    """Return what the API shows of a file."""
    return {
        "_id": file.id, "filename": file.name, "original_filename": file.original, "size_bytes": file.size,
        "content_type": "", "upload_date": "2026-11-21T01:37:52.714000", "status": file.status, "owner_id": file.owner,
        "is_anonymous": file.owner is None, "batch_id": file.batch, "gdrive_id": file.gdrive_id,
    }  # fmt: skip


def sanitised(filename: str) -> str:
    """Return the name that a file is stored under."""
    name = re.sub(r"[/\\]", "_", filename).replace("..", "_")
    name = re.sub(r'[<>:"|?*]', "_", re.sub(r"[\x00-\x1f\x7f]", "", name))
    return f"file_{name[1:]}" if name.startswith(".") else name


def invalid(wanted: list[dict[str, Any]]) -> Response | None:
    """Return 422 for a request that does not fit."""
    for body in wanted:
        if not body:
            missing = [{"type": "missing", "loc": ["body", "filename"], "msg": "Field required"}]
            return JSONResponse({"detail": missing}, 422)
        if not 0 < body["size"] <= _MOST_BYTES:
            wrong = [
                {"type": "greater_than", "loc": ["body", "size"], "msg": "Input should be greater than 0"}
            ]
            return JSONResponse({"detail": wrong}, 422)
    return None


def dangerous(wanted: list[dict[str, Any]], *, together: bool) -> Response | None:
    """Return 400 for a file type that is blocked: one such file, and all are refused."""
    for body in wanted:
        if body["filename"].lower().endswith(_BLOCKED):
            words = f"File type '.{body['filename'].rpartition('.')[2]}' is not allowed for security reasons"
            if together:
                words = f"Upload rejected: dangerous file '{body['filename']}' detected. {words}"
            return JSONResponse({"detail": words}, 400)
    return None


async def root(_request: Request) -> Response:
    """Say what is here."""
    return JSONResponse({"message": "Welcome to the File Transfer API"})
