"""Our own API: batches, files and their cancel, as JSON under /api/v1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from app.server import batches, files, jobs
from app.server.api.bodies import (
    Batch,
    BatchCancelled,
    BatchIn,
    BatchPage,
    Error,
    File,
    FileCancelled,
    FilePage,
    Key,
)
from app.server.core import Core
from app.server.database import Transaction
from app.server.files import FileRecord
from app.server.jobs import JobRecord
from app.server.states import FileStatus

MAX_PAGE = 1000
MAX_IDS = 200
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Offset = Annotated[int, Query(ge=0, le=2**53)]
FileIds = Annotated[Sequence[str], Query(max_length=MAX_IDS)]


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Error} for status in (401, *statuses)}


def router(core: Core) -> APIRouter:
    """Build the routes over one core."""
    api = APIRouter(prefix="/api/v1")
    _add_batches(api, core)
    _add_files(api, core)
    _add_cancels(api, core)
    return api


def _add_batches(api: APIRouter, core: Core) -> None:
    @api.post(
        "/batches", status_code=201, tags=["batches"], responses={200: {"model": Batch}, **_errors(422)}
    )
    async def create_batch(request: Request, response: Response, body: BatchIn) -> Batch:
        """Make a batch; the same idempotency_key again answers 200 with the same batch."""
        batch, is_new = await core.database.write(
            batches.create,
            request.state.owner,
            body.name,
            body.idempotency_key,
            core.now(),
            core.storage.has_folder,
        )
        response.status_code = 201 if is_new else 200
        return Batch.of(batch)

    @api.get("/batches", tags=["batches"], responses=_errors(422))
    async def list_batches(request: Request, limit: Limit = 50, offset: Offset = 0) -> BatchPage:
        """List batches, the newest first."""
        found, total = await core.database.read(batches.page, request.state.owner, limit, offset)
        return BatchPage(items=[Batch.of(one) for one in found], total=total, limit=limit, offset=offset)

    @api.get("/batches/{batch_id}", tags=["batches"], responses=_errors(404, 422))
    async def get_batch(request: Request, batch_id: str) -> Batch:
        """Show one batch."""
        return Batch.of(await core.database.read(batches.get, request.state.owner, batch_id))


def _add_files(api: APIRouter, core: Core) -> None:
    async def shown(owner: str, records: Sequence[FileRecord]) -> list[File]:
        processed = [one.id for one in records if one.process]
        found = await core.database.read(jobs.of_files, owner, processed) if processed else {}
        return await core.on_disk(lambda: [_shown(core, one, found.get(one.id)) for one in records])

    @api.get("/batches/{batch_id}/files", tags=["files"], responses=_errors(404, 422))
    async def list_files(
        request: Request,
        batch_id: str,
        status: FileStatus | None = None,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> FilePage:
        """List the files of a batch, all or those of one status."""
        found, total = await core.database.read(
            files.page, request.state.owner, batch_id, status, limit, offset
        )
        items = await shown(request.state.owner, found)
        return FilePage(items=items, total=total, limit=limit, offset=offset)

    @api.get("/files", tags=["files"], responses=_errors(422))
    async def find_files(
        request: Request, idempotency_key: Key | None = None, file_id: FileIds = ()
    ) -> FilePage:
        """Show the files of these ids, at most 200 and only those there are; or, for a client that lost the answer, the
        one made with an Idempotency-Key: one item, or none."""
        owner = request.state.owner
        if idempotency_key is None:
            found = await core.database.read(files.some, owner, file_id)
        else:
            # Asked of the writer, so that a creation that is on its way into the database is found, too.
            one = await core.database.write(_find, owner, idempotency_key)
            found = [] if one is None else [one]
        items = await shown(owner, found)
        return FilePage(items=items, total=len(items), limit=MAX_IDS, offset=0)

    @api.get("/files/{file_id}", tags=["files"], responses=_errors(404, 422))
    async def get_file(request: Request, file_id: str) -> File:
        """Show one file."""
        found = await core.database.read(files.get, request.state.owner, file_id)
        return (await shown(request.state.owner, [found]))[0]

    @api.delete("/files/{file_id}", status_code=204, tags=["files"], responses=_errors(404, 409, 422))
    async def delete_file(request: Request, file_id: str) -> None:
        """Delete a stored file from the disk and from its batch."""
        await core.delete_file(request.state.owner, file_id)


def _add_cancels(api: APIRouter, core: Core) -> None:
    @api.post("/upload/cancel/{file_id}", tags=["cancel"], responses=_errors(400, 404, 422))
    async def cancel_file(request: Request, file_id: str) -> FileCancelled:
        """Cancel a file that is not over. Its bytes are gone from the disk when the answer leaves."""
        file = await core.cancel_file(request.state.owner, file_id, request.state.owner)
        return FileCancelled(file_id=file.id, filename=file.filename, cancelled_at=file.cancelled_at or "")

    @api.post("/batch/cancel/{batch_id}", tags=["cancel"], responses=_errors(400, 404, 422))
    async def cancel_batch(request: Request, batch_id: str) -> BatchCancelled:
        """Cancel a batch and all its files that are not over, by one statement."""
        result = await core.cancel_batch(request.state.owner, batch_id, request.state.owner)
        return BatchCancelled(
            batch_id=result.batch.id,
            cancelled_files_count=result.cancelled_files,
            finished_files_count=result.batch.counts.stored,
            total_files_in_batch=result.batch.counts.total,
            finished_file_ids=list(result.finished_ids),
            cancelled_at=result.batch.cancelled_at or "",
        )


def _shown(core: Core, record: FileRecord, job: JobRecord | None) -> File:
    running = record.status is FileStatus.UPLOADING
    return File.of(record, core.storage.partial_size(record.id) if running else record.offset_bytes, job)


def _find(tx: Transaction, owner: str, key: str) -> FileRecord | None:
    return files.find(tx.connection, owner, key)
