"""Images leave: their rows, their files, the jobs on them, in one transaction whatever their number."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from sqlalchemy import select
from starlette.responses import JSONResponse

from app.server import files
from app.server.api.cell_segmentation_hub import images, projects, queueing
from app.server.api.cell_segmentation_hub.envelope import missing, owner_of, success, uuid
from app.server.api.cell_segmentation_hub.sockets import Sockets
from app.server.api.cell_segmentation_hub.tables import images as image_table
from app.server.core import Core
from app.server.database import Transaction
from app.server.problems import Problem


class DeleteIn(BaseModel):
    """Images to delete."""

    imageIds: list[str] = Field(min_length=1, max_length=100)
    projectId: str


@dataclass(frozen=True, slots=True)
class Removed:
    """What a transaction removed: ids of files, and of jobs that were on them, and must stop now."""

    file_ids: tuple[str, ...]
    job_ids: tuple[str, ...]


def _remove(tx: Transaction, core: Core, rows: Sequence[Any], now: str) -> Removed:
    job_ids: list[str] = []
    for row in rows:
        with suppress(Problem):  # the file was deleted by another API: only its image is left
            job_ids += files.delete(tx, core.storage, row.owner, row.file_id, now)
        tx.execute(image_table.delete().where(image_table.c.file_id == row.file_id))
    return Removed(tuple(row.file_id for row in rows), tuple(job_ids))


def of_upload(tx: Transaction, core: Core, batch_id: str, now: str) -> Removed:
    """Remove all that an upload has stored, published or not."""
    wanted = select(image_table.c.owner, image_table.c.file_id).where(image_table.c.batch_id == batch_id)
    return _remove(tx, core, tx.execute(wanted).all(), now)


def of_project(
    tx: Transaction, core: Core, user: str, project_id: str, image_ids: Sequence[str], now: str
) -> Removed:
    """Remove those of the images that are in a project which *user* may see; raises the 404 of the project."""
    project = projects.get(tx.connection, user, project_id)
    rows = {}
    for image_id in image_ids:
        with suppress(Problem):
            row = images.get(tx.connection, user, image_id)
            if row.project_id == project.id:
                rows[row.file_id] = row
    return _remove(tx, core, list(rows.values()), now)


async def settle(core: Core, removed: Removed) -> None:
    """End the work at what is removed, and the thumbnails that it may have made after the commit."""
    await core.runner.stop(removed.job_ids)
    for file_id in removed.file_ids:
        await core.on_disk(core.storage.drop_thumbnail, file_id)


def add(app: FastAPI, core: Core, sockets: Sockets) -> None:
    """Add the routes."""

    async def remove(user: str, project_id: str, image_ids: Sequence[str]) -> set[str]:
        removed = await core.database.write(of_project, core, user, project_id, image_ids, core.now())
        await settle(core, removed)
        if removed.job_ids:
            told = await core.database.read(queueing.stats, user, project_id)
            await sockets.to_project(told["projectId"], "queueStats", told)
        return set(removed.file_ids)

    @app.delete("/api/images/batch")
    async def delete_images(request: Request, body: DeleteIn) -> JSONResponse:
        """Delete up to a hundred, in one transaction; what is not there is named, and no error."""
        wanted = [uuid(one, "imageIds") for one in body.imageIds]
        gone = await remove(owner_of(request), body.projectId, wanted)
        failed = [one for one in wanted if one not in gone]
        data = {"deletedCount": len(gone), "failedIds": failed}
        return success({**data, "errors": ["Image not found"] * len(failed)})

    @app.delete("/api/projects/{id}/images/{image_id}")
    async def delete_image(request: Request, id: str, image_id: str) -> JSONResponse:
        """Delete one image with its file, its thumbnail and its place in the queue."""
        if not await remove(owner_of(request), id, [uuid(image_id, "imageId")]):
            raise missing("Image not found")
        return success(None, "Image deleted")
