"""A Cell Segmentation Hub that behaves as the real one does (its backend at bf99ac26), quirks included; faults by name.

POST images ──► whole body into memory ──► access? ──► one image after another is stored ──► 200, and events to the sockets

As in the original, without any fault asked for: only cookies count; a refresh token works once; a foreign project is
refused after its whole body; one bad file refuses the request; a name without a star is taken for Latin-1; there is no
cancel; a sender that leaves after its last byte stops nothing; a 500 says ``ImageController``; nothing is idempotent.
"""

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.support.cell_segmentation_hub_answers import (
    Answers,
    Image,
    Part,
    Refusal,
    claims_of,
    failed_files,
    jwt,
    parts_of,
)
from tests.support.cell_segmentation_hub_faults import HubFaults
from tests.support.edge import Pretended
from tests.support.fake_server import reply

_MIB = 2**20
_VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".nd2", ".tif", ".tiff")
Handler = Callable[[Request], Awaitable[Response]]


class FakeHub(HubFaults, Pretended):
    """``async with FakeHub() as fake``; talk to ``fake.url`` as ``fake.user`` with ``fake.password``.

    ``project`` is a project of the user's, ``theirs`` somebody else's. *now* gives epoch seconds.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__(now)
        self._say = Answers(self._now)
        app = Starlette(routes=self._routes(), exception_handlers={HTTPException: self._unknown})
        self.serve(app, tells_time=False)

    # What every fake has

    async def leave_work(self) -> None:
        """What is being stored is stored."""
        self._may_read.set()
        self._may_store.set()
        await asyncio.gather(*self._storing, return_exceptions=True)

    async def restart(self) -> None:
        """Stop and start: what was being stored is stored no further, tokens and images stay."""
        for task in list(self._storing):
            task.cancel()
        await super().restart()

    def stored(self) -> dict[str, str]:
        """Return the SHA-256 of every file it holds, by name."""
        return {
            each.name: hashlib.sha256(each.content).hexdigest() for each in self.images if not each.parent
        }

    # HTTP

    def _routes(self) -> list[Route | WebSocketRoute]:
        return [
            self._route("/auth/login", self._login, "POST"),
            self._route("/auth/refresh-token", self._refresh, "POST"),
            self._route("/projects", self._known(self._projects), "GET"),
            self._route("/projects", self._known(self._new_project), "POST"),
            self._route("/images/batch", self._known(self._delete), "DELETE"),
            self._route("/images/{image}", self._known(self._image), "GET"),
            self._route("/projects/{id}/images/{image}", self._known(self._image), "GET"),
            self._route("/projects/{id}/images", self._known(self._list), "GET"),
            self._route("/projects/{id}/images", self._known(self._upload), "POST"),
            self._route("/images/{id}/images", self._known(self._upload), "POST"),
            self._route("/projects/{id}/videos", self._known(self._video), "POST"),
            WebSocketRoute("/socket.io/", self._socket),
        ]

    def _route(self, path: str, handler: Handler, method: str) -> Route:
        async def handled(request: Request) -> Response:
            try:
                return await handler(request)
            except Refusal as refusal:
                return self._say.refusal(refusal)
            except ClientDisconnect:
                return Response(status_code=499)  # nobody reads it

        return Route(path, handled, methods=[method])

    async def _unknown(self, request: Request, _error: Exception) -> Response:
        return self._say.refusal(
            Refusal(404, "NOT_FOUND", f"Endpoint {request.method} {request.url.path} not found")
        )

    def _known(self, handler: Handler) -> Handler:
        async def handled(request: Request) -> Response:
            token = request.cookies.get("access_token", "")
            if "bearer" in self._faults:
                token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not token:
                raise Refusal(401, "UNAUTHORIZED", "Chybí autentizační token")
            if not self._is_good(token):
                raise Refusal(401, "UNAUTHORIZED", "Token vypršel")
            return await handler(request)

        return handled

    def _is_good(self, token: str) -> bool:
        with suppress(ValueError, IndexError):
            return token in self._good and float(claims_of(token)["exp"]) > self._now()
        return False

    def _signed_in(self, message: str) -> Response:
        access, refresh = (
            jwt({"sub": self.user, "exp": self._now() + self._token_life_s}),
            secrets.token_hex(32),
        )
        self._good.add(access)
        self._refresh_tokens.add(refresh)
        data: dict[str, Any] = {"user": {"email": self.user}}
        if "bearer" in self._faults:
            return self._say.success({**data, "accessToken": access, "refreshToken": refresh}, message)
        answer = self._say.success(data, message)
        answer.set_cookie("access_token", access, 900, httponly=True, samesite="strict", secure=True)
        answer.set_cookie(
            "refresh_token", refresh, 604800, path="/api/auth", httponly=True, samesite="strict", secure=True
        )
        answer.set_cookie("authenticated", "1", 604800, samesite="strict")
        return answer

    async def _login(self, request: Request) -> Response:
        told = await request.json()
        if self.refused_sign_ins >= 20:
            raise Refusal(429, "RATE_LIMIT_EXCEEDED", "Příliš mnoho pokusů o přihlášení")
        if (told.get("email"), told.get("password")) != (self.user, self.password):
            self.refused_sign_ins += 1
            raise Refusal(401, "UNAUTHORIZED", "Neplatné přihlašovací údaje")
        self.sign_ins += 1
        return self._signed_in("Přihlášení bylo úspěšné")

    async def _refresh(self, request: Request) -> Response:
        token = request.cookies.get("refresh_token", "")
        if "bearer" in self._faults:
            token = (await request.json())["refreshToken"]
        if token not in self._refresh_tokens:
            self.refused_refreshes += 1
            raise Refusal(401, "UNAUTHORIZED", "Neplatný nebo vypršený refresh token")
        self._refresh_tokens.discard(token)  # single-use: deleted first
        self.refreshes += 1
        return self._signed_in("Token obnoven")

    async def _projects(self, request: Request) -> Response:
        page, limit = _paging(request)
        rows = [{"id": key, "title": title} for key, title in self.projects.items()]
        return self._say.success(
            {
                "projects": rows[(page - 1) * limit : page * limit],
                "pagination": _pages(page, limit, len(rows)),
            }
        )

    async def _new_project(self, request: Request) -> Response:
        title = (await request.json())["title"]
        if not 1 <= len(title) <= 255:
            raise Refusal(400, "VALIDATION_ERROR", "Neplatná data", details={"title": ["1 až 255 znaků"]})
        key = str(uuid4())
        self.projects[key] = title
        return self._say.success({"id": key, "title": title}, "Projekt vytvořen", 201)

    def _require_access(self, request: Request) -> str:
        project = str(request.path_params["id"])
        try:
            UUID(project)
        except ValueError:
            raise Refusal(400, "VALIDATION_ERROR", "Neplatné ID", details={"id": ["uuid"]}) from None
        if project not in self.projects:
            raise Refusal(403, "FORBIDDEN", "Access denied to this project")
        return project

    async def _list(self, request: Request) -> Response:
        project = self._require_access(request)
        page, limit = _paging(request)
        rows = [each for each in self.images if each.project == project and not each.is_container]
        if request.query_params.get("sortBy") == "createdAt":
            rows.sort(key=lambda each: each.created_at, reverse=request.query_params["sortOrder"] == "desc")
        listed = [each.shown() for each in rows[(page - 1) * limit : page * limit]]
        return self._say.success({"images": listed, "pagination": _pages(page, limit, len(rows))})

    async def _image(self, request: Request) -> Response:
        found = [each for each in self.images if each.id == request.path_params["image"]]
        if not found or found[0].project not in self.projects:
            raise Refusal(404, "NOT_FOUND", "Obrázek nenalezen")
        return self._say.success(found[0].shown())

    async def _delete(self, request: Request) -> Response:
        told = await request.json()
        ids, project = told["imageIds"], told.get("projectId")
        if not 1 <= len(ids) <= 100 or not project:
            raise Refusal(400, "VALIDATION_ERROR", "Neplatná data")
        gone = {each.id for each in self.images if each.id in ids and each.project == project}
        if not gone:
            raise Refusal(500, "INTERNAL_ERROR", "ImageController")
        self.images = [each for each in self.images if each.id not in gone and each.parent not in gone]
        left = [each for each in ids if each not in gone]
        return self._say.success({"deletedCount": len(gone), "failedIds": left, "errors": []})

    # Uploads

    async def _parts(self, request: Request) -> list[Part]:
        await self._may_read.wait()
        body = await request.body()  # memory storage: everything, before anything is looked at
        self.received.append(len(body))
        kind = request.headers["content-type"]
        return parts_of(body, kind, knows_star="breaks_all_names" not in self._faults)

    def _checked(self, parts: Sequence[Part]) -> None:
        """multer's limits, then the controller's types: one bad file refuses all."""
        for part in parts:
            if part.field != "images":
                raise Refusal(400, "VALIDATION_ERROR", f"Neočekávané pole souboru: {part.field}")
            if len(part.content) > 20 * _MIB:
                raise Refusal(400, "VALIDATION_ERROR", "Soubor je příliš velký. Maximální velikost: 20 MB")
        if len(parts) > self._most_files:
            raise Refusal(
                400,
                "VALIDATION_ERROR",
                f"Příliš mnoho souborů. Maximálně lze nahrát {self._most_files} souborů najednou",
            )
        if not parts:
            raise Refusal(400, "VALIDATION_ERROR", "Je nutné vybrat alespoň jeden soubor")
        for part in parts:
            if part.media_type not in self._types:
                raise Refusal(400, "VALIDATION_ERROR", f"Invalid file type: {part.media_type}")

    async def _upload(self, request: Request) -> Response:
        if self._plays("401"):
            self._good.clear()
            await request.receive()
            transport = request.receive.__self__.transport  # type: ignore[attr-defined] # uvicorn's cycle
            transport.write(reply("401 Unauthorized", '{"success":false,"error":"x","code":"UNAUTHORIZED"}'))
            transport.close()
            raise ClientDisconnect
        parts = await self._parts(request)
        self._checked(parts)
        project = self._require_access(request)  # only now
        return await self._kept(
            request, self._store(project, parts), lambda images: self._told(parts, images)
        )

    async def _kept(
        self,
        request: Request,
        storing: Any,
        tell: Callable[[list[Image]], Response],
    ) -> Response:
        """Store, whatever becomes of the sender; answer, if the faults let us."""
        if self._faults & {"stores_after_abort", "nginx_keeps"}:
            while (await request.receive())["type"] != "http.disconnect":
                continue
            if "nginx_keeps" in self._faults:
                storing.close()
                return Response(status_code=499)
        task = asyncio.create_task(storing)
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        if self._plays("504"):
            return self._say.page(504)
        images = await asyncio.shield(task)
        if self._plays("hangs_up"):
            request.receive.__self__.transport.abort()  # type: ignore[attr-defined] # uvicorn's cycle
        if self._plays("500"):
            raise Refusal(500, "INTERNAL_ERROR", "ImageController")
        if not images:
            raise Refusal(400, "BAD_REQUEST", "Failed to upload any images")
        return tell(images)

    def _plays(self, fault: str) -> bool:
        """Whether a fault is to be played now; each of these once."""
        plays = fault in self._faults
        self._faults.discard(fault)
        return plays

    async def _store(self, project: str, parts: Sequence[Part]) -> list[Image]:
        batch, stored = f"upload_{int(self._now() * 1000)}_{secrets.token_hex(4)}", []
        about = {"projectId": project, "batchId": batch, "filesTotal": len(parts)}
        for part in parts:
            await self._may_store.wait()
            await asyncio.sleep(self._picture_s)
            progress = {**about, "filename": part.name, "fileSize": len(part.content)}
            await self._tell("uploadProgress", {**progress, "progress": 50, "currentFileStatus": "uploading"})
            if part.name in self._unstorable:
                await self._tell("uploadProgress", {**progress, "progress": 0, "currentFileStatus": "failed"})
                continue
            image = Image(project, part.name, part.content, part.media_type, self._now())
            self.images.append(image)
            if part.name in self._disowned:
                await self._tell("uploadProgress", {**progress, "progress": 0, "currentFileStatus": "failed"})
                continue
            stored.append(image)
            await self._tell(
                "uploadProgress", {**progress, "progress": 100, "currentFileStatus": "completed"}
            )
        summary = {"totalFiles": len(parts), "successCount": len(stored)}
        await self._tell("uploadCompleted", {"projectId": project, "batchId": batch, "summary": summary})
        return stored

    def _told(self, parts: Sequence[Part], images: Sequence[Image]) -> Response:
        data: dict[str, Any] = {"images": [each.shown() for each in images], "count": len(images)}
        if "no_failed_count" not in self._faults:
            failed = failed_files(parts, images)
            if "lists_success_as_failed" in self._faults:
                failed += [{"filename": each.raw_name, "reason": "Upload failed"} for each in parts]
            data |= {"failedCount": len(parts) - len(images), "failedFiles": failed}
        return self._say.success(data, f"Úspěšně nahráno {len(images)} obrázků")

    async def _video(self, request: Request) -> Response:
        parts = await self._parts(request)
        project = self._require_access(request)
        part = parts[0]
        if len(parts) != 1 or part.field != "video":
            raise Refusal(400, "VALIDATION_ERROR", f"Neočekávané pole souboru: {part.field}")
        if not part.name.lower().endswith(_VIDEOS):
            suffix = part.name.rpartition(".")[2]
            raise Refusal(400, "GENERIC_ERROR", f"Not a recognised video format: .{suffix}")
        if part.name in self._unstorable:
            raise Refusal(500, "GENERIC_ERROR", "ffmpeg exited with code 1")
        return await self._kept(request, self._extract(project, part), self._told_video)

    async def _extract(self, project: str, part: Part) -> list[Image]:
        await self._may_store.wait()
        container = Image(project, part.name, part.content, part.media_type, self._now(), is_container=True)
        frames = [
            Image(project, f"{part.name} (frame {n})", b"", "image/png", self._now(), parent=container.id)
            for n in (1, 2)
        ]
        self.images += [container, *frames]
        return [container]

    def _told_video(self, images: Sequence[Image]) -> Response:
        (container,) = images
        data = {"videoContainerId": container.id, "frameCount": 2, "channels": [], "positionCount": 1}
        return self._say.success({**data, "containerIds": [container.id]})

    # socket.io

    async def _tell(self, event: str, payload: dict[str, Any]) -> None:
        for socket in list(self._sockets):
            with suppress(WebSocketDisconnect, RuntimeError):
                await socket.send_text(f"42{json.dumps([event, payload])}")

    async def _socket(self, socket: WebSocket) -> None:
        self.handshakes += 1
        if "no_socket" in self._faults or "origin" in socket.headers:
            await socket.send_denial_response(Response("", 400))
            return
        await socket.accept()
        hello = {"sid": secrets.token_hex(8), "upgrades": [], "pingInterval": 25000, "pingTimeout": 20000}
        await socket.send_text(f"0{json.dumps(hello)}")
        try:
            assert await socket.receive_text() == "40"
            token = socket.cookies.get("access_token", "")
            if "bearer" in self._faults:
                token = socket.headers.get("authorization", "").removeprefix("Bearer ")
            if not self._is_good(token):
                word = "Authentication failed" if token else "Authentication token required"
                await socket.send_text(f"44{json.dumps({'message': word})}")
                await socket.close()
                return
            await socket.send_text(f'40{{"sid":"{secrets.token_hex(8)}"}}')
            self.sockets_opened += 1
            self._sockets.add(socket)
            while True:
                self.said.append(await socket.receive_text())
        except WebSocketDisconnect:
            return
        finally:
            self._sockets.discard(socket)


def _paging(request: Request) -> tuple[int, int]:
    page, limit = int(request.query_params.get("page", 1)), int(request.query_params.get("limit", 50))
    if limit > 100:
        raise Refusal(400, "VALIDATION_ERROR", "Neplatná data", details={"limit": ["≤ 100"]})
    return page, limit


def _pages(page: int, limit: int, total: int) -> dict[str, object]:
    pages = -(-total // limit)
    return {"page": page, "limit": limit, "total": total, "totalPages": pages, "hasNext": page < pages}
