"""The segmentation queue: put images in, look, and take items out, also those in work."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection, func, select
from starlette.responses import JSONResponse

from app.server import jobs as job_rules
from app.server.api.cell_segmentation_hub import images, projects
from app.server.api.cell_segmentation_hub.envelope import conflict, missing, owner_of, said, success, uuid
from app.server.api.cell_segmentation_hub.images import SEGMENT
from app.server.api.cell_segmentation_hub.segmenting import segment
from app.server.api.cell_segmentation_hub.sockets import Sockets
from app.server.api.cell_segmentation_hub.tables import images as image_table
from app.server.core import Core
from app.server.database import Transaction
from app.server.jobs import JobRecord, NewJob
from app.server.problems import Problem
from app.server.schema import jobs
from app.server.states import JOB_UNFINISHED, JobStatus

GONE = "Položka fronty nenalezena"


class BatchIn(BaseModel):
    """Images to segment."""

    imageIds: list[str] = Field(min_length=1, max_length=100)
    projectId: str


def dashed(job_id: str) -> str:
    """Return a job's id as this API shows it: a UUID with dashes."""
    return str(UUID(job_id))


def shown(job: JobRecord) -> dict[str, Any]:
    """Return a queue item as the wire has it."""
    return {
        "id": dashed(job.id),
        "imageId": job.file_id,
        "projectId": job.payload["project_id"],
        "userId": job.owner,
        "status": job.status.value,
        "progress": job.progress,
        "error": job.error,
        "createdAt": job.created_at,
        "startedAt": job.started_at,
        "completedAt": job.completed_at,
    }


def _enqueue(tx: Transaction, user: str, image_ids: list[str], project_id: str | None, now: str) -> list[str]:
    """Ask for the segmentation of images; one that waits or is in work already is not asked for twice."""
    made = []
    for image_id in image_ids:
        image = images.get(tx.connection, user, image_id)
        if project_id is not None and image.project_id != project_id:
            raise missing("Image not found")
        if image.segmentation in JOB_UNFINISHED:
            raise conflict("Image is already in the queue", imageId=image.file_id)
        payload = {"project_id": image.project_id, "stored_path": image.stored_path}
        lane = f"{SEGMENT}:{image.project_id}"
        job = NewJob(SEGMENT, user, image.file_id, lane=lane, payload=payload)
        made.append(job_rules.enqueue(tx, job, now))
    return made


def stats(connection: Connection, user: str, project_id: str) -> dict[str, Any]:
    """Count the items of a project that *user* may see."""
    project = projects.get(connection, user, project_id)
    mine = select(image_table.c.file_id).where(image_table.c.project_id == project.id)
    rows = connection.execute(
        select(jobs.c.status, func.count().label("number"))
        .where(jobs.c.kind == SEGMENT, jobs.c.file_id.in_(mine), jobs.c.status.in_(JOB_UNFINISHED))
        .group_by(jobs.c.status)
    )
    counts = {row.status: row.number for row in rows}
    queued, processing = counts.get(JobStatus.QUEUED, 0), counts.get(JobStatus.PROCESSING, 0)
    return {
        "projectId": project.id,
        "queued": queued,
        "processing": processing,
        "total": queued + processing,
    }


def _items(connection: Connection, user: str, project_id: str) -> list[dict[str, Any]]:
    project = projects.get(connection, user, project_id)
    mine = select(image_table.c.file_id).where(image_table.c.project_id == project.id)
    wanted = jobs.c.file_id.in_(mine) & (jobs.c.kind == SEGMENT) & jobs.c.status.in_(JOB_UNFINISHED)
    rows = connection.execute(select(jobs.c.id, jobs.c.owner).where(wanted).order_by(jobs.c.seq)).all()
    return [shown(job_rules.get(connection, row.owner, row.id)) for row in rows]


def _unfinished(connection: Connection, user: str) -> list[str]:
    wanted = (jobs.c.owner == user) & (jobs.c.kind == SEGMENT) & jobs.c.status.in_(JOB_UNFINISHED)
    return list(connection.execute(select(jobs.c.id).where(wanted)).scalars())


def add(app: FastAPI, core: Core, sockets: Sockets) -> None:
    """Add the routes and the work."""
    core.processors[SEGMENT] = segment

    async def told_stats(user: str, project_id: str) -> dict[str, Any]:
        return await core.database.read(stats, user, project_id)

    sockets.stats = told_stats

    async def put_in(user: str, image_ids: list[str], project_id: str | None) -> list[dict[str, Any]]:
        made = await core.database.write(_enqueue, user, image_ids, project_id, core.now())
        return [shown(await core.database.read(job_rules.get, user, one)) for one in made]

    @app.post("/api/queue/images/{image_id}")
    async def add_image(request: Request, image_id: str) -> JSONResponse:
        (item,) = await put_in(owner_of(request), [image_id], None)
        return success(item, "Obrázek přidán do fronty")

    @app.post("/api/queue/batch")
    async def add_images(request: Request, body: BatchIn) -> JSONResponse:
        items = await put_in(owner_of(request), body.imageIds, uuid(body.projectId, "projectId"))
        return success({"queuedCount": len(items), "queueItems": items}, "Obrázky přidány do fronty")

    @app.get("/api/queue/projects/{id}/stats")
    async def show_stats(request: Request, id: str) -> JSONResponse:
        return success(await core.database.read(stats, owner_of(request), id))

    @app.get("/api/queue/projects/{id}/items")
    async def show_items(request: Request, id: str) -> JSONResponse:
        return success(await core.database.read(_items, owner_of(request), id))

    @app.delete("/api/queue/items/{queue_id}")
    async def remove(request: Request, queue_id: str) -> JSONResponse:
        """Take an item out, whether it waits or is in work; 404 for what is out already, 409 for what is done."""
        user, job_id = owner_of(request), UUID(uuid(queue_id, "queueId")).hex
        try:
            job = await core.database.read(job_rules.get, user, job_id)
        except Problem:
            raise missing(GONE) from None
        if job.kind != SEGMENT:
            raise missing(GONE)
        try:
            await core.cancel_job(user, job_id, user)
        except Problem as problem:
            if problem.extra.get("status") == JobStatus.CANCELLED:
                raise missing(GONE) from None
            raise conflict("Queue item is over and cannot be removed", **problem.extra) from None
        return said("Položka odebrána z fronty")

    @app.post("/api/queue/cancel-all-user")
    async def remove_all(request: Request) -> JSONResponse:
        """Take out all items of the user, in every project."""
        user = owner_of(request)
        stopped: list[JobRecord] = []
        for job_id in await core.database.read(_unfinished, user):
            with suppress(Problem):  # it ended by itself meanwhile
                stopped.append(await core.cancel_job(user, job_id, user))
        affected = sorted({job.payload["project_id"] for job in stopped})
        told = {"cancelledCount": len(stopped), "affectedProjects": affected, "affectedBatches": []}
        await sockets.to_user(user, "segmentation:bulk-cancelled", told)
        return success({"success": True, **told}, "Segmentation cancelled")
