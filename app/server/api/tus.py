"""tus 1.0.0 at /files: resumable uploads of single files, as a plain ASGI endpoint so that bytes stream.

The protocol: https://tus.io/protocols/resumable-upload (core, creation, creation-with-upload, termination, checksum,
expiration). What we add (Idempotency-Key, Upload-SHA256, Upload-Stored-Path) is in docs/SERVER.md.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from app.server import files
from app.server.api import tus_headers
from app.server.appending import Appended, DisconnectedError, append
from app.server.body import RequestBody
from app.server.core import Core
from app.server.creating import create, where_it_stands
from app.server.files import FileRecord, NewFile
from app.server.problems import Problem
from app.server.states import FileStatus

METHODS = "OPTIONS, POST, HEAD, PATCH, DELETE"
LINGER_SECONDS = 1.0
HURRIED_SECONDS = 0.2
"""A server that is stopping has little time."""
METHODS_ON_COLLECTION = {"OPTIONS", "POST"}
METHODS_ON_FILE = {"OPTIONS", "HEAD", "PATCH", "DELETE"}


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    owner: str
    file_id: str
    headers: Headers
    body: RequestBody


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)


class TusEndpoint:
    """The ASGI application behind /files and /files/{file_id}."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        body = RequestBody(receive, headers)
        try:
            try:
                answer = await self._answer(_request(scope, headers, body))
                response = Response(status_code=answer.status, headers=answer.headers)
            except Problem as problem:
                response = JSONResponse(problem.body(), problem.status, problem.headers)
            await body.skip_small_rest()
        except DisconnectedError:
            return
        response.headers["Tus-Resumable"] = tus_headers.VERSION
        await _send(response, body, scope, receive, send)

    async def _answer(self, request: _Request) -> _Answer:
        allowed = METHODS_ON_FILE if request.file_id else METHODS_ON_COLLECTION
        if request.method not in allowed:
            raise Problem("method_not_allowed", headers={"Allow": ", ".join(sorted(allowed))})
        if request.method == "OPTIONS":
            return self._options()
        if request.headers.get("tus-resumable") != tus_headers.VERSION:
            raise Problem("version_unsupported", headers={"Tus-Version": tus_headers.VERSION})
        match request.method:
            case "POST":
                return await self._post(request)
            case "HEAD":
                return await self._head(request)
            case "PATCH":
                return await self._patch(request)
            case _:
                return await self._delete(request)

    def _options(self) -> _Answer:
        headers = {
            "Tus-Version": tus_headers.VERSION,
            "Tus-Extension": tus_headers.EXTENSIONS,
            "Tus-Checksum-Algorithm": ",".join(tus_headers.ALGORITHMS),
            "Allow": METHODS,
        }
        if self._core.config.max_file_bytes is not None:
            headers["Tus-Max-Size"] = str(self._core.config.max_file_bytes)
        return _Answer(204, headers)

    async def _post(self, request: _Request) -> _Answer:
        headers = request.headers
        if "upload-defer-length" in headers:
            raise Problem("defer_length_unsupported")
        has_content = headers.get("content-type") == tus_headers.CONTENT_TYPE
        if not has_content and not request.body.is_over:
            raise Problem("content_type_unsupported")
        new = _new_file(request, process=self._core.config.process)
        created = await create(
            self._core,
            new,
            request.body,
            body_bytes=request.body.length_bytes,
            checksum=tus_headers.checksum(headers.get("upload-checksum")),
            sha256=tus_headers.sha256(headers.get("upload-sha256")),
        )
        answer = {"Location": f"/files/{created.file.id}", **self._progress(created.appended)}
        return _Answer(201 if created.is_new else 200, answer)

    async def _head(self, request: _Request) -> _Answer:
        file = await self._open_file(request)
        stands = await where_it_stands(self._core, file)
        headers = {
            **self._progress(stands),
            "Upload-Length": str(file.size_bytes),
            "Cache-Control": "no-store",
        }
        if file.upload_metadata:
            headers["Upload-Metadata"] = file.upload_metadata
        return _Answer(200, headers)

    async def _patch(self, request: _Request) -> _Answer:
        headers = request.headers
        if headers.get("content-type") != tus_headers.CONTENT_TYPE:
            raise Problem("content_type_unsupported")
        offset_bytes = tus_headers.number(headers, "Upload-Offset")
        checksum = tus_headers.checksum(headers.get("upload-checksum"))
        sha256 = tus_headers.sha256(headers.get("upload-sha256"))
        file = await self._open_file(request)
        length_bytes = request.body.length_bytes
        if file.status is FileStatus.STORED and offset_bytes != file.size_bytes:
            raise Problem("offset_conflict", headers={"Upload-Offset": str(file.size_bytes)})
        if length_bytes is not None and offset_bytes + length_bytes > file.size_bytes:
            raise Problem("body_too_long")
        if file.status is FileStatus.STORED:
            return _Answer(204, self._progress(await where_it_stands(self._core, file)))
        appended = await append(
            self._core, file, offset_bytes, request.body, checksum=checksum, sha256=sha256
        )
        return _Answer(204, self._progress(appended))

    async def _delete(self, request: _Request) -> _Answer:
        file = await self._open_file(request)
        try:
            if file.status is not FileStatus.STORED:
                await self._core.cancel_file(request.owner, file.id, request.owner)
                return _Answer(204)
        except Problem as problem:
            if problem.extra.get("status") != FileStatus.STORED:
                raise
        await self._core.delete_file(request.owner, file.id)
        return _Answer(204)

    async def _open_file(self, request: _Request) -> FileRecord:
        file = await self._core.database.read(files.get, request.owner, request.file_id)
        files.require_open(file)
        return file

    def _progress(self, appended: Appended) -> dict[str, str]:
        headers = {"Upload-Offset": str(appended.offset_bytes)}
        if appended.sha256 is not None and appended.stored_path is not None:
            headers["Upload-SHA256"] = appended.sha256
            headers["Upload-Stored-Path"] = tus_headers.stored_path(appended.stored_path)
            if appended.will_be_processed:
                headers["Upload-Processing"] = "?1"
        else:
            headers["Upload-Expires"] = tus_headers.expires(self._core.expires_at())
        return headers


def _request(scope: Scope, headers: Headers, body: RequestBody) -> _Request:
    method: str = scope["method"]
    if method == "POST":
        method = headers.get("x-http-method-override", method).upper()
    return _Request(
        method=method,
        owner=scope["state"]["owner"],
        file_id=scope.get("path_params", {}).get("file_id", ""),
        headers=headers,
        body=body,
    )


def _new_file(request: _Request, *, process: bool) -> NewFile:
    headers = request.headers
    text = headers.get("upload-metadata", "")
    told = tus_headers.metadata(text, windows=os.name == "nt")
    return NewFile(
        id=uuid4().hex,
        owner=request.owner,
        filename=told.filename,
        relative_path=told.relative_path,
        size_bytes=tus_headers.number(headers, "Upload-Length"),
        batch_id=told.batch_id,
        idempotency_key=tus_headers.idempotency_key(headers.get("idempotency-key")),
        expected_sha256=told.sha256,
        mtime_ns=told.mtime_ns,
        upload_metadata=text,
        process=process or told.process,
    )


async def _send(response: Response, body: RequestBody, scope: Scope, receive: Receive, send: Send) -> None:
    if body.is_over:
        await response(scope, receive, send)
        return
    response.headers["Connection"] = "close"
    await send(
        {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    )
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    await body.linger(HURRIED_SECONDS if response.status_code == 503 else LINGER_SECONDS)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
