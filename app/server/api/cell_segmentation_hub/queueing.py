"""The rules of the segmentation queue: which images are in it, for whom, and how many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, func, select

from app.server import jobs as job_rules
from app.server.api.cell_segmentation_hub import images, projects
from app.server.api.cell_segmentation_hub.envelope import conflict, invalid, missing
from app.server.api.cell_segmentation_hub.images import SEGMENT
from app.server.api.cell_segmentation_hub.tables import images as image_table
from app.server.database import Transaction
from app.server.jobs import JobRecord, NewJob
from app.server.schema import jobs
from app.server.states import JOB_UNFINISHED, JobStatus

_WAITING = (jobs.c.kind == SEGMENT) & jobs.c.status.in_(JOB_UNFINISHED)


def dashed(job_id: str) -> str:
    """Return a job's id as this API shows it: a UUID with dashes."""
    return str(UUID(job_id))


def shown(job: JobRecord) -> dict[str, Any]:
    """Return a queue item as the wire has it."""
    return {
        "id": dashed(job.id),
        "imageId": job.file_id,
        "projectId": job.payload["project_id"],
        "batchId": job.payload.get("queue_batch_id"),
        "userId": job.owner,
        "status": job.status.value,
        "progress": job.progress,
        "error": job.error,
        "createdAt": job.created_at,
        "startedAt": job.started_at,
        "completedAt": job.completed_at,
    }


def enqueue(
    tx: Transaction,
    user: str,
    image_ids: Sequence[str],
    project_id: str | None,
    batch_id: str | None,
    now: str,
) -> list[JobRecord]:
    """Ask for the segmentation of images; one that waits or is in work already is not asked for twice."""
    made = []
    for image_id in image_ids:
        image = images.get(tx.connection, user, image_id)
        if project_id is not None and image.project_id != project_id:
            raise missing("Image not found")
        if image.is_video:
            raise invalid(imageId="A video cannot be segmented")
        if image.segmentation in JOB_UNFINISHED:
            raise conflict("Image is already in the queue", imageId=image.file_id)
        about = {"project_id": image.project_id, "stored_path": image.stored_path, "queue_batch_id": batch_id}
        lane = f"{SEGMENT}:{image.project_id}"
        job_id = job_rules.enqueue(tx, NewJob(SEGMENT, user, image.file_id, lane=lane, payload=about), now)
        made.append(job_rules.get(tx.connection, user, job_id))
    return made


def _count(connection: Connection, rows: Select[Any]) -> dict[str, int]:
    counts = {row.status: row.number for row in connection.execute(rows.group_by(jobs.c.status))}
    queued, processing = counts.get(JobStatus.QUEUED, 0), counts.get(JobStatus.PROCESSING, 0)
    return {"queued": queued, "processing": processing, "total": queued + processing}


_COUNTED = select(jobs.c.status, func.count().label("number")).where(_WAITING)


def stats(connection: Connection, user: str, project_id: str) -> dict[str, Any]:
    """Count the items of a project that *user* may see, whoever put them in."""
    project = projects.get(connection, user, project_id)
    mine = select(image_table.c.file_id).where(image_table.c.project_id == project.id)
    return {"projectId": project.id, **_count(connection, _COUNTED.where(jobs.c.file_id.in_(mine)))}


def stats_of_user(connection: Connection, user: str) -> dict[str, int]:
    """Count the items of *user* in all projects."""
    return _count(connection, _COUNTED.where(jobs.c.owner == user))


def items(connection: Connection, user: str, project_id: str) -> list[JobRecord]:
    """Return the items of a project that *user* may see, in their order."""
    project = projects.get(connection, user, project_id)
    mine = select(image_table.c.file_id).where(image_table.c.project_id == project.id)
    wanted = select(jobs.c.id, jobs.c.owner).where(_WAITING, jobs.c.file_id.in_(mine)).order_by(jobs.c.seq)
    return [job_rules.get(connection, row.owner, row.id) for row in connection.execute(wanted).all()]


def own(connection: Connection, user: str, job_id: str) -> JobRecord:
    """Return an item that *user* has put in; raises `Problem("job_not_found")`."""
    job = job_rules.get(connection, user, job_id)
    if job.kind != SEGMENT:
        raise missing("Queue item not found")
    return job


def unfinished(connection: Connection, user: str, batch_id: str | None = None) -> list[JobRecord]:
    """Return what *user* has in the queue, in every project, or of one batch."""
    ids = connection.execute(select(jobs.c.id).where(_WAITING, jobs.c.owner == user)).scalars().all()
    found = [job_rules.get(connection, user, job_id) for job_id in ids]
    return [job for job in found if batch_id is None or job.payload.get("queue_batch_id") == batch_id]
