"""Export jobs: a project's images and what the queue found in them, as one ZIP."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi import FastAPI, Request
from sqlalchemy import select
from starlette.responses import FileResponse, JSONResponse, Response

from app.server import jobs as job_rules
from app.server.api.cell_segmentation_hub import projects
from app.server.api.cell_segmentation_hub.envelope import missing, owner_of, said, uuid
from app.server.api.cell_segmentation_hub.images import SEGMENT
from app.server.api.cell_segmentation_hub.queue import dashed
from app.server.api.cell_segmentation_hub.sockets import Sockets
from app.server.api.cell_segmentation_hub.tables import images
from app.server.core import Core
from app.server.database import Transaction
from app.server.jobs import JobRecord, NewJob
from app.server.names import numbered
from app.server.problems import Problem
from app.server.runner import Work
from app.server.schema import jobs
from app.server.states import JobStatus
from app.server.storage import Storage

EXPORT = "csh_export"
BLOCK_BYTES = 1024 * 1024
_STATUS = {JobStatus.QUEUED: "pending"}


def path_of(storage: Storage, job_id: str) -> Path:
    """Return where the ZIP of an export is."""
    return storage.parts_dir / f"csh-export-{job_id}.zip"


def export(work: Work) -> Mapping[str, Any]:
    """Write the ZIP; one that is not wanted any more, or fails, leaves nothing behind."""
    path = path_of(work.storage, work.job.id)
    unfinished = path.with_suffix(".new")
    listed = work.job.payload["images"]
    total_bytes, done_bytes = sum(one["size"] for one in listed) or 1, 0
    found: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as packed:
            for one in listed:
                source = work.storage.stored_file(one["path"])
                with open(source, "rb") as stored, packed.open(f"images/{one['name']}", "w") as copy:
                    while block := stored.read(BLOCK_BYTES):
                        copy.write(block)
                        done_bytes += len(block)
                        work.progress(95 * done_bytes // total_bytes, "images")
                found[one["name"]] = one["segmentation"]
            packed.writestr("annotations.json", json.dumps(found, ensure_ascii=False))
        work.progress(99, "compression")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return {"bytes": path.stat().st_size, "images": len(listed)}


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
        name, number = row.name, 1
        while name.casefold() in taken:
            number += 1
            name = numbered(row.name, number)
        taken.add(name.casefold())
        found = json.loads(row.result) if row.result else None
        listed.append({"name": name, "path": row.stored_path, "size": row.size_bytes, "segmentation": found})
    payload = {"project_id": project.id, "images": listed}
    return job_rules.enqueue(tx, NewJob(EXPORT, user, payload=payload), now)


def add(app: FastAPI, core: Core, sockets: Sockets) -> None:
    """Add the routes and the work."""
    core.processors[EXPORT] = export

    async def find(user: str, project_id: str, job_id: str) -> JobRecord:
        project = await core.database.read(projects.get, user, project_id)
        wanted = UUID(uuid(job_id, "jobId")).hex
        try:
            job = await core.database.read(job_rules.get, user, wanted)
        except Problem:
            raise missing("Export job not found") from None
        if job.kind != EXPORT or job.payload["project_id"] != project.id:
            raise missing("Export job not found")
        return job

    async def cancel(user: str, project_id: str, job_id: str) -> None:
        job = await find(user, project_id, job_id)
        try:
            await core.cancel_job(user, job.id, user)
        except Problem as problem:
            status = problem.extra.get("status", job.status.value)
            raise Problem("not_cancellable", f"Export already {status}", extra={"status": status}) from None
        await core.on_disk(path_of(core.storage, job.id).unlink, missing_ok=True)
        told = {"jobId": dashed(job.id), "projectId": job.payload["project_id"], "cancelledBy": "user"}
        more = {
            "progress": job.progress,
            "cleanupCompleted": True,
            "message": "Export job cancelled successfully",
        }
        await sockets.to_user(user, "export:cancelled", told | more)

    async def cancel_by_socket(user: str, asked: Mapping[str, Any]) -> None:
        await cancel(user, str(asked.get("projectId")), str(asked.get("jobId") or asked.get("operationId")))

    sockets.cancels["export"] = cancel_by_socket
    sockets.on("export:cancel", cancel_by_socket)

    @app.post("/api/projects/{id}/export")
    async def start_export(request: Request, id: str) -> JSONResponse:
        job_id = await core.database.write(_start, owner_of(request), id, core.now())
        return said("Export job started successfully", jobId=dashed(job_id))

    @app.get("/api/projects/{id}/export/{job_id}/status")
    async def export_status(request: Request, id: str, job_id: str) -> JSONResponse:
        job = await find(owner_of(request), id, job_id)
        shown = {
            "id": dashed(job.id),
            "projectId": job.payload["project_id"],
            "status": _STATUS.get(job.status, job.status.value),
            "progress": job.progress,
            "message": job.error or job.stage,
            "createdAt": job.created_at,
            "completedAt": job.completed_at,
        }
        return JSONResponse(shown)

    @app.get("/api/projects/{id}/export/{job_id}/download")
    async def download(request: Request, id: str, job_id: str) -> Response:
        job = await find(owner_of(request), id, job_id)
        path = path_of(core.storage, job.id)
        if job.status is not JobStatus.COMPLETED or not await core.on_disk(path.is_file):
            raise missing("Export file not found")
        return FileResponse(path, filename=f"export-{dashed(job.id)}.zip", media_type="application/zip")

    @app.post("/api/projects/{id}/export/{job_id}/cancel")
    async def cancel_export(request: Request, id: str, job_id: str) -> JSONResponse:
        await cancel(owner_of(request), id, job_id)
        return said("Export job cancelled successfully")
