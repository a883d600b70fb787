"""Batches: create, progress, files, cancel."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection

from app.server import batches, files
from app.server.api.doorito import answers, rules
from app.server.api.doorito.answers import BatchIn
from app.server.api.doorito.rules import NAME
from app.server.api.doorito.shelf import Shelf
from app.server.core import Core
from app.server.problems import Problem

Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=2**53)]


def router(core: Core, shelf: Shelf) -> APIRouter:
    """Build the routes below /batches."""
    api = APIRouter(prefix="/batches", tags=["batches"])
    _add_batches(api, core)
    _add_cancel(api, core, shelf)
    return api


def _add_batches(api: APIRouter, core: Core) -> None:
    @api.post("", status_code=201)
    async def create(request: Request, response: Response, body: BatchIn | None = None) -> dict[str, Any]:
        """Make a batch; the same idempotency_key again answers 200 with the same batch."""
        wanted = body or BatchIn.model_validate({})
        batch, is_new = await core.database.write(
            batches.create,
            request.state.owner,
            wanted.name,
            wanted.idempotency_key,
            core.now(),
            core.storage.has_folder,
            origin=NAME,
        )
        response.status_code = 201 if is_new else 200
        return answers.batch(batch)

    @api.get("/{batch_id}")
    async def detail(request: Request, batch_id: str) -> dict[str, Any]:
        """Show a batch and its counters."""
        return answers.batch(await core.database.read(batches.get, request.state.owner, batch_id))

    @api.get("/{batch_id}/files")
    async def list_files(
        request: Request, batch_id: str, limit: Limit = 100, offset: Offset = 0
    ) -> dict[str, Any]:
        """List the files of a batch in the order of their creation."""
        page = await core.database.read(_page, request.state.owner, batch_id, limit, offset)
        return {"batch_id": batch_id, **page, "limit": limit, "offset": offset}


def _page(connection: Connection, owner: str, batch_id: str, limit: int, offset: int) -> dict[str, Any]:
    found, total = files.page(connection, owner, batch_id, None, limit, offset)
    session_ids = rules.sessions_of_files(connection, [file.id for file in found])
    return {"files": [answers.shown(file, session_ids.get(file.id)) for file in found], "total": total}


def _add_cancel(api: APIRouter, core: Core, shelf: Shelf) -> None:
    @api.post("/{batch_id}/cancel")
    async def cancel(request: Request, batch_id: str) -> dict[str, Any]:
        """Cancel a batch and all its files that are not stored. Their parts are gone when the answer leaves."""
        owner = request.state.owner
        try:
            result = await core.cancel_batch(owner, batch_id, owner)
        except Problem as problem:
            if problem.code == "not_cancellable":
                raise answers.not_cancellable(problem, of_session=False) from None
            raise
        await shelf.discard(await core.database.read(rules.ids_over, file_id=None, batch_id=batch_id))
        return {
            "message": "Batch cancelled",
            **answers.batch(result.batch),
            "cancelled_files_count": result.cancelled_files,
            "finished_file_ids": list(result.finished_ids),
        }
