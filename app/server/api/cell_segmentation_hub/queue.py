"""The segmentation queue: put images in, look, and take items out, also those in work."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from app.server.api.cell_segmentation_hub import queueing
from app.server.api.cell_segmentation_hub.envelope import conflict, missing, owner_of, said, success, uuid
from app.server.api.cell_segmentation_hub.images import SEGMENT
from app.server.api.cell_segmentation_hub.queueing import shown
from app.server.api.cell_segmentation_hub.segmenting import segment
from app.server.api.cell_segmentation_hub.sockets import Sockets
from app.server.core import Core
from app.server.jobs import JobRecord
from app.server.problems import Problem
from app.server.states import JobStatus

GONE = "Položka fronty nenalezena"


class BatchIn(BaseModel):
    """Images to segment."""

    imageIds: list[str] = Field(min_length=1, max_length=100)
    projectId: str


class _Cancels:
    """Takes items out."""

    def __init__(self, core: Core, sockets: Sockets) -> None:
        self._core, self._sockets = core, sockets

    async def one(self, user: str, queue_id: str) -> None:
        """Take one's own item out, waiting or in work; raises 404 for what is out already, 409 for what is done."""
        job_id = UUID(uuid(queue_id, "queueId")).hex
        try:
            await self._core.database.read(queueing.own, user, job_id)
            await self._core.cancel_job(user, job_id, user)
        except Problem as problem:
            if problem.status == 404 or problem.extra.get("status") == JobStatus.CANCELLED:
                raise missing(GONE) from None
            if problem.code != "not_cancellable":
                raise
            raise conflict("Queue item is over and cannot be removed", **problem.extra) from None

    async def all(self, user: str) -> dict[str, Any]:
        """Take out all items of a user, in every project."""
        return await self._several(user, None, f"user_{user}_all_segmentations")

    async def batch(self, user: str, asked: Mapping[str, Any]) -> None:
        """Take out what one `POST /api/queue/batch` of the user put in, or all, by `operationId`."""
        wanted = str(asked.get("operationId"))
        everything = wanted == f"user_{user}_all_segmentations"
        batch_id = None if everything else uuid(wanted, "operationId")
        if not (await self._several(user, batch_id, wanted))["cancelledCount"] and not everything:
            raise missing("Nothing of this batch is in the queue")

    async def _several(self, user: str, batch_id: str | None, operation_id: str) -> dict[str, Any]:
        stopped: list[JobRecord] = []
        for job in await self._core.database.read(queueing.unfinished, user, batch_id):
            with suppress(Problem):  # it ended by itself meanwhile
                stopped.append(await self._core.cancel_job(user, job.id, user))
        batches = {job.payload.get("queue_batch_id") for job in stopped} - {None}
        told = {
            "cancelledCount": len(stopped),
            "affectedProjects": sorted({job.payload["project_id"] for job in stopped}),
            "affectedBatches": sorted(str(one) for one in batches),
        }
        await self._sockets.to_user(user, "segmentation:bulk-cancelled", told)
        message = f"Segmentation cancelled - {len(stopped)} jobs stopped"
        operation = {"operationId": operation_id, "operationType": "segmentation", "message": message}
        await self._sockets.to_user(user, "operation:cancelled", {**operation, **told})
        return told


def add(app: FastAPI, core: Core, sockets: Sockets) -> None:
    """Add the routes and the work."""
    core.processors[SEGMENT] = segment

    async def told_stats(user: str, project_id: str) -> dict[str, Any]:
        return await core.database.read(queueing.stats, user, project_id)

    sockets.stats = told_stats
    cancels = _Cancels(core, sockets)
    sockets.cancels["segmentation"] = cancels.batch
    _add_filling(app, core)
    _add_looking(app, core)

    @app.delete("/api/queue/items/{queue_id}")
    async def remove(request: Request, queue_id: str) -> JSONResponse:
        """Take an item out, whether it waits or is in work; 404 for what is out already, 409 for what is done."""
        await cancels.one(owner_of(request), queue_id)
        return said("Položka odebrána z fronty")

    @app.post("/api/queue/cancel-all-user")
    async def remove_all(request: Request) -> JSONResponse:
        """Take out all items of the user, in every project."""
        told = await cancels.all(owner_of(request))
        return success({"success": True, **told}, "All user segmentations cancelled successfully")


def _add_filling(app: FastAPI, core: Core) -> None:
    @app.post("/api/queue/images/{image_id}")
    async def add_image(request: Request, image_id: str) -> JSONResponse:
        """Put one image in."""
        user = owner_of(request)
        made = await core.database.write(queueing.enqueue, user, [image_id], None, None, core.now())
        return success(shown(made[0]), "Obrázek přidán do fronty")

    @app.post("/api/queue/batch")
    async def add_images(request: Request, body: BatchIn) -> JSONResponse:
        """Put up to a hundred images of one project in, all or none."""
        user, batch_id = owner_of(request), str(uuid4())
        project_id = uuid(body.projectId, "projectId")
        made = await core.database.write(
            queueing.enqueue, user, body.imageIds, project_id, batch_id, core.now()
        )
        counts = {"queuedCount": len(made), "totalRequested": len(body.imageIds), "batchId": batch_id}
        return success(
            {**counts, "queueEntries": [shown(job) for job in made]}, f"{len(made)} obrázků přidáno do fronty"
        )


def _add_looking(app: FastAPI, core: Core) -> None:
    @app.get("/api/queue/stats")
    async def show_own_stats(request: Request) -> JSONResponse:
        """Count one's own items in all projects."""
        return success(await core.database.read(queueing.stats_of_user, owner_of(request)))

    @app.get("/api/queue/projects/{id}/stats")
    async def show_stats(request: Request, id: str) -> JSONResponse:
        """Count the items of a project."""
        return success(await core.database.read(queueing.stats, owner_of(request), id))

    @app.get("/api/queue/projects/{id}/items")
    async def show_items(request: Request, id: str) -> JSONResponse:
        """List the items of a project that wait or are in work."""
        found = await core.database.read(queueing.items, owner_of(request), id)
        return success([shown(job) for job in found])
