"""The routes that bring images and videos, show how an upload stands, and cancel it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from app.server.api.cell_segmentation_hub import uploads
from app.server.api.cell_segmentation_hub.arriving import Arrivals, Arrived
from app.server.api.cell_segmentation_hub.ending import Endings
from app.server.api.cell_segmentation_hub.envelope import owner_of, refuse, success, uuid
from app.server.api.cell_segmentation_hub.images import of_upload, shown
from app.server.api.cell_segmentation_hub.intake import IMAGES, VIDEO, Intake
from app.server.api.cell_segmentation_hub.sockets import Sockets
from app.server.api.cell_segmentation_hub.uploads import Upload
from app.server.appending import DisconnectedError
from app.server.body import RequestBody
from app.server.core import Core
from app.server.problems import Problem

LINGER_SECONDS = 1.0


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


def shown_upload(upload: Upload) -> dict[str, Any]:
    """Return an upload as the wire has it."""
    return {
        "uploadId": upload.id,
        "projectId": upload.project_id,
        "status": upload.state.value,
        "createdAt": upload.created_at,
        "completedAt": upload.completed_at,
    }


class _Uploads:
    """Takes requests in and answers them."""

    def __init__(self, core: Core, arrivals: Arrivals, sockets: Sockets) -> None:
        self._core, self._arrivals, self._sockets = core, arrivals, sockets

    async def images(self, request: Request, project_id: str) -> Response:
        """Answer a request of images."""
        arrived = await self._take(request, project_id, IMAGES)
        if isinstance(arrived, Response):
            return arrived
        found = await self._tell(request, arrived)
        data = {"images": found, "count": len(found), "failedCount": 0, "uploadId": arrived.upload.id}
        return success(data, f"Úspěšně nahráno {len(found)} obrázků")

    async def video(self, request: Request, project_id: str) -> Response:
        """Answer a request of one video."""
        arrived = await self._take(request, project_id, VIDEO)
        if isinstance(arrived, Response):
            return arrived
        (found,) = await self._tell(request, arrived)
        data = {
            "videoContainerId": found["id"],
            "frameCount": arrived.pictures[found["id"]].frames,
            "channels": [],
            "positionCount": 1,
            "containerIds": [found["id"]],
            "uploadId": arrived.upload.id,
        }
        return success(data)

    async def _take(self, request: Request, project_id: str, intake: Intake) -> Arrived | Response:
        upload_id = uuid(request.headers.get("x-upload-id") or str(uuid4()), "X-Upload-Id")
        owner = request.state.owner
        try:
            return await self._arrivals.take(request, owner, uuid(project_id, "id"), upload_id, intake)
        except DisconnectedError:
            return Response(status_code=499)  # nobody reads it
        except Problem as problem:
            return _Early(request, problem)

    async def _tell(self, request: Request, arrived: Arrived) -> list[dict[str, Any]]:
        upload = arrived.upload
        rows = await self._core.database.read(of_upload, upload.batch_id)
        found = [shown(row, request) for row in rows]
        done = [{key: one[key] for key in ("id", "name", "originalUrl", "thumbnailUrl")} for one in found]
        summary = {"totalFiles": len(found), "successCount": len(found), "failedCount": 0}
        told = {"projectId": upload.project_id, "batchId": upload.id, "summary": summary}
        await self._sockets.to_user(upload.owner, "uploadCompleted", {**told, "uploadedImages": done})
        return found


def add(app: FastAPI, core: Core, arrivals: Arrivals, endings: Endings, sockets: Sockets) -> None:
    """Add the routes."""
    taken = _Uploads(core, arrivals, sockets)

    async def upload_images(request: Request, id: str) -> Response:
        """Receive images. `X-Upload-Id` (a UUID) names the upload, so that it can be cancelled while it runs."""
        return await taken.images(request, id)

    for base in ("projects", "images"):  # the original mounts these routes twice
        app.post(f"/api/{base}/{{id}}/images", include_in_schema=base == "projects")(upload_images)

    @app.post("/api/projects/{id}/videos")
    async def upload_video(request: Request, id: str) -> Response:
        """Receive one video, as one file. `X-Upload-Id` as with images."""
        return await taken.video(request, id)

    @app.get("/api/projects/{id}/uploads/{upload_id}")
    async def show_upload(request: Request, id: str, upload_id: str) -> JSONResponse:
        """Show how an upload stands."""
        wanted = uuid(upload_id, "uploadId")
        return success(shown_upload(await core.database.read(uploads.get, owner_of(request), id, wanted)))

    @app.post("/api/projects/{id}/uploads/{upload_id}/cancel")
    async def cancel_upload(request: Request, id: str, upload_id: str) -> JSONResponse:
        """Abort the request in flight; nothing it brought is left when the answer says `cancelled`."""
        data = await endings.cancel(owner_of(request), id, uuid(upload_id, "uploadId"))
        if not data["cleanupCompleted"]:
            return success(data, "Upload is being cancelled", 202)
        return success(data, "Upload cancelled")
