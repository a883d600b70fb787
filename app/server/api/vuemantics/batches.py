"""The routes of batches: list, read, cancel."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from app.server.api.vuemantics import reading
from app.server.api.vuemantics.bodies import BatchStatusResult
from app.server.api.vuemantics.reading import NAME
from app.server.core import Core
from app.server.problems import Problem


def router(core: Core) -> APIRouter:
    """Build the routes below /v1/uploads/batches."""
    api = APIRouter(prefix="/v1/uploads/batches", tags=["batches"])

    @api.get("")
    async def page(
        request: Request, limit: Annotated[int, Query()] = 20, offset: Annotated[int, Query()] = 0
    ) -> list[BatchStatusResult]:
        """List batches, the newest first."""
        core.limits.take("30/minute", NAME, "batches", request.state.owner)
        if not 1 <= limit <= 100:
            raise Problem("validation_failed", "Limit must be between 1 and 100")
        if not 0 <= offset < 2**63:
            raise Problem("validation_failed", "Offset must be non-negative")
        return await core.database.read(reading.batches, request.state.owner, limit, offset)

    @api.get("/{batch_id}")
    async def one(request: Request, batch_id: UUID) -> BatchStatusResult:
        """Show a batch."""
        core.limits.take("60/minute", NAME, "batch", request.state.owner, str(batch_id))
        return await core.database.read(reading.batch, request.state.owner, str(batch_id))

    @api.post("/{batch_id}/cancel", status_code=204)
    async def cancel(request: Request, batch_id: UUID) -> None:
        """Cancel a batch: what arrives or is processed stops before the answer leaves. 409 when it is over."""
        owner = request.state.owner
        core.limits.take("60/minute", NAME, "cancel", owner, str(batch_id))
        batch = await core.database.read(reading.batch, owner, str(batch_id))
        if batch.is_complete:
            raise _over(batch)
        try:
            await core.cancel_batch(owner, str(batch_id), owner)
        except Problem as problem:
            if problem.code != "not_cancellable":
                raise
            raise _over(await core.database.read(reading.batch, owner, str(batch_id))) from None

    return api


def _over(batch: BatchStatusResult) -> Problem:
    return Problem("not_cancellable", f"Batch is already {batch.status}", extra={"status": batch.status})
