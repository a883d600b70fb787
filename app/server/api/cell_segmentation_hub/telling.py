"""What happens to jobs of this room, told on socket.io in the words of the contract."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import datetime
from typing import Any

from app.server import jobs
from app.server.api.cell_segmentation_hub import queueing
from app.server.api.cell_segmentation_hub.images import SEGMENT
from app.server.api.cell_segmentation_hub.packing import EXPORT
from app.server.api.cell_segmentation_hub.queueing import dashed
from app.server.api.cell_segmentation_hub.sockets import Sockets
from app.server.core import Core
from app.server.events import Event, EventKind
from app.server.jobs import JobRecord
from app.server.problems import Problem

_SEGMENTATION = {
    EventKind.JOB_QUEUED: "queued",
    EventKind.JOB_STARTED: "processing",
    EventKind.JOB_PROGRESS: "processing",
    EventKind.JOB_COMPLETED: "segmented",
    EventKind.JOB_FAILED: "failed",
    EventKind.JOB_CANCELLED: "no_segmentation",
}
_EXPORT = {
    EventKind.JOB_STARTED: "export:started",
    EventKind.JOB_PROGRESS: "export:progress",
    EventKind.JOB_COMPLETED: "export:completed",
    EventKind.JOB_FAILED: "export:failed",
}

_OPTIONS = {"includeOriginalImages": True, "annotationFormats": ["json"]}
"""What is in every export."""

log = logging.getLogger("uphaul.socketio.jobs")


class Teller:
    """One task that listens to the core."""

    def __init__(self, core: Core, sockets: Sockets) -> None:
        self._core, self._sockets = core, sockets
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self) -> None:
        async with self._core.events.subscribe(None, kinds=set(_SEGMENTATION)) as events:
            async for event in events:
                if event.data.get("kind") not in {SEGMENT, EXPORT} or event.job_id is None:
                    continue
                try:
                    job = await self._core.database.read(jobs.get, event.owner, event.job_id)
                    await (self._segmentation if job.kind == SEGMENT else self._export)(event, job)
                except Problem:  # the job is deleted, or the database is busy: an event less
                    log.debug("event=not_told job_id=%s", event.job_id, exc_info=True)

    async def _segmentation(self, event: Event, job: JobRecord) -> None:
        if event.kind is EventKind.JOB_FAILED and not event.data.get("final"):
            return
        project_id, item = job.payload["project_id"], {"imageId": job.file_id}
        told = {**item, "projectId": project_id, "queueId": dashed(job.id)}
        told["status"] = _SEGMENTATION[event.kind]
        await self._sockets.to_user(event.owner, "segmentation-update", told | _result(event, job))
        if event.kind is EventKind.JOB_CANCELLED:
            about = {"batchId": job.payload.get("queue_batch_id"), "message": "Segmentation cancelled"}
            await self._sockets.to_user(event.owner, "segmentation:cancelled", item | about)
        if event.kind is not EventKind.JOB_PROGRESS:
            numbers = await self._core.database.read(queueing.stats, event.owner, project_id)
            await self._sockets.to_project(project_id, "queueStats", numbers)

    async def _export(self, event: Event, job: JobRecord) -> None:
        name = _EXPORT.get(event.kind)
        if name is None or (event.kind is EventKind.JOB_FAILED and not event.data.get("final")):
            return
        told = {"jobId": dashed(job.id), "projectId": job.payload["project_id"]}
        await self._sockets.to_user(event.owner, name, told | _export_told(event, job))


def _result(event: Event, job: JobRecord) -> dict[str, Any]:
    if event.kind is EventKind.JOB_PROGRESS:
        return {"progress": event.data["progress"]}
    if event.kind is EventKind.JOB_FAILED:
        return {"error": event.data["error"]}
    if event.kind is EventKind.JOB_COMPLETED:
        return {"polygonCount": event.data["result"]["polygon_count"], "processingTime": _milliseconds(job)}
    return {}


def _export_told(event: Event, job: JobRecord) -> dict[str, Any]:
    """The fields of the original's `Export…Data`, as far as our exports have them."""
    if event.kind is EventKind.JOB_STARTED:
        return {"progress": 0, "options": _OPTIONS}
    if event.kind is EventKind.JOB_PROGRESS:
        percent, stage = event.data["progress"], event.data["stage"]
        return {
            "progress": percent,
            "phase": "processing",
            "stage": stage,
            "message": f"{stage}: {percent} %",
        }
    if event.kind is EventKind.JOB_FAILED:
        error = {"error": event.data["error"], "errorCode": "UNKNOWN", "stage": job.stage}
        return {**error, "recoverable": False, "retryable": True, "progress": job.progress}
    project_id, result = job.payload["project_id"], event.data["result"]
    summary = {"totalImages": result["images"], "includedFormats": ["json"], "exportOptions": _OPTIONS}
    return {
        "progress": 100,
        "filePath": f"/api/projects/{project_id}/export/{dashed(job.id)}/download",
        "fileSize": result["bytes"],
        "processingTime": _milliseconds(job),
        "summary": summary,
    }


def _milliseconds(job: JobRecord) -> int:
    if job.started_at is None or job.completed_at is None:
        return 0
    took = datetime.fromisoformat(job.completed_at) - datetime.fromisoformat(job.started_at)
    return round(took.total_seconds() * 1000)
