"""The routes of files: bulk and single POST, read, list, download, hide, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from app.server import files
from app.server.api.vuemantics import reading
from app.server.api.vuemantics.arrivals import BulkArrival, forget, store_part
from app.server.api.vuemantics.bodies import (
    BulkUploadResult,
    Deleted,
    FileType,
    ProcessingStatus,
    UploadPage,
    UploadResponse,
)
from app.server.api.vuemantics.errors import not_valid, refuse
from app.server.api.vuemantics.reading import NAME
from app.server.appending import DisconnectedError
from app.server.body import RequestBody
from app.server.core import Core
from app.server.multipart import parts
from app.server.problems import Problem
from app.server.states import FileStatus

LINGER_SECONDS = 1.0
MOST_IDS = 100


class _Hurried(Response):
    """An answer before the body is over: the sender may read it for a second, then the connection closes."""

    def __init__(self, answer: Response, request: Request) -> None:
        self._answer, self._request = answer, request
        self.background = None
        self.raw_headers = [*answer.raw_headers, (b"connection", b"close")]
        self.status_code = answer.status_code

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._answer.body, "more_body": True})
        await RequestBody(self._request.receive, self._request.headers).linger(LINGER_SECONDS)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def router(core: Core) -> APIRouter:
    """Build the routes below /v1/uploads, and the files themselves. `/batches` must be asked before `/{upload_id}`."""
    api = APIRouter(tags=["uploads"])
    _add_arrivals(api, core)
    _add_reads(api, core)
    _add_changes(api, core)
    return api


def _add_arrivals(api: APIRouter, core: Core) -> None:
    @api.post("/v1/uploads/bulk", status_code=201, response_model=BulkUploadResult)
    async def bulk(request: Request) -> Response:
        """Take up to 1,000 files, every one in a part called `files`; they are stored and processed as they come."""
        core.limits.take("5/hour", NAME, "bulk", request.state.owner)
        if not _is_multipart(request):
            return not_valid(("body", "files"))
        try:
            result = await BulkArrival(core, request.state.owner).take(request)
        except DisconnectedError:
            return Response(status_code=400)  # nobody hears it
        except Problem as problem:
            return _Hurried(refuse(problem), request)
        return not_valid(("body", "files")) if result is None else JSONResponse(result.model_dump(), 201)

    @api.post("/v1/uploads", status_code=201, response_model=UploadResponse)
    async def single(request: Request) -> Response:
        """Take one file in a part called `file`."""
        core.limits.take("100/minute", NAME, "single", request.state.owner)
        if not _is_multipart(request):
            return not_valid(("body", "file"))
        owner, upload_id = request.state.owner, str(uuid4())
        try:
            is_there = await _take_single(core, owner, upload_id, request)
        except DisconnectedError:
            await forget(core, owner, upload_id)
            return Response(status_code=400)  # nobody hears it
        except Problem as problem:
            await forget(core, owner, upload_id)
            return _Hurried(refuse(problem), request)
        if not is_there:
            return not_valid(("body", "file"))
        shown = await core.database.read(reading.upload, owner, upload_id)
        return JSONResponse(shown.model_dump(), 201)


def _is_multipart(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def _take_single(core: Core, owner: str, upload_id: str, request: Request) -> bool:
    is_there = False
    async for part in parts(request, most_parts=20):
        if part.name == "file" and not is_there:
            await store_part(core, owner, upload_id, part, None)
            is_there = True
    return is_there


def _add_reads(api: APIRouter, core: Core) -> None:
    @api.get("/v1/uploads")
    async def page_of(
        request: Request,
        page: Annotated[int, Query(ge=1, le=10_000_000)] = 1,
        page_size: Annotated[int, Query(ge=1, le=100)] = 20,
        processing_status: ProcessingStatus | None = None,
        file_type: FileType | None = None,
        sort_by: Literal["created_at", "updated_at", "file_size", "filename"] = "created_at",
        sort_order: Literal["asc", "desc"] = "desc",
        show_hidden: bool = False,
    ) -> UploadPage:
        """List files."""
        items, total = await core.database.read(
            reading.uploads,
            request.state.owner,
            status=processing_status,
            file_type=file_type,
            show_hidden=show_hidden,
            sort_by=sort_by,
            is_descending=sort_order == "desc",
            limit=page_size,
            offset=(page - 1) * page_size,
        )
        return UploadPage(
            items=items, total=total, page=page, page_size=page_size, pages=-(-total // page_size)
        )

    @api.get("/v1/uploads/{upload_id}")
    async def one(request: Request, upload_id: UUID) -> UploadResponse:
        """Show a file."""
        return await core.database.read(reading.upload, request.state.owner, str(upload_id))

    @api.get("/v1/uploads/{upload_id}/metadata")
    async def metadata(request: Request, upload_id: UUID) -> dict[str, object]:
        """Show what is known of the content of a file."""
        return (await core.database.read(reading.upload, request.state.owner, str(upload_id))).metadata

    @api.get("/v1/uploads/{upload_id}/download")
    async def download(request: Request, upload_id: UUID) -> Response:
        """Give the file back."""
        return await _original(core, request.state.owner, str(upload_id))

    @api.get("/files/{user_id}/{upload_id}/{name}", include_in_schema=False)
    async def at_its_path(request: Request, user_id: str, upload_id: UUID, name: str) -> Response:
        """What `file_path` and `thumbnail_path` name; nginx does this in the original."""
        owner = request.state.owner
        if user_id != owner:
            raise Problem("file_not_found")
        if name != "thumbnail.jpg":
            return await _original(core, owner, str(upload_id))
        shown = await core.database.read(reading.upload, owner, str(upload_id))
        if shown.thumbnail_path is None:
            raise Problem("file_not_found")
        return _file(core.storage.thumbnail_path(shown.id), "image/jpeg", None)


async def _original(core: Core, owner: str, upload_id: str) -> Response:
    shown = await core.database.read(reading.upload, owner, upload_id)
    file = await core.database.read(files.get, owner, upload_id)
    if file.status is not FileStatus.STORED or file.stored_path is None:
        raise Problem("file_not_found")
    return _file(core.storage.stored_file(file.stored_path), shown.mime_type, file.filename)


def _file(path: Path, media_type: str, filename: str | None) -> Response:
    if not path.is_file():
        raise Problem("file_not_found", "The file is gone from the disk.")
    nosniff = {"X-Content-Type-Options": "nosniff"}
    return FileResponse(path, media_type=media_type, filename=filename, headers=nosniff)


def _add_changes(api: APIRouter, core: Core) -> None:
    async def hide_all(owner: str, upload_ids: list[str], *, hidden: bool) -> int:
        mine = await core.database.read(reading.owned, owner, upload_ids)
        for upload_id in mine:
            await core.database.write(files.patch_extra, owner, upload_id, {"hidden": hidden})
        return len(mine)

    @api.patch("/v1/uploads/{upload_id}/hide")
    async def hide(request: Request, upload_id: UUID, hidden: bool = True) -> UploadResponse:
        """Leave a file out of lists, or take it in again (`?hidden=false`)."""
        await hide_all(request.state.owner, [str(upload_id)], hidden=hidden)
        return await core.database.read(reading.upload, request.state.owner, str(upload_id))

    @api.post("/v1/uploads/bulk/hide")
    async def hide_many(request: Request, upload_ids: list[UUID], hidden: bool = True) -> dict[str, int]:
        """Hide up to 100 files, or show them again; ids that are nobody's, or somebody else's, are not counted."""
        return {"updated": await hide_all(request.state.owner, _some(upload_ids), hidden=hidden)}

    @api.delete("/v1/uploads/{upload_id}", status_code=204)
    async def delete(request: Request, upload_id: UUID) -> None:
        """Delete a file, in whatever state it is."""
        owner = request.state.owner
        await core.database.read(reading.upload, owner, str(upload_id))
        await forget(core, owner, str(upload_id))

    @api.post("/v1/uploads/bulk/delete")
    async def delete_many(request: Request, upload_ids: list[UUID]) -> Deleted:
        """Delete up to 100 files; ids that are nobody's, or somebody else's, are not counted."""
        owner = request.state.owner
        mine = await core.database.read(reading.owned, owner, _some(upload_ids))
        for upload_id in mine:
            await forget(core, owner, upload_id)
        return Deleted(deleted=len(mine))


def _some(upload_ids: list[UUID]) -> list[str]:
    if not upload_ids:
        raise Problem("validation_failed", "No upload IDs provided")
    if len(upload_ids) > MOST_IDS:
        raise Problem("validation_failed", f"Maximum {MOST_IDS} uploads can be changed at once")
    return [str(one) for one in upload_ids]
