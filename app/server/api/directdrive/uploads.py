"""Files and batches of DirectDrive: announced by one request, asked for, and cancelled."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from uuid import uuid4

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import URL, Headers

from app.server import batches, files
from app.server.api.directdrive import rules
from app.server.api.directdrive.answers import NAME, batch_status, file_answer, file_status, shown_name
from app.server.api.directdrive.users import require_user, who_asks
from app.server.api.room import bearer
from app.server.batches import BatchRecord
from app.server.core import Core
from app.server.database import Transaction
from app.server.files import FileRecord, NewFile
from app.server.limits import address
from app.server.names import safe_name
from app.server.problems import Problem
from app.server.schema import batches as batches_table
from app.server.schema import files as files_table

T = TypeVar("T")

MAX_SIZE_BYTES = 10 * 2**30
ALL = 2**31
HISTORY_FILES = 1000
FILE_RATE = "600/minute"
BATCH_RATE = "60/minute"
"""Ours: the original has no limits of rate. Each user has these for themselves, who comes without a token for their address."""
CANCELLED_BY_USER = "user"
CANCELLED_BY_BATCH = "batch_cancel"

audit = logging.getLogger("uphaul.audit")
log = logging.getLogger("uphaul.directdrive")


class FileIn(BaseModel):
    """A file that is to come."""

    filename: Annotated[str, Field(max_length=4096)]
    size: Annotated[int, Field(gt=0, le=MAX_SIZE_BYTES)]
    content_type: Annotated[str, Field(max_length=255)]


class BatchIn(BaseModel):
    """Files that are to come together."""

    files: list[FileIn]


@dataclass(frozen=True, slots=True)
class Announced:
    """A file that now waits for its bytes, and the address a client shows with them."""

    new: NewFile
    upload_url: str


def router(core: Core) -> APIRouter:
    """Build the routes over one core."""
    api = APIRouter(prefix="/api/v1")
    _add_creating(api, core)
    _add_reading(api, core)
    _add_cancels(api, core)
    return api


def claims(core: Core) -> Callable[[Headers, str], Awaitable[bool]]:
    """Tell whose a path is that our own API has at the root, too: the cancels, and `/api/v1/files/{id}`.

    An id that one has by another API than this is our own API's. All else is answered here, as the original's clients expect it: who
    is a stranger to an id, or has no token, does not even learn that there is such an id.
    """
    known = bearer(core)

    async def is_ours(headers: Headers, path: str) -> bool:
        if path == "/":
            return False
        user = await known(headers)
        where = path.rpartition("/")[2]
        return user is None or await core.database.read(_origin, user.id, where) in {None, NAME}

    return is_ours


def _origin(connection: Connection, owner: str, some_id: str) -> str | None:
    """By which API a file or batch came; None if this owner has none of this id."""
    for table in (files_table, batches_table):
        found = connection.execute(
            select(table.c.origin).where(table.c.id == some_id, table.c.owner == owner)
        ).scalar()
        if found is not None:
            return str(found)
    return None


def _add_creating(api: APIRouter, core: Core) -> None:
    @api.post("/upload/initiate", tags=["upload"])
    async def initiate(request: Request, body: FileIn) -> dict[str, str]:
        """Announce one file; its bytes come by WebSocket."""
        core.limits.take(FILE_RATE, NAME, "initiate", who_asks(request))
        if (reason := rules.refusal(body.filename, body.content_type)) is not None:
            raise Problem("invalid_request", reason)
        [one] = await _announce(core, request, [body], None)
        return {
            "file_id": one.new.id,
            "gdrive_upload_url": one.upload_url,
            "filename": body.filename,
            "safe_filename_for_display": shown_name(body.filename),
        }

    @api.post("/batch/initiate", tags=["batch"])
    async def initiate_batch(request: Request, body: BatchIn) -> dict[str, Any]:
        """Announce files that belong together: all of them, or none."""
        core.limits.take(BATCH_RATE, NAME, "initiate batch", who_asks(request))
        for one in body.files:
            if (reason := rules.refusal(one.filename, one.content_type)) is not None:
                words = f"Upload rejected: dangerous file '{one.filename}' detected. {reason}"
                raise Problem("invalid_request", words)
        batch_id = str(uuid4())
        announced = await _announce(core, request, body.files, batch_id)
        return {
            "batch_id": batch_id,
            "files": [
                {
                    "file_id": one.new.id,
                    "gdrive_upload_url": one.upload_url,
                    "original_filename": one.new.filename,
                    "safe_filename_for_display": shown_name(one.new.filename),
                }
                for one in announced
            ],
        }

    @api.get("/upload/quota-info", tags=["upload"])
    async def quota() -> dict[str, str]:
        """Say that nobody has a quota here."""
        return {"message": "Upload limits are disabled"}


async def _announce(
    core: Core, request: Request, wanted: Sequence[FileIn], batch_id: str | None
) -> list[Announced]:
    announced = [_announced(request, one, batch_id) for one in wanted]
    largest = core.config.max_file_bytes
    if largest is not None and any(one.size > largest for one in wanted):
        raise Problem("too_large")
    await core.on_disk(core.storage.require_room, sum(one.size for one in wanted))
    await core.database.write(
        _create, core, request.state.owner, [one.new for one in announced], batch_id, core.now()
    )
    return announced


def _announced(request: Request, wanted: FileIn, batch_id: str | None) -> Announced:
    filename, owner, key = rules.sanitised(wanted.filename), request.state.owner, secrets.token_urlsafe(24)
    extra = {
        "original_filename": wanted.filename,
        "content_type": wanted.content_type,
        "ip_address": address(request),
        "key_sha256": _hash(key),
    }
    new = NewFile(
        str(uuid4()), owner, filename, safe_name(filename), wanted.size, batch_id, origin=NAME, extra=extra
    )
    base = str(request.base_url).rstrip("/")
    return Announced(new, f"{base}/ws_api/upload_parallel/{new.id}?upload_id={owner}.{key}")


def _create(
    tx: Transaction, core: Core, owner: str, new: Sequence[NewFile], batch_id: str | None, now: str
) -> None:
    if batch_id is not None:
        name = f"DirectDrive {now[:10]} {now[11:19].replace(':', '.')}"
        batches.create(
            tx, owner, name, None, now, core.storage.has_folder, batch_id=batch_id, origin=NAME, extra={}
        )
    for one in new:
        files.create(tx, one, most_files=core.config.max_batch_files, now=now, expires_at=core.expires_at())


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


async def find_for_socket(core: Core, owner: str, file_id: str, upload_url: str) -> FileRecord | None:
    """Return the file that a socket may bring bytes for: its user's, or the one whose address it shows.

    A browser cannot send headers with a WebSocket: the address that initiate gave has a key for this one file.
    """
    named, _, key = URL(upload_url).query.rpartition("upload_id=")[2].partition(".")
    for who in {owner, named} - {""}:
        try:
            file = await core.database.read(files.get, who, file_id)
        except Problem:
            continue
        fits = hmac.compare_digest(_hash(key), str(file.extra.get("key_sha256", "")))
        if file.origin == NAME and (who == owner or fits):
            return file
    return None


def _add_reading(api: APIRouter, core: Core) -> None:
    @api.get("/files/me/history", tags=["files"])
    async def history(request: Request) -> list[dict[str, Any]]:
        """List the files of whoever asks, the newest first."""
        found = await core.database.read(_history, require_user(request).id)
        return [file_answer(one) for one in found]

    @api.get("/files/{file_id}", tags=["files"])
    @api.get("/files/{file_id}/meta", tags=["files"])
    async def show(request: Request, file_id: str) -> dict[str, Any]:
        """Show one file."""
        return file_answer(await core.database.read(files.get, request.state.owner, file_id))

    @api.get("/batch/{batch_id}", tags=["batch"])
    async def show_batch(request: Request, batch_id: str) -> list[dict[str, Any]]:
        """Show all files of a batch, in the order in which they were announced."""
        await _batch_of_files(core, request.state.owner, batch_id)
        found, _ = await core.database.read(files.page, request.state.owner, batch_id, None, ALL, 0)
        return [file_answer(one) for one in found]


def _history(connection: Connection, owner: str) -> list[FileRecord]:
    ids = connection.execute(
        select(files_table.c.id)
        .where(files_table.c.owner == owner, files_table.c.origin == NAME)
        .order_by(files_table.c.seq.desc())
        .limit(HISTORY_FILES)
    ).scalars()
    return [files.get(connection, owner, file_id) for file_id in ids.all()]


async def _batch_of_files(core: Core, owner: str, batch_id: str) -> BatchRecord:
    batch = await core.database.read(batches.get, owner, batch_id)
    if batch.counts.total == 0:
        raise Problem("batch_not_found", "No files found for this batch")
    return batch


def _add_cancels(api: APIRouter, core: Core) -> None:
    @api.post("/upload/cancel/{file_id}", tags=["upload"])
    async def cancel(request: Request, file_id: str) -> dict[str, str | None]:
        """Cancel a file that is not over: its socket ends, and its bytes are gone when the answer leaves."""
        owner = request.state.owner
        try:
            file = await _saved(core.cancel_file(owner, file_id, CANCELLED_BY_USER))
        except Problem as problem:
            if problem.code != "not_cancellable":
                raise
            status = file_status(await core.database.read(files.get, owner, file_id))
            words = f"Cannot cancel file with status '{status}'. Only pending or uploading files can be cancelled."
            raise Problem("not_cancellable", words) from None
        audit.info("event=cancel_asked api=%s file_id=%s user=%s", NAME, file_id, owner)
        return {
            "message": "Upload cancelled successfully",
            "file_id": file.id,
            "filename": file.filename,
            "safe_filename_for_display": shown_name(file.filename),
            "cancelled_at": file.cancelled_at or core.now(),
        }

    @api.post("/batch/cancel/{batch_id}", tags=["batch"])
    async def cancel_batch(request: Request, batch_id: str) -> dict[str, Any]:
        """Cancel a batch with all its files that are not over, by one statement."""
        owner = request.state.owner
        await _batch_of_files(core, owner, batch_id)
        try:
            result = await _saved(core.cancel_batch(owner, batch_id, CANCELLED_BY_BATCH))
        except Problem as problem:
            if problem.code != "not_cancellable":
                raise
            status = batch_status(await core.database.read(batches.get, owner, batch_id))
            words = f"Cannot cancel batch with status '{status}'. Only pending or processing batches can be cancelled."
            raise Problem("not_cancellable", words) from None
        audit.info("event=cancel_asked api=%s batch_id=%s user=%s", NAME, batch_id, owner)
        return {
            "message": "Batch upload cancelled successfully",
            "batch_id": result.batch.id,
            "cancelled_files_count": result.cancelled_files,
            "total_files_in_batch": result.batch.counts.total,
            "cancelled_at": result.batch.cancelled_at,
        }


async def _saved(cancel: Awaitable[T]) -> T:
    """Do a cancel; a database that does not take it is the document's 500."""
    try:
        return await cancel
    except SQLAlchemyError:
        log.exception("event=cancel_not_saved")
    except Problem as problem:
        if problem.code not in {"database_busy", "database_unavailable", "disk_full"}:
            raise
    raise Problem("internal_error", "Failed to update file status")
