"""DirectDrive as it really is, both generations: a small HTTP and WebSocket server, with each of its quirks by name.

client ──► Front ── a generic fault is planned ──► raw bytes, or nothing
             └───── else, sockets too ──► Starlette in the test's own loop ──► FakeFile
Source: the code of EmmaGarrr/DirectDriveX (bf7feb9) and EmmaGarrr/DirectDrive (5d0454a).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.support.directdrive_faults import Faults
from tests.support.directdrive_front import Front
from tests.support.directdrive_rows import FakeFile, Generation, dangerous, invalid, record, root, sanitised
from tests.support.uvicorn_here import UvicornHere

USER, PASSWORD = "anna@example.org", "correct horse"
SLOTS = 5
__all__ = ["FakeDirectDrive", "FakeFile", "Generation"]


class FakeDirectDrive(Faults):
    """``async with FakeDirectDrive() as fake``; talk to ``fake.url``. Faults are switched on by the methods of their names."""

    def __init__(self, generation: Generation = Generation.X) -> None:
        super().__init__()
        self.user, self.password = USER, PASSWORD
        self.generation = generation
        self.url = ""
        self.requests: list[str] = []
        self.sockets: list[str] = []
        self.frames: list[int] = []
        self.refused_sockets: list[tuple[int, str]] = []
        self.files: dict[str, FakeFile] = {}
        self.batches: dict[str, list[str]] = {}
        self.token_lives_s: float | None = 24 * 3600.0
        self.now: Callable[[], float] = time.time
        self._open: dict[str | None, int] = {}
        self._front = Front(self.requests, self.planned)
        self._server = UvicornHere(self._app())

    # What a test looks at

    def stored(self) -> dict[str, str]:
        """Return the SHA-256 of every file that can be had, by the name it is stored under."""
        whole = (file for file in self.files.values() if file.gdrive_id is not None)
        return {file.name: hashlib.sha256(file.content).hexdigest() for file in whole}

    def statuses(self) -> dict[str, str]:
        """Return how the files stand, by their names as they were sent."""
        return {file.original: file.status for file in self.files.values()}

    def asked(self, part: str) -> int:
        """Return how many requests had *part* in method and path."""
        return sum(part in request for request in self.requests)

    def token(self) -> str:
        """Make a token for the user."""
        exp = {} if self.token_lives_s is None else {"exp": int(self.now() + self.token_lives_s)}
        claims = {"sub": self.user, "jti": secrets.token_hex(4), **exp}
        parts = (json.dumps(part).encode() for part in ({"alg": "HS256"}, claims))
        token = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + ".c2ln"
        self.tokens.add(token)
        return token

    # Running

    async def __aenter__(self) -> Self:
        await self._server.start()
        self._front.lead_to(self._server.url)
        await self._front.__aenter__()
        self.url = self._front.url
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()
        await self._front.__aexit__(kind, error, trace)
        await self._server.stop()

    async def restart(self) -> None:
        """Die and come back: rows stay as they are."""
        self._front.cut_all()
        await self._server.stop()
        await self._server.start()

    def _app(self) -> Starlette:
        v1 = "/api/v1"
        routes = [
            Route("/", root),
            Route("/openapi.json", self._openapi),
            Route(f"{v1}/auth/token", self._token, methods=["POST"]),
            Route(f"{v1}/auth/users/me", self._me),
            Route(f"{v1}/upload/initiate", self._initiate, methods=["POST"]),
            Route(f"{v1}/upload/cancel/{{file_id}}", self._cancel, methods=["POST"]),
            Route(f"{v1}/files/{{file_id}}", self._file),
            WebSocketRoute("/ws_api/upload/{file_id}", self._legacy),
        ]
        if self.generation is Generation.X:
            routes += [
                Route(f"{v1}/upload/quota-info", self._quota),
                Route(f"{v1}/system/upload-progress/{{file_id}}", self._progress),
                Route(f"{v1}/batch/initiate", self._initiate_batch, methods=["POST"]),
                Route(f"{v1}/batch/cancel/{{batch_id}}", self._cancel_batch, methods=["POST"]),
                Route(f"{v1}/batch/{{batch_id}}", self._batch),
                WebSocketRoute("/ws_api/upload_parallel/{file_id}", self._parallel),
            ]
        self._paths: dict[str, object] = {
            route.path: {} for route in routes if isinstance(route, Route) and route.path != "/openapi.json"
        }
        return Starlette(routes=routes)

    # HTTP

    async def _openapi(self, _request: Request) -> Response:
        if "no_openapi" in self._faults:
            return JSONResponse({"detail": "Not Found"}, 404)
        hidden = "/cancel/" if "no_cancel" in self._faults else "no path has this"
        paths = {path: about for path, about in self._paths.items() if hidden not in path}
        return JSONResponse({"openapi": "3.1.0", "paths": paths})

    async def _quota(self, _request: Request) -> Response:
        return JSONResponse(self.limits)

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if (form.get("username"), form.get("password")) != (self.user, self.password):
            return JSONResponse({"detail": "Incorrect username or password"}, 401)
        self._faults.discard("becomes_anonymous")
        return JSONResponse({"access_token": self.token(), "token_type": "bearer"})

    def _who(self, request: Request) -> str | None:
        """A token that is missing, broken or over is silently nobody's."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            return None
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        return self.user if claims.get("exp", float("inf")) > self.now() else None

    async def _me(self, request: Request) -> Response:
        if self._who(request) is None:
            return JSONResponse({"detail": "Could not validate credentials"}, 401)
        return JSONResponse({"email": self.user})

    async def _initiate(self, request: Request) -> Response:
        body = await request.json()
        await self.announce.wait()
        refusal = invalid([body]) or (self._initiate_answers.pop(0) if self._initiate_answers else None)
        refusal = refusal or dangerous([body], together=False)
        if refusal is not None:
            return refusal
        file = self._create(request, body, None)
        shown = {"filename": body["filename"], "safe_filename_for_display": file.name}
        return JSONResponse({"file_id": file.id, "gdrive_upload_url": file.upload_url, **shown})

    async def _initiate_batch(self, request: Request) -> Response:
        wanted = (await request.json())["files"]
        await self.announce.wait()
        refusal = invalid(wanted) or (self._initiate_answers.pop(0) if self._initiate_answers else None)
        refusal = refusal or dangerous(wanted, together=True)
        if refusal is not None:
            return refusal
        batch_id = str(uuid4())
        made = [self._create(request, body, batch_id) for body in wanted]
        self.batches[batch_id] = [file.id for file in made]
        answer = [
            {
                "file_id": file.id,
                "gdrive_upload_url": file.upload_url,
                "original_filename": file.name,  # the cleaned one, whatever the field is called
                "safe_filename_for_display": file.name,
            }
            for file in made
        ]
        return JSONResponse({"batch_id": batch_id, "files": answer})

    def _create(self, request: Request, body: dict[str, Any], batch: str | None) -> FakeFile:
        owner = None if "becomes_anonymous" in self._faults else self._who(request)
        name = sanitised(body["filename"]) if self.generation is Generation.X else body["filename"]
        file = FakeFile(str(uuid4()), body["filename"], name, body["size"], owner, batch)
        session = secrets.token_hex(16)
        file.upload_url = f"https://drive.example/upload?uploadType=resumable&upload_id={session}&x=a+b%20c"
        self.files[file.id] = file
        return file

    async def _file(self, request: Request) -> Response:
        file = self.files.get(request.path_params["file_id"])
        if file is None:
            return JSONResponse({"detail": "File not found"}, 404)
        if self.generation is Generation.OLD and file.status == "cancelled":
            return Response(
                "Internal Server Error", 500, media_type="text/plain"
            )  # its model has no such word
        return JSONResponse(record(file))

    async def _batch(self, request: Request) -> Response:
        found = self.batches.get(request.path_params["batch_id"])
        if not found:
            return JSONResponse({"detail": "Batch not found"}, 404)
        return JSONResponse([record(self.files[file_id]) for file_id in found])

    async def _cancel(self, request: Request) -> Response:
        if "no_cancel" in self._faults:
            return JSONResponse({"detail": "Not Found"}, 404)
        file = self.files.get(request.path_params["file_id"])
        if file is None:
            return JSONResponse({"detail": "File not found"}, 404)
        if "cancel_answers_500" in self._faults:
            return JSONResponse({"detail": "Failed to update file status"}, 500)
        if self.generation is Generation.OLD:
            return self._cancel_old(file)
        if file.status not in ("pending", "uploading"):
            words = f"Cannot cancel file with status '{file.status}'. Only pending or uploading files can be cancelled."
            return JSONResponse({"detail": words}, 400)
        self._mark_cancelled(file)
        answer = {"message": "Upload cancelled successfully", "file_id": file.id, "filename": file.name}
        return JSONResponse(answer | {"cancelled_at": "2026-11-21T01:37:22.080538"})

    def _cancel_old(self, file: FakeFile) -> Response:
        if file.status != "uploading":
            return JSONResponse({"detail": f"Cannot cancel upload. File status: {file.status}"}, 400)
        self._mark_cancelled(file)
        return JSONResponse(
            {"message": "Upload cancelled successfully", "status": "success", "file_id": file.id}
        )

    def _mark_cancelled(self, file: FakeFile) -> None:
        file.status = "cancelled"
        if "ignores_cancel" in self._faults:
            asyncio.get_running_loop().call_later(0.03, self.finalise.set)

    async def _cancel_batch(self, request: Request) -> Response:
        batch_id = request.path_params["batch_id"]
        ids = self.batches.get(batch_id)
        if not ids:
            return JSONResponse({"detail": "Batch not found"}, 404)
        open_files = [self.files[one] for one in ids if self.files[one].status in ("pending", "uploading")]
        if "cancels_partly" in self._faults:
            open_files = open_files[: len(open_files) // 2]
        for file in open_files:
            self._mark_cancelled(file)
        counts = {"cancelled_files_count": len(open_files), "total_files_in_batch": len(ids)}
        return JSONResponse(
            {"message": "Batch upload cancelled successfully", "batch_id": batch_id, **counts}
        )

    # Sockets

    async def _parallel(self, websocket: WebSocket) -> None:
        if "gdrive_url" not in websocket.query_params or "no_parallel" in self._faults:
            await websocket.close(1008)  # before it is accepted: 403
            return
        await websocket.accept()
        file = self.files.get(websocket.path_params["file_id"])
        if (why := self._why_not(file, websocket)) is not None:
            self.refused_sockets.append(why)
            await websocket.close(*why)
            return
        assert file is not None
        file.status = "uploading"  # whatever it was
        with self._slot(file):
            self._at_work.add(file.id)
            await self._receive(websocket, file)

    async def _legacy(self, websocket: WebSocket) -> None:
        """Both generations have it. The older one refuses before it accepts."""
        await self.accept.wait()
        file = self.files.get(websocket.path_params["file_id"])
        why = self._why_not(file, websocket)
        if why is not None and self.generation is Generation.OLD:
            self.refused_sockets.append(why)
            await websocket.close(*why)
            return
        await websocket.accept()
        if why is not None:
            await websocket.close(*why)
            return
        assert file is not None
        with self._slot(file):
            await self._receive(websocket, file)

    def _why_not(self, file: FakeFile | None, websocket: WebSocket) -> tuple[int, str] | None:
        if file is None:
            return 1008, "File ID not found"
        if websocket.query_params.get("gdrive_url") != file.upload_url:
            return 1008, "gdrive_url query parameter is missing."
        if self._closures:
            return self._closures.pop(0)
        if self._open.get(file.owner, 0) >= SLOTS:
            return 1008, "Upload limit exceeded or insufficient resources"
        return None

    @contextlib.contextmanager
    def _slot(self, file: FakeFile) -> Iterator[None]:
        self._open[file.owner] = self._open.get(file.owner, 0) + 1
        self.sockets.append(file.original)
        try:
            yield
        finally:
            self._at_work.discard(file.id)
            self._open[file.owner] -= 1

    async def _receive(self, websocket: WebSocket, file: FakeFile) -> None:
        try:
            if file.content:
                raise _StorageError("Upload failed: Failed to process chunk 0")
            await self._frames(websocket, file)
            await self._finish(websocket, file)
        except (WebSocketDisconnect, RuntimeError):
            # The older one forgets it; the newer one writes so even of a file that it has just completed.
            if self.generation is Generation.X and file.status != "cancelled":
                file.status = "failed"
        except _StorageError as error:
            file.status = "failed"
            await self._tell(websocket, "error", str(error))
            await websocket.close()

    async def _frames(self, websocket: WebSocket, file: FakeFile) -> None:
        is_legacy = "/ws_api/upload/" in websocket.url.path
        while len(file.content) < file.size:
            await self.read.wait()
            if is_legacy and file.status == "cancelled":
                await websocket.close()  # without a word
                raise WebSocketDisconnect(1000)
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1006))
            data = message.get("bytes")
            if data is None:
                continue  # text frames are ignored
            if is_legacy and file.status == "pending":
                file.status = "uploading"
            self.frames.append(len(data))
            is_last = len(file.content) + len(data) == file.size
            if self._only_frames_bytes not in (None, len(data)) and not is_last:
                raise _StorageError("Upload failed: Failed to process chunk 1")
            file.content += data
            self._note_arrival(len(file.content))
            if "no_progress" not in self._faults:
                await self._tell(websocket, "progress", int(100 * len(file.content) / file.size))

    def _note_arrival(self, size_bytes: int) -> None:
        for border, event in self.at_byte.items():
            if size_bytes >= border:
                event.set()
        if self._cut_at is not None and size_bytes >= self._cut_at:
            self._cut_at = None
            self._front.cut_all()

    async def _finish(self, websocket: WebSocket, file: FakeFile) -> None:
        self.finalising.set()
        await self.finalise.wait()
        if "fails_after_100" in self._faults:
            raise _StorageError("Upload failed: Failed to finalize upload: 308 - ")
        if "closes_1000_failed" in self._faults:
            file.status = "failed"
            await websocket.close()
            return
        file.status, file.gdrive_id = "completed", f"drive-{file.id}"  # whatever it was
        if "closes_1000_stored" in self._faults:
            await websocket.close()
            return
        if "never_says_success" in self._faults:
            await websocket.receive()  # until the client goes
            return
        await self._tell(websocket, "success", f"/api/v1/download/stream/{file.id}")
        await websocket.close()

    async def _tell(self, websocket: WebSocket, kind: str, value: object) -> None:
        if "strings" in self._faults:
            await websocket.send_text("cancel_ack")
            await websocket.send_text(f"{kind.upper()}:{value}")
        else:
            await websocket.send_text(json.dumps({"type": kind, "value": value}))


class _StorageError(Exception):
    """What the storage behind it said."""
