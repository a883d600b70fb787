"""Images of a project: upload, cancel of an upload, list, show, bytes, delete."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection, func, select
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from app.server.api.cell_segmentation_hub import projects, uploads
from app.server.api.cell_segmentation_hub.arriving import Arrivals
from app.server.api.cell_segmentation_hub.envelope import (
    invalid,
    missing,
    owner_of,
    refuse,
    success,
    uuid,
    web,
)
from app.server.api.cell_segmentation_hub.sockets import Sockets
from app.server.api.cell_segmentation_hub.tables import images
from app.server.api.cell_segmentation_hub.uploads import Upload
from app.server.appending import DisconnectedError
from app.server.body import RequestBody
from app.server.core import Core
from app.server.problems import Problem
from app.server.schema import jobs

SEGMENT = "csh_segment"
LINGER_SECONDS = 1.0
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


class _Early(Response):
    """A refusal before the body is over: the sender may read it for a second, then the connection closes."""

    def __init__(self, request: Request, problem: Problem) -> None:
        answer = refuse(problem)
        super().__init__(answer.body, answer.status_code, {"Connection": "close"}, "application/json")
        self._request = request

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await RequestBody(self._request.receive, self._request.headers).linger(LINGER_SECONDS)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class DeleteIn(BaseModel):
    """Images to delete."""

    imageIds: list[str] = Field(min_length=1, max_length=100)
    projectId: str


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


def _of_upload(connection: Connection, batch_id: str) -> list[Any]:
    wanted = (images.c.batch_id == batch_id) & (images.c.is_published == 1)
    return list(connection.execute(select(images, _STATUS).where(wanted).order_by(images.c.seq)))


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
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
        "originalUrl": f"{url}/display",
        "displayUrl": f"{url}/display",
        "thumbnailUrl": f"{url}/thumbnail",
    }


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


def shown_upload(upload: Upload) -> dict[str, Any]:
    """Return an upload as the wire has it."""
    return {
        "uploadId": upload.id,
        "projectId": upload.project_id,
        "status": upload.state.value,
        "createdAt": upload.created_at,
        "completedAt": upload.completed_at,
    }


def add(app: FastAPI, core: Core, arrivals: Arrivals, sockets: Sockets) -> None:
    """Add the routes."""
    _add_uploads(app, core, arrivals, sockets)
    _add_reading(app, core)
    _add_deleting(app, core)


def _add_uploads(app: FastAPI, core: Core, arrivals: Arrivals, sockets: Sockets) -> None:
    async def upload_images(request: Request, id: str) -> Response:
        """Receive images. `X-Upload-Id` (a UUID) names the upload, so that it can be cancelled while it runs."""
        upload_id = uuid(request.headers.get("x-upload-id") or str(uuid4()), "X-Upload-Id")
        try:
            upload, files = await arrivals.take(request, owner_of(request), uuid(id, "id"), upload_id)
        except DisconnectedError:
            return Response(status_code=499)  # nobody reads it
        except Problem as problem:
            return _Early(request, problem)
        rows = await core.database.read(_of_upload, upload.batch_id)
        found = [shown(row, request) for row in rows]
        done = [{key: one[key] for key in ("id", "name", "originalUrl", "thumbnailUrl")} for one in found]
        summary = {"totalFiles": len(files), "successCount": len(files), "failedCount": 0}
        told = {"projectId": upload.project_id, "batchId": upload.id, "summary": summary}
        await sockets.to_user(upload.owner, "uploadCompleted", {**told, "uploadedImages": done})
        data = {"images": found, "count": len(found), "failedCount": 0, "uploadId": upload.id}
        return success(data, f"Úspěšně nahráno {len(found)} obrázků")

    for base in ("projects", "images"):  # the original mounts these routes twice
        app.post(f"/api/{base}/{{id}}/images", include_in_schema=base == "projects")(upload_images)

    @app.get("/api/projects/{id}/uploads/{upload_id}")
    async def show_upload(request: Request, id: str, upload_id: str) -> JSONResponse:
        wanted = uuid(upload_id, "uploadId")
        return success(shown_upload(await core.database.read(uploads.get, owner_of(request), id, wanted)))

    @app.post("/api/projects/{id}/uploads/{upload_id}/cancel")
    async def cancel_upload(request: Request, id: str, upload_id: str) -> JSONResponse:
        """Abort the request in flight; nothing it brought is left when the answer leaves."""
        data = await arrivals.cancel(owner_of(request), id, uuid(upload_id, "uploadId"))
        return success(data, "Upload cancelled")


def _add_reading(app: FastAPI, core: Core) -> None:
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


def _add_deleting(app: FastAPI, core: Core) -> None:
    async def remove(user: str, image_id: str, project_id: str) -> None:
        row = await core.database.read(get, user, image_id)
        if row.project_id != project_id:
            raise missing("Image not found")
        await core.delete_file(row.owner, row.file_id)
        await core.database.write(uploads.forget_image, row.file_id)

    @app.delete("/api/images/batch")
    async def delete_images(request: Request, body: DeleteIn) -> JSONResponse:
        """Delete up to a hundred; what is not there is named, and no error."""
        project = await core.database.read(projects.get, owner_of(request), body.projectId)
        failed: list[str] = []
        for image_id in body.imageIds:
            try:
                await remove(owner_of(request), image_id, project.id)
            except Problem as problem:
                if problem.status == 422:
                    raise invalid(imageIds="Must be valid UUIDs") from None
                failed.append(image_id)
        data = {"deletedCount": len(body.imageIds) - len(failed), "failedIds": failed}
        return success({**data, "errors": ["Image not found"] * len(failed)})

    @app.delete("/api/projects/{id}/images/{image_id}")
    async def delete_image(request: Request, id: str, image_id: str) -> JSONResponse:
        await remove(owner_of(request), image_id, uuid(id, "id"))
        return success(None, "Image deleted")
