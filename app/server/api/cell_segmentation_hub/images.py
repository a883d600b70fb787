"""Images of a project: list, show, bytes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from sqlalchemy import Connection, func, select
from starlette.responses import FileResponse, JSONResponse, Response

from app.server.api.cell_segmentation_hub import projects
from app.server.api.cell_segmentation_hub.envelope import (
    missing,
    owner_of,
    success,
    uuid,
    web,
)
from app.server.api.cell_segmentation_hub.tables import images
from app.server.core import Core
from app.server.problems import Problem
from app.server.schema import jobs

SEGMENT = "csh_segment"
_WORDS = {"completed": "segmented", "cancelled": "no_segmentation", None: "no_segmentation"}
_SORTS = {
    "name": images.c.name,
    "createdAt": images.c.seq,
    "updatedAt": images.c.updated_at,
    "fileSize": images.c.size_bytes,
    "displayOrder": images.c.seq,
}
_STATUS = (
    select(jobs.c.status)
    .where(jobs.c.file_id == images.c.file_id, jobs.c.kind == SEGMENT)
    .order_by(jobs.c.seq.desc())
    .limit(1)
    .scalar_subquery()
    .label("segmentation")
)


def get(connection: Connection, user: str, image_id: str) -> Any:
    """Return the row of an image in a project that *user* may see; raises the 404."""
    wanted = (images.c.file_id == uuid(image_id, "imageId")) & (images.c.is_published == 1)
    row = connection.execute(select(images, _STATUS).where(wanted)).first()
    if row is None:
        raise missing("Image not found")
    try:
        projects.get(connection, user, row.project_id)
    except Problem:
        raise missing("Image not found") from None
    return row


def shown(row: Any, request: Request) -> dict[str, Any]:
    """Return an image as the wire has it."""
    url = web(f"/api/images/{row.file_id}", request)
    return {
        "id": row.file_id,
        "name": row.name,
        "originalPath": row.stored_path,
        "thumbnailPath": f"{row.file_id}.jpg",
        "projectId": row.project_id,
        "segmentationStatus": _WORDS.get(row.segmentation, row.segmentation),
        "fileSize": row.size_bytes,
        "width": row.width,
        "height": row.height,
        "mimeType": row.mime_type,
        "isVideoContainer": bool(row.is_video),
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
        "originalUrl": f"{url}/display",
        "displayUrl": f"{url}/display",
        "thumbnailUrl": f"{url}/thumbnail",
    }


def of_upload(connection: Connection, batch_id: str) -> list[Any]:
    """Return the rows of what an upload brought, in the order of its request."""
    wanted = (images.c.batch_id == batch_id) & (images.c.is_published == 1)
    return list(connection.execute(select(images, _STATUS).where(wanted).order_by(images.c.seq)))


def _page(
    connection: Connection,
    user: str,
    project_id: str,
    page: int,
    limit: int,
    sort: str,
    is_descending: bool,
    status: str | None,
) -> tuple[list[Any], int]:
    project = projects.get(connection, user, project_id)
    wanted = (images.c.project_id == project.id) & (images.c.is_published == 1)
    if status is not None:
        wanted &= {"pending": "queued"}.get(status, status) == _STATUS
    order = _SORTS[sort].desc() if is_descending else _SORTS[sort].asc()
    found = select(images, _STATUS).where(wanted).order_by(order, images.c.seq)
    rows = connection.execute(found.limit(limit).offset((page - 1) * limit)).all()
    return list(rows), connection.execute(select(func.count()).select_from(images).where(wanted)).scalar_one()


def add(app: FastAPI, core: Core) -> None:
    """Add the routes that read."""
    _add_showing(app, core)
    _add_bytes(app, core)


def _add_showing(app: FastAPI, core: Core) -> None:
    @app.get("/api/projects/{id}/images")
    async def list_images(
        request: Request,
        id: str,
        page: Annotated[int, Query(ge=1, le=2**31)] = 1,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        sortBy: Literal["name", "createdAt", "updatedAt", "fileSize", "displayOrder"] = "createdAt",
        sortOrder: Literal["asc", "desc"] = "desc",
        status: Literal["pending", "processing", "completed", "failed"] | None = None,
    ) -> JSONResponse:
        rows, total = await core.database.read(
            _page, owner_of(request), id, page, limit, sortBy, sortOrder == "desc", status
        )
        found = [shown(row, request) for row in rows]
        return success({"images": found, "pagination": projects.pagination(page, limit, total)})

    @app.get("/api/images/{image_id}")
    async def show_image(request: Request, image_id: str) -> JSONResponse:
        return success(shown(await core.database.read(get, owner_of(request), image_id), request))

    @app.get("/api/projects/{id}/images/{image_id}")
    async def show_image_of_project(request: Request, id: str, image_id: str) -> JSONResponse:
        row = await core.database.read(get, owner_of(request), image_id)
        if row.project_id != uuid(id, "id"):
            raise missing("Image not found")
        return success(shown(row, request))


def _add_bytes(app: FastAPI, core: Core) -> None:
    @app.get("/api/images/{image_id}/display")
    async def display(request: Request, image_id: str) -> Response:
        row = await core.database.read(get, owner_of(request), image_id)
        return FileResponse(core.storage.stored_file(row.stored_path), media_type=row.mime_type)

    @app.get("/api/images/{image_id}/thumbnail")
    async def thumbnail(request: Request, image_id: str) -> Response:
        row = await core.database.read(get, owner_of(request), image_id)
        path = core.storage.thumbnail_path(row.file_id)
        if not await core.on_disk(path.is_file):
            raise missing("Thumbnail not found")
        return FileResponse(path, media_type="image/jpeg")
