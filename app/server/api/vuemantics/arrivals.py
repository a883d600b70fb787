"""Files arrive in multipart bodies: each part streams to the disk while the next ones are still under way.

POST ──part──► batch with a seat ──part──► … ──last boundary──► seat given up: the batch can complete
       └─ cut, malformed or too much: the batch is cancelled and what it stored is deleted: nothing is left of it
       └─ batch cancelled meanwhile: 409 at once; what was stored before stays stored

The *seat* is one of the batch's `total_files` that is no file: it keeps the batch cancellable, and not `completed`, between
two parts, when all files it has so far are over.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import uuid4

from sqlalchemy import func, select
from starlette.requests import Request

from app.server import batches, files
from app.server.api.vuemantics.bodies import BulkUploadResult, FailedFile
from app.server.api.vuemantics.reading import NAME, RECEIVING
from app.server.appending import Body, DisconnectedError
from app.server.batches import BatchRecord, Change
from app.server.bodies_in import ChainBody
from app.server.core import Core
from app.server.database import Transaction
from app.server.files import NewFile
from app.server.multipart import Part, parts
from app.server.names import safe_name
from app.server.problems import Problem
from app.server.receiving import receive
from app.server.schema import batches as batch_table
from app.server.states import UNFINISHED, FileStatus

MOST_FILES = 1000
MOST_BATCH_BYTES = 10 * 1024**3
MOST_FILE_BYTES = 100 * 1024**2
MULTIPART_BYTES = 16 * 1024**2
"""Room for the boundaries and headers of a full body."""
TYPES = frozenset(
    "image/jpeg image/jpg image/png image/webp image/heic image/heif "
    "video/mp4 video/quicktime video/x-msvideo video/webm video/mpeg video/x-flv".split()
)
ENDS_ALL = frozenset(
    {
        "stopping",
        "database_busy",
        "database_unavailable",
        "batch_cancelled",
        "invalid_multipart",
        "upload_stalled",
    }
)
"""What is no single file's fault and ends the whole request."""
CUT = "The request was cut off or malformed; nothing of it was kept."
DIED = "The server stopped while the files arrived; those that had arrived are kept."


def require_total(size_bytes: int) -> None:
    """Raise `Problem("validation_failed")` for more bytes than one batch takes."""
    if size_bytes > MOST_BATCH_BYTES:
        raise Problem("validation_failed", "Total file size exceeds 10.0GB limit")


def require_name(part: Part) -> str:
    """Return the name a part has; raises `Problem("validation_failed")` if it has none."""
    if not part.filename:
        raise Problem("validation_failed", "No filename provided")
    return part.filename


async def store_part(core: Core, owner: str, upload_id: str, part: Part, batch_id: str | None) -> int:
    """Store one part as a file and return its size.

    Raises `Problem` content_type_unsupported, validation_failed (no name, no bytes), too_large, or what
    :func:`app.server.receiving.receive` raises; then no file is left of it, unless the sender is gone.
    """
    name = require_name(part)
    content_type = part.content_type.partition(";")[0].strip().lower()
    if content_type not in TYPES:
        raise Problem("content_type_unsupported", f"Unsupported file type: {content_type or 'unknown'}")
    first = await part.read()
    if first is None:
        raise Problem("validation_failed", "The file is empty.")
    body = _Counted(ChainBody([first], part))
    new = NewFile(
        id=upload_id,
        owner=owner,
        filename=name,
        relative_path=safe_name(name),
        size_bytes=None,
        batch_id=batch_id,
        origin=NAME,
        process=True,
        extra={"content_type": content_type},
        limit_bytes=MOST_FILE_BYTES,
    )
    try:
        await receive(core, new, body)
    except Problem as problem:
        if problem.code != "stopping":
            await forget(core, owner, upload_id)
        if problem.code in {"too_large", "body_too_long"}:
            raise Problem("too_large", f"File exceeds {MOST_FILE_BYTES // 1024**2}MB limit") from None
        raise
    return body.read_bytes


class _Counted:
    def __init__(self, body: Body) -> None:
        self._body = body
        self.read_bytes = 0

    async def read(self) -> bytes | None:
        chunk = await self._body.read()
        self.read_bytes += len(chunk or b"")
        return chunk


async def forget(core: Core, owner: str, upload_id: str) -> None:
    """Delete a file in whatever state it is; a missing one is fine."""
    with suppress(Problem):
        file = await core.database.read(files.get, owner, upload_id)
        if file.status in UNFINISHED:
            with suppress(Problem):  # it may be over meanwhile
                await core.cancel_file(owner, upload_id, owner)
            file = await core.database.read(files.get, owner, upload_id)
        if file.status is FileStatus.STORED:
            await core.delete_file(owner, upload_id)
        else:
            await core.database.write(files.delete_row, owner, upload_id, core.now())


@dataclass(slots=True)
class BulkArrival:
    """One bulk POST. Its batch is made with its first file, so that a request without any makes none."""

    core: Core
    owner: str
    batch_id: str = field(default_factory=lambda: str(uuid4()))
    upload_ids: list[str] = field(default_factory=list)
    refused: list[FailedFile] = field(default_factory=list)
    is_open: bool = False

    async def take(self, request: Request) -> BulkUploadResult | None:
        """Take the whole body; None if it had no file.

        Raises :class:`DisconnectedError` and `Problem`; of a request that is cut or malformed nothing is kept.
        """
        length = request.headers.get("content-length", "")
        require_total(int(length) - MULTIPART_BYTES if length.isascii() and length.isdigit() else 0)
        try:
            await self._take_parts(request)
        except (DisconnectedError, Problem) as error:
            if isinstance(error, Problem) and error.code == "batch_cancelled":
                await self._close()
                raise Problem("batch_cancelled", "Batch was cancelled", extra=self._so_far()) from None
            if not isinstance(error, Problem) or error.code != "stopping":  # then the next start closes it
                await self._undo()
            raise
        if not self.is_open:
            return None
        await self._close()
        return BulkUploadResult(
            batch_id=self.batch_id,
            total_files=len(self.upload_ids) + len(self.refused),
            queued=len(self.upload_ids),
            failed=len(self.refused),
            upload_ids=self.upload_ids,
            failed_files=self.refused,
        )

    def _so_far(self) -> dict[str, object]:
        return {"batch_id": self.batch_id, "upload_ids": self.upload_ids}

    async def _take_parts(self, request: Request) -> None:
        total_bytes = 0
        async for part in parts(request, most_parts=MOST_FILES):
            if part.name == "files":
                if part.filename is None:
                    raise Problem("validation_failed", "Expected a file with a name in “files”")
                if not self.is_open:
                    await self.core.database.write(_open, self.core, self.owner, self.batch_id)
                    self.is_open = True
                total_bytes += await self._take(part)
                require_total(total_bytes)

    async def _take(self, part: Part) -> int:
        upload_id = str(uuid4())
        try:
            size_bytes = await store_part(self.core, self.owner, upload_id, part, self.batch_id)
        except Problem as problem:
            if problem.code in ENDS_ALL:
                raise
            if problem.code == "cancelled":
                await self._require_batch()
            self.refused.append(FailedFile(filename=part.filename or "unknown", error=problem.detail))
            return 0
        except DisconnectedError:
            self.upload_ids.append(upload_id)  # it may have a row: undone with the others
            raise
        self.upload_ids.append(upload_id)
        return size_bytes

    async def _require_batch(self) -> None:
        """A file was cancelled in the middle: was it the whole batch?"""
        batch = await self.core.database.read(batches.get, self.owner, self.batch_id)
        if batch.cancelled_at is not None:
            raise Problem("batch_cancelled")

    async def _close(self) -> None:
        told = {"accepted": len(self.upload_ids), "refused": len(self.refused)}
        await self.core.database.write(close, self.owner, self.batch_id, self.core.now(), told)

    async def _undo(self) -> None:
        if not self.is_open:
            return
        with suppress(Problem):  # whoever was faster cancelled it
            await self.core.cancel_batch(self.owner, self.batch_id, self.owner)
        for upload_id in self.upload_ids:
            await forget(self.core, self.owner, upload_id)
        await self.core.database.write(close, self.owner, self.batch_id, self.core.now(), {"note": CUT})


def _open(tx: Transaction, core: Core, owner: str, batch_id: str) -> None:
    now = core.now()
    name = f"Bulk upload {now[:10]} {now[11:19].replace(':', '.')}"
    batches.create(
        tx,
        owner,
        name,
        None,
        now,
        core.storage.has_folder,
        batch_id=batch_id,
        origin=NAME,
        extra={RECEIVING: True},
    )
    batches.admit(tx, owner, batch_id, 0, None, now)


def close(tx: Transaction, owner: str, batch_id: str, now: str, told: Mapping[str, object]) -> BatchRecord:
    """Give up a batch's seat, once, and note *told* in it: nothing more will arrive."""
    record = batches.get(tx.connection, owner, batch_id)
    if not record.extra.get(RECEIVING):
        return batches.patch_extra(tx, owner, batch_id, told)
    batches.settle(tx, batch_id, now, Change(cancelled=1))
    batches.forget_unstored(tx, batch_id, 0, now, FileStatus.CANCELLED)
    return batches.patch_extra(tx, owner, batch_id, {RECEIVING: False, **told})


async def close_abandoned(core: Core) -> None:
    """Give up the seats that a server which died kept; one that another server still needs is only missed by its display."""
    await core.database.write(_close_abandoned, core.now())


def _close_abandoned(tx: Transaction, now: str) -> None:
    left = (batch_table.c.origin == NAME) & (func.json_extract(batch_table.c.extra, f"$.{RECEIVING}") == 1)
    for row in tx.execute(select(batch_table.c.owner, batch_table.c.id).where(left)).all():
        arrived = batches.get(tx.connection, row.owner, row.id).counts.stored
        close(tx, row.owner, row.id, now, {"note": DIED, "accepted": arrived})
