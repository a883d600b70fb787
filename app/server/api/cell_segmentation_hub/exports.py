"""Export jobs: a project's images and what the queue found in them, as one ZIP, for all who share the project."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import FastAPI, Request
from sqlalchemy import Connection, select
from starlette.responses import FileResponse, JSONResponse, Response

from app.server import jobs as job_rules
from app.server.api.cell_segmentation_hub import packing, projects
from app.server.api.cell_segmentation_hub.envelope import missing, owner_of, said, uuid
from app.server.api.cell_segmentation_hub.images import SEGMENT
from app.server.api.cell_segmentation_hub.packing import EXPORT
from app.server.api.cell_segmentation_hub.queueing import dashed
from app.server.api.cell_segmentation_hub.sockets import Sockets
from app.server.api.cell_segmentation_hub.tables import images
from app.server.core import Core
from app.server.database import Transaction
from app.server.jobs import JobRecord, NewJob
from app.server.names import numbered, safe_name
from app.server.problems import Problem
from app.server.schema import jobs
from app.server.states import JobStatus

PATIENCE_SECONDS = 5.0
LOOK_SECONDS = 0.05
_WORDS = {JobStatus.QUEUED: "pending"}


def _start(tx: Transaction, user: str, project_id: str, now: str) -> str:
    project = projects.get(tx.connection, user, project_id)
    result = (
        select(jobs.c.result)
        .where(
            jobs.c.file_id == images.c.file_id, jobs.c.kind == SEGMENT, jobs.c.status == JobStatus.COMPLETED
        )
        .order_by(jobs.c.seq.desc())
        .limit(1)
        .scalar_subquery()
        .label("result")
    )
    wanted = (images.c.project_id == project.id) & (images.c.is_published == 1)
    taken: set[str] = set()
    listed = []
    for row in tx.execute(select(images, result).where(wanted).order_by(images.c.seq)):
        own = name = safe_name(row.name)
        number = 1
        while name.casefold() in taken:
            number += 1
            name = numbered(own, number)
        taken.add(name.casefold())
        found = json.loads(row.result) if row.result else None
        listed.append({"name": name, "path": row.stored_path, "size": row.size_bytes, "segmentation": found})
    payload = {"project_id": project.id, "images": listed}
    return job_rules.enqueue(tx, NewJob(EXPORT, user, payload=payload), now)


def find(connection: Connection, user: str, project_id: str, job_id: str) -> JobRecord:
    """Return an export of a project that *user* may see, whoever asked for it; raises the 404."""
    project = projects.get(connection, user, project_id)
    wanted = (jobs.c.id == UUID(uuid(job_id, "jobId")).hex) & (jobs.c.kind == EXPORT)
    row = connection.execute(select(jobs.c.id, jobs.c.owner).where(wanted)).first()
    job = None if row is None else job_rules.get(connection, row.owner, row.id)
    if job is None or job.payload["project_id"] != project.id:
        raise missing("Export job not found")
    return job


class _Cancels:
    """Cancels exports, by route and by socket."""

    def __init__(self, core: Core, sockets: Sockets) -> None:
        self._core, self._sockets = core, sockets

    async def cancel(self, user: str, project_id: str, job_id: str) -> bool:
        """Stop an export and remove what it wrote; False if a process that does not react still holds that.

        Raises the 404, or 400 with the state if it is over.
        """
        core = self._core
        job = await core.database.read(find, user, project_id, job_id)
        try:
            await core.cancel_job(job.owner, job.id, user)
        except Problem as problem:
            if problem.code != "not_cancellable":
                raise
            status = str(problem.extra["status"])
            raise Problem("not_cancellable", f"Export already {status}", extra={"status": status}) from None
        is_clean = await self._clean_up(job.id)
        told = {"jobId": dashed(job.id), "projectId": job.payload["project_id"], "cancelledBy": "user"}
        more = {"progress": job.progress, "cleanupCompleted": is_clean, "message": "Export cancelled by user"}
        for hearer in {job.owner, user}:
            await self._sockets.to_user(hearer, "export:cancelled", told | more)
        return is_clean

    async def _clean_up(self, job_id: str) -> bool:
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE_SECONDS
        while not await self._core.on_disk(packing.drop, self._core.storage, job_id):
            if loop.time() >= end:
                return False  # the chores remove it when its process is gone
            await asyncio.sleep(LOOK_SECONDS)
        return True

    async def by_socket(self, user: str, asked: Mapping[str, Any]) -> None:
        """Cancel what a socket names as `jobId`, or as `operationId`."""
        job_id = str(asked.get("jobId") or asked.get("operationId"))
        await self.cancel(user, str(asked.get("projectId")), job_id)


async def shown(core: Core, job: JobRecord) -> dict[str, Any]:
    """Return an export as the wire has it; it is `cancelling` as long as something of it is on the disk."""
    status, message, expires_at = _WORDS.get(job.status, job.status.value), job.error or job.stage, None
    if job.status is JobStatus.CANCELLED and not await core.on_disk(packing.is_clean, core.storage, job.id):
        status = "cancelling"
    elif job.status is JobStatus.COMPLETED and job.completed_at is not None:
        expires_at = packing.expires_at(core, job.completed_at)
        if not await core.on_disk(packing.path_of(core.storage, job.id).is_file):
            message = "Export has expired"
    return {
        "id": dashed(job.id),
        "projectId": job.payload["project_id"],
        "status": status,
        "progress": job.progress,
        "message": message,
        "createdAt": job.created_at,
        "completedAt": job.completed_at,
        "expiresAt": expires_at,
    }


def add(app: FastAPI, core: Core, sockets: Sockets) -> None:
    """Add the routes and the work."""
    core.processors[EXPORT] = packing.export
    cancels = _Cancels(core, sockets)
    sockets.cancels["export"] = cancels.by_socket
    sockets.on("export:cancel", cancels.by_socket)

    @app.post("/api/projects/{id}/export")
    async def start_export(request: Request, id: str) -> JSONResponse:
        """Ask for the ZIP of a project as it is now."""
        job_id = await core.database.write(_start, owner_of(request), id, core.now())
        return said("Export job started successfully", jobId=dashed(job_id))

    @app.post("/api/projects/{id}/export/{job_id}/cancel")
    async def cancel_export(request: Request, id: str, job_id: str) -> JSONResponse:
        """Stop an export; nothing it wrote is left when the answer is 200."""
        if await cancels.cancel(owner_of(request), id, job_id):
            return said("Export job cancelled successfully")
        return JSONResponse({"success": True, "message": "Export is being cancelled"}, 202)

    _add_results(app, core)


def _add_results(app: FastAPI, core: Core) -> None:
    @app.get("/api/projects/{id}/export/{job_id}/status")
    async def export_status(request: Request, id: str, job_id: str) -> JSONResponse:
        """Show how an export stands."""
        job = await core.database.read(find, owner_of(request), id, job_id)
        return JSONResponse(await shown(core, job))

    @app.get("/api/projects/{id}/export/{job_id}/download")
    async def download(request: Request, id: str, job_id: str) -> Response:
        """Send the ZIP, until it expires."""
        job = await core.database.read(find, owner_of(request), id, job_id)
        path = packing.path_of(core.storage, job.id)
        if job.status is not JobStatus.COMPLETED or not await core.on_disk(path.is_file):
            raise missing("Export file not found")
        return FileResponse(path, filename=f"export-{dashed(job.id)}.zip", media_type="application/zip")
